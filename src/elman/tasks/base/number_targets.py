"""Numbers to be found: one or several for each sequence, or for each of its steps; any of them may be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.lists import listed
from elman.features.missing_values import floats
from elman.ragged import Ragged
from elman.validation.columns import is_frame
from elman.validation.messages import seen

__all__ = ["NumberTargets", "number_targets"]

_ADVICE = " For names use Classifier."
_Floats = NDArray[np.float64]


@dataclass
class NumberTargets:
    """The numbers of all sequences, a row each; with `lengths` a row for each step, sequence after sequence."""

    values: _Floats  # [rows, outputs]; NaN where one is missing
    lengths: NDArray[np.int64] | None = None  # [sequences] with a row per step; None: a row per sequence
    names: list[str] | None = None  # of the outputs, where they came with names
    flat: bool = False  # they came as one number each, and so go the answers

    def __len__(self) -> int:
        return len(self.values) if self.lengths is None else len(self.lengths)

    @property
    def outputs(self) -> int:
        """How many numbers there are in a row."""
        return int(self.values.shape[1])

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each sequence begins among the rows, and the number of rows at the end."""
        lengths = np.ones(len(self.values), np.int64) if self.lengths is None else self.lengths
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def known(self) -> NDArray[np.bool_]:
        """Whether a sequence has any number at all."""
        rows = np.concatenate([np.zeros(1, np.int64), np.cumsum(~np.isnan(self.values).all(axis=1))])
        offsets = self.offsets
        return rows[offsets[1:]] > rows[offsets[:-1]]

    def take(self, indices: NDArray[np.int64]) -> Self:
        """Those of the chosen sequences."""
        if self.lengths is None:
            return type(self)(self.values[indices], None, self.names, self.flat)
        offsets = self.offsets
        rows = [np.arange(offsets[i], offsets[i + 1]) for i in indices.tolist()]
        chosen = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        return type(self)(self.values[chosen], self.lengths[indices], self.names, self.flat)

    def check_steps(self, steps: Tensor, indices: NDArray[np.int64] | None = None) -> None:
        """Raises ``DataError`` unless there is a row for each step. `indices`: the places of the sequences in y."""
        if self.lengths is None:
            return
        wrong = np.flatnonzero(self.lengths != steps.numpy())
        if len(wrong):
            i = int(wrong[0])
            place = i if indices is None else int(indices[i])
            raise DataError(
                f"has {self.lengths[i]} numbers, but {int(steps[i])} steps in X. With "
                "every_step = True each step needs one; write NaN where it is unknown.",
                at=Place("y", sequence=place),
            )


def number_targets(y: Any, sequences: int, every_step: bool = False) -> NumberTargets:
    """Numbers out of whatever they come in; `sequences` is how many there must be.

    One number a sequence is a list, array or column; several are lists of equal length, an array [sequences, outputs],
    a frame of several columns, or a dict from name to column. With `every_step` each is an array [length] or [length,
    outputs], or all of them are a `Ragged`. None, NaN and masked numbers are missing.

    Raises ``DataError`` naming the place for what is no number, for infinities, and for lengths that do not agree.

    >>> number_targets([1.5, None], 2).values.tolist()
    [[1.5], [nan]]
    >>> number_targets([[1, 2], [3]], 2, every_step=True).lengths
    array([2, 1])
    """
    if isinstance(y, Mapping) and y:
        return _joined({str(name): number_targets(column, sequences, every_step) for name, column in y.items()})
    if not isinstance(y, list | tuple | np.ndarray | Tensor | Ragged | str | bytes | Mapping) and is_frame(y, "y"):
        frame = nw.from_native(y, eager_only=True)
        columns = {name: frame.get_column(name).to_list() for name in frame.columns}
        if len(columns) == 1:
            return number_targets(next(iter(columns.values())), sequences, every_step)
        return number_targets(columns, sequences, every_step)
    if hasattr(y, "__array__") and not hasattr(y, "__iter__") and not isinstance(y, Tensor):
        y = np.asarray(y)
    if isinstance(y, str | bytes | Mapping) or not (hasattr(y, "__iter__") or hasattr(y, "to_pylist")):
        raise DataError(f"y must be a list of numbers, one a sequence, got {seen(y)}.")
    found = _of_steps(y) if every_step else _of_sequences(y)
    if len(found) != sequences:
        raise DataError(f"X has {sequences} sequences, y has {len(found)}. Give what is to be found for each sequence.")
    return found


