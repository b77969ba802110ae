"""A fitted forecaster on series given whole, and on future covariates."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError
from elman.tasks import Forecaster
from forecast_series import head, numbers, part


def test_alone_as_among_others(frame: pl.DataFrame, plain: Forecaster) -> None:
    given = head(frame, 100)
    alone = plain.predict(frame=given.filter(pl.col("unique_id") == "s1"))
    assert (numbers(alone) == numbers(plain.predict(frame=given))[6:12]).all()


def test_cold_start_of_short_and_strange_series(plain: Forecaster) -> None:
    hours = np.datetime64("2030-05-05", "us") + np.arange(40) * np.timedelta64(1, "h")
    strange = {
        "one": [5.0],
        "short": [1.0, 2.0, 4.0],
        "constant": [7.0] * 40,
        "gap": [3.0, *[None] * 30, 4.0],
        "late": [None, None, 2.0, 3.0, 2.5],
        "ends missing": [2.0, 3.0, 2.5, None, None],
        "huge": [1e30, 2e30, 1e30],
    }
    parts = [
        pl.DataFrame({"unique_id": n, "ds": hours[: len(y)], "y": pl.Series(y, dtype=pl.Float64)})
        for n, y in strange.items()
    ]
    answer = plain.predict(frame=pl.concat(parts))
    assert np.isfinite(numbers(answer)).all()
    of = {name: numbers(answer.filter(pl.col("unique_id") == name)) for name in strange}
    assert np.allclose(of["constant"], 7.0, rtol=1e-3)


def test_future_covariates_must_be_there(frame: pl.DataFrame, rich: Forecaster) -> None:
    with pytest.raises(DataError, match="Give their next 6 steps"):
        rich.predict()
    with pytest.raises(DataError, match=r"column 'sale' of series 's0' is missing at ds = 2024-01-05 08"):
        rich.predict(future=part(frame, 100, 104))
    new = part(frame, 100, 106).with_columns(sale=pl.lit("never seen"))
    assert np.isfinite(numbers(rich.predict(future=new))).all()
    with pytest.raises(DataError, match="no column 'shop'"):
        rich.predict(frame=frame.drop("shop"), future=frame)
