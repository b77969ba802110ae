"""Network inputs of series: the inputs of each step, the window before it and the targets after it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place
from elman.ragged import Ragged
from elman.tasks.forecast.data.covariates import Covariates, Table
from elman.tasks.forecast.data.panel import Panel, ranges
from elman.tasks.forecast.data.scaling import Past, Shape, least_scale
from elman.tasks.forecast.data.time_grid import Grid, cycles

MOST_BYTES = 1 << 25  # of windows that are made at once
_LARGEST = 1e30  # of a scaled target: one beyond it, after a series of zeros, would be infinite as a float32


def trimmed(panel: Panel, name: str = "frame", target: str = "y") -> Panel:
    """The series from their first value on. Raises DataError for a series without one."""
    count = len(panel.values)
    first = np.minimum.reduceat(np.where(np.isnan(panel.values), count, np.arange(count)), panel.offsets[:-1])
    starts = first - panel.offsets[:-1]
    empty = np.flatnonzero(starts >= panel.lengths)
    if len(empty):
        series, steps = panel.ids[empty[0]], panel.lengths[empty[0]]
        what = f": series {series!r} has no value in column {target!r}: all {steps} steps are missing."
        raise DataError(f"{what} Leave it out, or give it one.", at=Place(name))
    lengths = panel.lengths - starts
    return panel.take(ranges(first, lengths), lengths, panel.first + starts) if starts.any() else panel


def check_lengths(panel: Panel, horizon: int, season: int | None) -> None:
    """Raises DataError where no series is longer than the horizon; warns where none reaches the option `season`."""
    longest, name = int(panel.lengths.max()), panel.ids[int(panel.lengths.argmax())]
    has = f"but the longest series, {name!r}, has {'1 step' if longest == 1 else f'{longest} steps'}"
    if longest <= horizon:
        advice = "" if longest == 1 else f", or a horizon below {longest}"
        raise DataError(f"horizon = {horizon}, {has}. Give longer series{advice}.")
    if season is not None and longest <= season:
        warnings.warn(
            f"season = {season}, {has}: no value has another a season before it. Leave season at None, or give at most "
            f"{max(1, longest // 2)}.",
            stacklevel=3,
        )


def observed_lengths(panel: Panel) -> NDArray[np.int64]:
    """Steps of each series up to its last value.

    >>> observed_lengths(Panel(["a"], np.array([0, 3]), np.zeros(1, int), np.array([1.0, 2.0, np.nan]))).tolist()
    [2]
    """
    last = np.where(np.isnan(panel.values), -1, np.arange(len(panel.values)))
    return np.maximum(np.maximum.reduceat(last, panel.offsets[:-1]) - panel.offsets[:-1] + 1, 0)


@dataclass
class WindowedSeries:
    """All steps of some series, one after the other. Inputs known ahead go `horizon` steps beyond their ends."""

    shape: Shape
    horizon: int
    pasts: list[Past]
    steps: Ragged  # numeric inputs of each step: of the series, of its covariates, of the calendar
    codes: Tensor  # categorical inputs of each step
    values: Tensor  # float64 [steps]: NaN where missing; logarithms, where so chosen
    fills: Tensor  # float64 [steps], as the three below
    level: Tensor
    scale: Tensor
    lowest: Tensor
    ahead: tuple[Tensor, Tensor] | None  # numbers and codes known ahead, of each step and of those after the end
    table: Table  # the covariates of each step

    @classmethod
    def of(cls, panel: Panel, shape: Shape, covariates: Covariates, grid: Grid, longest: int, horizon: int) -> Self:
        """From a panel of series that begin with a value; for logarithms all values are above 0.

        Cycles of the calendar count where they go round twice in `longest` steps.
        """
        values = np.log(panel.values) if shape.log else panel.values
        pasts = [Past.of(part, shape) for part in np.split(values, panel.offsets[1:-1])]
        changing = covariates.changing(panel)
        owner = np.repeat(np.arange(len(panel)), panel.lengths)
        inputs = changing.joined(covariates.constant(panel)[owner])
        calendar = cycles(grid, ranges(panel.first, panel.lengths + horizon), longest)
        inside = np.arange(len(owner)) + owner * horizon
        numbers = [np.concatenate([past.inputs for past in pasts]), inputs.numbers, calendar[inside]]
        ahead = None
        if calendar.shape[1] or covariates.future:
            future = covariates.ahead(changing)
            numbers_ahead = np.zeros((len(calendar), future.numbers.shape[1]), np.float32)
            codes_ahead = np.zeros((len(calendar), future.codes.shape[1]), np.int64)
            numbers_ahead[inside], codes_ahead[inside] = future.numbers, future.codes
            ahead = torch.from_numpy(np.concatenate([numbers_ahead, calendar], axis=1)), torch.from_numpy(codes_ahead)
        steps = Ragged(torch.from_numpy(np.concatenate(numbers, axis=1)), torch.from_numpy(panel.offsets.copy()))
        fills, level, scale, lowest = (
            torch.from_numpy(np.concatenate([getattr(past, name) for past in pasts]))
            for name in ("fills", "level", "scale", "lowest")
        )
        codes, given = torch.from_numpy(inputs.codes), torch.from_numpy(values)
        return cls(shape, horizon, pasts, steps, codes, given, fills, level, scale, lowest, ahead, changing)

    def windows(self, series: Tensor, at: Tensor) -> Tensor:
        """The values up to step `at` of each of some series, scaled by what is known there: float32 [rows, window]."""
        made = torch.empty(len(at), self.shape.window)
        some = max(1, MOST_BYTES // (8 * self.shape.window))
        for a in range(0, len(at), some):
            begin, here = self.steps.offsets[series[a : a + some]], at[a : a + some]
            place = here[:, None] + torch.arange(1 - self.shape.window, 1)
            rows = begin + here
            values = self.fills[begin[:, None] + place.clamp(min=0)]
            scaled = (values - self.level[rows, None]) / self.scale[rows, None]
            made[a : a + some] = torch.where(place >= 0, scaled, 0.0)
        return made

    def targets(self, series: Tensor, at: Tensor, ends: Tensor) -> Tensor:
        """The values after step `at`, scaled alike; NaN from `ends` [series] on: float32 [rows, horizon]."""
        begin = self.steps.offsets[series]
        place = at[:, None] + torch.arange(1, self.horizon + 1)
        there = place < ends[series, None]
        values = self.values[torch.where(there, begin[:, None] + place, 0)]
        rows = begin + at
        scaled = ((values - self.level[rows, None]) / self.scale[rows, None]).clamp(-_LARGEST, _LARGEST)
        return torch.where(there, scaled, torch.nan).float()

    def future_inputs(self, series: Tensor, at: Tensor) -> tuple[Tensor, Tensor] | None:
        """What is known ahead of the steps after `at`: [rows, horizon, …] numbers and codes; None where nothing is."""
        if self.ahead is None:
            return None
        begin = self.steps.offsets[series] + series * self.horizon
        place = (begin + at)[:, None] + torch.arange(1, self.horizon + 1)
        return self.ahead[0][place], self.ahead[1][place]

    def error_scale(self) -> NDArray[np.float64]:
        """The unit of errors of each series: by how much it changes; of logarithms, by how much all do."""
        change = np.array([past.long[-1] for past in self.pasts])
        change = np.full_like(change, change.mean()) if self.shape.log else change
        least = least_scale(np.array([past.level[-1] for past in self.pasts]), self.shape.log)
        made: NDArray[np.float64] = np.maximum(change, least)
        return made

    def cut(self, series: Tensor, first: Tensor, last: Tensor) -> tuple[Ragged, Tensor]:
        """The steps from `first` up to, without, `last` of some series: numbers and codes."""
        counts = last - first
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        start = self.steps.offsets[series] + first - offsets[:-1]
        rows = torch.repeat_interleave(start, counts) + torch.arange(int(offsets[-1]))
        return Ragged(self.steps.values[rows], offsets), self.codes[rows]


def forecast_origins(
    lengths: NDArray[np.int64], horizon: int, held: NDArray[np.int64], stride: int
) -> tuple[Tensor, Tensor]:
    """The steps from which the held-out ends of series are forecast, whole horizons: series and step of each.

    >>> [part.tolist() for part in forecast_origins(np.array([10, 4]), 2, np.array([4, 0]), 1)]
    [[0, 0, 0], [5, 6, 7]]
    """
    series, at = [], []
    for i, (length, part) in enumerate(zip(lengths.tolist(), held.tolist(), strict=True)):
        found = range(length - horizon - 1, length - part - 2, -stride) if part else range(0)
        at += sorted(found)
        series += [i] * len(found)
    return torch.tensor(series, dtype=torch.int64), torch.tensor(at, dtype=torch.int64)


def values_after(panel: Panel, series: Tensor, at: Tensor, horizon: int) -> NDArray[np.float64]:
    """The values that follow some steps, as given: [rows, horizon]."""
    place = panel.offsets[series.numpy(), None] + at.numpy()[:, None] + np.arange(1, horizon + 1)
    return panel.values[place]  # type: ignore[no-any-return]
