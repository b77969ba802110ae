"""Reading numbers: lists, arrays, tensors, frames and `Ragged` as float64 arrays, in which NaN means missing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.containers import by_name, is_sparse, is_table
from elman.features.lists import listed
from elman.ragged import Ragged
from elman.validation.columns import is_frame, is_missing, of_categories
from elman.validation.messages import seen

Array = np.ndarray[Any, Any]


def read(column: Any, name: str, width: int | None = None) -> tuple[Array, Array]:
    """All steps `[steps, width]` in float64, and the length of each sequence. `width`: that of the training data."""
    if isinstance(column, Ragged):
        flat = read_one(column.values, Place(name))
        if flat.ndim > 2:
            raise DataError(f"has steps of shape {list(flat.shape[1:])}. Numbers reads [steps, width].", at=Place(name))
        flat = flat.reshape(len(flat), -1) if flat.ndim == 2 else flat[:, None]
        _check_width(flat.shape[1], width, Place(name))
        return flat, column.lengths.numpy()
    whole = _whole(column, name)
    if whole is not None:
        _check_width(whole.shape[2], None, Place(name))
        _check_width(whole.shape[2], width, Place(name))
        return whole.reshape(-1, whole.shape[2]), np.full(len(whole), whole.shape[1], dtype=np.int64)
    arrays = [_sequence(sequence, i, name) for i, sequence in enumerate(listed(column, name))]
    telling = next((i for i, array in enumerate(arrays) if array.ndim == 2), None)
    found = width if width is not None else 1 if telling is None else arrays[telling].shape[1]
    for i, array in enumerate(arrays):
        at = Place(name, sequence=i)
        _check_width(array.shape[-1] if array.ndim == 2 else found, None, at)
        if array.ndim == 2 and array.shape[1] != found:
            if width is None:
                raise DataError(
                    f"has {array.shape[1]} numbers a step, ", Place(sequence=telling), f" has {found}.", at=at
                )
            _check_width(array.shape[1], width, at)
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    parts = [array.reshape(-1, found) for array in arrays]
    return np.concatenate(parts) if parts else np.zeros((0, found)), lengths


def _check_width(got: int, width: int | None, at: Place) -> None:
    if got == 0:
        raise DataError("has steps without a number. Each step needs at least one.", at=at)
    if width is not None and got != width:
        raise DataError(f"has {got} numbers a step, but the feature was fitted on {width}.", at=at)


def _whole(column: Any, name: str) -> Array | None:
    """A column that is one array, as `[sequences, length, width]`; None if it is a list of sequences."""
    if is_sparse(column):
        raise DataError(f"is a sparse matrix, but dense data is required: {name}.toarray().", at=Place(name))
    if isinstance(column, np.ndarray | Tensor):
        if isinstance(column, np.ndarray) and column.dtype.kind in "UTO" and not is_table(column):
            return None
        array = read_one(column, Place(name), ("sequence", "step", "column"))
    elif not isinstance(column, list | tuple | str | bytes) and is_frame(column, name):
        columns = by_name(column, name)
        if not columns:
            raise DataError("is a frame without columns.", at=Place(name))
        array = read_table(columns, name)
    else:
        return None
    if array.ndim == 1:
        raise DataError(
            f"is a 1-D array of {len(array)} numbers. Reshape your data: {name}[None] is one sequence, "
            f"{name}[:, None] is {len(array)} sequences of one step.",
            at=Place(name),
        )
    if array.ndim not in (2, 3):
        raise DataError(
            f"has shape {list(array.shape)}. Numbers reads [sequences, length] or with a width.", at=Place(name)
        )
    return array[:, :, None] if array.ndim == 2 else array


def number_table(columns: Mapping[str, Any], name: str = "X") -> Array | None:
    """Columns that hold one number a row each, side by side: float64 [rows, columns], NaN where one is missing.

    None if any of them holds anything else, or none holds a number. Values count where a column is one of objects.

    >>> number_table({"a": [1, None], "b": [True, 2.5]}).tolist()
    [[1.0, 1.0], [nan, 2.5]]
    """
    found = [_holds_numbers(column, key) for key, column in columns.items()]
    return read_table(columns, name) if True in found and False not in found else None


def read_table(columns: Mapping[str, Any], name: str = "X") -> Array:
    """The same of columns that must hold numbers. Raises ``DataError`` naming the column, and the row where it can.

    >>> read_table({"a": [1, 2], "b": [3, 4]}).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    for key, column in columns.items():
        if _holds_numbers(column, key) is False:
            first = next((value for value in listed(column, key) if not is_missing(value)), None)
            raise DataError(f"of the frame holds {seen(first)}, not numbers.", at=Place(name, column=key))
    made = {key: read_one(_values(column, key), Place(name, column=key), ("row",)) for key, column in columns.items()}
    first = next(iter(made))
    for key, values in made.items():
        if values.ndim != 1:
            raise DataError(f"holds arrays of shape {list(values.shape[1:])}, not numbers.", at=Place(name, column=key))
        if len(values) != len(made[first]):
            at = Place(name, column=key)
            raise DataError(f"has {len(values)} rows, {first!r} has {len(made[first])}.", at=at)
    return np.stack(list(made.values()), axis=1)


