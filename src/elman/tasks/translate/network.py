"""The network of a translator: an encoder, a decoder, and attention between them (Luong et al. 2015, global).

    s_1 ... s_S = encoder(E_x[x_1] ... E_x[x_S])               in both directions
    g_0 = tanh(V [s_S forwards, s_1 backwards] + v)             every part of the decoder's initial state
    h_1 ... h_T = decoder(E_y[y_0] ... E_y[y_{T-1}]; g_0)       y_0 is the boundary
    c_t = sum_i softmax_i(score(h_t, s_i)) s_i                  attention.py
    m_t = tanh(W [c_t, h_t])
    z_t = E_y m_t + b                                           tied; else a matrix of its own

The attention is not fed back into the decoder, so that training runs it over whole sequences. The loss is the
cross-entropy of each target symbol with label smoothing (Szegedy et al. 2016). With scheduled sampling (Bengio et al.
2015; in two passes over whole sequences, Mihaylova & Martins 2019) some y_{t-1} are the network's own predictions.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from elman.errors import OptionError
from elman.layers.attention import Attention
from elman.layers.dropout import StepDropout
from elman.layers.embedding import Embedding
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.ops import functional as ops
from elman.ops.state import State
from elman.ragged import Ragged


class TranslationNetwork(nn.Module):
    """Sources and target inputs to logits of the next target symbol, [target steps, symbols].

    The last symbol of the targets, `symbols` - 1, is the boundary.

    >>> network = TranslationNetwork(9, 7, 4, Encoder(4, 6, bidirectional=True), Encoder(4, 5), tied=True)
    >>> network(Ragged.of([[1, 2, 3]]), Ragged.of([[6, 1]])).shape
    torch.Size([2, 7])
    """

    def __init__(
        self,
        sources: int,
        symbols: int,
        embed: int,
        encoder: Encoder,
        decoder: Encoder,
        *,
        score: str = "general",
        tied: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        symbol_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.input = Embedding(sources, embed, symbol_dropout)
        self.encoder = encoder
        self.output = Embedding(symbols, embed, symbol_dropout)
        self.decoder = decoder
        self.begin = Linear(encoder.outputs, sum(_widths(decoder)))
        self.attention = Attention(decoder.outputs, encoder.outputs, score)
        mixed = embed if tied else decoder.outputs
        self.mix = Linear(encoder.outputs + decoder.outputs, mixed, bias=False)
        self.input_dropout, self.dropout = StepDropout(input_dropout), StepDropout(dropout)
        self.weight = None if tied else nn.Parameter(torch.empty(symbols, mixed).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(symbols))
        with torch.no_grad():  # a variance of 1 / embed, so that z_t is as large as m_t
            for embedding in (self.input, self.output):
                embedding.weight.mul_(math.sqrt(3 / embed) / 0.1)

    @torch.no_grad()
    def begin_with(self, targets: Tensor) -> None:
        """Initialises the output bias with the log frequencies of the target symbols.

        Otherwise m_t first learns them as a constant, which saturates its tanh.
        """
        counts = torch.bincount(targets, minlength=len(self.bias)).to(self.bias.dtype) + 0.1
        self.bias.copy_((counts / counts.sum()).log())

    def forward(self, sources: Ragged, inputs: Ragged) -> Tensor:
        """The logits at every target step; `inputs` are the boundary and the targets without their last symbol."""
        steps, state = self.read(sources)
        hidden, _ = self.decode(inputs, state)
        mixed, _ = self.see(hidden, steps)
        return self.scores(self.dropout(mixed).values)

    def read(self, sources: Ragged) -> tuple[Ragged, State]:
        """The encoded sources, and the initial state of the decoder."""
        steps, after = self.encoder(self._entered(self.input, sources))
        last = torch.cat([one[0] for one in after[-1]], dim=1)
        return steps, self._begun(torch.tanh(self.begin(last)))

    def decode(self, inputs: Ragged, state: State) -> tuple[Ragged, State]:
        """The decoder's hidden states over target symbols, and its last state."""
        hidden, after = self.decoder(self._entered(self.output, inputs), state)
        return hidden, after

    def see(self, hidden: Ragged, sources: Ragged) -> tuple[Ragged, list[Tensor]]:
        """m_t of the decoder's steps, and the attention weights."""
        seen, weights = self.attention(hidden, sources)
        mixed = torch.tanh(self.mix(torch.cat([seen.values, hidden.values], dim=1)))
        return hidden.with_values(mixed), weights

    def scores(self, rows: Tensor) -> Tensor:
        """The logits of all target symbols for rows of m_t: [rows, symbols]."""
        return ops.linear(rows, self.output.weight if self.weight is None else self.weight, self.bias)

    def loss(
        self,
        sources: Ragged,
        inputs: Ragged,
        targets: Tensor,
        smoothing: float,
        sampled: float,
        unknown: bool = False,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The mean cross-entropy over the target symbols, with `unknown` also those that are not known (0).

        `weights` [pairs]: what each pair counts.
        """
        if sampled:
            inputs = self._sampled(sources, inputs, sampled)
        known = targets if unknown else torch.where(targets > 0, targets, -100)
        scores: Tensor = self(sources, inputs)
        if not bool((known >= 0).any()):
            return 0.0 * scores.sum()
        if weights is None:
            return functional.cross_entropy(scores, known, ignore_index=-100, label_smoothing=smoothing)
        each = functional.cross_entropy(scores, known, ignore_index=-100, label_smoothing=smoothing, reduction="none")
        return (each * weights[inputs.segments]).sum() / (known >= 0).sum()

    @torch.no_grad()
    def _sampled(self, sources: Ragged, inputs: Ragged, rate: float) -> Ragged:
        """The inputs, each replaced by the network's prediction with probability `rate`."""
        predicted = self(sources, inputs).argmax(1).roll(1)
        first = torch.zeros(inputs.steps, dtype=torch.bool)
        first[inputs.offsets[:-1][inputs.lengths > 0]] = True
        swapped = (torch.rand(inputs.steps) < rate) & ~first & (predicted < len(self.bias) - 1)
        return inputs.with_values(torch.where(swapped, predicted, inputs.values))

    def _entered(self, embedding: Embedding, x: Ragged) -> Ragged:
        dropped: Ragged = self.input_dropout(embedding(x))
        return dropped

    def _begun(self, rows: Tensor) -> State:
        parts = iter(rows.split(_widths(self.decoder), dim=1))
        like: Any = self.decoder.initial_state(1)
        return tuple(tuple(type(one)(*[next(parts) for _ in one]) for one in layer) for layer in like)


def _widths(decoder: Encoder) -> list[int]:
    """The width of every part of a decoder's state. Raises ``OptionError`` where one is not a vector."""
    parts = [part for layer in decoder.initial_state(1) for one in layer for part in one]
    if any(part.dim() != 2 or part.dtype.is_complex for part in parts):
        raise OptionError("the cell of a decoder must have a state of plain numbers: lstm, gru, rnn, min_gru ...")
    return [part.shape[1] for part in parts]
