"""Time-series forecasting with prediction intervals: one network for all series of a long frame.

`fit` resolves the options that are None (defaults.py), trains an ensemble of networks (network.py) on random windows
(data/sampler.py), calibrates the intervals (conformal.py) and keeps the state of each series (state.py). A
`ForecastModel` (model.py) makes forecasts of the state, all steps at once (direct.py) or step by step (recursive.py).

    loss = mean over targets of w (pinball over all quantiles + pinball of the median / 2)
    w    = s_t / u        u: the scale s' of the whole series; of logarithms, the mean of all series'

so that errors count in units of each series, or relative to its values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.cells import CELLS
from elman.errors import DataError, OptionError, Place, Problem, Wording, option
from elman.features.lists import opened
from elman.interpret.attribution import Explanation
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.io.atomic_write import write_file
from elman.tasks.base.fitted import as_learnt, by_learnt_options
from elman.tasks.base.network import encoder_of
from elman.tasks.base.options import EncoderOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default, training_options
from elman.tasks.base.session import Session
from elman.tasks.base.task import Task, as_json
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.forecast.backtest import Backtest, Windows, backtest_frame
from elman.tasks.forecast.conformal import Calibration
from elman.tasks.forecast.data.business_days import lack_weekends
from elman.tasks.forecast.data.covariates import Covariates
from elman.tasks.forecast.data.frame import Series, read
from elman.tasks.forecast.data.layout import LONG
from elman.tasks.forecast.data.panel import MOST_GAP, Panel, ranges
from elman.tasks.forecast.data.sampler import WindowSampler
from elman.tasks.forecast.data.style import Style
from elman.tasks.forecast.data.time_grid import Grid, cycles, parse, plain
from elman.tasks.forecast.data.windows import check_lengths, trimmed
from elman.tasks.forecast.defaults import (
    DEFAULTS,
    PanelSummary,
    restore_config,
    saved_config,
    shape_of,
    validation_steps,
)
from elman.tasks.forecast.dependence import LARGEST
from elman.tasks.forecast.direct import DirectForecast
from elman.tasks.forecast.encoder import SeriesEncoder
from elman.tasks.forecast.explain import explain_forecast
from elman.tasks.forecast.insample import in_sample
from elman.tasks.forecast.model import ForecastModel
from elman.tasks.forecast.network import Ensemble, Sizes
from elman.tasks.forecast.options import ForecastOptions, bounds_of, business_days_of, columns_of
from elman.tasks.forecast.paths import Paths, paths_frame, sample_paths
from elman.tasks.forecast.plot import plot
from elman.tasks.forecast.recursive import network_levels, strategy_of
from elman.tasks.forecast.state import SeriesState
from elman.tasks.forecast.validation import Validation
from elman.tasks.forecast.warm_start import WarmStart
from elman.training.history import History
from elman.training.loop import train
from elman.training.options import TrainingOptions
from elman.training.progress import note
from elman.validation.messages import few, shown
from elman.validation.options import is_among, is_whole


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(Task, ForecastOptions, EncoderOptions, TrainingOptions):
    """The next values of many series, with intervals, from a long frame: a row for each series and time.

    Learnt: ``history_`` (the learning curve), ``metrics_`` (of the held-out ends of the series), ``network_``,
    ``config_`` (the options with a value for each that was None; ``season_reason``: why that season), ``grid_`` (how
    far apart steps are), ``covariates_``, ``calibration_`` (by how much intervals are widened), ``state_`` (of
    each series), ``dependence_`` (the correlation of forecast errors at neighbouring steps, for paths).

    >>> import polars as pl
    >>> frame = pl.DataFrame({"unique_id": "a", "ds": range(60), "y": [1.0, 2.0, 3.0] * 20})
    >>> model = Forecaster(horizon=3, season=3, epochs=1, hidden=4, levels=(80, 95)).fit(frame)
    >>> model.predict().columns
    ['unique_id', 'ds', 'elman', 'elman-lo-80', 'elman-hi-80', 'elman-lo-95', 'elman-hi-95']
    """

    task: ClassVar[str] = "forecast"
    reader_type: ClassVar[None] = None
    card_call: ClassVar[str] = "model.predict()  # from the last values seen; of other series: model.predict(frame=...)"
    description: ClassVar[str] = "The next values of many series, with intervals."
    example: ClassVar[str] = "load.csv --horizon 48 --season 24"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS
    without: ClassVar[Mapping[str, str]] = {
        "sample_weight": "errors count in units of each series. Leave out the series that count nothing.",
        "groups": "of every series the end is held out. Leave it out, or give validation_data.",
    }
    answering: ClassVar[tuple[str, ...]] = (
        *("verbose", "sort", "duplicates", "paths"),
        *("minimum", "maximum", "integer"),
    )

    # training
    patience: int | None = None  # epochs without a better validation metric before training stops; None: never

    # model
    cell: str = "gru"  # recurrent cell: lstm, gru, rnn, ln_lstm, min_gru, min_lstm, lru
    dropout: float = 0.1  # dropout rate after each layer, one mask per sequence; 0 turns it off

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, every_step=False)
        if np.all(self.bidirectional):
            found.append(Problem("bidirectional", "True", "would read the future; a forecaster reads forwards"))
        if is_among(self.cell, CELLS) and CELLS[self.cell].reads != "vectors":
            found.append(Problem("cell", repr(self.cell), "reads other steps than a forecaster has. Take 'gru'"))
        return found

    def options(self) -> dict[str, Any]:
        """The options by name, in a form that JSON can represent."""
        made = super().options() | {"freq": plain(self.freq)}
        return made | {"holidays": business_days_of(self).dates}

    # ---- fit

    def fit(
        self,
        frame: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        groups: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Trains on a long frame. `y`: the name of the target column if it is not that of the option `target`.

        `validation_data`: a frame with the next values of the series, at least a horizon of one of them, in place of
        the ends of the series as the validation set; forecasts go on after them.

        `out`: the folder for `save`, where a checkpoint is written after every epoch; `resume` continues an interrupted
        fit from it, with the same weights at the end as without the interruption.

        Raises ``OptionError`` for invalid options, and ``DataError`` for invalid data, naming column, row and value.
        """
        self.refuse(sample_weight=sample_weight, groups=groups)
        options = replace(self, target=y) if isinstance(y, str) else self
        run = options.training_run(out, resume)
        if options is not self:
            self.forget()
            self.seed_ = None if self.seed is not None else run.seed
        frame, validation_data = opened(frame, "frame"), opened(validation_data, "validation_data")
        panel, grid, style = _read_training(options, frame)
        check_lengths(panel, self.horizon, self.season)
        self.grid_, self.style_, self.learnt_with_ = grid, style, options.options()
        self.config_ = config = options.config(PanelSummary.of(panel, grid))
        self.remember_resolved(config)
        self.covariates_ = Covariates().fit(panel, columns_of(options))
        held_out = validation_steps(config, panel.lengths)
        if validation_data is not None:
            panel, held_out = _continued(options, Series(panel, grid, style), validation_data, bool(config.log))
        self.longest_ = int(panel.lengths.max())
        self.network_ = run.build(self._network)
        direct = DirectForecast(self._encoder())
        windowed = direct.encoder.windowed(panel)
        sampler = WindowSampler(windowed, panel.lengths - held_out, network_levels(self))
        validation = Validation(direct, strategy_of(self, direct, self.seed), panel, windowed, held_out)
        self.data_ = _describe_data(panel, grid, config, held_out)
        self._note(run, panel, held_out)
        self._train(run, sampler, validation)
        return self

    def _train(self, run: TrainingRun, sampler: WindowSampler, validation: Validation) -> None:
        self.history_ = History(validation.metric)
        try:
            self.history_ = train(
                self.network_,
                lambda indices: sampler.loss(self.network_, indices),
                sampler.counts,
                replace(training_options(self.config_), seed=run.seed),
                validate=(lambda: validation.metrics(sampler)) if len(validation) else None,
                metric=validation.metric,
                checkpoint=run.checkpoint,
                resume=run.resume,
                name=lambda index: f"series {validation.panel.ids[int(sampler.series[index])]!r}",
            )
        except Exception:  # if the loss became NaN, the best weights so far are kept
            self._finish(validation, sampler)
            raise
        self._finish(validation, sampler)

    def _note(self, run: TrainingRun, panel: Panel, held_out: NDArray[np.int64]) -> None:
        """Says what was read and what is trained."""
        lengths, index = panel.lengths, ranges(panel.first, panel.lengths)[~np.isnan(panel.values)]
        daily = self.verbose and self.grid_.describe() == "1 d"
        if daily and lack_weekends(self.grid_.shown(index).astype("datetime64[D]")):
            note("No value is of a weekend: weekends are missing steps. To leave them out take freq='B' (--freq B).")
        steps = f"{self.grid_.describe()} apart; season of {int(self.config_.season):,}: {self.config_.season_reason}"
        run.notes.data(self, torch.from_numpy(lengths), _held_out_in_words(held_out), steps, noun="series")
        run.notes.network(self.network_, int(self.config_.epochs), self.device)

    def _finish(self, validation: Validation, sampler: WindowSampler) -> None:
        self.network_.eval()
        self.calibration_, self.dependence_ = validation.calibrate(self.levels)
        self.metrics_ = validation.metrics(sampler) if len(validation) else {}
        self.state_ = validation.encoder.state(validation.panel, validation.windowed)

    def _network(self) -> Ensemble:
        calendar = cycles(self.grid_, np.zeros(1, np.int64), self.longest_).shape[1]
        horizon, levels = 1 if self.recursive else self.horizon, len(network_levels(self))
        sizes = Sizes.of(shape_of(self.config_), self.covariates_, calendar, horizon, levels, int(self.experts))
        return Ensemble(sizes, int(self.ensemble_size), partial(encoder_of, self.config_), self.dropout)

    def _encoder(self) -> SeriesEncoder:
        shape = shape_of(self.config_)
        return SeriesEncoder(shape, self.grid_, self.longest_, self.covariates_, self.network_)

    def _model(self) -> ForecastModel:
        """The fitted model with these options."""
        self.check_fitted()
        encoder, columns = self._encoder(), columns_of(self)
        strategy, calibration = strategy_of(self, DirectForecast(encoder), self.seed), self.calibration_
        bounds, state = bounds_of(self), self.state_
        return ForecastModel(
            columns,
            self.sort,
            self.horizon,
            self.style_,
            encoder,
            strategy,
            calibration,
            state,
            bounds,
            self.dependence_,
        )

    # ---- forecasts

    @by_learnt_options
    def predict(
        self,
        horizon: Any = None,
        frame: Any = None,
        future: Any = None,
        *,
        warm: bool = False,
        quantiles: Any = None,
        paths: int | None = None,
        seed: int = 0,
    ) -> Any:
        """The next values: a frame with a row for each series and step: id, time, elman, elman-lo-90, elman-hi-90 …

        Of the series of `fit` and `update`; or, with a `frame`, of the series in it, new or not, from their ends,
        without further training. `warm`: known series with values after the ends of their states continue from
        there, as after `update`; the model stays as it is. `horizon`: fewer steps than the option. `future`: a frame
        of id, time and the future covariates of as many steps. `quantiles`: shares such as [0.1, 0.5, 0.9] within the
        widest interval, as columns elman-q-0.1 … in place of the intervals. `paths`: so many sampled paths of each
        series in place of both (paths.py), a row for each series, path and step: id, time, path (from 1), elman; the
        same `seed` draws the same. Raises ``DataError`` for invalid data, and for values that are not above 0 where the
        model was trained on logarithms.
        """
        if horizon is not None and not is_whole(horizon, 0) and frame is None:
            horizon, frame = None, horizon
        model = self._model()
        count = self.horizon if horizon is None else horizon
        if not is_whole(count) or count > self.horizon:
            what = f"must be a whole number from 1 to {self.horizon}, the horizon of the model."
            raise OptionError(f"horizon = {shown(count)} {what}")
        if frame is None:
            states, style, ids = [model.state], model.style, model.state.ids
        elif warm:
            begin = WarmStart.of(model, frame)
            states, style, ids = begin.states(), begin.style, begin.panel.ids
        else:
            state, style = model.encode(frame)
            states, ids = [state], state.ids
        if paths is not None:
            if quantiles is not None:
                raise OptionError("predict(paths=...) gives paths in place of quantiles. Leave one of the two out.")
            drawn = Paths(paths, seed)
            return paths_frame(
                model, states, [sample_paths(model, one, future, count, drawn) for one in states], style, ids
            )
        answers = [model.forecast(state, future, count) for state in states]
        return model.frame(states, answers, style, ids, quantiles)

    @by_learnt_options
    def warm_start(self, frame: Any) -> dict[str, Any]:
        """Which series of a frame `predict(frame=..., warm=True)` continues from their states, and which begin anew.

        ``continued``: their names; ``values_read`` and ``values_skipped``: their values after and before the ends of
        the states; ``known_from_rows``: known series without newer values, and ``new`` ones, forecast from the rows of
        the frame alone.
        """
        return WarmStart.of(self._model(), frame).describe()

    def update(self, frame: Any, *, newer: bool = False) -> Self:
        """Appends new observations: to known series in constant time each; a new one begins with its rows.

        Forecasts afterwards equal those from the whole series. Omitted time stamps are missing steps. New series, which
        need their static covariates, are named in a note. `newer`: rows up to the end of what is known of a series are
        skipped. Raises ``DataError`` without `newer` for a time that is not after the last one.
        """
        model = as_learnt(self)._model()
        new = model.append(WarmStart.of(model, frame).newer() if newer else frame)
        if new and self.verbose:
            note(f"new series: {few(new, 5)}")
        return self

    def stream(self, static: Any = None) -> Session:
        """Refused: forecasters keep the state of every series themselves, see `update`."""
        give = Wording("update(frame)", "elman update MODEL FILE")
        raise OptionError("a Forecaster keeps the state of every series itself. Give it new points with ", give, ".")

    @by_learnt_options
    def plot(
        self, path: str | os.PathLike[str] | None = None, series: Any = None, future: Any = None, truth: Any = None
    ) -> bytes | None:
        """Plots the end of each series, its forecast and all its intervals, as the bytes of a PNG.

        `series`: which ones, a name or a list of them; default: the first six. `truth`: a frame whose values of the
        steps to come are drawn beside the forecast. `path`: a file to write it to. None, with a note, where matplotlib
        (the extra `plot`) is missing.
        """
        picture = plot(self._model(), series, future, truth)
        if picture is not None and path is not None:
            write_file(path, picture)
        return picture

    # ---- scores

    def cross_validation(
        self, frame: Any, windows: int = 1, step: int | None = None, refit: bool | int | None = None
    ) -> Any:
        """Forecasts from past origins of a frame, and the true values.

        `windows` forecasts begin `step` (default: the horizon) apart; the last ends with the series. `refit`: None
        trains a model with these options once, on the data before the first window; True anew before each window, and
        a whole number k before every k-th; False takes this fitted model. The result has a row for each series, window
        and step: id, time, cutoff, the target, elman …
        """
        if refit is False:
            learnt = as_learnt(self)
            ends, model = Windows(windows, learnt.horizon if step is None else step, learnt.horizon), learnt._model()
            series = model.read_history(frame)
            ends.check(series.panel, series.panel.lengths)
            return backtest_frame([(model, series, ends)])
        if problems := self.problems():
            raise OptionError.of(problems)
        ends = Windows(windows, self.horizon if step is None else step, self.horizon)
        if not (refit is None or refit is True or is_whole(refit)):
            what = "must be True, False, None or a whole number of windows from one fit to the next, of at least 1"
            raise OptionError(f"refit = {shown(refit)} {what}.")
        series = _read_training(self, frame, positive=False)
        ends.check(series.panel, series.panel.lengths)
        parts = []
        for after, some in ends.parts(windows if refit is None else int(refit)):
            until = series._replace(panel=series.panel.until(series.panel.lengths - after))
            before = series._replace(panel=series.panel.until(until.panel.lengths - some.reach))
            model = replace(self).fit(before)._model()
            model.read(frame)  # refuses values of 0 and below in the windows if the model uses logarithms
            parts.append((model, until, some))
        return backtest_frame(parts)

    @by_learnt_options
    def predict_insample(self, frame: Any, horizon: int = 1) -> Any:
        """The values of a frame as forecast from the steps before: id, time, cutoff, the target, elman …

        A row for each step of each series but the first. `horizon`: forecasts begin so many steps apart and reach as
        far; 1: each value from the one before. Each series begins cold.
        """
        return in_sample(self._model(), frame, horizon)

    @by_learnt_options
    def anomalies(self, frame: Any, level: float | None = None, horizon: int = 1) -> Any:
        """The same with one interval and the column ``anomaly``: whether the value lies outside that interval.

        `level`: one of the option `levels`, in per cent; default: the highest. About 100 - level per cent of ordinary
        values are flagged too.
        """
        model = self._model()
        return in_sample(model, frame, horizon, max(model.calibration.factors, default=95) if level is None else level)

    @by_learnt_options
    def evaluate(
        self, frame: Any, future: Any = None, windows: int | None = None, step: int | None = None
    ) -> dict[str, float]:
        """sMAPE (0 to 200, as in the M4 competition), MASE, MAE and the coverage of each interval.

        `frame` holds the true values of the next `horizon` steps of the known series; later rows are ignored. With
        `windows` as many forecasts are scored, `step` (default: the horizon) apart, the last ending with the last value
        of each series, as in `cross_validation` without `refit`. They continue from the state of the model if they
        begin after it, else from the rows of the frame. Means are over values. MASE is in units of the mean difference
        between observed values a season apart.
        """
        model = self._model()
        future = frame if future is None and model.encoder.covariates.future else future
        return Backtest(model, frame, windows, step).score(future)

    @by_learnt_options
    def evaluate_steps(
        self, frame: Any, future: Any = None, windows: int | None = None, step: int | None = None
    ) -> Any:
        """The errors of `evaluate` for each step of the horizon: a frame of step, values, smape, mase, mae …"""
        model = self._model()
        future = frame if future is None and model.encoder.covariates.future else future
        return replace(model.style, layout=LONG).frame(
            Backtest(model, frame, windows, step).score_steps(future), "", []
        )

    @by_learnt_options
    def evaluate_naive(self, frame: Any, windows: int | None = None, step: int | None = None) -> dict[str, float]:
        """The same errors of the seasonal naive forecast.

        It repeats the last value observed at the same phase of the season; without one, the last value.
        """
        return Backtest(self._model(), frame, windows, step).score_naive()

    @by_learnt_options
    def evaluate_theta(
        self, frame: Any, history: Any = None, windows: int | None = None, step: int | None = None
    ) -> dict[str, float]:
        """The same errors of the Theta method (Assimakopoulos & Nikolopoulos 2000), fitted to each series by itself.

        `history`: the series up to the frame, such as those of training; without it Theta is fitted to the last
        ``config_.window`` values in the state. Raises ``OptionError`` where statsmodels (the extra `baselines`) is
        missing.
        """
        return Backtest(self._model(), frame, windows, step).score_theta(history)

    @by_learnt_options
    def score(self, frame: Any, y: Any = None) -> float:
        """The skill score against the seasonal naive forecast: 1 is perfect, 0 as good as that forecast.

        Over the next `horizon` steps, as in `evaluate` without windows.

        ::

            1 - mean |y - elman| / mean |y - value of the last season|
        """
        mae, naive = self.evaluate(frame)["mae"], self.evaluate_naive(frame)["mae"]
        size = Backtest(self._model(), frame).truth_size()
        right = [error <= 1e-12 * size for error in (mae, naive)]  # but for the rounding of logarithms and back
        return float(right[0]) if right[1] else 1 - mae / naive

    @by_learnt_options
    def scored_windows(self, frame: Any, windows: int | None = None, step: int | None = None) -> dict[str, Any]:
        """What `evaluate` scores: the number of values and series, the first and last time, and what is not scored.

        ``rows_not_scored``: values of the frame outside all windows, after the ends of training or of unknown series;
        ``rows_learnt_from``: values in windows before the ends of training; ``windows_possible``: the number of windows
        a horizon apart between.
        """
        return Backtest(self._model(), frame, windows, step).describe()

    @by_learnt_options
    def explain(self, X: Any, y: Any = None, *, horizon: int | None = None, future: Any = None) -> Explanation:
        """The attribution of the forecast after the end of each series of a frame: which past values and covariates.

        `X`: the frame; each series is read from its first row on. `horizon`: the forecast so many steps ahead is
        explained; None: the mean of all, or of a recursive forecaster the next step, the only one it explains.
        `future`: a frame of the future covariates. Each item of the result has the name of the series (``answer``),
        the forecast (``score``), ``nothing`` (that of the series at its level), ``columns`` and ``picture()``; all
        adds up: docs/explain.md. Raises ``OptionError`` for another horizon.
        """
        if y is not None:
            raise OptionError("Forecaster.explain(frame) explains the forecast. Leave y out.")
        return explain_forecast(self._model(), X, future, horizon)

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        if y is not None:
            raise OptionError("Forecaster.diagnose(frame) takes the targets from the frame. Leave y out.")
        return self._model().diagnosis_request(X, network_levels(self), self.learnt_with_)

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """The columns, for the model card."""
        columns = columns_of(self)
        groups = {"past": columns.past, "future": columns.future, "static": columns.static}
        made = {"columns": f"{columns.id}, {columns.time}, {columns.target}"}
        return made | {f"{name} covariates": ", ".join(group) for name, group in groups.items() if group}

    def _config(self) -> dict[str, Any]:
        return {
            "config": saved_config(self.config_),
            "grid": as_json(astuple(self.grid_)),
            "style": as_json(astuple(self.style_)),
            "longest": self.longest_,
            "covariates": self.covariates_.config(),
            "calibration": self.calibration_.config(),
            "dependence": self.dependence_,
            "state": {"ids": self.state_.ids},
        }

    def _tensors(self) -> dict[str, Any]:
        return {f"state.{key}": value for key, value in self.state_.tensors().items()}

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Any], files: Any, folder: Any) -> None:
        self.grid_, self.style_ = Grid.restore(config["grid"]), Style.restore(config["style"])
        self.config_, self.longest_ = restore_config(self, config["config"]), config["longest"]
        if type(self.longest_) is not int or not 1 <= self.longest_ <= 2**53:
            raise ValueError("longest")
        self.covariates_ = Covariates.restore(config["covariates"])
        learnt, options = self.covariates_, columns_of(self)
        if (learnt.past, learnt.future, learnt.static) != (options.past, options.future, options.static):
            raise ValueError("covariates")
        self.calibration_ = Calibration.restore(config["calibration"], self.levels)
        self.dependence_ = float(config.get("dependence", 0.0))  # models saved before have none
        if not abs(self.dependence_) <= LARGEST:
            raise ValueError("dependence")
        self.network_ = store.network(self._network, tensors, folder)
        state = store.under("state.", tensors)
        shape = shape_of(self.config_)
        self.state_ = SeriesState.restore(list(config["state"]["ids"]), state, shape, self.network_, self.covariates_)


