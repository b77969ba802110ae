"""The report on a classifier of label sets: every label, F1 over pairs, labels and sequences, areas, calibration."""

from __future__ import annotations

from collections.abc import Sequence
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
from elman.evaluation.ranking import RankScore, macro_mean, rank_score
from elman.validation import html

COUNTED = ("found", "missed", "wrong")  # true positives, false negatives, false positives
_SHOWN = 12  # labels in the picture


@dataclass(frozen=True)
class LabelSetReport:
    """The quality of answers with any number of labels, on sequences whose labels are known.

    It prints as tables; `to_json` gives all numbers, `picture` the curves.

    >>> truth = np.array([[True, False], [True, True]])
    >>> report = LabelSetReport(["film", "music"], truth, truth, np.array([[0.9, 0.2], [0.8, 0.7]]))
    >>> report.scores["subset_accuracy"], report.roc_area, report.hamming_loss
    (1.0, 1.0, 0.0)
    """

    labels: list[Any]  # in the order of the columns
    truth: NDArray[np.bool_]  # [sequences, labels]
    answers: NDArray[np.bool_]  # [sequences, labels]
    probabilities: NDArray[np.float64]  # [sequences, labels]

    def __post_init__(self) -> None:
        if not len(self.truth):
            raise DataError("there are no sequences to score. Give at least one.")

    @cached_property
    def scores(self) -> dict[str, float]:
        """Micro, macro and samples F1, and subset accuracy: `elman.evaluation.metrics.label_set_scores`."""
        return metrics.label_set_scores(self.truth, self.answers)

    @property
    def hamming_loss(self) -> float:
        """The share of all pairs of a sequence and a label that are wrong."""
        return float((self.truth != self.answers).mean())

    @cached_property
    def classes(self) -> list[metrics.ClassScore]:
        """Precision, recall and F1 of each label, and the number of sequences that have it."""
        pairs = zip(self.labels, self.truth.T, self.answers.T, strict=True)
        return [
            metrics.per_class(truth.astype(int).tolist(), found.astype(int).tolist(), (0, 1))[1]._replace(label=label)
            for label, truth, found in pairs
        ]

    @cached_property
    def ranks(self) -> list[RankScore]:
        """ROC and precision-recall area of each label: evaluation/ranking.py."""
        return [rank_score(truth, p) for truth, p in zip(self.truth.T, self.probabilities.T, strict=True)]

    @property
    def roc_area(self) -> float:
        """The mean ROC area of the labels; NaN where none both occurs and is absent."""
        return macro_mean(rank.roc_area for rank in self.ranks)

    @property
    def pr_area(self) -> float:
        """The mean precision-recall area (average precision) of the labels."""
        return macro_mean(rank.pr_area for rank in self.ranks)

    @cached_property
    def reliability(self) -> list[ReliabilityBin]:
        """Probability and frequency in 15 bins, of all pairs of a sequence and a label."""
        return reliability(self.probabilities.ravel(), self.truth.ravel())

    @property
    def expected_calibration_error(self) -> float:
        """The mean gap between probability and frequency, 0 to 1."""
        return expected_calibration_error(self.reliability)

    @property
    def counts(self) -> NDArray[np.int64]:
        """True positives, false negatives and false positives of each label, [labels, 3]."""
        wrong = (self.truth & ~self.answers, ~self.truth & self.answers)
        return np.stack([bits.sum(0) for bits in (self.truth & self.answers, *wrong)], 1).astype(np.int64)

    # ---- as text, JSON and a picture

    @property
    def summary(self) -> str:
        """The figures of all labels together, on one line."""
        return (
            f"ROC area {tables.formatted(self.roc_area)}, PR area {tables.formatted(self.pr_area)} (mean over labels; "
            f"higher is better); hamming loss {tables.formatted(self.hamming_loss)}, expected calibration error "
            f"{tables.formatted(self.expected_calibration_error)} ({BINS} bins; lower is better)"
        )

    def tables(self) -> list[Table | str]:
        """The labels and the summary, for a terminal."""
        more = {"ROC area": [rank.roc_area for rank in self.ranks], "PR area": [rank.pr_area for rank in self.ranks]}
        return [tables.class_table(self.classes, "label", "sequences", more), self.summary]

    def _repr_html_(self) -> str:
        return html.printed(self)

    def __str__(self) -> str:
        return tables.as_text(self._scores(), *self.tables())

    def to_json(self) -> dict[str, Any]:
        """All numbers in a form that JSON can represent; what is not defined is None."""
        areas = [{name: tables.number(value) for name, value in rank._asdict().items()} for rank in self.ranks]
        return {
            "sequences": len(self.truth),
            **self.scores,
            "hamming_loss": self.hamming_loss,
            "roc_area": tables.number(self.roc_area),
            "pr_area": tables.number(self.pr_area),
            "expected_calibration_error": self.expected_calibration_error,
            "classes": [score._asdict() | area for score, area in zip(self.classes, areas, strict=True)],
            "reliability": [part._asdict() for part in self.reliability],
        }

    def picture(self, title: str = "Classification report") -> bytes | None:
        """Counts of each label, reliability diagram, ROC and precision-recall curves, as the bytes of a PNG.

        None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
        """
        largest = self._largest(_SHOWN)
        names, counts = [str(self.labels[k]) for k in largest], self.counts[largest]
        error = f"expected calibration error {tables.formatted(self.expected_calibration_error)}"
        return classification_picture(
            names, counts, self.reliability, error, self._curves(), title, self._scores(), COUNTED
        )

    @property
    def count_table(self) -> CountTable:
        """The counts of the commonest labels, for a model card."""
        largest = self._largest(_SHOWN)
        names = [str(self.labels[k]) for k in largest]
        return CountTable("Answers of each label", "label", names, list(COUNTED), self.counts[largest].tolist())

    def _largest(self, most: int) -> list[int]:
        """The commonest labels, in their order."""
        return sorted(np.argsort(-self.truth.sum(0), kind="stable")[:most].tolist())

    def _scores(self) -> str:
        named = ", ".join(f"{tables.spaced(name)} {value:.4f}" for name, value in self.scores.items())
        return f"{named.replace('f1', 'F1')}, {len(self.truth):,} sequences"

    def _curves(self) -> Sequence[RankCurve]:
        known = [k for k in np.argsort(-self.truth.sum(0), kind="stable").tolist() if not np.isnan(self.ranks[k][0])]
        return [
            RankCurve.of(self.labels[k], self.ranks[k], self.truth[:, k], self.probabilities[:, k])
            for k in known[:MOST]
        ]
