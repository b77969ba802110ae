"""Forecasts go with the values: far from 0, tiny, halved, constant, beyond what training saw; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import DataError
from elman.tasks import Forecaster
from elman.tasks.forecast.baselines import last_season
from elman.tasks.forecast.data.covariates import Covariates
from elman.tasks.forecast.data.panel import Columns, Panel

QUICK: dict[str, Any] = {"epochs": 6, "hidden": 4, "experts": 1, "ensemble_size": 1, "seed": 0, "verbose": False}
WAVE = np.sin(np.arange(124) / 12 * 2 * np.pi)


def frame(first: int = 0, /, **series: Any) -> pl.DataFrame:
    """Series whose steps count from `first`."""
    parts = [
        pl.DataFrame({"unique_id": name, "ds": np.arange(first, first + len(y)), "y": np.asarray(y, float)})
        for name, y in series.items()
    ]
    return pl.concat(parts)


@pytest.fixture(scope="module")
def logarithms() -> Forecaster:
    return Forecaster(horizon=4, season=12, **QUICK).fit(frame(a=100 + 30 * WAVE[:120]))


@pytest.mark.parametrize("by", [0.5, 1e-9, 1e-300, 1e12, 1e97])
def test_logarithms_have_no_floor(logarithms: Forecaster, by: float) -> None:
    y = 100 + 30 * WAVE[:120]
    whole, part = (logarithms.predict(frame=frame(a=x)).drop("unique_id", "ds").to_numpy() for x in (y, y * by))
    assert np.allclose(part, whole * by, rtol=1e-6)
    assert (part[:, 1] < part[:, 2]).all(), "an interval has a width"


def test_a_level_that_falls_is_followed(logarithms: Forecaster, tmp_path: Path) -> None:
    logarithms.save(tmp_path / "m")
    model = elman.load(tmp_path / "m").update(frame(120, a=30 + 9 * np.tile(WAVE[:12], 8)))
    assert model.predict()["elman"].max() < 50
    truth = frame(216, a=30 + 9 * WAVE[:4])
    assert model.evaluate_naive(truth)["mae"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, -3.0])
@pytest.mark.parametrize("asked", ["predict", "update", "evaluate", "evaluate_naive", "score", "tests", "diagnose"])
def test_logarithms_refuse_what_is_not_above_0(logarithms: Forecaster, asked: str, value: float) -> None:
    y = 100 + 30 * WAVE[:120]
    y[7] = value
    later = frame(120, a=[100.0, value, 100, 100])
    calls: dict[str, Any] = {
        "predict": lambda: logarithms.predict(frame=frame(a=y)),
        "update": lambda: logarithms.update(later),
        "evaluate": lambda: logarithms.evaluate(later),
        "evaluate_naive": lambda: logarithms.evaluate_naive(later),
        "score": lambda: logarithms.score(later),
        "tests": lambda: logarithms.cross_validation(frame(a=y), refit=False),
        "diagnose": lambda: logarithms.diagnose(frame(a=y)),
    }
    row = 1 if asked in ("update", "evaluate", "evaluate_naive", "score") else 7
    with pytest.raises(DataError, match=rf"row {row} \(series 'a'\) is {value:g}.* log=False"):
        calls[asked]()


def test_the_command_line_names_the_line(
    logarithms: Forecaster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logarithms.save(tmp_path / "m")
    frame(a=[1.0, 2, 0, 4]).write_csv(tmp_path / "f.csv")
    assert main(["predict", str(tmp_path / "m"), str(tmp_path / "f.csv")]) == 2
    assert "line 4 of f.csv, column 'y' (series 'a') is 0" in capsys.readouterr().err


@pytest.mark.parametrize("log", [None, False])
@pytest.mark.parametrize("level", [0.0, 1e6, 1e9, 1e12])
def test_a_wave_far_from_0_is_forecast(level: float, log: bool | None) -> None:
    y = level + 3 * WAVE
    if log is None and level == 0:
        return
    model = Forecaster(horizon=4, season=12, log=log, **QUICK).fit(frame(a=y[:120]))
    made = model.predict()
    assert np.abs(made["elman"].to_numpy() - y[120:]).max() < 0.5
    assert (made["elman-hi-95"] - made["elman-lo-95"]).max() < 6


@pytest.mark.parametrize("by", [1e-12, 1e-9, 1e-3, 1e6, 1e12])
def test_the_unit_of_the_values_does_not_matter(by: float) -> None:
    y = 3 * WAVE[:120] + np.random.default_rng(0).normal(0, 0.2, 120)
    options = QUICK | {"epochs": 2}
    one, other = (Forecaster(horizon=4, season=12, **options).fit(frame(a=x)).predict() for x in (y, y * by))
    assert np.allclose(other["elman"], one["elman"] * by, rtol=0.01, atol=0.01 * by)
    assert np.allclose(other["elman-hi-90"], one["elman-hi-90"] * by, rtol=0.01, atol=0.01 * by)


STRANGE: dict[str, Any] = {
    "constant, then another": [5.0] * 114 + [6.0] * 6,
    "zeros, then something": [0.0] * 114 + [40.0] * 6,
    "zeros, then much": [0.0] * 114 + [1e30] * 6,
    "zeros": [0.0] * 120,
    "constant": [7.3] * 120,
    "a step": [1.0] * 60 + [100.0] * 60,
    "far from 0": [1e9] * 114 + [1e9 + 3] * 6,
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("log", [None, False])
def test_the_validation_loss_is_in_units_of_each_series(name: str, log: bool | None) -> None:
    y = 20 + 3 * WAVE[:120] + np.random.default_rng(0).normal(0, 0.3, 120)
    given = frame(strange=STRANGE[name], plain=y)
    model = Forecaster(horizon=6, season=12, log=log, **QUICK | {"epochs": 2}).fit(given)
    losses = [
        model.metrics_["loss"],
        *(e.loss for e in model.history_),
        *(e.validation["loss"] for e in model.history_),
    ]
    assert max(losses) < 30
    assert np.isfinite(model.predict().drop("unique_id", "ds").to_numpy()).all()


@pytest.mark.parametrize("name", ["zeros", "constant"])
def test_nothing_but_a_constant(name: str) -> None:
    model = Forecaster(horizon=6, season=12, **QUICK | {"epochs": 2}).fit(frame(a=STRANGE[name]))
    assert model.metrics_["loss"] < 1
    assert np.allclose(model.predict().drop("unique_id", "ds").to_numpy(), STRANGE[name][0])


def test_where_mase_is_undefined_the_loss_chooses() -> None:
    model = Forecaster(horizon=4, season=4, patience=3, **QUICK | {"epochs": 5}).fit(frame(a=[1.0, 5, 3, 8] * 30))
    assert model.history_.metric == "loss"
    assert model.history_.best > 0
    missing = np.tile([1.0, 5, 3, 9], 30) + np.arange(120)
    missing[-4:] = np.nan
    assert Forecaster(horizon=4, season=4, **QUICK | {"epochs": 2}).fit(frame(a=missing)).history_.best > 0


def test_naive_forecasts_repeat_observed_values() -> None:
    random = np.random.default_rng(1)
    long, holes = 100 + 10 * np.sin(np.arange(96) / 24 * 2 * np.pi), random.normal(50, 9, 96)
    holes[1:][random.random(95) < 0.7] = np.nan
    given = pl.concat([frame(long=long, holes=holes), frame(90, short=100.0 + np.arange(6))])
    model = Forecaster(horizon=30, season=24, **QUICK | {"epochs": 1}).fit(given)
    later = 100 + random.normal(0, 5, 30)
    for name, y in {"long": long, "holes": holes, "short": 100.0 + np.arange(6)}.items():
        truth = frame(96, **{name: later})
        naive = np.abs(later - last_season(y, 24, 30)).mean()
        assert model.evaluate_naive(truth)["mae"] == pytest.approx(naive)
        made = model.evaluate(truth)
        assert model.score(truth) == pytest.approx(1 - made["mae"] / naive)
        errors = np.abs(y[24:] - y[:-24])
        known = len(errors) and name != "long"  # whose season repeats itself but for rounding
        expected = made["mae"] / np.nanmean(errors) if known else np.nan
        assert made["mase"] == pytest.approx(expected, nan_ok=True)
    model.update(frame(96, long=later, holes=later, short=later))
    grown = np.concatenate([holes, later])
    truth = frame(126, holes=later)
    assert model.evaluate_naive(truth)["mae"] == pytest.approx(np.abs(later - last_season(grown, 24, 30)).mean())
    made = model.evaluate(truth)
    assert made["mase"] == pytest.approx(made["mae"] / np.nanmean(np.abs(grown[24:] - grown[:-24])))


def test_no_forecast_below_0_of_a_series_that_never_was() -> None:
    random = np.random.default_rng(0)
    counts = {f"sku{i}": random.poisson(0.4, 120) for i in range(3)}
    given = frame(**counts, temperature=random.normal(0, 5, 120))
    for options in ({}, {"recursive": True, "paths": 20}):
        model = Forecaster(horizon=4, season=7, **QUICK | {"epochs": 1} | options).fit(given)
        made = model.predict()
        rest = made.filter(pl.col("unique_id") != "temperature").drop("unique_id", "ds").to_numpy()
        assert rest.min() >= 0
        assert made.filter(pl.col("unique_id") == "temperature")["elman-lo-95"].min() < 0
        assert (
            model.cross_validation(given, refit=False).filter(pl.col("unique_id") == "sku0")["elman-lo-95"].min() >= 0
        )


def test_fewer_steps_need_fewer_rows_of_the_future() -> None:
    given = frame(a=20 + 3 * WAVE[:120], b=5 + WAVE[:120]).with_columns(price=pl.col("ds") % 5)
    coming = frame(120, a=20 + WAVE[:8], b=5 + WAVE[:8]).with_columns(price=pl.col("ds") % 3)
    for recursive in (False, True):
        options = QUICK | {"epochs": 1, "recursive": recursive, "paths": 10}
        model = Forecaster(horizon=8, season=12, future="price", **options).fit(given)
        whole = model.predict(future=coming)
        three = model.predict(3, future=coming.filter(pl.col("ds") < 123))
        assert three.equals(whole.filter(pl.col("ds") < 123))
        with pytest.raises(DataError, match=r"missing at ds = 122.* each of the 3 steps"):
            model.predict(3, future=coming.filter(pl.col("ds") < 122))
        assert np.isfinite(model.evaluate(coming.filter(pl.col("ds") < 121))["mae"])


def test_a_covariate_far_from_0_is_read() -> None:
    values = {"far": 1e12 + np.arange(3.0), "same": np.full(3, 0.1), "none": np.full(3, np.nan)}
    panel = Panel(["a"], np.array([0, 3]), np.zeros(1, int), np.zeros(3), values)
    made = Covariates().fit(panel, Columns(past=("far", "same", "none")))
    assert np.allclose(made.changing(panel).numbers[:, 0], [-1.2247, 0, 1.2247], atol=1e-3)
    assert made.scales["same"][1] == made.scales["none"][1] == 0  # never changed: left out of account


def test_a_diagnosis_ends_with_the_last_value() -> None:
    given = frame(a=20 + 3 * WAVE[:60]).with_columns(price=pl.col("ds") % 5)
    model = Forecaster(horizon=4, season=12, future="price", **QUICK | {"epochs": 1}).fit(given)
    later = pl.concat([given, pl.DataFrame({"unique_id": "a", "ds": range(60, 64), "y": None, "price": range(4)})])
    later = later.with_columns(pl.col("y").cast(pl.Float64))
    assert model.diagnose(later).to_json() == model.diagnose(given).to_json()
    with pytest.raises(DataError, match=r"longer than the 4 steps that are forecast; the longest, 'a', has 4"):
        model.diagnose(given.head(4))
