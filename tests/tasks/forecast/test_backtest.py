"""Backtests: forecasts from past origins beside the truth."""

from __future__ import annotations

import numpy as np
import polars as pl

from elman.tasks import Forecaster
from forecast_series import head, numbers, part


def test_cross_validation(frame: pl.DataFrame, plain: Forecaster) -> None:
    made = plain.cross_validation(frame, windows=2, step=3, refit=False)
    assert made.height == 3 * 2 * 6
    assert made["cutoff"].n_unique() == 2
    before = plain.predict(frame=head(frame, 114))  # the last window begins 6 steps before the end of 120
    last = made.filter(pl.col("cutoff") == pl.col("cutoff").max()).drop("cutoff", "y")
    assert np.allclose(numbers(last), numbers(before))
    truth = part(frame, 114, 120)["y"].to_numpy()
    assert np.array_equal(
        made.filter(pl.col("cutoff") == pl.col("cutoff").max())["y"].to_numpy(), truth, equal_nan=True
    )
    anew = plain.cross_validation(frame, windows=2, step=3)
    assert np.isfinite(numbers(anew.drop("cutoff", "y"))).all()
