"""Predicates on columns and their values: frame, category, missing."""

from typing import Any

import numpy as np

from elman.errors import DataError, Place


def is_frame(column: Any, name: str = "X") -> bool:
    """Whether it is an eager frame that narwhals supports (pandas, polars, Arrow ...).

    Raises `DataError` for one that cannot be read: a lazy frame, or one with two columns of one name.

    >>> is_frame([1, 2])
    False
    """
    import narwhals as nw  # here, so that checks of values cost no import of it
    from narwhals.exceptions import NarwhalsError

    try:
        native: Any = nw.from_native(column, pass_through=True)
    except NarwhalsError as error:
        raise DataError(f"is a frame that cannot be read. {' '.join(str(error).split())}", at=Place(name)) from error
    if isinstance(native, nw.LazyFrame):
        raise DataError("a lazy frame holds no values yet. Collect it first: frame.collect().")
    return isinstance(native, nw.DataFrame)


def of_categories(column: Any) -> bool:
    """Whether a column has a type of categories: pandas' category, polars' Categorical and Enum, Arrow's dictionary.

    >>> of_categories(["a", "b"])
    False
    """
    kind = getattr(column, "dtype", getattr(column, "type", None))
    return str(kind).lower().startswith(("category", "categorical", "enum", "dictionary"))


def is_missing(value: Any) -> bool:
    """None, NaN, pandas.NA or NaT.

    >>> is_missing(float("nan")), is_missing("")
    (True, False)
    """
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and bool(value != value)
