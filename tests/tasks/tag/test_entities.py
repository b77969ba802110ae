"""Entities: the spans of predict with the mean probability of their labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import elman
from elman.cli.main import main
from elman.errors import OptionError

WORDS = [["to", "New", "York"], ["in", "Rome"], ["Ann", "sleeps"], []] * 10
TAGS = [["O", "B-place", "I-place"], ["O", "B-place"], ["B-person", "O"], []] * 10


@pytest.fixture(scope="module", params=[True, False], ids=["crf", "steps"])
def tagger(request: pytest.FixtureRequest) -> elman.Tagger:
    return elman.Tagger(hidden=8, epochs=20, seed=0, crf=request.param, verbose=False).fit(WORDS, TAGS)


def test_entities_are_the_spans_of_predict(tagger: elman.Tagger) -> None:
    found, labels, probabilities = tagger.entities(WORDS), tagger.predict(WORDS), tagger.predict_proba(WORDS)
    assert any(found)
    assert [len(own) for own in found] == [sum(label.startswith("B") for label in own) for own in labels]
    for entities, own, chances in zip(found, labels, probabilities, strict=True):
        for entity in entities:
            steps = range(entity.start, entity.stop)
            assert {own[step][2:] for step in steps} == {entity.kind}
            sure = [chances[step, tagger.classes_.tolist().index(own[step])] for step in steps]
            assert entity.score == np.mean(sure)
            assert 0 <= entity.score <= 1


def test_alone_and_in_a_batch(tagger: elman.Tagger) -> None:
    assert [tagger.entities([own])[0] for own in WORDS[:4]] == tagger.entities(WORDS)[:4]
    assert tagger.entities([]) == []


def test_labels_that_are_no_spans_have_none() -> None:
    tagger = elman.Tagger(hidden=4, epochs=1, seed=0, verbose=False).fit([["a", "b"]] * 4, [["DET", "NOUN"]] * 4)
    with pytest.raises(OptionError) as caught:
        tagger.entities([["a"]])
    assert str(caught.value) == (
        "the labels DET, NOUN are no spans, so there are no entities. Use predict(X) for the label of each step."
    )


def test_command_line(tagger: elman.Tagger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.dumps({"words": words, "tags": tags}) for words, tags in zip(WORDS[:3], TAGS[:3], strict=True)]
    file, model = tmp_path / "rows.jsonl", tmp_path / "model"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    tagger.save(model)
    assert main(["predict", str(model), str(file), "--input", "words", "--entities"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = [[entity._asdict() for entity in own] for own in tagger.entities(WORDS[:3])]
    assert [line["entities_y"] for line in lines] == expected
