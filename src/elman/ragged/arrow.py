"""Arrow list columns as arrays of numbers. pyarrow is imported only here, and only when it is needed."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError

_Array = np.ndarray[Any, Any]


def pyarrow() -> Any:
    """Imports the library. Raises `ModuleNotFoundError` with the install command.

    >>> pyarrow().__name__
    'pyarrow'
    """
    try:
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Arrow columns need pyarrow: pip install pyarrow", name="pyarrow") from error


def is_list_type(kind: Any) -> bool:
    """Whether it is a type of lists, of any kind.

    >>> pa = pyarrow()
    >>> is_list_type(pa.list_(pa.int64())), is_list_type(pa.int64())
    (True, False)
    """
    types = pyarrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def joined(column: Any) -> Any:
    """One array, with 64-bit offsets where it has offsets: many chunks together may pass what 32 bits can count.

    >>> pa = pyarrow()
    >>> joined(pa.chunked_array([[[1]], [[2, 3]]])).to_pylist()
    [[1], [2, 3]]
    """
    pa = pyarrow()
    if pa.types.is_list(column.type):
        column = column.cast(pa.large_list(column.type.value_field))
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def nulls(array: Any) -> list[int]:
    """The indices of nulls.

    >>> nulls(pyarrow().array([1, None]))
    [1]
    """
    if not array.null_count:
        return []
    return np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist()


def list_lengths(array: Any) -> Tensor:
    """The length of each list, int64.

    >>> list_lengths(pyarrow().array([[1, 2], []]))
    tensor([2, 0])
    """
    if pyarrow().types.is_fixed_size_list(array.type):
        return torch.full((len(array),), array.type.list_size, dtype=torch.int64, device="cpu")
    return torch.from_numpy(array.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))


def numbers_of(array: Any, place: Callable[[int], str]) -> _Array:
    """Numbers `[len(array), ...]`; `place` says in words where element i stands in the column.

    Raises `DataError` for a null, for steps of unequal width, and for what is no number.

    >>> numbers_of(pyarrow().array([[1, 2], [3, 4]]), "step {}".format).tolist()
    [[1, 2], [3, 4]]
    """
    types = pyarrow().types
    for i in nulls(array):
        raise DataError(f"{place(i)} is null. Fill it, or leave the step out.")
    if is_list_type(array.type):
        widths = list_lengths(array)
        width = int(widths[0]) if len(widths) else max(0, getattr(array.type, "list_size", 0))
        for i in torch.nonzero(widths != width).flatten().tolist():
            raise DataError(f"{place(i)} has {int(widths[i])} numbers, {place(0)} has {width}. All steps need as many.")
        inner = numbers_of(array.flatten(), lambda i: place(i // width))
        return inner.reshape(len(array), width, *inner.shape[1:])
    if types.is_null(array.type):  # the type of a column of empty lists
        return torch.empty(0, device="cpu").numpy()
    if not (types.is_integer(array.type) or types.is_floating(array.type) or types.is_boolean(array.type)):
        raise DataError(f"from_arrow expects lists of numbers, got lists of {array.type}.")
    numbers: _Array = np.array(array.to_numpy(zero_copy_only=False))  # copied: Arrow's memory is read-only
    return numbers
