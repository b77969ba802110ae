"""The command line: every verb from end to end, every refusal as one exact line, and nothing outside --out."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from commands import ROWS, TINY, refused, said, typed, write
from elman.cli.flags import field_comments
from elman.cli.main import main
from elman.errors import ModelFileError, TrainingError
from elman.io import model_folder as store
from elman.tasks import TASKS, Classifier, load
from elman.tasks.classify.table import ClassifyTable
from elman.training import loop as train


def elman(*argv: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "elman", *argv], capture_output=True, check=False, **more)


# ---------------------------------------------------------------------------------------------------------------- fit


def test_flags_are_the_fields_with_their_comments(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    for verb, task in TASKS.items():
        text = said(capsys, "fit", verb, "--help")
        comments = field_comments(task)
        for field in (field for field in dataclasses.fields(task) if field.metadata.get("flag", True)):
            assert f"--{field.name.replace('_', '-')}" in text, field.name
            assert comments[field.name][1], f"{task.__name__}.{field.name} has no comment"
            assert comments[field.name][1] in text, field.name


def test_fit_says_what_it_did(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "fit", "classify", "train.csv", "--target", "label", "--out", "new", *TINY)
    assert out.splitlines()[0] == "120 sequences, 2 classes; text as words, 16 of 16 kept"
    assert "saved in new" in out
    assert sorted(p.name for p in here.iterdir()) == ["model", "new", "test.csv", "train.csv"]
    assert not (here / "new" / store.CHECKPOINT).exists()


def test_fit_json_is_one_object(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "fit", "classify", "train.csv", "--target", "label", "--out", "new", "--json", *TINY)
    result = json.loads(out)
    assert result["classes"] == ["neg", "pos"]
    assert result["epochs"] == result["best_epoch"] == 1


def test_fit_equals_python(here: Path) -> None:
    frame = pl.read_csv("train.csv")
    clf = Classifier(hidden=4, embed=4, epochs=1, verbose=False).fit(
        frame["review"].to_list(), frame["label"].to_list()
    )
    assert (load("model").predict_proba(["good film"]) == clf.predict_proba(["good film"])).all()


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        (["--hidden", "4,3"], "hidden", [4, 3]),
        (["--hidden", "[4, 3]"], "hidden", [4, 3]),
        (["--class-weight", "balanced"], "class_weight", "balanced"),
        (["--class-weight", '{"pos": 2, "neg": 1}'], "class_weight", {"pos": 2, "neg": 1}),
        (["--patience", "none"], "patience", None),
        (["--bidirectional"], "bidirectional", True),
        (["--batch_steps", "64"], "batch_steps", 64),
        (["--no-lower"], "lower", False),
    ],
)
def test_option_values(here: Path, flags: list[str], name: str, value: object) -> None:
    base = ["fit", "classify", "train.csv", "--target", "label", "--out", "new", "--embed", "4", "--epochs", "1"]
    tiny = [] if name == "hidden" else ["--hidden", "4"]
    assert main([*base, *tiny, *flags]) == 0
    assert getattr(load("new"), name) == value


def test_model_is_replaced(here: Path) -> None:
    before = (here / "model" / "config.json").read_bytes()
    assert main(["fit", "classify", "train.csv", "--target", "label", "--out", "model", "--seed", "5", *TINY]) == 0
    assert (here / "model" / "config.json").read_bytes() != before


# ----------------------------------------------------------------------------------------------------- predict, score


def test_predict_adds_columns(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "predict", "model", "test.csv")
    assert out.splitlines()[0] == "review,label,predicted_label,probability_neg,probability_pos"
    assert main(["predict", "model", "test.csv", "--out", "answers.jsonl"]) == 0
    rows = [json.loads(line) for line in (here / "answers.jsonl").read_text().splitlines()]
    assert [row["review"] for row in rows] == [text for text, _ in ROWS[:10]]
    assert rows[0]["predicted_label"] in ("pos", "neg")
    assert rows[0]["probability_pos"] + rows[0]["probability_neg"] == pytest.approx(1)
    assert said(capsys, "predict", "model", "test.csv", "--json") == (here / "answers.jsonl").read_text()


def test_predict_refuses_to_overwrite_a_column(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "model", "test.csv", "--out", "once.csv"]) == 0
    line = refused(capsys, "predict", "model", "once.csv")
    assert line == "once.csv already has a column 'predicted_label'. Rename it or leave it out."


def test_score(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads(said(capsys, "score", "model", "test.csv", "--baseline", "--json"))
    assert result["sequences"] == 10
    assert [score["label"] for score in result["classes"]] == ["neg", "pos"]
    assert [linear_baseline["name"] for linear_baseline in result["baselines"]] == [
        "TF-IDF + logistic regression",
        "the commonest class",
    ]
    assert result["baselines"][0]["accuracy"] == 1.0
    assert "TF-IDF + logistic regression" in said(capsys, "score", "model", "test.csv", "--baseline")


def test_score_reports_every_class(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "score", "model", "test.csv", "--picture", "scores.png")
    assert all(part in text for part in ("ROC area", "true \\ answered", "expected calibration error"))
    assert (here / "scores.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads(said(capsys, "score", "model", "test.csv", "--json"))
    assert {"roc_area", "pr_area", "expected_calibration_error", "confusion", "reliability"} <= result.keys()
    assert sum(cell["count"] for cell in result["confusion"]) == 10


def test_likeliest_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        json.loads(line) for line in said(capsys, "predict", "model", "test.csv", "--top", "1", "--json").splitlines()
    ]
    assert list(rows[0]) == ["review", "label", "predicted_label", "predicted_label_1", "probability_1"]
    assert all(row["predicted_label"] == row["predicted_label_1"] and row["probability_1"] >= 0.5 for row in rows)


def test_threshold(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for threshold, answer in (("1e-9", "pos"), ("1", "neg"), ('{"neg": 1e-9}', "neg")):
        text = said(capsys, "predict", "model", "test.csv", "--threshold", threshold, "--json")
        assert {json.loads(line)["predicted_label"] for line in text.splitlines()} == {answer}
        result = json.loads(said(capsys, "score", "model", "test.csv", "--threshold", threshold, "--json"))
        assert result["accuracy"] == 0.5
    names = ["--input", "review", "--target", "label", "--out", "chosen"]
    text = said(capsys, "fit", "classify", "train.csv", *names, *TINY, "--threshold", "f1")
    assert "2 classes, 'pos' from a probability of" in text
    as_fitted = said(capsys, "predict", "chosen", "test.csv")
    number = str(load("chosen").threshold_)
    assert said(capsys, "predict", "chosen", "test.csv", "--threshold", number) == as_fitted
    likeliest = said(capsys, "predict", "chosen", "test.csv", "--threshold", "none")
    assert likeliest == said(capsys, "predict", "chosen", "test.csv", "--threshold", "0.5")


def test_rival_learns_from_the_same_file_or_not_at_all(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    advice = "The baseline must be trained on the same rows: name the file with --train FILE."
    (here / "train.csv").rename(here / "moved.csv")
    line = refused(capsys, "score", "model", "test.csv", "--baseline")
    assert line == f"train.csv, the training file of model, does not exist. {advice}"
    said(capsys, "score", "model", "test.csv", "--train", "moved.csv")
    write(here / "train.csv", ROWS[:50])
    line = refused(capsys, "score", "model", "test.csv", "--baseline")
    assert line == f"train.csv has changed since model was trained on it. {advice}"


def test_labels_that_are_numbers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbered = [json.dumps({"text": text, "y": int(label == "pos")}) for text, label in ROWS]
    (here / "n.jsonl").write_text("\n".join(numbered))
    assert main(["fit", "classify", "n.jsonl", "--target", "y", "--out", "n", *TINY]) == 0
    write(here / "n.csv", [(text, str(int(label == "pos"))) for text, label in ROWS[:9]], "text,y")
    capsys.readouterr()
    assert json.loads(said(capsys, "score", "n", "n.csv", "--json"))["sequences"] == 9


@pytest.mark.parametrize("kind", ["tokens", "numbers"])
def test_lists(here: Path, capsys: pytest.CaptureFixture[str], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"tokens": ["a", "b c"], "numbers": [0.5, 1.5]}[kind]
    rows = [json.dumps({"x": steps * (1 + i % 2), "y": "ab"[i % 2]}) for i in range(60)]
    (here / "x.jsonl").write_text("\n".join(rows))
    assert main(["fit", "classify", "x.jsonl", "--target", "y", "--out", "lists", *TINY]) == 0
    capsys.readouterr()
    assert json.loads(said(capsys, "score", "lists", "x.jsonl", "--baseline", "--json"))["sequences"] == 60
    assert json.loads(said(capsys, "predict", "lists", "x.jsonl").splitlines()[0])["x"] == steps
    fed = {"tokens": 'a\n["b c", "a"]\n', "numbers": "0.5\n0.5, 1.5\n"}[kind]
    typed(monkeypatch, fed.encode())
    lines = said(capsys, "stream", "lists", "--json").splitlines()
    assert [json.loads(line)["steps"] for line in lines] == [1, 3]


# ------------------------------------------------------------------------------------------------------------ regress


def wear(place: Path) -> Path:
    """Series of unequal length with their sum, another number, a kind and an age, some of them missing."""
    rows = []
    for i in range(60):
        series = [((i * 7 + j * 3) % 11) / 5 - 1 for j in range(1 + i % 5)]
        sums = {"hours": None if i == 3 else sum(series), "more": float(i)}
        rows.append({"x": series, "kind": "ab"[i % 2], "age": None if i % 9 == 0 else i, **sums})
    path = place / "wear.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_regress(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    wear(here)
    flags = ["--input", "x", "--target", "hours", "--out", "sums", *TINY]
    first, *_ = said(capsys, "fit", "regress", "wear.jsonl", *flags).splitlines()
    assert first == "60 sequences, 1 number for each sequence; numbers, 1 column, scaled to mean 0 and deviation 1"
    answers = [json.loads(line) for line in said(capsys, "predict", "sums", "wear.jsonl").splitlines()]
    assert answers[0]["predicted_hours"] == pytest.approx(load("sums").predict([answers[0]["x"]])[0])
    result = json.loads(said(capsys, "score", "sums", "wear.jsonl", "--baseline", "--json"))
    assert {"mae", "rmse", "r2"} <= set(result)
    assert [linear_baseline["name"] for linear_baseline in result["baselines"]] == [
        "summary statistics + ridge regression",
        "the mean",
    ]
    assert result["baselines"][0]["r2"] > 0.6
    assert result["baselines"][1]["r2"] == pytest.approx(0.0, abs=1e-9)
    typed(monkeypatch, b"0.5\n0.25\n")
    lines = [json.loads(line) for line in said(capsys, "stream", "sums", "--json").splitlines()]
    assert lines[1]["value"] == pytest.approx(load("sums").predict([[0.5, 0.25]])[0])


def test_several_columns_and_targets(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    wear(here)
    flags = ["--target", "hours,more", "--features", '{"kind": "category"}', "--out", "both", *TINY]
    result = json.loads(said(capsys, "fit", "regress", "wear.jsonl", "--json", *flags))
    assert result["targets"] == 2
    assert "kind: category, 2 kinds: 'a', 'b'" in result["input"]
    assert list(load("both").feature_.kinds) == ["x", "kind", "age"]
    answers = json.loads(said(capsys, "predict", "both", "wear.jsonl").splitlines()[0])
    assert {"predicted_hours", "predicted_more"} <= set(answers)
    result = json.loads(said(capsys, "score", "both", "wear.jsonl", "--baseline", "--json"))
    assert {"mae", "mae hours", "r2 more"} <= set(result)
    assert result["baselines"][0]["name"] == "all columns + ridge regression"
    typed(monkeypatch, b"0.5\n")
    assert said(capsys, "stream", "both", "--static", '{"age": 3}').startswith("hours ")
    assert refused(capsys, "stream", "both", "--static", "3").startswith("--static '3' is no JSON object")


def test_inspect_reads_targets_as_score_does(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers of a CSV file, several targets, and several kinds of them."""
    (here / "t.csv").write_text(
        "text,price,mood\n" + "".join(f"a film {i},{i % 5}.5,{'xy'[i % 2]}\n" for i in range(20))
    )
    for verb, target in (("regress", "price"), ("multitask", "price,mood")):
        said(capsys, "fit", verb, "t.csv", "--input", "text", "--target", target, "--out", "p", *TINY)
        true = json.loads(said(capsys, "inspect", "p", "--data", "t.csv", "--json"))
        assert true["layers"]
        assert json.loads(said(capsys, "inspect", "p", "--data", "t.csv", "--target", target, "--json")) == true
        shutil.rmtree(here / "p")


