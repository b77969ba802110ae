"""Schemes of spans: found by the labels, read as seqeval reads them, and kept by answers."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elman import Tagger, load
from elman.layers.crf import viterbi
from elman.ragged import Ragged
from elman.tasks.tag.spans import SCHEMES, fits, obeys, rules_of, scheme_of, span_scores, spans
from elman.tasks.tag.table import TagTable

#: The spans (0, 3, "a"), (3, 4, "a") and (5, 6, "b") of seven steps in each scheme.
WRITTEN = {
    "BIO": ["B-a", "I-a", "I-a", "B-a", "O", "B-b", "O"],
    "IOB1": ["I-a", "I-a", "I-a", "B-a", "O", "I-b", "O"],
    "IOBES": ["B-a", "I-a", "E-a", "S-a", "O", "S-b", "O"],
    "BILOU": ["B-a", "I-a", "L-a", "U-a", "O", "U-b", "O"],
    "BMES": ["B-a", "M-a", "E-a", "S-a", "O", "S-b", "O"],
    "BMEWO": ["B-a", "M-a", "E-a", "W-a", "O", "W-b", "O"],
}
IO = ["I-a", "I-a", "I-a", "O", "O", "I-b", "O"]  # which cannot tell spans of one kind apart that touch
SPANS = [(0, 3, "a"), (3, 4, "a"), (5, 6, "b")]


def without_kinds(labels: list[str]) -> list[str]:
    return [label[:1] for label in labels]


@pytest.mark.parametrize("scheme", WRITTEN)
def test_every_scheme(scheme: str) -> None:
    labels = WRITTEN[scheme]
    assert scheme_of([labels, []]) == scheme
    assert [tuple(span) for span in spans(labels)] == SPANS
    assert obeys([labels], scheme)
    assert fits(labels, scheme)
    assert span_scores([labels], [labels])[:3] == (1.0, 1.0, 1.0)
    bare = without_kinds(labels)
    assert scheme_of([bare]) == scheme
    assert [tuple(span)[:2] for span in spans(bare)] == [span[:2] for span in SPANS]


def test_every_scheme_has_a_row() -> None:
    assert {*WRITTEN, "IO"} == set(SCHEMES)
    assert scheme_of([IO]) == "IO"
    assert [tuple(span) for span in spans(IO)] == [SPANS[0], SPANS[2]]


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        ("B I", "BIO"),  # every step in a span
        ("B O I", "BIO"),
        ("B-a O", "BIO"),
        ("B-a B-b", "BIO"),
        ("I-a I-b O", "IO"),
        ("B M E S", "BMES"),  # words of Chinese
        ("B E S", "BMES"),
        ("B-a E-a S-a O", "IOBES"),
        ("S-a O", "IOBES"),
        ("U-a O", "BILOU"),
        ("B-a B-b-c I-b-c O", "BIO"),  # a kind may have a hyphen
        ("B- I- O", "BIO"),
        ("O", None),
        ("I O", None),  # inside and outside, as of a membrane
        ("B O", None),
        ("B E", None),
        ("S M L", None),
        ("I-5 I-80", None),  # roads
        ("H E C", None),  # helix, strand, coil
        ("H B E G I T S O", None),  # the same finer
        ("B-a I-a NOUN", None),
        ("B-a I", None),
        ("b-a i-a o", None),
        ("BB I O", None),
        ("", None),
    ],
)
def test_which_labels_are_spans(labels: str, scheme: str | None) -> None:
    assert scheme_of([labels.split()]) == scheme


def test_numbers_are_no_spans() -> None:
    assert scheme_of([[1, 0]]) is None
    assert scheme_of([["O", 1]]) is None
    assert scheme_of([]) is None


@pytest.mark.parametrize(
    ("sequences", "scheme"),
    [
        ([["I-a", "B-a"], ["O", "I-b"]], "IOB1"),
        ([["B-a", "I-a"], ["O", "I-b"]], "BIO"),  # of both: BIO, whose rules it breaks
        ([["B-a", "B-a"]], "BIO"),
        ([["I-a", "B-b"]], "BIO"),
    ],
)
def test_the_two_that_share_their_letters(sequences: list[list[str]], scheme: str) -> None:
    assert scheme_of(sequences) == scheme


#: Labels that break the rules, truth and answers, and precision, recall and F1 as seqeval 1.2.2 has them.
COUNTED = [
    (
        [["I-b", "O", "I-a", "E-b", "S-b", "B-b"], [], ["B-a", "S-b", "E-a", "O", "I-b", "I-b", "S-b", "O"]],
        [["O", "S-b", "S-a", "I-a", "I-b", "I-a"], [], ["O", "S-a", "B-a", "B-b", "I-a", "B-a", "E-a", "B-a"]],
        (0.272727, 0.3, 0.285714),
    ),
    (
        [["E-a", "S-b", "S-a", "S-a", "S-a", "S-b"], [], ["I-a", "E-b", "B-b", "B-a", "I-a", "S-b", "I-b", "E-a"]],
        [["S-a", "E-a", "S-a", "O", "S-a", "E-b"], [], ["O", "S-a", "I-b", "E-b", "B-a", "E-a", "I-a", "E-b"]],
        (0.4, 0.307692, 0.347826),
    ),
]


@pytest.mark.parametrize(("truth", "told", "wanted"), COUNTED)
def test_as_seqeval_counted(truth: list[list[str]], told: list[list[str]], wanted: tuple[float, float, float]) -> None:
    assert span_scores(truth, told)[:3] == pytest.approx(wanted, abs=1e-6)


def test_the_same_as_seqeval() -> None:
    entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities
    draw = random.Random(0)
    labels = ["O", *(f"{part}-{kind}" for part in "BIES" for kind in "ab")]
    for _ in range(500):
        own = [draw.choice(labels) for _ in range(draw.randrange(9))]
        assert [tuple(span) for span in spans(own)] == [(first, last + 1, kind) for kind, first, last in entities(own)]


@pytest.mark.parametrize("scheme", [*WRITTEN, "IO"])
def test_rules_are_what_obeys_says(scheme: str) -> None:
    labels = sorted({"O", *(f"{part}-{kind}" for part in SCHEMES[scheme] for kind in "ab")})
    rules = rules_of(labels, scheme)
    for length in (1, 2, 3):
        for path in itertools.product(range(len(labels)), repeat=length):
            moves = all(rules.moves[a, b] for a, b in itertools.pairwise(path))
            allowed = bool(rules.starts[path[0]] and moves and rules.ends[path[-1]])
            assert allowed == obeys([[labels[i] for i in path]], scheme)


@pytest.mark.parametrize("scheme", [*WRITTEN, "IO"])
@pytest.mark.parametrize("kinds", ["a", "ab"])
@pytest.mark.parametrize("outside", [True, False])
def test_best_paths_keep_the_rules(scheme: str, kinds: str, outside: bool) -> None:
    labels = sorted({f"{part}-{kind}" for part in SCHEMES[scheme] for kind in kinds} | ({"O"} if outside else set()))
    lengths = torch.tensor([0, *range(8)]).cumsum(0)
    z = Ragged(torch.randn(int(lengths[-1]), len(labels), generator=torch.Generator().manual_seed(0)).double(), lengths)
    n = len(labels)
    codes = viterbi(z, np.zeros((n, n)), np.zeros(n), np.zeros(n), rules_of(labels, scheme))
    found = [[labels[i] for i in own] for own in np.split(codes, lengths[1:-1].numpy())]
    assert obeys(found, scheme)


def test_where_no_label_stands_alone_a_sequence_of_one_step_has_an_answer() -> None:
    labels = ["B-a", "E-a", "M-a"]
    z = Ragged(torch.randn(3, 3).double(), torch.tensor([0, 1, 3]))
    codes = viterbi(z, np.zeros((3, 3)), np.zeros(3), np.zeros(3), rules_of(labels, "BMES"))
    assert labels[codes[0]] == "B-a"


# ---- a tagger of each scheme

SMALL: dict[str, Any] = {
    "hidden": 4,
    "embed": 4,
    "characters": 0,
    "word_shape": 0,
    "epochs": 1,
    "batch_sequences": 16,
    "verbose": False,
    "seed": 0,
}
STEPS = ["new", "york", "city", "paris", "in", "anna", "left"]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.tasks.base.task.learning_curve", lambda *given, **more: None)


@pytest.mark.parametrize("scheme", [*WRITTEN, "IO"])
@pytest.mark.parametrize("kinds", [True, False])
def test_taggers(scheme: str, kinds: bool, tmp_path: Path) -> None:
    labels = WRITTEN.get(scheme, IO)
    if not kinds:
        labels = without_kinds(labels)
    tagger = Tagger(**SMALL).fit([STEPS] * 12, [labels] * 12)
    found = tagger.evaluate([STEPS], [labels])
    if scheme == "IO" and not kinds:
        assert tagger.scheme_ is None
        assert "f1" not in found
        assert tagger.score([STEPS], [labels]) == found["accuracy"]
        assert tagger.data_["spans"].startswith("none")
        return
    assert tagger.scheme_ == scheme
    assert tagger.spans_
    assert tagger.constrained_
    assert tagger.score([STEPS], [labels]) == found["f1"]
    assert tagger.data_["spans"] == scheme
    assert f"spans ({scheme})" in TagTable(tagger).describe_learnt()
    assert obeys(tagger.predict([STEPS, STEPS[:1], STEPS[::-1] * 3]), scheme)
    tagger.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.scheme_, again.constrained_) == (scheme, True)
    assert again.predict([STEPS]) == tagger.predict([STEPS])
    assert scheme in (tmp_path / "model" / "README.md").read_text("utf-8")


def test_rules_that_the_training_labels_break_are_not_kept() -> None:
    labels = ["B-a", "I-a", "O", "E-a", "S-a", "O", "B-b"]  # an end without a beginning, a beginning without an end
    tagger = Tagger(**SMALL).fit([STEPS] * 12, [labels] * 12)
    assert (tagger.scheme_, tagger.constrained_) == ("IOBES", False)
    assert tagger.data_["spans"] == "IOBES, not obeyed by the training labels"


def test_a_stream_has_the_labels_of_the_whole() -> None:
    labels = WRITTEN["IOBES"]
    tagger = Tagger(**SMALL, bidirectional=False).fit([STEPS] * 12, [labels] * 12)
    session = tagger.stream()
    for step in range(len(STEPS)):
        assert session.feed(STEPS[step]).labels == tagger.predict([STEPS[: step + 1]])[0]
