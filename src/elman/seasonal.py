"""Honest simple forecasts: what a Forecaster must beat.

    seasonal naive     the value of the last season, again and again
    ridge on lags      y_{t+j} = a_j . (y_t ... y_{t-lags+1}) + b_j . x_t + c_j,  least squares + strength |a, b|^2
    Theta, ETS         statsforecast, if it is installed (Assimakopoulos & Nikolopoulos 2000; Hyndman et al. 2008)

Missing values are filled with what was known last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, OptionError

__all__ = ["Ridge", "last_season", "published"]

_Floats = NDArray[np.float64]


def last_season(values: _Floats, season: int, horizon: int) -> _Floats:
    """The seasonal naive forecast: the latest known value a whole number of seasons before each step.

    >>> last_season(np.array([1.0, 2.0, 3.0, np.nan]), 2, 3).tolist()
    [3.0, 2.0, 3.0]
    """
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        raise DataError("every value of the series is missing, so that nothing can be repeated. Leave it out.")
    made = np.full(horizon, values[known[-1]])
    for step in range(horizon):
        before = np.arange(len(values) + step % season - season, -1, -season)
        there = before[~np.isnan(values[before])]
        made[step] = values[there[0]] if len(there) else made[step]
    return made


@dataclass
class Ridge:
    """A linear map from the last values of one series to the next, learnt by regularised least squares.

    >>> y = np.sin(np.arange(200) / 3)
    >>> ridge = Ridge(lags=6, horizon=2, strength=1e-6).fit(y[:150])
    >>> bool(np.abs(ridge.predict(y, np.array([160])) - y[160:162]).max() < 1e-2)
    True
    """

    lags: int
    horizon: int
    strength: float = 1.0  # of the pull towards 0, for standardised values and per 1000 steps
    weight: _Floats = field(default_factory=lambda: np.zeros((0, 0)), init=False)

    def fit(self, values: _Floats, beside: _Floats | None = None) -> Self:
        """Learns from a series and what stands beside it at each step [steps, columns]."""
        there = values[~np.isnan(values)]
        self.mean, self.deviation = float(there.mean()), float(there.std()) or 1.0
        self.scale = None if beside is None else (beside.mean(0), np.where(beside.std(0) > 0, beside.std(0), 1.0))
        at = np.arange(self.lags, len(values) - self.horizon + 1)
        targets = np.stack([values[at + step] for step in range(self.horizon)], axis=1)
        whole = ~np.isnan(targets).any(1)
        x, y = self._rows(values, at[whole], beside), (targets[whole] - self.mean) / self.deviation
        pull = self.strength * len(x) / 1000 * np.eye(x.shape[1])
        pull[-1, -1] = 0
        self.weight = np.asarray(np.linalg.solve(x.T @ x + pull, x.T @ y), np.float64)
        return self

    def predict(self, values: _Floats, at: NDArray[np.int64], beside: _Floats | None = None) -> _Floats:
        """The `horizon` values from each step `at` on, from what lies before it: [rows, horizon]."""
        scaled: Any = self._rows(values, at, beside) @ self.weight
        made: _Floats = scaled * self.deviation + self.mean
        return made

    def _rows(self, values: _Floats, at: NDArray[np.int64], beside: _Floats | None) -> _Floats:
        known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
        filled = np.where(known < 0, self.mean, values[np.maximum(known, 0)])
        lags = (filled[at[:, None] - np.arange(self.lags, 0, -1)] - self.mean) / self.deviation
        more = [] if beside is None or self.scale is None else [(beside[at - 1] - self.scale[0]) / self.scale[1]]
        return np.concatenate([lags, *more, np.ones((len(at), 1))], axis=1)


def published(name: str, values: _Floats, season: int, horizon: int) -> _Floats:
    """The forecast of a model of statsforecast: "AutoTheta" or "AutoETS". Raises OptionError where it is missing."""
    try:
        models = import_module("statsforecast.models")
    except ImportError:
        raise OptionError(
            f"{name} comes with statsforecast, which is not installed: pip install statsforecast"
        ) from None
    known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    filled = values[np.maximum(known, int(np.flatnonzero(known >= 0)[0]))]
    model: Any = getattr(models, name)(season_length=season)
    made: _Floats = np.asarray(model.forecast(filled, horizon)["mean"], np.float64)
    return made
