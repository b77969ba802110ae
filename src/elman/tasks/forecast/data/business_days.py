"""Calendars of business days: which days exist, counted one after the other. NumPy does the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_BEGIN = np.datetime64("0001-01-01")  # day 0, a Monday
_MOST = 10**6  # holidays


@dataclass(frozen=True)
class BusinessDays:
    """The days of a week that count, and holidays, which do not.

    >>> days = BusinessDays(holidays=holidays_of(["2024-01-01"]))
    >>> first = days.index(np.array(["2024-01-02", "2024-01-06"], "datetime64[D]"))
    >>> (first - first[0]).tolist()[0], days.are_in(np.array(["2024-01-01", "2024-01-06"], "datetime64[D]")).tolist()
    (0, [False, False])
    >>> days.days(first[:1] + np.arange(5)).astype(str).tolist()
    ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05', '2024-01-08']
    """

    weekdays: str = "1111100"  # Monday to Sunday: 1 where it counts
    holidays: tuple[int, ...] = ()  # days since 1970

    @classmethod
    def restore(cls, config: Sequence[Any]) -> BusinessDays:
        """From weekdays and holidays. Raises ValueError for what cannot be."""
        weekdays, holidays = config
        if type(weekdays) is not str or len(weekdays) != 7 or set(weekdays) - {"0", "1"} or "1" not in weekdays:
            raise ValueError("weekdays")
        if len(holidays) > _MOST or not all(type(day) is int and abs(day) < 10**7 for day in holidays):
            raise ValueError("holidays")
        return cls(weekdays, tuple(holidays))

    @cached_property
    def _calendar(self) -> np.busdaycalendar:
        return np.busdaycalendar(self.weekdays, np.array(self.holidays, np.int64).astype("datetime64[D]"))

    @property
    def per_week(self) -> int:
        """Days of a week that count."""
        return self.weekdays.count("1")

    @property
    def dates(self) -> list[str]:
        """The holidays, as JSON can hold them."""
        return [str(day) for day in np.array(self.holidays, np.int64).astype("datetime64[D]")]

    def are_in(self, days: _Array) -> NDArray[np.bool_]:
        """Whether each day counts."""
        return np.is_busday(days, busdaycal=self._calendar)

    def are_off(self, stamp: Any) -> bool:
        """Whether a time stamp is of a holiday on a day that else counts."""
        day = stamp.astype("datetime64[D]")
        return not self.are_in(day) and bool(np.is_busday(day, weekmask=self.weekdays))

    def index(self, days: _Array) -> NDArray[np.int64]:
        """The number of business days before each day, from the year 1 on."""
        return np.asarray(np.busday_count(_BEGIN, days, busdaycal=self._calendar), np.int64)

    def days(self, index: _Array) -> _Array:
        """The day of each number."""
        return np.asarray(np.busday_offset(_BEGIN, index, roll="forward", busdaycal=self._calendar))

    def of_months(self, months: _Array, last: bool) -> _Array:
        """The first business day of each month, or its `last`.

        >>> BusinessDays().of_months(np.array(["2024-03", "2024-06"], "datetime64[M]"), last=True).astype(str).tolist()
        ['2024-03-29', '2024-06-28']
        """
        days = (months + int(last)).astype("datetime64[D]") - int(last)
        return np.asarray(np.busday_offset(days, 0, roll="backward" if last else "forward", busdaycal=self._calendar))

    def __str__(self) -> str:
        named = [name for name, counts in zip(_NAMES, self.weekdays, strict=True) if counts == "1"]
        count = len(self.holidays)
        return ", ".join([*named, *([f"without {count} holiday" + "s" * (count > 1)] if count else [])])


def weekdays_of(freq: Any) -> str | None:
    """The days of a week that a frequency counts, as NumPy writes them; None where it is none of business days.

    >>> weekdays_of("B"), weekdays_of("Sun Mon Tue Wed Thu"), weekdays_of("h")
    ('1111100', '1111001', None)
    """
    code = getattr(freq, "freqstr", freq)
    text = getattr(freq, "weekmask", code) if isinstance(code, str) and code == "C" else code
    if isinstance(text, str) and text.strip().upper().lstrip("0123456789").startswith("B"):
        return "1111100"
    words = text.title().split() if isinstance(text, str) else []
    return "".join("01"[name in words] for name in _NAMES) if len(words) > 1 and set(words) <= set(_NAMES) else None


def lack_weekends(days: _Array) -> bool:
    """Whether many days are all from Monday to Friday.

    >>> lack_weekends(np.datetime64("2024-01-01") + np.array([0, 1, 2, 3, 4, 7, 8, 9, 10, 11]))
    True
    """
    return len(days) >= 10 and bool(np.is_busday(days).all())


def holidays_of(dates: Iterable[Any]) -> tuple[int, ...]:
    """Dates, ISO texts among them, as days since 1970, ascending. Raises ValueError for what is no date.

    >>> holidays_of(["1970-01-05", date(1970, 1, 2)])
    (1, 4)
    """
    found = set()
    for day in dates:
        if not isinstance(day, str | date | np.datetime64):
            raise ValueError(day)
        plain: Any = day.date() if isinstance(day, datetime) else day
        made = np.datetime64(plain, "D")
        if np.isnat(made) or (isinstance(day, str) and len(day) < 10):
            raise ValueError(day)
        found.add(int(made.astype(np.int64)))
    return tuple(sorted(found))
