"""Several references for a source: in scores, in frames and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sacrebleu

from elman.cli.main import main
from elman.errors import DataError
from elman.tasks import Translator
from elman.tasks.translate import mt_metrics
from elman.tasks.translate.pairs import references_of

SOURCES = ["one cat here", "two dogs there", "one dog here", "two cats there"] * 3
TARGETS = ["un chat ici", "deux chiens ici", "un chien ici", "deux chats ici"] * 3
OTHERS = [f"bon {target}" for target in TARGETS]
OPTIONS: dict[str, Any] = {"hidden": 4, "embed": 4, "epochs": 1, "seed": 0, "verbose": False}


@pytest.fixture(scope="module")
def model() -> Translator:
    return Translator(**OPTIONS).fit(SOURCES, TARGETS)


def test_scores_are_those_of_sacrebleu() -> None:
    answers = ["the cat sat on the mat now", "a dog ran far away today"]
    first, second = ["the cat is on the mat now", "a dog ran away from us"], ["a cat sat on the mat now", None]
    found = mt_metrics.compared(answers, first, more=[second])
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(answers, [first, second]).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(answers, [first, second]).score)
    assert found["bleu"] > mt_metrics.bleu(answers, first)
    assert mt_metrics.compared(["a", "b"], ["x", "b"], more=[["a", None]])["exact"] == 1.0


def test_lists_of_references(model: Translator) -> None:
    one = model.evaluate(SOURCES, TARGETS)
    assert model.evaluate(SOURCES, [[target] for target in TARGETS]) == one
    several = [[target, other] for target, other in zip(TARGETS, OTHERS, strict=True)]
    assert model.compared(OTHERS, several) == {"bleu": 100.0, "chrf": 100.0, "exact": 1.0}
    assert model.score(SOURCES, several) >= one["bleu"]
    mixed = [[TARGETS[0], None, OTHERS[0]], *TARGETS[1:]]
    assert model.evaluate(SOURCES, mixed)["bleu"] >= one["bleu"]
    assert model.evaluate(SOURCES, mixed)["nats"] != one["nats"]


def test_columns_of_a_frame(model: Translator) -> None:
    frame = pl.DataFrame({"en": SOURCES, "fr": TARGETS, "be": OTHERS})
    lists = model.evaluate(SOURCES, [list(pair) for pair in zip(TARGETS, OTHERS, strict=True)])
    named = Translator(**OPTIONS).fit(frame.select("en", "fr"), "fr")
    assert named.evaluate(frame, ["fr", "be"]) == lists
    assert model.evaluate({"en": SOURCES, "fr": TARGETS, "be": OTHERS}, ["fr", "be"]) == lists


def test_references_of_lists_of_tokens() -> None:
    sources, targets = [s.split() for s in SOURCES], [t.split() for t in TARGETS]
    model = Translator(**OPTIONS).fit(sources, targets)
    one = model.evaluate(sources, targets)
    assert model.evaluate(sources, [[target] for target in targets]) == one
    found = model.evaluate(sources, [[t, a] for t, a in zip(targets, model.predict(sources), strict=True)])
    assert found["exact"] == 1.0
    assert references_of([[["a"], ["b", "c"]], ["d"]], texts=False).more == [[["b", "c"], None]]


def test_a_source_without_references(model: Translator) -> None:
    with pytest.raises(DataError, match=r"y: sequence 1 has no reference. Give at least one"):
        model.evaluate(SOURCES[:2], ["un chat", [None]])


def test_what_is_wrong_names_its_source(model: Translator) -> None:
    refs: list[Any] = [[TARGETS[0]], [TARGETS[1], OTHERS[1], 3]]
    with pytest.raises(DataError, match="y: sequence 1 is a number, 3"):
        model.evaluate(SOURCES[:2], refs)
    frame = pl.DataFrame({"en": SOURCES, "fr": TARGETS, "be": OTHERS})
    with pytest.raises(DataError, match=r"y = 'de' is no column of X, which has 'en', 'fr', 'be'\."):
        model.evaluate(frame, ["fr", "de"])
    assert model.evaluate(frame.drop("be"), ["fr"]) == model.evaluate(frame.drop("be"), "fr")


def test_on_the_command_line(model: Translator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, frame = str(tmp_path / "m"), pl.DataFrame({"en": SOURCES, "fr": TARGETS, "be": [None, *OTHERS[1:]]})
    frame.select("en", "fr").write_csv(tmp_path / "train.csv")
    frame.write_csv(tmp_path / "test.csv")
    frame.select("en", fr=pl.concat_list("fr", "be")).write_ndjson(tmp_path / "test.jsonl")
    assert (
        main(["fit", "translate", str(tmp_path / "train.csv"), "--target", "fr", "--out", folder, "--epochs", "1"]) == 0
    )
    capsys.readouterr()
    test = str(tmp_path / "test.csv")
    assert main(["score", folder, test, "--target", "fr,be", "--input", "en", "--json", "--baseline"]) == 0
    columns = json.loads(capsys.readouterr().out)
    assert main(["score", folder, str(tmp_path / "test.jsonl"), "--json"]) == 0
    lists = json.loads(capsys.readouterr().out)
    assert "IBM" in json.dumps(columns)
    assert set(map(str, _numbers(lists))) <= set(map(str, _numbers(columns)))


def _numbers(found: Any) -> list[float]:
    if isinstance(found, dict):
        return [number for key, value in found.items() if "seconds" not in key for number in _numbers(value)]
    return [found] if isinstance(found, float) else []
