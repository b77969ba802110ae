"""The network that forecasts: a recurrent encoder that mixes linear forecasters, and adds what they cannot see.

From the end t of a series, with w_t its last values and l_t, s_t its level and scale (scaling.py):

    h_t  = encoder(x_1 ... x_t)                               what it remembers
    g_t  = softmax(G h_t + b)                                 which linear forecasters suit it now
    m_t  = sum_k g_tk (A_k (w_t - l_t) / s_t + c_k)           [horizon]
    o_t  = V relu(U h_t + u) + v                              [horizon, quantiles]
    r_tj = V' relu(U' (P h_t, z_{t+j}) + u') + v'             [quantiles]; only where something is known ahead
    q_tj = l_t + s_t (m_tj + o_tj + r_tj)                     quantiles of the value j steps on

x_t is what is read at a step (scaling.py), with covariates beside it; z_{t+j} what is known of step t + j: calendar and
covariates. Each A_k begins as the mean of the last three seasons, so that training starts from a seasonal forecast;
where the window does not reach back a season, as the last value.
That a linear map of the last values is a strong forecaster: Zeng et al. 2023. Gated mixtures: Jacobs et al. 1991.

Zeng, A. et al. 2023. Are transformers effective for time series forecasting? AAAI.
Jacobs, R. et al. 1991. Adaptive mixtures of local experts. Neural Computation 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.ops.state import State, mapped
from elman.ragged import Ragged
from elman.tasks.forecast.data.windows import Readings
from elman.training.batching import batches

__all__ = ["Categories", "Experts", "Members", "Sizes"]

_STEPS = 1 << 16  # steps in a batch of answering: bounds the memory, the answers do not depend on it
_LEFT_OUT = 0.02  # share of categories that training takes for unknown, so that a new one has a meaning


@dataclass(frozen=True)
class Sizes:
    """What the layers are as wide as."""

    horizon: int
    window: int
    season: int
    quantiles: int
    experts: int
    read: int  # numbers read at a step
    ahead: int = 0  # numbers known of a future step
    categories: tuple[int, ...] = ()  # of each categorical covariate read at a step, the unknown one counted
    categories_ahead: tuple[int, ...] = ()


class Categories(nn.Module):
    """Numbers, and beside them a learnt vector for each category: [rows, numbers], [rows, kinds] → [rows, outputs]."""

    def __init__(self, numbers: int, sizes: Sequence[int]) -> None:
        super().__init__()
        widths = [min(8, (size + 1) // 2) for size in sizes]
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size, width in zip(sizes, widths, strict=True))
        self.outputs = numbers + sum(widths)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Joins them."""
        if not len(self.tables):
            return numbers
        if self.training:
            codes = codes * (torch.rand(codes.shape) >= _LEFT_OUT)
        found = [table(codes[..., i]) for i, table in enumerate(self.tables)]
        return torch.cat([numbers, *found], dim=-1)


