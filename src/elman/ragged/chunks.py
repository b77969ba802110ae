"""Chunks: consecutive steps of some sequences."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from elman.ragged import Ragged


class Chunk(NamedTuple):
    """A batch of consecutive steps of some sequences. Each field is int64 [sequences of the chunk]."""

    sequences: Tensor  # their indices
    first: Tensor  # the first step of each in the chunk
    counts: Tensor  # the number of steps of each
    before: (
        Tensor  # the index of the sequence in the previous chunk, whose state is carried on; -1 where it begins here
    )

    @property
    def steps(self) -> int:
        """The number of steps of all sequences."""
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
        """The indices of these steps among all steps, int64 [steps of the chunk].

        >>> from elman.training.batching import pieces
        >>> pieces(torch.tensor([5, 2]), 8, cut=3)[1].rows(Ragged.of([[1, 2, 3, 4, 5], [6, 7]]))
        tensor([3, 4])
        """
        before = self.counts.cumsum(0) - self.counts
        start = data.offsets[self.sequences] + self.first
        return torch.repeat_interleave(start - before, self.counts) + torch.arange(self.steps, device="cpu")

    def take(self, places: list[int]) -> Self:
        """The chunk with some of its sequences only."""
        chosen = torch.tensor(places, dtype=torch.int64, device="cpu")
        return type(self)(*[part[chosen] for part in self])
