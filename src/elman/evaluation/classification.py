"""The report on a classifier: every class, the confusion matrix, ROC and precision-recall area, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from elman.errors import DataError
from elman.evaluation import metrics, tables
from elman.evaluation.calibration import BINS, ReliabilityBin, expected_calibration_error, reliability
from elman.evaluation.classification_plot import MOST, RankCurve, classification_picture
from elman.evaluation.model_card import CountTable
from elman.evaluation.ranking import RankScore, macro_mean, rank_scores
from elman.validation import html

_SHOWN = 12  # classes of a printed or drawn confusion matrix; the smaller ones share a row


@dataclass(frozen=True)
class ClassificationReport:
    """The quality of answers with probabilities, on sequences whose class is known.

    It prints as tables; `to_json` gives all numbers, `picture` the curves.

    >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> report = ClassificationReport(["ham", "spam"], np.array([0, 0, 1]), np.array([0, 1, 1]), probabilities)
    >>> report.confusion.tolist(), report.roc_area, round(report.expected_calibration_error, 4)
    ([[1, 1], [0, 1]], 1.0, 0.3)
    """

    labels: list[Any]  # the classes in the order of the probabilities, then true labels that were not learnt
    truth: NDArray[np.int64]  # the place of each true label in `labels`
    answers: NDArray[np.int64]  # and of each answer
    probabilities: NDArray[np.float64]  # [answers, classes]
    counted: str = "sequences"  # what has an answer

    def __post_init__(self) -> None:
        if not len(self.truth):
            raise DataError(f"there are no {self.counted} to score. Give at least one.")

    @property
    def scores(self) -> dict[str, float]:
        """Accuracy and macro F1."""
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1}

    @cached_property
    def accuracy(self) -> float:
        """The share of answers that are right."""
        return float((self.truth == self.answers).mean())

    @cached_property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that occur among the true labels or the answers."""
        return metrics.macro_f1(self.truth.tolist(), self.answers.tolist())

    @cached_property
    def classes(self) -> list[metrics.ClassScore]:
        """Precision, recall and F1 of each label."""
        scores = metrics.per_class(self.truth.tolist(), self.answers.tolist(), range(len(self.labels)))
        return [score._replace(label=label) for score, label in zip(scores, self.labels, strict=True)]

    @cached_property
    def ranks(self) -> list[RankScore]:
        """ROC and precision-recall area of each class that has probabilities: evaluation/ranking.py."""
        return rank_scores(self.truth, self.probabilities)

    @property
    def roc_area(self) -> float:
        """The mean ROC area of the classes, one-vs-rest; NaN where only one class occurs."""
        return macro_mean(rank.roc_area for rank in self.ranks)

    @property
    def pr_area(self) -> float:
        """The mean precision-recall area (average precision) of the classes; NaN where only one class occurs."""
        return macro_mean(rank.pr_area for rank in self.ranks)

    @cached_property
    def reliability(self) -> list[ReliabilityBin]:
        """Confidence and accuracy in 15 bins: evaluation/calibration.py. A decision threshold has no part in it."""
        likeliest = self.probabilities.argmax(1)
        return reliability(self.probabilities.max(1), likeliest == self.truth)

    @property
    def expected_calibration_error(self) -> float:
        """The mean gap between confidence and accuracy (Guo et al. 2017), 0 to 1."""
        return expected_calibration_error(self.reliability)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix [true, answered] in the order of `labels`."""
        return metrics.confusion_of_codes(self.truth, self.answers, len(self.labels))

    # ---- as text, JSON and a picture

    @property
    def summary(self) -> str:
        """The figures of all classes together, on one line."""
        return (
            f"ROC area {tables.formatted(self.roc_area)}, PR area {tables.formatted(self.pr_area)} (one-vs-rest, mean "
            f"over classes; higher is better); expected calibration error "
            f"{tables.formatted(self.expected_calibration_error)} ({BINS} bins; lower is better)"
        )

    def tables(self) -> list[Table | str]:
        """The classes, the confusion matrix and the summary, for a terminal."""
        first = "class" if self.counted == "sequences" else "label"
        areas = [*self.ranks, *[RankScore(math.nan, math.nan)] * (len(self.labels) - len(self.ranks))]
        more = {"ROC area": [rank.roc_area for rank in areas], "PR area": [rank.pr_area for rank in areas]}
        classes = tables.class_table(self.classes, first, self.counted, more)
        return [classes, tables.confusion_table(*self._largest()), self.summary]

    def _repr_html_(self) -> str:
        return html.printed(self)

    def __str__(self) -> str:
        return tables.as_text(self._scores(), *self.tables())

    def to_json(self) -> dict[str, Any]:
        """All numbers in a form that JSON can represent; what is not defined is None.

        Of the confusion matrix the cells that are not 0.
        """
        table = [(int(t), int(a), int(n)) for (t, a), n in self._pairs()]
        return {
            self.counted: len(self.truth),
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "roc_area": tables.number(self.roc_area),
            "pr_area": tables.number(self.pr_area),
            "expected_calibration_error": self.expected_calibration_error,
            "classes": [self._class_json(place) for place in range(len(self.labels))],
            "confusion": [{"true": self.labels[t], "answered": self.labels[a], "count": n} for t, a, n in table],
            "reliability": [part._asdict() for part in self.reliability],
        }

    def picture(self, title: str = "Classification report") -> bytes | None:
        """Confusion matrix, reliability diagram, ROC and precision-recall curves, as the bytes of a PNG.

        None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
        """
        names, counts = self._largest()
        error = f"expected calibration error {tables.formatted(self.expected_calibration_error)}"
        return classification_picture(names, counts, self.reliability, error, self._curves(), title, self._scores())

    @property
    def count_table(self) -> CountTable:
        """The confusion matrix of the largest classes, for a model card."""
        names, counts = self._largest()
        return CountTable("Confusion matrix", "true \\ answered", names, names, counts.tolist())

    def _pairs(self) -> list[tuple[NDArray[np.int64], int]]:
        pairs, counts = np.unique(np.stack([self.truth, self.answers], 1), axis=0, return_counts=True)
        return list(zip(pairs, counts.tolist(), strict=True))

    def _class_json(self, place: int) -> dict[str, Any]:
        score, known = self.classes[place], place < len(self.ranks)
        found: dict[str, Any] = score._asdict()
        found[self.counted] = found.pop("sequences")
        return found | {
            "roc_area": tables.number(self.ranks[place].roc_area) if known else None,
            "pr_area": tables.number(self.ranks[place].pr_area) if known else None,
        }

    def _largest(self) -> tuple[list[str], NDArray[np.int64]]:
        """The confusion matrix of the largest classes, all others as one; names and counts."""
        sizes = np.bincount(self.truth, minlength=len(self.labels))
        names, place = metrics.largest_classes(self.labels, sizes, _SHOWN)
        return names, metrics.confusion_of_codes(place[self.truth], place[self.answers], len(names))

    def _scores(self) -> str:
        return f"accuracy {self.accuracy:.4f}, macro F1 {self.macro_f1:.4f}, {len(self.truth):,} {self.counted}"

    def _curves(self) -> list[RankCurve]:
        """The curves of the largest classes that have an area; of two classes those of the second."""
        places = [i for i, rank in enumerate(self.ranks) if not math.isnan(rank.roc_area)]
        if len(self.ranks) == 2:
            places = places[1:]
        size = np.bincount(self.truth, minlength=len(self.labels))
        return [
            RankCurve.of(self.labels[i], self.ranks[i], self.truth == i, self.probabilities[:, i])
            for i in sorted(places, key=lambda i: -size[i])[:MOST]
        ]
