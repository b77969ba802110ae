"""The next values of many series, with intervals: one network for all of them.

The network stands in experts.py, what it reads in scaling.py; intervals are calibrated in conformal.py. Several
networks (`members`) learn side by side from the same batches and their quantiles are averaged. What a fitted forecaster
answers is in series_answers.py, how it is measured in series_scores.py, how it is kept in series_store.py.

    loss = mean over targets of w (pinball over all quantiles + pinball of the median / 2)
    w    = s_t / u        u: the scale s' of the whole series; of logarithms, the mean of all series'

so that errors count in units of each series, or as shares of its values.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.cells import CELLS
from elman.errors import DataError, OptionError, Problem
from elman.evaluation.metrics import mase, smape
from elman.interpret.diagnose import Probe
from elman.layers.losses import pinball
from elman.tasks.base.session import Session
from elman.tasks.forecast.backtest import Measured, ahead_of
from elman.tasks.forecast.conformal import factor
from elman.tasks.forecast.data.covariates import Covariates
from elman.tasks.forecast.data.panel import Panel, read
from elman.tasks.forecast.data.sampler import Draws
from elman.tasks.forecast.data.scaling import Shape, beyond_rounding, least_scale
from elman.tasks.forecast.data.time_grid import parse, plain, seasons_of
from elman.tasks.forecast.data.windows import Readings, known_lengths, origins, trimmed
from elman.tasks.forecast.direct import levels_of, names_of
from elman.tasks.forecast.storage import MOST, MOST_DRAWN, Stored
from elman.training.loop import History, train
from elman.validation.messages import shown
from elman.validation.options import is_among, is_number, is_whole, whole

__all__ = ["Forecaster"]

_Floats = NDArray[np.float64]
_MOST_WEIGHTS = 1 << 25  # of a network's linear forecasters, where the window is chosen

_COLUMNS = ("id", "time", "target", "past", "future", "static")


@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(Measured, Stored):
    """The next values of many series, with intervals, from a long frame: a row for each series and time.

    Learnt: ``history_`` (the learning curve), ``metrics_`` (of the held-out ends of the series), ``network_``,
    ``shape_`` (season, window and whether logarithms are learnt), ``season_chosen_`` (why that season), ``grid_`` (how
    far apart steps are), ``covariates_``, ``factors_`` (by which intervals are widened), ``known_`` (the state of each
    series).

    >>> import polars as pl
    >>> frame = pl.DataFrame({"unique_id": "a", "ds": range(60), "y": [1.0, 2.0, 3.0] * 20})
    >>> model = Forecaster(horizon=3, season=3, epochs=1, hidden=4, levels=(80, 95)).fit(frame)
    >>> model.predict().columns
    ['unique_id', 'ds', 'elman', 'elman-lo-80', 'elman-hi-80', 'elman-lo-95', 'elman-hi-95']
    """

    task: ClassVar[str] = "forecast"
    card_call: ClassVar[str] = "model.predict()  # from the last values seen; of other series: model.predict(frame=...)"
    description: ClassVar[str] = "The next values of many series, with intervals."
    example: ClassVar[str] = "load.csv --horizon 48 --season 24"
    answering: ClassVar[tuple[str, ...]] = ("verbose", "sort", "paths")

    # what is asked
    horizon: int = 24  # how many steps ahead
    season: int | None = None  # steps in a season; None: a day of hours ..., the longest that fits in twice, else 1
    levels: Sequence[float] = (80, 90, 95)  # of the intervals, in per cent; empty: none

    # which columns
    id: str = "unique_id"  # the column that names the series
    time: str = "ds"  # the column of dates or whole numbers
    target: str = "y"  # the column of values; missing ones are legal
    past: str | Sequence[str] = ()  # covariates that are known up to the present: numbers or texts
    future: str | Sequence[str] = ()  # covariates that are known for the steps to come too
    static: str | Sequence[str] = ()  # covariates that never change in a series
    freq: str | int | None = None  # how far apart steps are: "h", "D", "M" ... or a whole number; None: as commonest
    sort: bool = False  # put rows in order of time; False: refuse those that are not

    # what a series is
    log: bool | None = None  # learn from logarithms; None: where every value is above 0
    window: int | None = None  # values read directly; None: 14 seasons, fewer for short series

    # how it learns, where that differs from other tasks
    patience: int | None = None  # epochs without a better validation metric before training stops; None: never
    learning_rate: float = 3e-3  # the highest rate, reached when the warm-up ends

    # what remembers
    cell: str = "gru"  # lstm, ln_lstm, gru, rnn, rnn_relu, min_gru, min_lstm or lru
    dropout: float = 0.1  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    experts: int = 8  # linear forecasters that the network mixes
    members: int = 2  # networks whose forecasts are averaged

    # how it answers
    recursive: bool = False  # one step at a time, on paths that are drawn from it; False: all steps at once
    paths: int = 200  # drawn of each series, where recursive

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        found = super().problems()
        for name, most in MOST.items():
            value = getattr(self, name)
            if value is None and name in ("season", "window"):
                continue
            found += whole(self, name, most=most)
        if np.all(self.bidirectional):
            found.append(Problem("bidirectional", "True", "would read the future; a forecaster reads forwards"))
        if is_among(self.cell, CELLS) and CELLS[self.cell].reads != "vectors":
            found.append(Problem("cell", repr(self.cell), "reads other steps than a forecaster has. Take 'gru'"))
        found += self._level_problems() + self._column_problems()
        if not (self.log is None or isinstance(self.log, bool)):
            found.append(Problem("log", shown(self.log), "must be True, False or None"))
        for name in ("recursive", "sort"):
            if not isinstance(getattr(self, name), bool):
                found.append(Problem(name, shown(getattr(self, name)), "must be True or False"))
        if self.recursive is True and not found and int(self.paths) * int(self.horizon) > MOST_DRAWN:
            found.append(
                Problem(
                    "paths",
                    str(self.paths),
                    f"of horizon = {self.horizon} steps each are more than {MOST_DRAWN} steps of a "
                    "series; take fewer of either, or recursive = False",
                )
            )
        if self.freq is not None:
            try:
                parse(self.freq)
            except OptionError as error:
                found += error.problems
        return found

    def _level_problems(self) -> list[Problem]:
        levels = self.levels if isinstance(self.levels, list | tuple | np.ndarray) else [self.levels]
        good: list[Any] = [level for level in levels if is_number(level, 0, 100) and level not in (0, 100)]
        if len(good) < len(levels) or len(set(good)) < len(levels):
            return [Problem("levels", shown(self.levels), "must be different numbers between 0 and 100")]
        if good and max(good) <= 1:
            percent = [float(f"{100 * level:g}") for level in good]
            return [Problem("levels", repr(self.levels), f"are per cent. For shares of 1 write levels = {percent}")]
        return []

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON can hold them."""
        return super().options() | {"freq": plain(self.freq)}

    def _column_problems(self) -> list[Problem]:
        found = [
            Problem(name, shown(getattr(self, name)), "must be the name of a column")
            for name in _COLUMNS[:3]
            if not isinstance(getattr(self, name), str)
        ]
        groups = [group for group in (self.past, self.future, self.static) if isinstance(group, str | list | tuple)]
        names = [self.id, self.time, self.target, *(name for group in groups for name in names_of(group))]
        for name in _COLUMNS[3:]:
            value = getattr(self, name)
            one = isinstance(value, str | list | tuple)
            if not one or not all(isinstance(part, str) for part in names_of(value)):
                found.append(Problem(name, shown(value), "must be names of columns: a text, or a list of texts"))
        if all(isinstance(name, str) for name in names) and (
            twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]
        ):
            own = next(key for key in _COLUMNS[::-1] if twice[0] in names_of(getattr(self, key)))
            what = f"names {twice[0]!r} again, which stands once among id, time, target, past, future and static"
            found.append(Problem(own, shown(getattr(self, own)), what))
        return found

    def planned(self, sequences: int, steps: int, updates: int = 0) -> Self:
        """The same options with the lengths of the training chosen, where they are None.

        ::

            batch_sequences = 16
            epochs          = updates batch_sequences / sequences,    updates = steps / 40, from 200 to 800
        """
        made = type(self)(**self.get_params(deep=False))
        made.batch_sequences = 16 if self.batch_sequences is None else self.batch_sequences
        made.batch_steps = 1 << 20 if self.batch_steps is None else self.batch_steps
        updates = updates or min(800, max(200, steps // 40))
        each = math.ceil(max(1, sequences) / made.batch_sequences) if is_whole(made.batch_sequences) else 1
        made.epochs = max(1, round(updates / each)) if self.epochs is None else self.epochs
        return made

    # ---- learning

    def fit(
        self, frame: Any, y: Any = None, *, out: str | os.PathLike[str] | None = None, resume: bool = False
    ) -> Self:
        """Learns from a long frame. `y`: the name of the target's column, where it is not the option `target`'s.

        `out` is the folder that `save` will be given: a checkpoint is written into it after every epoch. With `resume`
        a fit that died goes on from there, to the same weights as if it had not.

        Raises ``OptionError`` for all options that cannot be, and ``DataError`` for data that cannot be used, naming
        column, row and value.
        """
        option = self.target
        try:
            self.target = y if isinstance(y, str) else option  # what is learnt is saved with this name
            return self._fit(frame, out, resume)
        finally:
            self.target = option

    def _fit(self, frame: Any, out: str | os.PathLike[str] | None, resume: bool) -> Self:
        checkpoint = self._check_run(out, resume)
        freq = None if self.freq is None else parse(self.freq)
        above = ("but log = True needs values above 0. Leave log at None",) if self.log else ()
        panel, grid, style = read(frame, self.columns, freq=freq, sort=self.sort, whole=True, positive=above)
        panel = trimmed(panel, target=self.target)
        self._check_lengths(panel)
        self.grid_, self.style_, self.learnt_with_ = grid, style, self.options()
        self._learn_facts(panel)
        readings = self._readings(panel)
        held = self._held(panel.lengths)
        self.network_ = self._networks()
        self.data_ = self._facts_in_words(panel, held)
        self._train(panel, readings, held, checkpoint, resume)
        return self

    def _check_lengths(self, panel: Panel) -> None:
        longest = int(panel.lengths.max())
        if longest <= self.horizon:
            name, steps = panel.ids[int(panel.lengths.argmax())], "1 step" if longest == 1 else f"{longest} steps"
            raise DataError(
                f"horizon = {self.horizon}, but the longest series, {name!r}, has {steps}. Give longer series"
                + ("." if longest == 1 else f", or a horizon below {longest}.")
            )

    def _learn_facts(self, panel: Panel) -> None:
        """Season, window and logarithm; scales and categories of covariates."""
        season, self.season_chosen_ = self._chosen_season(panel)
        log = float(np.nanmin(panel.values)) > 0 if self.log is None else bool(self.log)
        self.shape_ = Shape(season, int(self.window or self._chosen_window(panel.lengths, season)), log)
        self.longest_ = int(panel.lengths.max())
        self.covariates_ = Covariates().fit(panel, self.columns)

    def _chosen_season(self, panel: Panel) -> tuple[int, str]:
        """The season in steps, and how it was chosen: of the calendar's cycles the longest that fits in twice.

        It must do so in the series that half of all steps belong to, or to longer ones.
        """
        if self.season is not None:
            longest = int(panel.lengths.max())
            if longest <= self.season:
                warnings.warn(
                    f"season = {self.season}, but the longest series, {panel.ids[int(panel.lengths.argmax())]!r}, has "
                    f"{longest} steps: no value has another a season before it. Leave season at None, or give at most "
                    f"{max(1, longest // 2)}.",
                    stacklevel=4,
                )
            return int(self.season), "by the option season"
        usual = _usual(panel.lengths)
        short: list[str] = []
        for name, steps in seasons_of(self.grid_).items():
            if 2 * steps <= usual and steps <= MOST["season"]:
                return steps, f"a {name}{_not_twice(short, usual)}".replace("a hour", "an hour")
            short.append(f"a {name} of {steps} steps".replace("a hour", "an hour"))
        return 1, f"none{_not_twice(short, usual)}"

    def _chosen_window(self, lengths: NDArray[np.int64], season: int) -> int:
        """14 seasons; fewer for short series, and where the weights of a network would take more than 128 MiB."""
        usual = int(np.median(lengths))
        usual = usual if usual >= 2 * season else _usual(lengths)
        longest = max(1, (usual - self.horizon) // 2)
        window = min(max(14 * season, 2 * self.horizon, 28), max(longest, min(season, usual)))
        weights = _MOST_WEIGHTS // (int(self.experts) * self._reach)
        window = min(window, max(min(season, usual), weights), MOST["window"])
        return window - window % season if window > season else window

    def _held(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many steps at the end of each series are held out: one horizon, and more where there are few series.

        About 200 forecasts, one a season, are enough to calibrate intervals; never more than the share `validation`,
        except for one horizon. A series that would keep less than a horizon or two seasons learns whole.
        """
        if not self.validation:
            return np.zeros_like(lengths)
        wanted = self.horizon + self.shape_.season * (math.ceil(200 / len(lengths)) - 1)
        held = np.minimum(wanted, np.maximum(self.horizon, (lengths * self.validation).astype(np.int64)))
        rest = max(self.horizon, 2 * self.shape_.season)
        return np.where(lengths - held >= rest, held, 0)

    def _facts_in_words(self, panel: Panel, held: NDArray[np.int64]) -> dict[str, Any]:
        lengths = panel.lengths
        return {
            "series": len(panel),
            "steps": int(lengths.sum()),
            "missing": int(np.isnan(panel.values).sum()),
            "steps in a series": f"{lengths.min()} to {lengths.max()}",
            "distance of steps": self.grid_.describe(),
            "held out at the end": f"{held.min()} to {held.max()} steps",
            "season": self.shape_.season,
            "season chosen": self.season_chosen_,
            "window": self.shape_.window,
            "logarithms": "yes" if self.shape_.log else "no",
        }

    def _train(
        self, panel: Panel, readings: Readings, held: NDArray[np.int64], checkpoint: Path | None, resume: bool
    ) -> None:
        lengths = panel.lengths - held
        plan = Draws(readings, lengths, _units(readings), torch.tensor(self._shares))
        begun = origins(panel.lengths, self.horizon, held, max(1, self.shape_.season))
        series, at = origins(panel.lengths, 1, held, 1) if self.recursive else begun
        if len(at) and not np.isfinite(ahead_of(panel, series, at, self._reach)).any():
            series = at = torch.zeros(0, dtype=torch.int64)  # all that was held out is missing
        naive = _naive_error(panel, self.shape_.season, lengths)
        options = self.planned(len(plan.series), int(lengths.sum()))
        self.data_ |= {"epochs planned": int(options.epochs or 0)}

        def loss(indices: Tensor) -> Tensor:
            return plan.loss(self.network_, indices)

        def validate() -> dict[str, float]:
            return self._assessed(plan, panel, series, at, naive)

        def finish() -> None:
            self.network_.eval()
            self._calibrate(panel, readings, *begun)
            self.metrics_ = validate() if len(at) else {}
            self.known_ = self._known(panel, readings)

        try:
            metric = "mase" if (naive[series.numpy()] > 0).any() else "loss"  # where naive forecasts are never wrong
            self.history_ = History(metric)
            self.history_ = train(
                self.network_,
                loss,
                plan.counts,
                dataclasses.replace(options, seed=self._seed),
                validate=validate if len(at) else None,
                metric=metric,
                checkpoint=checkpoint,
                resume=resume,
                name=lambda index: f"series {panel.ids[int(plan.series[index])]!r}",
            )
        except Exception:  # after a loss that became NaN the best weights so far answer
            finish()
            raise
        finish()

    def _assessed(self, plan: Draws, panel: Panel, series: Tensor, at: Tensor, naive: _Floats) -> dict[str, float]:
        """How good the forecasts of the held-out ends are; the loss is that of the training."""
        readings = plan.readings
        reach = max(self.shape_.window, 2 * self.shape_.season)
        made = self._from(readings, series, at, self.network_.recalled(readings, series, at, reach))
        place = readings.steps.offsets[series] + at
        lowest = readings.lowest[place].numpy()
        answers, values = self._plain(made[..., made.shape[-1] // 2], lowest), ahead_of(panel, series, at, self._reach)
        there = ~np.isnan(values)
        return {
            "mase": mase(values, answers, naive[series.numpy()][:, None]),
            "smape": smape(values[there], answers[there]),
            "mae": float(np.abs(values - answers)[there].mean()),
            "loss": plan.loss_of(torch.from_numpy(made), series, at),
        }

    @torch.no_grad()
    def _calibrate(self, panel: Panel, readings: Readings, series: Tensor, at: Tensor) -> None:
        """Learns by how much the interval of each level must be widened."""
        made = self._answers_at(panel, readings, series, at)
        place = (readings.steps.offsets[series] + at)[:, None] + torch.arange(1, self.horizon + 1)
        truth = readings.values[place]
        middle, change = made.shape[-1] // 2, _units(readings)[series.numpy(), None]
        self.factors_: dict[float, float] = {}
        for i, level in enumerate(sorted(levels_of(self.levels), reverse=True)):
            ends = made[..., i], made[..., middle], made[..., -1 - i]
            self.factors_[float(level)] = factor(truth.numpy(), *ends, float(level) / 100, change)

    def _probe(self, X: Any, y: Any) -> Probe:
        """The members, each series read up to its last step that a horizon follows, and the quantile loss there.

        The horizon ends with the last value of the series; what comes after it may be rows of future covariates. A
        series that is not longer than the horizon is left out.
        """
        if y is not None:
            raise OptionError("Forecaster.diagnose(frame) finds what is to come in the frame itself. Leave y out.")
        panel, _, _ = read(X, self.columns, self.grid_, sort=self.sort, name="X", positive=self._above_zero)
        panel = trimmed(panel, "X", self.target)
        ends, quantiles = torch.from_numpy(known_lengths(panel)), torch.tensor(self._shares)
        at = ends - self._reach - 1
        if int(at.max()) < 0:
            i = int(ends.argmax())
            raise DataError(
                f"X: no series is longer than the {self._reach} steps that are forecast; the longest, "
                f"{panel.ids[i]!r}, has {ends[i]} up to its last value. Give longer series."
            )
        readings = self._readings(panel)

        def loss(series: Tensor) -> Tensor:
            here = at[series]
            steps, codes = readings.cut(series, torch.zeros_like(here), here + 1)
            windows, known = readings.windows(series, here), readings.known(series, here)
            targets, losses = readings.targets(series, here, ends), []
            for member in self.network_:
                y, _ = member.encode(steps, codes)
                made = member(windows, y.values[steps.offsets[1:] - 1], known)
                losses += [pinball(one, truth, quantiles) for one, truth in zip(made, targets, strict=True)]
            return torch.stack(losses).view(-1, len(series)).sum(0)

        return Probe(self.network_, (at + 1).clamp(min=0), loss, self.learnt_with_)

    def stream(self) -> Session:
        """Not for forecasters, which keep the state of every series themselves: see `update`."""
        raise OptionError("a Forecaster keeps the state of every series itself. Give it new points with update(frame).")


def _usual(lengths: NDArray[np.int64]) -> int:
    """The length of the series that a step usually is in: half of all steps are in series as long, or longer."""
    ordered = np.sort(lengths)
    return int(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)])


def _not_twice(cycles: list[str], usual: int) -> str:
    return f": {', '.join(cycles)} is not held twice by a series of {usual}, the usual length" if cycles else ""


def _units(readings: Readings) -> _Floats:
    """In what errors of each series count: by how much it changes; of logarithms, by how much all do."""
    change = np.array([past.long[-1] for past in readings.pasts])
    change = np.full_like(change, change.mean()) if readings.shape.log else change
    made: _Floats = np.maximum(
        change, least_scale(np.array([past.level[-1] for past in readings.pasts]), readings.shape.log)
    )
    return made


def _naive_error(panel: Panel, season: int, lengths: NDArray[np.int64]) -> _Floats:
    """The mean error of the seasonal naive forecast in the first `lengths` steps of each series; NaN where unknown."""
    found = np.full(len(panel), np.nan)
    for i, (a, n) in enumerate(zip(panel.offsets[:-1], lengths, strict=True)):
        values = panel.values[a : a + n]
        errors = np.abs(values[season:] - values[:-season])
        if np.isfinite(errors).any():
            found[i] = beyond_rounding(np.array(np.nanmean(errors)), np.array(np.nanmean(np.abs(values)))).item()
    return found
