"""Fills, level and scale look backwards only, and go on step by step with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from elman.tasks.forecast.data.scaling import Past, Shape, Tail, filled


def series(steps: int, missing: float = 0.2) -> np.ndarray:  # type: ignore[type-arg]
    random = np.random.default_rng(steps)
    values = random.normal(size=steps).cumsum() + 100
    values[1:][random.random(steps - 1) < missing] = np.nan
    return values


@pytest.mark.parametrize("shape", [Shape(1, 5), Shape(4, 10), Shape(24, 30, log=True), Shape(7, 3)])
def test_steps_equal_the_whole(shape: Shape) -> None:
    values = [series(n) for n in (90, 90, 90)]
    tail = Tail.of([Past.of(x[:40], shape) for x in values], shape)
    rows = np.arange(3)
    for step in range(40, 90):
        inputs = tail.advance(np.array([x[step] for x in values]), rows, shape)
        for row, x in zip(inputs, values, strict=True):
            assert (row == Past.of(x[: step + 1], shape).inputs[-1]).all()
    whole = Tail.of([Past.of(x, shape) for x in values], shape)
    for name in ("fills", "squares", "level", "scale", "total", "steps", "gap"):
        assert (getattr(whole, name) == getattr(tail, name)).all(), name


@pytest.mark.parametrize("season", [1, 3, 7, 50])
def test_filled_is_the_recursion(season: int) -> None:
    values = series(40, 0.5)
    expected: list[float] = []
    for t, value in enumerate(values.tolist()):
        before = expected[t - season] if t >= season else expected[-1] if t else value
        expected.append(before if np.isnan(value) else value)
    assert filled(values, season).tolist() == expected


@pytest.mark.parametrize("value", [0.0, 5.0, -1e30])
def test_a_constant_series_has_a_scale(value: float) -> None:
    past = Past.of(np.full(50, value), Shape(6, 12))
    assert (past.scale > 0).all()
    assert np.isfinite(past.inputs).all()
