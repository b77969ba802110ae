"""Spans: the labelling schemes, their transition constraints, and the F1 of spans.

A label is `O`, outside all spans, or a letter and the kind of its span: `B-place`; a letter alone where there is one
kind. Letters that mean the same in different schemes are read alike:

    B  begins      I, M  goes on      E, L  ends      S, U, W  a span of one step

| scheme | labels | example: two spans of one kind, of three steps and one | its rules |
|---|---|---|---|
| BIO (IOB2) | B I O | B I I O B | I-x follows B-x or I-x |
| IO | I O | I I I O I | none |
| IOB1 | I O, and B only between spans of one kind that touch | I I I O I | B-x follows B-x or I-x |
| IOBES | I O B E S | B I E O S | a span begins with B-x, goes on with I-x, ends with E-x; or it is S-x |
| BILOU | B I L O U | B I L O U | the same with L for E and U for S |
| BMES | B M E S, O where something is outside | B M E O S | the same with M for I |
| BMEWO | B M E W O | B M E O W | the same with W for S |

Whatever the scheme, labels that break its rules are read as in the CoNLL evaluation (and by seqeval): a span begins
at B, at S, and where I or E does not go on with its kind; it ends after E and S, and before what does not go on with
it. With TP, FP and FN the spans that were found, wrongly claimed and missed, both ends and the kind being right:

    precision = TP / (TP + FP)      recall = TP / (TP + FN)      F1 = 2 TP / (2 TP + FP + FN)

Sources: Ramshaw & Marcus, "Text chunking using transformation-based learning", 1995; Tjong Kim Sang & Veenstra,
"Representing text chunks", 1999 (IOB1, IOB2, IO, IOE); Tjong Kim Sang & De Meulder 2003; Ratinov & Roth 2009 (BILOU).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.evaluation.metrics import ClassScore, accuracy
from elman.layers.crf import TransitionConstraints

OUTSIDE = "O"
#: The letters of each scheme.
SCHEMES = {"BIO": "BI", "IO": "I", "IOB1": "BI", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEWO": "BMEW"}
_ROLES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
_GO_ON = ("I", "E")


class Span(NamedTuple):
    """A span: its first step, the step after its last, and its kind."""

    start: int
    stop: int
    kind: str


class SpanScore(NamedTuple):
    """Precision, recall and F1 of spans."""

    precision: float
    recall: float
    f1: float
    spans: int  # true ones


# ---- schemes


def scheme_of(sequences: Sequence[Sequence[Any]]) -> str | None:
    """The name of the scheme of the labels of all sequences; None where they are no spans.

    Labels with kinds are spans if all but `O` are a letter of one scheme, `-` and a kind, and there is a `B-x` or an
    `O`. Labels without kinds are spans if they are letters of one scheme, `B` among them: `B I`, or at least three with
    `O`. BIO labels are IOB1 where they obey the rules of IOB1 and not those of BIO.

    >>> scheme_of([["B-a", "I-a", "O"]]), scheme_of([["I-a", "I-a"], ["O"]]), scheme_of([["I-a", "B-a"], ["O", "I-a"]])
    ('BIO', 'IO', 'IOB1')
    >>> scheme_of([["B", "M", "E", "S"]]), scheme_of([["NOUN", "VERB"]])
    ('BMES', None)
    """
    found = _family({label for labels in sequences for label in labels})
    if found == "BIO" and not obeys(sequences, "BIO") and obeys(sequences, "IOB1"):
        return "IOB1"
    return found


def fits(labels: Sequence[Any], scheme: str | None) -> bool:
    """Whether these can be the distinct labels of a scheme; None: of no spans.

    >>> fits(["O", "B-a", "I-a"], "IOB1"), fits(["O", "B-a", "I-a"], "BILOU")
    (True, False)
    """
    return _family(labels) == ("BIO" if scheme == "IOB1" else scheme)


def _family(labels: Iterable[Any]) -> str | None:
    """The scheme of these labels, BIO standing for IOB1 too."""
    distinct = set(labels)
    if not all(isinstance(label, str) for label in distinct):
        return None
    inside = distinct - {OUTSIDE}
    letters = {label[:1] for label in inside}
    named = all(label[1:2] == "-" for label in inside)
    if named and not ("B" in letters or OUTSIDE in distinct):
        return None
    if not named and not _plain_letters(distinct):
        return None
    if letters <= set("BES") and not letters <= {"B"} and OUTSIDE not in distinct:
        return "BMES"
    order = ("IO", *(scheme for scheme in SCHEMES if scheme not in ("IO", "IOB1")))
    return next((scheme for scheme in order if letters and letters <= set(SCHEMES[scheme])), None)


def _plain_letters(distinct: set[str]) -> bool:
    """Whether labels without kinds are likely to be spans."""
    one = all(len(label) == 1 for label in distinct)
    return one and "B" in distinct and (distinct == {"B", "I"} or len(distinct) >= 3)


def _split(label: Any) -> tuple[str, str]:
    """The prefix of a label ("B", "I", "E", "S" or "O") and the kind of the span."""
    if not isinstance(label, str) or label[1:2] not in ("", "-"):
        return OUTSIDE, ""
    return _ROLES.get(label[:1], OUTSIDE), label[2:]


# ---- spans


def spans(labels: Sequence[str]) -> list[Span]:
    """The spans in the labels of one sequence, whatever their scheme; a label of none is outside.

    >>> spans(["B-place", "I-place", "O", "I-person"])
    [Span(start=0, stop=2, kind='place'), Span(start=3, stop=4, kind='person')]
    >>> [tuple(span) for span in spans(["B", "E", "S", "B", "M", "E"])]
    [(0, 2, ''), (2, 3, ''), (3, 6, '')]
    """
    found: list[Span] = []
    begun: tuple[int, str] | None = None
    for step, label in enumerate([*labels, OUTSIDE]):
        role, kind = _split(label)
        if begun is not None and (role not in _GO_ON or kind != begun[1]):
            found.append(Span(begun[0], step, begun[1]))
            begun = None
        if begun is None and role != OUTSIDE:
            begun = step, kind
        if begun is not None and role in ("E", "S"):
            found.append(Span(begun[0], step + 1, begun[1]))
            begun = None
    return found


# ---- rules


def rules_of(labels: Sequence[str], scheme: str = "BIO") -> TransitionConstraints:
    """Which of these labels may follow which, begin a sequence and end one, by the rules of a scheme.

    Where no label stands for a whole span or for what is outside, any may be the last: a sequence of one step needs a
    label.

    >>> rules_of(["B-a", "I-a", "O"]).moves.astype(int).tolist()
    [[1, 1, 1], [1, 1, 1], [1, 0, 1]]
    >>> rules_of(["B-a", "E-a", "O"], "IOBES").ends.astype(int).tolist()
    [0, 1, 1]
    """
    parts = [_split(label) for label in labels]
    moves = np.array([[_may_follow(one, other, scheme) for other in parts] for one in parts], dtype=np.bool_)
    starts = np.array([_may_follow(None, one, scheme) for one in parts], dtype=np.bool_)
    ends = np.array([_may_end(one, scheme) for one in parts], dtype=np.bool_)
    return TransitionConstraints(moves, starts, ends if (starts & ends).any() else np.ones_like(ends))


def obeys(sequences: Sequence[Sequence[str]], scheme: str = "BIO") -> bool:
    """Whether the labels of all sequences obey these rules.

    >>> obeys([["B-a", "I-a"], ["O", "I-a"]]), obeys([["I-a"], ["O", "I-a"]], "IOB1")
    (False, True)
    """
    for labels in sequences:
        parts = [_split(label) for label in labels]
        if not all(_may_follow(before, one, scheme) for before, one in zip([None, *parts], parts, strict=False)):
            return False
        if parts and not _may_end(parts[-1], scheme):
            return False
    return True


def _may_follow(before: tuple[str, str] | None, one: tuple[str, str], scheme: str) -> bool:
    """Whether a label may follow another, None: be the first."""
    goes_on = before is not None and before[0] in ("B", "I") and before[1] == one[1]
    if scheme in _BEGINS:
        return goes_on or one[0] != _BEGINS[scheme]
    is_open = before is not None and before[0] in ("B", "I")
    return goes_on and one[0] in _GO_ON if is_open else one[0] not in _GO_ON


def _may_end(last: tuple[str, str], scheme: str) -> bool:
    return scheme in _BEGINS or last[0] not in ("B", "I")


#: Schemes whose spans end without a sign, and the part that must follow one of its kind.
_BEGINS = {"BIO": "I", "IO": "", "IOB1": "B"}


# ---- how many were found


def span_scores(
    truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]], weights: Sequence[float] | None = None
) -> SpanScore:
    """Micro-averaged precision, recall and F1 of the spans of all sequences; 0 where the denominator is 0.

    `weights`: what a span of each sequence counts.

    >>> span_scores([["B-a", "O", "B-b"]], [["B-a", "O", "O"]])
    SpanScore(precision=1.0, recall=0.5, f1=0.6666666666666666, spans=2)
    """
    spoken, there, claimed, both = 0, 0.0, 0.0, 0.0
    for true, told, each in zip(truth, answers, [1.0] * len(truth) if weights is None else weights, strict=True):
        one, other = set(spans(true)), set(spans(told))
        there, claimed, both = there + each * len(one), claimed + each * len(other), both + each * len(one & other)
        spoken += len(one)
    return SpanScore(_share(both, claimed), _share(both, there), _share(2 * both, there + claimed), spoken)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def kind_scores(truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> list[ClassScore]:
    """Precision, recall and F1 of the spans of each kind, as in seqeval's report; `sequences` counts the true spans.

    >>> [score] = kind_scores([["B-a", "O", "B-a"]], [["B-a", "O", "O"]])
    >>> score.label, score.precision, score.recall, score.sequences
    ('a', 1.0, 0.5, 2)
    """
    there, claimed, both = Counter[str](), Counter[str](), Counter[str]()
    for true, answered in zip(truth, answers, strict=True):
        one, other = set(spans(true)), set(spans(answered))
        for counter, found in ((there, one), (claimed, other), (both, one & other)):
            counter.update(span.kind for span in found)
    return [
        ClassScore(
            kind,
            both[kind] / max(1, claimed[kind]),
            both[kind] / max(1, there[kind]),
            2 * both[kind] / (there[kind] + claimed[kind]),
            there[kind],
        )
        for kind in sorted(there.keys() | claimed.keys())
    ]


def step_scores(
    truth: Sequence[Sequence[Any]],
    answers: Sequence[Sequence[Any]],
    are_spans: bool,
    weights: Sequence[float] | None = None,
) -> dict[str, float]:
    """Accuracy over the steps, and for spans precision, recall and F1; `weights`: what a step of each sequence counts.

    >>> step_scores([["a", "b"]], [["a", "a"]], are_spans=False)
    {'accuracy': 0.5}
    """
    each = None
    if weights is not None:
        each = [weight for weight, own in zip(weights, truth, strict=True) for _ in own]
    true, told = (list(itertools.chain.from_iterable(part)) for part in (truth, answers))
    found = {"accuracy": accuracy(true, told, each)}
    if are_spans:
        score = span_scores(truth, answers, weights)
        found |= {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return found
