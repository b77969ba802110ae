"""The report: by hand, as text, as JSON and as a picture, with labels of every kind and in any number."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from elman.errors import DataError
from elman.evaluation.classification import ClassificationReport


def report(classes: int = 3, sequences: int = 60, labels: list[Any] | None = None) -> ClassificationReport:
    draw = np.random.default_rng(0)
    truth, probabilities = draw.integers(0, classes, sequences), draw.dirichlet(np.ones(classes), sequences)
    names = [f"class {i}" for i in range(classes)] if labels is None else labels
    return ClassificationReport(names, truth, probabilities.argmax(1), probabilities)


def test_numbers_are_those_of_scikit_learn() -> None:
    found = report()
    assert found.confusion.tolist() == sklearn.metrics.confusion_matrix(found.truth, found.answers).tolist()
    assert found.accuracy == sklearn.metrics.accuracy_score(found.truth, found.answers)
    assert found.macro_f1 == pytest.approx(sklearn.metrics.f1_score(found.truth, found.answers, average="macro"))
    assert [score.label for score in found.classes] == ["class 0", "class 1", "class 2"]


def test_json() -> None:
    found = report(labels=["a", 1, True])
    made = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert made["sequences"] == 60 == sum(cell["count"] for cell in made["confusion"])
    assert [one["label"] for one in made["classes"]] == ["a", 1, True]
    assert made["roc_area"] == found.roc_area
    assert made["expected_calibration_error"] == found.expected_calibration_error
    assert sum(part["answers"] for part in made["reliability"]) == 60


def test_text() -> None:
    text = str(report(labels=["[red]", "好", "\x1b[2J"]))
    assert text.startswith("accuracy 0.")
    assert "[red]" in text
    assert "\x1b" not in text
    assert "ROC area" in text
    assert "expected calibration error" in text


def test_one_class_has_no_areas() -> None:
    found = ClassificationReport(["a", "b"], np.array([0, 0]), np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]]))
    assert found.to_json()["roc_area"] is None
    assert "ROC area —" in str(found)
    assert found.picture() is not None


def test_labels_that_were_not_learnt_count_as_wrong() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    found = ClassificationReport(["a", "b", "new"], np.array([0, 1, 2]), np.array([0, 1, 1]), probabilities, "steps")
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.to_json()["classes"][2] == {
        "label": "new", "precision": 0.0, "recall": 0.0, "f1": 0.0, "steps": 1, "roc_area": None, "pr_area": None,
    }  # fmt: skip
    assert found.reliability[-1].accuracy == 1.0
    assert found.picture() is not None


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_picture(classes: int) -> None:
    picture = report(classes).picture("$many$ classes")
    assert picture is not None
    assert picture.startswith(b"\x89PNG")


def test_many_classes_are_gathered() -> None:
    found = report(40, 400)
    assert "29 others" in str(found)
    assert len(found.to_json()["confusion"]) <= 400


def test_nothing_to_score() -> None:
    with pytest.raises(DataError, match=r"^there are no steps to score\. Give at least one\.$"):
        ClassificationReport(["a", "b"], np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), "steps")
