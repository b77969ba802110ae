"""Forecasts from kept ends, updates and pictures on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main

QUICK = ["--epochs", "1", "--hidden", "4", "--experts", "2", "--ensemble-size", "1"]


def written(path: Path, first: int, last: int, blank: int = 10**9) -> Path:
    """Two series of hours with a covariate known ahead; no values from step `blank` on."""
    when = np.datetime64("2024-03-01") + np.arange(200) * np.timedelta64(1, "h")
    lines = ["unique_id,ds,y,sale"]
    for name, size in (("north", 10), ("south", 200)):
        for t in range(first, last):
            value = f"{size * (2 + np.sin(t / 24 * 2 * np.pi)):.3f}" if t < blank else ""
            lines.append(f"{name},{when[t]},{value},{t % 3}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plain")
    argv = ["fit", "forecast", str(written(folder / "load.csv", 0, 120)), "--horizon", "6", "--season", "24"]
    assert main([*argv, "--out", f"{folder}/m", *QUICK]) == 0
    return f"{folder}/m"


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ahead")
    argv = ["fit", "forecast", str(written(folder / "load.csv", 0, 120)), "--horizon", "6", "--season", "24"]
    assert main([*argv, "--future", "sale", "--out", f"{folder}/m", *QUICK]) == 0
    return f"{folder}/m"


def answers(argv: list[str], tmp_path: Path) -> pl.DataFrame:
    assert main([*argv, "--out", str(tmp_path / "out.parquet")]) == 0
    return pl.read_parquet(tmp_path / "out.parquet")


def test_predict_without_a_file(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = answers(["predict", plain], tmp_path)
    assert kept.equals(elman.load(plain).predict())
    assert answers(["predict", plain, "--horizon", "2"], tmp_path).height == 4
    assert main(["predict", plain]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 12
    shares = answers(["predict", plain, "--quantiles", "0.1,0.5"], tmp_path)
    assert shares.columns[-2:] == ["elman-q-0.1", "elman-q-0.5"]
    assert main(["predict", plain, "--quantiles", "low"]) == 2
    assert "Write --quantiles 0.1,0.5,0.9" in capsys.readouterr().err
    assert main(["predict", plain, "--horizon", "9"]) == 2
    assert "from 1 to 6" in capsys.readouterr().err


def test_new_rows_continue_the_series(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, whole = written(tmp_path / "new.csv", 118, 130), written(tmp_path / "all.csv", 0, 130)
    warm = answers(["predict", plain, str(new)], tmp_path)
    assert "north, south are forecast from the end of what the model knows, with 20 newer" in capsys.readouterr().err
    assert "4 values up to there are skipped" not in warm.columns
    later = elman.load(plain).update(pl.read_csv(written(tmp_path / "later.csv", 120, 130)))
    assert warm.equals(later.predict()), "as after update"
    assert warm.equals(answers(["predict", plain, str(whole), "--cold"], tmp_path)), "as from the whole series"
    assert not warm.equals(answers(["predict", plain, str(new), "--cold"], tmp_path))
    old = written(tmp_path / "old.csv", 0, 90)
    cold = answers(["predict", plain, str(old)], tmp_path)
    assert "from the rows of the table alone" in capsys.readouterr().err
    assert cold.equals(answers(["predict", plain, str(old), "--cold"], tmp_path))


def test_future_covariates(ahead: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coming = written(tmp_path / "coming.csv", 120, 126, blank=120)
    kept = answers(["predict", ahead, "--future", str(coming)], tmp_path)
    assert kept.height == 12
    assert kept.equals(answers(["predict", ahead, str(coming)], tmp_path)), "a file without values holds what is ahead"
    both = written(tmp_path / "both.csv", 120, 136, blank=130)
    more = written(tmp_path / "more.csv", 130, 136, blank=130)
    warm = answers(["predict", ahead, str(both)], tmp_path)
    values = written(tmp_path / "values.csv", 120, 130)
    assert warm.equals(answers(["predict", ahead, str(values), "--future", str(more)], tmp_path))
    assert main(["predict", ahead]) == 2
    assert "sale" in capsys.readouterr().err
    assert main(["score", ahead, str(values), "--future", str(written(tmp_path / "f.csv", 120, 126)), "--json"]) == 0


def test_update(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, moved = written(tmp_path / "new.csv", 110, 130), str(tmp_path / "moved")
    before = answers(["predict", plain], tmp_path)
    assert main(["update", plain, str(new), "--out", moved]) == 0
    assert "20 newer values of 2 series; 20 values up to the known ends are skipped" in capsys.readouterr().out
    assert answers(["predict", plain], tmp_path).equals(before), "the model stays as it is"
    assert answers(["predict", moved], tmp_path).equals(answers(["predict", plain, str(new)], tmp_path))
    assert main(["update", moved, str(new)]) == 2
    assert "holds nothing new: series 'north' is known up to ds = 2024-03-06 09" in capsys.readouterr().err
    assert main(["update", moved, str(written(tmp_path / "next.csv", 130, 131)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["values_read"], told["series"], told["values_skipped"]) == (2, 2, 0)
    assert main(["score", moved, str(written(tmp_path / "test.csv", 131, 137)), "--baseline"]) == 0
    assert "Theta reads only" not in capsys.readouterr().err, "the training file is found from the new folder"


def test_plot(plain: str, ahead: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture, later = tmp_path / "f.png", str(written(tmp_path / "later.csv", 120, 126))
    seen = set()
    for argv in (["plot", plain], ["plot", plain, later], ["plot", plain, "--series", "south"], ["plot", ahead, later]):
        assert main([*argv, "--out", str(picture)]) == 0
        seen.add(picture.read_bytes())
    assert len(seen) == 4
    assert main(["plot", ahead, "--future", later, "--out", str(picture), "--json"]) == 0
    assert main(["plot", plain, "--series", "east", "--out", str(picture)]) == 2
    assert "'east' is not known" in capsys.readouterr().err


def test_refused_for_other_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str], plain: str) -> None:
    model, later = str(tmp_path / "texts"), str(written(tmp_path / "later.csv", 120, 126))
    elman.Classifier(epochs=1, hidden=4, verbose=False).fit(["good", "bad"] * 4, [1, 0] * 4).save(model)
    for argv, said in (
        (["predict", model], "elman predict needs FILE."),
        (["predict", model, later, "--cold"], "which forecasts nothing. Leave --cold out."),
        (["score", model, later, "--future", later], "Leave --future out."),
        (["update", model, later], "keeps no ends of series"),
        (["plot", model, "--out", str(tmp_path / "x.png")], "keeps no ends of series"),
        (["plot", plain, "--out", str(tmp_path / "x.pdf")], "drawn as a PNG"),
        (["stream", plain], "elman update MODEL FILE"),
    ):
        assert main(argv) == 2, argv
        assert said in capsys.readouterr().err


def test_anomalies_and_errors_by_step(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = written(tmp_path / "all.csv", 0, 130)
    made = answers(["predict", plain, str(whole), "--anomalies", "95"], tmp_path)
    assert made.columns[-3:] == ["elman-lo-95", "elman-hi-95", "anomaly"]
    assert "of 258 values" in capsys.readouterr().err
    for argv, said in (
        (["predict", plain, "--anomalies", "95"], "Name one."),
        (["predict", plain, str(whole), "--anomalies", "42"], "those learnt are 80, 90, 95"),
    ):
        assert main(argv) == 2
        assert said in capsys.readouterr().err
    later = str(written(tmp_path / "later.csv", 120, 130))
    assert main(["score", plain, later, "--by-step"]) == 0
    assert "by step ahead" in capsys.readouterr().out
    assert main(["score", plain, later, "--windows", "2", "--step", "2", "--by-step", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in told["steps"]] == [1, 2, 3, 4, 5, 6]
