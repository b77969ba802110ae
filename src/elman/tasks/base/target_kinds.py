"""What can be asked of a sequence among other things: a label or a number, each with its own head, loss and scores.

A `Target` owns some rows of the last layer. z are the numbers that those say of one sequence:

    label    p = softmax(z)                     loss: cross-entropy, the mean over the labels that are known
    number   answer = mean + deviation z        loss: distance of z from the scaled target (losses.distance), likewise
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from elman.errors import DataError, Place
from elman.evaluation import metrics
from elman.features.lists import listed
from elman.features.missing_values import center_and_spread
from elman.layers.losses import cross_entropy, distance
from elman.tasks.base.label_targets import coded_labels, plain_labels, restored_classes
from elman.tasks.base.number_targets import number_targets
from elman.validation.columns import is_missing, of_categories
from elman.validation.messages import shown
from elman.validation.plain_values import plain_value

__all__ = ["TARGETS", "LabelTarget", "NumberTarget", "Target", "looks_like"]

_Array = NDArray[Any]
_Floats = NDArray[np.float64]


class Target(Protocol):
    """One of the things that are asked of each sequence."""

    kind: ClassVar[str]
    main: ClassVar[str]  # the metric that is its score: the higher the better

    @property
    def outputs(self) -> int:
        """How many numbers of the last layer are its own."""

    def truth(self, column: Any, sequences: int, fitted: bool = False) -> _Floats:
        """What is to be found, a number a sequence, NaN where it is unknown; of labels their place among the classes.

        Raises ``DataError`` for what cannot be; once `fitted` also for labels that were not learnt.
        """

    def fit(self, truth: _Floats) -> Tensor | None:
        """Learns from the training part; gives the bias its head begins with, float32 [outputs], or None: any."""

    def coded(self, truth: _Floats) -> Tensor:
        """What `loss` compares with, a number a sequence."""

    def loss(self, z: Tensor, coded: Tensor) -> Tensor:
        """The mean loss of z [sequences, outputs] over what is known; 0 where nothing is."""

    def decode(self, z: _Floats) -> _Array:
        """The answers, one a sequence, that z [sequences, outputs] stand for."""

    def metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """How good the answers are, by the name of the metric, where any truth is known."""

    def config(self) -> dict[str, Any]:
        """What was learnt, as JSON can hold it."""

    @classmethod
    def restore(cls, config: Mapping[str, Any], loss: str) -> Self:
        """The target that was saved. Raises ``ValueError`` for what cannot be."""


class LabelTarget:
    """A label: ``classes`` in order, one number of the last layer for each.

    >>> target = LabelTarget()
    >>> truth = target.truth(["b", None, "a"], 3)
    >>> truth.tolist(), target.classes.tolist(), target.decode(np.array([[0.0, 1.0]])).tolist()
    ([1.0, nan, 0.0], ['a', 'b'], ['b'])
    """

    kind: ClassVar[str] = "label"
    main: ClassVar[str] = "accuracy"

    def __init__(self, loss: str = "") -> None:
        self.classes: _Array = np.zeros(0)

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def truth(self, column: Any, sequences: int, fitted: bool = False) -> _Floats:
        """The place of each label among the classes, NaN where there is none; see `Target`."""
        labels = plain_labels(column)
        known = np.array([not is_missing(label) for label in labels], dtype=bool)
        if fitted:
            return self._places(labels, known, sequences)
        if not known.any():
            raise DataError("holds no label at all: nothing to learn from.", at=Place("y"))
        some = labels[int(np.flatnonzero(known)[0])]
        filled = [label if here else some for label, here in zip(labels, known.tolist(), strict=True)]
        self.classes, codes = coded_labels(filled, sequences)
        return np.where(known, codes, np.nan)

    def _places(self, labels: list[Any], known: NDArray[np.bool_], sequences: int) -> _Floats:
        if len(labels) != sequences:
            raise DataError(f"X has {sequences} sequences, y has {len(labels)} labels. Give one label a sequence.")
        place = {label: code for code, label in enumerate(self.classes.tolist())}
        for i in np.flatnonzero(known).tolist():
            if labels[i] not in place:
                raise DataError(
                    f"has the label {shown(labels[i])}, which is none of the classes learnt: "
                    f"{', '.join(map(repr, list(place)[:8]))}{', …' if len(place) > 8 else ''}.",
                    at=Place("y", sequence=i),
                )
        codes = [place[label] if here else np.nan for label, here in zip(labels, known.tolist(), strict=True)]
        return np.array(codes, dtype=np.float64)

    def fit(self, truth: _Floats) -> Tensor:
        """The logarithm of how frequent each class is, so that training need not learn it."""
        counts = np.bincount(truth[~np.isnan(truth)].astype(np.int64), minlength=self.outputs) + 1e-3
        prior = torch.from_numpy(counts / counts.sum()).float().log()
        return prior - prior.mean()

    def coded(self, truth: _Floats) -> Tensor:
        """The places as whole numbers, -1 where unknown."""
        return torch.from_numpy(np.where(np.isnan(truth), -1, truth).astype(np.int64))

    def loss(self, z: Tensor, coded: Tensor) -> Tensor:
        """Cross-entropy."""
        known = coded >= 0
        return cross_entropy(z[known], coded[known])

    def decode(self, z: _Floats) -> _Array:
        """The likeliest class of each sequence."""
        answers: _Array = self.classes[z.argmax(1)]
        return answers

    def probabilities(self, z: _Floats) -> _Floats:
        """The probability of each class [sequences, classes]; each row's bits its own."""
        return torch.softmax(torch.from_numpy(np.ascontiguousarray(z)), dim=1).numpy()

    def metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """Accuracy, macro F1 and cross-entropy."""
        known = ~np.isnan(truth)
        if not known.any():
            return {}
        z, codes, answers = z[known], truth[known].astype(np.int64), z[known].argmax(1)
        share = None if weights is None else metrics.checked_weights(weights, len(truth), known)
        nll = logsumexp(z, axis=1) - z[np.arange(len(codes)), codes]
        return {
            "accuracy": float(np.average(answers == codes, weights=share)),
            "macro_f1": metrics.macro_f1(codes.tolist(), answers.tolist()),
            "loss": float(nll.mean()),
        }

    def config(self) -> dict[str, Any]:
        """The classes."""
        return {"dtype": self.classes.dtype.str, "values": self.classes.tolist()}

    @classmethod
    def restore(cls, config: Mapping[str, Any], loss: str) -> Self:
        """The classes that were saved; see `Target`."""
        made = cls()
        made.classes = restored_classes(config)
        return made