def _read_training(options: Forecaster, frame: Any, positive: bool = True) -> Series:
    """The series of a training frame from their first values on; `positive`: refuse values of 0 and below for logs."""
    freq = None if options.freq is None else parse(options.freq)
    above = ("but log = True needs values above 0. Leave log at None",) if options.log and positive else ()
    columns, days = columns_of(options), business_days_of(options)
    series = read(frame, columns, freq=freq, sort=options.sort, whole=True, positive=above, days=days)
    return series._replace(panel=trimmed(series.panel, target=options.target))


def _continued(options: Forecaster, known: Series, later: Any, log: bool) -> tuple[Panel, NDArray[np.int64]]:
    """The series with the values of `validation_data` behind them, and how many steps of each are those."""
    columns, name, before = replace(columns_of(options), static=()), "validation_data", known.panel
    _, y = later if isinstance(later, tuple) and len(later) == 2 else (None, None)
    if y is not None and not isinstance(y, str):
        raise OptionError("validation_data must be a frame: a forecaster takes the targets from it. Leave y out.")
    later = later[0] if isinstance(later, tuple) and later else later
    above = ("but all training values are above 0, so their logarithms are modelled. Take ", option("log", False))
    read_later = partial(read, columns=columns, grid=known.grid, sort=options.sort, name=name, whole=True)
    given = read_later(later, positive=above if log else ()).panel
    place = {one: i for i, one in enumerate(before.ids)}
    if new := [one for one in given.ids if one not in place]:
        raise DataError(f"has the series {new[0]!r}, which is not in the training frame.", at=Place(name))
    gaps = given.first - (before.first + before.lengths)[[place[one] for one in given.ids]]
    if (gaps < 0).any():
        raise DataError("has values from before the ends of the training series. Give later rows.", at=Place(name))
    if gaps.sum() > MOST_GAP * len(given.values) + 10_000:
        what = f": series {given.ids[int(gaps.argmax())]!r} goes on {gaps.max()} steps after its end."
        raise DataError(f"{what} Give the rows between.", at=Place(name))
    for column, values in before.covariates.items():
        if values.dtype != given.covariates[column].dtype:
            raise DataError("has values of another kind than in training.", at=Place(name, column=column))
    panel = before.followed_by(given)
    steps = panel.lengths - before.lengths
    if steps.max() < options.horizon:
        what = f"has at most {steps.max()} values of a series, but horizon = {options.horizon}. Give at least as many."
        raise DataError(what, at=Place(name))
    return panel, steps


def _held_out_in_words(steps: NDArray[np.int64]) -> str:
    """What of the series is held out; "" where nothing is."""
    low, high = int(steps.min()), int(steps.max())
    many = f"{high:,} step{'s' * (high > 1)}" if low == high else f"{low:,} to {high:,} steps"
    return f"the last {many} of each" if high else ""


def _describe_data(panel: Panel, grid: Grid, config: Config, held_out: NDArray[np.int64]) -> dict[str, Any]:
    """The training data and what was resolved from it, for the model card."""
    lengths = panel.lengths
    return {
        "series": len(panel),
        "steps": int(lengths.sum()),
        "missing": int(np.isnan(panel.values).sum()),
        "steps in a series": f"{lengths.min()} to {lengths.max()}",
        "distance of steps": grid.describe(),
        "held out at the end": f"{held_out.min()} to {held_out.max()} steps",
        "season": int(config.season),
        "season chosen": config.season_reason,
        "window": int(config.window),
        "logarithms": "yes" if config.log else "no",
        "epochs planned": int(config.epochs),
    }
