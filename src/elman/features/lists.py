"""Columns as lists of sequences."""

import io
import json
from collections.abc import Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from types import ModuleType
from typing import Any

import narwhals as nw
import numpy as np
from torch import Tensor

from elman.errors import DataError, OptionError, Place
from elman.ragged import Ragged
from elman.validation.columns import is_frame, is_missing
from elman.validation.messages import shown, type_name


def listed(column: Any, name: str, *, rows: bool = False) -> list[Any]:
    """A column as a list of its sequences, from anything with a length and an order: list, tuple, deque, array, tensor,
    a pandas, polars or Arrow column, any other sequence.

    An array ``[n, 1]`` of texts or of objects is a column of n; with `rows` each of its rows is a list. Raises
    `DataError` for anything else.

    >>> listed(("a", "b"), "X"), listed(np.array([["a"], ["b"]]), "X")
    (['a', 'b'], ['a', 'b'])
    """
    if isinstance(column, list | tuple):
        return _elements(list(column), name)
    if isinstance(column, Ragged):
        return [sequence.tolist() for sequence in column]
    if isinstance(column, np.ndarray | Tensor | memoryview):
        return _elements(_array_rows(column, name, rows), name)
    if isinstance(column, str | bytes | bytearray):
        raise DataError(
            f"is one {type_name(column)}, {shown(column)}. Wrap it in a list: [{shown(column)}].", at=Place(name)
        )
    if is_unordered(column):
        raise DataError(f"is a {type_name(column)}, which has no order. Pass a list of sequences.", at=Place(name))
    if hasattr(column, "to_pylist") and not hasattr(column, "column_names"):  # Arrow arrays, chunked or not
        return list(column.to_pylist())
    if is_frame(column):
        columns = ", ".join(repr(c) for c in list(nw.from_native(column).columns)[:8])
        raise DataError(
            f"is a frame with the columns {columns}. Pass one of them, such as frame['text'].", at=Place(name)
        )
    try:
        return _elements(list(nw.from_native(column, series_only=True).to_list()), name)
    except TypeError:
        return _elements(_in_order(column, name, rows), name)


def opened(value: Any, name: str = "X") -> Any:
    """What a caller gave, fit to be read several times: an iterator as a list, a Hugging Face data set as a dict of its
    columns, also within a dict; everything else unchanged.

    Raises `DataError` for a dict of data sets, of which one must be named.

    >>> opened(iter("ab")), opened({"text": iter("ab")}), opened(("a", "b"))
    (['a', 'b'], {'text': ['a', 'b']}, ('a', 'b'))
    """
    if value is None or isinstance(value, str | list | tuple | np.ndarray | Tensor | Ragged):
        return value
    if isinstance(value, Iterator) and not isinstance(value, io.IOBase):
        return list(value)
    if isinstance(value, Mapping) and not hasattr(value, "toarray"):  # a sparse matrix may be a dict by its places
        if value and all(map(_is_data_set, value.values())):
            names = ", ".join(map(repr, value))
            raise DataError(
                f"is a dict of the data sets {names}. Pass one of them: [{next(iter(value))!r}].", at=Place(name)
            )
        if any(isinstance(column, Iterator) for column in value.values()):
            return {key: opened(column, name) for key, column in value.items()}
    return {key: value[key] for key in value.column_names} if _is_data_set(value) else value


def _is_data_set(value: Any) -> bool:
    """Whether it is a `datasets.Dataset`, or works like one: a length, names of columns, and columns by their names."""
    if isinstance(value, Mapping | type) or not isinstance(getattr(value, "column_names", None), list):
        return False
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not hasattr(value, "schema")


def is_unordered(value: Any) -> bool:
    """Whether it is a set; the views of a dict are ordered.

    >>> is_unordered({1, 2}), is_unordered({1: 2}.keys())
    (True, False)
    """
    return isinstance(value, AbstractSet) and not isinstance(value, MappingView)


def _in_order(column: Any, name: str, rows: bool) -> list[Any]:
    """Anything with a length and an order as a list."""
    if hasattr(column, "__array__"):
        return _array_rows(np.asarray(column), name, rows)
    if hasattr(column, "__len__") and not isinstance(column, Mapping | ModuleType | type):
        try:
            return list(column)
        except TypeError:
            pass
    advice = "Pass list(...) of it." if isinstance(column, Iterator) else _COLUMNS
    raise DataError(f"is a {type_name(column)}. {advice}", at=Place(name)) from None


