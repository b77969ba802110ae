"""Backtests: forecast errors at past origins, of the model and of baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.errors import DataError, OptionError, Problem, option
from elman.evaluation.metrics import coverage, mase, smape
from elman.tasks.forecast.baselines import theta
from elman.tasks.forecast.data.frame import Series
from elman.tasks.forecast.data.panel import MOST_GAP, Panel, ranges
from elman.tasks.forecast.data.time_grid import OFF, readable
from elman.tasks.forecast.data.windows import observed_lengths, values_after
from elman.tasks.forecast.model import ForecastModel
from elman.tasks.forecast.state import SeriesState
from elman.validation.messages import shown
from elman.validation.options import is_whole

_Floats = NDArray[np.float64]
_Forecasts = Callable[[SeriesState, _Floats], _Floats]  # of the states, for true values of the same shape


@dataclass(frozen=True)
class Windows:
    """`count` forecasts of a horizon each, `step` apart; the last ends with the series.

    Raises ``OptionError`` unless both are whole numbers of at least 1.
    """

    count: int
    step: int
    horizon: int

    def __post_init__(self) -> None:
        if not is_whole(self.count) or not is_whole(self.step):
            names = {"windows": self.count, "step": self.step}
            rule = "must be a whole number of at least 1"
            raise OptionError.of([Problem(name, shown(one), rule) for name, one in names.items() if not is_whole(one)])

    @property
    def reach(self) -> int:
        """Steps from the first origin to the end of a series."""
        return self.horizon + (self.count - 1) * self.step

    @property
    def begins(self) -> NDArray[np.int64]:
        """Where the forecasts begin, counted from the end of a series, ascending."""
        return np.arange(-self.reach, -self.horizon + 1, self.step)

    def parts(self, each: int) -> list[tuple[int, Windows]]:
        """Runs of `each` windows, the last of what is left over, and how many steps after each the series end.

        >>> [(after, one.count) for after, one in Windows(5, 2, 3).parts(2)]
        [(6, 2), (2, 2), (0, 1)]
        """
        begins = range(0, self.count, each)
        counts = [min(each, self.count - begin) for begin in begins]
        return [
            ((self.count - begin - count) * self.step, Windows(count, self.step, self.horizon))
            for begin, count in zip(begins, counts, strict=True)
        ]

    def check(self, panel: Panel, lengths: NDArray[np.int64]) -> None:
        """Raises ``DataError`` for a series whose length is not greater than they reach back."""
        i = int(lengths.argmin())
        if lengths[i] <= self.reach:
            most = (int(lengths[i]) - 1 - self.horizon) // self.step + 1
            what = f"series {panel.ids[i]!r} has {lengths[i]} steps, but the windows reach {self.reach} steps back"
            if most < 1:
                raise DataError(f"{what}. Leave it out.")
            raise DataError(f"{what}. Leave it out, or ask for fewer: ", option("windows", most))


def backtest_frame(parts: Sequence[tuple[ForecastModel, Series, Windows]]) -> Any:
    """Forecasts from past origins and the true values: id, time, cutoff, the target, elman …

    Each part has the same series, with a model for some windows; later windows come later.
    """
    model, series, _ = parts[0]
    found = [_columns(*part) for part in parts]
    joined = {name: np.concatenate([columns[name] for columns in found]) for name in found[0]}
    owner = joined.pop("")
    order = np.argsort(owner, kind="stable")
    columns: dict[str, Any] = {model.columns.id: [series.panel.ids[i] for i in owner[order].tolist()]}
    columns |= {name: values[order] for name, values in joined.items()}
    return series.style.frame(columns, model.columns.id, [model.columns.time, "cutoff"])


def _columns(model: ForecastModel, series: Series, windows: Windows) -> dict[str, Any]:
    panel, grid, _ = series
    windowed = model.encoder.windowed(panel)
    origins = torch.arange(len(panel)).repeat_interleave(windows.count)
    at = torch.from_numpy((panel.lengths[:, None] - 1 + windows.begins).reshape(-1))
    lowest = windowed.lowest[windowed.steps.offsets[origins] + at].numpy()
    answers = model.finish(model.strategy.forecast_at(panel, windowed, origins, at), lowest)
    truth, horizon = values_after(panel, origins, at, model.horizon), model.horizon
    begin = panel.first[origins.numpy()] + at.numpy()
    return {
        "": np.repeat(origins.numpy(), horizon),
        model.columns.time: grid.stamps((begin[:, None] + np.arange(1, horizon + 1)).reshape(-1)),
        "cutoff": grid.stamps(np.repeat(begin, horizon)),
        model.columns.target: truth.reshape(-1),
        **model.named(answers.reshape(truth.size, -1)),
    }


class Backtest:
    """Forecasts of a model against the true values of a frame.

    Without `windows` those of the next horizon after the model's states; with them so many that end with the frame.
    """

    def __init__(self, model: ForecastModel, frame: Any, windows: int | None = None, step: int | None = None) -> None:
        self.model, self.frame, self.windows = model, frame, None
        if windows is not None:
            self.windows = Windows(windows, model.horizon if step is None else step, model.horizon)
        elif step is not None:
            raise OptionError(
                Problem("step", shown(step), "is the distance of windows. Give "), option("windows"), " too"
            )

    def score(self, future: Any = None) -> dict[str, float]:
        """sMAPE, MASE, MAE, and the coverage of each interval."""
        return self._scores(*self._forecasts(future))

    def score_steps(self, future: Any = None) -> dict[str, NDArray[Any]]:
        """The same for each step of the horizon, and the number of values; NaN where there are none."""
        truth, made, naive = self._forecasts(future)
        steps = [slice(j, j + 1) for j in range(truth.shape[1])]
        there = [int((~np.isnan(truth[:, step])).sum()) for step in steps]
        scores = [self._scores(truth[:, step], made[:, step], naive) for step, n in zip(steps, there, strict=True) if n]
        names, found = list(scores[0]), iter(scores)
        rows = [next(found) if n else dict.fromkeys(names, np.nan) for n in there]
        columns = {name: np.array([row[name] for row in rows]) for name in names}
        return {"step": np.arange(1, len(there) + 1), "values": np.array(there), **columns}

    def _scores(self, truth: _Floats, made: _Floats, naive: _Floats) -> dict[str, float]:
        there, found = ~np.isnan(truth), _errors(truth, made[..., made.shape[-1] // 2], naive)
        for i, level in enumerate(sorted(self.model.calibration.factors, reverse=True)):
            found[f"coverage_{level:g}"] = coverage(truth[there], made[..., i][there], made[..., -1 - i][there])
        return found

    def _forecasts(self, future: Any) -> tuple[_Floats, _Floats, _Floats]:
        model = self.model

        def forecasts(state: SeriesState, truth: _Floats) -> _Floats:
            count = int(np.flatnonzero((~np.isnan(truth)).any(axis=0)).max(initial=0)) + 1
            made = model.forecast(state, future, count)
            return np.pad(made, ((0, 0), (0, truth.shape[1] - count), (0, 0)), constant_values=np.nan)

        return self._compare(forecasts)

    def score_naive(self) -> dict[str, float]:
        """The errors of the seasonal naive forecast."""
        shape, horizon = self.model.encoder.shape, self.model.horizon

        def forecasts(state: SeriesState, truth: _Floats) -> _Floats:
            return shape.inverse(state.tail.last_season(shape.season, horizon), state.tail.lowest)

        return _errors(*self._compare(forecasts))

    def score_theta(self, history: Any = None) -> dict[str, float]:
        """The errors of the Theta method, fitted to the `history` and the frame, or to the values in the state."""
        model = self.model
        given = {} if history is None else {"history": history}
        given |= {} if self.windows is None else {"frame": self.frame}
        panels = [model.read_values(one, name) for name, one in given.items()]
        season, horizon = model.encoder.shape.season, model.horizon

        def forecasts(state: SeriesState, truth: _Floats) -> _Floats:
            return np.stack([theta(values, season, horizon) for values in self._histories(state, panels)])

        return _errors(*self._compare(forecasts))

    def truth_size(self) -> float:
        """The mean size of the true values of the next horizon."""
        return float(np.nanmean(np.abs(self._next_horizon()[1])))

    def describe(self) -> dict[str, Any]:
        """How many values are scored, of how many series, from when to when; how many are not."""
        model, panel = self.model, self.model.read_values(self.frame)
        after = dict(zip(model.state.ids, model.state.next.tolist(), strict=True))
        scored = self._scored(panel)
        begins = np.array([after.get(name, OFF) for name in panel.ids])
        index, owner = ranges(panel.first, panel.lengths), np.repeat(np.arange(len(panel)), panel.lengths)
        later = index >= begins[owner]
        ends = model.grid.shown(np.array([index[scored].min(), index[scored].max()]))
        plain = [int(end) if ends.dtype.kind == "i" else readable(end) for end in ends]
        room = (panel.first + observed_lengths(panel) - begins)[[name in after for name in panel.ids]]
        return {
            "values": int(scored.sum()),
            "series": len(np.unique(owner[scored])),
            "from": plain[0],
            "to": plain[1],
            "windows": 1 if self.windows is None else self.windows.count,
            "windows_possible": int(max(room.min(initial=MOST_GAP * len(index)) // model.horizon, 1)),
            "rows_not_scored": int((later & ~np.isnan(panel.values) & ~scored).sum()),
            "rows_learnt_from": int((scored & ~later).sum()),
        }

    def _scored(self, panel: Panel) -> NDArray[np.bool_]:
        """A mask of the scored steps."""
        place, scored = {name: i for i, name in enumerate(panel.ids)}, np.zeros(len(panel.values), bool)
        for state, truth in self._origins():
            for name, begin, row in zip(state.ids, state.next.tolist(), truth, strict=True):
                i = place[name]
                scored[panel.offsets[i] + begin - panel.first[i] + np.flatnonzero(~np.isnan(row))] = True
        return scored

    def _compare(self, forecasts: _Forecasts) -> tuple[_Floats, _Floats, _Floats]:
        """True values [rows, horizon], forecasts of them, and the error of the seasonal naive forecast before them."""
        parts = [
            (truth, forecasts(state, truth), state.tail.naive_error(self.model.encoder.shape))
            for state, truth in self._origins()
        ]
        truth, made, naive = map(np.concatenate, zip(*parts, strict=True))
        return truth, made, naive

    def _origins(self) -> Iterator[tuple[SeriesState, _Floats]]:
        """States where some forecasts begin, and the values from there on: [series, horizon].

        A state is valid until the next is yielded. States continue the model's where all forecasts begin after these,
        else those of the frame.
        """
        if self.windows is None:
            yield self._next_horizon()
            return
        model, before_end = self.model, self.windows.begins
        panel = model.read_history(self.frame).panel
        ends = panel.first + observed_lengths(panel)
        place = {name: i for i, name in enumerate(panel.ids)}
        rows = [i for i, name in enumerate(model.state.ids) if name in place]
        state = model.state.take(rows)
        begins = ends[[place[name] for name in state.ids]][:, None] + before_end
        continues = bool(rows) and bool((begins[:, 0] >= state.next).all())
        if not continues:
            begins = ends[:, None] + before_end
            self.windows.check(panel, ends - panel.first)
        for begin in begins.T:
            if continues:
                self._advance(state, panel, begin)
            else:
                cut = panel.until(begin - panel.first)
                state = model.encoder.state(cut, model.encoder.windowed(cut))
            yield state, panel.window(state.ids, begin, model.horizon).values.reshape(-1, model.horizon)

    def _advance(self, state: SeriesState, panel: Panel, begin: NDArray[np.int64]) -> None:
        """Appends the values of a panel up to where forecasts begin."""
        counts = begin - state.next
        rows = np.flatnonzero(counts > 0)
        if len(rows):
            steps = panel.window([state.ids[i] for i in rows], state.next[rows], int(counts.max()))
            self.model.encoder.append(state, steps.until(counts[rows]), rows)

    def _next_horizon(self) -> tuple[SeriesState, _Floats]:
        """The model's states of the frame's series, and their next values: [series, horizon], NaN where not given."""
        model, panel = self.model, self.model.read_truth(self.frame)
        place = {name: i for i, name in enumerate(model.state.ids)}
        rows = [place[name] for name in panel.ids if name in place]
        if not rows:
            raise DataError(f"frame holds none of the series that the model knows, such as {model.state.ids[0]!r}.")
        state = model.state.take(rows)
        truth = panel.window(state.ids, state.next, model.horizon).values.reshape(len(rows), model.horizon)
        if np.isnan(truth).all():
            at = f"{model.columns.time} = {readable(model.grid.shown(state.next[:1])[0])} for series {state.ids[0]!r}"
            what = (
                f"holds no value of the {model.horizon} steps to come, which begin at {at}. Give later rows, or score "
            )
            raise DataError(f"frame {what}forecasts of these: ", option("windows"))
        return state, truth

    def _histories(self, state: SeriesState, panels: Sequence[Panel]) -> list[_Floats]:
        """The values of each series up to its state, from some frames, else from the state.

        Imputed values are used only where there is no other.
        """
        tail = state.tail
        width, fills = tail.fills.shape[1], self.model.encoder.shape.inverse(tail.fills, tail.lowest)
        seen = np.where(np.isnan(tail.observed()), np.nan, fills)
        ends = np.where(np.isnan(seen).all(axis=1, keepdims=True), fills, seen)
        made = [row[width - min(width, n) :] for row, n in zip(ends, tail.steps.tolist(), strict=True)]
        for panel in panels:
            place = {name: i for i, name in enumerate(panel.ids)}
            for i, (name, after) in enumerate(zip(state.ids, state.next.tolist(), strict=True)):
                count = max(after - int(panel.first[place[name]]) if name in place else 0, len(made[i]))
                values = panel.window([name], np.array([after - count]), count).values
                last = values[count - len(made[i]) :]
                values[count - len(made[i]) :] = np.where(np.isnan(last), made[i], last)
                made[i] = values
        return made


def _errors(truth: _Floats, answers: _Floats, naive: _Floats) -> dict[str, float]:
    """sMAPE, MASE and MAE of answers [rows, horizon]; `naive` [rows]."""
    there = ~np.isnan(truth)
    found = {"smape": smape(truth[there], answers[there]), "mase": mase(truth, answers, naive[:, None])}
    return found | {"mae": float(np.abs(truth - answers)[there].mean())}
