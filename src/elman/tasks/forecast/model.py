"""A fitted forecaster: from frames to forecasts in the units of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place, Wording, option
from elman.interpret.diagnose import DiagnosisRequest
from elman.layers.losses import pinball
from elman.tasks.base.network import finite
from elman.tasks.forecast.conformal import Calibration, at_shares
from elman.tasks.forecast.data.bounds import UNBOUNDED, Bounds
from elman.tasks.forecast.data.frame import Series, read
from elman.tasks.forecast.data.panel import MOST_GAP, Columns, Panel
from elman.tasks.forecast.data.sampler import quantiles_within
from elman.tasks.forecast.data.style import Style
from elman.tasks.forecast.data.time_grid import Grid, readable
from elman.tasks.forecast.data.windows import observed_lengths, trimmed
from elman.tasks.forecast.direct import DirectForecast
from elman.tasks.forecast.encoder import SeriesEncoder
from elman.tasks.forecast.recursive import RecursiveForecast
from elman.tasks.forecast.state import SeriesState

_Floats = NDArray[np.float64]
_PREDICT = Wording("predict(frame=...)", "elman predict")


@dataclass(frozen=True)
class ForecastModel:
    """All components of a forecast, with resolved options."""

    columns: Columns
    sort: bool
    horizon: int
    style: Style  # of the training frame
    encoder: SeriesEncoder
    strategy: DirectForecast | RecursiveForecast
    calibration: Calibration
    state: SeriesState  # of the series of training
    bounds: Bounds = UNBOUNDED
    dependence: float = 0.0  # correlation of forecast errors at neighbouring steps

    @property
    def grid(self) -> Grid:
        """The grid of time stamps."""
        return self.encoder.grid

    def read(self, frame: Any, name: str = "frame", whole: bool = True) -> Series:
        """The series of a frame on the grid of training; `whole` ones are refused where their steps are too far apart.

        Values must be above 0 if the model uses logarithms.
        """
        advice = "but the model was trained on logarithms, which only values above 0 have. Fit it anew with "
        positive = (advice, option("log", False)) if self.encoder.shape.log else ()
        return read(frame, self.columns, self.grid, sort=self.sort, name=name, whole=whole, positive=positive)

    def read_history(self, frame: Any, name: str = "frame", whole: bool = True) -> Series:
        """The same, each from its first value on."""
        series = self.read(frame, name, whole)
        return series._replace(panel=trimmed(series.panel, name, self.columns.target))

    def read_values(self, frame: Any, name: str = "frame") -> Panel:
        """The values of a frame without covariates."""
        return read(frame, self.columns.values, self.grid, sort=self.sort, name=name).panel

    def read_truth(self, frame: Any) -> Panel:
        """The same, which must be above 0 if the model uses logarithms."""
        return replace(self, columns=self.columns.values).read(frame, whole=False).panel

    def encode(self, frame: Any, name: str = "frame") -> tuple[SeriesState, Style]:
        """The state after whole series."""
        panel, _, style = self.read_history(frame, name)
        return self.encoder.state(panel, self.encoder.windowed(panel)), style

    def append(self, frame: Any) -> list[Any]:
        """Advances the state by the new observations of a frame; the names of the series that begin with them."""
        panel, _, style = self.read(frame)
        state = self.state
        if style.layout.one and not self.style.layout.one:
            what = f"has no column {self.columns.id!r}, which names the series that the model knows. Name that column: "
            raise DataError(what, option("id"), at=Place("frame"))
        place = {name: i for i, name in enumerate(state.ids)}
        new = [i for i, name in enumerate(panel.ids) if name not in place]
        begun = None
        if new:
            whole = trimmed(panel.some(new), target=self.columns.target)
            begun = self.encoder.state(whole, self.encoder.windowed(whole))
            panel = panel.some([i for i, name in enumerate(panel.ids) if name in place])
        if len(panel):
            self._append(panel, place)
        if begun is not None:
            state.extend(begun)
        return begun.ids if begun is not None else []

    def _append(self, panel: Panel, place: Mapping[Any, int]) -> None:
        """Advances the series of a panel, each at its `place` in the state."""
        state = self.state
        rows = np.array([place[name] for name in panel.ids], np.int64)
        early = np.flatnonzero(panel.first < state.next[rows])
        if len(early):
            i = int(early[0])
            given, last = self.grid.shown(np.array([panel.first[i], state.next[rows[i]] - 1]))
            begins = f"begins at {self.columns.time} = {readable(given)}, but is known up to {readable(last)}"
            raise DataError(f"series {panel.ids[i]!r} {begins}. Give later rows.")
        self.check_gaps(panel.ids, panel.first, state.next[rows], len(panel.values))
        self.encoder.append(state, panel.led(state.next[rows]), rows)

    def check_gaps(self, ids: Sequence[Any], first: NDArray[np.int64], after: NDArray[np.int64], values: int) -> None:
        """Raises DataError where series whose states end before `after` go on at `first`, far too many steps later."""
        gaps = np.maximum(first - after, 0)
        if gaps.sum() > MOST_GAP * values + 10_000:
            i = int(gaps.argmax())
            what = f"series {ids[i]!r} goes on {gaps[i]} steps of {self.grid.describe()} after its end"
            raise DataError(f"{what}. Learn anew, or give it whole to ", _PREDICT, ".")

    def forecast(self, state: SeriesState, future: Any, count: int) -> _Floats:
        """Median and intervals of each series `count` steps ahead, as given: [series, count, quantiles].

        `future`: a frame of the future covariates.
        """
        coming = self.read_future(state, future, count)
        return finite(self.finish(self.strategy.forecast(state, coming, count), state.tail.lowest))

    def finish(self, quantiles: _Floats, lowest: _Floats) -> _Floats:
        """Quantiles of the network, calibrated, as given and in bounds; `lowest` value of each series."""
        return self.bounds.apply(self.encoder.shape.inverse(self.calibration.apply(quantiles), lowest))

    def frame(
        self,
        states: Sequence[SeriesState],
        answers: Sequence[_Floats],
        style: Style,
        ids: Sequence[Any],
        shares: Any = None,
    ) -> Any:
        """Forecasts [series, steps, quantiles] after the ends of some states as a frame, in the order of `ids`.

        With the median and the intervals, or the median and the quantiles at `shares`.
        """
        place = {name: i for i, name in enumerate(name for state in states for name in state.ids)}
        order = [place[name] for name in ids]
        made, after = np.concatenate(answers)[order], np.concatenate([state.next for state in states])[order]
        count, steps = made.shape[:2]
        when = self.grid.stamps((after[:, None] + np.arange(steps)).reshape(-1))
        columns: dict[str, Any] = {self.columns.id: [name for name in ids for _ in range(steps)]}
        rows = made.reshape(count * steps, -1)
        columns |= {self.columns.time: when, **(self.named(rows) if shares is None else self._at_shares(rows, shares))}
        return style.frame(columns, self.columns.id, [self.columns.time])

    def named(self, answers: _Floats) -> dict[str, _Floats]:
        """The columns of a forecast: [rows, quantiles] by name."""
        made = {"elman": answers[:, answers.shape[1] // 2]}
        levels = sorted(self.calibration.factors, reverse=True)
        for i, level in reversed(list(enumerate(levels))):
            made |= {f"elman-lo-{level:g}": answers[:, i], f"elman-hi-{level:g}": answers[:, -1 - i]}
        return made

    def _at_shares(self, answers: _Floats, shares: Any) -> dict[str, _Floats]:
        """The median and the quantiles at some shares, by name."""
        found = at_shares(answers, list(self.calibration.factors), shares)
        found = self.bounds.whole(found, np.atleast_1d(np.asarray(shares, np.float64)))
        names = [f"elman-q-{float(share):g}" for share in np.atleast_1d(shares)]
        return {"elman": answers[:, answers.shape[1] // 2], **dict(zip(names, found.T, strict=True))}

    def read_future(self, state: SeriesState, future: Any, count: int) -> Panel | None:
        """The future covariates of the horizon after each series' end; those of the first `count` steps must be given.

        Later ones repeat the last, since no forecast depends on them.
        """
        names = self.encoder.covariates.future
        if not names:
            if future is not None:
                raise DataError("future was given, but the option future names no covariates. Leave it out.")
            return None
        if future is None:
            what = f"the model learnt from the future covariates {', '.join(map(repr, names))}"
            where = Wording(": predict(future=frame)", ": --future FILE, or rows of the table after its last values")
            raise DataError(f"{what}. Give their next {count} steps", where, ".")
        columns = replace(self.columns, past=(), static=())
        given = read(future, columns, self.grid, sort=self.sort, target=False, name="future", ids=state.ids)
        panel = given.panel.window(state.ids, state.next, self.horizon)
        for name in names:
            self._check_future(panel, name, state, count)
        return panel

    def _check_future(self, panel: Panel, name: str, state: SeriesState, count: int) -> None:
        values = panel.covariates[name]
        missing = [v is None for v in values] if values.dtype == object else np.isnan(values)
        needed = np.reshape(missing, (len(state.ids), self.horizon))[:, :count]
        if needed.any():
            i, step = divmod(int(needed.argmax()), count)
            stamp = self.grid.shown(state.next[i : i + 1] + step)[0]
            what = f"of series {state.ids[i]!r} is missing at {self.columns.time} = {readable(stamp)}. "
            rule = f"A future covariate is needed for each of the {count} steps to come."
            raise DataError(what, rule, at=Place("future", column=name))

    def diagnosis_request(self, frame: Any, levels: list[float], options: Mapping[str, Any]) -> DiagnosisRequest:
        """The networks, each series read up to its last step that a horizon follows, and the quantile loss there.

        The horizon ends with the last value of the series; what comes after it may be rows of future covariates. A
        series that is not longer than the horizon is left out.
        """
        encoder = self.encoder
        panel = self.read_history(frame, "X", whole=False).panel
        ends, quantiles = torch.from_numpy(observed_lengths(panel)), torch.tensor(levels)
        at = ends - encoder.horizon - 1
        if int(at.max()) < 0:
            i = int(ends.argmax())
            longest = f"the longest, {panel.ids[i]!r}, has {ends[i]} up to its last value"
            raise DataError(f"X: no series is longer than the {encoder.horizon} steps that are forecast; {longest}.")
        windowed = encoder.windowed(panel)

        def loss(series: Tensor) -> Tensor:
            here, begin, rows = at[series], torch.zeros_like(series), torch.arange(len(series))
            targets = windowed.targets(series, here, ends)
            forecasts = quantiles_within(encoder.network, windowed, series, begin, here + 1, rows, here)
            pairs = (pair for made in forecasts for pair in zip(made, targets, strict=True))
            losses = [pinball(one, truth, quantiles) for one, truth in pairs]
            return torch.stack(losses).view(-1, len(series)).sum(0)

        return DiagnosisRequest(encoder.network, (at + 1).clamp(min=0), loss, options)
