"""Training batches: random chunks of series, and random forecast origins within them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.layers.losses import pinball
from elman.tasks.forecast.data.windows import MOST_BYTES, WindowedSeries
from elman.tasks.forecast.network import Ensemble

_ORIGINS = 48  # in a chunk; fewer where windows are very long
_LONGEST = 1 << 15  # steps of a chunk
_VIRTUAL = 256  # sequences in an epoch, at least: a long series is sampled several times


def sampled_series(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The series of an epoch: each once, or where they are few as often as long ones deserve.

    >>> sampled_series(np.array([500, 1500, 1])).tolist() == [0] * 64 + [1] * 192
    True
    """
    usable = np.flatnonzero(lengths >= 2)
    expected = lengths[usable] / lengths[usable].sum() * max(_VIRTUAL, len(usable))
    times = np.maximum(1, np.round(expected)).astype(np.int64) if len(usable) < _VIRTUAL else 1
    return np.repeat(usable, times)


def quantiles_within(
    network: Ensemble, windowed: WindowedSeries, series: Tensor, first: Tensor, last: Tensor, rows: Tensor, at: Tensor
) -> Iterator[Tensor]:
    """Each network's quantiles, scaled, after steps `at` of the chunks `rows`: steps `first` to `last` of `series`."""
    owner, (steps, codes) = series[rows], windowed.cut(series, first, last)
    windows, ahead = windowed.windows(owner, at), windowed.future_inputs(owner, at)
    place = steps.offsets[rows] + at - first[rows]
    for member in network:
        y, _ = member.encode(steps, codes)
        yield member(windows, y.values[place], ahead)


class WindowSampler:
    """Random chunks of series, and origins in them from which the networks forecast.

    The loss is that of the module `estimator`; `lengths`: the steps of each series that are learnt from.
    """

    def __init__(self, windowed: WindowedSeries, lengths: NDArray[np.int64], levels: Sequence[float]) -> None:
        self.windowed, self.levels = windowed, torch.tensor(levels)
        self.lengths, self.unit = torch.from_numpy(lengths), torch.from_numpy(windowed.error_scale())
        self.size = min(max(windowed.shape.window, 2 * windowed.shape.season, 32), _LONGEST)
        self.series = torch.from_numpy(sampled_series(lengths))
        self.counts = self.lengths[self.series].clamp(max=self.size)

    def loss(self, network: Ensemble, indices: Tensor) -> Tensor:
        """The sum of the networks' losses over origins in a chunk of each sequence."""
        series = self.series[indices]
        first, last, low = self._chunks(series)
        rows, at = self._origins(first, last, low)
        owner = series[rows]
        targets = self.windowed.targets(owner, at, self.lengths)
        weights = self._weights(owner, at).float()[:, None].expand_as(targets)
        forecasts = quantiles_within(network, self.windowed, series, first, last, rows, at)
        return torch.stack([self._pinball(made, targets, weights) for made in forecasts]).sum()

    def loss_of(self, made: Tensor, series: Tensor, at: Tensor) -> float:
        """The loss of quantiles float64 [rows, horizon, quantiles] of what follows steps `at` of some series."""
        windowed, place = self.windowed, self.windowed.steps.offsets[series] + at
        scaled = (made - windowed.level[place, None, None]) / windowed.scale[place, None, None]
        targets = windowed.targets(series, at, windowed.steps.lengths).double()
        return float(self._pinball(scaled, targets, self._weights(series, at)[:, None].expand_as(targets)))

    def _pinball(self, made: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        middle, levels = len(self.levels) // 2, self.levels.to(made.dtype)
        whole = pinball(made, targets, levels, weights)
        return whole + pinball(made[..., middle : middle + 1], targets, levels[middle : middle + 1], weights) / 2

    def _weights(self, series: Tensor, at: Tensor) -> Tensor:
        """From errors in units of the scale at steps `at` to errors in units of each series."""
        return (self.windowed.scale[self.windowed.steps.offsets[series] + at] / self.unit[series]).clamp(max=10)

    def _chunks(self, series: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where a chunk of each series begins and ends, and the first origin in it.

        Nine in ten origins have a full window before them; the others train on a short past.
        """
        lengths, shape = self.lengths[series], self.windowed.shape
        early = torch.rand(len(series)) < 0.1
        low = torch.where(early, shape.season, shape.window - 1).minimum(lengths // 2)
        start = (low - self.size // 4).clamp(min=0)
        room = (lengths - self.size - start).clamp(min=0) + 1
        first = (start + (torch.rand(len(series)) * room).long()).minimum((lengths - self.size).clamp(min=0))
        last = (first + self.size).minimum(lengths)
        return first, last, low.maximum(first + torch.where(first > 0, self.size // 4, 0)).minimum(last - 2)

    def _origins(self, first: Tensor, last: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """The chunk of each origin, and its step. The last step of a series has no target."""
        count = (last - 1 - low).clamp(min=1)
        origins = max(1, min(_ORIGINS, 4 * MOST_BYTES // (4 * self.windowed.shape.window * len(first))))
        sampled = (torch.rand(len(first), origins) * count[:, None]).long() + low[:, None]
        return torch.arange(len(first)).repeat_interleave(origins), sampled.reshape(-1)
