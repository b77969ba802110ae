"""What a target of a sequence can be: a label or a number, each with its own head, loss and scores.

A `Target` owns some rows of the last layer; z [sequences, outputs] are the numbers that those say of each sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.features.lists import listed
from elman.tasks.base.targets.labels import LabelTarget
from elman.tasks.base.targets.numbers import NumberTarget
from elman.validation.columns import is_missing, of_categories
from elman.validation.plain_values import plain_value

__all__ = ["TARGETS", "Target", "looks_like"]

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

    def describe(self) -> str:
        """What it is, for people."""

    def metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """How good the answers are, by the name of the metric, where any truth is known."""

    def config(self) -> dict[str, Any]:
        """What was learnt, as JSON can hold it."""

    @classmethod
    def restore(cls, config: Mapping[str, Any], loss: str) -> Self:
        """The target that was saved. Raises ``ValueError`` for what cannot be."""


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
