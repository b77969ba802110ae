"""Memory follows the data, not the season: counted in the bytes of arrays, which NumPy reports to tracemalloc."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.errors import OptionError
from elman.tasks import Forecaster
from elman.tasks.forecast.data import scaling
from elman.tasks.forecast.data.scaling import Past, Shape, Tail
from elman.tasks.forecast.data.time_grid import Grid
from elman.tasks.forecast.defaults import PanelSummary

QUICK: dict[str, Any] = {"epochs": 1, "hidden": 4, "experts": 1, "ensemble_size": 1, "seed": 0, "verbose": False}


def most_bytes(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("season", [1, 1440, 2340, 2341, 86_400, 1_000_000])
def test_what_is_read_of_a_series(season: int) -> None:
    y, shape = np.sin(np.arange(2000.0) / 10) + 2, Shape(season, 900)
    y[5::7] = np.nan

    def work() -> None:
        tail = Tail.of([Past.of(y, shape)], shape)
        for _ in range(3):
            tail.advance(np.ones(1), np.arange(1), shape)
        tail.last_season(season, 5)
        tail.windows(shape)

    assert most_bytes(work) < 110e6


@pytest.mark.parametrize("options", [{}, {"season": 86_400}, {"recursive": True, "paths": 300}])
def test_a_forecaster_of_seconds(options: dict[str, Any]) -> None:
    when = (np.arange(600) * 1_000_000).astype("datetime64[us]")
    frame = pl.DataFrame({"unique_id": "a", "ds": when, "y": np.sin(np.arange(600) / 10) + 2})
    if "season" in options:
        with pytest.warns(UserWarning, match="season = 86400"):
            used = most_bytes(lambda: Forecaster(horizon=3, **QUICK | options).fit(frame).predict())
    else:
        used = most_bytes(lambda: Forecaster(horizon=3, **QUICK | options).fit(frame).predict())
    assert used < 110e6


@pytest.mark.parametrize("direct", [4, 16])
@pytest.mark.parametrize("shape", [Shape(1, 5), Shape(5, 30), Shape(17, 3), Shape(40, 50, log=True), Shape(500, 20)])
def test_wide_sums_go_on_with_the_same_bits(shape: Shape, direct: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tests/test_scaling.py has it, with sums that are wide from a few terms on, and ends that grow."""
    monkeypatch.setattr(scaling, "_DIRECT", direct)
    random = np.random.default_rng(0)
    values = [random.normal(size=150).cumsum() + 100 for _ in range(3)]
    for x in values:
        x[1:][random.random(149) < 0.3] = np.nan
    starts = [3, 40, 77]
    tail = Tail.of([Past.of(x[:n], shape) for x, n in zip(values, starts, strict=True)], shape)
    for step in range(73):
        rows = np.arange(3)
        inputs = tail.advance(np.array([x[n + step] for x, n in zip(values, starts, strict=True)]), rows, shape)
        for row, x, n in zip(inputs, values, starts, strict=True):
            assert (row == Past.of(x[: n + step + 1], shape).inputs[-1]).all()
    whole = Tail.of([Past.of(x[: n + 73], shape) for x, n in zip(values, starts, strict=True)], shape)
    for f in fields(Tail):
        assert np.array_equal(getattr(whole, f.name), getattr(tail, f.name)), f.name


def test_wide_sums_are_sums() -> None:
    values = np.random.default_rng(0).normal(size=400)
    for width in (1, 7, 100, 399, 400, 1000):
        expected = [values[max(0, t - width + 1) : t + 1].sum() for t in range(400)]
        assert np.allclose(scaling._wide_sums(values, width), expected)


def test_paths_are_limited() -> None:
    frame = pl.DataFrame({"unique_id": "a", "ds": range(60), "y": [1.0, 2.0, 3.0] * 20})
    for options in ({"paths": 10**6}, {"paths": 10_000, "horizon": 10_000}):
        with pytest.raises(OptionError, match=r"paths = .* (must be at most|are more than)"):
            Forecaster(recursive=True, **QUICK | options).fit(frame)


def test_the_window_is_bounded_by_weights() -> None:
    for options, length, window in (
        ({"horizon": 1440, "experts": 8, "season": 1440}, 100_000, 2880),
        ({"horizon": 48, "season": 24}, 700, 312),
    ):
        summary = PanelSummary(lengths=np.array([length]), lowest=1.0, grid=Grid("integer", 1))
        assert Forecaster(**options).config(summary).window == window  # type: ignore[arg-type]
