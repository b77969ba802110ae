"""Odd inputs to a forecaster: each is understood in any layout, or refused with what to do next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.tasks import Forecaster

STEPS = 50
DAYS = pd.date_range("2024-01-01", periods=STEPS)
Y = 10 + np.sin(np.arange(STEPS))
ONE = pd.DataFrame({"ds": DAYS, "y": Y})
LONG = pd.concat([ONE.assign(unique_id=name) for name in "ab"])
WIDE = pd.DataFrame({"ds": DAYS, "a": Y, "b": 2 * Y})


def forecaster(**options: Any) -> Forecaster:
    small = {"horizon": 3, "season": 7, "levels": [80], "epochs": 1, "hidden": 4, "experts": 2, "ensemble_size": 1}
    return Forecaster(**{**small, "verbose": False, **options})


@pytest.fixture(scope="module")
def long() -> Forecaster:
    return forecaster().fit(LONG)


@pytest.fixture(scope="module")
def one() -> Forecaster:
    return forecaster().fit(ONE)


LAYOUTS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "one": (ONE[:40], ONE[40:], {}),
    "a pandas Series": (ONE.set_index("ds").y[:40], ONE.set_index("ds").y[40:], {}),
    "wide": (WIDE[:40], WIDE[40:], {"wide": True}),
    "in the index": (LONG.set_index(["unique_id", "ds"])[:40], None, {}),
    "of two libraries": (ONE[:40], pl.DataFrame({"ds": DAYS[40:].to_list(), "y": Y[40:]}), {}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_validation_data_in_each_layout(name: str) -> None:
    frame, later, options = LAYOUTS[name]
    if later is None:
        later = LONG.set_index(["unique_id", "ds"])[40:50]
    model = forecaster(**options).fit(frame, validation_data=later)
    assert model.data_["held out at the end"] == "10 to 10 steps"
    assert np.isfinite(model.predict().to_numpy(dtype=object)[:, -2:].astype(float)).all()


def test_validation_data_with_covariates_and_a_gap() -> None:
    frame = LONG.assign(heat=np.arange(2 * STEPS) % 5, kind="k", shop=LONG.unique_id)
    cut = DAYS[40]
    model = forecaster(past="heat", future="kind", static="shop").fit(
        frame[frame.ds < cut], validation_data=frame[frame.ds > cut]
    )
    assert model.data_["held out at the end"] == "10 to 10 steps"
    assert model.data_["missing"] == 2


REFUSED: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "below 0, of logarithms": ({}, ONE[:40], ONE[40:].assign(y=-1.0), r"row 0 .* is -1, but all training .* log=False"),
    "years later": ({}, ONE[:40], ONE[40:].assign(ds=DAYS[40:] + pd.Timedelta("36500D")), "steps after its end"),
    "of another kind": (
        {"past": "p"},
        ONE[:40].assign(p=1.0),
        ONE[40:].assign(p="x"),
        "column 'p' has values of another kind",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_validation_data_that_cannot_follow(name: str) -> None:
    options, frame, later, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        forecaster(**options).fit(frame, validation_data=later)


def test_updates_without_or_with_other_names(long: Forecaster, one: Forecaster, tmp_path: Path) -> None:
    later = pd.DataFrame({"ds": DAYS[-2:] + pd.Timedelta("2D"), "y": [10.0, 11.0]})
    with pytest.raises(DataError, match=r"no column 'unique_id', which names the series .*: id=\.\.\."):
        long.update(later)
    one.save(tmp_path / "m")
    model = elman.load(tmp_path / "m").set_params(verbose=False)
    answers = model.update(later.assign(unique_id="other")).predict()
    assert answers["unique_id"].tolist() == ["y"] * 3 + ["other"] * 3, "two series keep their names"


def test_wide_frames_of_names_that_clash() -> None:
    with pytest.raises(DataError, match=r"two columns named '0'\. Rename one"):
        forecaster(wide=True).fit(pd.DataFrame({0: Y, "0": Y, "ds": DAYS}))
    model = forecaster(wide=True).fit(WIDE.rename(columns={"b": "a-lo-80"}))
    with pytest.raises(DataError, match="two forecasts are called 'a-lo-80'"):
        model.predict()
    with pytest.raises(DataError, match=r"'unique_id' and 'y' of a long one.* Give wide=False"):
        forecaster(wide=True).fit(LONG)


def test_quantiles_of_counts_are_whole() -> None:
    model = forecaster(integer=True).fit(ONE)
    made = model.predict(quantiles=[0.1, 0.3, 0.5, 0.7, 0.9]).drop(columns="ds").to_numpy()
    assert (made == np.round(made)).all()
    assert (np.diff(made[:, 1:]) >= 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("day", [DAYS[4].tz_localize("Asia/Tokyo"), datetime(2024, 1, 5, 23, tzinfo=UTC)])
def test_holidays_with_a_zone_are_days_there(day: Any) -> None:
    days = pd.bdate_range("2024-01-01", periods=STEPS)
    frame = ONE.assign(ds=days)
    made = forecaster(freq="B", holidays=[day])
    assert made.fit(frame[frame.ds != days[4]]).options()["holidays"] == ["2024-01-05"]
    with pytest.raises(DataError, match=r"is 2024-01-05, not on .*\(1 such row\)\. .* take the day out of holidays="):
        made.fit(frame)
    with pytest.raises(OptionError, match="must be dates"):
        forecaster(freq="B", holidays=[pd.NaT]).fit(frame)


def test_refusals_say_what_next(one: Forecaster, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"ask for fewer: windows=16"):
        one.evaluate(ONE, windows=50)
    with pytest.raises(DataError, match=r"begin at ds = 2024-02-20 .* score forecasts of these: windows="):
        one.evaluate(ONE)
    with pytest.raises(DataError, match=r"For 31/01/2024 fit with date_format='%d/%m/%Y'"):
        forecaster().fit(ONE.assign(ds=DAYS.strftime("%d/%m/%Y")))
    with pytest.raises(OptionError, match=r"no levels were learnt. Fit with levels=\[95\]"):
        forecaster(levels=()).fit(ONE).anomalies(ONE)
    if one.plot(truth=ONE) is not None:
        assert "No true value to draw: the steps to come begin at 2024-02-20 for series 'y'" in capsys.readouterr().err


def test_the_command_line_says_what_it_took(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    LONG.assign(p=1).to_csv("long.csv", index=False)
    later = pd.DataFrame({"ds": DAYS[-5:] + pd.Timedelta("5D"), "y": 10.0, "p": 1})
    later.to_csv("unnamed.csv", index=False)
    later.assign(unique_id="nroth").to_csv("misspelt.csv", index=False)
    later.assign(unique_id="a").to_csv("later.csv", index=False)
    small = ["--horizon", "3", "--season", "7", "--epochs", "1", "--hidden", "4", "--no-verbose"]
    fit = ["fit", "forecast", "long.csv", *small]
    assert main([*fit, "--out", "m"]) == 0
    assert capsys.readouterr().out.endswith("elman predict m\n"), "no file is needed"
    assert main(["update", "m", "misspelt.csv", "--out", "other"]) == 0
    assert "0 newer values of 0 series, and 5 values of 1 new series ('nroth')" in capsys.readouterr().out
    assert main(["predict", "m", "misspelt.csv"]) == 0
    assert "nroth is forecast from the rows of the table alone: the model does not know it" in capsys.readouterr().err
    assert main(["score", "m", "later.csv"]) == 0
    assert "2 values of later.csv after the end of training were not scored.\n" in capsys.readouterr().err
    for argv, said in (
        (["update", "m", "unnamed.csv"], "unnamed.csv has no column 'unique_id'"),
        (["score", "m", "later.csv", "--windows", "2", "--step", "0"], "--step 0 must be a whole number of at least 1"),
        ([*fit, "--out", "q", "--validation", "misspelt.csv"], "misspelt.csv has the series 'nroth', which is not in"),
        ([*fit, "--out", "q", "--validation", "long.csv"], "long.csv has values from before the ends"),
    ):
        assert main(argv) == 2
        assert said in capsys.readouterr().err
    assert main([*fit, "--future", "p", "--out", "known"]) == 0
    assert main(["predict", "known"]) == 2
    assert "--future FILE, or rows of the table after its last values" in capsys.readouterr().err


@pytest.mark.parametrize(("days", "options", "said"), [("B", {}, True), ("D", {}, False), ("B", {"freq": "B"}, False)])
def test_daily_rows_without_weekends_are_noted(days: str, options: dict[str, Any], said: bool, capsys: Any) -> None:
    frame = ONE.assign(ds=pd.date_range("2024-01-01", periods=STEPS, freq=days))
    forecaster(**options).fit(frame)
    assert "weekend" not in capsys.readouterr().err, "verbose=False is silent"
    forecaster(verbose=True, **options).fit(frame)
    assert ("No value is of a weekend" in capsys.readouterr().err) == said


def test_a_metric_that_is_undefined_is_not_printed(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    ONE.assign(y=np.arange(STEPS) % 7 + 1.0).to_csv("periodic.csv", index=False)
    small = ["--horizon", "3", "--season", "7", "--epochs", "1", "--hidden", "4", "--no-verbose"]
    assert main(["fit", "forecast", "periodic.csv", *small, "--out", "m"]) == 0
    told = capsys.readouterr().out
    assert "smape" in told
    assert "nan" not in told
