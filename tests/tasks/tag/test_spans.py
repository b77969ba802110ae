"""Spans of labels: as seqeval counts them, and the rules that answers keep."""

from __future__ import annotations

import random

import pytest

from elman.tasks.tag.spans import obeys, rules_of, scheme_of, span_scores, spans

LABELS = ["O", "B-a", "I-a", "B-b", "I-b"]


def test_the_same_as_seqeval() -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    draw = random.Random(0)
    for _ in range(50):
        lengths = [draw.randrange(0, 9) for _ in range(6)]
        truth, told = ([[draw.choice(LABELS) for _ in range(n)] for n in lengths] for _ in range(2))
        found = span_scores(truth, told)
        wanted = [
            score(truth, told, zero_division=0)
            for score in (seqeval.precision_score, seqeval.recall_score, seqeval.f1_score)
        ]
        assert found[:3] == pytest.approx(wanted)


#: Truth, answers, and precision, recall and F1 as seqeval 1.2.2 has them.
COUNTED = [
    (
        [["B-a", "I-b", "O", "I-a", "O"], ["B-b", "B-b", "B-b"]],
        [["B-b", "I-b", "O", "B-b", "O"], ["B-b", "B-b", "B-b"]],
        (0.6, 0.5, 0.545455),
    ),
    (
        [["O", "I-b", "O", "B-b", "B-a", "B-b", "O", "I-b"], [], ["B-a", "B-b", "B-b", "I-b", "B-a", "I-a"]],
        [["B-a", "B-a", "O", "B-b", "O", "B-b", "I-b", "I-b"], [], ["B-a", "B-b", "O", "I-b", "I-b", "I-a"]],
        (0.375, 0.333333, 0.352941),
    ),
    (
        [["I-a", "O", "B-b", "I-b", "O", "B-a", "I-b", "B-b", "I-a", "B-b"], ["O", "I-a", "I-b", "I-b"]],
        [["I-b", "B-a", "B-b", "I-b", "I-b", "I-b", "I-b", "B-b", "I-a", "B-b"], ["B-b", "I-a", "I-b", "I-b"]],
        (0.555556, 0.555556, 0.555556),
    ),
]


@pytest.mark.parametrize(("truth", "told", "wanted"), COUNTED)
def test_as_seqeval_counted(truth: list[list[str]], told: list[list[str]], wanted: tuple[float, float, float]) -> None:
    assert span_scores(truth, told)[:3] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([], []),
        (["I-a", "I-a", "I-b"], [(0, 2, "a"), (2, 3, "b")]),
        (["B-a", "B-a", "I-b"], [(0, 1, "a"), (1, 2, "a"), (2, 3, "b")]),
        (["O", "B-a"], [(1, 2, "a")]),
    ],
)
def test_spans(labels: list[str], found: list[tuple[int, int, str]]) -> None:
    assert [tuple(span) for span in spans(labels)] == found


def test_rules_are_what_obeys_says() -> None:
    rules = rules_of(LABELS)
    for i, one in enumerate(LABELS):
        assert rules.starts[i] == obeys([[one]])
        for j, other in enumerate(LABELS):
            if rules.starts[i]:
                assert rules.moves[i, j] == obeys([[one, other]])


def test_what_counts_as_spans() -> None:
    assert scheme_of([LABELS])
    assert scheme_of([["O", "I-a"]])
    for others in (["I-a", "I-b"], ["B-a", 1], ["B-a", "x"], []):
        assert scheme_of([others]) is None