def test_csv_has_no_types(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{words} film {i},{i},{i % 3}.5,{i % 2}" for i in range(40) for words in ("good", "bad")]
    (here / "t.csv").write_text("\n".join(["text,size,price,label", *rows]))
    said(capsys, "fit", "classify", "t.csv", "--target", "label", "--out", "t", *TINY)
    assert load("t").feature_.kinds == {"text": "text", "size": "number", "price": "number"}
    assert json.loads(said(capsys, "score", "t", "t.csv", "--baseline", "--json"))["sequences"] == 80
    said(capsys, "fit", "regress", "t.csv", "--input", "text", "--target", "price", "--out", "p", *TINY)
    (here / "u.csv").write_text("text,price\na film,much\n")
    assert (
        refused(capsys, "score", "p", "u.csv")
        == "line 2 of u.csv, column 'price' is 'much', where a number was expected."
    )
    (here / "v.csv").write_text("text,size,price\na film,big,1\n")
    assert (
        refused(capsys, "predict", "t", "v.csv")
        == "line 2 of v.csv, column 'size' is 'big', where a number was expected."
    )


# -------------------------------------------------------------------------------------------------------------- errors

FIT = ["fit", "classify", "bad.csv", "--input", "review", "--target", "label", "--out", "new"]
FILE_ERRORS = {
    "empty": (b"", "bad.csv is empty."),
    "only a header": (b"review,label\n", "bad.csv has a header and no rows."),
    "wrong column": (
        b"reviews,label\na,b\n",
        "bad.csv has no column 'review'. Did you mean 'reviews'? Its columns: reviews, label.",
    ),
    "ragged": (
        b"review,label\na,b\nc\n",
        "line 3 of bad.csv: 1 cell, but the header has 2. A cell with a comma in it stands in quotation marks.",
    ),
    "not UTF-8": (
        b"review,label\na,b\n\xe9t\xe9,b\n",
        "line 3 of bad.csv: byte 1 of the line, 0xe9, is not UTF-8. Save the file as UTF-8.",
    ),
    "missing text": (
        b'review,label\n"a\nb",x\n,y\n',
        "line 4 of bad.csv, column 'review' is missing. Drop the row, or write \"\" for an empty text.",
    ),
    "missing label": (
        b"review,label\na,x\nb,\n",
        "line 3 of bad.csv, column 'label' is missing. Every row needs a label: write one or drop the row.",
    ),
    "one class": (
        b"review,label\na,x\nb,x\n",
        "bad.csv, column 'label': every row has the label 'x'. Telling apart needs two labels at least.",
    ),
    "no label twice": (
        b"review,label\na,x\nb,y\nc,z\n",
        (
            "bad.csv, column 'label': no two rows have the same label, so there is nothing to learn. "
            "Is --target the right column?"
        ),
    ),
}


@pytest.mark.parametrize("fault", FILE_ERRORS)
def test_a_bad_file_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    content, line = FILE_ERRORS[fault]
    (here / "bad.csv").write_bytes(content)
    assert refused(capsys, *FIT) == line
    assert not (here / "new").exists()


def test_no_such_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, *FIT[:2], "trian.csv", *FIT[3:]) == "no such file: trian.csv. Did you mean 'train.csv'?"


