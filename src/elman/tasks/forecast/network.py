"""The network that forecasts: a recurrent encoder that mixes linear forecasters, and adds what they cannot express.

From the end t of a series, with w_t its last values and l_t, s_t its level and scale (data/scaling.py):

    h_t  = encoder(x_1 ... x_t)                               hidden state
    g_t  = softmax(G h_t + b)                                 weights of the linear forecasters
    m_t  = sum_k g_tk (A_k (w_t - l_t) / s_t + c_k)           [horizon]
    o_t  = V relu(U h_t + u) + v                              [horizon, quantiles]
    r_tj = V' relu(U' (P h_t, z_{t+j}) + u') + v'             [quantiles]; only where something is known ahead
    q_tj = l_t + s_t (m_tj + o_tj + r_tj)                     quantiles of the value j steps on

x_t are the inputs of a step (data/scaling.py), with covariates; z_{t+j} what is known ahead of step t + j: calendar and
covariates. Each A_k begins as the mean of the last three seasons, so that training starts from a seasonal forecast;
where the window does not reach back a season, as the last value.
That a linear map of the last values is a strong forecaster: Zeng et al. 2023. Gated mixtures: Jacobs et al. 1991.

Zeng, A. et al. 2023. Are transformers effective for time series forecasting? AAAI.
Jacobs, R. et al. 1991. Adaptive mixtures of local experts. Neural Computation 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.ops.state import State
from elman.ragged import Ragged
from elman.tasks.forecast.data.covariates import Covariates
from elman.tasks.forecast.data.scaling import Shape

_DROPPED = 0.02  # fraction of categories that training replaces by the unknown one, so that its vector is trained


@dataclass(frozen=True)
class Sizes:
    """The sizes of the layers."""

    horizon: int
    window: int
    season: int
    quantiles: int
    experts: int
    inputs: int  # numeric inputs of a step
    inputs_ahead: int = 0  # numbers known ahead of a step
    categories: tuple[int, ...] = ()  # of each categorical input of a step, the unknown one included
    categories_ahead: tuple[int, ...] = ()

    @classmethod
    def of(cls, shape: Shape, covariates: Covariates, cycles: int, horizon: int, quantiles: int, experts: int) -> Self:
        """Of a network that also reads so many numbers of the calendar (`cycles`)."""
        groups, future = (covariates.past, covariates.future, covariates.static), covariates.future
        return cls(
            horizon,
            shape.window,
            shape.season,
            quantiles,
            experts,
            shape.width + len(covariates.names(*groups)[0]) + cycles,
            len(covariates.names(future)[0]) + cycles,
            covariates.sizes(*groups),
            covariates.sizes(future),
        )


class CategoryEmbedding(nn.Module):
    """Numbers, and an embedding of each category: [rows, numbers], [rows, kinds] → [rows, outputs]."""

    def __init__(self, numbers: int, sizes: Sequence[int]) -> None:
        super().__init__()
        widths = [min(8, (size + 1) // 2) for size in sizes]
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size, width in zip(sizes, widths, strict=True))
        self.outputs = numbers + sum(widths)

    def unknown(self) -> list[Tensor]:
        """The vector of the unknown category of each kind."""
        return [table.weight[0].detach() for table in self.tables if isinstance(table, nn.Embedding)]

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Concatenates them."""
        if not len(self.tables):
            return numbers
        if self.training:
            codes = codes * (torch.rand(codes.shape) >= _DROPPED)
        found = [table(codes[..., i]) for i, table in enumerate(self.tables)]
        return torch.cat([numbers, *found], dim=-1)


