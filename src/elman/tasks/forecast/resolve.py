"""From options that may be None, and a summary of the data, to a configuration without None.

    season           the longest cycle of the calendar that the usual series holds twice, else 1
    window           14 seasons, at least 28 and two horizons; fewer for short series and large networks
    log              whether every value is above 0
    batch_sequences  16
    epochs           updates batch_sequences / sequences,    updates = steps / 40, from 200 to 800

The usual series: half of all steps are in series as long, or longer.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.sampler import sampled_series
from elman.tasks.forecast.data.scaling import Shape
from elman.tasks.forecast.data.time_grid import Grid, seasons_of
from elman.tasks.forecast.defaults import Defaults
from elman.tasks.forecast.options import LIMITS
from elman.validation.options import is_whole

__all__ = ["Config", "PanelSummary", "resolve", "resolve_training", "resolve_window", "validation_steps"]

_Lengths = NDArray[np.int64]


class Options(Protocol):
    """The options that the choices depend on."""

    horizon: int
    season: int | None
    window: int | None
    log: bool | None
    experts: int
    recursive: bool
    validation: float
    epochs: int | None
    batch_sequences: int | None
    batch_steps: int | None


class PanelSummary(NamedTuple):
    """What the choices depend on in the data."""

    ids: list[Any]
    lengths: _Lengths
    lowest: float  # of all values
    grid: Grid

    @classmethod
    def of(cls, panel: Panel, grid: Grid) -> Self:
        """The summary of a training panel."""
        return cls(panel.ids, panel.lengths, float(np.nanmin(panel.values)), grid)


class TrainingLengths(NamedTuple):
    """How long a training is."""

    epochs: int
    batch_sequences: int
    batch_steps: int


@dataclass(frozen=True)
class Config:
    """The options that may be None, each with its value, and why the season is what it is."""

    season: int
    season_reason: str
    window: int
    log: bool
    epochs: int
    batch_sequences: int
    batch_steps: int

    @property
    def shape(self) -> Shape:
        """How far back each thing looks."""
        return Shape(self.season, self.window, self.log)

    def config(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The inverse of `config`. Raises ValueError for what cannot be."""
        given: dict[str, Any] = dict(config)
        least = {"season": 1, "window": 1, "epochs": 0, "batch_sequences": 1, "batch_steps": 1}
        for name, low in least.items():
            value = given[name]
            if type(value) is not int or not low <= value <= LIMITS.get(name, 2**63 - 1):
                raise ValueError(name)
        if type(given["log"]) is not bool or type(given["season_reason"]) is not str:
            raise ValueError("log")
        return cls(**given)


def resolve(options: Options, summary: PanelSummary, defaults: Defaults) -> Config:
    """Every option that may be None, with its value."""
    season, reason = _season(options.season, summary)
    log = summary.lowest > 0 if options.log is None else bool(options.log)
    window = int(options.window or resolve_window(options, summary.lengths, season, defaults))
    held_out = validation_steps(summary.lengths, options.horizon, season, options.validation, defaults)
    lengths = summary.lengths - held_out
    training = resolve_training(options, len(sampled_series(lengths)), int(lengths.sum()), defaults)
    return Config(season, reason, window, log, *map(int, training))


def resolve_training(options: Options, sequences: int, steps: int, defaults: Defaults) -> TrainingLengths:
    """How long the training on so many `sequences` of so many `steps` in all is."""
    batch = defaults.batch_sequences if options.batch_sequences is None else options.batch_sequences
    updates = min(defaults.max_updates, max(defaults.min_updates, steps // defaults.steps_per_update))
    batches = math.ceil(max(1, sequences) / batch) if is_whole(batch) else 1
    epochs = max(1, round(updates / batches)) if options.epochs is None else options.epochs
    return TrainingLengths(epochs, batch, defaults.batch_steps if options.batch_steps is None else options.batch_steps)


def resolve_window(options: Options, lengths: _Lengths, season: int, defaults: Defaults) -> int:
    """The window; fewer than 14 seasons for short series, and where the weights would take more than 128 MiB."""
    usual = int(np.median(lengths))
    usual = usual if usual >= 2 * season else _usual(lengths)
    longest = max(1, (usual - options.horizon) // 2)
    wanted = max(defaults.window_seasons * season, 2 * options.horizon, defaults.min_window)
    window = min(wanted, max(longest, min(season, usual)))
    weights = defaults.max_mixture_weights // (int(options.experts) * (1 if options.recursive else options.horizon))
    window = min(window, max(min(season, usual), weights), LIMITS["window"])
    return window - window % season if window > season else window


def validation_steps(lengths: _Lengths, horizon: int, season: int, validation: float, defaults: Defaults) -> _Lengths:
    """How many steps at the end of each series are held out: one horizon, and more where there are few series.

    About 200 forecasts, one a season, are enough to calibrate intervals; never more than the fraction `validation`,
    except for one horizon. A series that would keep less than a horizon or two seasons is all training.
    """
    if not validation:
        return np.zeros_like(lengths)
    wanted = horizon + season * (math.ceil(defaults.calibration_forecasts / len(lengths)) - 1)
    steps = np.minimum(wanted, np.maximum(horizon, (lengths * validation).astype(np.int64)))
    return np.where(lengths - steps >= max(horizon, 2 * season), steps, 0)


def _season(season: int | None, summary: PanelSummary) -> tuple[int, str]:
    """The season in steps, and how it was chosen: of the calendar's cycles the longest that fits in twice.

    It must do so in the series that half of all steps belong to, or to longer ones.
    """
    if season is not None:
        _warn_of_season(season, summary)
        return int(season), "by the option season"
    usual = _usual(summary.lengths)
    too_long: list[str] = []
    for name, steps in seasons_of(summary.grid).items():
        if 2 * steps <= usual and steps <= LIMITS["season"]:
            return steps, f"a {name}{_not_twice(too_long, usual)}".replace("a hour", "an hour")
        too_long.append(f"a {name} of {steps} steps".replace("a hour", "an hour"))
    return 1, f"none{_not_twice(too_long, usual)}"


def _warn_of_season(season: int, summary: PanelSummary) -> None:
    longest = int(summary.lengths.max())
    if longest <= season:
        name = summary.ids[int(summary.lengths.argmax())]
        warnings.warn(
            f"season = {season}, but the longest series, {name!r}, has {longest} steps: no value has another a season "
            f"before it. Leave season at None, or give at most {max(1, longest // 2)}.",
            stacklevel=5,
        )


def _usual(lengths: _Lengths) -> int:
    """The length of the series that a step usually is in: half of all steps are in series as long, or longer."""
    ordered = np.sort(lengths)
    return int(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)])


def _not_twice(cycles: list[str], usual: int) -> str:
    return f": {', '.join(cycles)} is not held twice by a series of {usual}, the usual length" if cycles else ""
