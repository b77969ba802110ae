"""What stands beside the recurrent network of a classifier: a linear model of simple properties of a whole sequence.

It reads the symbols of a sequence, or its steps of numbers, and is fitted apart from the network: stacking.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.features import Columns, Feature
from elman.ragged import Ragged


class WideModel(ABC):
    """A classifier of sequences whose logits have the same bits for a sequence alone, in a batch and step by step."""

    kind: ClassVar[str]  # in saved models and in the names of metrics
    called: ClassVar[str]  # for people
    start: ClassVar[tuple[float, float]]  # stacking weights of the network and of this model without evidence

    @abstractmethod
    def fit(self, x: Ragged, targets: Tensor, classes: int, weights: Tensor | None = None) -> Self:
        """Learns from sequences and the class of each, int64 `[sequences]`; `weights`: what each sequence counts.

        Where a sequence may have several of the classes both are `[sequences, classes]`, the targets bool.
        """

    @abstractmethod
    def logits(self, x: Ragged) -> Tensor:
        """Logits of each sequence, float32 `[sequences, classes]`."""

    @abstractmethod
    def contributions(self, x: Ragged) -> Tensor:
        """What each step adds to the logits, float64 `[steps, classes]`; a sequence's sum is logits - bias."""

    @abstractmethod
    def initial_state(self) -> dict[str, Tensor]:
        """What a stream remembers before its first step."""

    @abstractmethod
    def advance(self, values: Tensor, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps; the one given is not changed."""

    @abstractmethod
    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """The logits in a state, float32 `[1, classes]`: the bits of `logits` of all steps so far."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Options and sizes as JSON values; with `tensors` all that `restore` needs."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What was learnt, by name."""

    @classmethod
    @abstractmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The model that `config` and `tensors` describe. Raises ``ShapeError`` where they disagree."""

    @abstractmethod
    def fits(self, feature: Feature | Columns, width: int, classes: int) -> bool:
        """Whether it can read what this feature makes, of so many numbers a step, and tells so many classes apart."""


def blocks(offsets: NDArray[np.int64], steps: int) -> Iterator[tuple[int, int]]:
    """Runs of sequences of about so many steps each, at least one sequence.

    >>> list(blocks(np.array([0, 2, 4, 9]), 4))
    [(0, 2), (2, 3)]
    """
    first, sequences = 0, len(offsets) - 1
    while first < sequences:
        last = min(sequences, max(first + 1, int(np.searchsorted(offsets, offsets[first] + steps, side="right")) - 1))
        yield first, last
        first = last
