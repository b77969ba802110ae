"""How good forecasts are: windows of the past, errors beside those of a naive rival, and a picture."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.calendar import Grid, parse
from elman.errors import DataError, OptionError
from elman.features.base import shown
from elman.forecast_plot import draw
from elman.frames import Panel, Style, read
from elman.known import Known
from elman.metrics import coverage, mase, smape
from elman.options import is_whole
from elman.readings import trimmed
from elman.seasonal import theta
from elman.tasks.series_answers import levels_of
from elman.tasks.series_paths import Paths

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
        self._check_options()
        gap = self.horizon if step is None else step
        if not is_whole(windows) or not is_whole(gap):
            raise OptionError(f"windows = {windows!r} and step = {shown(step)} must be whole numbers of at least 1.")
        freq = None if self.freq is None else parse(self.freq)
        back = self.horizon + (windows - 1) * gap
        if refit:
            panel, grid, style = read(frame, self.columns, freq=freq, sort=self.sort, whole=True)
            panel = trimmed(panel, target=self.target)
            self._check_windows(panel, back)
            model = type(self)(**self.get_params(deep=False))
            model.fit(self._rows(panel.until(panel.lengths - back), grid, style))
        else:
            self._check_fitted()
            panel, grid, style = read(frame, self.columns, self.grid_, sort=self.sort, whole=True)
            panel, model = trimmed(panel, target=self.target), self
            self._check_windows(panel, back)
        readings = model._readings(panel)
        ends = np.arange(-back, -self.horizon + 1, gap)
        series = torch.arange(len(panel)).repeat_interleave(len(ends))
        at = torch.from_numpy((panel.lengths[:, None] - 1 + ends).reshape(-1))
        answers = model._finished(model._answers_at(panel, readings, series, at))
        truth = ahead_of(panel, series, at, self.horizon)
        begin = panel.first[series.numpy()] + at.numpy()
        columns: dict[str, Any] = {
            self.id: [panel.ids[i] for i in series.tolist() for _ in range(self.horizon)],
            self.time: grid.stamps((begin[:, None] + np.arange(1, self.horizon + 1)).reshape(-1)),
            "cutoff": grid.stamps(np.repeat(begin, self.horizon)),
            self.target: truth.reshape(-1),
        }
        return style.frame(columns | model._named(answers.reshape(truth.size, -1)), [self.time, "cutoff"])

    def _check_windows(self, panel: Panel, back: int) -> None:
        short = int(panel.lengths.argmin())
        if panel.lengths[short] <= back:
            raise DataError(
                f"series {panel.ids[short]!r} has {panel.lengths[short]} steps, but the windows reach {back} steps back"
                ". Leave it out, or ask for fewer windows."
            )

    def _rows(self, panel: Panel, grid: Grid, style: Style) -> Any:
        """A panel as the frame it came from."""
        counts = panel.lengths
        index = np.concatenate([np.arange(f, f + n) for f, n in zip(panel.first, counts, strict=True)])
        each = np.repeat(np.arange(len(panel)), counts)
        columns: dict[str, Any] = {self.id: [panel.ids[i] for i in each], self.time: grid.stamps(index)}
        columns |= {self.target: panel.values, **panel.covariates}
        columns |= {name: values[each] for name, values in panel.static.items()}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) and v.dtype.kind == "O" else v for k, v in columns.items()}
        return replace(style, library="polars").frame(plain, [self.time])

    def evaluate(self, frame: Any, future: Any = None) -> dict[str, float]:
        """sMAPE (0 to 200, as in the M4 competition), MASE, MAE and the coverage of each interval.

        `frame` holds the true values of the next steps of the series that the model knows. The mean is over values.
        """
        known, truth = self._truth(frame)
        if self.covariates_.future and future is None:
            future = frame
        answers = self._ahead_of(known, self._coming(known, future))
        there, found = ~np.isnan(truth), self._errors(known, truth, answers[..., answers.shape[-1] // 2])
        for i, level in enumerate(sorted(levels_of(self.levels), reverse=True)):
            found[f"coverage_{level:g}"] = coverage(truth[there], answers[..., i][there], answers[..., -1 - i][there])
        return found

    def evaluate_naive(self, frame: Any) -> dict[str, float]:
        """The same errors of the seasonal naive forecast, which repeats the last season: an honest rival."""
        known, truth = self._truth(frame)
        season = self._plain(known.tail.fills[:, -self.shape_.season :])
        return self._errors(known, truth, season[:, np.arange(self.horizon) % self.shape_.season])

    def evaluate_theta(self, frame: Any, history: Any = None) -> dict[str, float]:
        """The same errors of the Theta method (Assimakopoulos & Nikolopoulos 2000), fitted to each series by itself.

        `history`: the series up to the frame, such as those of training; without it Theta sees what the model keeps,
        the last ``shape_.window`` values. Raises ``OptionError`` where statsmodels (the extra `rivals`) is missing.
        """
        known, truth = self._truth(frame)
        season, horizon = self.shape_.season, self.horizon
        answers = [theta(values, season, horizon) for values in self._histories(known, history)]
        return self._errors(known, truth, np.stack(answers))

    def _histories(self, known: Known, history: Any) -> list[_Floats]:
        """The values of each series up to its kept end: those of a frame, and what is kept where it has none."""
        width = known.tail.fills.shape[1]
        ends = self._plain(known.tail.fills)
        kept = [row[width - min(width, n) :] for row, n in zip(ends, known.tail.steps.tolist(), strict=True)]
        if history is None:
            return kept
        columns = replace(self.columns, past=(), future=(), static=())
        panel, _, _ = read(history, columns, self.grid_, sort=self.sort, name="history")
        place, made = {name: i for i, name in enumerate(panel.ids)}, []
        for name, after, end in zip(known.ids, known.next.tolist(), kept, strict=True):
            count = after - int(panel.first[place[name]]) if name in place else 0
            if count < len(end):
                made.append(end)
                continue
            values = panel.window([name], np.array([after - count]), count).values
            last = values[count - len(end) :]
            values[count - len(end) :] = np.where(np.isnan(last), end, last)
            made.append(values)
        return made

    def score(self, frame: Any, y: Any = None) -> float:
        """The share of the seasonal naive forecast's error that is saved: 1 is perfect, 0 is as good as that forecast.

        ::

            1 - mean |y - elman| / mean |y - value of the last season|
        """
        mae, naive = self.evaluate(frame)["mae"], self.evaluate_naive(frame)["mae"]
        return 1 - mae / naive if naive > 0 else float(mae == 0)

    def _truth(self, frame: Any) -> tuple[Known, _Floats]:
        """The known series that a frame holds, and their next values: [series, horizon], NaN where not given."""
        self._check_fitted()
        panel, _, _ = read(frame, replace(self.columns, past=(), future=(), static=()), self.grid_, sort=self.sort)
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

    def _errors(self, known: Known, truth: _Floats, answers: _Floats) -> dict[str, float]:
        """sMAPE, MASE (by the seasonal naive errors of the kept ends) and MAE."""
        season, there, fills = self.shape_.season, ~np.isnan(truth), self._plain(known.tail.fills)
        naive, steps = np.abs(fills[:, season:] - fills[:, :-season]), np.minimum(known.tail.steps, fills.shape[1])
        naive = np.array([row[len(row) - max(1, n - season) :].mean() for row, n in zip(naive, steps, strict=True)])
        found = {"smape": smape(truth[there], answers[there]), "mase": mase(truth, answers, naive[:, None])}
        return found | {"mae": float(np.abs(truth - answers)[there].mean())}

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
        answers = self._ahead_of(known, self._coming(known, future))
        shown = min(known.tail.fills.shape[1], max(4 * self.horizon, 3 * self.shape_.season))
        panels = []
        for i, name in enumerate(names):
            count = min(shown, int(known.tail.steps[i]))
            past = self._plain(known.tail.fills[i, -count:])
            when = self.grid_.shown(known.next[i] + np.arange(-count, self.horizon))
            panels.append((str(name), when, past, answers[i]))
        levels = sorted(levels_of(self.levels), reverse=True)
        picture = draw(panels, f"{levels[0]:g} % interval" if levels else "")
        if picture is not None and path is not None:
            Path(path).write_bytes(picture)
        return picture


def ahead_of(panel: Panel, series: Tensor, at: Tensor, horizon: int) -> _Floats:
    """The values that follow some steps, as given: [rows, horizon]."""
    place = panel.offsets[series.numpy(), None] + at.numpy()[:, None] + np.arange(1, horizon + 1)
    return panel.values[place]  # type: ignore[no-any-return]
