"""Numbers as targets: one or several for each sequence, or for each of its steps; any of them may be missing.

z are the outputs of the last layer: answer = mean + deviation z, of each output over the training part. The loss is a
distance of z from the scaled targets, (target - mean) / deviation: `elman.layers.losses.distance`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place
from elman.evaluation import metrics
from elman.features.arrays import center_and_spread, read_one
from elman.features.lists import listed
from elman.layers.losses import distance
from elman.ragged import Ragged
from elman.validation.columns import is_frame
from elman.validation.messages import seen

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

    def known(self) -> NDArray[np.bool_]:
        """Whether a sequence has any number at all."""
        rows = np.asarray((~np.isnan(self.values)).any(axis=1))
        return rows if self.lengths is None else np.array([rows[own].any() for own in _slices(self.lengths)], np.bool_)

    def take(self, indices: NDArray[np.int64]) -> Self:
        """Those of the chosen sequences."""
        if self.lengths is None:
            return replace(self, values=self.values[indices])
        slices = _slices(self.lengths)
        values = np.concatenate([self.values[:0], *(self.values[slices[i]] for i in indices.tolist())])
        return replace(self, values=values, lengths=self.lengths[indices])

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


def _slices(lengths: NDArray[np.int64]) -> list[slice]:
    """The rows of each sequence."""
    return [slice(first, last) for first, last in itertools.pairwise([0, *np.cumsum(lengths).tolist()])]


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
    whole = isinstance(y, Tensor) or (isinstance(y, np.ndarray) and y.dtype != object)
    array = read_one(y, Place("y"), ("sequence", "column"), _ADVICE) if whole else None
    if array is None:
        rows = [_numbers(value, i, ("column",)) for i, value in enumerate(listed(y, "y"))]
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


def _numbers(value: Any, i: int, axes: tuple[str, ...]) -> _Floats:
    return read_one(value, Place("y", sequence=i), axes, _ADVICE)


def _of_steps(y: Any) -> NumberTargets:
    sequences = [part.numpy() for part in y] if isinstance(y, Ragged) else listed(y, "y")
    rows = [_numbers(value, i, ("step", "column")) for i, value in enumerate(sequences)]
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


class NumberTarget:
    """One number or several, learnt in units of their ``deviation`` from their ``mean``, arrays [outputs].

    `names` are those of the outputs, if they have any. `flat`: answers are one number each, not a row of them.

    >>> target = NumberTarget()
    >>> _ = target.fit(target.truth([1.0, None, 3.0], 3))
    >>> target.decode(np.array([[1.0]])).tolist()
    [3.0]
    """

    kind: ClassVar[str] = "number"
    main: ClassVar[str] = "r2"

    def __init__(self, loss: str = "squared", outputs: int = 1, names: list[str] | None = None, flat: bool = True):
        self.distance, self.names, self.flat = loss, names, flat
        self.mean, self.deviation = np.zeros(outputs), np.ones(outputs)

    @property
    def outputs(self) -> int:
        """How many numbers there are in a row."""
        return len(self.mean)

    def in_words(self, every_step: bool) -> str:
        """How many numbers are learnt, and for what."""
        numbers = "1 number" if self.outputs == 1 else f"{self.outputs} numbers"
        return f"{numbers} for each {'step' if every_step else 'sequence'}"

    def name(self, output: int) -> str:
        """The name of an output, or its number."""
        return str(output) if self.names is None else self.names[output]

    def truth(self, column: Any, sequences: int, fitted: bool = False) -> _Floats:
        """The numbers, one a sequence, NaN where one is unknown. Raises ``DataError`` for what cannot be."""
        found = number_targets(column, sequences)
        if not found.flat:
            raise DataError(
                f"has {found.outputs} numbers a sequence. Give one, and a name of its own to each.", at=Place("y")
            )
        if not fitted and np.isnan(found.values).all():
            raise DataError("holds no number at all: nothing to learn from.", at=Place("y"))
        return found.values[:, 0]

    def fit(self, truth: _Floats, weights: _Floats | None = None) -> None:
        """Mean and deviation of what is known of numbers [rows] or [rows, outputs], whatever the `weights`."""
        both = [center_and_spread(column) for column in self._rows(truth).T]
        self.mean, self.deviation = (np.array(part) for part in zip(*both, strict=True))

    def _rows(self, truth: _Floats) -> _Floats:
        return truth.reshape(-1, self.outputs)

    def coded(self, truth: _Floats) -> Tensor:
        """The scaled numbers, float32 [rows, outputs]; NaN where unknown."""
        return torch.from_numpy(((self._rows(truth) - self.mean) / self.deviation).astype(np.float32))

    def loss(self, z: Tensor, coded: Tensor, weights: Tensor | None = None) -> Tensor:
        """The distance of the option `loss`; `weights` [rows]: what each counts."""
        return distance(z, coded, self.distance, weights)

    def decode(self, z: _Floats) -> _Floats:
        """The numbers in the unit of the targets, [rows, outputs], or [rows] where they are flat."""
        values = self.mean + self.deviation * z
        return values[:, 0] if self.flat else values

    def describe(self) -> str:
        """What it is."""
        return self.kind

    def metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """Mean absolute error, root of the mean squared error, R2, and the loss that is learnt from.

        Several outputs give the mean over them, and with it each by its name or number; {} where no truth is known.
        """
        truth, values = self._rows(truth), self.mean + self.deviation * z
        known = [i for i in range(self.outputs) if not np.isnan(truth[:, i]).all()]
        if not known:
            return {}
        found = {}
        for metric in (metrics.mae, metrics.rmse, metrics.r2):
            each = {i: metric(truth[:, i], values[:, i], weights) for i in known}
            found[metric.__name__] = float(np.mean(list(each.values())))
            if self.outputs > 1:
                found |= {f"{metric.__name__} {self.name(i)}": value for i, value in each.items()}
        scaled = torch.from_numpy((truth - self.mean) / self.deviation)
        share = None if weights is None else torch.from_numpy(weights / weights[~np.isnan(truth).all(1)].mean())
        loss = distance(torch.from_numpy(np.ascontiguousarray(z)), scaled, self.distance, share)
        return found | {"loss": float(loss)}

    def config(self) -> dict[str, Any]:
        """Mean and deviation."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def restore(cls, config: Mapping[str, Any], loss: str, names: list[str] | None = None, flat: bool = True) -> Self:
        """The scale that was saved. Raises ``ValueError`` for what cannot be."""
        mean, deviation = np.asarray(config["mean"]), np.asarray(config["deviation"])
        made = cls(loss, len(mean), names, flat)
        for part in (mean, deviation):
            if part.shape != (made.outputs,) or part.dtype != np.float64 or not np.isfinite(part).all():
                raise ValueError("target")
        wanted = made.outputs if names is None else len({*names})
        if not (deviation > 0).all() or (flat and wanted != 1) or not 0 < wanted == made.outputs == len(names or mean):
            raise ValueError("target")
        made.mean, made.deviation = mean, deviation
        return made
