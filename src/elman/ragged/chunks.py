"""Neighbouring steps of some sequences."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from elman.ragged import Ragged

__all__ = ["Chunk"]


class Chunk(NamedTuple):
    """Neighbouring steps of some sequences, which are learnt from together. Each is int64 [sequences of the piece]."""

    sequences: Tensor  # which they are
    first: Tensor  # the step of each at which the piece begins
    counts: Tensor  # how many steps of each are in the piece
    before: Tensor  # where in the previous piece the sequence stands, whose state goes on; -1 where it begins here

    @property
    def steps(self) -> int:
        """How many steps there are, all sequences together."""
        return int(self.counts.sum())

    def of(self, data: Ragged) -> Ragged:
        """These steps of all the sequences.

        >>> from elman.training.batching import pieces
        >>> data = Ragged.of([[1, 2, 3, 4, 5], [6, 7]])
        >>> [piece.of(data).to_list() for piece in pieces(data.lengths, 8, cut=3)]
        [[tensor([1, 2, 3]), tensor([6, 7])], [tensor([4, 5])]]
        """
        within = torch.cat([self.counts.new_zeros(1), self.counts.cumsum(0)])
        return Ragged(data.values[self.rows(data).to(data.values.device)], within)

    def rows(self, data: Ragged) -> Tensor:
        """Where these steps stand among all steps of the sequences, int64 [steps of the piece].

        >>> from elman.training.batching import pieces
        >>> pieces(torch.tensor([5, 2]), 8, cut=3)[1].rows(Ragged.of([[1, 2, 3, 4, 5], [6, 7]]))
        tensor([3, 4])
        """
        before = self.counts.cumsum(0) - self.counts
        start = data.offsets[self.sequences] + self.first
        return torch.repeat_interleave(start - before, self.counts) + torch.arange(self.steps, device="cpu")

    def take(self, places: list[int]) -> Self:
        """The piece with some of its sequences only."""
        chosen = torch.tensor(places, dtype=torch.int64, device="cpu")
        return type(self)(*[part[chosen] for part in self])
