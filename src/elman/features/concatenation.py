"""Two containers of sequences one after the other: a training set, and the validation set that goes with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse
import torch
from narwhals.exceptions import NarwhalsError
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.containers import by_name, is_sparse
from elman.features.lists import listed
from elman.ragged import Ragged
from elman.validation.columns import is_frame
from elman.validation.messages import few, nearest, type_name


def sequence_count(X: Any, name: str) -> int:
    """The number of sequences in any container; a frame or a dict of columns has one in each row.

    >>> sequence_count({"text": ["a", "b"]}, "X"), sequence_count(["a"], "X")
    (2, 1)
    """
    if is_sparse(X):
        return int(X.shape[0])
    columns = by_name(X, name)
    if columns is not None:
        return sequence_count(next(iter(columns.values())), name) if columns else 0
    if isinstance(X, list | tuple | Ragged) or (isinstance(X, np.ndarray | Tensor) and X.ndim):
        return len(X)
    return len(listed(X, name))


def concatenated(first: Any, second: Any, names: tuple[str, str], needed: Collection[str] | None = None) -> Any:
    """The sequences of `first` and then those of `second`, in the container of both, or in a list.

    Columns are matched by name; those of `second` that `first` lacks are left out. `needed`: the columns that both must
    have; None: all of `first`. `names` are those of the two in messages. Raises ``DataError`` where they do not match.

    >>> concatenated(["a"], ("b",), ("X", "validation_data[0]"))
    ['a', 'b']
    >>> concatenated({"a": [1], "b": [2]}, {"b": [3], "a": [4]}, ("X", "validation_data[0]"))
    {'a': [1, 4], 'b': [2, 3]}
    """
    columns, others = by_name(first, names[0]), by_name(second, names[1])
    if columns is None:
        if others is not None and len(others) != 1:
            what = f"has the columns {few(list(others))}, but {names[0]} is a {type_name(first)}."
            raise DataError(f"{what} Pass the same kind.", at=Place(names[1]))
        return _joined(first, second if others is None else next(iter(others.values())), names)
    if others is None:
        if len(columns) != 1:
            what = f"is a {type_name(second)}, but {names[0]} has the columns {few(list(columns))}."
            raise DataError(f"{what} Pass a frame with them.", at=Place(names[1]))
        others = {next(iter(columns)): second}
    for key in columns if needed is None else needed:
        if key in columns and key not in others:
            what = f"has no column {key!r}, but {names[0]} has.{nearest(key, list(others))}"
            raise DataError(what, at=Place(names[1]))
    shared = [key for key in columns if key in others]
    if (frame := _joined_frames(first, second, shared)) is not None:
        return frame
    return {key: _joined(columns[key], others[key], names) for key in shared}


def _joined_frames(first: Any, second: Any, shared: list[str]) -> Any:
    """One frame, where both are frames of one library with the same types; else None."""
    if not (is_frame(first) and is_frame(second)):
        return None
    one, two = (nw.from_native(frame, eager_only=True) for frame in (first, second))
    if one.implementation != two.implementation or not set(shared) <= {*one.columns} & {*two.columns}:
        return None  # of another library, or with names that are no texts
    mixed = [key for key in shared if one.schema[key] != two.schema[key]]
    if not all(frame.schema[key].is_numeric() for frame in (one, two) for key in mixed):
        return None
    floats = [nw.col(key).cast(nw.Float64) for key in mixed]  # whole numbers here and fractions there
    return nw.concat([frame.select(shared).with_columns(*floats) for frame in (one, two)]).to_native()


def _joined(first: Any, second: Any, names: tuple[str, str]) -> Any:
    """The values of two columns."""
    if isinstance(first, Ragged) and isinstance(second, Ragged):
        return Ragged.cat([first, second])
    if is_sparse(first) and is_sparse(second):
        _check_widths(first, second, names)
        return scipy.sparse.vstack([first, second])
    tables = [isinstance(part, np.ndarray | Tensor) and part.ndim == 2 for part in (first, second)]
    if all(tables):
        _check_widths(first, second, names)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.ndim == second.ndim > 0 and first.shape[1:] == second.shape[1:] and first.dtype == second.dtype:
            return torch.cat([first, second])
    elif isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        if (
            first.ndim == second.ndim > 0
            and first.shape[1:] == second.shape[1:]
            and first.dtype.kind == second.dtype.kind
        ):
            masked = np.ma.isMaskedArray(first) or np.ma.isMaskedArray(second)
            return (np.ma if masked else np).concatenate([first, second])
    elif (column := _joined_series(first, second)) is not None:
        return column
    return [*listed(first, names[0]), *listed(second, names[1])]


def _joined_series(first: Any, second: Any) -> Any:
    try:
        one, two = (nw.from_native(column, series_only=True) for column in (first, second))
    except (TypeError, NarwhalsError):
        return None
    if one.implementation != two.implementation or one.dtype != two.dtype:
        return None
    both = nw.concat([one.alias("column").to_frame(), two.alias("column").to_frame()])
    return both.get_column("column").alias(one.name).to_native()


def _check_widths(first: Any, second: Any, names: tuple[str, str]) -> None:
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"has {second.shape[1]} columns, but {names[0]} has {first.shape[1]}. Pass a table of the same columns.",
            at=Place(names[1]),
        )
