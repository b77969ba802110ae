"""The options of `Forecaster` beside those of all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from elman.errors import OptionError, Problem
from elman.tasks.forecast.data.bounds import Bounds
from elman.tasks.forecast.data.business_days import BusinessDays, holidays_of, weekdays_of
from elman.tasks.forecast.data.duplicates import AGGREGATES
from elman.tasks.forecast.data.panel import Columns
from elman.tasks.forecast.data.time_grid import parse
from elman.validation.messages import shown
from elman.validation.options import OptionGroup, choice, is_number, require, whole

#: The largest sizes that an option, or a saved model, may ask for.
LIMITS = {
    "horizon": 1_000_000,
    "season": 1_000_000,
    "window": 1_000_000,
    "experts": 1000,
    "ensemble_size": 1000,
    "paths": 10_000,
}
#: The most steps that a recursive forecaster may sample of a series: paths times horizon.
MAX_SAMPLED_STEPS = 10_000_000


@dataclass(kw_only=True)
class ForecastOptions(OptionGroup):
    """What is forecast, from which columns, by which network."""

    # forecast
    horizon: int = 24  # number of steps to forecast
    season: int | None = None  # steps in a season; None: a day of hours ..., the longest that fits in twice, else 1
    levels: Sequence[float] = (80, 90, 95)  # of the intervals, in per cent; empty: none

    # data
    id: str = "unique_id"  # the column that names the series
    time: str = "ds"  # the column of dates or whole numbers
    target: str = "y"  # the column of values; missing ones are legal
    past: str | Sequence[str] = ()  # covariates that are known up to the present: numbers or texts
    future: str | Sequence[str] = ()  # covariates that are known for the steps to come too
    static: str | Sequence[str] = ()  # covariates that never change in a series; that of `id`: a vector for each series
    date_format: str | None = None  # of dates as texts or whole numbers, such as "%d/%m/%Y"; None: ISO 8601
    freq: str | int | None = None  # distance of steps: "h", "D", "B", "M" ... or a whole number; None: the commonest
    holidays: str | Sequence[Any] = ()  # dates that business days leave out: freq "B", "BME" or "Sun Mon Tue Wed Thu"
    sort: bool = False  # sort rows by time; False: refuse unsorted ones
    duplicates: str | None = None  # of rows with one time take "mean", "sum", "first", "last" ...; None: refuse them
    wide: bool = False  # a column for each series, beside those of times and covariates; False: a row for each value

    # model
    log: bool | None = None  # model the logarithm of values; None: if all values are above 0
    window: int | None = None  # values read by the linear forecasters; None: 14 seasons, fewer for short series
    experts: int = 8  # linear forecasters in the mixture
    ensemble_size: int = 2  # networks whose quantiles are averaged

    # output
    recursive: bool = False  # forecast step by step on sampled paths; False: all steps at once
    paths: int = 200  # sample paths per series, if recursive
    minimum: float | None = None  # no forecast is below it; None: 0 for series that never were negative
    maximum: float | None = None  # no forecast is above it
    integer: bool = False  # forecasts are whole numbers, as counts are: the ends of intervals are rounded outwards

    def problems(self) -> list[Problem]:
        """What is wrong with these options."""
        found: list[Problem] = []
        for name, most in LIMITS.items():
            if name not in ("season", "window") or getattr(self, name) is not None:
                found += whole(self, name, most=most)
        found += _level_problems(self.levels) + _column_problems(self)
        if not (self.log is None or isinstance(self.log, bool)):
            found.append(Problem("log", shown(self.log), "must be True, False or None"))
        for name in ("recursive", "sort", "wide", "integer"):
            if not isinstance(getattr(self, name), bool):
                found.append(Problem(name, shown(getattr(self, name)), "must be True or False"))
        if self.recursive is True and not found and int(self.paths) * int(self.horizon) > MAX_SAMPLED_STEPS:
            what = f"of horizon = {self.horizon} steps each are more than {MAX_SAMPLED_STEPS} steps of a series"
            found.append(Problem("paths", str(self.paths), f"{what}; take fewer of either, or recursive = False"))
        if self.duplicates is not None:
            found += choice(self, "duplicates", AGGREGATES)
        return (
            found + _freq_problems(self.freq) + _holiday_problems(self) + _bound_problems(self) + _format_problems(self)
        )


def columns_of(options: ForecastOptions) -> Columns:
    """The names of columns."""
    groups = (options.past, options.future, options.static)
    past, future, static = ((group,) if isinstance(group, str) else tuple(group) for group in groups)
    return Columns(
        options.id,
        options.time,
        options.target,
        past,
        future,
        static,
        options.wide,
        options.duplicates or "",
        options.date_format or "",
    )


def _level_problems(value: Any) -> list[Problem]:
    levels = value if isinstance(value, list | tuple | np.ndarray) else [value]
    good: list[Any] = [level for level in levels if is_number(level, 0, 100) and level not in (0, 100)]
    if len(good) < len(levels) or len(set(good)) < len(levels):
        return [Problem("levels", shown(value), "must be different numbers between 0 and 100")]
    if good and max(good) <= 1:
        percent = [float(f"{100 * level:g}") for level in good]
        return [Problem("levels", repr(value), f"are per cent. For fractions of 1 write levels = {percent}")]
    return []


def _column_problems(options: ForecastOptions) -> list[Problem]:
    given = {name: getattr(options, name) for name in ("id", "time", "target", "past", "future", "static")}
    found, names = [], dict[str, list[Any]]()
    for name, value in given.items():
        several = name in ("past", "future", "static")
        names[name] = list(value) if several and isinstance(value, list | tuple) else [value]
        if not all(isinstance(part, str) for part in names[name]):
            what = "names of columns: a text, or a list of texts" if several else "the name of a column"
            found.append(Problem(name, shown(value), f"must be {what}"))
    if found:
        return found
    own_name = names["static"].count(options.id) == 1  # a vector for each series
    if own_name:
        names["static"] = [part for part in names["static"] if part != options.id]
    if options.wide is True and names["static"]:
        what = "cannot stand in a wide frame, which has one row for all series. Give a long one, with wide = False"
        return [Problem("static", shown(options.static), what)]
    every = [part for parts in names.values() for part in parts]
    if twice := [part for part in dict.fromkeys(every) if every.count(part) > 1]:
        own = next(name for name in reversed(names) if twice[0] in names[name])
        what = f"names {twice[0]!r} again, which stands once among id, time, target, past, future and static"
        found.append(Problem(own, shown(given[own]), what))
    return found


def _freq_problems(freq: Any) -> list[Problem]:
    try:
        if freq is not None:
            parse(freq)
    except OptionError as error:
        return error.problems
    return []


def business_days_of(options: ForecastOptions) -> BusinessDays:
    """The days that count where `freq` is one of business days."""
    given = [options.holidays] if isinstance(options.holidays, str) else options.holidays
    return BusinessDays(weekdays_of(options.freq) or "1111100", holidays_of(given))


def _holiday_problems(options: ForecastOptions) -> list[Problem]:
    given = options.holidays
    try:
        count = len(business_days_of(options).holidays)
    except (ValueError, TypeError):
        return [Problem("holidays", shown(given), "must be dates, such as ['2024-12-25', '2025-01-01']")]
    if count and weekdays_of(options.freq) is None:
        what = "are the days that a calendar of business days leaves out. Give freq = 'B' with them"
        return [Problem("holidays", shown(given), what)]
    return []


def bounds_of(options: ForecastOptions) -> Bounds:
    """What forecasts are held to."""
    return Bounds(options.minimum, options.maximum, options.integer)


def _bound_problems(options: ForecastOptions) -> list[Problem]:
    found = list[Problem]()
    for name in ("minimum", "maximum"):
        value = getattr(options, name)
        if value is None:
            continue
        if not is_number(value, -1e100, 1e100):
            found.append(Problem(name, shown(value), "must be a number, or None"))
        elif options.integer is True and value != round(value):
            found.append(Problem(name, shown(value), "must be a whole number where integer = True"))
    low, high = options.minimum, options.maximum
    if not found and low is not None and high is not None and low > high:
        found.append(Problem("minimum", shown(low), f"is above maximum = {shown(high)}"))
    return found


def _format_problems(options: ForecastOptions) -> list[Problem]:
    given: Any = options.date_format
    day = datetime(2024, 11, 30)
    if given is None:
        return []
    rule = "must name a year and what else a date has, without a zone, as '%d/%m/%Y' does"
    try:
        good = isinstance(given, str) and datetime.strptime(day.strftime(given), given).year == day.year
    except ValueError:
        good = False
    return require(good and "%z" not in given.lower(), options, "date_format", rule)
