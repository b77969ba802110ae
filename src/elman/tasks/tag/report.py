"""The report on a tagger: that of a classifier of steps, and for spans precision, recall and F1 of each kind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from elman.evaluation import tables
from elman.evaluation.classification import ClassificationReport
from elman.evaluation.metrics import ClassScore
from elman.tasks.tag.spans import kind_scores, step_scores
from elman.validation import html


@dataclass(frozen=True)
class TagReport:
    """The quality of labels, on sequences whose labels are known. It prints as tables."""

    steps: ClassificationReport
    scores: dict[str, float]  # accuracy over the steps, and precision, recall and F1 of all spans where there are any
    kinds: list[ClassScore] | None  # of spans, both ends and the kind being right; None where labels are no spans

    def tables(self) -> list[Table | str]:
        """The labels, the confusion matrix, the summary and the spans of each kind, for a terminal."""
        kinds = [] if self.kinds is None else [tables.class_table(self.kinds, "span", "spans")]
        return [*self.steps.tables(), *kinds]

    def _repr_html_(self) -> str:
        return html.printed(self)

    def __str__(self) -> str:
        scores = ", ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        return tables.as_text(f"{scores}, {len(self.steps.truth):,} steps", *self.tables())

    def to_json(self) -> dict[str, Any]:
        """All numbers in a form that JSON can represent; what is not defined is None."""
        found = self.steps.to_json() | self.scores
        found["labels"] = found.pop("classes")
        if self.kinds is not None:
            scores = [score._asdict() for score in self.kinds]
            found["kinds"] = [{"kind": s.pop("label"), "spans": s.pop("sequences"), **s} for s in scores]
        return found

    def picture(self, title: str = "Report") -> bytes | None:
        """That of the labels of steps: `ClassificationReport.picture`."""
        return self.steps.picture(title)


def tag_report(
    truth: Sequence[Sequence[Any]],
    answers: Sequence[Sequence[Any]],
    classes: NDArray[Any],
    probabilities: NDArray[np.float64],
    are_spans: bool,
) -> TagReport:
    """The report on answers with `probabilities` [steps, classes]; a true label that was not learnt is an error.

    >>> found = tag_report([["a", "c"]], [["a", "b"]], np.array(["a", "b"]), np.array([[0.9, 0.1], [0.3, 0.7]]), False)
    >>> found.steps.labels, found.steps.accuracy
    (['a', 'b', 'c'], 0.5)
    """
    true, given = (list(itertools.chain.from_iterable(part)) for part in (truth, answers))
    labels = list(dict.fromkeys([*classes.tolist(), *true]))
    place = {label: code for code, label in enumerate(labels)}
    codes = [np.array([place[label] for label in part], dtype=np.int64) for part in (true, given)]
    steps = ClassificationReport(labels, codes[0], codes[1], probabilities, counted="steps")
    return TagReport(steps, step_scores(truth, answers, are_spans), kind_scores(truth, answers) if are_spans else None)
