"""The Forecaster: long frames in, the next values out, and the state that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from forecast_series import QUICK, frame_time, head, numbers, part, waves


def test_answers(plain: Forecaster) -> None:
    answer = plain.predict()
    names = [f"elman-{end}-{level}" for level in (80, 90, 95) for end in ("lo", "hi")]
    assert answer.columns == ["unique_id", "ds", "elman", *names]
    assert answer["unique_id"].to_list() == [f"s{i}" for i in range(3) for _ in range(6)]
    assert answer["ds"][0] == frame_time(100)
    low, high = answer["elman-lo-95"].to_numpy(), answer["elman-hi-95"].to_numpy()
    order = [low, *(answer[f"elman-lo-{n}"].to_numpy() for n in (90, 80)), answer["elman"].to_numpy(), high]
    assert np.isfinite(numbers(answer)).all()
    assert (low <= order[3]).all()
    assert (order[3] <= high).all()
    assert plain.predict(2).height == 6


def test_learns() -> None:
    frame = waves(holes=False)
    model = Forecaster(horizon=6, season=12, seed=0, epochs=8, hidden=8, experts=2, ensemble_size=1).fit(
        head(frame, 100)
    )
    found = model.evaluate(part(frame, 100, 106))
    assert found["mase"] < 1.2
    assert found["smape"] < 3
    assert model.score(part(frame, 100, 106)) == pytest.approx(1 - found["mae"] / naive_error(frame))


def naive_error(frame: pl.DataFrame) -> float:
    truth, before = part(frame, 100, 106)["y"].to_numpy(), part(frame, 88, 94)["y"].to_numpy()
    return float(np.abs(truth - before).mean())


def test_constant_and_zero_series_in_training() -> None:
    frame = pl.DataFrame(
        {
            "unique_id": ["c"] * 60 + ["z"] * 60 + ["s"],
            "ds": [*range(60)] * 2 + [59],
            "y": [7.0] * 60 + [0.0] * 60 + [3.0],
        }
    )
    answer = Forecaster(horizon=4, season=6, **QUICK).fit(frame).predict()
    assert np.allclose(answer.filter(pl.col("unique_id") == "c")["elman"], 7.0)
    assert np.allclose(numbers(answer.filter(pl.col("unique_id") == "z")), 0.0, atol=1e-9)
    assert answer["ds"].to_list()[:4] == [60, 61, 62, 63]


def test_other_names_and_disorder(frame: pl.DataFrame) -> None:
    given = (
        head(frame, 60)
        .rename({"unique_id": "shop no", "ds": "when", "y": "sold"})
        .sample(fraction=1.0, shuffle=True, seed=0)
    )
    options = {"id": "shop no", "time": "when", "target": "sold", **QUICK}
    answer = Forecaster(horizon=3, season=12, sort=True, **options).fit(given).predict()
    assert answer.columns[:3] == ["shop no", "when", "elman"]
    with pytest.raises(DataError, match="goes back in series"):
        Forecaster(horizon=3, season=12, **options).fit(given)


def changed(frame: pl.DataFrame, row: int, **values: Any) -> pl.DataFrame:
    lists: dict[str, list[Any]] = {name: frame[name].to_list() for name in frame.columns}
    for name, value in values.items():
        lists[name][row] = value
    return pl.DataFrame(lists, strict=False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda f: changed(f, 5, y=float("inf")), r"column 'y', row 5 is inf"),
        (lambda f: f.with_columns(y=pl.col("y").cast(pl.String)), r"column 'y', row 0 is '.*', where a number"),
        (lambda f: changed(f, 5, ds=f["ds"][4]), r"twice, in row 4 and row 5"),
        (lambda f: changed(f, 5, ds=f["ds"][200]), r"goes back|twice"),
        (lambda f: f.rename({"ds": "date"}), r"no column 'ds'"),
        (lambda f: f.rename({"unique_id": "uniqueid"}), r"Did you mean 'uniqueid'"),
        (lambda f: changed(f, 7, shop=None), r"column 'shop', row 7 is missing"),
        (lambda f: changed(f, 7, shop="q"), r"changes in series 's0': 'x', then 'q' in row 7"),
        (lambda f: changed(f, 7, unique_id=None), r"column 'unique_id', row 7 is missing"),
        (lambda f: changed(f, 7, ds=None), r"column 'ds', row 7 is missing"),
        (lambda f: f.with_columns(y=pl.lit(None, pl.Float64)), r"series 's0' has no value in column 'y'"),
        (lambda f: f.head(0), r"has no rows"),
        (lambda f: head(f, 6), r"horizon = 6, but the longest series, 's0', has 6 steps"),
        (lambda f: [1.0, 2.0], r"is a list, not a frame"),
        (lambda f: f.with_columns(ds=pl.lit("soon")), r"column 'ds', row 0 is 'soon', which is no date"),
    ],
)
def test_what_cannot_be_used(wrong: Any, said: str, frame: pl.DataFrame) -> None:
    options = {"past": "heat", "future": ["sale"], "static": ["shop"], **QUICK}
    with pytest.raises(DataError, match=said):
        Forecaster(horizon=6, season=12, **options).fit(wrong(frame))


def test_wrong_frequency(frame: pl.DataFrame, plain: Forecaster) -> None:
    with pytest.raises(DataError, match=r"not on the grid of 1 d .*\(\d+ such rows\)"):
        Forecaster(horizon=6, freq="D", **QUICK).fit(frame)
    with pytest.raises(OptionError, match="are dates"):
        Forecaster(horizon=6, freq=1, **QUICK).fit(frame)
    days = frame.with_columns(ds=pl.col("ds").min() + (pl.col("ds") - pl.col("ds").min()) * 24)
    for wrong in (lambda: plain.predict(frame=days), lambda: plain.cross_validation(days, refit=False)):
        with pytest.raises(DataError, match="rows are 24 steps of 1 h apart"):
            wrong()
    with pytest.raises(DataError, match="'s0' goes on 30000 steps of 1 h after its end"):
        plain.update(frame.with_columns(ds=pl.col("ds") + pl.duration(hours=30100)).head(1))
    seconds = pl.DataFrame({"unique_id": "a", "ds": [0, 1, 2, 10**9], "y": [1.0] * 4})
    with pytest.raises(DataError, match="4 rows, but 1000000001 steps"):
        Forecaster(horizon=2, **QUICK).fit(seconds)


def test_levels_next_to_the_median(frame: pl.DataFrame) -> None:
    options = {**QUICK, "epochs": 1, "levels": (1e-9, 99.9999999)}
    assert np.isfinite(numbers(Forecaster(horizon=3, season=12, **options).fit(frame).predict())).all()


def test_predict_refuses_a_longer_horizon(plain: Forecaster) -> None:
    with pytest.raises(OptionError, match="from 1 to 6"):
        plain.predict(7)


def test_no_levels(frame: pl.DataFrame) -> None:
    answer = Forecaster(horizon=3, season=12, levels=(), **QUICK).fit(frame).predict()
    assert answer.columns == ["unique_id", "ds", "elman"]


def test_a_fit_resumes(frame: pl.DataFrame, tmp_path: Path) -> None:
    options = {"horizon": 6, "season": 12, **QUICK}
    whole = Forecaster(**options).fit(head(frame, 100), out=tmp_path / "a")
    again = Forecaster(**options).fit(head(frame, 100), out=tmp_path / "a", resume=True)
    assert again.predict().equals(whole.predict())


def test_months() -> None:
    when = [f"{2015 + m // 12}-{m % 12 + 1:02}-01" for m in range(60)]
    frame = pl.DataFrame({"unique_id": "a", "ds": when, "y": [float(m % 12) for m in range(60)]})
    model = Forecaster(horizon=3, **QUICK).fit(frame)
    assert model.config_.season == 12
    assert model.predict()["ds"].to_list() == ["2020-01-01", "2020-02-01", "2020-03-01"]


def test_options_of_other_libraries(frame: pl.DataFrame, tmp_path: Path) -> None:
    model = Forecaster(horizon=2, freq=np.timedelta64(1, "h"), season=4, **QUICK).fit(frame)  # type: ignore[arg-type]
    model.save(tmp_path / "model")
    assert elman.load(tmp_path / "model").freq == "3600000000us"


def test_one_row() -> None:
    with pytest.raises(DataError, match=r"'a', has 1 step. Give longer series.$"):
        Forecaster(horizon=1, freq=1, **QUICK).fit(pl.DataFrame({"unique_id": "a", "ds": [1], "y": [1.0]}))
