"""The best translations with their scores, and repeats that are blocked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from elman.cli.main import main
from elman.errors import OptionError
from elman.io.tables import read_table
from elman.tasks import Translator, load

SMALL: dict[str, Any] = {"hidden": 16, "embed": 16, "verbose": False, "seed": 0, "learning_rate": 0.01, "epochs": 8}
SOURCES = ["one cat", "two cats", "one dog", "two dogs", "one bird", "two birds"] * 6
TARGETS = ["un chat", "deux chats", "un chien", "deux chiens", "un oiseau", "deux oiseaux"] * 6


@pytest.fixture(scope="module")
def model() -> Translator:
    return Translator(**SMALL, target_unit="words").fit(SOURCES, TARGETS)


def test_the_best_translations(model: Translator) -> None:
    answers, scores = model.predict_top([*SOURCES[:6], ""], k=3)
    assert [own[0] for own in answers] == model.predict([*SOURCES[:6], ""])
    for own, numbers in zip(answers[:6], scores[:6], strict=True):
        assert len(set(own)) == len(own) == 3
        assert numbers == sorted(numbers, reverse=True)
    assert (answers[6], scores[6]) == ([""], [0.0])
    assert model.predict_top([], k=3) == ([], [])
    alone = model.predict_top([SOURCES[1]], k=3)
    assert alone == ([answers[1]], [scores[1]])
    assert len(model.predict_top(SOURCES[:1], k=9, beam=1)[0][0]) > 5  # the beam grows
    lists = Translator(**SMALL | {"epochs": 1}).fit([["a"], ["b"]] * 4, [["x", "y"], ["z"]] * 4)
    assert all(isinstance(one, list) for one in lists.predict_top([["a"]], k=2)[0][0])


@pytest.mark.parametrize("k", [0, 1.5, True, 10**9])
def test_a_number_of_answers_that_cannot_be(model: Translator, k: Any) -> None:
    with pytest.raises(OptionError, match=r"k = .* must be a whole number from 1 to 1000"):
        model.predict_top(["one"], k=k)
    for beam in (0, "a"):
        with pytest.raises(OptionError, match="beam = "):
            model.predict_top(["one"], beam=beam)


def test_repeats() -> None:
    model = Translator(**SMALL, target_unit="words").fit(["a b", "b a", "a a b"] * 8, ["x x x x", "x y x y", "x x"] * 8)
    assert "x x" in model.predict(["a b"])[0]
    model.no_repeat = 1
    assert all(len(text.split()) == len(set(text.split())) for text in model.predict(["a b", "b a", "a a b"]))
    with pytest.raises(OptionError, match="no_repeat = -1 must be a whole number of at least 0"):
        Translator(no_repeat=-1).fit(["a"], ["b"])


def test_command_line(model: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"en": SOURCES, "fr": TARGETS})
    frame.write_csv("pairs.csv")
    flags = ["--hidden", "8", "--embed", "8", "--epochs", "1", "--no-repeat", "3", "--no-verbose"]
    assert main(["fit", "translate", "pairs.csv", "--input", "en", "--target", "fr", "--out", "m", *flags]) == 0
    assert load("m").no_repeat == 3
    frame[:3].write_csv("new.csv")
    assert main(["predict", "m", "new.csv", "--top", "2", "--out", "best.csv"]) == 0
    best = read_table("best.csv").frame
    answers, scores = load("m").predict_top(SOURCES[:3], k=2)
    assert best.columns == ["en", "fr", "predicted_fr", "predicted_fr_1", "score_1", "predicted_fr_2", "score_2"]
    assert best["predicted_fr"].to_list() == best["predicted_fr_1"].to_list()
    assert best["score_2"].cast(pl.Float64).to_list() == pytest.approx([own[1] for own in scores])
    assert (best["predicted_fr_2"].fill_null("")).to_list() == [own[1] for own in answers]
    capsys.readouterr()
    assert main(["predict", "m", "new.csv", "--top", "0"]) == 2
    assert "--top 0 must be a whole number" in capsys.readouterr().err
