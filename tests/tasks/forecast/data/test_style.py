"""Forecasts come back in the form of the frame."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.errors import DataError
from elman.tasks import Forecaster
from forecast_series import QUICK, head, numbers


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_every_library(library: str, frame: pl.DataFrame, plain: Forecaster) -> None:
    pytest.importorskip(library)
    given: Any = head(frame, 100).select("unique_id", "ds", "y")
    whole = plain.predict(frame=given)
    given = given.to_arrow() if library == "pyarrow" else given.to_pandas() if library == "pandas" else given
    answer = plain.predict(frame=given)
    assert type(answer).__module__.split(".")[0] == library
    again = (
        pl.from_arrow(answer)
        if library == "pyarrow"
        else pl.DataFrame(answer.to_dict(orient="list"))
        if (library == "pandas")
        else answer
    )
    assert (numbers(again) == numbers(whole)).all()  # type: ignore[arg-type]
    assert again["ds"].to_list() == whole["ds"].to_list()  # type: ignore[index, union-attr]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("every", ["1h", "1d"])
def test_a_time_zone_comes_back(library: str, every: str, tmp_path: Path) -> None:
    """Over the night in which Berlin's clock leaps: every hour is there, and every day begins at midnight."""
    pytest.importorskip(library)
    begin = dt.datetime(2024, 3, 27) if every == "1h" else dt.datetime(2024, 2, 1)
    when = pl.datetime_range(begin, begin + dt.timedelta(days=70), every, time_zone="Europe/Berlin", eager=True)
    count = 92 if every == "1h" else 58
    frame = pl.DataFrame({"unique_id": "a", "ds": when[:count], "y": np.sin(np.arange(count) / 3) + 2})
    given: Any = frame
    given = frame.to_arrow() if library == "pyarrow" else frame.to_pandas() if library == "pandas" else frame
    model = Forecaster(horizon=6, season=7, **QUICK).fit(given)
    answer = model.predict()
    found = pl.DataFrame(answer.to_dict(orient="list")) if library == "pandas" else pl.DataFrame(answer)
    assert str(found["ds"].dtype.time_zone) == "Europe/Berlin"  # type: ignore[attr-defined]
    assert found["ds"].to_list() == when[count : count + 6].to_list()
    model.save(tmp_path / "model")
    again = elman.load(tmp_path / "model").predict(frame=given)
    assert again["ds"].to_list() == answer["ds"].to_list() if library != "pyarrow" else again.equals(answer)
    windows = model.cross_validation(frame, windows=1, refit=False)
    assert windows["ds"].to_list() == frame["ds"].to_list()[-6:]
    with pytest.raises(DataError, match="has no time zone, but the model learnt from those of Europe/Berlin"):
        model.predict(frame=frame.with_columns(pl.col("ds").dt.replace_time_zone(None)))
    other = model.predict(frame=frame.with_columns(pl.col("ds").dt.convert_time_zone("Asia/Tokyo")))
    assert other["ds"].to_list() == when[count : count + 6].dt.convert_time_zone("Asia/Tokyo").to_list()


SERIES_OF_STAMPS: dict[str, Any] = {
    "minutes with T": lambda pd: pd.date_range("2024-01-01", periods=44, freq="15min").strftime("%Y-%m-%dT%H:%M"),
    "fractions": lambda pd: pd.date_range("2024-01-01", periods=44, freq="250ms").strftime("%Y-%m-%dT%H:%M:%S.%f"),
    "months": lambda pd: pd.date_range("2020-01-01", periods=44, freq="MS").strftime("%Y-%m"),
    "dates": lambda pd: pd.date_range("2024-01-01", periods=44).date,
    "periods": lambda pd: pd.period_range("2020-01", periods=44, freq="M"),
    "New York": lambda pd: pd.date_range("2024-02-01", periods=44, tz="America/New_York"),
    "a fixed distance": lambda pd: pd.date_range("2024-01-01", periods=44, tz="+05:30").as_unit("ns"),
    "categories": lambda pd: pd.Categorical(pd.date_range("2024-01-01", periods=44)),
}


@pytest.mark.parametrize("kind", SERIES_OF_STAMPS)
def test_stamps_come_back_as_they_were_given(kind: str, tmp_path: Path) -> None:
    """Wherever a model answers with times, before and after it was saved."""
    pandas = pytest.importorskip("pandas")
    stamps = SERIES_OF_STAMPS[kind](pandas)
    whole = pandas.DataFrame({"unique_id": "a", "ds": stamps, "y": np.arange(44) % 4 + 1.0})
    given, later = whole[:40], whole[40:]
    model = Forecaster(horizon=4, season=4, **QUICK).fit(given)
    wanted = later["ds"].tolist()
    model.save(tmp_path / "model")
    for one in (model, elman.load(tmp_path / "model")):
        for answer in (one.predict(), one.predict(frame=given)):
            assert answer["ds"].tolist() == wanted
            assert answer["ds"].dtype == later["ds"].dtype or kind == "categories"
    assert len(model.predict().merge(later, on=["unique_id", "ds"])) == 4
    assert np.isfinite(model.evaluate(later)["mae"])
    for refit in (False, True):
        windows = model.cross_validation(whole, windows=2, step=2, refit=refit)
        assert windows["ds"].tolist() == [*whole["ds"].tolist()[38:42], *wanted]
        assert windows["cutoff"].tolist() == [whole["ds"].tolist()[i] for i in (37,) * 4 + (39,) * 4]
    assert model.update(later).predict()["ds"].dtype == model.predict()["ds"].dtype
