"""A measure compares what the feature of the answers reads: the form in which truth was typed changes nothing."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import elman
from elman.cli.main import main
from elman.evaluation.baselines import CommonestTag, Constant, linear_baseline
from elman.evaluation.metrics import error_rates
from elman.features import Text, Tokens, Words
from elman.tasks.generate.constraints import Verse
from elman.tasks.generate.generation import _formed
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary, transcripts_of
from elman.tasks.translate.ibm_model1 import IBMModel1
from elman.tasks.translate.mt_metrics import bleu, chrf, compared


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


#: The same text as somebody else types it.
FORMS: dict[str, Callable[[str], str]] = {
    "NFD": nfd,
    "two spaces": lambda text: text.replace(" ", "  "),
    "no-break space": lambda text: text.replace(" ", "\u00a0"),
    "end of line": lambda text: f"{text}\r\n",
    "tab before": lambda text: f"\t{text}",
    "byte order mark": lambda text: f"\ufeff{text}",
    "soft hyphen": lambda text: f"{text[:1]}\u00ad{text[1:]}",
}
SOURCES = ["one coffee", "two coffee", "one tea", "two tea"] * 15
TARGETS = ["un café", "deux café", "un thé", "deux thé"] * 15
SMALL: dict[str, Any] = {"hidden": 16, "embed": 16, "epochs": 8, "learning_rate": 0.02, "verbose": False, "seed": 0}


def translator(X: Any = SOURCES, y: Any = TARGETS, **options: Any) -> elman.Translator:
    return elman.Translator(**{**SMALL, **options}).fit(X, y)


@pytest.fixture(scope="module")
def good() -> elman.Translator:
    return translator()


def same_run(one: Any, other: Any) -> bool:
    return [e.validation for e in one.history_] == [e.validation for e in other.history_] and all(
        torch.equal(a, b) for a, b in zip(one.network_.parameters(), other.network_.parameters(), strict=True)
    )


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_translator_is_measured_by_what_its_targets_are(good: elman.Translator, form: Callable[[str], str]) -> None:
    found = good.evaluate([form(text) for text in SOURCES], [form(text) for text in TARGETS])
    assert (found["bleu"], found["chrf"], found["exact"]) == (100.0, 100.0, 1.0)
    assert found == good.evaluate(SOURCES, TARGETS)
    assert compared([form(text) for text in TARGETS], TARGETS)["exact"] == 1.0


@pytest.mark.parametrize("form", [nfd, FORMS["two spaces"]])
def test_the_epoch_is_chosen_by_the_same_measure(good: elman.Translator, form: Callable[[str], str]) -> None:
    other = translator([form(text) for text in SOURCES], [form(text) for text in TARGETS])
    assert same_run(good, other)
    assert good.history_.best == other.history_.best
    assert other.predict([form(SOURCES[0])]) == ["un café"]


def test_a_model_without_capitals_is_measured_without_them() -> None:
    low, high = (translator(y=[change(t) for t in TARGETS], lower=True, epochs=2) for change in (str.lower, str.title))
    assert same_run(low, high)
    assert high.compared(TARGETS, [text.upper() for text in TARGETS])["exact"] == 1.0


@pytest.mark.parametrize("unit", ["words", "mixed", "subwords", "parts", "characters"])
def test_every_unit_is_measured_by_its_own_reading(unit: str) -> None:
    """Words lose what stands between them, so that truth must lose it too."""
    y = ["it’s a ﬁne <b>day</b>.", "No!"] * 30
    model = translator(["a b", "c"] * 30, y, target_unit=unit, epochs=1)
    feature = model.target_feature_
    assert isinstance(feature, Text)
    for written in y[:2]:
        assert feature.join(feature.pieces(written)) == feature.normalized([written], name="y")[0]
    perfect = [feature.join(feature.pieces(written)) for written in y]
    assert model.compared(perfect, y)["exact"] == 1.0


def test_lists_of_tokens_are_compared_as_they_are_read() -> None:
    assert Tokens(lower=True).fit([["A"]]).normalized([np.array(["A", "b"])], name="y") == [["a", "b"]]
    words = [text.split() for text in TARGETS]
    model = translator(y=[[word.upper() for word in own] for own in words], lower=True, epochs=1)
    assert model.compared(words, [[word.upper() for word in own] for own in words])["exact"] == 1.0


def test_overlap_of_texts_in_two_forms() -> None:
    assert bleu([nfd("un café très noir")], ["un café très noir"]) == chrf(["café"], [nfd("café\n")]) == 100
    assert compared(["a b"], ["a  b\n"]) == {"bleu": 100.0, "chrf": 100.0, "exact": 1.0}
    assert compared(["a b"], ["a c"])["exact"] == 0


def test_the_rival_of_a_translator_reads_the_same_words() -> None:
    one, other = (IBMModel1().fit([f(x) for x in TARGETS], SOURCES) for f in (str, nfd))
    assert one.predict([nfd("deux café")]) == other.predict(["deux café"]) == ["two coffee"]


def test_the_command_line_scores_both_by_the_same_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, change in (("train", str), ("test", lambda text: f"{nfd(text)} ")):
        pl.DataFrame({"en": SOURCES, "fr": [change(text) for text in TARGETS]}).write_csv(f"{name}.csv")
    small = ["--hidden", "16", "--embed", "16", "--epochs", "3", "--learning-rate", "0.02"]
    assert main(["fit", "translate", "train.csv", "--input", "en", "--target", "fr", "--out", "m", *small]) == 0
    found = []
    for name in ("train", "test"):
        capsys.readouterr()
        assert main(["score", "m", f"{name}.csv", "--baseline", "--json"]) == 0
        scored = json.loads(capsys.readouterr().out)
        found.append({key: scored[key] for key in ("bleu", "chrf", "exact")})
        assert scored["baselines"][0]["exact"] == 1.0
    assert found[0] == found[1]
    assert found[0]["bleu"] > 0


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_transcripts(form: Callable[[str], str]) -> None:
    truth = ["café noir", "un café"]
    assert error_rates([form(t) for t in truth], truth) == error_rates(truth, [form(t) for t in truth])
    assert error_rates([form(t) for t in truth], truth) == {"wer": 0.0, "cer": 0.0}
    assert transcripts_of([form(t) for t in truth], 2) == truth
    assert (
        TranscriptVocabulary.of([form(t) for t in truth], "characters").symbols
        == TranscriptVocabulary.of(truth, "characters").symbols
    )
    assert Constant().fit([None] * 2, [form(truth[0])] * 2).predict([None]) is not None


def test_a_transcript_in_lists() -> None:
    assert error_rates([[nfd("é"), "a"]], [["é", "a"]])["wer"] == 0
    assert TranscriptVocabulary.of([["é"], [nfd("é")]], "characters").symbols == ["é"]


def test_one_letter_is_one_symbol() -> None:
    assert TranscriptVocabulary.of(["é", nfd("é")], "characters").symbols == ["é"]
    words = Words().fit([["café", "trans\u00adlation"]])
    assert words.transform([[nfd("café"), "translation"]]).values.tolist() == [1, 2]
    assert "\u0301" not in words.letters_
    assert CommonestTag().fit([["café"]], [["N"]]).predict([[nfd("café")]]) == [["N"]]
    assert Tokens().fit([["café"]]).transform([[nfd("café")]]).values.tolist() == [0]  # tokens are what they are


def test_the_rival_of_a_classifier_reads_one_letter_too() -> None:
    texts, labels = ["café fin", "thé fin"] * 10, ["+", "-"] * 10
    assert linear_baseline(texts).fit(texts, labels).predict([nfd("café"), nfd("thé")]) == ["+", "-"]


def test_a_language_model_takes_every_form() -> None:
    model = elman.Generator(hidden=4, embed=4, epochs=1, verbose=False, seed=0).fit(["un café noir"] * 4)
    assert model.evaluate([nfd("un café")]) == model.evaluate(["un café"])
    how: dict[str, Any] = {"length": 20, "seed": 0}
    assert [*model.generating("café", **how)] == [*model.generating(nfd("café"), **how)]
    assert model.generate("", stop=nfd("é"), **how) == model.generate("", stop="é", **how)
    low = elman.Generator(hidden=4, embed=4, epochs=1, verbose=False, seed=0, lower=True).fit(["un café"] * 4)
    assert low.generate("", stop="É", **how) == low.generate("", stop="é", **how)


def test_a_form_takes_every_form() -> None:
    assert Verse(marks=[nfd("é")]).marks == ("é",)
    assert Verse(marks=nfd("é")).marks == "é"
    assert _formed(np.zeros(2), [nfd("é")], {"a": 0, "é": 1}).tolist() == [-np.inf, 0]
