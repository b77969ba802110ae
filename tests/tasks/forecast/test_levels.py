"""The interval of a higher level holds that of a lower one, and all hold the forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.tasks import Forecaster
from elman.tasks.forecast.conformal import Calibration, factor, nested

QUICK: dict[str, Any] = {"epochs": 1, "hidden": 4, "experts": 1, "ensemble_size": 1, "seed": 0, "verbose": False}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"log": False},
    {"recursive": True, "paths": 20},
    {"levels": [10, 99, 50, 60]},
    {"levels": [99.9, 99.8, 99.7]},
    {"validation": 0.0},
]


def series(few: int = 2, steps: int = 80) -> pl.DataFrame:
    random = np.random.default_rng(3)
    y = 30 + np.arange(steps) / 4 + 8 * np.sin(np.arange(steps) / 12 * 2 * np.pi) + random.normal(0, 3, (few, steps))
    names = np.repeat([f"s{i}" for i in range(few)], steps)
    return pl.DataFrame({"unique_id": names, "ds": np.tile(np.arange(steps), few), "y": y.reshape(-1)})


def check(answer: pl.DataFrame, levels: list[float]) -> None:
    low = np.stack([answer[f"elman-lo-{level:g}"].to_numpy() for level in sorted(levels)])
    high = np.stack([answer[f"elman-hi-{level:g}"].to_numpy() for level in sorted(levels)])
    middle = answer["elman"].to_numpy()
    assert (np.diff(np.concatenate([middle[None], low]), axis=0) <= 0).all()
    assert (np.diff(np.concatenate([middle[None], high]), axis=0) >= 0).all()


@pytest.mark.parametrize("options", OPTIONS)
def test_intervals_lie_one_in_the_other(options: dict[str, Any], tmp_path: Path) -> None:
    levels = list(options.get("levels", [80, 90, 95]))
    frame = series()
    model = Forecaster(horizon=6, season=12, **QUICK | options).fit(frame)
    model.calibration_ = Calibration(dict(zip(sorted(map(float, levels)), (1.3, 0.4, 0.9, 0.0), strict=False)))
    answer = model.predict()
    check(answer, levels)
    check(model.cross_validation(frame, windows=2, refit=False), levels)
    model.save(tmp_path / "m")
    assert elman.load(tmp_path / "m").predict().equals(answer)


def test_nested_moves_outwards_only() -> None:
    given = np.random.default_rng(0).normal(size=(50, 7))
    made = nested(given)
    assert (made[:, 3] == given[:, 3]).all()
    assert (made[:, :3] <= given[:, :3]).all()
    assert (made[:, 4:] >= given[:, 4:]).all()
    assert (np.diff(made) >= 0).all()
    assert (nested(made) == made).all()


def test_narrow_intervals_far_from_zero_are_measured() -> None:
    random = np.random.default_rng(0)
    middle = np.full(999, 1e12)
    y = middle + random.uniform(-2, 2, 999)
    assert factor(y, middle - 1, middle, middle + 1, 0.9, 1.0) == pytest.approx(1.8, abs=0.1)
    constant = np.full(99, 7.0)
    assert factor(constant + 1e-15, constant, constant, constant, 0.9, 0.0) < 1
