"""Which steps are learnt from together: batches by number of steps, since work and memory grow with steps."""

from bisect import bisect_right

import torch
from torch import Tensor

from elman.errors import OptionError, ShapeError
from elman.ragged.chunks import Chunk


def batches(
    lengths: Tensor, steps: int, generator: torch.Generator | None = None, max_sequences: int | None = None
) -> list[Tensor]:
    """Cut the sequences into batches of at most `steps` steps; every sequence is in exactly one.

    `lengths` `[sequences]` holds the steps of each sequence, 0 or more. A sequence longer than `steps` is a batch of
    its own. `max_sequences` (None: no limit) also closes a batch. With a `generator` the order is shuffled first,
    without one it is kept. Each batch is an int64 tensor of indices into `lengths`.

    Raises ShapeError for lengths that are not one row of whole numbers >= 0, OptionError for limits below 1.

    >>> [batch.tolist() for batch in batches(torch.tensor([3, 2, 0, 9, 1, 4]), steps=5)]
    [[0, 1, 2], [3], [4, 5]]
    """
    if steps < 1 or (max_sequences is not None and max_sequences < 1):
        raise OptionError(f"batches needs steps and max_sequences of at least 1, got {steps} and {max_sequences}.")
    lengths = checked_lengths(lengths)
    count, order = len(lengths), _order(len(lengths), generator)
    ends: list[int] = lengths[order].cumsum(0).tolist()
    limit = count if max_sequences is None else max_sequences
    cut, first, before = [], 0, 0
    while first < count:
        after = max(first + 1, min(bisect_right(ends, before + steps, lo=first), first + limit))
        cut.append(order[first:after])
        first, before = after, ends[after - 1]
    return cut


def pieces(
    lengths: Tensor,
    steps: int,
    cut: int = 0,
    generator: torch.Generator | None = None,
    max_sequences: int | None = None,
) -> list[Chunk]:
    """Batches of sequences that are cut after every `cut` of their steps; 0 leaves them whole.

    A sequence begins in a piece, goes on in the following ones and leaves its place to the next when it ends, so that
    the pieces stay full: each has at most `steps` steps, of at most `max_sequences` sequences. Where no sequence is
    longer than `cut`, these are the batches of `batches`, whose other arguments and errors they share.

    >>> [piece.sequences.tolist() for piece in pieces(torch.tensor([5, 2, 3, 1]), steps=4, cut=2)]
    [[0, 1], [0, 2], [0, 2, 3]]
    """
    if steps < 1 or cut < 0 or (max_sequences is not None and max_sequences < 1):
        raise OptionError(
            f"pieces needs steps and max_sequences of at least 1 and cut of at least 0, got {steps}, {max_sequences} "
            f"and {cut}."
        )
    lengths = checked_lengths(lengths)
    count, order = len(lengths), _order(len(lengths), generator).tolist()
    sizes: list[int] = lengths.tolist()
    longest = cut or max([1, *sizes])
    limit = count if max_sequences is None else max_sequences
    found, place = [], 0
    running: list[tuple[int, int, int]] = []  # sequence, step, where it stood in the piece before
    while running or place < count:
        room = steps - sum(min(longest, sizes[sequence] - first) for sequence, first, _ in running)
        while place < count and (not running or (len(running) < limit and min(longest, sizes[order[place]]) <= room)):
            room -= min(longest, sizes[order[place]])
            running.append((order[place], 0, -1))
            place += 1
        sequences, first, before = torch.tensor(running, device="cpu").unbind(1)
        found.append(Chunk(sequences, first, (lengths[sequences] - first).clamp(max=longest), before))
        running = [
            (sequence, at + longest, rank)
            for rank, (sequence, at, _) in enumerate(running)
            if at + longest < sizes[sequence]
        ]
    return found


def _order(count: int, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        return torch.arange(count, device="cpu")
    return torch.randperm(count, generator=generator, device="cpu")


def checked_lengths(lengths: Tensor) -> Tensor:
    """The lengths as int64 on the CPU. Raises ShapeError where they are not one row of whole numbers >= 0.

    >>> checked_lengths(torch.tensor([2.5]))
    Traceback (most recent call last):
    elman.errors.ShapeError: lengths must be one row of whole numbers, got shape [1] of torch.float32. ...
    """
    if lengths.ndim != 1 or lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ShapeError(
            f"lengths must be one row of whole numbers, got shape {list(lengths.shape)} of {lengths.dtype}. "
            "Give the number of steps of each sequence, as Ragged.lengths does."
        )
    lengths = lengths.detach().to("cpu", torch.int64)
    if len(lengths) and int(lengths.min()) < 0:
        where = int(lengths.argmin())
        raise ShapeError(f"lengths must be 0 or more, but lengths[{where}] = {int(lengths[where])}.")
    return lengths
