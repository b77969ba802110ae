"""Forecasts that continue the kept state of each series with the newer values of a frame.

A series begins *warm* if the frame has no value of it, or one after the end of its state: the state is advanced by the
newer values. Every other series, unknown ones among them, begins *cold*: from the rows of the frame alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.tasks.forecast.data.frame import Series
from elman.tasks.forecast.data.panel import Panel, ranges
from elman.tasks.forecast.data.style import Style
from elman.tasks.forecast.data.time_grid import readable
from elman.tasks.forecast.data.windows import observed_lengths, trimmed
from elman.tasks.forecast.model import ForecastModel
from elman.tasks.forecast.state import SeriesState


@dataclass(frozen=True)
class WarmStart:
    """Which series of a frame continue the state of a model, and which begin anew."""

    model: ForecastModel
    panel: Panel
    style: Style
    ends: NDArray[np.int64]  # the index on the grid after the last step of each series that is read
    kept: NDArray[np.int64]  # the row of each series in the state of the model, -1 where it begins cold

    @classmethod
    def of(cls, model: ForecastModel, frame: Any) -> Self:
        """Of the series of a frame. Rows after the last value hold future covariates if the model has any."""
        panel, _, style = model.read(frame)
        seen, place = observed_lengths(panel), {name: i for i, name in enumerate(model.state.ids)}
        ends = panel.first + (seen if model.columns.future else panel.lengths)
        rows = np.array([place.get(name, -1) for name in panel.ids], np.int64)
        warm = (rows >= 0) & ((seen == 0) | (panel.first + seen > model.state.next[rows]))
        return cls(model, panel, style, ends, np.where(warm, rows, -1))

    def states(self) -> list[SeriesState]:
        """The states where the forecasts begin; those of the model are unchanged."""
        warm, cold = np.flatnonzero(self.kept >= 0), np.flatnonzero(self.kept < 0)
        return [*([self._warm(warm)] if len(warm) else []), *([self._cold(cold)] if len(cold) else [])]

    def _warm(self, rows: NDArray[np.int64]) -> SeriesState:
        model, state = self.model, self.model.state.take(self.kept[rows].tolist())
        model.check_gaps(state.ids, self.panel.first[rows], state.next, len(self.panel.values))
        counts = np.maximum(self.ends[rows] - state.next, 0)
        if len(some := np.flatnonzero(counts)):
            steps = self.panel.window([state.ids[i] for i in some], state.next[some], int(counts.max()))
            model.encoder.append(state, steps.until(counts[some]), some)
        return state

    def _cold(self, rows: NDArray[np.int64]) -> SeriesState:
        empty = observed_lengths(self.panel) == 0
        ends = np.where(empty, self.panel.first + self.panel.lengths, self.ends)  # an empty one is refused as a whole
        cut = trimmed(self._cut(rows, self.panel.first[rows], ends[rows]), "frame", self.model.columns.target)
        return self.model.encoder.state(cut, self.model.encoder.windowed(cut))

    def _cut(self, rows: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Panel:
        """Some series of the frame between indices on the grid."""
        panel, ids = self.panel, [self.panel.ids[i] for i in rows]
        cut = panel.take(
            ranges(panel.offsets[rows] + begins - panel.first[rows], ends - begins), ends - begins, begins, ids
        )
        cut.static = {name: values[rows] for name, values in panel.static.items()}
        return cut

    def newer(self) -> Series:
        """The steps after the ends of the states, of unknown series all. Raises DataError where there are none."""
        model, panel = self.model, self.panel
        place = {name: i for i, name in enumerate(model.state.ids)}
        after = [int(model.state.next[place[name]]) if name in place else None for name in panel.ids]
        begins = np.array([a if n is None else max(a, n) for a, n in zip(panel.first.tolist(), after, strict=True)])
        rows = np.flatnonzero((self.ends > begins) & (observed_lengths(panel) > 0))
        if not len(rows):
            last = model.grid.shown(model.state.next[:1] - 1)[0]
            known = f"series {model.state.ids[0]!r} is known up to {model.columns.time} = {readable(last)}"
            raise DataError(f"frame holds nothing new: {known}. Give later rows.")
        return Series(self._cut(rows, begins[rows], self.ends[rows]), model.grid, self.style)

    def describe(self) -> dict[str, Any]:
        """The series that continue and how many newer values they have; the known ones among the others."""
        warm, state = self.kept >= 0, self.model.state
        owner = np.repeat(np.arange(len(self.panel)), self.panel.lengths)
        index = ranges(self.panel.first, self.panel.lengths)
        newer = index >= np.where(warm, state.next[self.kept], 0)[owner]
        there = ~np.isnan(self.panel.values) & warm[owner]
        known = set(state.ids)
        known_series = np.array([name in known for name in self.panel.ids])
        return {
            "continued": [name for name, one in zip(self.panel.ids, warm, strict=True) if one],
            "values_read": int((there & newer).sum()),
            "values_new": int((~np.isnan(self.panel.values) & ~known_series[owner]).sum()),
            "values_skipped": int((there & ~newer).sum()),
            "known_from_rows": [n for n, one in zip(self.panel.ids, warm, strict=True) if not one and n in known],
            "new": [name for name in self.panel.ids if name not in known],
        }
