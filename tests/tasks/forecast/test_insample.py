"""In-sample values, anomalies, errors by step, and backtests that train anew."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from forecast_series import QUICK, head


def test_each_value_is_forecast_from_those_before(frame: pl.DataFrame, plain: Forecaster) -> None:
    given = head(frame, 60)
    made = plain.predict_insample(given)
    assert made.columns[:5] == ["unique_id", "ds", "cutoff", "y", "elman"]
    assert made.height == 3 * 59
    one = plain.predict(1, frame=head(frame, 40)).filter(pl.col("unique_id") == "s1")
    same = made.filter((pl.col("unique_id") == "s1") & (pl.col("ds") == one["ds"][0]))
    assert np.allclose(same["elman-hi-95"].to_numpy(), one["elman-hi-95"].to_numpy())
    blocks = plain.predict_insample(given, horizon=6)
    assert blocks.height == 3 * 59
    assert blocks["cutoff"].n_unique() == 10
    whole = plain.predict(frame=head(frame, 55)).filter(pl.col("unique_id") == "s0")["elman"]
    last = blocks.filter(pl.col("unique_id") == "s0")["elman"][-5:]
    assert np.allclose(last.to_numpy(), whole[:5].to_numpy())
    for wrong in (0, 7, 1.5):
        with pytest.raises(OptionError, match="from 1 to 6"):
            plain.predict_insample(given, horizon=wrong)
    with pytest.raises(DataError, match="two steps or more"):
        plain.predict_insample(head(frame, 1))


def test_recursive_ones(frame: pl.DataFrame) -> None:
    options = {**QUICK, "ensemble_size": 1, "epochs": 1}
    model = Forecaster(horizon=4, season=12, recursive=True, paths=20, levels=[80], **options).fit(head(frame, 60))
    given = head(frame, 20)
    assert model.predict_insample(given).height == 3 * 19
    made = model.predict_insample(given, horizon=4)
    alone = model.predict(frame=head(frame, 17)).filter(pl.col("unique_id") == "s2")
    last = made.filter(pl.col("unique_id") == "s2").tail(3)
    assert np.allclose(last["elman"].to_numpy(), alone["elman"][:3].to_numpy(), rtol=1e-5)


def test_anomalies(frame: pl.DataFrame, plain: Forecaster) -> None:
    given = head(frame, 100)
    strange = given.with_columns(y=pl.when(pl.int_range(pl.len()) == 77).then(1000.0).otherwise("y"))
    made = plain.anomalies(strange)
    assert made.columns == ["unique_id", "ds", "cutoff", "y", "elman", "elman-lo-95", "elman-hi-95", "anomaly"]
    assert made.filter(pl.col("y") == 1000)["anomaly"].to_list() == [True]
    assert not made.filter(pl.col("y").is_nan())["anomaly"].any(), "a missing value is none"
    usual = plain.anomalies(given)["anomaly"].mean()
    assert usual < plain.anomalies(given, level=80)["anomaly"].mean()
    with pytest.raises(OptionError, match=r"those learnt are 80, 90, 95\. Take one"):
        plain.anomalies(given, level=99)


def test_errors_by_step(frame: pl.DataFrame, plain: Forecaster) -> None:
    steps = plain.evaluate_steps(frame, windows=2, step=3)
    whole = plain.evaluate(frame, windows=2, step=3)
    assert steps["step"].to_list() == [1, 2, 3, 4, 5, 6]
    assert steps.columns[2:] == list(whole)
    mean = (steps["mae"] * steps["values"]).sum() / steps["values"].sum()
    assert mean == pytest.approx(whole["mae"])
    three = plain.evaluate_steps(head(frame, 103))
    assert (three["values"] > 0).to_list() == [True, True, True, False, False, False]
    assert three["mae"].is_nan().to_list() == [False, False, False, True, True, True]


def test_a_backtest_that_trains_anew(frame: pl.DataFrame) -> None:
    model = Forecaster(horizon=6, season=12, **{**QUICK, "epochs": 1, "ensemble_size": 1})
    once = model.cross_validation(frame, windows=3, step=4)
    assert once.equals(model.cross_validation(frame, windows=3, step=4, refit=3))
    anew = model.cross_validation(frame, windows=3, step=4, refit=True)
    places = ["unique_id", "ds", "cutoff", "y"]
    assert anew.select(places).equals(once.select(places))
    early = pl.col("cutoff") == once["cutoff"].min()
    assert anew.filter(early).equals(once.filter(early)), "the first model is the same"
    assert not anew.equals(once)
    last = model.cross_validation(frame, windows=1)
    late = pl.col("cutoff") == once["cutoff"].max()
    assert np.allclose(anew.filter(late)["elman"].to_numpy(), last["elman"].to_numpy()), "of all before the last window"
    pairs = model.cross_validation(frame, windows=3, step=4, refit=2)
    assert pairs.filter(late).equals(anew.filter(late))
    for wrong in (0, -1, "yes", 1.5):
        with pytest.raises(OptionError, match="refit = "):
            model.cross_validation(frame, windows=3, refit=wrong)
