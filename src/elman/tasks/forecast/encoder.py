"""Reads series with the networks' recurrent encoders: from the beginning, and from a state one step at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.ops.state import State, mapped
from elman.ragged import Ragged
from elman.tasks.forecast.data.covariates import Covariates, Table
from elman.tasks.forecast.data.panel import Panel, ranges
from elman.tasks.forecast.data.scaling import Shape, Tail
from elman.tasks.forecast.data.time_grid import Grid, cycles
from elman.tasks.forecast.data.windows import WindowedSeries
from elman.tasks.forecast.network import Ensemble
from elman.tasks.forecast.state import SeriesState
from elman.training.batching import batches

_STEPS = 1 << 16  # steps in a batch: bounds the memory, the result does not depend on it


@dataclass(frozen=True)
class SeriesEncoder:
    """Makes inputs of panels, and hidden states of inputs."""

    shape: Shape
    grid: Grid
    longest: int  # steps of the longest series of training: cycles of the calendar that go round twice in it are read
    covariates: Covariates
    network: Ensemble

    @property
    def horizon(self) -> int:
        """How many steps ahead the network itself looks."""
        return self.network.sizes.horizon

    def windowed(self, panel: Panel) -> WindowedSeries:
        """The inputs of a panel."""
        return WindowedSeries.of(panel, self.shape, self.covariates, self.grid, self.longest, self.horizon)

    def state(self, panel: Panel, windowed: WindowedSeries) -> SeriesState:
        """The state after the last step of each series."""
        hidden, states = self.hidden_at(windowed, torch.arange(len(panel)), windowed.steps.lengths - 1)
        last, constant = windowed.table[panel.offsets[1:] - 1], self.covariates.constant(panel)
        tail = Tail.of(windowed.pasts, self.shape)
        return SeriesState(list(panel.ids), panel.first + panel.lengths, tail, states, hidden, last, constant)

    @torch.no_grad()
    def hidden_at(self, windowed: WindowedSeries, series: Tensor, at: Tensor) -> tuple[list[Tensor], list[State]]:
        """Of each network: hidden states at steps `at` of `series` [rows, hidden]; its state after every series."""
        found, states, offsets = [], [], windowed.steps.offsets
        for network in self.network:
            rows, ends = torch.zeros(len(at), network.encoder.outputs), []
            for part in batches(windowed.steps.lengths, _STEPS):
                first, last = int(part[0]), int(part[-1]) + 1
                a, b = int(offsets[first]), int(offsets[last])
                y, after = network.encode(windowed.steps[first:last], windowed.codes[a:b])
                here = (series >= first) & (series < last)
                rows[here] = y.values[offsets[series[here]] - a + at[here]]
                ends.append(after)
            found.append(rows)
            states.append(mapped(lambda *parts: torch.cat(parts), *ends))
        return found, states

    @torch.no_grad()
    def hidden_in_chunk(self, windowed: WindowedSeries, series: Tensor, at: Tensor, steps: int) -> list[Tensor]:
        """The same, read from so many `steps` before the first `at` of each series on, as training reads chunks.

        For the choice of an epoch, which so takes no longer for long series.
        """
        distinct, owner = torch.unique(series, return_inverse=True)
        first, last = torch.full_like(distinct, 1 << 62), torch.zeros_like(distinct)
        first = first.scatter_reduce(0, owner, at, "amin").sub(steps).clamp(min=0)
        last = last.scatter_reduce(0, owner, at + 1, "amax")
        inputs, codes = windowed.cut(distinct, first, last)
        place = inputs.offsets[owner] + at - first[owner]
        return [network.encode(inputs, codes)[0].values[place] for network in self.network]

    @torch.no_grad()
    def append(self, state: SeriesState, panel: Panel, rows: NDArray[np.int64]) -> None:
        """Advances the series `rows` of a state by the steps of a panel, which follow at once."""
        last, constant = panel.offsets[1:] - 1, state.constant[rows]
        changing = self.covariates.changing(panel, state.last[rows])
        table = changing.joined(constant[np.repeat(np.arange(len(panel)), panel.lengths)])
        inputs = self._advance_tail(state.tail, panel, rows)
        numbers = np.concatenate(
            [inputs, table.numbers, cycles(self.grid, ranges(panel.first, panel.lengths), self.longest)], axis=1
        )
        steps = Ragged(torch.from_numpy(numbers), torch.from_numpy(panel.offsets.copy()))
        chosen, ends = torch.from_numpy(rows), steps.offsets[1:] - 1
        for i, network in enumerate(self.network):
            before = mapped(lambda part: part[chosen], state.states[i])
            y, after = network.encode(steps, torch.from_numpy(table.codes), before)
            mapped(lambda part, new: part.index_copy_(0, chosen, new), state.states[i], after)
            state.hidden[i][chosen] = y.values[ends]
        state.last.numbers[rows], state.last.codes[rows] = changing.numbers[last], changing.codes[last]
        state.next[rows] += panel.lengths

    def _advance_tail(self, tail: Tail, panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The inputs that come of the values, a step of all series at a time: [steps, width]."""
        values = np.log(panel.values) if self.shape.log else panel.values
        inputs = np.zeros((len(values), self.shape.width), np.float32)
        for step in range(int(panel.lengths.max())):
            running = np.flatnonzero(panel.lengths > step)
            at = panel.offsets[running] + step
            inputs[at] = tail.advance(values[at], rows[running], self.shape)
        return inputs

    def future_inputs(self, state: SeriesState, future: Panel | None) -> tuple[Tensor, Tensor] | None:
        """What is known ahead of the steps after each series' end: numbers and codes; None where nothing is."""
        count, horizon = len(state.ids), self.horizon
        when = (state.next[:, None] + np.arange(horizon)).reshape(-1)
        calendar = cycles(self.grid, when, self.longest)
        if not calendar.shape[1] and future is None:
            return None
        table = Table(np.zeros((len(when), 0), np.float32), np.zeros((len(when), 0), np.int64))
        if future is not None:
            covariates = replace(self.covariates, past=())
            table = covariates.ahead(covariates.changing(future))
        numbers = np.concatenate([table.numbers, calendar], axis=1).reshape(count, horizon, -1)
        return torch.from_numpy(numbers), torch.from_numpy(table.codes.reshape(count, horizon, -1))
