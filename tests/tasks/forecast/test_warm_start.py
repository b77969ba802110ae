"""Forecasts that continue the kept states with the newer values of a frame."""

from __future__ import annotations

import polars as pl
import pytest

import elman
from elman.errors import DataError
from elman.tasks import Forecaster
from forecast_series import head, part


def test_known_series_continue_and_others_begin_anew(frame: pl.DataFrame, plain: Forecaster, saved: str) -> None:
    alone = part(frame, 40, 80).filter(pl.col("unique_id") == "s2").with_columns(unique_id=pl.lit("new"))
    given = pl.concat([alone, part(frame, 98, 110).filter(pl.col("unique_id") != "s1"), head(frame, 90)])
    given = given.filter((pl.col("unique_id") != "s0") | (pl.col("ds") > frame["ds"][95])).unique(maintain_order=True)
    given = given.filter((pl.col("unique_id") != "s2") | (pl.col("ds") > frame["ds"][97]))
    before = plain.predict()
    made = plain.predict(frame=given, warm=True)
    assert made["unique_id"].unique(maintain_order=True).to_list() == ["new", "s0", "s2", "s1"]
    assert plain.predict().equals(before), "the model stays as it is"
    whole = plain.predict(frame=head(frame, 110))
    for name in ("s0", "s2"):
        one = pl.col("unique_id") == name
        assert made.filter(one).equals(whole.filter(one)), "as from the whole series"
    cold = plain.predict(frame=given)
    for name in ("new", "s1"):
        one = pl.col("unique_id") == name
        assert made.filter(one).equals(cold.filter(one))
    told = plain.warm_start(given)
    assert (told["continued"], told["new"], told["known_from_rows"]) == (["s0", "s2"], ["new"], ["s1"])
    later = part(frame, 100, 110).filter(pl.col("unique_id").is_in(["s0", "s2"]))["y"].is_not_null().sum()
    assert told["values_read"] <= later


def test_covariates_ahead_and_gaps(frame: pl.DataFrame, saved: str) -> None:
    model = elman.load(saved)
    late = part(frame, 104, 116).with_columns(y=pl.when(pl.col("ds") < frame["ds"][110]).then(pl.col("y")))
    made = model.predict(frame=late, future=late, warm=True)
    assert made["ds"].min() >= frame["ds"][108], "from the last values"
    coming = part(frame, 100, 106).with_columns(y=pl.lit(None, pl.Float64))
    kept = model.predict(future=coming)
    assert model.predict(frame=coming, future=coming, warm=True).equals(kept), "no value: from the kept ends"
    void = coming.filter(pl.col("unique_id") == "s0").with_columns(unique_id=pl.lit("void"))
    with pytest.raises(DataError, match="'void' has no value in column 'y': all 6 steps"):
        model.predict(frame=void, future=void, warm=True)


def test_update_with_newer_rows_only(frame: pl.DataFrame, saved: str) -> None:
    strict, lax = elman.load(saved), elman.load(saved)
    strict.update(part(frame, 100, 110))
    lax.update(head(frame, 110), newer=True)
    future = part(frame, 110, 116)
    assert lax.predict(future=future).equals(strict.predict(future=future))
    with pytest.raises(DataError, match="holds nothing new"):
        lax.update(head(frame, 110), newer=True)
    with pytest.raises(DataError, match="Give later rows"):
        lax.update(head(frame, 110))