def test_unknown_label(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "test.csv", [("good", "pos"), ("so so", "meh")])
    line = refused(capsys, "score", "model", "test.csv")
    assert line == "line 3 of test.csv, column 'label' is 'meh', which model never learnt. It knows 'neg', 'pos'."


def test_missing_label_at_score_time(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "test.csv", [("good", "pos"), ("so so", "")])
    line = refused(capsys, "score", "model", "test.csv")
    assert line == "line 3 of test.csv, column 'label' is missing. Every row needs a label: write one or drop the row."


def test_a_fault_within_a_sequence_has_its_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"x": [1.0, 2.0], "y": "a"}, {"x": [1.0, 9e99], "y": "b"}, {"x": [2.0], "y": "b"}]
    (here / "bad.jsonl").write_text("\n".join(map(json.dumps, rows)).replace("9e+99", "1e999"))
    line = refused(capsys, "fit", "classify", "bad.jsonl", "--target", "y", "--out", "new")
    assert line.startswith("line 2 of bad.jsonl, step 1 is"), line


MISUSE = {
    ("fti",): 'unknown command "fti". Did you mean "fit"?',
    ("fit", "clasify"): 'unknown command "clasify". Did you mean "classify"?',
    ("fit", "classify", "train.csv", "--target", "label"): "elman fit classify needs --out.",
    ("fit", "classify", "train.csv", "--outt", "x", "--target", "label"): "unknown option: --outt. Did you mean --out?",
    ("score", "model"): "elman score needs FILE.",
    ("predict", "model", "test.csv", "--otu", "x"): "unknown option: --otu. Did you mean --out?",
    ("predict", "model", "a b", "c"): "unexpected argument: 'c'.",
    (*FIT, "--epochs", "many"): "invalid value for --epochs: 'many' is no whole number.",
    (*FIT, "--epochs", "1.5"): "invalid value for --epochs: '1.5' is no whole number.",
    ("predict", "model", "test.csv", "--top", "1.5"): "invalid value for --top: '1.5' is no whole number.",
    ("explain", "model", "test.csv", "--row", "1.5"): "invalid value for --row: '1.5' is no whole number.",
    ("generate", "model", "--no-repeat", "1.5"): "invalid value for --no-repeat: '1.5' is no whole number.",
    (*FIT, "--epochs", "-1"): "--epochs -1 must be a whole number of at least 0",
    (*FIT, "--cell", "lstn"): "--cell 'lstn' must be one of",
    ("predict", "nowhere", "test.csv"): "nowhere does not exist. Give the folder that a model was saved to.",
    ("predict", ".", "test.csv"): ". has no config.json, so it is not a model folder.",
    ("predict", "test.csv", "model"): "test.csv is a file, not a folder.",
    ("predict", "model", "test.csv", "--out", "a.xlsx"): "a.xlsx: the suffix .xlsx is no table this package knows.",
    ("predict", "model", "test.csv", "--out", "no/a.csv"): "no/a.csv cannot be written: No such file or directory.",
    (*FIT[:4], "label", *FIT[5:]): "--input and --target both name the column 'label'. Name two.",
    (*FIT, "--resume", "--restart"): "--resume continues a run and --restart discards it. Give one of them.",
    ("fit", "classify", "train.csv", "--target", "label", "--out", "model", "--resume"): "model holds a finished model",
    ("predict", "model", "test.csv", "--out", "model/a.csv"): "model/a.csv lies within the model",
    (*FIT[:-1], "model/deep/new"): "model/deep/new lies within the model",
    ("demo", "--out", "model/new"): "model/new lies within the model",
    (*FIT, "--hidden", "1048576"): "no such file: bad.csv",
    (*FIT, "--hidden", "99999999"): "--hidden 99999999 must be at most 1048576",
    (
        "fit",
        "classify",
        "train.csv",
        "--input",
        "review,review",
        *FIT[5:],
    ): "train.csv, column 'review' is named twice. Name each column once.",
    (*FIT, "--hidden", "4", "--hidden", "5"): "--hidden was given twice. Separate several values by commas.",
    (*FIT, "--hidden", str(10**30)): f"--hidden {10**30} must be at most 1048576",
    (*FIT, "--kernel", str(10**30)): f"--kernel {10**30} must be at most 1048576",
    ("predict", "model", "test.csv", "--threshold", "2"): "--threshold 2 must be a number above 0 and up to 1",
    (
        "predict",
        "model",
        "test.csv",
        "--threshold",
        "x",
    ): "--threshold 'x' must be None, a number, a dict from class to",
    ("predict", "model", "test.csv", "--top", "0"): "--top 0 must be a whole number of at least 1",
    ("score", "model", "test.csv", "--picture", "a.jpg"): "--picture a.jpg is drawn as a PNG. Call it a.png.",
    ("score", "model", "test.csv", "--picture", "no/a.png"): "--picture no/a.png: there is no folder",
    ("score", "model", "test.csv", "--picture", "model/a.png"): "model/a.png lies within the model",
    (*FIT, "--threshold", "2"): "--threshold 2 must be a number above 0 and up to 1",
    ("demo", "--limit", "3"): "limit = 3 must be at least 20",
    ("demo", "--data", "train.csv"): "--data needs --input and --target",
}


