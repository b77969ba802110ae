"""Forecasts one step at a time: a network for the next value alone, rolled forward on paths that are drawn.

What stands in the answer are quantiles over the paths of each series. Each path goes on like a series that is given new
points (`update`): it has its own state, its own level and scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.windows import MOST_BYTES, Readings
from elman.tasks.forecast.direct import Answers
from elman.tasks.forecast.paths import GRID, drawn, shares
from elman.tasks.forecast.state import Known

__all__ = ["Paths"]

_Floats = NDArray[np.float64]
_ROWS = 8192  # paths that go on at once, at most
_ORIGINS = 64  # series that are read at once, to begin from within them


class Paths(Answers):
    """Answers at once, or where `recursive` step by step."""

    if TYPE_CHECKING:
        paths: int
        seed: int | None

    def _raw(self, known: Known, coming: Panel | None, count: int) -> _Floats:
        """Quantiles as they were learnt, of each series: [series, count, quantiles]."""
        if not self.recursive:
            return self._direct(known, self._coded(coming))[:, :count]
        each = max(1, _ROWS // self.paths)
        parts = [np.arange(a, min(a + each, len(known.ids))) for a in range(0, len(known.ids), each)]
        return np.concatenate([self._rolled(known, coming, part, count) for part in parts])

    def _rolled(self, known: Known, coming: Panel | None, series: NDArray[np.int64], count: int) -> _Floats:
        """The same of some series, by quantiles over paths."""
        owner = np.repeat(series, self.paths)
        draws = shares(self.paths, self.horizon, 0 if self.seed is None else self.seed)[:count]
        draws = np.tile(draws, len(series))
        each = max(1, MOST_BYTES // known.tail.bytes_of_one)
        parts = [slice(a, a + each) for a in range(0, len(owner), each)]
        values = np.concatenate([self._going_on(known, coming, owner[part], draws[:, part]) for part in parts])
        paths = values.reshape(len(series), self.paths, count)
        return np.moveaxis(np.quantile(paths, self._quantiles, axis=1), 0, -1)

    def _going_on(self, known: Known, coming: Panel | None, owner: NDArray[np.int64], draws: _Floats) -> _Floats:
        """Values drawn for a path of each of some series, at the shares `draws` [steps, paths]: [paths, steps]."""
        going, rows, levels = known.take(owner.tolist()), np.arange(len(owner)), np.array(GRID)
        values = np.zeros((len(owner), len(draws)))
        for step, share in enumerate(draws):
            here = None if coming is None else _rows_of(coming, owner * self.horizon + step)
            next_one = self._direct(going, self._coded(here))[:, 0]
            values[:, step] = drawn(next_one, levels, share)
            if step + 1 < len(draws):
                self._advance(going, self._point(going, values[:, step], here), rows)
        return values

    def _point(self, going: Known, values: _Floats, here: Panel | None) -> Panel:
        """One more step of each path; covariates that nobody knows ahead stay as they were."""
        count = len(values)
        panel = Panel(going.ids, np.arange(count + 1), going.next.copy(), self._plain(values, going.tail.lowest))
        for name in self.covariates_.past:
            category = name in self.covariates_.kinds
            panel.covariates[name] = np.full(count, None, object) if category else np.full(count, np.nan)
        panel.covariates |= {} if here is None else here.covariates
        return panel

    def _answers_at(self, panel: Panel, readings: Readings, series: Tensor, at: Tensor) -> _Floats:
        """Quantiles of what follows steps `at` of some series of a panel: [rows, horizon, quantiles]."""
        if not len(at):
            return np.zeros((0, self.horizon, len(self._quantiles)))
        if not self.recursive:
            return self._from(readings, series, at)
        return np.concatenate(
            [self._begun_at(panel, s, t) for s, t in zip(series.split(_ORIGINS), at.split(_ORIGINS), strict=True)]
        )

    def _begun_at(self, panel: Panel, series: Tensor, at: Tensor) -> _Floats:
        """The same, from series that are read up to there."""
        chosen, lengths = series.numpy(), at.numpy() + 1
        begin = panel.offsets[chosen]
        cut = _rows_of(panel, np.concatenate([np.arange(a, a + n) for a, n in zip(begin, lengths, strict=True)]))
        cut.offsets, cut.first = np.concatenate([[0], np.cumsum(lengths)]), panel.first[chosen]
        cut.ids, cut.static = list(range(len(chosen))), {name: v[chosen] for name, v in panel.static.items()}
        after = (begin + lengths)[:, None] + np.arange(self.horizon)
        coming = _rows_of(panel, after.reshape(-1)) if self.covariates_.future else None
        if coming is not None:
            coming.covariates = {name: coming.covariates[name] for name in self.covariates_.future}
        return self._raw(self._known(cut, self._readings(cut)), coming, self.horizon)


def _rows_of(panel: Panel, rows: NDArray[np.int64]) -> Panel:
    """Some steps of a panel, as series of one step each."""
    covariates = {name: values[rows] for name, values in panel.covariates.items()}
    count = len(rows)
    return Panel(list(range(count)), np.arange(count + 1), np.zeros(count, np.int64), panel.values[rows], covariates)