class LinearMixture(nn.Module):
    """One network: the equations at the head of this file. `encoder` reads ``embedding.outputs`` numbers."""

    def __init__(self, sizes: Sizes, embedding: CategoryEmbedding, encoder: Encoder, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.embedding, self.encoder = sizes, embedding, encoder
        hidden, outputs = encoder.outputs, sizes.horizon * sizes.quantiles
        self.gate = Linear(hidden, sizes.experts)
        self.experts = Linear(sizes.window, sizes.experts * sizes.horizon)
        self.offset_hidden = Linear(hidden, hidden)
        self.offset = Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)
        if sizes.inputs_ahead or sizes.categories_ahead:
            self.embedding_ahead = CategoryEmbedding(sizes.inputs_ahead, sizes.categories_ahead)
            self.context = Linear(hidden, 16)
            self.ahead_hidden = Linear(16 + self.embedding_ahead.outputs, 32)
            self.ahead = Linear(32, sizes.quantiles)
        self._init_weights()

    @torch.no_grad()
    def _init_weights(self) -> None:
        sizes = self.sizes
        if self.experts.weight.is_meta:
            return
        maps = self.experts.weight.view(sizes.experts, sizes.horizon, sizes.window)
        maps.normal_(0.0, 0.02 if sizes.experts > 1 else 0.0)
        seasons = max(1, min(3, sizes.window // sizes.season))
        for step in range(sizes.horizon):
            for back in range(1, seasons + 1):
                place = sizes.window - sizes.season * back + step % sizes.season
                maps[:, step, place if place >= 0 else sizes.window - 1] += 1 / seasons
        self.experts.bias.zero_()
        self.offset.weight.mul_(0.1)
        spread = torch.linspace(-0.5, 0.5, sizes.quantiles) if sizes.quantiles > 1 else torch.zeros(1)
        self.offset.bias.view(sizes.horizon, sizes.quantiles).copy_(spread.expand(sizes.horizon, -1))
        if hasattr(self, "ahead"):
            self.ahead.weight.zero_()
            self.ahead.bias.zero_()

    def initial_state(self, sequences: int) -> State:
        """The state before the first step."""
        return self.encoder.initial_state(sequences)

    def encode(self, steps: Ragged, codes: Tensor, state: State = None) -> tuple[Ragged, State]:
        """The hidden state after each step: numbers [steps, inputs], categories [steps, kinds] → [steps, hidden]."""
        made: tuple[Ragged, State] = self.encoder(steps.with_values(self.embedding(steps.values, codes)), state)
        return made

    def forward(self, windows: Tensor, hidden: Tensor, ahead: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Quantiles less the level and in units of the scale: [rows, horizon, quantiles].

        `windows` [rows, window] scaled likewise, `hidden` [rows, hidden], `ahead` [rows, horizon, …] numbers and codes.
        """
        rows, sizes = len(windows), self.sizes
        each = self.experts(windows).view(rows, sizes.experts, sizes.horizon)
        weights = torch.softmax(self.gate(hidden), dim=1)
        median = (weights[:, :, None] * each).sum(1)
        offsets = self.offset(self.dropout(torch.relu(self.offset_hidden(hidden))))
        made: Tensor = median[:, :, None] + offsets.view(rows, sizes.horizon, sizes.quantiles)
        return made if ahead is None else made + self._from_ahead(hidden, *ahead)

    def _from_ahead(self, hidden: Tensor, numbers: Tensor, codes: Tensor) -> Tensor:
        rows, horizon = numbers.shape[:2]
        inputs = self.embedding_ahead(numbers, codes).reshape(rows * horizon, -1)
        context = self.context(hidden).repeat_interleave(horizon, dim=0)
        out: Tensor = self.ahead(torch.relu(self.ahead_hidden(torch.cat([context, inputs], dim=1))))
        return out.view(rows, horizon, -1)


class Ensemble(nn.Module):
    """Networks of one kind with different initial weights; their quantiles are averaged."""

    def __init__(self, sizes: Sizes, size: int, encoder: Callable[[int], Encoder], dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.networks = sizes, nn.ModuleList()
        for _ in range(size):
            embedding = CategoryEmbedding(sizes.inputs, sizes.categories)
            self.networks.append(LinearMixture(sizes, embedding, encoder(embedding.outputs), dropout))

    def __iter__(self) -> Iterator[LinearMixture]:
        return (network for network in self.networks if isinstance(network, LinearMixture))

    @torch.no_grad()
    def quantiles(
        self,
        windows: Tensor,
        hidden: Sequence[Tensor],
        ahead: tuple[Tensor, Tensor] | None,
        level: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The mean of the networks' quantiles, ascending: [rows, horizon, quantiles]."""
        each = [network(windows, rows, ahead).double() for network, rows in zip(self, hidden, strict=True)]
        scaled: NDArray[np.float64] = torch.stack(each).mean(0).sort(-1).values.numpy()
        return level[:, None, None] + scale[:, None, None] * scaled
