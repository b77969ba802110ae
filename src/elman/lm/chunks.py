"""Training data of a language model: documents cut into chunks, with the next symbol as target.

    x = [B, s_1, s_2, ..., s_n]        inputs; B: boundary
    y = [s_1, s_2, ..., s_n, B]        targets; the last B only where documents end

A document longer than a chunk is cut into several; each begins with the symbol before it and the initial state.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from elman.ragged import Ragged


class LMChunks(NamedTuple):
    """Sequences of symbols and the symbol after each, int64."""

    inputs: Ragged
    targets: Ragged

    def whole(self) -> list[list[int]]:
        """Each chunk with the symbol before it and the one after it."""
        pairs = zip(self.inputs.to_list(), self.targets.to_list(), strict=True)
        return [[*inputs.tolist()[:1], *targets.tolist()] for inputs, targets in pairs]


def lm_chunks(documents: Ragged, boundary: int, ends: bool, longest: int | None = None) -> LMChunks:
    """The chunks of documents [steps] int64, in order. `boundary` is B, `ends`: whether the end is a target.

    `longest` is the maximum length of a chunk; None: whole documents.

    >>> made = lm_chunks(Ragged.of([[1, 2, 3], [4]]), boundary=9, ends=True, longest=2)
    >>> made.inputs.to_list()
    [tensor([9, 1]), tensor([2, 3]), tensor([9, 4])]
    >>> made.targets.to_list()
    [tensor([1, 2]), tensor([3, 9]), tensor([4, 9])]
    """
    inputs, targets = [], []
    mark = torch.tensor([boundary])
    for document in documents.to_list():
        whole = torch.cat([mark, document, mark]) if ends else torch.cat([mark, document])
        size = max(1, len(whole) - 1 if longest is None else longest)
        inputs += whole[:-1].split(size)
        targets += whole[1:].split(size)
    return LMChunks(Ragged.of(inputs, torch.int64), Ragged.of(targets, torch.int64))