class Experts(nn.Module):
    """One network; the equations stand at the head of this file. `encoder` reads ``Categories.outputs`` numbers."""

    def __init__(self, sizes: Sizes, read: Categories, encoder: Encoder, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.read, self.encoder = sizes, read, encoder
        hidden, answers = encoder.outputs, sizes.horizon * sizes.quantiles
        self.gate = Linear(hidden, sizes.experts)
        self.maps = Linear(sizes.window, sizes.experts * sizes.horizon)
        self.inner = Linear(hidden, hidden)
        self.outer = Linear(hidden, answers)
        self.dropout = nn.Dropout(dropout)
        if sizes.ahead or sizes.categories_ahead:
            self.ahead = Categories(sizes.ahead, sizes.categories_ahead)
            self.context = Linear(hidden, 16)
            self.later = Linear(16 + self.ahead.outputs, 32)
            self.last = Linear(32, sizes.quantiles)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        sizes = self.sizes
        if self.maps.weight.is_meta:
            return
        maps = self.maps.weight.view(sizes.experts, sizes.horizon, sizes.window)
        maps.normal_(0.0, 0.02 if sizes.experts > 1 else 0.0)
        seasons = max(1, min(3, sizes.window // sizes.season))
        for step in range(sizes.horizon):
            for back in range(1, seasons + 1):
                place = sizes.window - sizes.season * back + step % sizes.season
                maps[:, step, place if place >= 0 else sizes.window - 1] += 1 / seasons
        self.maps.bias.zero_()
        self.outer.weight.mul_(0.1)
        spread = torch.linspace(-0.5, 0.5, sizes.quantiles) if sizes.quantiles > 1 else torch.zeros(1)
        self.outer.bias.view(sizes.horizon, sizes.quantiles).copy_(spread.expand(sizes.horizon, -1))
        if hasattr(self, "last"):
            self.last.weight.zero_()
            self.last.bias.zero_()

    def initial_state(self, sequences: int) -> State:
        """The state before the first step."""
        return self.encoder.initial_state(sequences)

    def encode(self, steps: Ragged, codes: Tensor, state: State = None) -> tuple[Ragged, State]:
        """What is remembered after each step: numbers [steps, read], categories [steps, kinds] → [steps, hidden]."""
        made: tuple[Ragged, State] = self.encoder(steps.with_values(self.read(steps.values, codes)), state)
        return made

    def forward(self, windows: Tensor, memory: Tensor, ahead: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Quantiles less the level and in units of the scale: [rows, horizon, quantiles].

        `windows` [rows, window] scaled likewise, `memory` [rows, hidden], `ahead` [rows, horizon, …] numbers and codes.
        """
        rows, sizes = len(windows), self.sizes
        each = self.maps(windows).view(rows, sizes.experts, sizes.horizon)
        share = torch.softmax(self.gate(memory), dim=1)
        middle = (share[:, :, None] * each).sum(1)
        offsets = self.outer(self.dropout(torch.relu(self.inner(memory))))
        made: Tensor = middle[:, :, None] + offsets.view(rows, sizes.horizon, sizes.quantiles)
        return made if ahead is None else made + self._known(memory, *ahead)

    def _known(self, memory: Tensor, numbers: Tensor, codes: Tensor) -> Tensor:
        rows, horizon = numbers.shape[:2]
        known = self.ahead(numbers, codes).reshape(rows * horizon, -1)
        context = self.context(memory).repeat_interleave(horizon, dim=0)
        inner = torch.relu(self.later(torch.cat([context, known], dim=1)))
        out: Tensor = self.last(inner).view(rows, horizon, -1)
        return out


class Members(nn.Module):
    """Several networks of one kind, which differ by the numbers they began with; their quantiles are averaged."""

    def __init__(self, sizes: Sizes, members: int, encoder: Callable[[int], Encoder], dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.networks = sizes, nn.ModuleList()
        for _ in range(members):
            read = Categories(sizes.read, sizes.categories)
            self.networks.append(Experts(sizes, read, encoder(read.outputs), dropout))

    def __iter__(self) -> Iterator[Experts]:
        return (network for network in self.networks if isinstance(network, Experts))

    @torch.no_grad()
    def recalled(self, readings: Readings, series: Tensor, at: Tensor, reach: int) -> list[Tensor]:
        """What each remembers at steps `at` of `series` if it begins to read `reach` steps before the first of them.

        As in training, where a piece of a series is all that is read; for the choice of an epoch, which need not wait
        for long series.
        """
        distinct, owner = torch.unique(series, return_inverse=True)
        first, last = torch.full_like(distinct, 1 << 62), torch.zeros_like(distinct)
        first = first.scatter_reduce(0, owner, at, "amin").sub(reach).clamp(min=0)
        last = last.scatter_reduce(0, owner, at + 1, "amax")
        steps, codes = readings.cut(distinct, first, last)
        place = steps.offsets[owner] + at - first[owner]
        return [member.encode(steps, codes)[0].values[place] for member in self]

    @torch.no_grad()
    def memories(self, readings: Readings, series: Tensor, at: Tensor) -> tuple[list[Tensor], list[State]]:
        """What each remembers at steps `at` of `series` [rows, hidden]; its state after the end of each series."""
        memory, states = [], []
        offsets = readings.steps.offsets
        for member in self:
            rows, ends = torch.zeros(len(at), member.encoder.outputs), []
            for part in batches(readings.steps.lengths, _STEPS):
                first, last = int(part[0]), int(part[-1]) + 1
                a, b = int(offsets[first]), int(offsets[last])
                y, after = member.encode(readings.steps[first:last], readings.codes[a:b])
                here = (series >= first) & (series < last)
                rows[here] = y.values[offsets[series[here]] - a + at[here]]
                ends.append(after)
            memory.append(rows)
            states.append(mapped(lambda *parts: torch.cat(parts), *ends))
        return memory, states

    @torch.no_grad()
    def quantiles(
        self,
        windows: Tensor,
        memory: Sequence[Tensor],
        known: tuple[Tensor, Tensor] | None,
        level: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The mean of the members' quantiles, ascending: [rows, horizon, quantiles]."""
        answers = [member(windows, rows, known).double() for member, rows in zip(self, memory, strict=True)]
        scaled: NDArray[np.float64] = torch.stack(answers).mean(0).sort(-1).values.numpy()
        return level[:, None, None] + scale[:, None, None] * scaled
