"""Defaults of the options of a forecaster that are None, and constants of its ``fit``.

::

    season           the longest cycle of the calendar that the usual series holds twice, else 1
    log              whether every value is above 0
    window           14 seasons, at least 28 and two horizons; fewer for short series and large networks
    batch_sequences  16
    epochs           updates batch_sequences / sequences,    updates = steps / 40, from 200 to 800

The usual series: half of all steps are in series as long, or longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elman.tasks.base.resolve import Config, Default, Summary, resolve
from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.sampler import sampled_series
from elman.tasks.forecast.data.scaling import Shape
from elman.tasks.forecast.data.time_grid import Grid, seasons_of
from elman.tasks.forecast.options import LIMITS

_STEPS_PER_UPDATE, _MIN_UPDATES, _MAX_UPDATES = 40, 200, 800
_WINDOW_SEASONS, _MIN_WINDOW = 14, 28
_MAX_MIXTURE_WEIGHTS = 1 << 25  # of a network's linear forecasters: 128 MiB (bench/season_memory.py, 2026-11-30)
_CALIBRATION_FORECASTS = 200  # of the held-out ends, in all series: enough for the factor of a 95 % interval
_BENCH = "bench/forecast.py, 2026-11-21"

_Lengths = NDArray[np.int64]


@dataclass(frozen=True)
class PanelSummary(Summary):
    """A summary of the training series."""

    lengths: _Lengths = field(default_factory=lambda: np.zeros(0, np.int64))
    lowest: float = math.nan  # of all values
    grid: Grid = field(default_factory=lambda: Grid("integer", 1))

    @classmethod
    def of(cls, panel: Panel, grid: Grid) -> Self:
        """The summary of a panel."""
        return cls(lengths=panel.lengths, lowest=float(np.nanmin(panel.values)), grid=grid)


def shape_of(config: Config) -> Shape:
    """How far back a resolved configuration looks."""
    return Shape(int(config.season), int(config.window), bool(config.log))


def saved_config(config: Config) -> dict[str, Any]:
    """What was resolved from the training data, as JSON."""
    shape = shape_of(config)
    return {
        "season": shape.season,
        "season_reason": config.season_reason,
        "window": shape.window,
        "log": shape.log,
    }


def restore_config(options: Any, saved: Mapping[str, Any]) -> Config:
    """The inverse of `saved_config`. Raises ValueError for what cannot be."""
    for name in ("season", "window"):
        if type(saved[name]) is not int or not 1 <= saved[name] <= LIMITS[name]:
            raise ValueError(name)
    if type(saved["log"]) is not bool or type(saved["season_reason"]) is not str:
        raise ValueError("log")
    config = resolve(options, Summary(), {})
    vars(config).update({name: saved[name] for name in ("season", "season_reason", "window", "log")})
    return config


def validation_steps(config: Config, lengths: _Lengths) -> _Lengths:
    """How many steps at the end of each series are held out: one horizon, and more where there are few series.

    About 200 forecasts, one a season, are enough to calibrate intervals; never more than the fraction ``validation``,
    except for one horizon. A series that would keep less than a horizon or two seasons is all training.
    """
    horizon, season = config.horizon, int(config.season)
    if not config.validation:
        return np.zeros_like(lengths)
    wanted = horizon + season * (math.ceil(_CALIBRATION_FORECASTS / len(lengths)) - 1)
    steps = np.minimum(wanted, np.maximum(horizon, (lengths * config.validation).astype(np.int64)))
    return np.where(lengths - steps >= max(horizon, 2 * season), steps, 0)


def _longest_season(summary: PanelSummary) -> tuple[int, str]:
    """The season in steps, and why: of the calendar's cycles the longest that the usual series holds twice."""
    usual, too_long = _usual(summary.lengths), list[str]()
    for name, steps in seasons_of(summary.grid).items():
        if 2 * steps <= usual and steps <= LIMITS["season"]:
            return steps, f"a {name}{_not_twice(too_long, usual)}".replace("a hour", "an hour")
        too_long.append(f"a {name} of {steps} steps".replace("a hour", "an hour"))
    return 1, f"none{_not_twice(too_long, usual)}"


def _not_twice(cycles: Sequence[str], usual: int) -> str:
    return f": {', '.join(cycles)} is not held twice by a series of {usual}, the usual length" if cycles else ""


def _usual(lengths: _Lengths) -> int:
    """The length of the series that a step usually is in: half of all steps are in series as long, or longer."""
    ordered = np.sort(lengths)
    return int(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)])


def _window(config: Config, summary: PanelSummary) -> int:
    """Fewer than 14 seasons for short series, and where the weights would take more than 128 MiB."""
    season, lengths = int(config.season), summary.lengths
    usual = int(np.median(lengths))
    usual = usual if usual >= 2 * season else _usual(lengths)
    longest = max(1, (usual - config.horizon) // 2)
    window = min(max(_WINDOW_SEASONS * season, 2 * config.horizon, _MIN_WINDOW), max(longest, min(season, usual)))
    weights = _MAX_MIXTURE_WEIGHTS // (int(config.experts) * (1 if config.recursive else config.horizon))
    window = min(window, max(min(season, usual), weights), LIMITS["window"])
    return int(window - window % season if window > season else window)


def _epochs(config: Config, summary: PanelSummary) -> int:
    lengths = summary.lengths - validation_steps(config, summary.lengths)
    updates = min(_MAX_UPDATES, max(_MIN_UPDATES, int(lengths.sum()) // _STEPS_PER_UPDATE))
    batches = math.ceil(max(1, len(sampled_series(lengths))) / config.batch_sequences)
    return int(max(1, round(updates / batches)))


DEFAULTS: dict[str, Default] = {
    "season_reason": Default(
        lambda config, summary: "by the option season" if config.season is not None else _longest_season(summary)[1],
        "why the season is what it is",
    ),
    "season": Default(lambda _, summary: _longest_season(summary)[0], "steps in a season", _BENCH),
    "log": Default(lambda _, summary: summary.lowest > 0, "learn from logarithms", _BENCH),
    "window": Default(_window, "values read directly", _BENCH),
    "batch_sequences": Default(16, "chunks of series in a batch", _BENCH),
    "batch_steps": Default(1 << 20, "steps in a batch: no limit in practice, chunks are short", _BENCH),
    "epochs": Default(_epochs, "passes over the series", _BENCH),
}
