"""Small cases by hand, and labels of every kind."""

import numpy as np
import pytest

from elman.errors import DataError, ShapeError
from elman.evaluation.metrics import accuracy, confusion, macro_f1, per_class
from elman.training.history import lower_is_better

TRUTH, ANSWERS = ["a", "a", "b", "c"], ["a", "b", "b", "b"]


def test_by_hand():
    assert accuracy(TRUTH, ANSWERS) == 0.5
    # a: P 1, R 1/2, F1 2/3.  b: P 1/3, R 1, F1 1/2.  c: nothing found, 0.
    assert macro_f1(TRUTH, ANSWERS) == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert [(s.label, s.sequences) for s in per_class(TRUTH, ANSWERS)] == [("a", 2), ("b", 1), ("c", 1)]
    assert [s.precision for s in per_class(TRUTH, ANSWERS)] == pytest.approx([1, 1 / 3, 0])
    assert [s.recall for s in per_class(TRUTH, ANSWERS)] == pytest.approx([0.5, 1, 0])
    assert [s.f1 for s in per_class(TRUTH, ANSWERS)] == pytest.approx([2 / 3, 1 / 2, 0])
    labels, table = confusion(TRUTH, ANSWERS)
    assert labels == ["a", "b", "c"]
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_the_caller_may_give_the_labels_and_their_order():
    labels, table = confusion(["a"], ["b"], labels=["c", "b", "a"])
    assert labels == ["c", "b", "a"]
    assert table.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert [s.label for s in per_class(["a"], ["a"], labels=["z", "a"])] == ["z", "a"]
    with pytest.raises(DataError, match="label 'b' is none of the 1 given labels"):
        confusion(["a"], ["b"], labels=["a"])


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.array(["x", "y"]), ["x", "y"]),
        ([True, False], np.array([True, False])),
        ([1, "one"], [1, "one"]),
        ([0.5, 1.5], (0.5, 1.5)),
        ([("a", 1), ("b", 2)], [("a", 1), ("b", 2)]),
        (["好", "坏"], ["好", "坏"]),
        ([None, "x"], [None, "x"]),
    ],
)
def test_labels_of_any_kind(truth, answers):
    assert accuracy(truth, answers) == 1
    assert macro_f1(truth, answers) == 1
    assert len(per_class(truth, answers)) == 2
    assert confusion(truth, answers)[1].tolist() == [[1, 0], [0, 1]]


def test_one_class_only():
    assert accuracy(["a"], ["a"]) == macro_f1(["a"], ["a"]) == 1
    assert confusion(["a"], ["a"])[1].tolist() == [[1]]


@pytest.mark.parametrize("metric", [accuracy, macro_f1, per_class, confusion])
def test_refusals(metric):
    with pytest.raises(ShapeError, match="2 true labels, but 1 answers"):
        metric(["a", "b"], ["a"])
    with pytest.raises(DataError, match="no sequences to score"):
        metric([], [])


def test_direction():
    assert all(map(lower_is_better, ["loss", "MAE", "val_loss", "sMAPE", "word-wer", "nats_ngrams", "a.mae"]))
    assert not any(map(lower_is_better, ["accuracy", "f1", "macro_f1", "lossless"]))
