"""The pre-training objective: next-token prediction on unlabelled texts.

    e_t = E[x_t]                                       no boundary before x_1: the task reads none either
    f_1 ... f_T = encoder(e_1 ... e_T)                 one direction, any number of layers
    z_t = E P f_t + b                                  output weights tied to the embeddings
    loss = mean_t -log softmax(z_t)[x_{t+1}]           sampled softmax: layers/sampled_softmax.py

With `bidirectional` the backward half of the one layer predicts x_{t-1} with a P of its own (Peters et al. 2018); E and
b are shared. The task is initialised with E and the encoder (Dai & Le 2015; Howard & Ruder 2018). Texts are cut into
chunks of 256 steps, each read from the initial state.
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

CHUNK_STEPS = 256  # steps of a chunk
CANDIDATES = 512  # sampled candidates beside the targets of a batch
_STEPS = 1 << 12  # steps of a batch in evaluation


class NextTokenObjective(nn.Module):
    """Embeddings, an encoder, and the projections that predict the neighbours of a step."""

    def __init__(self, symbols: int, embed: int, encoder: Encoder, dropout: float = 0.0) -> None:
        super().__init__()
        self.ways = 2 if encoder.bidirectional else 1
        self.input = Embedding(symbols, embed)
        self.encoder = encoder
        self.dropout = StepDropout(dropout)
        self.project = nn.ModuleList(Linear(encoder.outputs // self.ways, embed, bias=False) for _ in range(self.ways))
        self.bias = nn.Parameter(torch.zeros(symbols))

    def forward(self, x: Ragged) -> tuple[Tensor, Tensor]:
        """P f_t for each prediction, and the target symbols."""
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


def lm_chunks(texts: Ragged, longest: int = CHUNK_STEPS) -> Ragged:
    """Sequences cut into chunks of at most `longest` steps; chunks of one step are left out.

    >>> lm_chunks(Ragged.of([[1, 2, 3, 4, 5], [6], [7, 8]]), 3).to_list()
    [tensor([1, 2, 3]), tensor([4, 5]), tensor([7, 8])]
    """
    parts = (part for text in texts.to_list() for part in text.split(longest) if len(part) > 1)
    return Ragged.of(parts, texts.values.dtype)


def learn(
    model: NextTokenObjective,
    texts: Ragged,
    kept: Ragged,
    plan: TrainingOptions,
    checkpoint: Path | None,
    resume: bool,
    narrow: bool,
) -> History:
    """Trains on texts; the validation metric is the nats per symbol of `kept`, with the full softmax."""
    data = lm_chunks(texts)
    sampler = Sampler(torch.bincount(texts.values, minlength=len(model.bias)), CANDIDATES)

    def loss(indices: Tensor) -> Tensor:
        rows, targets = model(data[indices])
        return nll(rows, model.input.weight, model.bias, sampler.candidates(targets), narrow)

    return train(
        model,
        loss,
        data.lengths,
        plan,
        validate=(lambda: {"loss": nats(model, kept)}) if len(kept) else None,
        metric="loss",
        checkpoint=checkpoint,
        resume=resume,
        name=lambda index: f"chunk {index} of the unlabelled texts",
    )


@torch.no_grad()
def nats(model: NextTokenObjective, texts: Ragged) -> float:
    """The mean negative log-likelihood of the neighbours of steps, with the full softmax."""
    data, total, count = lm_chunks(texts), 0.0, 0
    for chosen in batches(data.lengths, _STEPS):
        rows, targets = model(data[chosen])
        scores = functional.linear(rows, model.input.weight, model.bias)
        total += float(functional.cross_entropy(scores, targets, reduction="sum"))
        count += len(targets)
    return total / count if count else math.nan
