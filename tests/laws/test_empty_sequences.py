"""Sequences without a step: alone, beside others and none at all, for every feature and task that answers sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from elman import Classifier, Multitask, Regressor, Tagger, Transcriber
from elman.errors import DataError

QUICK: dict[str, Any] = {"epochs": 1, "hidden": 3, "verbose": False, "seed": 0}
RANDOM = np.random.default_rng(0)
FILMS = [RANDOM.normal(size=(3, 5, 4)) for _ in range(6)]

#: A column of each feature, the options that ask for it, and its sequences without a step.
COLUMNS: dict[str, tuple[list[Any], dict[str, Any], list[Any]]] = {
    "text": ([f"good film {i}" for i in range(6)], {}, [""]),
    "tokens": ([["a", "b", f"c{i}"] for i in range(6)], {}, [[]]),
    "words": ([["a", "b", f"c{i}"] for i in range(6)], {"feature": "words"}, [[]]),
    "numbers": ([RANDOM.normal(size=(3, 2)) for _ in range(6)], {}, [[], np.zeros((0, 2))]),
    "decaying numbers": ([RANDOM.normal(size=(3, 2)) for _ in range(6)], {"cell": "gru_d"}, [[], np.zeros((0, 2))]),
    "images": (FILMS, {}, [np.zeros((0, 5, 4)), [], np.zeros((0, 1, 5, 4))]),
    "maps": (FILMS, {"cell": "conv_lstm"}, [np.zeros((0, 5, 4)), []]),
    "sound": ([RANDOM.normal(size=900) / 9 for _ in range(6)], {"feature": "sound", "rate": 8000}, [np.zeros(0), []]),
    "chords": ([[[60, 64], [62], []]] * 6, {"feature": "chords"}, [[]]),
}
LABELS, NUMBERS = ["u", "v"] * 3, [0.5, 1.5, 2.0] * 2


def parted(name: str) -> Any:
    column, options, nothing = COLUMNS[name]
    return column, {**QUICK, **options}, [[*lead, one] for one in nothing for lead in ([], [one], [column[0]])] + [[]]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_classifier(name: str) -> None:
    column, options, asked = parted(name)
    model = Classifier(**options).fit(column, LABELS)
    alone = model.predict_proba([COLUMNS[name][2][0]])
    for X in asked:
        chances = model.predict_proba(X)
        assert chances.shape == (len(X), 2)
        assert np.isfinite(chances).all()
        if X:
            assert np.array_equal(chances[-1:], alone)
            assert 0 <= model.score(X, LABELS[: len(X)]) <= 1
        else:
            for work in (lambda: model.score([], []), lambda: model.explain([])):
                with pytest.raises(DataError, match="there are no sequences"):
                    work()
        assert len(model.predict(X)) == len(X)
    for X in asked[1:3]:  # an explanation takes many answers
        assert len(model.explain(X)) == 2
    if name != "text":
        model.stream().feed(column[0][:0])


@pytest.mark.parametrize("name", COLUMNS)
def test_a_regressor(name: str) -> None:
    column, options, asked = parted(name)
    model = Regressor(**options).fit(column, NUMBERS)
    for X in asked:
        answers = model.predict(X)
        assert answers.shape == (len(X),)
        assert np.isfinite(answers).all()
        if X:
            assert np.isfinite(model.score(X, NUMBERS[: len(X)]))


@pytest.mark.parametrize("name", ["text", "numbers", "images", "sound"])
def test_several_targets(name: str) -> None:
    column, options, asked = parted(name)
    model = Multitask(**options).fit(column, {"a": LABELS, "b": NUMBERS})
    for X in asked:
        answers = model.predict(X)
        assert [len(answers[key]) for key in ("a", "b")] == [len(X)] * 2
        if X:
            assert np.isfinite(model.score(X, {"a": LABELS[: len(X)], "b": NUMBERS[: len(X)]}))


@pytest.mark.parametrize("name", ["tokens", "words", "numbers", "images"])
def test_a_tagger(name: str) -> None:
    column, options, asked = parted(name)
    model = Tagger(**options).fit(column, [["x", "y", "x"]] * 6)
    for X in asked:
        assert [len(row) for row in model.predict(X)] == [len(one) for one in X]
        assert [len(row) for row in model.predict_proba(X)] == [len(one) for one in X]


@pytest.mark.parametrize("name", ["numbers", "sound"])
def test_a_transcriber(name: str) -> None:
    column, options, asked = parted(name)
    model = Transcriber(**options).fit(column, ["a", "b"] * 3)
    for X in asked:
        answers = model.predict(X)
        assert len(answers) == len(X)
        assert not X or answers[-1] == ""
