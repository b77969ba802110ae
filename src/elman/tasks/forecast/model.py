"""A fitted forecaster: from frames to forecasts in the units of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, Place, Wording, option
from elman.tasks.base.network import finite
from elman.tasks.forecast.conformal import Calibration
from elman.tasks.forecast.data.frame import Series, read
from elman.tasks.forecast.data.panel import MOST_GAP, Columns, Panel
from elman.tasks.forecast.data.style import Style
from elman.tasks.forecast.data.time_grid import Grid
from elman.tasks.forecast.data.windows import trimmed
from elman.tasks.forecast.direct import DirectForecast
from elman.tasks.forecast.encoder import SeriesEncoder
from elman.tasks.forecast.recursive import RecursiveForecast
from elman.tasks.forecast.state import SeriesState

__all__ = ["ForecastModel"]

_Floats = NDArray[np.float64]


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

    def read_values(self, frame: Any, name: str = "frame") -> Panel:
        """The values of a frame without covariates."""
        return read(frame, self._value_columns, self.grid, sort=self.sort, name=name).panel

    def read_truth(self, frame: Any) -> Panel:
        """The same, which must be above 0 if the model uses logarithms."""
        return replace(self, columns=self._value_columns).read(frame, whole=False).panel

    @property
    def _value_columns(self) -> Columns:
        return replace(self.columns, past=(), future=(), static=())

    def encode(self, frame: Any, name: str = "frame") -> tuple[SeriesState, Style]:
        """The state after whole series."""
        panel, _, style = self.read(frame, name)
        panel = trimmed(panel, name, self.columns.target)
        return self.encoder.state(panel, self.encoder.windowed(panel)), style

    def append(self, frame: Any) -> None:
        """Advances the state by the new observations of a frame."""
        panel, state = self.read(frame).panel, self.state
        place = {name: i for i, name in enumerate(state.ids)}
        if unknown := [name for name in panel.ids if name not in place]:
            raise DataError(
                f"series {unknown[0]!r} was not in what the model learnt from. Give new series whole, to ",
                Wording("predict(frame=...)", "elman predict"),
                ".",
            )
        rows = np.array([place[name] for name in panel.ids], np.int64)
        early = np.flatnonzero(panel.first < state.next[rows])
        if len(early):
            i = int(early[0])
            given, last = self.grid.shown(np.array([panel.first[i], state.next[rows[i]] - 1]))
            raise DataError(
                f"series {panel.ids[i]!r} begins at {self.columns.time} = {given}, but is known up to {last}. Give "
                "later rows."
            )
        gaps = panel.first - state.next[rows]
        if gaps.sum() > MOST_GAP * len(panel.values) + 10_000:
            i = int(gaps.argmax())
            raise DataError(
                f"series {panel.ids[i]!r} goes on {gaps[i]} steps of {self.grid.describe()} after its end. Learn anew, "
                "or give it whole to ",
                Wording("predict(frame=...)", "elman predict"),
                ".",
            )
        self.encoder.append(state, panel.led(state.next[rows]), rows)

    def forecast(self, state: SeriesState, future: Any, count: int) -> _Floats:
        """Median and intervals of each series `count` steps ahead, as given: [series, count, quantiles].

        `future`: a frame of the future covariates.
        """
        coming = self._read_future(state, future, count)
        return finite(self.finish(self.strategy.forecast(state, coming, count), state.tail.lowest))

    def finish(self, quantiles: _Floats, lowest: _Floats) -> _Floats:
        """Quantiles of the network, calibrated and in the units of the data; `lowest` value of each row's series."""
        return self.encoder.shape.inverse(self.calibration.apply(quantiles), lowest)

    def frame(self, state: SeriesState, answers: _Floats, style: Style) -> Any:
        """Forecasts [series, steps, quantiles] as a frame."""
        count, steps = answers.shape[:2]
        when = self.grid.stamps((state.next[:, None] + np.arange(steps)).reshape(-1))
        columns: dict[str, Any] = {self.columns.id: [name for name in state.ids for _ in range(steps)]}
        columns |= {self.columns.time: when, **self.named(answers.reshape(count * steps, -1))}
        return style.frame(columns, self.columns.id, [self.columns.time])

    def named(self, answers: _Floats) -> dict[str, _Floats]:
        """The columns of a forecast: [rows, quantiles] by name."""
        made = {"elman": answers[:, answers.shape[1] // 2]}
        levels = sorted(self.calibration.factors, reverse=True)
        for i, level in reversed(list(enumerate(levels))):
            made |= {f"elman-lo-{level:g}": answers[:, i], f"elman-hi-{level:g}": answers[:, -1 - i]}
        return made

    def _read_future(self, state: SeriesState, future: Any, count: int) -> Panel | None:
        """The future covariates of the horizon after each series' end; those of the first `count` steps must be given.

        Later ones repeat the last, since no forecast depends on them.
        """
        names = self.encoder.covariates.future
        if not names:
            if future is not None:
                raise DataError("future was given, but the option future names no covariates. Leave it out.")
            return None
        if future is None:
            raise DataError(
                f"the model learnt from the future covariates {', '.join(map(repr, names))}. Give their next "
                f"{count} steps",
                Wording(": predict(future=frame)", " in the rows after its last values"),
                ".",
            )
        columns = replace(self.columns, past=(), static=())
        panel = read(future, columns, self.grid, sort=self.sort, target=False, name="future").panel
        panel = panel.window(state.ids, state.next, self.horizon)
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
            raise DataError(
                f"of series {state.ids[i]!r} is missing at {self.columns.time} = {stamp}. A future covariate is needed "
                f"for each of the {count} steps to come.",
                at=Place("future", column=name),
            )
