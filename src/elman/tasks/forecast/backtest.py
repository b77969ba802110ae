"""How good forecasts are: windows of the past, errors beside those of a naive rival, and a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, OptionError
from elman.evaluation.metrics import coverage, mase, smape
from elman.io.atomic_write import write_file
from elman.tasks.base.fitted import as_learnt, by_learnt_options
from elman.tasks.forecast.baselines import theta
from elman.tasks.forecast.data.panel import MOST_GAP, Panel, Series, read
from elman.tasks.forecast.data.time_grid import OFF, parse
from elman.tasks.forecast.data.windows import known_lengths, trimmed
from elman.tasks.forecast.direct import levels_of
from elman.tasks.forecast.plot import draw
from elman.tasks.forecast.recursive import Paths
from elman.tasks.forecast.state import Known
from elman.validation.options import is_whole

__all__ = ["Measured", "ahead_of"]

_Floats = NDArray[np.float64]


class Measured(Paths):
    """Measures forecasts against what came."""

    def cross_validation(self, frame: Any, windows: int = 1, step: int | None = None, refit: bool = True) -> Any:
        """Forecasts of the last parts of a frame from what came before each, beside the truth.

        `windows` forecasts begin `step` (default: the horizon) apart; the last ends with the series. With `refit` a
        model with these options learns, once, from all that lies before the first of them; without it this fitted
        model forecasts. The frame has a row for each series, window and step: id, time, cutoff, the target, elman …
        """
        if refit:
            self._check_options()
        return (self if refit else as_learnt(self))._tested(frame, windows, step, refit)

    def _tested(self, frame: Any, windows: int, step: int | None, refit: bool) -> Any:
        gap = self.horizon if step is None else step
        _check_windows(windows, gap)
        freq = None if self.freq is None else parse(self.freq)
        back = self.horizon + (windows - 1) * gap
        if refit:
            panel, grid, style = read(frame, self.columns, freq=freq, sort=self.sort, whole=True)
            panel = trimmed(panel, target=self.target)
            self._check_windows(panel, back)
            model = type(self)(**self.get_params(deep=False))
            model.fit(Series(panel.until(panel.lengths - back), grid, style))
            read(frame, self.columns, grid, sort=self.sort, positive=model._above_zero)
        else:
            self._check_fitted()
            above = self._above_zero
            panel, grid, style = read(frame, self.columns, self.grid_, sort=self.sort, whole=True, positive=above)
            panel, model = trimmed(panel, target=self.target), self
            self._check_windows(panel, back)
        readings = model._readings(panel)
        ends = np.arange(-back, -self.horizon + 1, gap)
        series = torch.arange(len(panel)).repeat_interleave(len(ends))
        at = torch.from_numpy((panel.lengths[:, None] - 1 + ends).reshape(-1))
        lowest = readings.lowest[readings.steps.offsets[series] + at].numpy()
        answers = model._finished(model._answers_at(panel, readings, series, at), lowest)
        truth = ahead_of(panel, series, at, self.horizon)
        begin = panel.first[series.numpy()] + at.numpy()
        columns: dict[str, Any] = {
            self.id: [panel.ids[i] for i in series.tolist() for _ in range(self.horizon)],
            self.time: grid.stamps((begin[:, None] + np.arange(1, self.horizon + 1)).reshape(-1)),
            "cutoff": grid.stamps(np.repeat(begin, self.horizon)),
            self.target: truth.reshape(-1),
        }
        return style.frame(columns | model._named(answers.reshape(truth.size, -1)), self.id, [self.time, "cutoff"])

    def _check_windows(self, panel: Panel, back: int) -> None:
        short = int(panel.lengths.argmin())
        if panel.lengths[short] <= back:
            raise DataError(
                f"series {panel.ids[short]!r} has {panel.lengths[short]} steps, but the windows reach {back} steps back"
                ". Leave it out, or ask for fewer windows."
            )

    @by_learnt_options
    def evaluate(
        self, frame: Any, future: Any = None, windows: int | None = None, step: int | None = None
    ) -> dict[str, float]:
        """sMAPE (0 to 200, as in the M4 competition), MASE, MAE and the coverage of each interval.

        `frame` holds the true values of the next `horizon` steps of the series that the model knows; what lies beyond
        them is not looked at. With `windows` so many forecasts are scored, which begin `step` (default: the horizon)
        apart and the last of which ends with the last value of each series: as `cross_validation` has them without
        `refit`. They go on from the kept ends where they begin after these, else from the rows of the frame. The mean
        is over values. MASE is in units of the mean difference between observed values a season apart.
        """
        if self.covariates_.future and future is None:
            future = frame

        def answers(known: Known, truth: _Floats) -> _Floats:
            count = int(np.flatnonzero((~np.isnan(truth)).any(axis=0)).max(initial=0)) + 1
            made = self._ahead_of(known, self._coming(known, future, count), count)
            return np.pad(made, ((0, 0), (0, truth.shape[1] - count), (0, 0)), constant_values=np.nan)

        truth, made, naive = self._compared(frame, windows, step, answers)
        there, found = ~np.isnan(truth), _errors(truth, made[..., made.shape[-1] // 2], naive)
        for i, level in enumerate(sorted(levels_of(self.levels), reverse=True)):
            found[f"coverage_{level:g}"] = coverage(truth[there], made[..., i][there], made[..., -1 - i][there])
        return found

    @by_learnt_options
    def evaluate_naive(self, frame: Any, windows: int | None = None, step: int | None = None) -> dict[str, float]:
        """The same errors of the seasonal naive forecast, an honest rival.

        It repeats the value observed last at the same place of the season; where there is none, the last of all.
        """

        def answers(known: Known, truth: _Floats) -> _Floats:
            return self._plain(known.tail.last_season(self.shape_.season, self.horizon), known.tail.lowest)

        return _errors(*self._compared(frame, windows, step, answers))

    @by_learnt_options
    def evaluate_theta(
        self, frame: Any, history: Any = None, windows: int | None = None, step: int | None = None
    ) -> dict[str, float]:
        """The same errors of the Theta method (Assimakopoulos & Nikolopoulos 2000), fitted to each series by itself.

        `history`: the series up to the frame, such as those of training; without it Theta sees what the model keeps,
        the last ``shape_.window`` values. Raises ``OptionError`` where statsmodels (the extra `rivals`) is missing.
        """
        self._check_fitted()
        columns = replace(self.columns, past=(), future=(), static=())
        given = {} if history is None else {"history": history}
        given |= {} if windows is None else {"frame": frame}
        panels = [read(one, columns, self.grid_, sort=self.sort, name=name)[0] for name, one in given.items()]

        def answers(known: Known, truth: _Floats) -> _Floats:
            season = self.shape_.season
            return np.stack([theta(values, season, self.horizon) for values in self._histories(known, panels)])

        return _errors(*self._compared(frame, windows, step, answers))

    def _histories(self, known: Known, panels: Sequence[Panel]) -> list[_Floats]:
        """The values of each series up to where it stands: those of some frames, and what is kept where they have none.

        Nothing that was filled counts as a value, unless nothing else is kept.
        """
        width, fills = known.tail.fills.shape[1], self._plain(known.tail.fills, known.tail.lowest)
        seen = np.where(np.isnan(known.tail.observed()), np.nan, fills)
        ends = np.where(np.isnan(seen).all(axis=1, keepdims=True), fills, seen)
        made = [row[width - min(width, n) :] for row, n in zip(ends, known.tail.steps.tolist(), strict=True)]
        for panel in panels:
            place = {name: i for i, name in enumerate(panel.ids)}
            for i, (name, after) in enumerate(zip(known.ids, known.next.tolist(), strict=True)):
                count = max(after - int(panel.first[place[name]]) if name in place else 0, len(made[i]))
                values = panel.window([name], np.array([after - count]), count).values
                last = values[count - len(made[i]) :]
                values[count - len(made[i]) :] = np.where(np.isnan(last), made[i], last)
                made[i] = values
        return made

    @by_learnt_options
    def score(self, frame: Any, y: Any = None) -> float:
        """The share of the seasonal naive forecast's error that is saved: 1 is perfect, 0 is as good as that forecast.

        Of the next `horizon` steps, as `evaluate` without windows has them.

        ::

            1 - mean |y - elman| / mean |y - value of the last season|
        """
        mae, naive = self.evaluate(frame)["mae"], self.evaluate_naive(frame)["mae"]
        size = float(np.nanmean(np.abs(self._truth(frame)[1])))
        right = [error <= 1e-12 * size for error in (mae, naive)]  # but for the rounding of logarithms and back
        return float(right[0]) if right[1] else 1 - mae / naive

    def _compared(
        self, frame: Any, windows: int | None, step: int | None, answers: Callable[[Known, _Floats], _Floats]
    ) -> tuple[_Floats, _Floats, _Floats]:
        """True values [rows, horizon], answers for them, and the error of the seasonal naive forecast before them."""
        parts = [
            (truth, answers(known, truth), known.tail.naive_error(self.shape_))
            for known, truth in self._windows(frame, windows, step)
        ]
        truth, made, naive = map(np.concatenate, zip(*parts, strict=True))
        return truth, made, naive

    def _windows(self, frame: Any, windows: int | None, step: int | None) -> Iterator[tuple[Known, _Floats]]:
        """Known series up to where some forecasts begin, and the values from there on: [series, horizon].

        What comes is good until the next is asked for.
        """
        self._check_fitted()
        if windows is None:
            if step is not None:
                raise OptionError(f"step = {step!r} says how far apart windows begin. Give windows=... too.")
            yield self._truth(frame)
            return
        gap = self.horizon if step is None else step
        _check_windows(windows, gap)
        panel, _, _ = read(frame, self.columns, self.grid_, sort=self.sort, whole=True, positive=self._above_zero)
        panel = trimmed(panel, target=self.target)
        place = {name: i for i, name in enumerate(panel.ids)}
        chosen = [i for i, name in enumerate(self.known_.ids) if name in place]
        known = self.known_.take(chosen)
        there = [place[name] for name in known.ids]
        last = (panel.first + known_lengths(panel))[there]
        begins = last[:, None] - self.horizon - np.arange(windows - 1, -1, -1) * gap
        goes_on = bool(chosen) and bool((begins[:, 0] >= known.next).all())
        if not goes_on:
            last = panel.first + known_lengths(panel)
            begins = last[:, None] - self.horizon - np.arange(windows - 1, -1, -1) * gap
            self._check_reach(panel, begins[:, 0])
        for begin in begins.T:
            if goes_on:
                self._go_on(known, panel, begin)
            else:
                cut = panel.until(begin - panel.first)
                known = self._known(cut, self._readings(cut))
            yield known, panel.window(known.ids, begin, self.horizon).values.reshape(-1, self.horizon)

    def _go_on(self, known: Known, panel: Panel, begin: NDArray[np.int64]) -> None:
        """Takes the values of a panel up to where forecasts begin."""
        counts = begin - known.next
        rows = np.flatnonzero(counts > 0)
        if len(rows):
            steps = panel.window([known.ids[i] for i in rows], known.next[rows], int(counts.max()))
            self._advance(known, steps.until(counts[rows]), rows)

    def _check_reach(self, panel: Panel, begin: NDArray[np.int64]) -> None:
        if (begin <= panel.first).any():
            i = int((begin - panel.first).argmin())
            raise DataError(
                f"series {panel.ids[i]!r} has {known_lengths(panel)[i]} steps, but the windows reach "
                f"{panel.first[i] + known_lengths(panel)[i] - begin[i]} steps back. Leave it out, or ask for fewer "
                "windows."
            )

    @by_learnt_options
    def scored(self, frame: Any, windows: int | None = None, step: int | None = None) -> dict[str, Any]:
        """What `evaluate` looks at: how many values, of how many series, from when to when; how many it does not.

        ``rows_not_scored`` are the values of the frame after the kept ends of the series, or of series that the model
        does not know, that lie in none of the windows; ``rows_learnt_from`` are those in windows before the kept ends;
        ``windows_possible``: how many windows a horizon apart lie between.
        """
        columns = replace(self.columns, past=(), future=(), static=())
        panel, _, _ = read(frame, columns, self.grid_, sort=self.sort)
        place = {name: i for i, name in enumerate(panel.ids)}
        after = dict(zip(self.known_.ids, self.known_.next.tolist(), strict=True))
        looked_at, series, first, last = np.zeros(len(panel.values), bool), set(), [], []
        for known, truth in self._windows(frame, windows, step):
            for name, begin, row in zip(known.ids, known.next.tolist(), truth, strict=True):
                if len(found := np.flatnonzero(~np.isnan(row))):
                    series.add(name)
                    first.append(begin + int(found[0]))
                    last.append(begin + int(found[-1]))
                    i = place[name]
                    looked_at[panel.offsets[i] + begin - panel.first[i] + found] = True
        begins = np.array([after.get(name, OFF) for name in panel.ids])
        index = np.concatenate([np.arange(f, f + n) for f, n in zip(panel.first, panel.lengths, strict=True)])
        later = index >= np.repeat(begins, panel.lengths)
        ends = self.grid_.shown(np.array([min(first), max(last)]))
        plain = [int(end) if ends.dtype.kind == "i" else str(end) for end in ends]
        room = (panel.first + known_lengths(panel) - begins)[[name in after for name in panel.ids]]
        return {
            "values": int(looked_at.sum()),
            "series": len(series),
            "from": plain[0],
            "to": plain[1],
            "windows": windows or 1,
            "windows_possible": int(max(room.min(initial=MOST_GAP * len(index)) // self.horizon, 1)),
            "rows_not_scored": int((later & ~np.isnan(panel.values) & ~looked_at).sum()),
            "rows_learnt_from": int((looked_at & ~later).sum()),
        }

    def _truth(self, frame: Any) -> tuple[Known, _Floats]:
        """The known series that a frame holds, and their next values: [series, horizon], NaN where not given."""
        columns, above = replace(self.columns, past=(), future=(), static=()), self._above_zero
        panel, _, _ = read(frame, columns, self.grid_, sort=self.sort, positive=above)
        place = {name: i for i, name in enumerate(self.known_.ids)}
        rows = [place[name] for name in panel.ids if name in place]
        if not rows:
            raise DataError(f"frame holds none of the series that the model knows, such as {self.known_.ids[0]!r}.")
        known = self.known_.take(rows)
        truth = panel.window(known.ids, known.next, self.horizon).values.reshape(len(rows), self.horizon)
        if np.isnan(truth).all():
            when = self.grid_.shown(known.next[:1])[0]
            raise DataError(
                f"frame holds no value of the {self.horizon} steps to come, which begin at {self.time} = {when} for "
                f"series {known.ids[0]!r}."
            )
        return known, truth

    @by_learnt_options
    def plot(self, path: str | os.PathLike[str] | None = None, series: Any = None, future: Any = None) -> bytes | None:
        """Draws the end of each series, its forecast and the widest interval, as the bytes of a PNG.

        `series`: which ones, a name or a list of them; default: the first six. `path`: a file to write it to. None,
        with a note, where matplotlib (the extra `plot`) is missing.
        """
        self._check_fitted()
        names = self.known_.ids[:6] if series is None else series if isinstance(series, list | tuple) else [series]
        place = {name: i for i, name in enumerate(self.known_.ids)}
        if unknown := [name for name in names if name not in place]:
            raise DataError(f"series {unknown[0]!r} is not known; there are {', '.join(map(repr, list(place)[:8]))}.")
        if not names:
            raise DataError("series = [] names none. Leave it out for the first six.")
        known = self.known_.take([place[name] for name in names])
        answers = self._ahead_of(known, self._coming(known, future, self.horizon), self.horizon)
        past = self._plain(known.tail.observed(), known.tail.lowest)
        shown = min(known.tail.fills.shape[1], max(4 * self.horizon, 3 * self.shape_.season))
        panels = []
        for i, name in enumerate(names):
            count = min(shown, int(known.tail.steps[i]))
            when = self.grid_.shown(known.next[i] + np.arange(-count, self.horizon))
            panels.append((str(name), when, past[i, -count:], answers[i]))
        levels = sorted(levels_of(self.levels), reverse=True)
        picture = draw(panels, f"{levels[0]:g} % interval" if levels else "")
        if picture is not None and path is not None:
            write_file(path, picture)
        return picture


def _check_windows(windows: Any, step: Any) -> None:
    if not is_whole(windows) or not is_whole(step):
        raise OptionError(f"windows = {windows!r} and step = {step!r} must be whole numbers of at least 1.")


def _errors(truth: _Floats, answers: _Floats, naive: _Floats) -> dict[str, float]:
    """sMAPE, MASE and MAE of answers [rows, horizon]; `naive` [rows]."""
    there = ~np.isnan(truth)
    found = {"smape": smape(truth[there], answers[there]), "mase": mase(truth, answers, naive[:, None])}
    return found | {"mae": float(np.abs(truth - answers)[there].mean())}


def ahead_of(panel: Panel, series: Tensor, at: Tensor, horizon: int) -> _Floats:
    """The values that follow some steps, as given: [rows, horizon]."""
    place = panel.offsets[series.numpy(), None] + at.numpy()[:, None] + np.arange(1, horizon + 1)
    return panel.values[place]  # type: ignore[no-any-return]
