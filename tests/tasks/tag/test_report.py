"""The report of a tagger: the numbers of evaluate, each label, each kind of span, labels that were not learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elman
from elman.cli.main import main
from elman.tasks.tag.report import tag_report
from elman.tasks.tag.spans import kind_scores, span_scores

WORDS = [["to", "New", "York"], ["in", "Rome"], ["Ann", "sleeps"], []] * 10
TAGS = [["O", "B-place", "I-place"], ["O", "B-place"], ["B-person", "O"], []] * 10


@pytest.fixture(scope="module")
def tagger() -> elman.Tagger:
    return elman.Tagger(hidden=8, epochs=5, seed=0, verbose=False).fit(WORDS, TAGS)


def test_the_numbers_of_evaluate(tagger: elman.Tagger) -> None:
    report, scores = tagger.report(WORDS, TAGS), tagger.evaluate(WORDS, TAGS)
    assert {name: scores[name] for name in report.scores} == report.scores
    made = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert made["steps"] == 70
    assert made["f1"] == scores["f1"]
    assert {one["label"] for one in made["labels"]} == set(tagger.classes_)
    assert [(one["kind"], one["spans"]) for one in made["kinds"]] == [("person", 10), ("place", 20)]
    assert "place" in str(report)
    picture = report.picture()
    assert picture is not None
    assert picture.startswith(b"\x89PNG")


def test_kinds_add_up_to_all_spans() -> None:
    answers: list[list[Any]] = [["B-place", "B-place", "I-place"], ["O", "B-person"], ["B-person", "O"], []]
    kinds, whole = kind_scores(TAGS[:4], answers), span_scores(TAGS[:4], answers)
    person, place = kinds
    assert (person.precision, person.recall, person.sequences) == (0.5, 1.0, 1)
    assert (place.precision, place.recall, place.sequences) == (0.5, 0.5, 2)
    assert whole.spans == 3
    assert whole.recall == (person.recall + 2 * place.recall) / 3


def test_a_label_that_was_not_learnt_is_an_error() -> None:
    report = tag_report([["a", "c"]], [["a", "a"]], np.array(["a", "b"]), np.array([[0.9, 0.1], [0.6, 0.4]]), False)
    assert report.scores == {"accuracy": 0.5}
    assert report.steps.labels == ["a", "b", "c"]
    assert report.kinds is None
    assert "kinds" not in report.to_json()


def test_command_line(tagger: elman.Tagger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.dumps({"words": words, "tags": tags}) for words, tags in zip(WORDS, TAGS, strict=True)]
    file, model, picture = tmp_path / "rows.jsonl", tmp_path / "model", tmp_path / "tags.png"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    tagger.save(model)
    asked = ["score", str(model), str(file), "--input", "words", "--target", "tags"]
    assert main([*asked, "--picture", str(picture)]) == 0
    assert "spans" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*asked, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["sequences"], made["steps"]) == (40, 70)
