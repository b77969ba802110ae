"""Transcripts as symbols, error rates by hand, language models beside their equations."""

from __future__ import annotations

import math
from typing import Any

import pytest

from elman.errors import DataError, ModelFileError
from elman.evaluation.metrics import error_rates
from elman.tasks.transcribe.shallow_fusion import NgramScorer
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary, transcripts_of


@pytest.mark.parametrize(
    ("truth", "told", "wer", "cer"),
    [
        (["GO ON"], ["GO ON"], 0.0, 0.0),
        (["GO ON", ""], ["GO", "UM"], 1.0, 1.0),  # one left out, one put in, of two
        (["", ""], ["", "A B"], 2.0, 3.0),
        (["我們走"], ["我走"], 1.0, 1 / 3),
        ([["b", "ow"], ["t"]], [["b"], ["t"]], 1 / 3, 3 / 5),
        (["A B C D"], ["A X C"], 0.5, 3 / 7),
        (["A"], [""], 1.0, 1.0),
    ],
)
def test_error_rates(truth: Any, told: Any, wer: float, cer: float) -> None:
    assert error_rates(truth, told) == pytest.approx({"wer": wer, "cer": cer})


def test_scripts() -> None:
    script = TranscriptVocabulary.of(["GO ON", "NO"], "characters")
    assert script.written(script.codes("NO GO")) == "NO GO"
    assert script.written([1, *script.codes("NO"), 1]) == "NO"  # spaces at the ends are none
    words = TranscriptVocabulary.of(["GO ON", "NO"], "words")
    assert (words.symbols, words.codes("NO ME"), words.written([1, 3])) == (["GO", "NO", "ON"], [2, 0], "GO ON")
    lists = TranscriptVocabulary.of([["b", "ow"]], "characters")
    assert (lists.kind, lists.written([2, 1])) == ("lists", ["ow", "b"])
    assert TranscriptVocabulary.of(["我們走", "走"], "characters").unspaced
    assert not words.unspaced


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is a NoneType"),
        (["a"], "X has 2 sequences, y has 1"),
        (["a", None], r"sequence 1 is None \(missing\)"),
        (["a", ["b"]], "y is mixed"),
        ([["a"], ["b", 3]], "sequence 1, item 1 is a number, 3"),
        ([["a"], [" "]], "sequence 1, item 0"),
        (["a", 3], "sequence 1 is a number, 3"),
    ],
)
def test_what_is_no_transcript(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        transcripts_of(y, 2)
    with pytest.raises(DataError, match="empty transcripts only"):
        TranscriptVocabulary.of(["", ""], "characters")


LINES = ["GO ON", "GO UP", "UP", "GO ON"]


@pytest.mark.parametrize("over", ["characters", "words"])
def test_phrases_add_up(over: str) -> None:
    """What all prefixes of a transcript add is weight log p(l) + bonus words, symbol by symbol or word by word."""
    script = TranscriptVocabulary.of(LINES, "characters")
    phrases = NgramScorer(script, over, 3, weight=0.7, bonus=0.3).fit([script.codes(line) for line in LINES])
    for line in ("GO ON", "UP", "GO NO"):
        codes = tuple(script.codes(line))
        total = sum(phrases.after(codes[:i], code) for i, code in enumerate(codes)) + phrases.end(codes)
        words = [phrases._number(word) for word in phrases._cut(codes)]
        symbols = [0, *(words if over == "words" else codes), 0]
        nats = phrases.model.nats([symbols])
        assert total == pytest.approx(0.7 * -nats + 0.3 * len(words))
    again = NgramScorer(script, over, 3, 0.7, 0.3).restore(phrases.tensors(), "m")
    assert again.end(codes) == phrases.end(codes)
    assert again.after((), codes[0]) == phrases.after((), codes[0])


@pytest.mark.parametrize("key", ["grams.keys2", "grams.keys3", "grams.counts3", "words"])
def test_phrases_that_were_altered(key: str) -> None:
    script = TranscriptVocabulary.of(LINES, "characters")
    phrases = NgramScorer(script, "words", 3, 1.0, 0.0).fit([script.codes(line) for line in LINES])
    tensors = phrases.tensors()
    more = tensors[key] + 50 if "counts" not in key else tensors[key][1:]
    for bad in ({key: more}, {key: tensors[key].float()}, {key: tensors[key] - 9}):
        with pytest.raises(ModelFileError, match="n-grams"):
            NgramScorer(script, "words", 3, 1.0, 0.0).restore({**tensors, **bad}, "m")


def test_words_that_training_said_are_likelier() -> None:
    script = TranscriptVocabulary.of(LINES, "characters")
    phrases = NgramScorer(script, "words", 2, 1.0, 0.0).fit([script.codes(line) for line in LINES])
    known, unknown = (phrases.end(tuple(script.codes(line))) for line in ("GO ON", "GO NO"))
    assert known > unknown > -math.inf
