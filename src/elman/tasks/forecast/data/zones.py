"""Time zones: conversion from UTC to local time and back.

A zone is a name of the Time Zone Database ("Europe/Berlin"), or a fixed distance from UTC ("+05:30").
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_Times = NDArray[np.datetime64]
_Array = NDArray[np.int64]
_FIXED = re.compile(r"[+-]\d\d:[0-5]\d(:[0-5]\d)?")
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_FIRST, _LAST = (int(np.datetime64(day, "us").astype(np.int64)) for day in ("0001-01-03", "9999-12-29"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_zone(zone: Any) -> bool:
    """Whether a zone is known by this name.

    >>> is_zone("Europe/Berlin"), is_zone("+05:30"), is_zone("Mars")
    (True, True, False)
    """
    if not isinstance(zone, str):
        return False
    try:
        tzinfo_of(zone)
    except (ValueError, KeyError, OSError):
        return False
    return True


@functools.lru_cache(maxsize=64)
def tzinfo_of(zone: str) -> tzinfo:
    """The zone as Python has it. Raises ValueError, KeyError or OSError for a name that is none."""
    if zone == "UTC":
        return UTC
    return datetime.strptime(zone, "%z").tzinfo or UTC if _FIXED.fullmatch(zone) else ZoneInfo(zone)


def distance(by: timedelta) -> str:
    """The name of the zone that is always so far from UTC.

    >>> distance(timedelta(hours=-5)), distance(timedelta(0))
    ('-05:00', 'UTC')
    """
    return str(timezone(timedelta(seconds=round(by.total_seconds())))).removeprefix("UTC") or "UTC"


def name_of(zone: Any) -> str | None:
    """What a zone is called: one of zoneinfo, pytz, dateutil or datetime, or a name; None for one without a name.

    >>> name_of(ZoneInfo("America/New_York")), name_of(timezone(timedelta(hours=5.5))), name_of("UTC+05:30")
    ('America/New_York', '+05:30', '+05:30')
    """
    if isinstance(zone, str):
        if _FIXED.fullmatch(fixed := zone.removeprefix("UTC")):
            return distance(tzinfo_of(fixed).utcoffset(None) or timedelta(0))
        return zone if is_zone(zone) else None
    file = str(getattr(zone, "_filename", None) or "").replace("\\", "/").rpartition("zoneinfo/")[2]  # dateutil
    for name in (getattr(zone, "key", None), getattr(zone, "zone", None), file):
        if name and is_zone(name):
            return str(name)
    try:
        by = zone.utcoffset(None)
    except Exception:  # any class may call itself a zone
        return None
    return distance(by) if isinstance(by, timedelta) else None


def wall_clock(stamps: _Times, zone: str) -> _Times:
    """UTC to local time: datetime64[us] both.

    >>> wall_clock(np.array(["2024-03-31T00:59", "2024-03-31T01:00"], "datetime64[m]"), "Europe/Berlin")
    array(['2024-03-31T01:59:00.000000', '2024-03-31T03:00:00.000000'],
          dtype='datetime64[us]')
    """
    times = stamps.astype("datetime64[us]").astype(np.int64)
    return (times + _offsets(times, zone)).astype("datetime64[us]")


def to_utc(stamps: _Times, zone: str) -> _Times:
    """Local time to UTC: ambiguous times are the first, skipped ones are shifted forward.

    >>> to_utc(np.array(["2024-03-31T02:30", "2024-10-27T02:30"], "datetime64[m]"), "Europe/Berlin")
    array(['2024-03-31T01:30:00.000000', '2024-10-27T00:30:00.000000'],
          dtype='datetime64[us]')
    """
    shown = stamps.astype("datetime64[us]").astype(np.int64)
    before, after = shown - _offsets(shown - _DAY, zone), shown - _offsets(shown + _DAY, zone)
    if (before == after).all():
        return before.astype("datetime64[us]")
    good, other = (times + _offsets(times, zone) == shown for times in (before, after))
    return np.where(good | ~other, before, after).astype("datetime64[us]")


def _offsets(times: _Array, zone: str) -> _Array:
    """How far the clock of a zone is ahead of UTC, in microseconds: asked once for each day, and where that changes."""
    offset = _clock(zone)
    days, place = np.unique(np.clip(times, _FIRST, _LAST) // _DAY, return_inverse=True)
    begins = np.array([offset(day * _DAY) for day in days.tolist()], np.int64)
    ends = np.array([offset((day + 1) * _DAY) for day in days.tolist()], np.int64)
    changes = (days + 1) * _DAY
    for i in np.flatnonzero(begins != ends).tolist():  # the second of the change
        seconds, old = range(int(days[i]) * 86_400, int(days[i] + 1) * 86_400), begins[i]
        changes[i] = seconds[0] * _SECOND + _SECOND * bisect.bisect(
            seconds, False, key=lambda s: offset(s * _SECOND) != old
        )
    return np.where(times < changes[place], begins[place], ends[place])


def _clock(zone: str) -> Callable[[int], int]:
    there = tzinfo_of(zone)

    @functools.lru_cache(maxsize=1 << 16)
    def offset(time: int) -> int:
        by = (_EPOCH + timedelta(microseconds=time)).astimezone(there).utcoffset()
        return round((by or timedelta(0)).total_seconds()) * _SECOND

    return offset
