"""Bounds of forecasts and whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import OptionError
from elman.tasks import Forecaster
from elman.tasks.forecast.data.bounds import UNBOUNDED, Bounds
from forecast_series import QUICK

FAST: dict[str, Any] = {**QUICK, "horizon": 6, "season": 7, "epochs": 2, "levels": [80, 95]}


@pytest.fixture(scope="module")
def counts() -> pl.DataFrame:
    """Counts, and a series that may be negative."""
    random = np.random.default_rng(0)
    parts = [random.poisson(0.6, 60) * 1.0, random.poisson(3, 60) * 1.0, random.normal(0, 5, 60)]
    return pl.concat([pl.DataFrame({"unique_id": f"s{i}", "ds": range(60), "y": y}) for i, y in enumerate(parts)])


@pytest.mark.parametrize("bounds", [Bounds(0, 4), Bounds(-1), Bounds(None, 2.5), Bounds(0, 4, integer=True)])
def test_order_and_coverage(bounds: Bounds) -> None:
    random = np.random.default_rng(1)
    quantiles = np.sort(random.normal(1, 3, (500, 5)), axis=1)
    made = bounds.apply(quantiles)
    assert (np.diff(made, axis=1) >= 0).all()
    truth = np.clip(random.poisson(2, (500, 1)), bounds.minimum or 0, np.floor(bounds.maximum or 9))
    for low, high in ((0, -1), (1, -2)):
        before = (truth[:, 0] >= quantiles[:, low]) & (truth[:, 0] <= quantiles[:, high])
        assert ((truth[:, 0] >= made[:, low]) & (truth[:, 0] <= made[:, high]))[before].all()
    assert UNBOUNDED.apply(quantiles) is quantiles


@pytest.mark.parametrize("recursive", [False, True])
def test_forecasts_keep_them(counts: pl.DataFrame, recursive: bool, tmp_path: Path) -> None:
    model = Forecaster(minimum=-2, maximum=3, integer=True, recursive=recursive, paths=20, **FAST).fit(counts)
    model.save(tmp_path / "m")
    answers = elman.load(tmp_path / "m").predict()
    values = answers.drop("unique_id", "ds").to_numpy()
    assert set(np.unique(values)) <= {-2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    assert (values[: 2 * 6] >= 0).all(), "series that never were negative"
    assert model.cross_validation(counts, refit=False)["elman"].max() <= 3


def test_set_after_fit(counts: pl.DataFrame) -> None:
    model = Forecaster(**FAST).fit(counts)
    plain = model.predict()
    bounded = model.set_params(maximum=1.5).predict()
    assert bounded["elman-hi-95"].to_list() == plain["elman-hi-95"].clip(upper_bound=1.5).to_list()
    assert (bounded["elman-hi-95"] == 1.5).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minimum": "a"}, "minimum = 'a' must be a number, or None"),
        ({"maximum": float("inf")}, "maximum = inf must be a number"),
        ({"minimum": 2, "maximum": 1}, "minimum = 2 is above maximum = 1"),
        ({"minimum": 0.5, "integer": True}, "minimum = 0.5 must be a whole number where integer = True"),
        ({"integer": 1}, "integer = 1 must be True or False"),
    ],
)
def test_bounds_that_cannot_be(options: dict[str, Any], said: str, counts: pl.DataFrame) -> None:
    with pytest.raises(OptionError, match=said):
        Forecaster(**options).fit(counts)


def test_on_the_command_line(counts: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = pl.concat([counts, counts]).sort("unique_id", "ds")
    twice.write_csv(tmp_path / "counts.csv")
    argv = ["fit", "forecast", f"{tmp_path}/counts.csv", "--integer", "--maximum", "2", "--duplicates", "mean"]
    quick = ["--horizon", "4", "--epochs", "1", "--hidden", "4", "--experts", "2", "--ensemble-size", "1"]
    assert main([*argv, *quick, "--out", f"{tmp_path}/m"]) == 0
    capsys.readouterr()
    assert main(["predict", f"{tmp_path}/m", f"{tmp_path}/counts.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert all(float(cell) == int(float(cell)) <= 2 for line in lines for cell in line.split(",")[2:])
