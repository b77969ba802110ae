"""One label for each sequence: plain values out of whatever they come in, and the classes among them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning
from torch import Tensor

from elman.errors import DataError
from elman.features.base import is_frame, is_missing, seen

__all__ = ["coded_labels", "only_column", "plain_labels", "restored_classes"]

_MOST_BYTES = 1 << 30  # of saved classes: a width that is only claimed takes no memory

_Array = NDArray[Any]


def plain_labels(y: Any) -> list[Any]:
    """Labels as plain Python values, whatever they come in: list, array, tensor, column or frame of one column.

    Raises ``DataError`` for what is no list of labels.

    >>> plain_labels(np.array([1, 2]))
    [1, 2]
    """
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    elif hasattr(y, "__array__") and not hasattr(y, "__iter__"):
        y = np.asarray(y)
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Pass y.ravel().",
            DataConversionWarning,
            stacklevel=4,
        )
        y = y.ravel()
    if isinstance(y, np.ndarray) and y.ndim != 1:
        raise DataError(f"y should be a 1d array with one label a sequence, got an array of shape {y.shape} instead.")
    if not isinstance(y, list | tuple | np.ndarray) and is_frame(y):
        return plain_labels(only_column(y))
    if isinstance(y, str | bytes | Mapping) or not hasattr(y, "__iter__"):
        raise DataError(f"y must be a list of labels, one a sequence, got {seen(y)}.")
    for name in ("to_list", "to_pylist", "tolist"):
        if hasattr(y, name):
            return list(getattr(y, name)())
    return [value.item() if isinstance(value, np.generic) else value for value in y]


def only_column(y: Any) -> list[Any]:
    """The values of a frame with one column.

    >>> import polars as pl
    >>> only_column(pl.DataFrame({"label": [1, 2]}))
    [1, 2]

    Raises ``DataError`` for a frame of more.
    """
    frame = nw.from_native(y, eager_only=True)
    if len(frame.columns) != 1:
        raise DataError(f"y is a frame of {len(frame.columns)} columns. Pass the one with the labels: y['label'].")
    return list(frame.get_column(frame.columns[0]).to_list())


def coded_labels(y: Any, sequences: int) -> tuple[_Array, NDArray[np.int64]]:
    """The classes in order, and which of them each sequence belongs to, int64 `[sequences]`.

    Raises ``DataError``, naming the sequence, for a label that is missing or no label, for kinds that are mixed, for
    fewer than two classes, and where `y` has not one label for each of the `sequences`.

    >>> coded_labels(["b", "a", "b"], sequences=3)
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    values = plain_labels(y)
    if len(values) != sequences:
        raise DataError(f"X has {sequences} sequences, y has {len(values)} labels. Give one label a sequence.")
    if not values:
        raise DataError("X holds no sequences. Fitting needs at least two, of different classes.")
    for i, value in enumerate(values):
        _check_label(value, i)
    kinds = {_kind(value): i for i, value in reversed(list(enumerate(values)))}
    if len(kinds) > 1:
        (one, i), (other, j) = sorted(kinds.items(), key=lambda item: item[1])[:2]
        raise DataError(
            f"y is mixed: the label of sequence {i} is a {one}, that of sequence {j} a {other}. Use one kind."
        )
    dtype = y.dtype if isinstance(y, np.ndarray) and y.dtype.kind in "biuf" else None
    classes, codes = np.unique(np.array(values, dtype=dtype), return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"y has only one class, {classes.tolist()[0]!r}. A classifier needs at least two to tell apart."
        )
    return classes, codes.astype(np.int64)


def _kind(value: Any) -> str:
    return "truth value" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _check_label(value: Any, i: int) -> None:
    if isinstance(value, float) and not np.isfinite(value):
        what = "NaN" if value != value else "infinity"
        raise DataError(f"Input y contains {what}: sequence {i} has the label {value!r}. Drop it, or give it a label.")
    if is_missing(value):
        raise DataError(f"y: sequence {i} has no label, got {value!r}. Drop it, or give it one.")
    if isinstance(value, complex):
        raise DataError(f"Complex data not supported: the label of sequence {i} is {value!r}.")
    if not isinstance(value, str | bool | int | float):
        raise DataError(f"y: the label of sequence {i} is {seen(value)}. A label is a str, an int or a bool.")
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"y: the label of sequence {i}, {value!r}, holds half a character. Read it again as UTF-8.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DataError(f"y: the label of sequence {i} is {value}, which 64 bits cannot hold. Use texts.")
    if isinstance(value, float) and not value.is_integer():
        raise DataError(
            f"Unknown label type: the label of sequence {i} is {value!r}, which is not whole. Classes are whole "
            "numbers or names; turn them into text if you mean names."
        )


def restored_classes(saved: Mapping[str, Any], kinds: str = "Ubiuf") -> _Array:
    """The classes that were saved with their dtype, one of `kinds`. Raises ``ValueError`` for what cannot be classes.

    >>> restored_classes({"dtype": "<U1", "values": ["a", "b"]}).tolist()
    ['a', 'b']
    """
    values, dtype = saved["values"], np.dtype(saved["dtype"])
    if dtype.kind not in kinds or len(set(values)) != len(values) or len(values) < 2:
        raise ValueError("classes")
    if len(values) * dtype.itemsize > _MOST_BYTES:
        raise ValueError("classes")
    classes = np.array(values, dtype=dtype)
    if [(type(value), value) for value in classes.tolist()] != [(type(value), value) for value in values]:
        raise ValueError("classes")  # such as a text that is cut short, or a number among texts
    return classes