@pytest.mark.parametrize("argv", MISUSE, ids=" ".join)
def test_misuse_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    assert refused(capsys, *argv).startswith(MISUSE[argv])


def test_a_place_for_answers_is_looked_at_before_they_are_made(here: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(ClassifyTable, "answer_table", lambda *_: pytest.fail("hours of work for nothing"))
    for out, message in {
        "a.xlsx": "a.xlsx: the suffix",
        "no/a.csv": "no/a.csv cannot",
        "here.csv": "here.csv can",
    }.items():
        (here / "here.csv").mkdir(exist_ok=True)
        assert refused(capsys, "predict", "model", "test.csv", "--out", out).startswith(message)


def test_out_that_is_no_model_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "new").mkdir()
    (here / "new" / "thesis.txt").write_text("years of work")
    line = refused(capsys, *FIT)
    assert "new exists and is not a model folder: thesis.txt." in line
    assert [p.name for p in (here / "new").iterdir()] == ["thesis.txt"]
    assert "exists and is a file" in refused(capsys, *FIT[:-1], "train.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_out_that_cannot_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "locked").mkdir(mode=0o555)
    assert "cannot be written" in refused(capsys, *FIT[:-1], "locked/new")


def test_out_below_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "train.csv/new cannot be written" in refused(capsys, *FIT[:-1], "train.csv/new")


def test_debug_shows_where(here: Path) -> None:
    with pytest.raises(ModelFileError):
        main(["predict", "nowhere", "test.csv", "--debug"])


def test_a_fault_of_ours_says_so(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(Classifier, "predict_proba", lambda *_: 1 / 0)
    line = refused(capsys, "predict", "model", "test.csv", code=1)
    assert line.startswith("a fault in elman itself (ZeroDivisionError: division by zero).")


def test_a_message_cannot_move_the_cursor(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in refused(capsys, "predict", "\x1b[2J\nx", "test.csv")


# -------------------------------------------------------------------------------------------------- broken-off training


def test_ctrl_c_keeps_the_best_and_resume_goes_on(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["fit", "classify", "train.csv", "--target", "label", "--hidden", "4", "--epochs", "4", "--no-verbose"]
    assert main([*flags, "--out", "whole"]) == 0
    done, batch = [], train._Run._one_batch

    def until(run: Any, *arguments: Any) -> tuple[float, float]:
        if len(run.history) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return batch(run, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(train._Run, "_one_batch", until)
        capsys.readouterr()
        assert main([*flags, "--out", "new"]) == 130
    err = capsys.readouterr().err.splitlines()
    assert err[-1].startswith("elman: stopped by Ctrl-C: the best model so far is in new. Go on with: elman fit")
    assert err[-1].endswith("--out new --resume")
    assert main(["predict", "new", "test.csv"]) == 0
    line = "new holds an unfinished run. Continue it (--resume) or discard it (--restart)."
    capsys.readouterr()
    assert refused(capsys, *flags, "--out", "new") == line
    assert main([*flags, "--out", "new", "--resume"]) == 0
    whole, new = load("whole").network_.state_dict(), load("new").network_.state_dict()
    assert all((whole[key] == new[key]).all() for key in whole)
    assert not (here / "new" / store.CHECKPOINT).exists()


def test_a_killed_run_is_no_model_and_resumes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["fit", "classify", "train.csv", "--target", "label", "--out", "new", "--hidden", "4", "--patience", "none"]
    command = [sys.executable, "-m", "elman", *flags, "--epochs", "100000", "--batch-sequences", "4"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    config = here / "new" / store.CHECKPOINT / store.CONFIG
    while not config.exists():
        assert running.poll() is None, "it ended by itself"
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert refused(capsys, "predict", "new", "test.csv").startswith("new is an unfinished run, not a model yet")
    assert refused(capsys, *flags, "--resume").startswith("the checkpoint in")  # other options
    assert main([*flags, "--restart", "--epochs", "1"]) == 0
    assert main(["predict", "new", "test.csv"]) == 0


def test_ctrl_c_before_an_epoch_saves_nothing(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train._Run, "_one_epoch", interrupt)
    assert main(["fit", "classify", "train.csv", "--target", "label", "--out", "new", *TINY]) == 130
    assert "before an epoch was finished: no model was saved." in capsys.readouterr().err
    assert not (here / "new" / store.CONFIG).exists()


def test_a_loss_that_is_no_number(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise TrainingError("the loss became nan.")

    monkeypatch.setattr(train._Run, "_one_epoch", fail)
    flags = ["fit", "classify", "train.csv", "--target", "label", *TINY]
    assert refused(capsys, *flags, "--out", "new") == "the loss became nan. They are saved in new."
    assert main(["predict", "new", "test.csv"]) == 0
    capsys.readouterr()
    before = (here / "model" / store.CONFIG).read_bytes()
    line = refused(capsys, *flags, "--out", "model")
    assert line == "the loss became nan. The model that was in model before is unchanged."
    assert (here / "model" / store.CONFIG).read_bytes() == before
    assert not (here / "model" / store.CHECKPOINT).exists()


# -------------------------------------------------------------------------------------------------- stream, info, pipes


def test_stream_answers_line_by_line(here: Path) -> None:
    command = [sys.executable, "-m", "elman", "stream", "model"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        answers = []
        for line in ("good", "film", "", "bad"):  # each answer comes before the next line is sent
            running.stdin.write(f"{line}\n")
            running.stdin.flush()
            answers.append(running.stdout.readline())
        running.stdin.close()
        assert running.wait() == 0
    assert answers[2] == "\n"
    assert all(answer.split("\t")[0] in ("pos", "neg") for answer in (answers[0], answers[1], answers[3]))


def test_stream_equals_predict(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "\ufeffgood film 3\n\nbad film\r\nfilm".encode())  # a byte order mark, no end of the last line
    told = [json.loads(line)["probabilities"]["pos"] for line in said(capsys, "stream", "model", "--json").splitlines()]
    assert told == load("model").predict_proba(["good film 3", "bad film", "bad film film"])[:, 1].tolist()


def test_stream_refuses(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"\xff\n")
    line = refused(capsys, "stream", "model")
    assert line == "line 1 of standard input: byte 1 of the line, 0xff, is not UTF-8."
    flags = ["--target", "label", "--out", "both", "--bidirectional", *TINY]
    assert main(["fit", "classify", "train.csv", *flags]) == 0
    capsys.readouterr()
    assert refused(capsys, "stream", "both").startswith("a bidirectional model cannot stream")


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(said(capsys, "info", "--json"))
    assert facts["instruction_set_chosen"] in facts["instruction_sets_built"]
    text = said(capsys, "info")
    assert "instruction sets found" in text
    assert "ELMAN_ISA" in text


def test_too_large(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--target", "label", "--out", "new", "--hidden", "1048576"]
    line = refused(capsys, "fit", "classify", "train.csv", *flags)
    assert line == "there is not enough memory. Fewer rows, batch_steps or hidden units need less."


def test_an_impossible_instruction_set() -> None:
    result = elman("info", env={**os.environ, "ELMAN_ISA": "quantum"})
    assert result.returncode == 2
    assert result.stderr.count(b"\n") == 1
    assert b"quantum" in result.stderr


def test_an_impossible_instruction_set_leaves_nothing_behind(here: Path) -> None:
    flags = ("--input", "review", "--target", "label", "--out", "new")
    result = elman("fit", "classify", "train.csv", *flags, env={**os.environ, "ELMAN_ISA": "quantum"})
    assert result.returncode == 2
    assert b"quantum" in result.stderr
    assert not (here / "new").exists()


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ((), ("--help",)):
        text = said(capsys, *argv)
        assert "elman fit classify reviews.csv --input review --target label --out model" in text
        assert all(verb in text for verb in ("demo", "fit", "info", "predict", "score", "stream"))
    assert said(capsys, "--version").count(".") == 2


def test_help_imports_no_tasks() -> None:
    code = (
        "import sys; from elman.cli.main import main; main(['--help']); main(['info']);"
        "print([m for m in ('sklearn', 'polars', 'tokenizers', 'matplotlib') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == "[]\n"


@pytest.mark.skipif(os.name != "posix", reason="head and pipes of a shell")
def test_a_closed_pipe_is_quiet(here: Path) -> None:
    write(here / "many.csv", ROWS * 200)
    command = f"{sys.executable} -m elman predict model many.csv | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.stdout == "review,label,predicted_label,probability_neg,probability_pos\n"
    assert result.stderr == ""
