"""Series from the command line: fit, predict, score."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main

QUICK = ["--epochs", "1", "--hidden", "4", "--experts", "2", "--ensemble-size", "1"]


def written(path: Path, first: int, last: int, gap: int = -1) -> Path:
    """Two series of hours; an empty cell at `gap`."""
    when = np.datetime64("2024-03-01") + np.arange(200) * np.timedelta64(1, "h")
    lines = ["unique_id,ds,y"]
    for name, size in (("north", 10), ("south", 200)):
        for t in range(first, last):
            value = "" if t == gap else f"{size * (2 + np.sin(t / 24 * 2 * np.pi)):.3f}"
            lines.append(f"{name},{when[t]},{value}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series")
    file = written(folder / "load.csv", 0, 120, gap=7)
    assert main(["fit", "forecast", str(file), "--horizon", "6", "--season", "24", "--out", f"{folder}/m", *QUICK]) == 0
    return folder / "m"


def test_fit_says_what_it_saw(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(model.parent / "load.csv")
    argv = ["fit", "forecast", file, "--horizon", "6", "--out", str(model.parent / "again"), "--json", *QUICK]
    assert main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["series"], told["steps"], told["missing"], told["distance_of_steps"]) == (2, 240, 2, "1 h")


def test_predict(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "new.csv", 10, 130)
    assert main(["predict", str(model), str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("unique_id,ds,elman,elman-lo-80")
    assert len(lines) == 1 + 2 * 6
    assert lines[1].startswith("north,2024-03-06T10,")


def test_score(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "later.csv", 120, 126)
    assert main(["score", str(model), str(file), "--baseline", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["smape"] > 0
    naive, theta = told["baselines"]
    assert (naive["name"], theta["name"]) == ("seasonal naive", "Theta")
    assert naive["mae"] < theta["mae"] < 100, "series without noise, of which the season before is the best forecast"
    assert main(["score", str(model), str(file), "--baseline"]) == 0
    shown = capsys.readouterr().out
    assert "seasonal naive" in shown
    assert "Theta" in shown


def test_score_without_the_training_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(model, tmp_path / "moved")
    file = written(tmp_path / "later.csv", 120, 126)
    assert main(["score", str(tmp_path / "moved"), str(file), "--baseline", "--json"]) == 0
    caught = capsys.readouterr()
    assert [one["name"] for one in json.loads(caught.out)["baselines"]] == ["seasonal naive", "Theta"]
    assert "the ends of the series in the state" in caught.err


def test_refused_with_the_line(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "load.csv", 0, 120)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[5] = lines[5].rsplit(",", 1)[0] + ",oops"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert main(["fit", "forecast", str(file), "--horizon", "6", "--out", str(tmp_path / "m"), *QUICK]) == 2
    said = capsys.readouterr().err
    assert "line 6" in said
    assert "'oops'" in said
    assert "column 'y'" in said


def test_duplicates_and_disorder_name_both_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = written(tmp_path / "load.csv", 0, 60).read_text(encoding="utf-8").splitlines()
    for changed, said in (
        ([*lines, lines[3]], "in line 4 of load.csv and line 122 of load.csv"),
        ([lines[0], *lines[:0:-1]], "in line 2 of load.csv to"),
        ([lines[0], "void,2024-03-01,", *lines[1:]], "load.csv: series 'void' has no value in column 'y'"),
    ):
        (tmp_path / "load.csv").write_text("\n".join(changed), encoding="utf-8")
        assert main(["fit", "forecast", "load.csv", "--horizon", "6", "--out", "m", *QUICK]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_names_of_series_keep_their_zeros(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "load.csv", 0, 60)
    text = file.read_text(encoding="utf-8").replace("north", "007").replace("south", "7")
    file.write_text(text, encoding="utf-8")
    assert main(["fit", "forecast", str(file), "--horizon", "2", "--out", str(tmp_path / "m"), *QUICK]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "m"), str(file)]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["007", "007", "7", "7"]


def test_inspect(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "load.csv", 0, 60)
    assert main(["inspect", str(model), "--data", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sequences"] == 2
    assert main(["inspect", str(model), "--data", str(file), "--target", "unique_id"]) == 2
    assert "Leave y out" in capsys.readouterr().err


def test_score_says_what_it_scored(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = str(written(tmp_path / "later.csv", 120, 150))
    assert main(["score", str(model), later]) == 0
    caught = capsys.readouterr()
    assert f"12 values of 2 series, from 2024-03-06 to 2024-03-06 05:00, of {later}" in caught.out
    assert "48 values of later.csv after the end of training were not scored: --windows 5 scores" in caught.err
    assert main(["score", str(model), later, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["values"], told["series"], told["windows"], told["rows_not_scored"]) == (12, 2, 1, 48)


@pytest.mark.parametrize("first", [0, 120])
def test_windows_are_those_of_cross_validation(
    first: int, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = str(written(tmp_path / "later.csv", first, 150))
    assert main(["score", str(model), later, "--windows", "4", "--step", "5", "--baseline", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["values"], told["windows"], told["from"]) == (2 * 21, 4, "2024-03-06 09:00")
    whole = pl.read_csv(written(tmp_path / "all.csv", 0, 150, gap=7))
    made = elman.load(model).cross_validation(whole, windows=4, step=5, refit=False)
    assert told["mae"] == pytest.approx((made["elman"] - made["y"]).abs().mean(), rel=1e-6)
    assert [one["name"] for one in told["baselines"]] == ["seasonal naive", "Theta"]
    assert all(one["mae"] >= 0 for one in told["baselines"])


def test_windows_before_the_end_of_training_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = str(written(tmp_path / "all.csv", 0, 126))
    assert main(["score", str(model), both, "--windows", "3"]) == 0
    caught = capsys.readouterr()
    assert "36 values of 2 series, 3 windows" in caught.out
    assert "24 of the values lie before the end of training" in caught.err
    for flags, said in (
        (["--windows", "40"], "but the windows reach 240 steps back"),
        (["--step", "3"], "Give --windows"),
        (["--windows", "0"], "--windows 0 must be a whole number of at least 1"),
    ):
        assert main(["score", str(model), both, *flags]) == 2
        assert said in capsys.readouterr().err
