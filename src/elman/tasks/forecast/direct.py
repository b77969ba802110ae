"""What a forecaster answers, and the state that it keeps of each series to answer from.

`Answers` is what a fitted forecaster can do: it reads series (readings.py), remembers their ends (known.py), and gives
quantiles of what follows in the units of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, MessagePart, OptionError, Place, Wording, option
from elman.ops.state import mapped
from elman.ragged import Ragged
from elman.tasks.base.finite import finite
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.task import Task
from elman.tasks.forecast.conformal import nested, widened
from elman.tasks.forecast.data.covariates import Covariates, Table
from elman.tasks.forecast.data.panel import MOST_GAP, Columns, Panel, Style, read
from elman.tasks.forecast.data.scaling import Shape, Tail
from elman.tasks.forecast.data.time_grid import Grid, cycles
from elman.tasks.forecast.data.windows import MOST_BYTES, Readings, trimmed
from elman.tasks.forecast.network import Members, Sizes
from elman.tasks.forecast.paths import GRID
from elman.tasks.forecast.state import Known
from elman.validation.messages import shown
from elman.validation.options import is_whole

__all__ = ["Answers", "levels_of", "names_of"]

_Floats = NDArray[np.float64]
_ROWS = 2048  # forecasts in a batch of answering, at most
_FAR = 690.0  # of a logarithm, above which and below the negative of which no answer is: 1e300


class Answers(Task):
    """Reads series, keeps their ends, and says what follows."""

    if TYPE_CHECKING:  # the options that are read here, which are fields of the task, and what fit learns
        horizon: int
        levels: Sequence[float]
        id: str
        time: str
        target: str
        past: str | Sequence[str]
        future: str | Sequence[str]
        static: str | Sequence[str]
        freq: str | int | None
        sort: bool
        experts: int
        members: int
        recursive: bool
        fit: Callable[..., Any]
        grid_: Grid
        style_: Style
        shape_: Shape
        season_chosen_: str
        longest_: int
        covariates_: Covariates
        network_: Members
        factors_: Mapping[float, float]
        known_: Known

    @property
    def columns(self) -> Columns:
        """What the columns of frames are called."""
        groups = (tuple(names_of(names)) for names in (self.past, self.future, self.static))
        return Columns(self.id, self.time, self.target, *groups)

    def _readings(self, panel: Panel, later: Table | None = None) -> Readings:
        return Readings.of(panel, self.shape_, self.covariates_, self.grid_, self.longest_, self._reach, later)

    @property
    def _above_zero(self) -> tuple[MessagePart, ...]:
        """Why a value that is not above 0 is refused, and what to do; empty where it is not."""
        advice = "but the model learnt from logarithms, which only values above 0 have. Fit it anew with "
        return (advice, option("log", False)) if self.shape_.log else ()

    @property
    def _quantiles(self) -> list[float]:
        """The shares below each answer, ascending; the median in the middle."""
        tails = sorted((1 - float(level) / 100) / 2 for level in levels_of(self.levels))
        return [*tails, 0.5, *(1 - tail for tail in reversed(tails))]

    @property
    def _reach(self) -> int:
        """How many steps ahead the network itself looks."""
        return 1 if self.recursive else self.horizon

    @property
    def _shares(self) -> list[float]:
        """The quantiles that the network learns."""
        return list(GRID) if self.recursive else self._quantiles

    def _networks(self) -> Members:
        facts = self.covariates_
        calendar = cycles(self.grid_, np.zeros(1, np.int64), self.longest_).shape[1]
        read, _ = facts.names(facts.past, facts.future, facts.static)
        ahead, _ = facts.names(facts.future)
        sizes = Sizes(
            self._reach,
            self.shape_.window,
            self.shape_.season,
            len(self._shares),
            int(self.experts),
            self.shape_.width + len(read) + calendar,
            len(ahead) + calendar,
            facts.sizes(facts.past, facts.future, facts.static),
            facts.sizes(facts.future),
        )
        with self._drawn():
            return Members(sizes, int(self.members), self.encoder, self.dropout)

    @by_learnt_options
    def predict(self, horizon: Any = None, frame: Any = None, future: Any = None) -> Any:
        """The next values: a frame with a row for each series and step: id, time, elman, elman-lo-90, elman-hi-90 …

        Of the series of `fit` and `update`; or, with a `frame`, of the series in it, new or not, from their ends, with
        nothing learnt anew. `horizon`: fewer steps than the option says. `future`: a frame of id, time and the future
        covariates of as many steps to come. Raises ``DataError`` for data that cannot be used, and for values that are
        not above 0 where the model learnt from logarithms.
        """
        if horizon is not None and not is_whole(horizon, 0) and frame is None:
            horizon, frame = None, horizon
        self._check_fitted()
        count = self.horizon if horizon is None else horizon
        if not is_whole(count) or count > self.horizon:
            raise OptionError(
                f"horizon = {shown(count)} must be a whole number from 1 to {self.horizon}, which was learnt."
            )
        known, style = (self.known_, self.style_) if frame is None else self._begun(frame)
        answers = self._ahead_of(known, self._coming(known, future, count), count)
        return self._framed(known, answers, style)

    def update(self, frame: Any) -> Self:
        """Takes new points of the series that it knows, at the same cost for each however long the series is.

        A prediction afterwards is that of the whole series. Time stamps left out become missing steps. Raises
        ``DataError`` for a series that is not known, and for a time that is not after the last one.
        """
        self._take(frame)
        return self

    @by_learnt_options
    def _take(self, frame: Any) -> None:
        self._check_fitted()
        panel, _, _ = read(frame, self.columns, self.grid_, sort=self.sort, whole=True, positive=self._above_zero)
        place = {name: i for i, name in enumerate(self.known_.ids)}
        if unknown := [name for name in panel.ids if name not in place]:
            raise DataError(
                f"series {unknown[0]!r} was not in what the model learnt from. Give new series whole, to ",
                Wording("predict(frame=...)", "elman predict"),
                ".",
            )
        rows = np.array([place[name] for name in panel.ids], np.int64)
        early = np.flatnonzero(panel.first < self.known_.next[rows])
        if len(early):
            i = int(early[0])
            given, last = self.grid_.shown(np.array([panel.first[i], self.known_.next[rows[i]] - 1]))
            raise DataError(
                f"series {panel.ids[i]!r} begins at {self.time} = {given}, but is known up to {last}. Give later rows."
            )
        far = panel.first - self.known_.next[rows]
        if far.sum() > MOST_GAP * len(panel.values) + 10_000:
            i = int(far.argmax())
            raise DataError(
                f"series {panel.ids[i]!r} goes on {far[i]} steps of {self.grid_.describe()} after its end. Learn anew, "
                "or give it whole to ",
                Wording("predict(frame=...)", "elman predict"),
                ".",
            )
        self._advance(self.known_, panel.led(self.known_.next[rows]), rows)

    @torch.no_grad()
    def _advance(self, known: Known, panel: Panel, rows: NDArray[np.int64]) -> None:
        """Goes on with steps that follow at once, a step of all series at a time."""
        shape = self.shape_
        values = np.log(panel.values) if shape.log else panel.values
        changing = self.covariates_.changing(panel, known.last[rows])
        constant = known.constant[rows]
        inputs = np.zeros((len(values), shape.width), np.float32)
        for step in range(int(panel.lengths.max())):
            running = np.flatnonzero(panel.lengths > step)
            at = panel.offsets[running] + step
            inputs[at] = known.tail.advance(values[at], rows[running], shape)
        when = np.concatenate([np.arange(f, f + n) for f, n in zip(panel.first, panel.lengths, strict=True)])
        each = np.repeat(np.arange(len(panel)), panel.lengths)
        table = changing.joined(constant[each])
        calendar = cycles(self.grid_, when, self.longest_)
        numbers = torch.from_numpy(np.concatenate([inputs, table.numbers, calendar], axis=1))
        steps = Ragged(numbers, torch.from_numpy(panel.offsets.copy()))
        chosen, ends = torch.from_numpy(rows), steps.offsets[1:] - 1
        for i, member in enumerate(self.network_):
            before = mapped(lambda part: part[chosen], known.states[i])
            y, after = member.encode(steps, torch.from_numpy(table.codes), before)
            mapped(lambda part, new: part.index_copy_(0, chosen, new), known.states[i], after)
            known.memory[i][chosen] = y.values[ends]
        last = panel.offsets[1:] - 1
        known.last.numbers[rows], known.last.codes[rows] = changing.numbers[last], changing.codes[last]
        known.next[rows] += panel.lengths

    def _begun(self, frame: Any, name: str = "frame") -> tuple[Known, Style]:
        """The state of series that are given whole."""
        above = self._above_zero
        panel, _, style = read(frame, self.columns, self.grid_, sort=self.sort, name=name, whole=True, positive=above)
        panel = trimmed(panel, name, self.target)
        return self._known(panel, self._readings(panel)), style

    def _known(self, panel: Panel, readings: Readings) -> Known:
        series = torch.arange(len(panel))
        last = readings.steps.lengths - 1
        memory, states = self.network_.memories(readings, series, last)
        table = readings.table[panel.offsets[1:] - 1]
        tail = Tail.of(readings.pasts, self.shape_)
        constant = self.covariates_.constant(panel)
        return Known(list(panel.ids), panel.first + panel.lengths, tail, states, memory, table, constant)

    def _from(self, readings: Readings, series: Tensor, at: Tensor, memory: list[Tensor] | None = None) -> _Floats:
        """The quantiles of what follows some steps, as the network learnt them: [rows, reach, shares]."""
        memory = self.network_.memories(readings, series, at)[0] if memory is None else memory
        made, rows_at_once = np.zeros((len(at), self._reach, len(self._shares))), self._rows_at_once
        for a in range(0, len(at), rows_at_once):
            part = slice(a, a + rows_at_once)
            s, t = series[part], at[part]
            place = readings.steps.offsets[s] + t
            level, scale = readings.level[place].numpy(), readings.scale[place].numpy()
            rows = [one[part] for one in memory]
            made[part] = self.network_.quantiles(readings.windows(s, t), rows, readings.known(s, t), level, scale)
        return made

    @property
    def _rows_at_once(self) -> int:
        return max(1, min(_ROWS, MOST_BYTES // (8 * self.shape_.window)))

    def _ahead_of(self, known: Known, coming: Panel | None, count: int) -> _Floats:
        """Median and intervals of each series, as given, `count` steps ahead: [series, count, quantiles]."""
        return finite(self._finished(self._raw(known, coming, count), known.tail.lowest))

    def _raw(self, known: Known, coming: Panel | None, count: int) -> _Floats:
        raise NotImplementedError

    def _direct(self, known: Known, later: Table | None) -> _Floats:
        """What the network says of each series, as it learnt: [series, reach, shares]."""
        made, rows_at_once = np.zeros((len(known.ids), self._reach, len(self._shares))), self._rows_at_once
        beyond = self._calendar_after(known, later)
        for a in range(0, len(made), rows_at_once):
            part = slice(a, a + rows_at_once)
            rows, tail = [one[part] for one in known.memory], known.tail[part]
            ahead = None if beyond is None else (beyond[0][part], beyond[1][part])
            windows = torch.from_numpy(tail.windows(self.shape_))
            made[part] = self.network_.quantiles(windows, rows, ahead, tail.level, tail.scale)
        return made

    def _calendar_after(self, known: Known, later: Table | None) -> tuple[Tensor, Tensor] | None:
        """What is known of the steps after each series' end."""
        count, horizon = len(known.ids), self._reach
        when = (known.next[:, None] + np.arange(horizon)).reshape(-1)
        calendar = cycles(self.grid_, when, self.longest_)
        if not calendar.shape[1] and later is None:
            return None
        none = Table(np.zeros((len(when), 0), np.float32), np.zeros((len(when), 0), np.int64))
        table = none if later is None else later
        numbers = np.concatenate([table.numbers, calendar], axis=1).reshape(count, horizon, -1)
        return torch.from_numpy(numbers), torch.from_numpy(table.codes.reshape(count, horizon, -1))

    def _coming(self, known: Known, future: Any, count: int) -> Panel | None:
        """The future covariates of the horizon after each series' end; those of the first `count` steps must be there.

        Those beyond are as they were last, since no answer comes of them.
        """
        names = self.covariates_.future
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
        panel, _, _ = read(future, columns, self.grid_, sort=self.sort, target=False, name="future")
        panel = panel.window(known.ids, known.next, self.horizon)
        for name in names:
            values = panel.covariates[name]
            missing = [v is None for v in values] if values.dtype == object else np.isnan(values)
            asked = np.reshape(missing, (len(known.ids), self.horizon))[:, :count]
            if asked.any():
                i, step = divmod(int(asked.argmax()), count)
                stamp = self.grid_.shown(known.next[i : i + 1] + step)[0]
                raise DataError(
                    f"of series {known.ids[i]!r} is missing at {self.time} = {stamp}. A future "
                    f"covariate is needed for each of the {count} steps to come.",
                    at=Place("future", column=name),
                )
        return panel

    def _coded(self, coming: Panel | None) -> Table | None:
        """Future covariates as the network reads them."""
        if coming is None:
            return None
        reader = replace(self.covariates_, past=())
        return reader.ahead(reader.changing(coming))

    def _plain(self, values: _Floats, lowest: _Floats) -> _Floats:
        """From what the network learns to what was given; not below 0 where the `lowest` value of a series was not.

        `values` [rows, ...], `lowest` [rows].
        """
        if self.shape_.log:
            return np.exp(np.clip(values, -_FAR, _FAR))
        floor = np.where(lowest >= 0, 0.0, -np.inf)
        return np.maximum(values, floor.reshape(-1, *[1] * (values.ndim - 1)))

    def _finished(self, quantiles: _Floats, lowest: _Floats) -> _Floats:
        """Intervals calibrated, one inside the other, and everything in the units of the data."""
        middle = quantiles.shape[-1] // 2
        made = quantiles.copy()
        for i, level in enumerate(sorted(levels_of(self.levels), reverse=True)):
            low, high = quantiles[..., i], quantiles[..., -1 - i]
            ends = widened(low, quantiles[..., middle], high, self.factors_[float(level)])
            made[..., i], made[..., -1 - i] = ends
        return self._plain(nested(made), lowest)

    def _framed(self, known: Known, answers: _Floats, style: Style) -> Any:
        count, horizon = answers.shape[:2]
        when = self.grid_.stamps((known.next[:, None] + np.arange(horizon)).reshape(-1))
        columns: dict[str, Any] = {self.id: [name for name in known.ids for _ in range(horizon)], self.time: when}
        return style.frame(columns | self._named(answers.reshape(count * horizon, -1)), self.id, [self.time])

    def _named(self, answers: _Floats) -> dict[str, _Floats]:
        """The columns of an answer: [rows, quantiles] by name."""
        made = {"elman": answers[:, answers.shape[1] // 2]}
        levels = sorted(levels_of(self.levels), reverse=True)
        for i, level in reversed(list(enumerate(levels))):
            made |= {f"elman-lo-{level:g}": answers[:, i], f"elman-hi-{level:g}": answers[:, -1 - i]}
        return made


def names_of(value: str | Sequence[str]) -> list[str]:
    """The columns that an option names."""
    return [value] if isinstance(value, str) else list(value)


def levels_of(value: Any) -> list[float]:
    """The levels of intervals, in per cent."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
