"""Forecasting baselines without a recurrent network.

    seasonal naive     the value of the last season, repeated
    ridge on lags      y_{t+j} = a_j . (y_t ... y_{t-lags+1}) + b_j . x_t + c_j,  least squares + strength |a, b|^2
    Theta              half the trend and exponential smoothing of the deseasonalised series; by statsmodels

Missing values are filled with the last observed one.

Assimakopoulos, V. and Nikolopoulos, K. 2000. The theta model: a decomposition approach to forecasting. International
Journal of Forecasting 16.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, OptionError

__all__ = ["Ridge", "last_season", "theta"]

_Floats = NDArray[np.float64]


def last_season(values: _Floats, season: int, horizon: int) -> _Floats:
    """The seasonal naive forecast: the latest known value a whole number of seasons before each step.

    >>> last_season(np.array([1.0, 2.0, 3.0, np.nan]), 2, 3).tolist()
    [3.0, 2.0, 3.0]
    """
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        raise DataError("every value of the series is missing, so that there is none to repeat. Leave it out.")
    made = np.full(horizon, values[known[-1]])
    for step in range(horizon):
        before = np.arange(len(values) + step % season - season, -1, -season)
        there = before[~np.isnan(values[before])]
        made[step] = values[there[0]] if len(there) else made[step]
    return made


@dataclass
class Ridge:
    """Ridge regression from the last values of one series to the next ones.

    >>> y = np.sin(np.arange(200) / 3)
    >>> ridge = Ridge(lags=6, horizon=2, strength=1e-6).fit(y[:150])
    >>> bool(np.abs(ridge.predict(y, np.array([160])) - y[160:162]).max() < 1e-2)
    True
    """

    lags: int
    horizon: int
    strength: float = 1.0  # of the regularisation, for standardised values and per 1000 steps
    weight: _Floats = field(default_factory=lambda: np.zeros((0, 0)), init=False)

    def fit(self, values: _Floats, covariates: _Floats | None = None) -> Self:
        """Fits a series with covariates [steps, columns]."""
        there = values[~np.isnan(values)]
        self.mean, self.deviation = float(there.mean()), float(there.std()) if there.min() < there.max() else 1.0
        self.scale = None
        if covariates is not None:
            self.scale = (covariates.mean(0), np.where(covariates.min(0) < covariates.max(0), covariates.std(0), 1.0))
        at = np.arange(self.lags, len(values) - self.horizon + 1)
        targets = np.stack([values[at + step] for step in range(self.horizon)], axis=1)
        whole = ~np.isnan(targets).any(1)
        x, y = self._rows(values, at[whole], covariates), (targets[whole] - self.mean) / self.deviation
        pull = self.strength * len(x) / 1000 * np.eye(x.shape[1])
        pull[-1, -1] = 0
        self.weight = np.asarray(np.linalg.solve(x.T @ x + pull, x.T @ y), np.float64)
        return self

    def predict(self, values: _Floats, at: NDArray[np.int64], covariates: _Floats | None = None) -> _Floats:
        """The `horizon` values from each step `at` on, from what lies before it: [rows, horizon]."""
        scaled: Any = self._rows(values, at, covariates) @ self.weight
        made: _Floats = scaled * self.deviation + self.mean
        return made

    def _rows(self, values: _Floats, at: NDArray[np.int64], covariates: _Floats | None) -> _Floats:
        known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
        filled = np.where(known < 0, self.mean, values[np.maximum(known, 0)])
        lags = (filled[at[:, None] - np.arange(self.lags, 0, -1)] - self.mean) / self.deviation
        more = (
            [] if covariates is None or self.scale is None else [(covariates[at - 1] - self.scale[0]) / self.scale[1]]
        )
        return np.concatenate([lags, *more, np.ones((len(at), 1))], axis=1)


def theta(values: _Floats, season: int, horizon: int) -> _Floats:
    """The forecast of the Theta method, as in the M4 competition: seasons are divided out where a test finds them.

    Where there is nothing to fit, as in a series of three values, it is the seasonal naive forecast. Raises
    ``OptionError`` where statsmodels (the extra `rivals`) is missing.
    """
    try:
        from statsmodels.tsa.forecasting.theta import ThetaModel
    except ImportError:
        raise OptionError("the Theta method comes with statsmodels: pip install 'elman[rivals]'") from None
    naive = last_season(values, season, horizon)
    known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    first = int(np.flatnonzero(known >= 0)[0])
    filled = values[known[first:]]
    if len(filled) < 4 or np.ptp(filled) == 0:
        return naive
    seasonal = 1 < season <= len(filled) // 2
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = ThetaModel(filled, period=season if seasonal else None, deseasonalize=seasonal)
            made = np.asarray(model.fit().forecast(horizon), np.float64)
        except (ValueError, np.linalg.LinAlgError):  # what cannot be divided or solved
            return naive
    return np.where(np.isfinite(made), made, naive)
