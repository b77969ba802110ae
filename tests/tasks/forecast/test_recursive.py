"""Forecasts step by step on sampled paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import elman
from elman.tasks import Forecaster
from forecast_series import QUICK, head, numbers, part


@pytest.fixture(scope="module")
def recursive(frame: pl.DataFrame) -> Forecaster:
    options = {"past": ["heat", "shop"], "future": ["sale"], **QUICK, "epochs": 4}
    return Forecaster(horizon=6, season=12, recursive=True, paths=60, **options).fit(head(frame, 100))


def test_paths(frame: pl.DataFrame, recursive: Forecaster, tmp_path: Path) -> None:
    later = part(frame, 100, 106)
    answer = recursive.predict(future=later)
    assert answer.columns[:4] == ["unique_id", "ds", "elman", "elman-lo-80"]
    low, middle, high = (answer[name].to_numpy() for name in ("elman-lo-80", "elman", "elman-hi-80"))
    assert ((low <= middle) & (middle <= high)).all()
    assert recursive.predict(future=later).equals(answer)
    recursive.save(tmp_path / "model")
    assert elman.load(tmp_path / "model").predict(future=later).equals(answer)
    alone = recursive.predict(frame=head(frame, 100).filter(pl.col("unique_id") == "s1"), future=later)
    assert (numbers(alone) == numbers(answer)[6:12]).all(), "a series never depends on the others"
    made = recursive.cross_validation(head(frame, 106), windows=1, refit=False)
    assert np.allclose(numbers(made.drop("cutoff", "y")), numbers(answer), rtol=1e-5)
    assert recursive.update(part(frame, 100, 101)).predict(future=part(frame, 101, 107)).height == 18


def test_paths_of_a_random_walk_spread_by_the_root_of_time() -> None:
    walks = np.cumsum(np.random.default_rng(0).normal(size=(20, 80)), axis=1)
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat([f"w{i}" for i in range(20)], 80),
            "ds": np.tile(np.arange(80), 20),
            "y": walks.reshape(-1),
        }
    )
    options = {**QUICK, "epochs": 12, "experts": 1, "ensemble_size": 1, "learning_rate": 0.01}
    model = Forecaster(horizon=9, season=1, window=4, levels=[80], recursive=True, **options).fit(frame)
    answer = model.predict()
    wide = (answer["elman-hi-80"] - answer["elman-lo-80"]).to_numpy().reshape(20, 9).mean(0)
    assert 2.2 < wide[8] / wide[0] < 3.8, "3 is the root of 9"
    assert 1.8 < wide[0] < 3.6, "2.56 standard deviations of a step"
