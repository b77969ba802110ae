"""Dynamic evaluation: gradient steps on the text that is scored (Krause, Kahembwe, Murray & Renals 2018).

    nats_i = -log p(chunk i; theta_{i-1})                                 scored before the update
    theta_i = theta_{i-1} - rate g / max(1, |g|) - decay (theta_{i-1} - theta_0)        g: gradient of its mean

Krause et al. divide g by its root mean square over the training set instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elman.lm.chunks import LMChunks
from elman.ops.state import detached
from elman.ragged import Ragged
from elman.tasks.generate.network import LanguageNetwork, chunk_nll
from elman.training.batching import pieces

SPAN = 32  # steps of a chunk
DECAY = 1e-3  # towards the trained weights, after each chunk


def adapted(network: LanguageNetwork, data: LMChunks, rate: float) -> Ragged:
    """-log p of each target, float64 [steps], with dynamic evaluation; the network's weights are restored."""
    made = torch.zeros(data.targets.steps, dtype=torch.float64)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    learnt = [weight.detach().clone() for weight in weights]
    try:
        for index in range(len(data.inputs)):
            one = LMChunks(data.inputs[index : index + 1], data.targets[index : index + 1])
            begin, state = int(data.targets.offsets[index]), None
            for piece in pieces(one.inputs.lengths, SPAN, cut=SPAN):
                each, after = chunk_nll(network, one, piece, state)
                rows = begin + piece.rows(one.targets)
                made[rows] = each.detach()
                _learn(weights, learnt, torch.autograd.grad(each.mean(), weights, allow_unused=True), rate)
                state = detached(after)
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, learnt, strict=True):
                weight.copy_(before)
    return Ragged(made, data.targets.offsets)


@torch.no_grad()
def _learn(
    weights: list[torch.nn.Parameter], learnt: list[Tensor], gradients: tuple[Tensor | None, ...], rate: float
) -> None:
    known = [gradient for gradient in gradients if gradient is not None]
    norm = torch.stack([gradient.norm() for gradient in known]).norm()
    step = rate / max(1.0, float(norm))
    for weight, before, gradient in zip(weights, learnt, gradients, strict=True):
        if gradient is not None:
            weight.sub_(gradient, alpha=step).lerp_(before, DECAY)
