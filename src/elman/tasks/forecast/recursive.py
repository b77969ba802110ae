"""Forecasts one step at a time: a network of the next value alone, rolled forward on sampled paths.

    u_kj   quantile levels in (0, 1) of path k and step j: a Latin hypercube sample, one in every n-th part
    y_kj = Q(u_kj)       Q: linear interpolation of the next value's quantiles, constant beyond the outermost two

The forecast is the quantiles over the paths of each series. Each path is advanced like a series that is given new
points (`update`): it has its own state, level and scale. All series are sampled at the same levels, so that the
forecast of one does not depend on the others.

McKay, M., Beckman, R. and Conover, W. 1979. A comparison of three methods for selecting values of input variables.
Technometrics 21.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.tasks.forecast.conformal import quantile_levels
from elman.tasks.forecast.data.panel import Panel, ranges
from elman.tasks.forecast.data.windows import MOST_BYTES, WindowedSeries
from elman.tasks.forecast.direct import DirectForecast
from elman.tasks.forecast.options import ForecastOptions
from elman.tasks.forecast.state import SeriesState

_Floats = NDArray[np.float64]
_HALF = (0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4)
NEXT_LEVELS = (*_HALF, 0.5, *(round(1 - level, 3) for level in reversed(_HALF)))  # of the next value's quantiles
_ROWS = 8192  # paths that are advanced at once, at most
_ORIGINS = 64  # series that are read at once, to begin from within them


@dataclass(frozen=True)
class RecursiveForecast:
    """Quantiles over sampled paths; `one_step` forecasts the next value at the quantile levels `NEXT_LEVELS`."""

    one_step: DirectForecast
    horizon: int
    levels: Sequence[float]  # quantile levels of the forecast
    paths: int
    seed: int

    def forecast(self, state: SeriesState, future: Panel | None, count: int) -> _Floats:
        """Of `count` steps after the end of each series: [series, count, quantiles].

        `future` holds the future covariates of the horizon, series by series.
        """
        parts = self._parts(len(state.ids))
        made = [np.quantile(self._paths(state, future, part, count), self.levels, axis=1) for part in parts]
        return np.concatenate([np.moveaxis(part, 0, -1) for part in made])

    def sample(self, state: SeriesState, future: Panel | None, count: int) -> _Floats:
        """The paths themselves: [series, paths, count]."""
        return np.concatenate([self._paths(state, future, part, count) for part in self._parts(len(state.ids))])

    def _parts(self, series: int) -> list[NDArray[np.int64]]:
        """The series that are advanced at once."""
        each = max(1, _ROWS // self.paths)
        return [np.arange(a, min(a + each, series)) for a in range(0, series, each)]

    def forecast_at(self, panel: Panel, windowed: WindowedSeries, series: Tensor, at: Tensor) -> _Floats:
        """Of the horizon after steps `at` of some series of a panel: [rows, horizon, quantiles]."""
        pairs = zip(series.split(_ORIGINS), at.split(_ORIGINS), strict=True)
        return np.concatenate([self._forecast_within(panel, s, t) for s, t in pairs])

    def _paths(self, state: SeriesState, future: Panel | None, series: NDArray[np.int64], count: int) -> _Floats:
        owner = np.repeat(series, self.paths)
        levels = np.tile(latin_hypercube(self.paths, self.horizon, self.seed)[:count], len(series))
        each = max(1, MOST_BYTES // state.tail.bytes_of_one)
        parts = [slice(a, a + each) for a in range(0, len(owner), each)]
        values = np.concatenate([self._sample(state, future, owner[part], levels[:, part]) for part in parts])
        return values.reshape(len(series), self.paths, count)

    def _sample(self, state: SeriesState, future: Panel | None, owner: NDArray[np.int64], levels: _Floats) -> _Floats:
        """A path of each of the series `owner`, sampled at quantile levels [steps, paths]: [paths, steps]."""
        running, rows, next_levels = state.take(owner.tolist()), np.arange(len(owner)), np.array(NEXT_LEVELS)
        values = np.zeros((len(owner), len(levels)))
        for step, at in enumerate(levels):
            here = None if future is None else steps_of(future, owner * self.horizon + step)
            next_value = self.one_step.forecast(running, here, 1)[:, 0]
            values[:, step] = interpolated(next_value, next_levels, at)
            if step + 1 < len(levels):
                self.one_step.encoder.append(running, self._observed(running, values[:, step], here), rows)
        return values

    def _observed(self, running: SeriesState, values: _Floats, here: Panel | None) -> Panel:
        """A step of each path as if it had been observed; past covariates are missing, and so stay as they were."""
        encoder, count = self.one_step.encoder, len(values)
        plain = encoder.shape.inverse(values, running.tail.lowest)
        panel = Panel(running.ids, np.arange(count + 1), running.next.copy(), plain)
        for name in encoder.covariates.past:
            category = name in encoder.covariates.kinds
            panel.covariates[name] = np.full(count, None, object) if category else np.full(count, np.nan)
        panel.covariates |= {} if here is None else here.covariates
        return panel

    def _forecast_within(self, panel: Panel, series: Tensor, at: Tensor) -> _Floats:
        """From series that are read up to steps `at`."""
        encoder, chosen, lengths = self.one_step.encoder, series.numpy(), at.numpy() + 1
        begin = panel.offsets[chosen]
        cut = panel.take(ranges(begin, lengths), lengths, panel.first[chosen], list(range(len(chosen))))
        cut.static = {name: values[chosen] for name, values in panel.static.items()}
        after = (begin + lengths)[:, None] + np.arange(self.horizon)
        future = None
        if names := encoder.covariates.future:
            within = np.minimum(after, len(panel.values) - 1)  # steps beyond the end are nobody's to compare
            future = steps_of(panel, within.reshape(-1))
            future.covariates = {name: future.covariates[name] for name in names}
        return self.forecast(encoder.state(cut, encoder.windowed(cut)), future, self.horizon)


def network_levels(options: ForecastOptions) -> list[float]:
    """The quantile levels that the network learns."""
    return list(NEXT_LEVELS) if options.recursive else quantile_levels(options.levels)


def strategy_of(
    options: ForecastOptions, direct: DirectForecast, seed: int | None
) -> DirectForecast | RecursiveForecast:
    """How the horizon is forecast with a network that forecasts all of it, or the next step."""
    if not options.recursive:
        return direct
    levels = quantile_levels(options.levels)
    return RecursiveForecast(direct, options.horizon, levels, options.paths, 0 if seed is None else seed)


def latin_hypercube(paths: int, steps: int, seed: int) -> _Floats:
    """Quantile levels to sample at: [steps, paths], each row one in every n-th part of (0, 1), in random order.

    >>> sorted(latin_hypercube(4, 1, seed=0)[0].tolist())
    [0.125, 0.375, 0.625, 0.875]
    """
    even = np.tile((np.arange(paths) + 0.5) / paths, (steps, 1))
    return np.random.default_rng(seed).permuted(even, axis=1)


def interpolated(quantiles: _Floats, levels: _Floats, at: _Floats) -> _Floats:
    """The quantiles at the levels `at` [rows], from ascending `quantiles` [rows, levels].

    >>> interpolated(np.array([[0.0, 1.0, 3.0]]), np.array([0.25, 0.5, 0.75]), np.array([0.625])).tolist()
    [2.0]
    """
    inside = np.clip(at, levels[0], levels[-1])
    right = np.clip(np.searchsorted(levels, inside, side="right"), 1, len(levels) - 1)
    weight = (inside - levels[right - 1]) / (levels[right] - levels[right - 1])
    rows = np.arange(len(quantiles))
    made: _Floats = (1 - weight) * quantiles[rows, right - 1] + weight * quantiles[rows, right]
    return made


def steps_of(panel: Panel, rows: NDArray[np.int64]) -> Panel:
    """Some steps of a panel, as series of one step each."""
    count = len(rows)
    return panel.take(rows, np.ones(count, np.int64), np.zeros(count, np.int64), list(range(count)))
