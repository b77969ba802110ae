"""A classifier on the command line: labels in a table, answers and probabilities as columns, TF-IDF beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from elman.errors import DataError
from elman.evaluation import metrics
from elman.evaluation.baselines import Baseline, linear_baseline, majority
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter, Scored
from elman.tasks.base.table_columns import among, labels_of, refuse_gaps, written
from elman.tasks.classify.estimator import Classifier
from elman.tasks.classify.top import top_classes


@final
class ClassifyTable(RowAdapter):
    """What `elman` asks of a task whose answers are labels."""

    model: Classifier
    estimator: ClassVar[type[Classifier]] = Classifier
    target_help: ClassVar[str] = "the column with the labels"
    draws_scores: ClassVar[bool] = True
    top: int | None = None  # how many of the likeliest classes answers have; None: the probability of every class

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
        """The classes, and the threshold if one was chosen."""
        chosen = {"threshold": self.model.threshold_} if hasattr(self.model, "threshold_") else {}
        return {"classes": self.model.classes_.tolist(), **chosen}

    def describe_learnt(self) -> str:
        """How many classes, and the threshold if one was chosen."""
        chosen = self.model.data_.get("threshold")
        return f"{len(self.model.classes_)} classes" + (f", {chosen}" if chosen else "")

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The answer, and the probability of each class, or with `top` the likeliest ones and their probabilities."""
        chances, classes = self.model.predict_proba(X), self.model.classes_
        columns: dict[str, Any] = {f"predicted_{target[0]}": self.model.decide(chances).tolist()}
        if self.top is None:
            return columns | {f"probability_{written(c)}": chances[:, i] for i, c in enumerate(classes.tolist())}
        labels, probabilities = top_classes(chances, classes, self.top)
        for i in range(labels.shape[1]):
            columns[f"predicted_{target[0]}_{i + 1}"] = labels[:, i].tolist()
            columns[f"probability_{i + 1}"] = probabilities[:, i]
        return columns

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """Accuracy and macro F1, and the report on every class."""
        X, truth = self.rows_of(table, input), self.read_targets(table, target[0], model)
        with table.located():
            report = self.model.report(X, truth)
        details = report.to_json()
        scores = {name: details.pop(name) for name in ("accuracy", "macro_f1")}
        return Scored(details.pop("sequences"), scores, details, report.tables(), picture=report.picture)

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy and macro F1."""
        (name,) = truth
        given = np.asarray(answers[name]).tolist() if hasattr(answers[name], "tolist") else list(answers[name])
        return {
            "accuracy": metrics.accuracy(truth[name], given),
            "macro_f1": metrics.macro_f1(truth[name], given),
        }

    def baselines(self, X: Any, target: str) -> list[Baseline]:
        """A linear model of what the sequences hold, and the commonest class."""
        return [linear_baseline(X, feature=self.model.feature_), majority()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The class and its probability."""
        chances = {written(name): chance for name, chance in answer.probabilities.items()}
        line = f"{answer.label}\t{answer.probabilities[answer.label]:.4f}"
        return line, {"steps": answer.steps, "label": answer.label, "probabilities": chances}
