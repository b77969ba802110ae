"""Numbers of any kind as float64, with NaN where one is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place
from elman.validation.columns import is_missing
from elman.validation.messages import seen

__all__ = ["floats"]


def floats(value: Any, place: Place, advice: str = "") -> NDArray[np.float64]:
    """A number, a list, an array or a tensor as float64 of the same shape; None, NaN and masked values become NaN.

    Raises ``DataError`` with `place` for texts and for lists of unequal length.

    >>> floats([1, None, 2.5], Place("X")).tolist()
    [1.0, nan, 2.5]
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if np.ma.isMaskedArray(value):
        value = np.ma.filled(value.astype(np.float64), np.nan)
    if is_missing(value):
        return np.array(np.nan)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        raise DataError("has lists of unequal length, or holds something other than numbers.", at=place) from None
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported: ", place, f" holds {array.dtype}.")
    if array.dtype == object:
        array = _from_objects(array, place)
    if array.dtype.kind not in "biuf":
        raise DataError(f"is {seen(value)}, where numbers were expected.{advice}", at=place)
    return array.astype(np.float64)


def _from_objects(array: NDArray[Any], place: Place) -> NDArray[np.float64]:
    found = np.full(array.shape, np.nan)
    for at, one in np.ndenumerate(array):
        if is_missing(one):
            continue
        try:
            if isinstance(one, str | bytes):
                raise TypeError
            found[at] = float(one)
        except (ValueError, TypeError, OverflowError):
            where = f", {', '.join(map(str, at))}," if at else ""
            raise DataError(f"{where} is {seen(one)}, where a number was expected.".lstrip(), at=place) from None
    return found


def center_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation of the known numbers; 0 and 1 without any, deviation 1 where all are equal.

    >>> center_and_spread(np.array([1.0, np.nan, 3.0]))
    (2.0, 1.0)
    """
    known, tiny = values[~np.isnan(values)], float(np.finfo(np.float64).tiny)
    if not len(known):
        return 0.0, 1.0
    if known.min() == known.max():
        return float(known[0]), 1.0
    largest = max(float(np.abs(known).max()), tiny)
    ratio = known / largest  # squares of numbers near the limit of float64 overflow
    spread = float(ratio.std() * largest)
    return float(ratio.mean() * largest), spread if spread > tiny else 1.0