_COLUMNS = "Pass a list of sequences, or a pandas, polars or Arrow column."


def _array_rows(column: "np.ndarray[Any, Any] | Tensor | memoryview", name: str, rows: bool) -> list[Any]:
    """The rows of an array, or the values of one [n, 1] of texts or objects."""
    if isinstance(column, Tensor):
        column = column.detach() if column.requires_grad else column
    elif not np.ma.isMaskedArray(column):
        column = np.asarray(column)  # neither a matrix nor a memory view
    assert not isinstance(column, memoryview)
    if column.ndim == 0:
        raise DataError(f"is a single value, {shown(column.item())}. Pass a list of sequences.", at=Place(name))
    if column.ndim == 1:
        return list(column.tolist())
    if isinstance(column, Tensor) or column.dtype.kind not in "UTO":
        return list(column)
    if column.ndim == 2 and column.shape[1] == 1 and _is_column(column, rows):
        return list(column[:, 0].tolist())
    if not rows:
        check_rows(column, name)
    return list(column)


def _is_column(array: "np.ndarray[Any, Any]", rows: bool) -> bool:
    """Whether an array ``[n, 1]`` holds sequences, by its first value; texts do not count where `rows` are lists."""
    first = next((value for value in array.flat if not is_missing(value)), None)
    return hasattr(first, "__len__") and not (rows and isinstance(first, str))


def check_rows(array: "np.ndarray[Any, Any]", name: str) -> None:
    """Raises `DataError` for an array ``[n, m]`` that is a table of different columns, since those need names.

    >>> check_rows(np.array([["a", "dog"], ["the", "cat"]]), "X")
    """
    if array.ndim != 2 or array.dtype.kind not in "UTO" or array.shape[1] < 2:
        return
    kinds = [{isinstance(value, str) for value in column if not is_missing(value)} for column in array.T]
    texts = sum(len(value.split()) > 1 for value in array.flat if isinstance(value, str))
    if {True} in kinds and {False} in kinds:
        what = "columns of texts beside columns of others"
    elif 2 * texts > array.size:
        what = f"texts of several words in {array.shape[1]} columns"
    else:
        return
    raise DataError(
        f"is an array of {what}. Pass a frame, or a dict of columns, so that they have names.", at=Place(name)
    )


#: Types of elements that are unchanged.
_PLAIN = frozenset({str, int, float, bool, type(None), bytes, list, tuple, dict})


def _elements(values: list[Any], name: str) -> list[Any]:
    """The values of a column: 0-d arrays as numbers, ordered containers as lists."""
    if _PLAIN.issuperset(map(type, values)):
        return values
    return [_element(value, i, name) for i, value in enumerate(values)]


def _element(value: Any, i: int, name: str) -> Any:
    if isinstance(value, np.ndarray | Tensor):
        return value.item() if value.ndim == 0 and value is not np.ma.masked else value
    if isinstance(value, str | bytes | bytearray | list | tuple | Mapping):
        return value
    if is_unordered(value):
        raise DataError(
            f"is a {type_name(value)}, which has no order. Give a list in its place.", at=Place(name, sequence=i)
        )
    for way in ("as_py", "to_pylist"):  # of Arrow
        if hasattr(value, way) and not hasattr(value, "column_names"):
            return getattr(value, way)()
    if isinstance(value, memoryview):
        return np.asarray(value)
    ordered = hasattr(value, "__len__") and (hasattr(value, "__iter__") or hasattr(value, "__getitem__"))
    known = hasattr(value, "__array__") or hasattr(value, "to_list") or hasattr(value, "columns")
    return list(value) if ordered and not known and not isinstance(value, Ragged | type) else value


def json_list(line: str, place: Place) -> Any:
    """Parses a JSON list. Raises ``DataError``, naming the place.

    >>> json_list('["a", 7]', Place(line=1))
    ['a', 7]
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f": {line[:40]!r} is no JSON list ({error}).", at=place) from None


def prompt_list(prompt: str, example: str) -> list[Any]:
    """Parses the prompt of the command line as a list, [] for an empty one. Raises ``OptionError``.

    >>> prompt_list("", "[1]"), prompt_list("[[60], []]", "[1]")
    ([], [[60], []])
    """
    try:
        found = json.loads(prompt or "[]")
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate can be read, but not printed
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise OptionError(f"prompt {shown(prompt)} is no JSON list. This model continues lists: {example}")
    return found
