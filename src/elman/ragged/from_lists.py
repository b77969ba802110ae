"""Conversion of lists, arrays and tensors to steps, with the errors of `Ragged.of`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError, Place, ShapeError

_Array = np.ndarray[Any, Any]


def is_python(sequence: object) -> bool:
    """Whether it is made of Python numbers alone, which have no dtype of their own.

    >>> is_python([[1, 2], [3]]), is_python([np.float64(1)])
    (True, False)
    """
    if not isinstance(sequence, Sequence):
        return False
    kinds = set(map(type, sequence))
    if any(issubclass(kind, Sequence) for kind in kinds):
        return all(is_python(row) for row in sequence)
    return not any(issubclass(kind, Tensor) or hasattr(kind, "__array__") for kind in kinds)


def to_tensor(sequence: Any, name: str, dtype: torch.dtype | None) -> Tensor:
    """One sequence as a tensor `[length, ...]`, of its own dtype if `dtype` is None; `name` stands in messages.

    Raises `DataError` for what is not made of numbers, `ShapeError` for steps of mixed dtype.

    >>> to_tensor([[1, 2], [3, 4]], "sequence 0", None).shape
    torch.Size([2, 2])
    """
    if isinstance(sequence, Tensor):
        return sequence if dtype is None else sequence.to(dtype)
    if sequence is None or isinstance(sequence, str | bytes):
        hint = "Fill it or leave it out." if sequence is None else "Texts become steps through elman.features.Text."
        raise DataError(f"is {sequence!r}, not numbers. {hint}", at=Place(name))
    if np.ma.is_masked(sequence):
        raise DataError(
            f"is a masked array with {int(np.ma.getmaskarray(sequence).sum())} masked numbers. Fill them first.",
            at=Place(name),
        )
    if hasattr(sequence, "__array__"):
        return _from_array(np.asarray(sequence), name, dtype)
    if not isinstance(sequence, Sequence):
        raise DataError(f"is {sequence!r}, not a list, array or tensor of steps.", at=Place(name))
    rows = list(sequence)
    if any(issubclass(kind, Tensor | np.ndarray) for kind in set(map(type, rows))):
        return _from_rows([to_tensor(row, f"{name}, step {t}", dtype) for t, row in enumerate(rows)], name)
    try:
        return torch.tensor(rows, dtype=dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(_explain(rows, name, error)) from error


def _from_array(array: _Array, name: str, dtype: torch.dtype | None) -> Tensor:
    if array.dtype.kind not in "biufc":
        raise DataError(f"is an array of dtype {array.dtype}, not of numbers. Convert it first.", at=Place(name))
    native = array.astype(array.dtype.newbyteorder("="))  # a copy: torch wants it writable and without negative strides
    try:
        tensor = torch.from_numpy(native)
    except TypeError as error:
        raise DataError(f"is an array of dtype {array.dtype}, which torch does not have.", at=Place(name)) from error
    return tensor if dtype is None else tensor.to(dtype)


def _from_rows(rows: list[Tensor], name: str) -> Tensor:
    first = rows[0]
    for t, row in enumerate(rows):
        if row.shape != first.shape:
            raise DataError(
                f"has steps of unequal shape: step 0 has {list(first.shape)}, step {t} has {list(row.shape)}.",
                at=Place(name),
            )
        if row.dtype != first.dtype:
            raise ShapeError(
                f"has steps of mixed dtype: step 0 is {first.dtype}, step {t} is {row.dtype}.", at=Place(name)
            )
    return torch.stack(rows)


def _explain(rows: Sequence[Any], name: str, error: Exception, noun: str = "step") -> str:
    """Which of the rows torch could not read; its own words where no row is to blame."""
    lists = (list, tuple)
    widths = [f"{len(row)} numbers" if isinstance(row, lists) else "a bare number" for row in rows]
    for t, row in enumerate(rows):
        place = f"{name}, {noun} {t}"
        if row is None:
            return f"{place} is None, not a number. Fill it or leave it out."
        if isinstance(row, str | bytes):
            return f"{place} is {row!r}, not a number. Words become symbols through elman.features.Tokens."
        if widths[t] != widths[0]:
            return f"{name} has {noun}s of unequal width: {noun} 0 has {widths[0]}, {noun} {t} has {widths[t]}."
    for t, row in enumerate(rows):
        if isinstance(row, lists) and any(x is None or isinstance(x, str | bytes | list | tuple) for x in row):
            return _explain(row, f"{name}, {noun} {t}", error, "number")
    return f"{name} cannot be read as numbers: {error}."


def agree_dtype(given: list[Any], parts: list[Tensor], telling: list[int], dtype: torch.dtype | None) -> None:
    """Brings `parts` to one dtype: that of the tensors and arrays, to which Python numbers bend; nothing else does.

    `given` are the sequences as they came; `telling` numbers those that hold anything to agree about. Raises
    `ShapeError` for two devices or two dtypes.

    >>> parts = [torch.tensor([1, 2]), torch.tensor([0.5])]
    >>> agree_dtype([[1, 2], [0.5]], parts, [0, 1], None)
    >>> parts[0]
    tensor([1., 2.])
    """
    if not telling:
        return
    for i in telling:
        if parts[i].device != parts[telling[0]].device:
            there = parts[telling[0]].device
            raise ShapeError(
                f"is on {parts[i].device}, sequence {telling[0]} on {there}. Move one of them.", at=Place(sequence=i)
            )
    if dtype is not None or len({parts[i].dtype for i in telling}) == 1:
        return
    fixed = [i for i in telling if not is_python(given[i])]
    for i in fixed:
        if parts[i].dtype != parts[fixed[0]].dtype:
            raise ShapeError(
                f"has dtype {parts[i].dtype}, sequence {fixed[0]} has {parts[fixed[0]].dtype}. "
                "Nothing is converted silently: pass dtype= to convert all.",
                at=Place(sequence=i),
            )
    wanted = parts[fixed[0]].dtype if fixed else parts[telling[0]].dtype
    for i in telling if not fixed else ():
        wanted = torch.promote_types(wanted, parts[i].dtype)
    for i in telling:
        if parts[i].dtype != wanted:
            if not torch.can_cast(parts[i].dtype, wanted):
                raise ShapeError(
                    f"holds numbers of {parts[i].dtype}, sequence {fixed[0]} has dtype {wanted}. "
                    "Nothing is converted silently: pass dtype= to convert all.",
                    at=Place(sequence=i),
                )
            parts[i] = to_tensor(given[i], f"sequence {i}", wanted)  # from the numbers, so that none is rounded twice


def agree_shape(parts: list[Tensor], telling: list[int], width: int | None) -> tuple[int, ...]:
    """The shape of a step, which all sequences must have. Raises `ShapeError` where one has another.

    >>> agree_shape([torch.zeros(2, 3)], [0], None)
    (3,)
    """
    if not telling:
        return (width,) if width else ()
    first = telling[0]
    shape = tuple(parts[first].shape[1:])
    for i in telling:
        if tuple(parts[i].shape[1:]) != shape:
            raise ShapeError(
                f"has shape {list(parts[i].shape)}, sequence {first} has {list(parts[first].shape)}. "
                "All steps need the same shape.",
                at=Place(sequence=i),
            )
    found = math.prod(shape) if shape else 0
    if width is None or width == found:
        return shape
    if not shape and (width == 1 or not any(len(parts[i]) for i in telling)):
        return (width,)
    raise ShapeError(f"width = {width}, but sequence {first} has shape {list(parts[first].shape)}, of width {found}.")
