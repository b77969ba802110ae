"""Outliers by the Hampel identifier."""

import numpy as np

from elman.errors import DataError, option
from elman.features.arrays import Array, place

RULES = ("keep", "clip", "missing")
_NORMAL = 1.4826  # deviations in a median absolute deviation of the normal distribution: 1 / 0.6745


def hampel(values: Array, limit: float) -> Array:
    """The lower and upper limit of each column: `[2, width]` (Hampel 1974).

    ```
    median ± limit * 1.4826 * median |x - median|
    ```

    Missing and infinite numbers are left out. If the median deviation is 0, as where more than half of a column is one
    number, the limits are minimum and maximum of the training data; those of a column without numbers are 0 and 0.

    >>> hampel(np.array([[1.0], [2.0], [3.0], [4.0], [90.0]]), 3.0).round(3).tolist()
    [[-1.448], [7.448]]
    """
    found = np.zeros((2, values.shape[1]))
    for column, numbers in enumerate(values.T):
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            continue
        middle = (
            np.median(numbers * 0.5) * 2.0
        )  # halves: the sum of two numbers near the limit of float64 would overflow
        with np.errstate(over="ignore"):
            spread = limit * _NORMAL * np.median(np.abs(numbers - middle))
            low, high = middle - spread, middle + spread
        whole = spread > 0 and np.isfinite([low, high]).all()
        found[:, column] = (low, high) if whole else (numbers.min(), numbers.max())
    return found


def beyond(values: Array, limits: Array) -> Array:
    """Which numbers are outliers: bool, as `values`; False for missing ones.

    >>> beyond(np.array([[9.0, np.nan]]), np.array([[0.0, 0.0], [5.0, 5.0]])).tolist()
    [[True, False]]
    """
    found: Array = (values < limits[0]) | (values > limits[1])
    return found


def treated(values: Array, limits: Array, rule: str) -> Array:
    """The numbers with outliers treated by a rule: "clip" to the limit, set "missing", or "keep".

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
