"""Several rows of a series with one time, taken together as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
AGGREGATES = ("mean", "sum", "median", "min", "max", "first", "last")  # the option `duplicates`


def aggregated(values: _Array, begins: NDArray[np.int64], how: str) -> _Array:
    """One value for the rows from each of `begins` on: of those that are not missing, missing where all are.

    Texts (objects, None where missing) have a "first" and a last.

    >>> aggregated(np.array([1.0, 3.0, np.nan, 5.0, np.nan]), np.array([0, 3, 4]), "sum").tolist()
    [4.0, 5.0, nan]
    """
    texts = values.dtype == object
    seen = np.array([value is not None for value in values], bool) if texts else ~np.isnan(values)
    if texts or how in ("first", "last"):
        return _end(values, seen, begins, first=how == "first")
    if how in ("min", "max"):
        made: _Array = (np.fmin if how == "min" else np.fmax).reduceat(values, begins)
        return made
    count = np.add.reduceat(seen.astype(np.int64), begins)
    if how == "median":
        owner = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(values)))
        ordered = values[np.lexsort((values, owner))]  # missing ones are the last of each
        low, high = begins + np.maximum(count - 1, 0) // 2, begins + np.minimum(count // 2, np.maximum(count - 1, 0))
        return np.where(count > 0, ordered[low] / 2 + ordered[high] / 2, np.nan)
    total = np.add.reduceat(np.where(seen, values, 0.0), begins)
    return np.where(count > 0, total / (np.maximum(count, 1) if how == "mean" else 1), np.nan)


def _end(values: _Array, seen: NDArray[np.bool_], begins: NDArray[np.int64], first: bool) -> _Array:
    """The first or the last of each that is not missing."""
    rows = np.arange(len(values))
    if first:
        return values[np.minimum(np.minimum.reduceat(np.where(seen, rows, len(values)), begins), _last(begins, values))]
    return values[np.maximum(np.maximum.reduceat(np.where(seen, rows, -1), begins), begins)]


def _last(begins: NDArray[np.int64], values: _Array) -> _Array:
    return np.append(begins[1:], len(values)) - 1
