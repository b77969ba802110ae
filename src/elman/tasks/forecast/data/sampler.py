"""What a forecaster learns from at a time: pieces of series at random, and places in them from which it forecasts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.layers.losses import pinball
from elman.tasks.forecast.data.windows import MOST_BYTES, Readings
from elman.tasks.forecast.network import Members

__all__ = ["Draws"]

_PLACES = 48  # of a sequence, from which training forecasts at once; fewer where windows are very long
_LONGEST = 1 << 15  # steps of a piece
_VIRTUAL = 256  # sequences in an epoch, at least: a long series is drawn from so many times


class Draws:
    """Pieces of series at random, and places in them from which the network forecasts."""

    def __init__(
        self, readings: Readings, lengths: NDArray[np.int64], unit: NDArray[np.float64], quantiles: Tensor
    ) -> None:
        self.readings, self.quantiles = readings, quantiles
        self.lengths, self.unit = torch.from_numpy(lengths), torch.from_numpy(unit)
        self.size = min(max(readings.shape.window, 2 * readings.shape.season, 32), _LONGEST)
        usable = np.flatnonzero(lengths >= 2)
        share = lengths[usable] / lengths[usable].sum() * max(_VIRTUAL, len(usable))
        times = np.maximum(1, np.round(share)).astype(np.int64) if len(usable) < _VIRTUAL else 1
        self.series = torch.from_numpy(np.repeat(usable, times))
        self.counts = self.lengths[self.series].clamp(max=self.size)

    def loss(self, network: Members, indices: Tensor) -> Tensor:
        """The mean loss of the members over places in a piece of each sequence."""
        series = self.series[indices]
        first, last, low = self._pieces(series)
        rows, at = self._places(first, last, low)
        readings, owner = self.readings, series[rows]
        steps, codes = readings.cut(series, first, last)
        windows, known = readings.windows(owner, at), readings.known(owner, at)
        targets = readings.targets(owner, at, self.lengths)
        weights = self._weights(owner, at).float()[:, None].expand_as(targets)
        place = steps.offsets[rows] + at - first[rows]
        losses = []
        for member in network:
            y, _ = member.encode(steps, codes)
            made = member(windows, y.values[place], known)
            losses.append(self._of(made, targets, weights))
        return torch.stack(losses).sum()

    def loss_of(self, made: Tensor, series: Tensor, at: Tensor) -> float:
        """The loss of quantiles float64 [rows, horizon, quantiles] of what follows steps `at` of some series."""
        readings, place = self.readings, self.readings.steps.offsets[series] + at
        scaled = (made - readings.level[place, None, None]) / readings.scale[place, None, None]
        targets = readings.targets(series, at, readings.steps.lengths).double()
        return float(self._of(scaled, targets, self._weights(series, at)[:, None].expand_as(targets)))

    def _of(self, made: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        middle, quantiles = len(self.quantiles) // 2, self.quantiles.to(made.dtype)
        half = quantiles[middle : middle + 1]
        whole = pinball(made, targets, quantiles, weights)
        return whole + pinball(made[..., middle : middle + 1], targets, half, weights) / 2

    def _weights(self, series: Tensor, at: Tensor) -> Tensor:
        """What turns errors in units of the scale at steps `at` into errors in units of each series."""
        return (self.readings.scale[self.readings.steps.offsets[series] + at] / self.unit[series]).clamp(max=10)

    def _pieces(self, series: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where a piece of each series begins and ends, and the first place in it to forecast from.

        Nine in ten places have a full window behind them; the others learn what to do with a short past.
        """
        lengths, shape = self.lengths[series], self.readings.shape
        early = torch.rand(len(series)) < 0.1
        low = torch.where(early, shape.season, shape.window - 1).minimum(lengths // 2)
        start = (low - self.size // 4).clamp(min=0)
        room = (lengths - self.size - start).clamp(min=0) + 1
        first = (start + (torch.rand(len(series)) * room).long()).minimum((lengths - self.size).clamp(min=0))
        last = (first + self.size).minimum(lengths)
        return first, last, low.maximum(first + torch.where(first > 0, self.size // 4, 0)).minimum(last - 2)

    def _places(self, first: Tensor, last: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """Which piece each place is in, and its step. The last step of a series has nothing after it to learn from."""
        count = (last - 1 - low).clamp(min=1)
        places = max(1, min(_PLACES, 4 * MOST_BYTES // (4 * self.readings.shape.window * len(first))))
        drawn = (torch.rand(len(first), places) * count[:, None]).long() + low[:, None]
        return torch.arange(len(first)).repeat_interleave(places), drawn.reshape(-1)
