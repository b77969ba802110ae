"""Spans of labels: as seqeval counts them, and the rules that answers keep."""

from __future__ import annotations

import random

import pytest

from elman.spans import are_spans, obeys, rules_of, span_scores, spans

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
    assert are_spans(LABELS)
    for others in (["O", "I-a"], ["B-a", 1], ["B-a", "x"], []):
        assert not are_spans(others)
