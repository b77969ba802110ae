"""Bytes as steps of eight bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.base import Feature, of_lengths
from elman.features.lists import listed
from elman.features.numbers import Values
from elman.ragged import Ragged


@dataclass(kw_only=True)
class Bits(Feature):
    """Lists of bytes, 0 to 255, as steps: float32 [steps, 8], the highest bit first.

    >>> Bits().fit([[3]]).transform([[3], []]).values.tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]]
    """

    kind: ClassVar[str] = "bits"
    is_signal: ClassVar[bool] = True
    reads_lists: ClassVar[bool] = True

    def read(self, column: Any, name: str, fitted: bool) -> Ragged:
        """The bits of each byte."""
        sequences = [list(sequence) for sequence in listed(column, name, rows=True)]
        for i, sequence in enumerate(sequences):
            for t, byte in enumerate(sequence):
                if not 0 <= byte < 256:
                    raise DataError(
                        f"is {byte!r}, which is no byte. Give 0 to 255.", at=Place(name, sequence=i, step=t)
                    )
        flat = np.array([byte for sequence in sequences for byte in sequence], np.uint8)
        bits = np.unpackbits(flat[:, None], axis=1).astype(np.float32)
        return of_lengths(bits, np.array([len(sequence) for sequence in sequences], np.int64))

    def learn(self, sequences: Ragged, name: str) -> Ragged:
        """Nothing is learnt but how many steps there are."""
        self.steps_ = sequences.steps
        return sequences

    def encode(self, sequences: Ragged, name: str) -> Ragged:
        """The bits as they are."""
        return sequences

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The steps of one byte or of a list of bytes."""
        return self.transform([value if isinstance(value, list) else [value]], name=name).values

    @property
    def value_width(self) -> int:
        """Eight."""
        return 8

    def parse_line(self, line: str, place: Place) -> Any:
        """Bytes with spaces between them."""
        return [int(part) for part in super().parse_line(line, place)]

    def module(self, width: int, dropout: float = 0.0) -> Values:
        """The bits as they are."""
        return Values(8)

    def learnt(self) -> dict[str, Any]:
        """How many steps there were."""
        return {"steps": self.steps_}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes the number of steps."""
        self.steps_ = int(config["steps"])

    def describe(self) -> str:
        """One line: `bits, 12 steps`."""
        return f"bits, {self.steps_} steps"
