"""Several inputs of the same sequences: groups of aligned steps, and static inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from elman.ragged import Ragged
from elman.ragged.chunks import Chunk


class MultiInput:
    """Several inputs of the same sequences, indexed like one `Ragged`.

    `groups` hold steps, aligned within a group. `static` holds a row per sequence for each static input. ``lengths``
    counts the steps of all groups.

    >>> both = MultiInput([(Ragged.of([[1, 2], [3]]),), (Ragged.of([[4], []]),)], [torch.tensor([7, 8])])
    >>> len(both), both.lengths, both[1:].groups[0][0].to_list(), both[1:].static
    (2, tensor([3, 1]), [tensor([3])], (tensor([8]),))
    """

    def __init__(self, groups: Sequence[tuple[Ragged, ...]], static: Sequence[Tensor] = ()) -> None:
        self.groups, self.static = tuple(groups), tuple(static)

    def __len__(self) -> int:
        return len(self.groups[0][0])

    @property
    def lengths(self) -> Tensor:
        """The steps of each sequence in all groups; aligned steps count once."""
        return torch.stack([group[0].lengths for group in self.groups]).sum(0)

    @property
    def offsets(self) -> Tensor:
        """Where each sequence begins among the steps of the first group."""
        return self.groups[0][0].offsets

    @property
    def steps(self) -> int:
        """All steps of all groups."""
        return sum(group[0].steps for group in self.groups)

    def __getitem__(self, index: slice | Tensor) -> MultiInput:
        groups = [tuple(part[index] for part in group) for group in self.groups]
        return MultiInput(groups, [part[index] for part in self.static])


def groups_of(data: Ragged | MultiInput) -> tuple[tuple[Ragged, ...], ...]:
    """The groups of aligned steps; a `Ragged` is one group of one.

    >>> len(groups_of(Ragged.of([[1]])))
    1
    """
    return data.groups if isinstance(data, MultiInput) else ((data,),)


def cut(piece: Chunk, data: Ragged | MultiInput) -> Ragged | MultiInput:
    """The steps of a chunk, of one column or of several aligned ones."""
    if isinstance(data, Ragged):
        return piece.of(data)
    groups = [tuple(piece.of(part) for part in group) for group in data.groups]
    return MultiInput(groups, [part[piece.sequences] for part in data.static])
