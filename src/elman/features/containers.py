"""Input containers (lists, arrays, tensors, dicts, pandas, polars, Arrow) as one of few forms.

These are columns by name, a table of numbers, or a list of sequences; equal data have the same form in every container.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.base import Feature
from elman.features.lists import check_rows, listed
from elman.ragged import Ragged
from elman.validation.columns import is_frame, is_missing


def is_sparse(X: Any) -> bool:
    """Whether it is one of SciPy's sparse matrices, some of which are dicts.

    >>> is_sparse({})
    False
    """
    return hasattr(X, "toarray") and hasattr(X, "nnz")


def by_name(X: Any, name: str = "X") -> dict[str, Any] | None:
    """The columns of a frame, of a structured array or of a dict of columns; None for what has no names.

    Other names than texts, such as the numbers of ``pd.DataFrame(array)``, become texts. Raises ``DataError`` if two
    are then equal; `name` is the name of `X` in messages.

    >>> by_name({"a": [1, 2], 0: [3, 4]}), by_name([1, 2])
    ({'a': [1, 2], '0': [3, 4]}, None)
    """
    if is_sparse(X) or isinstance(X, list | tuple | Tensor | Ragged):
        return None
    if isinstance(X, np.ndarray):
        return None if X.dtype.names is None else {key: X[key] for key in X.dtype.names}
    if isinstance(X, Mapping):
        return _texts(X, X.values(), name)
    if type(X).__name__ == "RecordBatch" and hasattr(X, "to_pydict"):
        return _texts(X.schema.names, X.columns, name)
    if not is_frame(X, name):
        return None
    frame: Any = nw.from_native(X, eager_only=True)
    columns = [frame.get_column(key).to_native() for key in frame.columns]  # frame[key] of a number would be a place
    return _texts(frame.columns, columns, name)


def _texts(keys: Iterable[Any], columns: Iterable[Any], name: str) -> dict[str, Any]:
    """Columns by their names as texts."""
    found: dict[str, Any] = {}
    whose: dict[str, Any] = {}
    for key, column in zip(keys, columns, strict=True):
        text = key if type(key) is str else str(key)
        if text in found:
            raise DataError(
                f"has two columns called {text!r}: {whose[text]!r} and {key!r}. Rename one.", at=Place(name)
            )
        found[text], whose[text] = column, key
    return found


def column_named(y: Any, columns: Mapping[str, Any] | None) -> str | None:
    """The column that `y` names: a text, or another name of one of the `columns` in pandas, such as a number.

    >>> column_named("a", None), column_named(1, {"1": []}), column_named(2, {"1": []}) is None
    ('a', '1', True)
    """
    if isinstance(y, str):
        return y
    named = isinstance(y, int | np.integer | dt.date) and columns is not None and str(y) in columns
    return str(y) if named else None


def name_of(column: Any) -> str | None:
    """The name that a column of pandas or polars has.

    >>> name_of([1]) is None
    True
    """
    name = None if isinstance(column, np.ndarray | Tensor) else getattr(column, "name", None)
    if callable(name) or is_missing(name) or not (hasattr(column, "to_list") or hasattr(column, "to_numpy")):
        return None
    return str(name) or None


def column_of(X: Any, reader: type[Feature] | None = None, name: str = "X") -> Any:
    """A container other than a frame as a list of sequences; an array, tensor or `Ragged` of numbers is unchanged.

    `reader` is the feature that will read it, None if inferred. An array ``[n, 1]`` of texts is a column of n texts,
    unless the feature reads lists, and so is a list of lists with one text of several words each.

    >>> column_of(np.array([["a film"], ["a book"]])), column_of([["a film"], ["a book"]])
    (['a film', 'a book'], ['a film', 'a book'])
    """
    if isinstance(X, Tensor | np.ndarray) and X.ndim == 0:
        return listed(X, name)  # refuses it
    if isinstance(X, Tensor | Ragged) or is_sparse(X):
        return X
    columns = None if isinstance(X, Mapping) else by_name(X, name)
    if columns is not None and len(columns) == 1:
        return column_of(next(iter(columns.values())), reader, name)
    if (
        columns is None
        and not isinstance(X, np.ndarray | list | tuple)
        and hasattr(X, "__array__")
        and not hasattr(X, "to_list")
    ):
        X = X if hasattr(X, "to_pylist") else np.asarray(X)
    if isinstance(X, np.ndarray) and (X.dtype.kind not in "UTO" or is_table(X)):
        check_rows(X, name)
        return X
    rows = reader is not None and reader.reads_lists
    found = listed(X, name, rows=rows)
    boxed = not rows and _boxed(found, single=reader is not None and reader.reads_texts, several=reader is None)
    return [sequence[0] for sequence in found] if boxed else found


def is_table(array: NDArray[Any]) -> bool:
    """Whether an array of objects is a table of numbers, or could only be read as one.

    >>> is_table(np.array([[1, None]], dtype=object)), is_table(np.array([["a film"]], dtype=object))
    (True, False)
    """
    if array.dtype != object or array.ndim < 2:
        return False
    first = next((value for value in array.flat if not is_missing(value)), 0.0)
    return not isinstance(first, str) and (array.shape[1] > 1 or not hasattr(first, "__len__"))


def _boxed(sequences: list[Any], single: bool, several: bool) -> bool:
    """Whether each sequence is a list of a `single` text, or of one, where one of them is of `several` words."""
    for sequence in sequences:
        if not isinstance(sequence, list | tuple) or len(sequence) != 1 or not isinstance(sequence[0], str):
            return False
    return bool(sequences) and (single or (several and any(len(sequence[0].split()) > 1 for sequence in sequences)))
