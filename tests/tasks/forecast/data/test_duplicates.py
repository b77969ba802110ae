"""Rows of one series with one time: refused, or taken together on request."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from elman.tasks.forecast.data.duplicates import AGGREGATES, aggregated
from elman.tasks.forecast.data.frame import read
from elman.tasks.forecast.data.panel import Columns
from forecast_series import QUICK

ROWS = {
    "unique_id": ["a", "a", "b", "a", "a", "b", "a"],
    "ds": [1, 1, 1, 2, 2, 1, 3],
    "y": [1.0, 3.0, 10.0, None, 4.0, 30.0, None],
    "c": ["x", "y", "z", "x", None, "z", None],
    "n": [1.0, 2.0, 3.0, 4.0, None, 5.0, 6.0],
    "s": ["u", "u", "v", "u", "u", "v", "u"],
}


@pytest.mark.parametrize("how", AGGREGATES)
def test_aggregates_are_those_of_polars(how: str) -> None:
    random = np.random.default_rng(0)
    values = np.where(random.random(300) < 0.3, np.nan, random.normal(size=300))
    owner = np.sort(random.integers(0, 90, 300))
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    given = pl.DataFrame({"owner": owner, "y": values}).with_columns(pl.col("y").fill_nan(None))
    column = pl.col("y").drop_nulls()
    made = given.group_by("owner", maintain_order=True).agg(getattr(column, how)().alias("y"), n=column.len())
    expected = made.select(pl.when(pl.col("n") > 0).then("y"))["y"].to_numpy()
    np.testing.assert_allclose(aggregated(values, begins, how), expected, rtol=1e-12)


def test_of_all_columns() -> None:
    frame, columns = pl.DataFrame(ROWS), Columns(past=("c", "n"), static=("s",), duplicates="mean")
    panel = read(frame, columns).panel
    np.testing.assert_array_equal(panel.values, [2.0, 4.0, np.nan, 20.0])
    assert panel.covariates["c"].tolist() == ["y", "x", None, "z"]
    assert panel.covariates["n"].tolist() == [2.0, 4.0, 6.0, 5.0]
    assert panel.static["s"].tolist() == ["u", "v"]
    first = read(frame, Columns(past=("c",), duplicates="first")).panel
    np.testing.assert_array_equal(first.values, [1.0, 4.0, np.nan, 10.0])
    assert first.covariates["c"].tolist() == ["x", "x", None, "z"]
    wide = read(
        pl.DataFrame({"ds": [1, 1, 2], "p": [1.0, 2.0, 3.0], "q": [4.0, 5.0, 6.0]}),
        Columns(wide=True, duplicates="sum"),
    )
    assert wide.panel.values.tolist() == [3.0, 3.0, 9.0, 6.0]


def test_what_is_still_refused() -> None:
    frame = pl.DataFrame(ROWS)
    with pytest.raises(DataError, match=r"twice, in row 0 and row 1 .*or take them together: duplicates='mean'"):
        read(frame, Columns())
    with pytest.raises(DataError, match="goes back in series 'a', from 2 in row 1 to 1 in row 2"):
        read(pl.DataFrame({"unique_id": "a", "ds": [1, 2, 1], "y": 1.0}), Columns(duplicates="sum"))
    changed = frame.with_columns(s=pl.Series(["u", "w", "v", "u", "u", "v", "u"]))
    with pytest.raises(DataError, match=r"static column 's' changes in series 'a': 'u', then 'w' in row 1"):
        read(changed, Columns(static=("s",), duplicates="sum"))
    rows = pl.DataFrame({"unique_id": "a", "ds": [1, 1, 2, 2], "y": [1.0, 1.0, -1.0, -2.0]})
    with pytest.raises(DataError, match=r"row 2 \(series 'a'\) is -3"):
        read(rows, Columns(duplicates="sum"), positive=("", ""))
    with pytest.raises(OptionError, match="duplicates = 'avg' must be one of mean, sum, median, min, max, first, last"):
        Forecaster(duplicates="avg").fit(frame)


def test_in_fit_predict_and_update() -> None:
    y = 10.0 + np.arange(40) % 7
    twice = pl.DataFrame({"ds": np.repeat(np.arange(40), 2), "y": np.repeat(y, 2) / 2})
    fast: dict[str, Any] = {**QUICK, "horizon": 3, "season": 7, "epochs": 1}
    model = Forecaster(duplicates="sum", **fast).fit(twice)
    once = Forecaster(**fast).fit(pl.DataFrame({"ds": np.arange(40), "y": y}))
    assert model.predict().equals(once.predict())
    assert model.predict(frame=twice).equals(once.predict())
    later = pl.DataFrame({"ds": [40, 40], "y": [6.0, 6.0]})
    expected = once.update(pl.DataFrame({"ds": [40], "y": [12.0]})).predict()
    assert model.update(later).predict().equals(expected)
    with pytest.raises(DataError, match="twice"):
        model.set_params(duplicates=None).predict(frame=twice)