class NumberTarget:
    """A number, learnt in units of its ``deviation`` from its ``mean``.

    >>> target = NumberTarget()
    >>> _ = target.fit(target.truth([1.0, None, 3.0], 3))
    >>> target.decode(np.array([[1.0]])).tolist()
    [3.0]
    """

    kind: ClassVar[str] = "number"
    main: ClassVar[str] = "r2"
    outputs = 1

    def __init__(self, loss: str = "squared") -> None:
        self.distance, self.mean, self.deviation = loss, 0.0, 1.0

    def truth(self, column: Any, sequences: int, fitted: bool = False) -> _Floats:
        """The numbers; see `Target`."""
        found = number_targets(column, sequences)
        if not found.flat:
            raise DataError(
                f"has {found.outputs} numbers a sequence. Give one, and a name of its own to each.", at=Place("y")
            )
        values = found.values[:, 0]
        if not fitted and np.isnan(values).all():
            raise DataError("holds no number at all: nothing to learn from.", at=Place("y"))
        return values

    def fit(self, truth: _Floats) -> None:
        """Mean and deviation of what is known."""
        self.mean, self.deviation = center_and_spread(truth)

    def coded(self, truth: _Floats) -> Tensor:
        """The scaled numbers, NaN where unknown."""
        return torch.from_numpy(((truth - self.mean) / self.deviation).astype(np.float32))

    def loss(self, z: Tensor, coded: Tensor) -> Tensor:
        """The distance of the option `loss`."""
        return distance(z, coded[:, None], self.distance)

    def decode(self, z: _Floats) -> _Array:
        """The numbers in the unit of the target."""
        return self.mean + self.deviation * z[:, 0]

    def metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """Mean absolute error, root of the mean squared error, R2, and the loss that is learnt from."""
        if np.isnan(truth).all():
            return {}
        answers = self.decode(z)
        scaled = torch.from_numpy((truth - self.mean) / self.deviation)[:, None]
        return {
            **{metric.__name__: metric(truth, answers, weights) for metric in (metrics.mae, metrics.rmse, metrics.r2)},
            "loss": float(distance(torch.from_numpy(np.ascontiguousarray(z)), scaled, self.distance)),
        }

    def config(self) -> dict[str, Any]:
        """Mean and deviation."""
        return {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def restore(cls, config: Mapping[str, Any], loss: str) -> Self:
        """The scale that was saved; see `Target`."""
        made = cls(loss)
        made.mean, made.deviation = float(config["mean"]), float(config["deviation"])
        if not (np.isfinite(made.mean) and np.isfinite(made.deviation) and made.deviation > 0):
            raise ValueError("target")
        return made


TARGETS: dict[str, type[LabelTarget | NumberTarget]] = {t.kind: t for t in (LabelTarget, NumberTarget)}


def looks_like(column: Any, name: str) -> str:
    """The kind of a target that nobody named: numbers are "number"; texts, truth values and categories are "label".

    >>> looks_like(["spam", None], "kind"), looks_like([1, 2.5], "price"), looks_like([True, False], "paid")
    ('label', 'number', 'label')
    """
    if of_categories(column):
        return LabelTarget.kind
    known = [value for value in listed(column, name) if not is_missing(value)]
    of_labels = bool(known) and isinstance(plain_value(known[0]), str | bool)
    return LabelTarget.kind if of_labels else NumberTarget.kind
