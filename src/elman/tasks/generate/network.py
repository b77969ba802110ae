"""The network of a language model: the distribution of the next symbol at every step.

    e_t = E[x_t]                                   embedding; x_1 is the boundary between documents
    h_1 ... h_T = encoder(e_1 ... e_T)
    z_t = W P h_t + b                              P only where h and the embeddings differ in width; tied: W = E
    p(x_{t+1} | x_1 ... x_t) = softmax(z_t)

Tied weights: Press & Wolf 2017; Inan, Khosravi & Socher 2017. Activation regularisation, added to the loss (Merity,
Keskar & Socher 2018):

    a mean dropout(h)^2 + b mean (h_t - h_{t-1})^2         a = activation, b = change, of the last layer

DropConnect on the recurrent weights, one mask per batch (Wan et al. 2013; Merity et al. 2018):

    U <- U m / (1 - p)        m = 0 with probability p = weight_drop, else 1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from elman.errors import OptionError
from elman.layers.dropout import StepDropout
from elman.layers.embedding import Embedding
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.lm.chunks import LMChunks
from elman.ops import functional as ops
from elman.ops.state import State, goes_on
from elman.ragged import Ragged
from elman.ragged.chunks import Chunk
from elman.training.batching import pieces
from elman.training.tbptt import StepLoss

_STEPS = 1 << 12  # steps of a chunk in evaluation: bounds the memory without changing the result


class LanguageNetwork(nn.Module):
    """Logits of the next symbol, [steps, symbols].

    >>> network = LanguageNetwork(9, 4, Encoder(4, 6), tied=True, dropout=0.0, input_dropout=0.0)
    >>> z, state = network(Ragged.of([[8, 1, 2]]))
    >>> z.shape
    torch.Size([3, 9])
    """

    def __init__(
        self, symbols: int, embed: int, encoder: Encoder, *, tied: bool, dropout: float, input_dropout: float
    ) -> None:
        super().__init__()
        self.input = Embedding(symbols, embed, input_dropout)
        self.encoder = encoder
        self.dropout = StepDropout(dropout)
        self.project = Linear(encoder.outputs, embed, bias=False) if tied and encoder.outputs != embed else None
        self.weight = None if tied else nn.Parameter(torch.empty(symbols, encoder.outputs).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(symbols))

    def forward(self, x: Ragged, state: State = None) -> tuple[Tensor, State]:
        """The logits after every step, and the state after the last."""
        y, after = self.hidden(x, state)
        return self.scores(self.dropout(y).values), after

    def hidden(self, x: Ragged, state: State = None) -> tuple[Ragged, State]:
        """The hidden states of the encoder, and its state after the last step."""
        y, after = self.encoder(self.input(x), state)
        return y, after

    def reader(self, before: Sequence[int] = ()) -> Callable[[int], Tensor]:
        """A function that reads one symbol, in evaluation, and returns the logits of the next: [symbols].

        The symbols `before` are read first, all at once.
        """
        state = self.encoder.initial_state(1)
        for first in range(0, len(before), _STEPS):
            codes = torch.tensor(before[first : first + _STEPS])
            _, state = self.hidden(Ragged(codes, torch.tensor([0, len(codes)])), state)
        try:
            stepper = self.encoder.stepper()
        except OptionError:  # no compiled stepper for these cells
            return self._stepping(state)
        stepper.state = state
        return lambda code: self.scores(stepper.step(self.input.step(torch.tensor([code]))).clone())[0]

    def _stepping(self, state: State) -> Callable[[int], Tensor]:
        """The same for cells without a compiled stepper."""

        def read(code: int) -> Tensor:
            nonlocal state
            y, state = self.encoder.step(self.input.step(torch.tensor([code])), state)
            return self.scores(y)[0]

        return read

    def scores(self, rows: Tensor) -> Tensor:
        """The logits of all symbols for rows of h: [rows, symbols]."""
        rows = rows if self.project is None else self.project(rows)
        return ops.linear(rows, self.input.weight if self.weight is None else self.weight, self.bias)


class LanguageLoss(StepLoss):
    """Cross-entropy of the next symbol plus the two penalties on h."""

    def __init__(
        self,
        network: LanguageNetwork,
        data: LMChunks,
        activation: float = 0.0,
        change: float = 0.0,
        weight_drop: float = 0.0,
    ) -> None:
        self.network, self.data, self.activation, self.change = network, data, activation, change
        self.weight_drop = weight_drop

    def initial_state(self, sequences: int) -> State:
        """The state before the first step."""
        return self.network.encoder.initial_state(sequences)

    def __call__(self, piece: Chunk, state: State) -> tuple[Tensor, State]:
        """The loss of a chunk, and the state after it."""
        y, after = self._hidden(piece.of(self.data.inputs), state)
        dropped = self.network.dropout(y)
        targets = piece.of(self.data.targets).values
        loss = functional.cross_entropy(self.network.scores(dropped.values), targets)
        if self.activation:
            loss = loss + self.activation * dropped.values.square().mean()
        if self.change and y.steps > 1:
            follows = y.segments[1:] == y.segments[:-1]
            loss = loss + self.change * (y.values[1:] - y.values[:-1])[follows].square().mean()
        return loss, after

    def _hidden(self, x: Ragged, state: State) -> tuple[Ragged, State]:
        """The hidden states of the encoder, with DropConnect."""
        if not self.weight_drop:
            return self.network.hidden(x, state)
        encoder = self.network.encoder
        weights = {
            name: functional.dropout(weight, self.weight_drop)
            for name, weight in encoder.named_parameters()
            if name.endswith("weight_hh")
        }
        y, after = functional_call(encoder, weights, (self.network.input(x), state))
        return y, after


def chunk_nll(network: LanguageNetwork, data: LMChunks, piece: Chunk, state: State) -> tuple[Tensor, State]:
    """-log p of the targets of a chunk, float64, and the state after it; `state`: after the last chunk, or None."""
    fresh = network.encoder.initial_state(len(piece.sequences))
    before = fresh if state is None else goes_on(fresh, state, piece.before)
    scores, after = network(piece.of(data.inputs), before)
    logs = torch.log_softmax(scores.double(), dim=1)
    return -logs.gather(1, piece.of(data.targets).values[:, None])[:, 0], after


@torch.no_grad()
def nll(network: LanguageNetwork, data: LMChunks) -> Ragged:
    """-log p of each target, float64 [steps], bitwise independent of the other sequences and of the chunks."""
    made, state = torch.zeros(data.targets.steps, dtype=torch.float64), None
    for piece in pieces(data.inputs.lengths, _STEPS, cut=_STEPS):
        made[piece.rows(data.targets)], state = chunk_nll(network, data, piece, state)
    return Ragged(made, data.targets.offsets)
