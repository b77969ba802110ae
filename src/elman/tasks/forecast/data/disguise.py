"""Dates that are written as whole numbers, such as 20240131, are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, Place

__all__ = ["refuse_disguise"]

_Array = NDArray[Any]


def refuse_disguise(numbers: NDArray[np.int64], codes: NDArray[np.int64], order: _Array, place: Place) -> None:
    """Raises ``DataError`` for whole numbers that are dates written without separators.

    `numbers` stand series by series (`codes`), each in ascending order; `order` tells their rows. As whole numbers
    their months, years or days would have gaps between them.
    """
    what = _disguise(numbers, codes)
    if what:
        raise DataError(
            f"is {numbers[0]}: {what} written as a whole number, and as such there would be "
            "gaps between them. Write 2024-01-31, or give a column of dates; of plain numbers subtract the first.",
            at=replace(place, row=order[0]),
        )


def _disguise(numbers: NDArray[np.int64], codes: NDArray[np.int64]) -> str:
    """What numbers are, by their digits; "" for plain ones."""
    digits = {len(str(abs(n))) for n in (int(numbers.min()), int(numbers.max()))}
    count = digits.pop() if len(digits) == 1 and numbers.min() > 0 else 0
    if count in (6, 8, 10, 12, 14) and _are_dates(numbers, count):
        return "a month" if count == 6 else "a date"
    same = np.diff(codes) == 0
    steps = np.diff(numbers)[same]
    if not len(steps) or (steps == steps[0]).all():
        return ""
    for name, places, most in (("a quarter", 1, 4), ("a week", 2, 53), ("a day of a year", 3, 366)):
        year, part = np.divmod(numbers, 10**places)
        if _between(year, 1900, 2199) and _between(part, 1, most) and _carries(year, part, same):
            return name
    year, rest = np.divmod(numbers, 10_000)
    month, day = np.divmod(rest, 100)
    if _between(year, 0, 99) and _between(month, 1, 12) and _between(day, 1, 31) and _carries(month, day, same):
        return "a date"
    return _counted(numbers, steps, same)


def _are_dates(numbers: NDArray[np.int64], count: int) -> bool:
    """Whether all are a year, a month, and as many further parts as there are digits."""
    rest = numbers
    for least, most in reversed([(1, 12), (1, 31), (0, 23), (0, 59), (0, 59)][: (count - 4) // 2]):
        rest, part = np.divmod(rest, 100)
        if not _between(part, least, most):
            return False
    return _between(rest, 1900, 2199)


def _between(values: _Array, least: int, most: int) -> bool:
    return bool((values >= least).all() and (values <= most).all())


def _carries(high: _Array, low: _Array, same: _Array) -> bool:
    """Whether the higher part goes on within a series where the lower one begins again."""
    return bool((same & (np.diff(high) > 0) & (np.diff(low) < 0)).any())


def _counted(numbers: NDArray[np.int64], steps: _Array, same: _Array) -> str:
    """Numbers whose last digits run from one value to another and then begin again, the digits before going on by 1."""
    short = int(steps.min())
    for places in (1, 2, 3, 4):
        high, low = np.divmod(numbers, 10**places)
        least, most = int(low.min()), int(low.max())
        carry = same & (np.diff(numbers) != short)
        regular = (np.diff(high) == 1) & (low[:-1] == most) & (low[1:] == least)
        known = places > 1 and (least, most) in ((1, 12), (1, 31), (1, 52), (1, 53), (0, 23), (0, 59))
        whole = most - least + short < 10**places and short < 10**places and most > least
        if whole and regular[carry].all() and carry.sum() >= (1 if known else 2):
            return f"something of which the last {places} digits run from {least} to {most}"
    return ""
