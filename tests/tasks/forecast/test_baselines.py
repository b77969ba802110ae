"""The baselines of a forecast."""

from __future__ import annotations

import numpy as np
import pytest

from elman.errors import DataError
from elman.tasks.forecast.baselines import last_season, theta


def test_last_season() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan, 6.0])
    assert last_season(values, 3, 5).tolist() == [4.0, 2.0, 6.0, 4.0, 2.0]
    assert last_season(values, 1, 2).tolist() == [6.0, 6.0]
    with pytest.raises(DataError, match="every value"):
        last_season(np.full(3, np.nan), 2, 1)


def test_theta_of_a_seasonal_trend_and_of_what_it_cannot_fit() -> None:
    pytest.importorskip("statsmodels")
    steps, season = np.arange(120), np.tile([0.8, 1.0, 1.2, 1.0], 40)
    values = (50 + steps) * season[:120]
    values[[30, 31]] = np.nan
    made = theta(values, 4, 8)
    truth = (50 + np.arange(120, 128)) * season[:8]
    assert np.abs(made - truth).max() < 0.05 * truth.max(), "half of the trend, with all of the season"
    assert theta(np.array([1.0, 2.0]), 4, 3).tolist() == [2.0, 2.0, 1.0], "the seasonal naive forecast"
    assert theta(np.full(20, 7.0), 4, 2).tolist() == [7.0, 7.0]
    assert np.isfinite(theta(np.array([np.nan, 0.0, 0.0, 3.0, 0.0, -1.0]), 2, 3)).all()
