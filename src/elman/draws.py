"""What a forecaster learns from at a time: pieces of series at random, and places in them from which it forecasts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.experts import Members
from elman.losses import pinball
from elman.readings import Readings

__all__ = ["Draws"]

_PLACES = 48  # of a sequence, from which training forecasts at once
_VIRTUAL = 256  # sequences in an epoch, at least: a long series is drawn from so many times


class Draws:
    """Pieces of series at random, and places in them from which the network forecasts."""

    def __init__(
        self, readings: Readings, lengths: NDArray[np.int64], unit: NDArray[np.float64], quantiles: Tensor
    ) -> None:
        self.readings, self.quantiles = readings, quantiles
        self.lengths, self.unit = torch.from_numpy(lengths), torch.from_numpy(unit)
        self.size = max(readings.shape.window, 2 * readings.shape.season, 32)
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
        weights = (readings.scale[readings.steps.offsets[owner] + at] / self.unit[owner]).clamp(max=10).float()
        weights = weights[:, None].expand_as(targets)
        place = steps.offsets[rows] + at - first[rows]
        middle = len(self.quantiles) // 2
        half, losses = self.quantiles[middle : middle + 1], []
        for member in network:
            y, _ = member.encode(steps, codes)
            made = member(windows, y.values[place], known)
            losses.append(
                pinball(made, targets, self.quantiles, weights)
                + pinball(made[..., middle : middle + 1], targets, half, weights) / 2
            )
        return torch.stack(losses).sum()

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
        drawn = (torch.rand(len(first), _PLACES) * count[:, None]).long() + low[:, None]
        return torch.arange(len(first)).repeat_interleave(_PLACES), drawn.reshape(-1)
