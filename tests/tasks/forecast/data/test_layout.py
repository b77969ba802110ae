"""Layouts of frames: one series without a name, times in the index, a column for each series; answers in the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from elman.tasks.forecast.data.frame import read
from elman.tasks.forecast.data.layout import Layout
from elman.tasks.forecast.data.panel import Columns
from forecast_series import QUICK

STEPS = 40
ANSWERS = ["elman", "elman-lo-90", "elman-hi-90"]
Y = 10 + np.arange(STEPS) % 7 * 1.0


def fitted(frame: Any, **options: Any) -> Forecaster:
    return Forecaster(**{**QUICK, "horizon": 3, "season": 7, "levels": [90], "epochs": 1, **options}).fit(frame)


def days(first: int = 0, count: int = STEPS) -> Any:
    return np.datetime64("2024-01-01", "D") + np.arange(first, first + count)


def wide(first: int = 0, count: int = STEPS) -> pl.DataFrame:
    return pl.DataFrame({"ds": days(first, count), "north": Y[:count], "south": 3 * Y[:count]})


@pytest.fixture(scope="module")
def long() -> Any:
    """The answers of the same values as a long frame."""
    frame = pl.concat(
        [pl.DataFrame({"unique_id": name, "ds": days(), "y": by * Y}) for name, by in (("north", 1), ("south", 3))]
    )
    return fitted(frame).predict()


def test_one_series_without_a_name(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ds": days(), "y": Y})
    model = fitted(frame)
    answers = model.predict()
    assert answers.columns == ["ds", *ANSWERS]
    named = fitted(frame.with_columns(unique_id=pl.lit("a"))).predict()
    assert answers["elman"].to_list() == named["elman"].to_list()
    assert model.cross_validation(frame, refit=False).columns == ["ds", "cutoff", "y", *ANSWERS]
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert again.predict().equals(answers)
    assert again.predict(frame=frame).equals(answers)
    later = pl.DataFrame({"ds": days(STEPS, 4), "y": Y[:4]})
    assert again.update(later).predict()["ds"][0] == days(STEPS + 4, 1)[0].item()
    assert model.evaluate(later)["mae"] >= 0


def test_several_series_taken_for_one() -> None:
    frame = pl.DataFrame({"shop": ["a", "b"], "ds": [1, 1], "y": [1.0, 2.0]})
    said = r"twice, in row 0 and row 1 .* It has no column 'unique_id', so its rows are one series.*: id=\.\.\."
    with pytest.raises(DataError, match=said):
        read(frame, Columns())
    with pytest.raises(DataError, match=r"no column 'store'"):
        read(frame, Columns(id="store"))
    with pytest.raises(DataError, match=r"no column 'unique_id'.* Did you mean 'Unique_ID'"):
        read(frame.rename({"shop": "Unique_ID"}), Columns())


def test_times_in_the_index() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.DatetimeIndex(days(), name="when")
    frame = pandas.DataFrame({"y": Y}, index=index)
    plain = fitted(frame.rename_axis("ds").reset_index()).predict()
    for given in (frame, frame["y"], frame["y"].rename(None)):
        answers = fitted(given).predict()
        assert answers.index.name == "when"
        assert answers.reset_index(names="ds").equals(plain)
    periods = fitted(frame["y"].to_period("D")).predict().index
    assert str(periods.dtype) == "period[D]"
    assert str(periods[0]) == "2024-02-10"
    assert fitted(pandas.Series(Y)).predict().index.tolist() == [40, 41, 42]
    two = pandas.concat({"a": frame, "b": 2 * frame}, names=["unique_id"])
    answers = fitted(two).predict()
    assert answers.index.names == ["unique_id", "when"]
    assert answers.index[3][0] == "b"
    by_name = two.reset_index("when").rename(columns={"when": "ds"})
    assert fitted(by_name).predict().index.tolist() == ["a"] * 3 + ["b"] * 3
    with pytest.raises(DataError, match=r"index of 2 levels, of which 'shop' is neither .*frame.reset_index\(\)"):
        fitted(two.rename_axis(["shop", "when"]))


@pytest.mark.parametrize("library", ["polars", "pandas", "index", "numbers", "pyarrow"])
def test_a_column_for_each_series(long: Any, library: str, tmp_path: Path) -> None:
    names: list[Any] = [0, 1] if library == "numbers" else ["north", "south"]
    frame: Any = wide()
    if library == "pyarrow":
        frame = pytest.importorskip("pyarrow").table({name: frame[name].to_numpy() for name in frame.columns})
    elif library != "polars":
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
        frame = frame if library == "pandas" else frame.set_index("ds")
        frame = frame.set_axis(names, axis=1) if library == "numbers" else frame
    model = fitted(frame, wide=True)
    model.save(tmp_path / "m")
    answers = elman.load(tmp_path / "m").predict()
    columns = [name for one in names for name in (one, f"{one}-lo-90", f"{one}-hi-90")]
    columns = columns if library in ("index", "numbers") else ["ds", *columns]
    assert list(getattr(answers, "column_names", None) or answers.columns) == columns
    for name, one in zip(("north", "south"), names, strict=True):
        expected = long.filter(pl.col("unique_id") == name)
        for end in ("", "-lo-90", "-hi-90"):
            key = f"{one}{end}" if end else one
            assert np.array(answers[key]).tolist() == expected[f"elman{end}"].to_list()


def test_wide_frames_later_and_covariates_of_all_series() -> None:
    model = fitted(wide(), wide=True)
    model.update(wide(STEPS, 2)[["ds", "north"]])
    answers = model.predict()
    assert answers["ds"].to_list() == days(STEPS, 5).tolist()
    assert answers["south"].is_nan().to_list() == [False] * 3 + [True] * 2
    assert answers["north"].is_nan().to_list() == [True] * 2 + [False] * 3
    with_heat = wide().with_columns(heat=pl.Series(np.sin(np.arange(STEPS))))
    model = fitted(with_heat, wide=True, future="heat")
    coming = pl.DataFrame({"ds": days(STEPS, 3), "heat": [0.0, 1.0, 2.0]})
    assert model.predict(future=coming).columns[:2] == ["ds", "north"]
    assert model.state_.ids == ["north", "south"]
    later = wide(STEPS, 3).with_columns(heat=1.0)
    assert model.evaluate(later)["mae"] >= 0
    assert model.evaluate_naive(later)["mae"] >= 0
    several = pl.concat([with_heat.rename({"north": "y"}).with_columns(unique_id=pl.lit(name)) for name in "ab"])
    assert len(fitted(several, future="heat").predict(future=coming)) == 6, "a frame without names holds for all"


def test_wide_frames_that_cannot_be_read() -> None:
    with pytest.raises(DataError, match="row 3 is 'x', where a number was expected"):
        fitted(pl.DataFrame({"ds": range(4), "a": range(4), "b": [None, None, None, "x"]}), wide=True)
    with pytest.raises(DataError, match=r"column 'south', row 2 \(series 'south'\) is 0, but log = True"):
        fitted(wide().with_columns(south=pl.Series([*([1.0] * 2), 0.0, *([1.0] * (STEPS - 3))])), wide=True, log=True)
    with pytest.raises(DataError, match="has no column beside 'ds'"):
        fitted(wide()[["ds"]], wide=True)
    with pytest.raises(DataError, match=r"no column 'y'.*for a column of each series: wide=True"):
        fitted(wide())
    with pytest.raises(OptionError, match="static = 'z' cannot stand in a wide frame"):
        fitted(wide(), wide=True, static="z")
    with pytest.raises(OptionError, match="wide = 1 must be True or False"):
        fitted(wide(), wide=1)
    with pytest.raises(ValueError, match="layout"):
        Layout.restore([True, False, ["ds"], []])


@pytest.mark.parametrize("kind", ["long", "numbers", "wide"])
def test_a_vector_for_each_series(kind: str, tmp_path: Path) -> None:
    names: list[Any] = [7, 11] if kind == "numbers" else ["north", "south"]
    parts = [
        pl.DataFrame({"unique_id": name, "ds": days(), "y": by * Y}) for name, by in zip(names, (1, 3), strict=True)
    ]
    frame = wide() if kind == "wide" else pl.concat(parts)
    model = fitted(frame, static="unique_id", wide=kind == "wide")
    assert model.covariates_.kinds == {"unique_id": sorted(map(str, names))}
    answers = model.predict()
    model.save(tmp_path / "m")
    assert elman.load(tmp_path / "m").predict().equals(answers)
    if kind == "long":
        other = frame.with_columns(unique_id=pl.lit("east") + pl.col("unique_id"))
        assert not model.predict(frame=other)["elman"].is_nan().any(), "unknown names"
        assert model.predict(frame=frame).equals(answers)
        assert model.update(other).predict()["elman"].len() == 12
    with pytest.raises(OptionError, match="names 'unique_id' again"):
        fitted(frame, past="unique_id")
    with pytest.raises(OptionError, match="names 'unique_id' again"):
        fitted(frame, static=["unique_id", "unique_id"])


@pytest.mark.parametrize("kind", ["one", "wide"])
def test_on_the_command_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = wide().rename({"ds": "date"}).with_columns(heat=pl.Series(np.arange(STEPS) % 3))
    frame = frame if kind == "wide" else frame.drop("south")
    quick = ["--horizon", "3", "--epochs", "1", "--hidden", "4", "--experts", "2", "--ensemble-size", "1"]
    flags = ["--wide"] if kind == "wide" else ["--target", "north"]
    frame.write_csv(tmp_path / "load.csv")
    argv = ["fit", "forecast", f"{tmp_path}/load.csv", "--time", "date", "--future", "heat", "--out", f"{tmp_path}/m"]
    assert main([*argv, "--levels", "90", *flags, *quick]) == 0
    blank = pl.DataFrame({"date": days(STEPS, 3), "heat": [0, 1, 2]})
    pl.concat([frame, blank], how="diagonal").write_csv(tmp_path / "new.csv")
    capsys.readouterr()
    assert main(["predict", f"{tmp_path}/m", f"{tmp_path}/new.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = "date,north,north-lo-90,north-hi-90,south" if kind == "wide" else "date,elman,elman-lo-90"
    assert lines[0].startswith(head)
    assert [line[:10] for line in lines[1:]] == ["2024-02-10", "2024-02-11", "2024-02-12"]
