"""Numbers as steps: series and signals of one or several columns, scaled by what the training data show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
import torch
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, OptionError
from elman.features.base import Feature, checked, is_frame, is_missing, listed, seen, shown
from elman.ragged import Ragged

__all__ = ["Numbers"]

SCALES = ("standard", "none")
_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float64).tiny)
_Array = np.ndarray[Any, Any]


class Values(nn.Module):
    """The input layer of numbers: the values as they are.

    >>> Values(3)(Ragged.of([[[1.0, 2.0, 3.0]]])).values
    tensor([[1., 2., 3.]])
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Ragged) -> Ragged:
        """`[steps, width]` → the same."""
        return x

    def step(self, values: Tensor) -> Tensor:
        """`[..., width]` → the same."""
        return values


@dataclass
class Numbers(Feature):
    """Numbers as steps: float32 `[steps, width]`, each column scaled to mean 0 and deviation 1 over all training steps.

    ```
    y_t = (x_t - mean) / deviation        a column that never changes has deviation 1
    ```

    A column of the data is a list of arrays `[length]` or `[length, width]`, a 3-D array, a 2-D array `[sequences,
    length]` of one number a step, a frame of numbers (the same), a `Ragged`, or a list column of a frame. Integers and
    booleans are numbers too. Raises `DataError` naming sequence, step and column for NaN and infinities, for a width
    that differs from that of the training data, and for a number that leaves the range of float32.

    >>> numbers = Numbers().fit([[1, 2, 3], [], [4, 5]])
    >>> numbers.transform([[3], [1, 5]]).values.flatten()
    tensor([ 0.0000, -1.4142,  1.4142])
    >>> Numbers().fit([[1.0, float("nan")]])
    Traceback (most recent call last):
    elman.errors.DataError: X: sequence 0, step 1 is NaN. Missing values are not supported yet; fill or drop them first.
    """

    kind: ClassVar[str] = "numbers"

    scale: str = "standard"  # standard: mean 0, deviation 1 in each column, learnt from the training data; none: as is

    def fit(self, column: Any, *, name: str = "X") -> Self:
        """Learns width, mean and deviation of the columns."""
        self.fit_transform(column, name=name)
        return self

    def fit_transform(self, column: Any, *, name: str = "X") -> Ragged:
        """The same as `fit` and then `transform`, but reads the numbers once less."""
        if self.scale not in SCALES:
            raise OptionError(f"scale = {self.scale!r} must be standard or none")
        values, lengths = _values(column, name)
        if not len(lengths):
            raise DataError(f"{name} holds no sequences. Fitting needs at least one.")
        self.width_ = values.shape[1]
        if self.scale == "standard" and len(values):
            self.mean_, self.deviation_ = _statistics(values)
        else:
            self.mean_, self.deviation_ = np.zeros(self.width_), np.ones(self.width_)
        return self._scaled(values, lengths, name)

    def transform(self, column: Any, *, name: str = "X") -> Ragged:
        """The scaled numbers of each sequence: float32 values `[steps, width]`."""
        self._check_fitted()
        values, lengths = _values(column, name, self.width_)
        return self._scaled(values, lengths, name)

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The steps `[steps, width]` of one step (a number, or `width` numbers) or of several (`[steps, width]`)."""
        self._check_fitted()
        array = _array(value, 0, name)
        if array.ndim == 0 or (array.ndim == 1 and self.width_ > 1 and len(array)):
            array = array.reshape(1, -1)
        return self.transform([array], name=name).values

    def module(self, width: int, dropout: float = 0.0) -> Values:
        """The values as they are: `outputs` is the number of columns, whatever `width` and `dropout` say."""
        self._check_fitted()
        return Values(self.width_)

    def config(self) -> dict[str, Any]:
        """The option and the number of columns."""
        self._check_fitted()
        return {"scale": self.scale, "width": self.width_}

    def tensors(self) -> dict[str, Tensor]:
        """Mean and deviation of each column, float64 `[width]`."""
        self._check_fitted()
        return {"mean": torch.from_numpy(self.mean_.copy()), "deviation": torch.from_numpy(self.deviation_.copy())}

    @classmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> Self:
        """The saved feature. Raises `ModelFileError` if its scale cannot be right."""
        made = cls(scale=checked(config, "scale", str, cls.kind))
        made.width_ = checked(config, "width", int, cls.kind)
        if made.scale not in SCALES or made.width_ < 1:
            raise ModelFileError(f"the saved numbers feature has scale = {made.scale!r} and width = {made.width_}.")
        arrays = []
        for key in ("mean", "deviation"):
            tensor = tensors.get(key)
            if tensor is None or tensor.dtype != torch.float64 or tensor.shape != (made.width_,):
                is_now = "is missing" if tensor is None else f"is {tensor.dtype} {list(tensor.shape)}"
                raise ModelFileError(f"the saved tensor {key} {is_now}; expected torch.float64 [{made.width_}].")
            arrays.append(tensor.detach().cpu().numpy().copy())
        made.mean_, made.deviation_ = arrays
        if not (np.isfinite(arrays).all() and (made.deviation_ > 0).all()):
            raise ModelFileError("the saved mean and deviation must be finite, and the deviation above 0.")
        return made

    def describe(self) -> str:
        """One line: `numbers, 3 columns, scaled to mean 0 and deviation 1`."""
        self._check_fitted()
        columns = "1 column" if self.width_ == 1 else f"{self.width_} columns"
        return f"numbers, {columns}, " + ("scaled to mean 0 and deviation 1" if self.scale == "standard" else "as is")

    # ---- inside

    def _check_fitted(self) -> None:
        if not hasattr(self, "width_"):
            raise OptionError("this Numbers is not fitted. Call fit(sequences) first.")

    def _scaled(self, values: _Array, lengths: _Array, name: str) -> Ragged:
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        _check_finite(values, offsets, name)
        # Halves, because the difference of two numbers near the end of float64 would leave it.
        scaled = (values * 0.5 - self.mean_ * 0.5) / (self.deviation_ * 0.5) if self.scale == "standard" else values
        if (large := np.argwhere(~(np.abs(scaled) <= _LARGEST))).size:
            at, column = large[0]
            place = _place(at, column, offsets, values.shape[1], name)
            advice = 'Use scale="standard", or divide.' if self.scale == "none" else "It is far from the training data."
            raise DataError(f"{place} is {values[at, column]:g}, too large for float32 once scaled. {advice}")
        return Ragged(torch.from_numpy(scaled.astype(np.float32)), torch.from_numpy(offsets))


def _statistics(values: _Array) -> tuple[_Array, _Array]:
    """Mean and deviation of each column, for values up to the end of float64."""
    low, high = values.min(axis=0), values.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return np.zeros(len(low)), np.ones(len(low))  # refused a moment later, with its place
    largest = np.maximum(np.maximum(np.abs(low), np.abs(high)), _SMALLEST)
    ratio = values / largest
    mean, deviation = ratio.mean(axis=0) * largest, ratio.std(axis=0) * largest
    constant = (low == high) | (deviation < _SMALLEST)
    return np.where(constant, low, mean), np.where(constant, 1.0, deviation)


# ---- the arrays


def _values(column: Any, name: str, width: int | None = None) -> tuple[_Array, _Array]:
    """All steps `[steps, width]` in float64, and the length of each sequence. `width`: that of the training data."""
    if isinstance(column, Ragged):
        flat = _array(column.values, None, name)
        if flat.ndim > 2:
            raise DataError(f"{name} has steps of shape {list(flat.shape[1:])}. Numbers reads [steps, width].")
        flat = flat.reshape(len(flat), -1) if flat.ndim == 2 else flat[:, None]
        _check_width(flat.shape[1], width, name, "")
        return flat, column.lengths.numpy()
    whole = _whole(column, name)
    if whole is not None:
        _check_width(whole.shape[2], None, name, "")
        _check_width(whole.shape[2], width, name, "")
        return whole.reshape(-1, whole.shape[2]), np.full(len(whole), whole.shape[1], dtype=np.int64)
    arrays = [_sequence(sequence, i, name) for i, sequence in enumerate(listed(column, name))]
    telling = next((i for i, array in enumerate(arrays) if array.ndim == 2), None)
    found = width if width is not None else 1 if telling is None else arrays[telling].shape[1]
    for i, array in enumerate(arrays):
        _check_width(array.shape[-1] if array.ndim == 2 else found, None, name, f": sequence {i}")
        if array.ndim == 2 and array.shape[1] != found:
            if width is None:
                raise DataError(
                    f"{name}: sequence {i} has {array.shape[1]} numbers a step, sequence {telling} has {found}."
                )
            _check_width(array.shape[1], width, name, f": sequence {i}")
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    parts = [array.reshape(-1, found) for array in arrays]
    return np.concatenate(parts) if parts else np.zeros((0, found)), lengths


def _check_width(got: int, width: int | None, name: str, place: str) -> None:
    if got == 0:
        raise DataError(f"{name}{place} has steps without a number. Each step needs at least one.")
    if width is not None and got != width:
        raise DataError(f"{name}{place} has {got} numbers a step, but the feature was fitted on {width}.")


def _whole(column: Any, name: str) -> _Array | None:
    """A column that is one array, as `[sequences, length, width]`; None if it is a list of sequences."""
    if hasattr(column, "toarray") and hasattr(column, "nnz"):
        raise DataError(f"{name} is a sparse matrix, but dense data is required: {name}.toarray().")
    if isinstance(column, np.ndarray | Tensor):
        if column.ndim == 1 and isinstance(column, np.ndarray) and column.dtype == object:
            return None
        array = _array(column, None, name)
    elif not isinstance(column, list | tuple | str | bytes) and is_frame(column):
        array = _frame(column, name)
    else:
        return None
    if array.ndim == 1:
        raise DataError(
            f"{name} is a 1-D array of {len(array)} numbers. Reshape your data: {name}[None] is one sequence, "
            f"{name}[:, None] is {len(array)} sequences of one step."
        )
    if array.ndim not in (2, 3):
        raise DataError(f"{name} has shape {list(array.shape)}. Numbers reads [sequences, length] or with a width.")
    return array[:, :, None] if array.ndim == 2 else array


def _frame(column: Any, name: str) -> _Array:
    frame = nw.from_native(column, eager_only=True)
    if not frame.columns:
        raise DataError(f"{name} is a frame without columns.")
    for key, dtype in frame.schema.items():
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise DataError(f"{name}: column {key!r} of the frame holds {dtype}, not numbers. Pass one of the columns.")
    return np.stack([_array(frame.get_column(key).to_numpy(), None, name) for key in frame.columns], axis=1)


def _sequence(value: Any, i: int, name: str) -> _Array:
    """One sequence: `[length, width]`, or `[0]` where an empty one tells no width."""
    if is_missing(value) or isinstance(value, str | bytes | Mapping | set):
        raise DataError(f"{name}: sequence {i} is {seen(value)}. Numbers reads arrays [length] or [length, width].")
    array = _array(value, i, name)
    if array.ndim == 0:
        raise DataError(
            f"{name}: sequence {i} is {seen(value)}. A sequence is a list of numbers. "
            f"Reshape your data: {name} as one sequence is [{name}]."
        )
    if array.ndim > 2:
        raise DataError(
            f"{name}: sequence {i} has shape {list(array.shape)}. Numbers reads [length] or [length, width]."
        )
    return array[:, None] if array.ndim == 1 and len(array) else array


def _array(value: Any, i: int | None, name: str) -> _Array:
    """Numbers of any kind as float64. `i`: the sequence that they are, None if all."""
    place = name if i is None else f"{name}: sequence {i}"
    if isinstance(value, Tensor):
        if value.is_nested or value.layout != torch.strided:
            raise DataError(
                f"{place} is a tensor of layout {value.layout}. Pass Ragged.from_nested(x), or x.to_dense()."
            )
        value = value.detach().to("cpu", torch.float64 if value.is_floating_point() else value.dtype)
    try:
        array = np.ma.filled(value.astype(np.float64), np.nan) if np.ma.isMaskedArray(value) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        raise DataError(f"{place} has steps of different widths, or holds something other than numbers.") from None
    if array.dtype == object:
        array = _from_objects(array, i, name)
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported: {place} holds {array.dtype}. Give its parts as two columns.")
    if array.dtype.kind not in "biuf":
        what = "text" if array.dtype.kind in "US" else str(array.dtype)
        raise DataError(f"{place} holds {what}, not numbers.")
    return array.astype(np.float64)


def _from_objects(array: _Array, i: int | None, name: str) -> _Array:
    """An array of Python objects, if each is a number."""
    for at, value in np.ndenumerate(array):
        if not is_missing(value) and not isinstance(value, str | bytes) and hasattr(value, "__float__"):
            continue
        where = at if i is None else (i, *at)
        place = ", ".join(f"{word} {n}" for word, n in zip(("sequence", "step", "column"), where, strict=False))
        if is_missing(value):
            advice = "Missing values are not supported yet; fill or drop them first."
            raise DataError(f"{name}: {place} is {shown(value)}. {advice}")
        raise DataError(f"{name}: {place} is {seen(value)}, where a number was expected.")
    try:
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{name} holds something that is no number: {error}.") from None


def _check_finite(values: _Array, offsets: _Array, name: str) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    at, column = np.argwhere(~finite)[0]
    place = _place(at, column, offsets, values.shape[1], name)
    if np.isnan(values[at, column]):
        raise DataError(f"{place} is NaN. Missing values are not supported yet; fill or drop them first.")
    raise DataError(f"{place} is infinite ({values[at, column]}). Replace it with a number first.")


def _place(at: int, column: int, offsets: _Array, width: int, name: str) -> str:
    sequence = int(np.searchsorted(offsets, at, side="right")) - 1
    place = f"{name}: sequence {sequence}, step {at - offsets[sequence]}"
    return place if width == 1 else f"{place}, column {column}"
