"""Grids of time: found, there and back; cycles of the calendar."""

from __future__ import annotations

import datetime as dt
from dataclasses import astuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError, OptionError
from elman.tasks.forecast.data.time_grid import OFF, Grid, cycles, parse, plain, seasons_of
from elman.tasks.forecast.data.zones import is_zone, name_of, to_utc, wall_clock


@pytest.mark.parametrize(
    ("stamps", "said", "season"),
    [
        (["2024-01-01T00", "2024-01-01T01", "2024-01-01T02"], "1 h", 24),
        (["2024-01-01T00:15", "2024-01-01T00:30", "2024-01-01T01:00", "2024-01-01T01:15"], "15 min", 96),
        (["2024-02-28", "2024-02-29", "2024-03-01"], "1 d", 7),
        (["2024-01-06", "2024-01-13", "2024-01-20"], "1 w", 52),
        (["2024-01-01", "2024-02-01", "2024-04-01", "2024-05-01"], "1 month", 12),
        (["2023-12-31", "2024-01-31", "2024-02-29"], "1 month", 12),
        (["2023-03-31", "2023-06-30", "2023-09-30"], "3 months", 4),
        (["2020-01-01", "2021-01-01", "2022-01-01"], "12 months", 1),
    ],
)
def test_grids(stamps: list[str], said: str, season: int) -> None:
    given = np.array(stamps, "datetime64[us]")
    grid = Grid.found(given, np.zeros(len(given), np.int64))
    assert (grid.describe(), next(iter(seasons_of(grid).values()), 1)) == (said, season)
    index = grid.index(given)
    assert (np.diff(index) >= 1).all()
    assert (grid.stamps(index) == given).all()
    assert grid.index(given + np.timedelta64(7, "m"))[0] == OFF


def test_integers() -> None:
    grid = Grid.found(np.array([3, 8, 13]), np.zeros(3, np.int64))
    assert grid.index(np.array([3, 13, 14])).tolist() == [0, 2, OFF]
    assert grid.stamps(np.array([3])).tolist() == [18]


def test_refused() -> None:
    with pytest.raises(DataError, match="Give freq"):
        Grid.found(np.array([3, 8]), np.array([0, 1]))
    for wrong in ("blue", 0, -1, True, 1.5, "0h"):
        with pytest.raises(OptionError, match="no distance"):
            parse(wrong)


def test_frequencies() -> None:
    assert parse("h") == parse("H") == parse("60min")
    assert parse("MS") == parse("M") == ("month", 1)
    assert parse("Q")[1] == 3
    assert parse("3") == parse(3)
    assert parse("W-SUN") == ("fixed", 7 * 86_400 * 10**6)


def test_cycles_that_count() -> None:
    hours = Grid("fixed", 3600 * 10**6)
    assert cycles(hours, np.arange(5), 40).shape == (5, 0)
    assert cycles(hours, np.arange(5), 48).shape == (5, 2)
    assert cycles(hours, np.arange(5), 400).shape == (5, 4)
    assert cycles(hours, np.arange(5), 20_000).shape == (5, 6)
    assert cycles(Grid("integer", 1), np.arange(5), 20_000).shape == (5, 0)
    day = cycles(hours, np.array([0, 6, 24]), 48)
    assert np.allclose(day, [[0, 1], [1, 0], [0, 1]], atol=1e-6)


def hours_of(begin: str, count: int, zone: str) -> pl.Series:
    utc = np.datetime64(begin, "us") + np.arange(count) * np.timedelta64(1, "h")
    return pl.Series(utc).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def test_hours_of_a_zone_are_those_of_its_clock() -> None:
    utc = hours_of("2024-03-29", 24 * 6, "UTC").dt.replace_time_zone(None).to_numpy()
    grid = Grid.zoned(utc, np.zeros(len(utc)), None, "Europe/Berlin")
    assert (grid.describe(), grid.wall) == ("1 h", False)
    index = grid.index(utc)
    assert (np.diff(index) == 1).all(), "the night of summer time has no missing step"
    clock = grid.shown(index).astype("datetime64[h]").astype(int) % 24
    assert clock[24 * 1 : 24 * 1 + 2].tolist() == [1, 2]
    assert clock[24 * 4 : 24 * 4 + 2].tolist() == [2, 3]
    assert np.allclose(cycles(grid, index, 400)[:, 0], np.sin(clock / 24 * 2 * np.pi), atol=1e-6)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_days_and_months_of_a_zone_begin_at_its_midnight(zone: str) -> None:
    for every, said in (("1d", "1 d"), ("1mo", "1 month")):
        local = pl.datetime_range(dt.datetime(2023, 1, 1), dt.datetime(2024, 12, 31), every, time_zone=zone, eager=True)
        utc = local.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        grid = Grid.zoned(utc, np.zeros(len(utc)), None, zone)
        assert (grid.describe(), grid.wall) == (said, True)
        assert (np.diff(grid.index(wall_clock(utc, zone))) == 1).all()


