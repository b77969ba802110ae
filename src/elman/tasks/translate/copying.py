"""Unknown symbols of an answer, replaced by those of the source that the attention aligns them with."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from elman.ragged import Ragged
from elman.tasks.translate.network import TranslationNetwork


@torch.no_grad()
def aligned_places(network: TranslationNetwork, source: Ragged, symbols: Sequence[int], boundary: int) -> list[int]:
    """The place in a source [1 sequence] of each unknown symbol, 0, of its answer: the one with the largest weight.

    Where the source has unknown symbols itself, it is one of those (Luong et al., "Addressing the rare word problem in
    neural machine translation", 2015, with attention in place of an aligner).
    """
    steps, state = network.read(source)
    inputs = torch.tensor([boundary, *symbols[:-1]])
    hidden, _ = network.decode(Ragged(inputs, torch.tensor([0, len(inputs)])), state)
    _, (weights,) = network.see(hidden, steps)
    unknown = source.values == 0
    weights = weights.masked_fill(~unknown[None], -1.0) if bool(unknown.any()) else weights
    best = weights.argmax(1).tolist()
    return [best[place] for place, symbol in enumerate(symbols) if symbol == 0]
