"""Outliers: numbers further from the median of the training data than a column's spread explains."""

import numpy as np

from elman.errors import DataError, option
from elman.features.arrays import Array, place

__all__ = ["RULES", "beyond", "check_finite", "hampel", "treated"]

RULES = ("keep", "clip", "missing")
_NORMAL = 1.4826  # deviations in a median absolute deviation of the normal distribution: 1 / 0.6745


def hampel(values: Array, limit: float) -> Array:
    """The lowest and the highest number of each column that is no outlier: `[2, width]`, by the rule of Hampel 1974.

    ```
    median ± limit * 1.4826 * median |x - median|
    ```

    Missing and infinite numbers are left out. Where more than half of a column is one number its spread is 0 and says
    nothing: its limits are then the least and the greatest number of the training data, and so is a column without
    numbers, from 0 to 0.

    >>> hampel(np.array([[1.0], [2.0], [3.0], [4.0], [90.0]]), 3.0).round(3).tolist()
    [[-1.448], [7.448]]
    """
    found = np.zeros((2, values.shape[1]))
    for column, numbers in enumerate(values.T):
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            continue
        middle = np.median(numbers * 0.5) * 2.0  # halves: the mean of two numbers near the end of float64 stays in it
        with np.errstate(over="ignore"):
            spread = limit * _NORMAL * np.median(np.abs(numbers - middle))
            low, high = middle - spread, middle + spread
        whole = spread > 0 and np.isfinite([low, high]).all()
        found[:, column] = (low, high) if whole else (numbers.min(), numbers.max())
    return found


def beyond(values: Array, limits: Array) -> Array:
    """Which numbers are outliers: bool, as `values`. A missing number is none.

    >>> beyond(np.array([[9.0, np.nan]]), np.array([[0.0, 0.0], [5.0, 5.0]])).tolist()
    [[True, False]]
    """
    found: Array = (values < limits[0]) | (values > limits[1])
    return found


def treated(values: Array, limits: Array, rule: str) -> Array:
    """The numbers after a rule: "clip" puts outliers on the limit, "missing" takes them away, "keep" nothing.

    >>> limits = np.array([[0.0], [5.0]])
    >>> treated(np.array([[9.0], [np.inf]]), limits, "clip").tolist()
    [[5.0], [5.0]]
    """
    if rule == "clip":
        return np.clip(values, limits[0], limits[1])
    return np.where(beyond(values, limits), np.nan, values) if rule == "missing" else values


def check_finite(values: Array, offsets: Array, name: str) -> None:
    """Raises `DataError` for an infinite number, naming sequence, step, column and value."""
    infinite = np.isinf(values)
    if not infinite.any():
        return
    at, column = np.argwhere(infinite)[0]
    where = place(at, column, offsets, values.shape[1], name)
    raise DataError(
        f"is infinite ({values[at, column]}). Replace it, or set ",
        option("outliers", "missing"),
        " or ",
        option("outliers", "clip"),
        ".",
        at=where,
    )
