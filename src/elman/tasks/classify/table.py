"""A classifier on the command line: labels in a table, answers and probabilities as columns, TF-IDF beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from elman.errors import DataError
from elman.evaluation import metrics
from elman.evaluation import tables as report
from elman.evaluation.baselines import Baseline, linear_baseline, majority
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter
from elman.tasks.base.table_columns import among, labels_of, refuse_gaps, written
from elman.tasks.classify.estimator import Classifier


@final
class ClassifyTable(RowAdapter):
    """What `elman` asks of a task whose answers are labels."""

    model: Classifier
    estimator: ClassVar[type[Classifier]] = Classifier
    target_help: ClassVar[str] = "the column with the labels"

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The labels of all rows; each must be among those that the model learnt.

        CSV has no types: there a label that reads like one of the classes, as `1` like the number 1, is that class.
        """
        labels = labels_of(table, name)
        refuse_gaps(table, table.frame[name], "Every row needs a label: write one or drop the row.")
        return labels if model is None else among(labels, self.model.classes_.tolist(), table, name, model)

    def check_targets(self, table: Table, name: str, truth: list[Any]) -> None:
        """Refuses a single class, and labels of which no two are equal."""
        classes = len(set(truth))
        if classes == 1:
            raise DataError(
                f": every row has the label {truth[0]!r}. Telling apart needs two labels at least.",
                at=table.place(column=name),
            )
        if classes == len(truth) > 2:
            raise DataError(
                ": no two rows have the same label, so there is nothing to learn. Is --target the right column?",
                at=table.place(column=name),
            )

    def metadata(self) -> dict[str, Any]:
        """The classes."""
        return {"classes": self.model.classes_.tolist()}

    def describe_learnt(self) -> str:
        """How many classes."""
        return f"{len(self.model.classes_)} classes"

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The likeliest class, and the probability of each."""
        chances, classes = self.model.predict_proba(X), self.model.classes_.tolist()
        columns: dict[str, Any] = {f"predicted_{target[0]}": [classes[i] for i in chances.argmax(axis=1).tolist()]}
        return columns | {f"probability_{written(c)}": chances[:, i].astype(float) for i, c in enumerate(classes)}

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy and macro F1."""
        (name,) = truth
        given = np.asarray(answers[name]).tolist() if hasattr(answers[name], "tolist") else list(answers[name])
        return {
            "accuracy": metrics.accuracy(truth[name], given),
            "macro_f1": metrics.macro_f1(truth[name], given),
        }

    def report(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """Precision, recall and F1 of each class."""
        (name,) = truth
        classes = metrics.per_class(truth[name], answers[name].tolist())
        return {"classes": [score._asdict() for score in classes]}, [report.class_table(classes)]

    def baselines(self, X: Any, target: str) -> list[Baseline]:
        """A linear model of what the sequences hold, and the commonest class."""
        return [linear_baseline(X, feature=self.model.feature_), majority()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The class and its probability."""
        chances = {written(name): chance for name, chance in answer.probabilities.items()}
        line = f"{answer.label}\t{max(chances.values()):.4f}"
        return line, {"steps": answer.steps, "label": answer.label, "probabilities": chances}
