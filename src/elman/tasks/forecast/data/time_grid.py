"""Time grids: time stamps to indices and back, and calendar cycles.

A grid counts steps from an origin: every so many (`size`) units, where a unit is 1 of a column of integers, a
microsecond, a month, or a business day.

    index = (stamp - origin) / size

Stamps with a time zone count in UTC, where all hours are equally long; days and longer units count in local time.
Cycles are always those of local time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, OptionError, Problem, option
from elman.tasks.forecast.data.business_days import BusinessDays, weekdays_of
from elman.tasks.forecast.data.zones import is_zone, wall_clock
from elman.validation.messages import shown as in_short

OFF = -(2**63)  # the index of a stamp that is not on the grid

_Array = NDArray[Any]
_LARGEST = 2**62  # of a step, so that a sum of two stamps is still an int64
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_FIXED = {"us": 1, "ms": 1000, "s": _SECOND, "min": 60 * _SECOND, "h": 3600 * _SECOND, "d": _DAY, "w": 7 * _DAY}
_MONTHS = {"mo": 1, "m": 1, "ms": 1, "me": 1, "q": 3, "qs": 3, "qe": 3, "y": 12, "ys": 12, "ye": 12, "a": 12}
_BUSINESS = {"B": 0, "BM": 1, "BQ": 3, "BY": 12, "BA": 12}  # months; 0: days
_WORDS = {"t": "min", "minute": "min", "mon": "m"}
_WORDS |= {word: word[0] for word in ("hour", "day", "week", "month", "quarter", "year")}
MONDAY_TO_FRIDAY = BusinessDays()


@dataclass(frozen=True)
class Grid:
    """The steps of a series in time: `size` units of `kind` ("integer", "fixed": microseconds, "month") from `origin`.

    Monthly stamps stand at one `origin` (microseconds after the month began), or all on the last day of their month
    (microseconds before it ends), in every `size`-th month from the `phase`-th of 1970 on. With business `days`
    they stand on the first or the last of these in a month; stamps of `kind` "business" on every `size`-th of all of
    them. The `origin` of both is the time of the day.

    >>> grid = Grid.found(np.array(["2024-01-31", "2024-02-29", "2024-04-30"], "datetime64[us]"), np.array([1, 1, 1]))
    >>> grid.kind, grid.index(np.array(["2024-05-31"], "datetime64[us]")).tolist()
    ('month', [652])
    >>> grid.stamps(np.array([653])).astype("datetime64[D]").tolist()
    [datetime.date(2024, 6, 30)]
    """

    kind: str
    size: int
    origin: int = 0
    month_end: bool = False
    zone: str | None = None  # time zone; None: stamps have none
    wall: bool = False  # whether stamps are in local time; else they are in UTC
    phase: int = 0  # of months, and of business days
    days: BusinessDays | None = None

    @classmethod
    def zoned(
        cls,
        stamps: _Array,
        series: _Array,
        freq: tuple[str, int] | None,
        zone: str,
        days: BusinessDays = MONDAY_TO_FRIDAY,
    ) -> Grid:
        """The grid of stamps of a time zone, given in UTC: in local time for steps of a day or more.

        Shorter steps are steps in UTC, unless only in local time all of them are equal.
        """
        by_utc, shown = cls.found(stamps, series, freq, days), wall_clock(stamps, zone)
        by_wall = cls.found(shown, series, freq, days)
        long = by_wall.kind in ("month", "business") or by_wall.size >= _DAY
        off = (by_utc.index(stamps) == OFF).any() and not (by_wall.index(shown) == OFF).any()
        return replace(by_wall, zone=zone, wall=True) if long or off else replace(by_utc, zone=zone)

    @classmethod
    def restore(cls, config: Sequence[Any]) -> Grid:
        """From the values of the fields in their order. Raises ValueError for what cannot be."""
        kind, size, origin, month_end, zone, wall, phase = config[:7]
        whole = type(size) is int and type(origin) is int and 0 < size < _LARGEST and abs(origin) < _LARGEST
        clock = (zone is None or is_zone(zone)) and type(wall) is bool
        dated = kind in ("month", "business")
        whole = whole and type(phase) is int and 0 <= phase < (size if dated else 1)
        if not (dated or kind in ("integer", "fixed")) or not whole or type(month_end) is not bool or not clock:
            raise ValueError("grid")
        days = BusinessDays.restore(config[7]) if len(config) > 7 and config[7] is not None else None
        if (kind == "business" and days is None) or (days is not None and not dated):
            raise ValueError("grid")
        return cls(kind, size, origin, month_end, zone, wall, phase, days)

    @classmethod
    def found(
        cls, stamps: _Array, series: _Array, freq: tuple[str, int] | None = None, days: BusinessDays = MONDAY_TO_FRIDAY
    ) -> Grid:
        """The grid of stamps (integers, or datetime64[us]), each series' in ascending order one after the other.

        Without `freq` the step is the commonest distance between neighbours of a series; business `days` count only
        for a `freq` of these, and where months have their last or first on each. Raises ``DataError`` where no series
        has two stamps to tell a distance.
        """
        dates = stamps.dtype.kind == "M"
        if freq is not None and (freq[0] == "integer") == dates:
            what = "dates" if dates else "whole numbers"
            raise OptionError(f"freq is {freq[1]} {freq[0]} units, but the time stamps are {what}.")
        monthly = cls._monthly(stamps, series, freq) if dates and (freq is None or freq[0] == "month") else None
        if monthly is not None:
            return monthly
        if dates and (freq is None or freq[0].startswith("business")):
            business = cls._business(stamps, series, freq, days)
            if business is not None:
                return business
        numbers = stamps.astype(np.int64)
        size = freq[1] if freq else _commonest(numbers, series)
        return cls("fixed" if dates else "integer", size, int(numbers[0]) % size)

    @classmethod
    def _monthly(cls, stamps: _Array, series: _Array, freq: tuple[str, int] | None) -> Grid | None:
        """A grid of months, if the stamps are a month or more apart and at one place in theirs."""
        month = stamps.astype("datetime64[M]")
        within = (stamps - month.astype(stamps.dtype)).astype(np.int64)
        left = ((month + 1).astype(stamps.dtype) - stamps).astype(np.int64)
        ends, same = bool((left == left[0]).all() and left[0] <= _DAY), bool((within == within[0]).all())
        if freq is None:
            if not (same or ends) or _commonest(stamps.astype(np.int64), series) < 27 * _DAY:
                return None
            freq = ("month", _commonest(month.astype(np.int64), series))
        phase = int(month[0].astype(np.int64)) % freq[1]
        return cls("month", freq[1], int(left[0] if ends else within[0]), ends, phase=phase)

    @classmethod
    def _business(cls, stamps: _Array, series: _Array, freq: tuple[str, int] | None, days: BusinessDays) -> Grid | None:
        """A grid of business days; or of months by their first or last, also without `freq` if each stamp is one."""
        day = stamps.astype("datetime64[D]")
        within = (stamps - day.astype(stamps.dtype)).astype(np.int64)
        origin = int(within[0])
        if freq is not None and freq[0] == "business":
            return cls("business", freq[1], origin, phase=int(days.index(day[:1])[0]) % freq[1], days=days)
        month = stamps.astype("datetime64[M]")
        numbers = month.astype(np.int64)
        hits = [(days.of_months(month, last) == day) & (within == origin) for last in (False, True)]
        last = bool(hits[1].sum() > hits[0].sum())
        if freq is None:
            if not hits[last].all() or not (np.diff(numbers)[np.diff(series) == 0] > 0).all():
                return None
            freq = ("business month", _commonest(numbers, series))
        return cls("month", freq[1], origin, last, phase=int(numbers[0]) % freq[1], days=days)

    def index(self, stamps: _Array) -> NDArray[np.int64]:
        """Which step each stamp is; -2^63 where it is none of the grid's."""
        if self.kind == "business" and self.days is not None:
            number = self.days.index(stamps.astype("datetime64[D]")) - self.phase
            good = (number % self.size == 0) & (self.stamps(number // self.size) == stamps)
            return np.where(good, number // self.size, OFF)
        if self.kind == "month":
            number = stamps.astype("datetime64[M]").astype(np.int64) - self.phase
            good = (number % self.size == 0) & (self.stamps(number // self.size) == stamps)
            return np.where(good, number // self.size, OFF)
        number = stamps.astype(np.int64) - self.origin
        return np.where(number % self.size == 0, number // self.size, OFF)

    def stamps(self, index: _Array) -> _Array:
        """The stamp of each step: int64, or datetime64[us]."""
        if self.days is not None:
            number = index * self.size + self.phase
            monthly = self.kind == "month"
            day = (
                self.days.of_months(number.astype("datetime64[M]"), self.month_end)
                if monthly
                else self.days.days(number)
            )
            begins: _Array = day.astype("datetime64[us]")
            return begins + np.timedelta64(self.origin, "us")
        if self.kind != "month":
            numbers: _Array = index * self.size + self.origin
            return numbers if self.kind == "integer" else numbers.astype("datetime64[us]")
        month, place = (index * self.size + self.phase).astype("datetime64[M]"), np.timedelta64(self.origin, "us")
        begin: _Array = (month + int(self.month_end)).astype("datetime64[us]")
        return begin - place if self.month_end else begin + place

    def shown(self, index: _Array) -> _Array:
        """The stamp of each step in local time."""
        stamps = self.stamps(index)
        return stamps if self.zone is None or self.wall else wall_clock(stamps, self.zone)

    def describe(self) -> str:
        """In words: "1 h", "1 month", "7 d", "1 business day (Mon, Tue, Wed, Thu, Fri)", "steps of 1"."""
        if self.kind == "integer":
            return f"steps of {self.size}"
        some = "s" if self.size > 1 else ""
        if self.kind == "business":
            return f"{self.size} business day{some} ({self.days})"
        if self.kind == "month":
            which = (
                "" if self.days is None else f", on the {('first', 'last')[self.month_end]} business day ({self.days})"
            )
            return f"{self.size} month{some}{which}"
        unit = next(unit for unit in ("w", "d", "h", "min", "s", "ms", "us") if self.size % _FIXED[unit] == 0)
        return f"{self.size // _FIXED[unit]} {unit}"


def readable(stamp: Any) -> str:
    """A time stamp for people: no more of the clock than it has.

    >>> readable(np.datetime64("2024-01-31", "us")), readable(np.datetime64("2024-01-31T18:30", "us")), readable(7)
    ('2024-01-31', '2024-01-31 18:30', '7')
    """
    if not isinstance(stamp, np.datetime64):
        return str(stamp)
    return str(np.datetime_as_string(stamp, "auto")).replace("T", " ")


def _commonest(numbers: _Array, series: _Array) -> int:
    steps = np.diff(numbers)[np.diff(series) == 0]
    steps = steps[steps > 0]
    if not len(steps):
        raise DataError("no series has two time stamps: the distance of steps is unknown. Give ", option("freq"))
    sizes, counts = np.unique(steps, return_counts=True)
    return int(sizes[counts.argmax()])


def parse(freq: Any) -> tuple[str, int]:
    """The option `freq` as a kind of grid and a size. Raises ``OptionError`` where it is none.

    It is a whole number, a text, a ``timedelta`` of any library, or an offset of pandas.

    >>> parse("15min"), parse("M"), parse(3), parse(np.timedelta64(2, "h"))
    (('fixed', 900000000), ('month', 1), ('integer', 3), ('fixed', 7200000000))
    """
    if isinstance(freq, timedelta | np.timedelta64) and (found := _of_duration(freq)):
        return found
    given, freq = freq, getattr(freq, "freqstr", freq)  # an offset of pandas
    if (found := _of_business_days(given, freq)) is not None:
        return found
    if isinstance(freq, str) and freq.strip().isdecimal():  # as a command line gives it
        freq = int(freq)
    whole = isinstance(freq, int | np.integer) and not isinstance(freq, bool | np.timedelta64)
    if whole and 0 < freq < _LARGEST:
        return "integer", int(freq)
    match = re.fullmatch(r"(\d*)\s*([A-Za-z]+?)(-[A-Z]{3})?", freq.strip()) if isinstance(freq, str) else None
    if match and (count := int(match[1] or 1)) > 0:
        if match[2] == "m":
            what = f"is minutes to some and months to others. Write '{match[1]}min' or '{match[1]}mo'"
            raise OptionError(Problem("freq", repr(given), what), ".")
        word = match[2].lower()
        word = word.rstrip("s") if len(word) > 2 else word
        word = _WORDS.get(word, word)
        months = match[2] in ("MS", "M", "ME") or (word in _MONTHS and word != "ms")
        size = count * (_MONTHS if months else _FIXED).get(word, 0)
        if 0 < size < _LARGEST:
            return "month" if months else "fixed", size
    what = "is no distance between steps. Give a whole number for a column of integers, or a text such as "
    raise OptionError(Problem("freq", in_short(given), f"{what}'15min', 'h', 'D', 'B', 'W', 'M', 'Q', 'Y'"), ".")


def _of_business_days(given: Any, freq: Any) -> tuple[str, int] | None:
    """Business days and the months, quarters and years of these as a kind of grid and a size; None for any other."""
    if len(getattr(given, "holidays", None) or ()):
        what = f"has holidays of its own. Give freq = '{given.weekmask}' and holidays = list(freq.holidays)"
        raise OptionError(Problem("freq", in_short(given), what), ".")
    if weekdays_of(given) is None:
        return None
    match = re.fullmatch(r"(\d*)\s*([A-Za-z]+?)(-[A-Z]{3})?", freq.strip()) if isinstance(freq, str) else None
    if match is None or match[2] == "C":  # days of the week by name, or a pandas offset of such
        return None if match and match[1] else ("business", 1)
    months = _BUSINESS.get(match[2].upper().rstrip("SE"))
    if months is None or not 0 < (count := int(match[1] or 1)) < _LARGEST // 12:
        return None
    return ("business month", count * months) if months else ("business", count)


def _of_duration(freq: timedelta | np.timedelta64) -> tuple[str, int] | None:
    """A length of time as a kind of grid and a size; None where it is no whole number of microseconds above 0."""
    if getattr(freq, "nanoseconds", 0):  # of pandas
        return None
    if isinstance(freq, timedelta):
        return ("fixed", size) if 0 < (size := freq // timedelta(microseconds=1)) < _LARGEST else None
    unit = np.datetime_data(freq.dtype)[0]
    months = unit in ("Y", "M")
    size = freq.astype("timedelta64[M]" if months else "timedelta64[us]")
    good = unit != "generic" and size == freq and 0 < size.astype(np.int64) < _LARGEST
    return ("month" if months else "fixed", int(size.astype(np.int64))) if good else None


def plain(freq: Any) -> str | int | None:
    """The option `freq` as JSON can hold it: what is no text and no number as a text.

    >>> plain("h"), plain(np.timedelta64(1, "Y")), plain(timedelta(minutes=1))
    ('h', '12mo', '60000000us')
    """
    if freq is None or isinstance(freq, str):
        return freq
    if weekdays_of(freq) is not None:
        return str(freq.weekmask if freq.freqstr == "C" else freq.freqstr)
    kind, size = parse(freq)
    return size if kind == "integer" else f"{size}{'mo' if kind == 'month' else 'us'}"


def seasons_of(grid: Grid) -> dict[str, int]:
    """The usual season in steps, by name, and after it the shorter cycles of the calendar; none of a single step.

    A day of hours, a week of days, a year of weeks, months or quarters; then an hour, and a minute.

    >>> seasons_of(Grid("fixed", 3600 * 10**6)), seasons_of(Grid("month", 3)), seasons_of(Grid("integer", 1))
    ({'day': 24}, {'year': 4}, {})
    >>> seasons_of(Grid("fixed", 20 * 10**6))
    {'day': 4320, 'hour': 180, 'minute': 3}
    """
    if grid.kind == "integer":
        return {}
    if grid.kind == "business" and grid.days is not None:
        per_week = grid.days.per_week
        return {"week": per_week // grid.size} if grid.size < per_week and per_week % grid.size == 0 else {}
    if grid.kind == "month":
        return {"year": 12 // grid.size} if grid.size < 12 and 12 % grid.size == 0 else {}
    if grid.size == 7 * _DAY:
        return {"year": 52}
    lengths = {"day": _DAY, "week": 7 * _DAY, "hour": 3600 * _SECOND, "minute": 60 * _SECOND}
    found = {name: long // grid.size for name, long in lengths.items() if grid.size < long and long % grid.size == 0}
    if "day" in found:
        del found["week"]
    return found


def cycles(grid: Grid, index: _Array, longest: int) -> NDArray[np.float32]:
    """Where steps stand in the hour, day, week and year: sine and cosine of each, float32 [steps, 2 * cycles].

    A cycle counts if it has more than two steps and goes round at least twice in the `longest` series. Columns of
    integers have none. The hour of a time zone is that of its clock, summer time included.

    ::

        sin(2 pi p), cos(2 pi p)      p: phase of the cycle, from 0 to 1

    >>> cycles(Grid("fixed", 3600 * 10**6), np.arange(3), longest=100).shape  # 100 hours hold no two weeks
    (3, 2)
    """
    phases = []
    if grid.kind != "integer":
        stamps = grid.shown(np.asarray(index, np.int64))
        numbers = stamps.astype(np.int64)
        step = grid.size * {"fixed": 1, "business": _DAY}.get(grid.kind, 30 * _DAY)
        for cycle, phase in ((3600 * _SECOND, 0), (_DAY, 0), (7 * _DAY, 4 * _DAY)):  # 1970 began on a Thursday
            if 2 * step < cycle <= step * longest / 2:
                phases.append((numbers - phase) % cycle / cycle)
        if 2 * step < 360 * _DAY and step * longest >= 730 * _DAY:
            year = stamps.astype("datetime64[Y]")
            start, end = (part.astype("datetime64[us]").astype(np.int64) for part in (year, year + 1))
            phases.append((numbers - start) / (end - start))
    angle = 2 * np.pi * np.stack(phases, axis=1) if phases else np.zeros((len(index), 0))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
