"""The Forecaster: long frames in, the next values out, and the state that goes on."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.tasks import Forecaster

QUICK: dict[str, Any] = {"epochs": 2, "hidden": 6, "experts": 2, "ensemble_size": 2, "seed": 0, "verbose": False}


def waves(series: int = 3, steps: int = 120, season: int = 12, holes: bool = True) -> pl.DataFrame:
    """Noisy seasons with covariates, some values missing."""
    random = np.random.default_rng(0)
    parts = []
    for i in range(series):
        steady = 10 * (i + 1) + 3 * np.sin(2 * np.pi * np.arange(steps) / season + i)
        y = steady + random.normal(0, 0.2, steps)
        if holes:
            y[random.integers(5, steps, 8)] = np.nan
        columns = {
            "unique_id": [f"s{i}"] * steps,
            "ds": np.datetime64("2024-01-01", "us") + np.arange(steps) * np.timedelta64(1, "h"),
            "y": y,
            "heat": random.normal(size=steps),
            "sale": random.choice(["no", "yes"], steps),
            "shop": ["xyz"[i % 3]] * steps,
        }
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


def head(frame: pl.DataFrame, steps: int) -> pl.DataFrame:
    return frame.group_by("unique_id", maintain_order=True).head(steps)


def part(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    return (
        frame.group_by("unique_id", maintain_order=True)
        .agg(pl.all().slice(first, last - first))
        .explode(pl.exclude("unique_id"))
    )


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return waves()


@pytest.fixture(scope="module")
def plain(frame: pl.DataFrame) -> Forecaster:
    return Forecaster(horizon=6, season=12, **QUICK).fit(head(frame, 100))


@pytest.fixture(scope="module")
def rich(frame: pl.DataFrame) -> Forecaster:
    options = {"past": "heat", "future": ["sale"], "static": ["shop"], **QUICK}
    return Forecaster(horizon=6, season=12, **options).fit(head(frame, 100))


def numbers(answer: pl.DataFrame) -> np.ndarray[Any, Any]:
    return answer.select(pl.exclude("unique_id", "ds")).to_numpy()


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


def frame_time(step: int) -> Any:
    return pl.Series(np.datetime64("2024-01-01", "us") + np.array([step]) * np.timedelta64(1, "h"))[0]


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


def test_update_is_the_whole_series_bit_for_bit(frame: pl.DataFrame, rich: Forecaster, tmp_path: Path) -> None:
    rich.save(tmp_path / "model")
    model = elman.load(tmp_path / "model")
    given = head(frame, 110)
    given = given.filter(~given["ds"].is_in([frame_time(103), frame_time(104)]))  # absent: two missing steps
    for first, last in ((100, 101), (101, 103), (105, 110)):
        model.update(part(frame, first, last))
    later = part(frame, 110, 116)
    assert (numbers(model.predict(future=later)) == numbers(rich.predict(frame=given, future=later))).all()
    model.save(tmp_path / "later")
    assert elman.load(tmp_path / "later").predict(future=later).equals(model.predict(future=later))


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
    with pytest.raises(DataError, match=r"none of the grid of 1 d .*\(\d+ such rows\)"):
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


def test_future_covariates_must_be_there(frame: pl.DataFrame, rich: Forecaster) -> None:
    with pytest.raises(DataError, match="Give their next 6 steps"):
        rich.predict()
    with pytest.raises(DataError, match=r"column 'sale' of series 's0' is missing at ds = 2024-01-05T08"):
        rich.predict(future=part(frame, 100, 104))
    new = part(frame, 100, 106).with_columns(sale=pl.lit("never seen"))
    assert np.isfinite(numbers(rich.predict(future=new))).all()
    with pytest.raises(DataError, match="no column 'shop'"):
        rich.predict(frame=frame.drop("shop"), future=frame)


def test_update_refuses(frame: pl.DataFrame, plain: Forecaster) -> None:
    with pytest.raises(DataError, match="is known up to 2024-01-05T03"):
        plain.update(part(frame, 99, 101))
    with pytest.raises(DataError, match="'new' was not in what the model learnt from"):
        plain.update(part(frame, 100, 101).with_columns(unique_id=pl.lit("new")).head(1))


def test_wrong_options(frame: pl.DataFrame) -> None:
    options = {"horizon": 0, "season": -1, "levels": (0,), "freq": "blue", "past": "y", "bidirectional": True}
    options |= {"experts": None, "window": 10**12, "ensemble_size": 10**9, "layers": 10**9}
    with pytest.raises(OptionError) as caught:
        Forecaster(**options).fit(frame)  # type: ignore[arg-type]
    for said in ("horizon = 0", "season = -1", "levels = (0,)", "'blue'", "names 'y' again", "bidirectional"):
        assert said in str(caught.value)
    for said in (
        "experts = None",
        "window = 1000000000000 must be at most",
        "ensemble_size = 1000000000 must",
        "layers = 1000000000 must",
    ):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"past": None}, {"static": 5}, {"future": [1]}, {"freq": 10**30}, {"freq": "9" * 20 + "D"}]
)
def test_options_of_the_wrong_kind(option: dict[str, Any], frame: pl.DataFrame) -> None:
    with pytest.raises(OptionError, match=r"names of columns|no distance between steps"):
        Forecaster(**option).fit(frame)


def test_levels_next_to_the_median(frame: pl.DataFrame) -> None:
    options = {**QUICK, "epochs": 1, "levels": (1e-9, 99.9999999)}
    assert np.isfinite(numbers(Forecaster(horizon=3, season=12, **options).fit(frame).predict())).all()


CONFIGS: list[tuple[tuple[Any, ...], Any]] = [
    (("options", "past"), []),
    (("options", "static"), []),
    (("options", "ensemble_size"), 10**9),
    (("options", "layers"), 10**9),
    (("options", "experts"), 10**30),
    (("options", "hidden"), 10**12),
    (("grid", 0), "week"),
    (("grid", 1), 2**62),
    (("grid", 2), 1.5),
    (("style", 0), "x"),
    (("style", 2), "Mars/North"),
    (("config", "season"), True),
    (("config", "window"), 10**12),
    (("config", "log"), 1),
    (("longest",), 0),
    (("options", "paths"), 10**6),
    (("covariates", "scales"), {}),
    (("covariates", "kinds", "sale"), ["yes"]),
    (("calibration", 0, 1), -1),
    (("state", "ids"), ["s0"]),
    (("state", "ids", 0), [1]),
    (("state", "ids", 0), 7),
]


@pytest.fixture(scope="module")
def saved(rich: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich") / "model"
    rich.save(folder)
    return folder


@pytest.mark.parametrize(("path", "value"), CONFIGS)
def test_a_config_that_cannot_be_is_refused(path: tuple[Any, ...], value: Any, saved: Path) -> None:
    config, tensors, files = store.load(saved)
    place: Any = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ModelFileError):
        Forecaster.restore(config, tensors, files, saved)


TENSORS: dict[str, Any] = {
    "state.next": lambda t: t[:1],
    "state.last.codes": lambda t: t + 99,
    "state.constant.numbers": lambda t: t.double(),
    "state.last.numbers": lambda t: t * float("nan"),
    "state.hidden.0": lambda t: t.half(),
    "state.tail.gap": lambda t: t - 99,
    "state.tail.squares": lambda t: t - 1e9,
    "state.tail.total": lambda t: -1 - t,
    "state.tail.level": lambda t: t * float("inf"),
    "state.tail.scale": lambda t: t * 0,
    "state.tail.lowest": lambda t: t * float("nan"),
    "state.tail.missed": lambda t: -1 - t,
    "state.tail.pairs": lambda t: t.int(),
    "state.tail.kinds": lambda t: t + 1,
    "state.tail.steps": lambda t: t + 2**60,
    "state.tail.fills": lambda t: t[:, 1:],
    "network.networks.0.gate.bias": lambda t: t * float("nan"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_cannot_be_are_refused(name: str, saved: Path) -> None:
    config, tensors, files = store.load(saved)
    with pytest.raises(ModelFileError):
        Forecaster.restore(config, tensors | {name: TENSORS[name](tensors[name])}, files, saved)


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


def test_plot(plain: Forecaster, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = plain.plot(tmp_path / "forecast.png", series=["s0"])
    assert picture is not None
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "forecast.png").read_bytes() == picture
    with pytest.raises(DataError, match="'s9' is not known"):
        plain.plot(series="s9")
    with pytest.raises(DataError, match="names none"):
        plain.plot(series=[])


def test_it_is_diagnosed(plain: Forecaster, frame: pl.DataFrame) -> None:
    found = plain.diagnose(frame)
    assert [layer.name for layer in found.layers] == ["network 1 layer 1", "network 2 layer 1"]
    assert found.sequences == 3
    assert all(0 < layer.at(5) < 100 for layer in found.layers)
    assert plain.diagnose(head(frame, 120)).to_json() == found.to_json()
    with pytest.raises(DataError, match="no series is longer than the 6 steps"):
        plain.diagnose(head(frame, 6))
    with pytest.raises(OptionError, match="Leave y out"):
        plain.diagnose(frame, "y")


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


@pytest.fixture(scope="module")
def recursive(frame: pl.DataFrame) -> Forecaster:
    options = {"past": ["heat", "shop"], "future": ["sale"], **QUICK, "epochs": 4}
    return Forecaster(horizon=6, season=12, recursive=True, paths=60, **options).fit(head(frame, 100))


def test_paths(frame: pl.DataFrame, recursive: Forecaster, tmp_path: Path) -> None:
    later = part(frame, 100, 106)
    answer = recursive.predict(future=later)
    assert answer.columns[:4] == ["unique_id", "ds", "elman", "elman-lo-80"]
    low, middle, high = (answer[name].to_numpy() for name in ("elman-lo-80", "elman", "elman-hi-80"))
    assert ((low <= middle) & (middle <= high)).all()
    assert recursive.predict(future=later).equals(answer)
    recursive.save(tmp_path / "model")
    assert elman.load(tmp_path / "model").predict(future=later).equals(answer)
    alone = recursive.predict(frame=head(frame, 100).filter(pl.col("unique_id") == "s1"), future=later)
    assert (numbers(alone) == numbers(answer)[6:12]).all(), "a series never depends on the others"
    made = recursive.cross_validation(head(frame, 106), windows=1, refit=False)
    assert np.allclose(numbers(made.drop("cutoff", "y")), numbers(answer), rtol=1e-5)
    assert recursive.update(part(frame, 100, 101)).predict(future=part(frame, 101, 107)).height == 18


def test_paths_of_a_random_walk_spread_by_the_root_of_time() -> None:
    walks = np.cumsum(np.random.default_rng(0).normal(size=(20, 80)), axis=1)
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat([f"w{i}" for i in range(20)], 80),
            "ds": np.tile(np.arange(80), 20),
            "y": walks.reshape(-1),
        }
    )
    options = {**QUICK, "epochs": 12, "experts": 1, "ensemble_size": 1, "learning_rate": 0.01}
    model = Forecaster(horizon=9, season=1, window=4, levels=[80], recursive=True, **options).fit(frame)
    answer = model.predict()
    wide = (answer["elman-hi-80"] - answer["elman-lo-80"]).to_numpy().reshape(20, 9).mean(0)
    assert 2.2 < wide[8] / wide[0] < 3.8, "3 is the root of 9"
    assert 1.8 < wide[0] < 3.6, "2.56 standard deviations of a step"


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


def test_options_of_other_libraries(frame: pl.DataFrame, tmp_path: Path) -> None:
    model = Forecaster(horizon=2, freq=np.timedelta64(1, "h"), season=4, **QUICK).fit(frame)  # type: ignore[arg-type]
    model.save(tmp_path / "model")
    assert elman.load(tmp_path / "model").freq == "3600000000us"


@pytest.mark.parametrize("levels", [[0.9], 0.95, (0.8, 0.95)])
def test_levels_that_are_shares(levels: Any, frame: pl.DataFrame) -> None:
    with pytest.raises(OptionError, match=r"are per cent. For fractions of 1 write levels = \[(80.0, )?9[05].0\]"):
        Forecaster(horizon=2, levels=levels, **QUICK).fit(frame)


def test_one_row() -> None:
    with pytest.raises(DataError, match=r"'a', has 1 step. Give longer series.$"):
        Forecaster(horizon=1, freq=1, **QUICK).fit(pl.DataFrame({"unique_id": "a", "ds": [1], "y": [1.0]}))
