"""Sequences cut at resets of the state."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from elman.errors import ShapeError


class Segments(NamedTuple):
    """Sequences cut into segments, each processed as a sequence of its own.

    `entry` and `exit` are the segments of each sequence processed first and last; `keeps` the sequences that begin with
    the given state.
    """

    offsets: Tensor  # [pieces + 1]
    sequence: Tensor  # [pieces] that each belongs to
    entry: Tensor  # [sequences]
    exit: Tensor  # [sequences]
    keeps: Tensor  # sequences, in their order


def cut(offsets: Tensor, reset: Tensor, reverse: bool = False) -> Segments:
    """Cuts before every step that `reset` [steps] marks, in the direction of the cell: after it with `reverse`.

    Raises ``ShapeError`` unless `reset` is bool with a value for each step.

    >>> cut(torch.tensor([0, 3, 3, 5]), torch.tensor([False, True, False, True, False])).offsets.tolist()
    [0, 1, 3, 3, 5]
    """
    steps = int(offsets[-1])
    if reset.dtype != torch.bool or reset.shape != (steps,):
        raise ShapeError(
            f"reset must be bool of shape [{steps}], a mark for each step, got {reset.dtype} of shape "
            f"{list(reset.shape)}."
        )
    reset = reset.cpu()
    first, last = offsets[:-1], offsets[1:]
    within = torch.ones(steps + 1, dtype=torch.bool, device="cpu")
    within[offsets] = False
    cuts = torch.nonzero(reset)[:, 0] + int(reverse)
    cuts = cuts[within[cuts]]
    before = torch.searchsorted(cuts, offsets)  # how many cuts lie before each sequence
    sequences = torch.arange(len(first), device="cpu")
    head, tail = sequences + before[:-1], sequences + before[1:]
    starts = (last - 1 if reverse else first).clamp(0, max(0, steps - 1))
    fresh = reset[starts] & (last > first) if steps else torch.zeros(len(first), dtype=torch.bool, device="cpu")
    return Segments(
        offsets=torch.cat([offsets, cuts]).sort().values,
        sequence=torch.repeat_interleave(sequences, tail - head + 1),
        entry=tail if reverse else head,
        exit=head if reverse else tail,
        keeps=torch.nonzero(~fresh)[:, 0],
    )
