"""Series from the command line: fit, predict, score."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from elman.cli import main

QUICK = ["--epochs", "1", "--hidden", "4", "--experts", "2", "--members", "1"]


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
    assert "kept ends of the series only" in caught.err


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
        ([lines[0], "void,2024-03-01,", *lines[1:]], "error: series 'void' has no value in column 'y'"),
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
