"""The baselines: one for each kind of sequence, right on data anyone can check, never in the way."""

from __future__ import annotations

import numpy as np
import pytest

from elman.errors import DataError, ShapeError
from elman.evaluation.baselines import linear_baseline, majority

SPACED = ["a good film", "good", "so good", "bad", "a bad film", "so bad"]
WORDS = [text.split() for text in SPACED]
UNSPACED = ["很好看", "好书", "真好", "很差", "差书", "真差"]
LABELS = ["+", "+", "+", "-", "-", "-"]


@pytest.mark.parametrize(
    ("sequences", "fresh"),
    [
        (SPACED, ["good film", "bad film", ""]),
        (UNSPACED, ["好", "差", ""]),
        (WORDS, [["good"], ["bad"], []]),
        ([[3.0, 4], [3, 3, 4], [3], [-3], [-4, -3], [-2, -2]], [[5.0], [-5], [0]]),
        ([[[3, 1]], [[4, 0]], [[3, 0]], [[-3, 1]], [[-4, 0]], [[-3, 0]]], [[[5, 0]], [[-5, 0]], [[0, 0]]]),
    ],
)
def test_each_kind_learns(sequences: list[object], fresh: list[object]) -> None:
    model = linear_baseline(sequences).fit(sequences, LABELS)
    assert model.score(sequences, LABELS) == 1.0
    assert model.predict(fresh)[:2] == ["+", "-"]
    assert model.predict([]) == []
    assert model.seconds > 0


@pytest.mark.parametrize("labels", [[1, 1, 1, 0, 0, 0], [True] * 3 + [False] * 3, ["a", "b", "c", "a", "b", "c"]])
def test_labels_come_back_as_they_were(labels: list[object]) -> None:
    answers = linear_baseline(SPACED).fit(SPACED, labels).predict(SPACED)
    assert set(map(type, answers)) == set(map(type, labels))
    assert set(answers) <= set(labels)


def test_order_of_words_counts() -> None:
    sequences = [["not", "good"], ["good", "not"]] * 10
    assert linear_baseline(WORDS).fit(sequences, ["-", "+"] * 10).score(sequences, ["-", "+"] * 10) == 1.0


def test_tokens_may_be_numbers_and_hold_spaces() -> None:
    assert linear_baseline(WORDS).fit([[1, "a b"], [2]], ["x", "y"]).predict([["a b", 1]]) == ["x"]


def test_empty_sequences_of_numbers() -> None:
    model = linear_baseline([[1.0]]).fit([[1.0, 2.0], [], [5.0], []] * 20, ["a", "b", "a", "b"] * 20)
    assert model.predict([[], [5.0], [1.0, 2.0]]) == ["b", "a", "a"]


def test_majority() -> None:
    model = majority().fit(["x", "y", "z"], ["cat", "dog", "dog"])
    assert model.predict(["p", "q"]) == ["dog", "dog"]


@pytest.mark.parametrize("kind", [SPACED, WORDS])
def test_nothing_to_tell_apart(kind: list[object]) -> None:
    made = linear_baseline(kind)
    assert made.fit(["", ""], ["a", "b"]).predict([""]) == ["a"]
    assert made.fit(["x", "y"], ["a", "a"]).predict(["x"]) == ["a"]


def test_refusals() -> None:
    with pytest.raises(ShapeError, match=r"X has 2 sequences, but y has 1 labels"):
        linear_baseline(SPACED).fit(["a", "b"], ["x"])
    with pytest.raises(DataError, match="no sequences"):
        linear_baseline(SPACED).fit([], [])
    with pytest.raises(DataError, match="was not fitted"):
        linear_baseline(SPACED).predict(["a"])


def test_the_same_every_time() -> None:
    random = np.random.default_rng(0)
    words = [" ".join(random.choice(list("abcdefgh"), 5)) for _ in range(200)]
    labels = random.integers(0, 2, 200).tolist()
    first, second = (linear_baseline(SPACED).fit(words, labels).predict(words) for _ in range(2))
    assert first == second
