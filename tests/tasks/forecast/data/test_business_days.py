"""Business days: calendars, grids, and forecasts of days that exist only."""

from __future__ import annotations

import datetime as dt
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from elman.tasks.forecast.data.business_days import BusinessDays, holidays_of
from elman.tasks.forecast.data.time_grid import OFF, Grid, cycles, parse, plain, seasons_of
from forecast_series import QUICK

HOLIDAYS = ["2024-03-29", dt.date(2024, 4, 1)]
FAST: dict[str, Any] = {**QUICK, "horizon": 4, "levels": [90], "epochs": 1}


def series(days: Any) -> pl.DataFrame:
    return pl.DataFrame({"ds": np.asarray(days, "datetime64[D]"), "y": 10.0 + np.arange(len(days)) % 5})


def weekdays(count: int, weekmask: str = "Mon Tue Wed Thu Fri") -> Any:
    return np.busday_offset("2024-01-01", np.arange(count), roll="forward", weekmask=weekmask)


@pytest.mark.parametrize("code", ["B", "2B", "BME", "BMS", "BQE", "BQS-MAR", "BYE", "Sun Mon Tue Wed Thu"])
def test_there_and_back_as_pandas_has_it(code: str) -> None:
    pandas = pytest.importorskip("pandas")
    own = pandas.offsets.CustomBusinessDay(weekmask=code) if " " in code else code
    stamps = pandas.date_range("1960-01-04", periods=300, freq=own).to_numpy().astype("datetime64[us]")
    days = BusinessDays("1111001") if " " in code else BusinessDays()
    for freq in (code, own, pandas.tseries.frequencies.to_offset(own)):
        assert parse(plain(freq)) == parse(freq)
        for shift in (0, 9 * 3600):
            given = stamps[:200] + np.timedelta64(shift, "s")
            grid = Grid.found(given, np.zeros(200, np.int64), parse(freq), days)
            assert Grid.restore([*astuple(grid)[:-1], list(astuple(days))]) == grid
            index = grid.index(given)
            assert (np.diff(index) == 1).all()
            assert (grid.stamps(index[0] + np.arange(300)) == stamps + np.timedelta64(shift, "s")).all()
            assert grid.index(given + np.timedelta64(1, "s"))[0] == OFF
            if code.startswith("BM"):
                assert Grid.found(given, np.zeros(200, np.int64)) == grid, "months are found without freq"


def test_seasons_and_cycles() -> None:
    days = np.asarray(weekdays(20), "datetime64[us]")
    grid = Grid.found(days, np.zeros(20, np.int64), ("business", 1))
    assert seasons_of(grid) == {"week": 5}
    assert cycles(grid, grid.index(days), 100).shape == (20, 2)
    assert cycles(grid, grid.index(days), 1000).shape == (20, 4)
    assert grid.describe() == "1 business day (Mon, Tue, Wed, Thu, Fri)"
    ends = BusinessDays().of_months(np.arange("2020-01", "2022-01", dtype="datetime64[M]"), last=True)
    monthly = Grid.found(ends.astype("datetime64[us]"), np.zeros(24, np.int64))
    assert seasons_of(monthly) == {"year": 12}
    assert monthly.describe().startswith("1 month, on the last business day")
    for wrong in (
        ["business", 1, 0, False, None, False, 0, None],
        ["fixed", 1, 0, False, None, False, 0, ["1111100", []]],
    ):
        with pytest.raises(ValueError, match="grid"):
            Grid.restore(wrong)
    for days_of in (["1" * 6, []], ["0" * 7, []], ["1111100", ["x"]]):
        with pytest.raises(ValueError, match=r"weekdays|holidays"):
            BusinessDays.restore(days_of)


def test_forecasts_of_days_that_exist(tmp_path: Path) -> None:
    frame = series(weekdays(62))
    model = Forecaster(freq="B", holidays=HOLIDAYS, **FAST).fit(frame)
    expected = ["2024-03-27", "2024-03-28", "2024-04-02", "2024-04-03"]
    assert model.predict()["ds"].cast(str).to_list() == expected
    assert (model.config_.season, model.data_["missing"]) == (5, 0)
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert again.holidays == ["2024-03-29", "2024-04-01"]
    again.update(series(expected[:3]))
    assert again.predict()["ds"].cast(str).to_list()[:2] == ["2024-04-03", "2024-04-04"]
    with pytest.raises(DataError, match=r"row 0 .* is 2024-04-06.*, not on the grid of 1 business day .*2 holidays"):
        again.update(series(["2024-04-06"]))
    own = Forecaster(freq="Sun Mon Tue Wed Thu", **FAST).fit(series(weekdays(62, "Sun Mon Tue Wed Thu")))
    assert all(day.isoweekday() in (7, 1, 2, 3, 4) for day in own.predict()["ds"])


def test_zones() -> None:
    pandas = pytest.importorskip("pandas")
    days = pandas.DatetimeIndex(weekdays(62)).tz_localize("America/New_York") + pandas.Timedelta(hours=16)
    answers = Forecaster(freq="B", **FAST).fit(pandas.DataFrame({"y": np.arange(62.0)}, index=days)).predict()
    assert {stamp.hour for stamp in answers.index} == {16}
    assert answers.index[0].date() == dt.date(2024, 3, 27)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"holidays": HOLIDAYS}, r"holidays = .* business days leaves out. Give freq = 'B'"),
        ({"freq": "B", "holidays": "soon"}, "holidays = 'soon' must be dates"),
        ({"freq": "B", "holidays": [3]}, r"holidays = \[3\] must be dates"),
        ({"freq": "B", "holidays": None}, "holidays = None must be dates"),
        ({"freq": "bh"}, "'bh' is no distance between steps"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Forecaster(**options, **FAST).fit(series(weekdays(62)))


def test_offsets_with_holidays() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(OptionError, match=r"Give freq = 'Mon Tue Wed Thu Fri' and holidays = list\(freq.holidays\)"):
        parse(pandas.offsets.CustomBusinessDay(holidays=["2024-01-01"]))
    assert parse(pandas.offsets.BDay(2)) == ("business", 2)
    assert plain(pandas.offsets.CustomBusinessDay(weekmask="Sat Sun")) == "Sat Sun"
    assert holidays_of(pandas.DatetimeIndex(["1970-01-03"])) == (2,)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series(weekdays(62)).write_csv(tmp_path / "sales.csv")
    argv = ["fit", "forecast", f"{tmp_path}/sales.csv", "--freq", "B", "--holidays", "2024-03-29,2024-04-01"]
    quick = ["--horizon", "4", "--epochs", "1", "--hidden", "4", "--experts", "2", "--ensemble-size", "1"]
    assert main([*argv, *quick, "--out", f"{tmp_path}/m"]) == 0
    capsys.readouterr()
    assert main(["predict", f"{tmp_path}/m", f"{tmp_path}/sales.csv"]) == 0
    assert [line[:10] for line in capsys.readouterr().out.splitlines()[3:]] == ["2024-04-02", "2024-04-03"]
