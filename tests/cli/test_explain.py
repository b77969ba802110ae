"""`elman explain` and `elman align`: the numbers of Python, the user's words, pictures, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import refused, said
from elman.cli.main import main
from elman.tasks import Classifier, Multitask, Tagger, Translator, load

SMALL: dict[str, Any] = {"hidden": 4, "epochs": 1, "verbose": False, "seed": 0}
TEXTS = ["a good film", "a bad film", "one fine day", "so dull"] * 5
LABELS = ["pos", "neg"] * 10


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("explain")
    Classifier(**SMALL).fit({"text": TEXTS}, LABELS).save(place / "clf")
    words = [text.split() for text in TEXTS]
    Tagger(**SMALL).fit(words, [["X" if len(word) > 3 else "Y" for word in own] for own in words]).save(place / "tag")
    both = {"mood": LABELS, "stars": [float(i % 5) for i in range(20)]}
    Multitask(features={"text": "text"}, **SMALL).fit({"text": TEXTS, "age": np.arange(20.0)}, both).save(
        place / "multi"
    )
    Translator(**{**SMALL, "hidden": 8}).fit(["one", "two", "three"] * 4, ["un", "deux", "trois"] * 4).save(
        place / "mt"
    )
    (place / "t.csv").write_text("text,age\n" + "\n".join(f"{t},{i}" for i, t in enumerate(TEXTS)) + "\n", "utf-8")
    return place


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(made)
    capsys.readouterr()
    return made


def test_numbers_are_those_of_python(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = load("clf").explain(["a bad film"])[0]
    found = json.loads(said(capsys, "explain", "clf", "t.csv", "--row", "2", "--json"))
    assert found["place"] == "line 3 of t.csv"
    assert [step["symbol"] for step in found["steps"]] == ["a", "bad", "film"]
    assert [step["attribution"] for step in found["steps"]] == one.steps.tolist()
    assert found["score"] == pytest.approx(found["score_of_nothing"] + sum(one.steps), abs=0.05)
    assert json.loads(said(capsys, "explain", "clf", "--text", "a bad film", "--json"))["steps"] == found["steps"]


def test_words_stand_at_their_steps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "explain", "clf", "--text", "a good film", "--out", "why.png")
    assert [line.split()[:2] for line in text.splitlines() if line.strip()[:1].isdigit()] == [
        ["0", "a"],
        ["1", "good"],
        ["2", "film"],
    ]
    assert (here / "why.png").read_bytes().startswith(b"\x89PNG")
    assert main(["explain", "clf", "t.csv"]) == 0
    out, err = capsys.readouterr()
    assert out.count("score") == 10
    assert "the first 10 of 20 rows are explained. --row N explains another." in err


def test_other_answers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {}
    for answer in ("pos", "neg"):
        found = json.loads(said(capsys, "explain", "clf", "--text", "good", "--answer", answer, "--json"))
        assert found["answer"] == answer
        scores[answer] = found["score"]
    assert scores["pos"] == pytest.approx(-scores["neg"])
    assert "Did you mean 'pos'?" in refused(capsys, "explain", "clf", "--text", "good", "--answer", "poss")
    one = load("tag").explain([["a", "good", "film"]], [1])[0]
    found = json.loads(said(capsys, "explain", "tag", "--text", "a good film", "--answer", "1", "--json"))
    assert [step["attribution"] for step in found["steps"]] == one.steps.tolist()
    assert "--answer x must be the number of a step" in refused(
        capsys, "explain", "tag", "--text", "a", "--answer", "x"
    )
    assert "stars" in said(capsys, "explain", "multi", "t.csv", "--row", "1", "--answer", "stars")
    assert "mood" in refused(capsys, "explain", "multi", "t.csv", "--row", "1")


def test_refusals(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "explain", "clf") == "elman explain needs a FILE or --text, one of the two."
    line = refused(capsys, "explain", "clf", "t.csv", "--row", "21")
    assert line == "--row 21 must be a number from 1 to 20, the last row of t.csv"
    assert "the model reads the columns text, age" in refused(capsys, "explain", "multi", "--text", "good")
    assert "Translator cannot be explained" in refused(capsys, "explain", "mt", "--text", "one")


def test_align(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = load("mt").align("one", "un")
    result = json.loads(said(capsys, "align", "mt", "one", "un", "--json"))
    assert result["weights"] == found.weights.tolist()
    text = said(capsys, "align", "mt", "one", "un", "--out", "a.png")
    assert text.splitlines()[:-1] == str(found).splitlines()
    assert (here / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "aligns nothing" in refused(capsys, "align", "clf", "one")