def _of_sequences(y: Any) -> NumberTargets:
    whole = isinstance(y, np.ndarray | Tensor) and not _objects(y)
    array = floats(y, Place("y"), _ADVICE) if whole else None
    if array is None:
        rows = [floats(value, Place("y", sequence=i), _ADVICE) for i, value in enumerate(listed(y, "y"))]
        for i, row in enumerate(rows):
            if row.ndim > 1 or row.shape != rows[0].shape:
                raise DataError(
                    f"has {_shape(row)}, ",
                    Place(sequence=0),
                    f" has {_shape(rows[0])}. Give the same for each"
                    + (", or set every_step = True." if row.ndim else "."),
                    at=Place("y", sequence=i),
                )
        array = np.array(rows, dtype=np.float64) if rows else np.zeros(0)
    if array.ndim > 2:
        raise DataError(
            f"has shape {list(array.shape)}. Give numbers [sequences] or [sequences, outputs].", at=Place("y")
        )
    flat = array.ndim == 1
    table = array[:, None] if flat else array
    _check_finite(table, lambda row: Place(sequence=row))
    return NumberTargets(table, flat=flat)


def _of_steps(y: Any) -> NumberTargets:
    sequences = [part.numpy() for part in y] if isinstance(y, Ragged) else listed(y, "y")
    rows = [floats(value, Place("y", sequence=i), _ADVICE) for i, value in enumerate(sequences)]
    telling = next((row for row in rows if row.ndim == 2), None)
    outputs = 1 if telling is None else telling.shape[1]
    for i, row in enumerate(rows):
        if row.ndim not in (1, 2):
            raise DataError(
                f"is {_shape(row)}. With every_step = True give one for each step: an array "
                "[length] or [length, outputs].",
                at=Place("y", sequence=i),
            )
        if len(row) and (row.shape[1] if row.ndim == 2 else 1) != outputs:
            raise DataError(
                f"has {_shape(row[0])} a step, others have {outputs}. Give the same number.", at=Place("y", sequence=i)
            )
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    table = np.concatenate([row.reshape(-1, outputs) for row in rows]) if rows else np.zeros((0, 1))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def place(row: int) -> Place:
        i = int(np.searchsorted(offsets, row, side="right")) - 1
        return Place(sequence=i, step=int(row - offsets[i]))

    _check_finite(table, place)
    return NumberTargets(table, lengths, flat=telling is None)


def _joined(parts: dict[str, NumberTargets]) -> NumberTargets:
    """Several targets by name, side by side."""
    first = next(iter(parts))
    for name, part in parts.items():
        if not part.flat:
            raise DataError(f"y[{name!r}] has {part.outputs} numbers each. Give one, and a name of its own to each.")
        if part.lengths is not None and not np.array_equal(part.lengths, parts[first].lengths):  # type: ignore[arg-type]
            raise DataError(f"y[{name!r}] has sequences of other lengths than y[{first!r}].")
    values = np.concatenate([part.values for part in parts.values()], axis=1)
    return NumberTargets(values, parts[first].lengths, list(parts))


def _objects(y: Any) -> bool:
    return isinstance(y, np.ndarray) and y.dtype == object


def _shape(row: _Floats) -> str:
    return "a single number" if row.ndim == 0 else f"{row.shape[-1]} numbers" if row.ndim == 1 else str(list(row.shape))


def _check_finite(values: _Floats, place: Callable[[int], Place]) -> None:
    bad = np.argwhere(np.isinf(values))
    if len(bad):
        row, output = bad[0].tolist()
        raise DataError(
            "Input y contains infinity: ",
            place(row),
            (f", output {output}" if values.shape[1] > 1 else "")
            + f" is {values[row, output]:g}. Write NaN if it is unknown.",
        )
