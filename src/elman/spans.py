"""Spans of labels written B-x, I-x and O: which there are, which labels may follow which, and how many were found.

A span of kind x begins at B-x and goes on while I-x follows. As in the CoNLL evaluation, an I-x that follows neither
B-x nor I-x begins one as well. With TP, FP and FN the spans that were found, wrongly claimed and missed, both ends and
the kind being right:

    precision = TP / (TP + FP)      recall = TP / (TP + FN)      F1 = 2 TP / (2 TP + FP + FN)

Source: Ramshaw & Marcus, "Text chunking using transformation-based learning", 1995; Tjong Kim Sang & De Meulder 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.chain import Rules

__all__ = ["Span", "SpanScore", "are_spans", "obeys", "rules_of", "span_scores", "spans"]


class Span(NamedTuple):
    """A span: its first step, the step after its last, and its kind."""

    start: int
    stop: int
    kind: str


class SpanScore(NamedTuple):
    """How well spans were found."""

    precision: float
    recall: float
    f1: float
    spans: int  # that are truly there


def are_spans(labels: Sequence[Any]) -> bool:
    """Whether these are labels of spans: O, B-x and I-x, and no others, with at least one B-x.

    >>> are_spans(["O", "B-place", "I-place"]), are_spans(["NOUN", "VERB"])
    (True, False)
    """
    texts = [label for label in labels if isinstance(label, str)]
    good = len(texts) == len(labels) and all(text == "O" or text[:2] in ("B-", "I-") for text in texts)
    return good and any(text.startswith("B-") for text in texts)


def spans(labels: Sequence[str]) -> list[Span]:
    """The spans in the labels of one sequence.

    >>> spans(["B-place", "I-place", "O", "I-person"])
    [Span(start=0, stop=2, kind='place'), Span(start=3, stop=4, kind='person')]
    """
    found: list[Span] = []
    begun: tuple[int, str] | None = None
    for step, label in enumerate([*labels, "O"]):
        part, kind = label[:1], label[2:]
        if begun is not None and (part != "I" or kind != begun[1]):
            found.append(Span(begun[0], step, begun[1]))
            begun = None
        if part in ("B", "I") and begun is None:
            begun = step, kind
    return found


def rules_of(labels: Sequence[str]) -> Rules:
    """Which of these labels may follow which: I-x only B-x and I-x, and never the beginning.

    >>> rules_of(["B-a", "I-a", "O"]).moves.astype(int).tolist()
    [[1, 1, 1], [1, 1, 1], [1, 0, 1]]
    """
    moves = np.ones((len(labels), len(labels)), dtype=np.bool_)
    inside = np.array([label.startswith("I-") for label in labels])
    for to, label in enumerate(labels):
        if inside[to]:
            moves[:, to] = [before in (label, "B-" + label[2:]) for before in labels]
    return Rules(moves, ~inside)


def obeys(sequences: Sequence[Sequence[str]]) -> bool:
    """Whether the labels of all sequences keep these rules.

    >>> obeys([["B-a", "I-a"], ["O", "I-a"]])
    False
    """
    for labels in sequences:
        before = "O"
        for label in labels:
            if label.startswith("I-") and before not in (label, "B-" + label[2:]):
                return False
            before = label
    return True


def span_scores(truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> SpanScore:
    """Precision, recall and F1 of the spans of all sequences together; each 0 where nothing stands below the line.

    >>> span_scores([["B-a", "O", "B-b"]], [["B-a", "O", "O"]])
    SpanScore(precision=1.0, recall=0.5, f1=0.6666666666666666, spans=2)
    """
    there = claimed = both = 0
    for true, told in zip(truth, answers, strict=True):
        one, other = set(spans(true)), set(spans(told))
        there, claimed, both = there + len(one), claimed + len(other), both + len(one & other)
    return SpanScore(both / max(1, claimed), both / max(1, there), 2 * both / max(1, there + claimed), there)
