"""Sampled paths: possible futures of a series, whose values at each step have the calibrated quantiles.

    z_i    = Phi^-1((i - 1/2) / n), i = 1 ... n
    x_ij   = Q_j(z_i)        Q_j: the calibrated quantiles of step j, interpolated linearly in z; beyond the outermost
                             two along the line through the last two, as of a normal distribution
    y_kj   = x_ij            i: the rank of path k among the n at step j in a template

so that the n paths have the quantiles of the forecast at each step, and the dependence between steps of the template:

recursive    the sampled paths themselves (recursive.py), as ensemble copula coupling takes the raw ensemble
direct       normal AR(1) paths w_1 = e_1, w_j = r w_{j-1} + sqrt(1 - r^2) e_j, a Gaussian copula; r is the correlation
             of the normal scores of forecast errors at neighbouring steps of the held-out horizons

Paths of different series are independent, and those of one do not depend on which others are forecast.

Schefzik, R., Thorarinsdottir, T. and Gneiting, T. 2013. Uncertainty quantification in complex simulation models using
ensemble copula coupling. Statistical Science 28.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from elman.errors import OptionError
from elman.tasks.base.network import finite
from elman.tasks.forecast.conformal import quantile_levels
from elman.tasks.forecast.data.layout import LONG
from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.style import Style
from elman.tasks.forecast.model import ForecastModel
from elman.tasks.forecast.options import LIMITS
from elman.tasks.forecast.recursive import RecursiveForecast
from elman.tasks.forecast.state import SeriesState
from elman.validation.messages import shown
from elman.validation.options import is_whole

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Paths:
    """How many paths of each series, drawn from which seed. Raises ``OptionError`` unless both are whole numbers."""

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not is_whole(self.count) or self.count > LIMITS["paths"]:
            raise OptionError(f"paths = {shown(self.count)} must be a whole number from 1 to {LIMITS['paths']}.")
        if not is_whole(self.seed, 0) or self.seed >= 1 << 63:
            raise OptionError(f"seed = {shown(self.seed)} must be a whole number of at least 0.")


def sample_paths(model: ForecastModel, state: SeriesState, future: Any, count: int, paths: Paths) -> _Floats:
    """Paths of each series `count` steps ahead, as given and in bounds: [series, paths, count].

    Raises ``OptionError`` for a model without intervals.
    """
    if not model.calibration.factors:
        raise OptionError("paths are sampled from the intervals, of which the model has none. Fit with levels = [80].")
    coming = model.read_future(state, future, count)
    quantiles = model.calibration.apply(model.strategy.forecast(state, coming, count))
    values = np.moveaxis(
        _at_even_shares(quantiles, quantile_levels(list(model.calibration.factors)), paths.count), 2, 1
    )
    ranks = np.argsort(np.argsort(_template(model, state, coming, count, paths), axis=1, kind="stable"), axis=1)
    made = model.encoder.shape.inverse(np.take_along_axis(values, ranks, axis=1), state.tail.lowest)
    return finite(model.bounds.hold(made))


def _at_even_shares(quantiles: _Floats, levels: Sequence[float], count: int) -> _Floats:
    """The quantiles [..., count] at (i - 1/2) / count, ascending."""
    z, at = ndtri(np.array(levels)), ndtri((np.arange(count) + 0.5) / count)
    right = np.clip(np.searchsorted(z, at, side="right"), 1, len(z) - 1)
    weight = (at - z[right - 1]) / (z[right] - z[right - 1])
    made: _Floats = quantiles[..., right - 1] + weight * (quantiles[..., right] - quantiles[..., right - 1])
    return made


def _template(model: ForecastModel, state: SeriesState, coming: Panel | None, count: int, paths: Paths) -> _Floats:
    """Paths whose ranks at each step are taken: [series, paths, count]."""
    draws = [np.random.default_rng([paths.seed, zlib.crc32(str(name).encode())]) for name in state.ids]
    if isinstance(model.strategy, RecursiveForecast):  # samples all series at the same levels
        made = replace(model.strategy, paths=paths.count, seed=paths.seed).sample(state, coming, count)
        return np.stack([draw.permutation(one) for draw, one in zip(draws, made, strict=True)])
    noise = np.stack([draw.standard_normal((count, paths.count)) for draw in draws])
    fresh = np.sqrt(1 - model.dependence**2)
    for step in range(1, count):
        noise[:, step] = model.dependence * noise[:, step - 1] + fresh * noise[:, step]
    return np.moveaxis(noise, 2, 1)


def paths_frame(
    model: ForecastModel, states: Sequence[SeriesState], answers: Sequence[_Floats], style: Style, ids: Sequence[Any]
) -> Any:
    """A row for each series, path and step: id, time, path (from 1), elman; series in the order of `ids`."""
    place = {name: i for i, name in enumerate(name for state in states for name in state.ids)}
    order = [place[name] for name in ids]
    made, after = np.concatenate(answers)[order], np.concatenate([state.next for state in states])[order]
    _, paths, steps = made.shape
    when = np.broadcast_to(after[:, None, None] + np.arange(steps), made.shape)
    number = np.broadcast_to(np.arange(1, paths + 1)[:, None], made.shape)
    columns: dict[str, Any] = {
        model.columns.id: [name for name in ids for _ in range(paths * steps)],
        model.columns.time: model.grid.stamps(when.reshape(-1)),
        "path": number.reshape(-1),
        "elman": made.reshape(-1),
    }
    long = replace(style, layout=LONG) if style.layout.wide else style
    return long.frame(columns, model.columns.id, [model.columns.time])
