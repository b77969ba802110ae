"""Tables from standard input, of any format, of any size; columns by number."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands import TINY, refused, said, typed
from elman.cli.main import main
from elman.io import table_parts
from elman.io.tables import read_table
from elman.tasks import load


def test_columns_by_number(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bare.csv").write_text((here / "train.csv").read_text().split("\n", 1)[1], "utf-8")
    args = ["fit", "classify", "bare.csv", "--no-header", "--target", "2", "--input", "1", "--out", "new", *TINY]
    said(capsys, *args)
    assert (load("new").input_, load("new").data_["target"]) == ("column_1", "column_2")
    answers = said(capsys, "predict", "model", "test.csv", "--input", "1")
    assert answers == said(capsys, "predict", "model", "test.csv")
    assert main(["score", "model", "test.csv", "--target", "3"]) == 2
    assert "has no column 3. The number of its columns is 2: 'review', 'label'." in capsys.readouterr().err
    assert main(["fit", "classify", "train.csv", "--target", "2", "--input", "label", "--out", "new"]) == 2
    assert "--input and --target both name the column 'label'. Name two." in capsys.readouterr().err


def test_a_name_goes_before_a_number(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "n.csv").write_text((here / "train.csv").read_text().replace("review,label", "2,1"), "utf-8")
    assert main(["fit", "classify", "n.csv", "--target", "1", "--out", "new", *TINY]) == 0
    assert load("new").data_["target"] == "1"
    assert "elman: 1 is the column of this name, not column number 1, '2'.\n" in capsys.readouterr().err


def test_standard_input_and_output(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    expected = said(capsys, "predict", "model", "test.csv")
    content = (here / "test.csv").read_bytes()
    typed(monkeypatch, content)
    assert said(capsys, "predict", "model", "-", "--format", "csv", "--out", "-") == expected
    typed(monkeypatch, content)
    assert json.loads(said(capsys, "score", "model", "-", "--format", "csv", "--json"))["file"] == "standard input"
    typed(monkeypatch, (here / "train.csv").read_bytes())
    assert "next: elman score new test.csv" in said(
        capsys, "fit", "classify", "-", "--format", "csv", "--target", "label", "--out", "new", *TINY
    )
    assert load("new").predict(["good film"]) == load("model").predict(["good film"])
    assert "does not record its training file" in refused(capsys, "score", "new", "test.csv", "--baseline")
    line = refused(capsys, "predict", "model", "-")
    assert line == "standard input has no suffix that names its format. Name it: --format csv."
    typed(monkeypatch, b"")
    assert refused(capsys, "predict", "model", "-", "--format", "csv") == "standard input is empty."


def test_formats_of_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "test").write_bytes((here / "test.csv").read_bytes())
    assert said(capsys, "predict", "model", "test", "--format", "csv") == said(capsys, "predict", "model", "test.csv")
    assert main(["predict", "model", "test.csv", "--out", "answers", "--out-format", "jsonl"]) == 0
    assert json.loads((here / "answers").read_text().splitlines()[0])["label"] == "pos"
    lines = said(capsys, "predict", "model", "test.csv", "--out-format", "tsv")
    assert lines.startswith("review\tlabel\tpredicted_label")
    assert "Name its format: --format csv." in refused(capsys, "predict", "model", "test")
    assert "Did you mean 'csv'?" in refused(capsys, "predict", "model", "test", "--format", "cvs")


@pytest.mark.parametrize("out", ["-", "a.csv", "a.jsonl.gz", "a.parquet"])
def test_large_tables_are_answered_in_parts(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any, out: str
) -> None:
    assert main(["predict", "model", "train.csv", "--out", f"whole{out}" if out != "-" else "-"]) == 0
    whole = capsys.readouterr().out
    monkeypatch.setattr(table_parts, "PART", 300)
    assert main(["predict", "model", "train.csv", "--out", out]) == 0
    assert capsys.readouterr().out == whole
    if out != "-":
        assert read_table(out).frame.equals(read_table(f"whole{out}").frame)


# -------------------------------------------------------------------------------------------- runs in a file of options


def test_config_repeats_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["fit", "classify", "train.csv", "--target", "label", "--out", "one", *TINY, "--class-weight", '{"pos": 2}']
    text = said(capsys, *args, "--print-config")
    assert text.splitlines()[:4] == ['task = "classify"', 'file = "train.csv"', 'out = "one"', 'target = "label"']
    assert 'class_weight = {"pos" = 2}' in text.splitlines()
    assert "# patience = " in text
    assert not (here / "one").exists()
    (here / "run.toml").write_text(text, "utf-8")
    said(capsys, *args)
    said(capsys, "fit", "classify", "--config", "run.toml", "--out", "two")
    weights = [(here / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    said(capsys, "fit", "classify", "--config", "run.toml", "--out", "three", "--seed", "3")
    assert (load("three").seed, load("three").hidden) == (3, 4)
    card = (here / "two" / "README.md").read_text("utf-8")
    command = "elman fit classify train.csv --target label --out two"
    (line,) = [line for line in card.splitlines() if line.startswith(command)]
    assert "--hidden 4" in line
    assert "--class-weight '{\"pos\": 2}'" in line
    shutil.rmtree(here / "two")
    said(capsys, *shlex.split(line)[1:])
    assert (here / "two" / "model.safetensors").read_bytes() == weights[0]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "epochs = 3\nepoch = 4\n",
            "line 2 of run.toml: elman fit classify has no option 'epoch'. Did you mean 'epochs'?",
        ),
        ("[training]\nepochs = 3\n", "line 1 of run.toml: elman fit classify has no option 'training'."),
        ('task = "tag"\n', "line 1 of run.toml is for elman fit tag, but the command is elman fit classify."),
        ("epochs = \n", "run.toml is no TOML: Invalid value (at line 1, column 10)."),
        ('epochs = "many"\n', "--epochs 'many' must be a whole number"),
        ("epochs = 3\n", "elman fit classify needs FILE. See elman fit classify --help."),
        ("\ufeffepochs = 1.5\n", "--epochs 1.5 must be a whole number"),
        ("epochs = 1\nresume = 3\n", "line 2 of run.toml: resume = 3 must be true or false."),
        ('verbose = "no"\n', "--verbose 'no' must be True or False"),
        ("hidden = [[1, 2], [3]]\n", "--hidden [[1, 2], [3]] must be a whole number of at least 1"),
    ],
)
def test_faults_of_a_config(here: Path, capsys: pytest.CaptureFixture[str], text: str, error: str) -> None:
    (here / "run.toml").write_text(text, "utf-8")
    more = [] if "needs" in error else ["train.csv", "--target", "label", "--out", "new"]
    assert refused(capsys, "fit", "classify", *more, "--config", "run.toml").startswith(error)
    assert "no.toml cannot be read" in refused(capsys, "fit", "classify", "--config", "no.toml")


def test_completion_of_shells(capsys: pytest.CaptureFixture[str]) -> None:
    for shell, start in (("bash", "# Bash completion"), ("zsh", "#compdef elman"), ("fish", "# Fish completion")):
        script = said(capsys, "completion", shell)
        assert script.startswith(start)
        assert "learning-rate" in script
    assert "Choose from" in refused(capsys, "completion", "cmd")
