"""Forecasting baselines without a recurrent network.

    seasonal naive     the value of the last season, repeated
    Theta              half the trend and exponential smoothing of the deseasonalised series; by statsmodels

Missing values are filled with the last observed one.

Assimakopoulos, V. and Nikolopoulos, K. 2000. The theta model: a decomposition approach to forecasting. International
Journal of Forecasting 16.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, OptionError

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


def theta(values: _Floats, season: int, horizon: int) -> _Floats:
    """The forecast of the Theta method, as in the M4 competition: seasons are divided out where a test finds them.

    Where there is nothing to fit, as in a series of three values, it is the seasonal naive forecast. Raises
    ``OptionError`` where statsmodels (the extra `baselines`) is missing.
    """
    try:
        from statsmodels.tsa.forecasting.theta import ThetaModel
    except ImportError:
        raise OptionError("the Theta method comes with statsmodels: pip install 'elman[baselines]'") from None
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