def test_steps_of_half_a_day_by_the_clock() -> None:
    local = pl.datetime_range(dt.datetime(2024, 3, 1), dt.datetime(2024, 5, 1), "1d", eager=True)
    both = pl.concat([local, local.dt.offset_by("12h")]).sort().dt.replace_time_zone("Europe/Berlin")
    utc = both.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    assert Grid.zoned(utc, np.zeros(len(utc)), None, "Europe/Berlin").wall


@pytest.mark.parametrize(
    ("start", "freq", "given"),
    [
        ("2022-07-15", "QE-JAN", "Q"),
        ("2021-02-28", "YE-FEB", "Y"),
        ("2023-01-01", "2ME", "2M"),
        ("2023-07-15", "ME", None),
        ("2022-04-15", "6ME", None),
        ("1901-01-01", "2YS", None),
        ("1901-01-01", "5YE", None),
        ("1950-03-15", "18MS", None),
        ("1950-03-15", "120MS", "120M"),
    ],
)
def test_months_go_on(start: str, freq: str, given: str | None) -> None:
    pandas = pytest.importorskip("pandas")
    stamps = pandas.date_range(start, periods=9, freq=freq).to_numpy("datetime64[us]")
    for count in (2, 3, 5):
        grid = Grid.found(stamps[:count], np.zeros(count), None if given is None else parse(given))
        index = grid.index(stamps[:1]) + np.arange(9)
        assert (grid.stamps(index) == stamps).all()
        assert (grid.index(stamps) == index).all()
        assert Grid.restore(list(astuple(grid))) == grid


def test_durations_and_offsets() -> None:
    pandas = pytest.importorskip("pandas")
    hour = 3600 * 10**6
    for freq in (np.timedelta64(1, "h"), np.timedelta64(60, "m"), dt.timedelta(hours=1), pandas.Timedelta("1h")):
        assert parse(freq) == ("fixed", hour)
        assert parse(plain(freq)) == ("fixed", hour)
    assert parse(pandas.offsets.Hour()) == ("fixed", hour)
    assert parse(pandas.offsets.MonthEnd()) == parse(np.timedelta64(1, "M")) == parse("mo") == ("month", 1)
    assert parse(pandas.offsets.QuarterEnd(startingMonth=1)) == parse("3mo") == ("month", 3)
    assert plain(np.timedelta64(1, "Y")) == "12mo"
    for wrong in (
        np.timedelta64("NaT"),
        np.timedelta64(5),
        np.timedelta64(100, "ns"),
        np.timedelta64(-1, "h"),
        dt.timedelta(0),
        pandas.Timedelta(100),
        pandas.NaT,
        pandas.offsets.BusinessHour(),
    ):
        with pytest.raises(OptionError, match="no distance"):
            parse(wrong)


@pytest.mark.parametrize(
    ("freq", "said"), [("15m", "'15min' or '15mo'"), ("1m", "'1min' or '1mo'"), ("m", "'min' or 'mo'")]
)
def test_minutes_or_months(freq: str, said: str) -> None:
    with pytest.raises(OptionError, match=f"minutes to some and months to others. Write {said}"):
        parse(freq)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Tokyo"]


@pytest.mark.parametrize("zone", ZONES)
def test_clocks_are_those_of_polars(zone: str) -> None:
    """Which has a reader of the Time Zone Database of its own."""
    random = np.random.default_rng(0)
    utc = np.datetime64("1975-01-01", "us") + random.integers(0, 60 * 365 * 86_400 * 10**6, 3000)
    there = pl.Series(utc).dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    assert (wall_clock(utc, zone) == there.to_numpy()).all()
    back = there.dt.replace_time_zone(zone, ambiguous="earliest").dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    assert (to_utc(wall_clock(utc, zone), zone) == back.to_numpy()).all()


def test_names_of_zones() -> None:
    assert [name_of(zone) for zone in (dt.UTC, "UTC", "+00:00", "UTC+05:30", "-03:30")] == ["UTC"] * 3 + [
        "+05:30",
        "-03:30",
    ]
    assert name_of(ZoneInfo("Etc/GMT+5")) == "Etc/GMT+5"
    for wrong in ("Mars", "", "../Berlin", "/etc/passwd", "tzdata.zi", "America", "+25:00x", "a" * 500, "\0", 5):
        assert not is_zone(wrong)
