"""Tables of series, columns by their names, and models that were fitted in Python, on the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from elman.cli.main import main
from elman.tasks import TASKS, Classifier, Forecaster, Generator, Multitask, Regressor, Tagger, Translator, load
from elman.tasks.base.table_adapter import target_names

SMALL: dict[str, Any] = {"hidden": 2, "epochs": 1, "verbose": False, "seed": 0}
NUMBERS = np.random.default_rng(0).normal(size=(12, 4)).round(3)
LABELS = ["u", "v"] * 6
TEXTS = [f"a {word} film" for word in ("good", "bad", "fine", "dull", "warm", "poor")] * 2
WORDS = [text.split() for text in TEXTS]
TABLE = pd.DataFrame(NUMBERS, columns=list("abcd")).assign(label=LABELS, size=np.arange(12.0))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("t.csv", index=False)
    return tmp_path


def run(line: str) -> None:
    assert main(shlex.split(line)) == 0


def refused(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(shlex.split(line)) == 2
    return capsys.readouterr().err


def answers(line: str) -> list[dict[str, Any]]:
    run(f"{line} --out answers.jsonl")
    return [json.loads(line) for line in Path("answers.jsonl").read_text("utf-8").splitlines()]


#: How each task learns a table of series, and the column of its answers.
FITS = {
    "classify": ("--target label", "predicted_label"),
    "regress": ("--target size", "predicted_size"),
    "multitask": ("--target label,size", "predicted_size"),
}


@pytest.mark.parametrize("task", FITS)
def test_a_series_a_row(task: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, answer = FITS[task]
    run(f"fit {task} t.csv {target} --input a,b,c,d --hidden 2 --epochs 1 --out m")
    model = load("m")
    assert model.input_ == list("abcd")
    found = [row[answer] for row in answers("predict m t.csv")]
    expected = model.predict(TABLE)
    expected = expected["size"] if isinstance(expected, dict) else expected
    assert found == expected.tolist()
    TABLE[TABLE.columns[::-1]].rename(columns={"label": "kind"}).to_csv("turned.csv", index=False)
    TABLE.to_parquet("t.parquet")
    for file in ("turned.csv", "t.parquet", "t.csv --input d,c,b,a"):  # by name
        assert [row[answer] for row in answers(f"predict m {file}")] == found
    TABLE.rename(columns={"a": "w", "d": "z"}).to_csv("other.csv", index=False)
    assert [row[answer] for row in answers("predict m other.csv --input w,b,c,z")] == found
    capsys.readouterr()
    run("score m t.csv --baseline --json")
    assert json.loads(capsys.readouterr().out)["sequences"] == 12
    run("inspect m --data t.csv")
    assert "has no column 'a'" in refused("predict m other.csv", capsys)
    assert "--input names 'a', 'b', but the model reads" in refused("predict m t.csv --input a,b", capsys)
    assert "--input names 'b', 'a', 'c', 'size'" in refused("predict m t.csv --input b,a,c,size", capsys)
    TABLE.astype({"b": object}).assign(b=["1"] * 11 + ["one"]).to_csv("bad.csv", index=False)
    assert "line 13 of bad.csv, column 'b' is 'one', where a number was expected" in refused(
        "predict m bad.csv", capsys
    )


def test_a_table_without_a_header(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = TABLE.drop(columns="size")
    table.to_csv("bare.csv", index=False, header=False)
    table.to_csv("named.csv", index=False)
    run("fit classify named.csv --target label --hidden 2 --epochs 1 --out named")
    run("fit classify bare.csv --no-header --target column_5 --hidden 2 --epochs 1 --out bare")
    named, bare = answers("predict named named.csv"), answers("predict bare bare.csv --no-header")
    assert [row["probability_u"] for row in bare] == [row["probability_u"] for row in named]
    capsys.readouterr()
    run("score bare bare.csv --no-header --baseline --json")
    assert json.loads(capsys.readouterr().out)["sequences"] == 12
    run("inspect bare --data bare.csv --no-header")
    fit = "fit classify bare.csv --target label --out x"
    for line in ("predict named bare.csv", "score named bare.csv", "predict named bare.csv --input zzz", fit):
        told = refused(line, capsys)
        assert "If its first line is no header, set --no-header." in told
        assert "header=False" not in told


LONG = pd.DataFrame({"unique_id": "a", "ds": range(30), "y": [1.0, 2.0, 3.0] * 10})
TEXT = pd.DataFrame({"text": TEXTS, "label": LABELS, "size": np.arange(12), "upper": [t.upper() for t in TEXTS]})
LISTS = pd.DataFrame({"words": WORDS, "tags": [["N"] * 2 + ["V"]] * 12})
#: Models fitted in Python, a table, and what `elman predict` adds.
PYTHON: dict[str, tuple[Any, pd.DataFrame, str]] = {
    "classify": (lambda: Classifier(**SMALL).fit(TEXT[["text", "label"]], "label"), TEXT, "predicted_label"),
    "classify, a column": (lambda: Classifier(**SMALL).fit(TEXT[["text"]], TEXT["label"]), TEXT, "predicted_label"),
    "classify, labels": (lambda: Classifier(**SMALL).fit(TEXT[["text"]], LABELS), TEXT, "predicted_y"),
    "classify, lists": (lambda: Classifier(**SMALL).fit(TEXTS, LABELS), TEXT[["text"]], "predicted_y"),
    "classify, a table": (
        lambda: Classifier(**SMALL).fit(TABLE.drop(columns="size"), "label"),
        TABLE,
        "predicted_label",
    ),
    "classify, an array": (lambda: Classifier(**SMALL).fit(NUMBERS, LABELS), TABLE[list("abcd")], "predicted_y"),
    "classify, columns": (
        lambda: Classifier(features={"size": "category", "text": "text"}, **SMALL).fit(TEXT[["text", "size"]], LABELS),
        TEXT,
        "predicted_y",
    ),
    "regress": (lambda: Regressor(**SMALL).fit(TABLE[list("abcd")], TABLE["size"]), TABLE, "predicted_size"),
    "regress, two": (lambda: Regressor(**SMALL).fit(TABLE[list("abc")], TABLE[["d", "size"]]), TABLE, "predicted_d"),
    "multitask": (lambda: Multitask(**SMALL).fit(TABLE, ["label", "size"]), TABLE, "predicted_label"),
    "multitask, a dict": (lambda: Multitask(**SMALL).fit(TEXTS, {"mood": LABELS}), TEXT[["text"]], "predicted_mood"),
    "tag": (lambda: Tagger(characters=2, word_shape=2, **SMALL).fit(LISTS, "tags"), LISTS, "predicted_tags"),
    "tag, lists": (
        lambda: Tagger(characters=2, word_shape=2, **SMALL).fit(WORDS, LISTS["tags"].tolist()),
        LISTS[["words"]],
        "predicted_y",
    ),
    "generate": (lambda: Generator(ngrams=2, **SMALL).fit(TEXT[["text"]]), TEXT, "nats"),
    "translate": (lambda: Translator(embed=4, **SMALL).fit(TEXT[["text", "upper"]], "upper"), TEXT, "predicted_upper"),
    "translate, lists": (
        lambda: Translator(embed=4, **SMALL).fit(TEXTS, TEXT["upper"].tolist()),
        TEXT[["text"]],
        "predicted_y",
    ),
    "forecast": (lambda: Forecaster(horizon=2, season=3, **SMALL).fit(LONG), LONG, "elman"),
}


def test_every_task_is_here() -> None:
    assert {name.split(",")[0] for name in PYTHON} | {"transcribe"} == set(TASKS)


@pytest.mark.parametrize("name", PYTHON)
def test_a_model_fitted_in_python(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit, table, answer = PYTHON[name]
    model = fit()
    model.save("m")
    file = "table.jsonl" if "tag" in name else "table.csv"
    pl.from_pandas(table).write_ndjson(file) if "tag" in name else table.to_csv(file, index=False)
    found = answers(f"predict m {file}")
    assert answer in found[0]
    if name.split(",")[0] in ("classify", "tag", "translate"):
        assert [row[answer] for row in found] == list(
            model.predict(
                table if model.input_ else table.iloc[:, 0].tolist() if table.shape[1] == 1 else table.to_numpy()
            )
        )
    if set(target_names(model)) & set(table.columns):
        run(f"score m {file}")
    elif answer == "predicted_y":
        assert "Name their column: --target." in refused(f"score m {file}", capsys)


def test_a_column_must_be_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Classifier(**SMALL).fit(TEXTS, LABELS).save("texts")
    Classifier(**SMALL).fit(NUMBERS, LABELS).save("array")
    TEXT.to_csv("text.csv", index=False)
    told = refused("predict texts text.csv", capsys)
    assert "text.csv has 4 columns that could be read: 'text', 'label', 'size', 'upper'. Name the one to read" in told
    assert "Name those 4 to read: --input." in refused("predict array t.csv", capsys)
    assert answers("predict texts text.csv --input text")[0]["predicted_y"] in LABELS
    assert len(answers("predict array t.csv --input a,b,c,d")) == 12
    run("score texts text.csv --input text --target label")
    run("inspect texts --data text.csv --input text")
    run("inspect array --data t.csv --input a,b,c,d")


def test_a_stream_of_a_table(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    run("fit classify t.csv --target label --input a,b,c,d --hidden 2 --epochs 1 --out m")
    rows = "\n".join(map(str, NUMBERS[0])) + "\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(rows.encode()), "utf-8"))
    capsys.readouterr()
    run("stream m --json")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = load("m").predict_proba(TABLE)[0]
    assert list(last["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)
