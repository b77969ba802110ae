"""What is learnt of texts without labels: to say the symbol that comes next, and with it vectors and layers.

    e_t = E[x_t]                                       no boundary before x_1: a task reads none either
    f_1 ... f_T = encoder(e_1 ... e_T)                 one direction, any number of layers
    z_t = E P f_t + b                                  the vectors are also the weights of the last layer
    loss = mean_t -log softmax(z_t)[x_{t+1}]           estimated from some of the symbols: sampled.py

With `bidirectional` the one layer has a half that reads backwards, which is to say x_{t-1} in the same way with a P of
its own (Peters et al. 2018); both share E and b. The task then goes on from E and the encoder (Dai & Le 2015; Howard &
Ruder 2018). Texts are cut into strands of 256 steps, each read from a fresh state.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from elman.layers.dropout import StepDropout
from elman.layers.embedding import Embedding
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.layers.sampled_softmax import Sampler, nll
from elman.ragged import Ragged
from elman.training.batching import batches
from elman.training.history import History
from elman.training.loop import train
from elman.training.options import TrainingOptions

__all__ = ["NextTokenObjective", "learn"]

STRAND = 256  # steps
DRAWN = 512  # candidates beside the targets of a batch
_STEPS = 1 << 12  # of a batch that is only measured


class NextTokenObjective(nn.Module):
    """The vectors of symbols and an encoder, and what says the neighbours of a step from them."""

    def __init__(self, symbols: int, embed: int, encoder: Encoder, dropout: float = 0.0) -> None:
        super().__init__()
        self.ways = 2 if encoder.bidirectional else 1
        self.input = Embedding(symbols, embed)
        self.encoder = encoder
        self.dropout = StepDropout(dropout)
        self.project = nn.ModuleList(Linear(encoder.outputs // self.ways, embed, bias=False) for _ in range(self.ways))
        self.bias = nn.Parameter(torch.zeros(symbols))

    def forward(self, x: Ragged) -> tuple[Tensor, Tensor]:
        """Rows to be compared with the vectors, and the symbols that they are to say."""
        y, _ = self.encoder(self.input(x))
        y = self.dropout(y)
        first, last = (torch.ones(x.steps, dtype=torch.bool) for _ in range(2))
        filled = x.lengths > 0
        first[x.offsets[:-1][filled]] = False
        last[x.offsets[1:][filled] - 1] = False
        halves = y.values.chunk(self.ways, dim=1)
        rows, targets = [self.project[0](halves[0][last])], [x.values[first]]
        if self.ways == 2:
            rows.append(self.project[1](halves[1][first]))
            targets.append(x.values[last])
        return torch.cat(rows), torch.cat(targets)


def lm_chunks(texts: Ragged, longest: int = STRAND) -> Ragged:
    """Sequences cut into pieces of at most so many steps; those without a neighbour to say are left out.

    >>> lm_chunks(Ragged.of([[1, 2, 3, 4, 5], [6], [7, 8]]), 3).to_list()
    [tensor([1, 2, 3]), tensor([4, 5]), tensor([7, 8])]
    """
    parts = [part for text in texts.to_list() for part in text.split(longest) if len(part) > 1]
    lengths = torch.tensor([0, *map(len, parts)], dtype=torch.int64)
    return Ragged(torch.cat(parts) if parts else texts.values[:0], lengths.cumsum(0))


def learn(
    model: NextTokenObjective,
    texts: Ragged,
    kept: Ragged,
    plan: TrainingOptions,
    checkpoint: Path | None,
    resume: bool,
    narrow: bool,
) -> History:
    """Learns texts; `kept` are those that the nats per symbol are measured on, with all symbols."""
    data = lm_chunks(texts)
    sampler = Sampler(torch.bincount(texts.values, minlength=len(model.bias)), DRAWN)

    def loss(indices: Tensor) -> Tensor:
        rows, targets = model(data[indices])
        return nll(rows, model.input.weight, model.bias, sampler.candidates(targets), narrow)

    def validate() -> dict[str, float]:
        return {"loss": nats(model, kept)}

    return train(
        model,
        loss,
        data.lengths,
        plan,
        validate=validate if len(kept) else None,
        metric="loss",
        checkpoint=checkpoint,
        resume=resume,
        name=lambda index: f"strand {index} of the texts without labels",
    )


@torch.no_grad()
def nats(model: NextTokenObjective, texts: Ragged) -> float:
    """The mean surprise at the neighbours of steps, by all symbols."""
    data, total, count = lm_chunks(texts), 0.0, 0
    for chosen in batches(data.lengths, _STEPS):
        rows, targets = model(data[chosen])
        scores = functional.linear(rows, model.input.weight, model.bias)
        total += float(functional.cross_entropy(scores, targets, reduction="sum"))
        count += len(targets)
    return total / count if count else math.nan