def _values(column: Any, name: str) -> Any:
    if isinstance(column, np.ndarray | Tensor):
        return column
    try:
        found = nw.from_native(column, series_only=True).to_numpy()
    except TypeError:
        values = listed(column, name)
        found = np.empty(len(values), dtype=object)
        found[:] = values
    return found


def _holds_numbers(column: Any, name: str) -> bool | None:
    """Whether a column holds single numbers or truth values, as its type or its first value tells; None: neither."""
    if isinstance(column, np.ndarray | Tensor) and column.ndim != 1:
        return False
    if isinstance(column, Tensor) or (isinstance(column, np.ndarray) and column.dtype.kind in "biuf"):
        return True
    if of_categories(column):
        return False
    try:
        dtype = nw.from_native(column, series_only=True).dtype
    except TypeError:
        dtype = nw.Object()
    if dtype.is_numeric() or dtype == nw.Boolean:
        return True
    if dtype.is_temporal() or dtype.is_nested():
        return False
    first = next((value for value in listed(column, name) if not is_missing(value)), None)
    if first is None:
        return None
    return (hasattr(first, "__float__") or isinstance(first, complex)) and not hasattr(first, "__len__")


def _sequence(value: Any, i: int, name: str) -> Array:
    """One sequence: `[length, width]`, or `[0]` where an empty one tells no width."""
    if is_missing(value) or isinstance(value, str | bytes | Mapping | set):
        raise DataError(
            f"is {seen(value)}. Numbers reads arrays [length] or [length, width].", at=Place(name, sequence=i)
        )
    array = read_one(value, Place(name, sequence=i))
    if array.ndim == 0:
        raise DataError(
            f"is {seen(value)}. A sequence is a list of numbers. "
            f"Reshape your data: {name} as one sequence is [{name}].",
            at=Place(name, sequence=i),
        )
    if array.ndim > 2:
        raise DataError(
            f"has shape {list(array.shape)}. Numbers reads [length] or [length, width].", at=Place(name, sequence=i)
        )
    return array[:, None] if array.ndim == 1 and len(array) else array


def read_one(value: Any, place: Place, axes: tuple[str, ...] = ("step", "column"), advice: str = "") -> Array:
    """Numbers of any kind as float64 of the same shape, NaN where one is missing: None, NaN, NA or masked.

    `axes`: what a ``Place`` calls the dimensions. Raises ``DataError`` for texts, followed by `advice`, for complex
    numbers and for lists of unequal length.

    >>> read_one([1, None, 2.5], Place("X")).tolist()
    [1.0, nan, 2.5]
    """
    if isinstance(value, Tensor):
        if value.is_nested or value.layout != torch.strided:
            raise DataError(
                f"is a tensor of layout {value.layout}. Pass Ragged.from_nested(x), or x.to_dense().", at=place
            )
        value = value.detach().to("cpu", torch.float64 if value.is_floating_point() else value.dtype)
    try:
        array = np.ma.filled(value.astype(np.float64), np.nan) if np.ma.isMaskedArray(value) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        raise DataError("has steps of unequal sizes, or holds something other than numbers.", at=place) from None
    if array.dtype.kind in "US" and not isinstance(value, np.ndarray):  # NumPy makes texts of the numbers beside a text
        array = np.asarray(value, dtype=object)
    if array.dtype == object:
        array = _from_objects(array, place, axes, advice)
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported: ", place, f" holds {array.dtype}. Give its parts as two columns.")
    if array.dtype.kind not in "biuf":
        what = "text" if array.dtype.kind in "US" else str(array.dtype)
        raise DataError(f"holds {what}, not numbers.{advice}", at=place)
    return array.astype(np.float64)


def _from_objects(array: Array, place: Place, axes: tuple[str, ...], advice: str) -> Array:
    """An array of Python objects, if each is a number or missing."""
    found = np.full(array.shape, np.nan)
    for at, value in np.ndenumerate(array):
        if is_missing(value):
            continue
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            found[at] = float(value)
        except (ValueError, TypeError, OverflowError):
            known = replace(place, **dict(zip(axes, at, strict=False)))
            raise DataError(f"is {seen(value)}, where a number was expected.{advice}", at=known) from None
    return found


def center_and_spread(values: Array) -> tuple[float, float]:
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


def place(at: int, column: int, offsets: Array, width: int, name: str) -> Place:
    """Where a number stands, for an error message: `X: sequence 0, step 3, column 1`.

    >>> print(place(3, 0, np.array([0, 2, 5]), 1, "X"))
    X: sequence 1, step 1
    """
    sequence = int(np.searchsorted(offsets, at, side="right")) - 1
    return Place(name, sequence=sequence, step=int(at - offsets[sequence]), column=None if width == 1 else int(column))
