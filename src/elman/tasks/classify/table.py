"""A classifier on the command line: labels in a table, answers and probabilities as columns, TF-IDF beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from elman.errors import DataError, OptionError
from elman.evaluation import metrics
from elman.evaluation.baselines import (
    Baseline,
    LabelSetBaseline,
    commonest_labels,
    label_set_baseline,
    linear_baseline,
    majority,
)
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter, Scored, target_names
from elman.tasks.base.table_columns import (
    among,
    check_names,
    floats_of,
    is_csv,
    labels_of,
    refuse_gaps,
    written,
)
from elman.tasks.base.targets.label_sets import LabelSets
from elman.tasks.classify.estimator import Classifier
from elman.tasks.classify.top import top_classes
from elman.validation.messages import few, nearest

if TYPE_CHECKING:
    import polars as pl


@final
class ClassifyTable(RowAdapter):
    """What `elman` asks of a task whose answers are labels."""

    model: Classifier
    estimator: ClassVar[type[Classifier]] = Classifier
    target_help: ClassVar[str] = "the column with the labels, or several columns of 0 and 1 with commas between them"
    draws_scores: ClassVar[bool] = True
    matrix: bool = False  # whether the targets of `fit` are several columns, a label each
    top: int | None = None  # how many of the likeliest classes answers have; None: the probability of every class

    @property
    def separator(self) -> str:
        """What separates several labels in a text."""
        return self.model.label_separator or "|"

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The labels of all rows, lists where there may be several; each must be among those that the model learnt.

        CSV has no types: there a label that reads like one of the classes, as `1` like the number 1, is that class.
        """
        check_names(table, [name])
        if self.matrix if model is None else len(target_names(self.model)) > 1:
            return self._indicator(table, name)
        if self._has_several(table, name, model):
            return self._label_lists(table, name, model)
        labels = labels_of(table, name)
        refuse_gaps(table, table.frame[name], "Every row needs a label: write one or drop the row.")
        return labels if model is None else among(labels, self.model.classes_.tolist(), table, name, model)

    def _has_several(self, table: Table, name: str, model: str | None) -> bool:
        """Whether the cells of a column hold any number of labels."""
        if model is not None:
            return self.model.multilabel_
        return self.model.label_separator is not None or table.frame[name].dtype.is_nested()

    def _label_lists(self, table: Table, name: str, model: str | None) -> list[Any]:
        """The lists of a column, or its texts divided by the separator; an empty text has no labels."""
        import polars as pl

        column = table.frame[name]
        if column.dtype in (pl.String, pl.Null):
            cells = column.cast(pl.String).fill_null("").to_list()
            lists = [[part for one in cell.split(self.separator) if (part := one.strip())] for cell in cells]
        else:
            refuse_gaps(table, column, "Every row needs a list of labels: write [] for none.")
            if not isinstance(column.dtype, pl.List | pl.Array):
                raise DataError(
                    f"holds {column.dtype}, neither texts nor lists of labels.", at=table.place(column=name)
                )
            lists = column.to_list()
        if model is None:
            return lists
        rows = [row for row, own in enumerate(lists) for _ in own]
        flat = iter(among([x for own in lists for x in own], self.model.classes_.tolist(), table, name, model, rows))
        return [[next(flat) for _ in own] for own in lists]

    def _indicator(self, table: Table, name: str) -> list[int]:
        """A column of 0 and 1, one of several labels."""
        values = floats_of(table, name)
        for row, value in enumerate(values):
            if value not in (0, 1):
                raise DataError(
                    f"is {table.frame[name][row]!r}. A column of one of several labels holds 0 and 1.",
                    at=table.place(row, name),
                )
        return [int(value or 0) for value in values]

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Fits the model to predict the column `target`, or several columns of 0 and 1, a label each."""
        self.matrix = len(target) > 1
        super().fit_table(table, target, beside, out=out, resume=resume)

    def check_targets(self, table: Table, name: str, truth: list[Any]) -> None:
        """Refuses a single class, and labels of which no two are equal."""
        if self.matrix or self._has_several(table, name, None):
            return
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

    def answer_to_explain(self, table: Table, answer: str, model: str) -> Any:
        """The class, for every row."""
        known = {written(label): label for label in self.model.classes_.tolist()}
        if answer not in known:
            what = f"{answer!r} is no class of {model}.{nearest(answer, known)}"
            raise OptionError(f"{what} Its classes: {few(list(known))}.")
        return [known[answer]] * table.frame.height

    def metadata(self) -> dict[str, Any]:
        """The classes, and the threshold if one was chosen."""
        chosen = {}
        if hasattr(self.model, "threshold_"):
            chosen["threshold"] = np.asarray(self.model.threshold_).tolist()
        several = {"multilabel": True} if self.model.multilabel_ else {}
        return {"classes": self.model.classes_.tolist(), **several, **chosen}

    def describe_learnt(self) -> str:
        """How many classes, and the threshold if one was chosen."""
        chosen = self.model.data_.get("threshold")
        what = "labels, any number a sequence" if self.model.multilabel_ else "classes"
        return f"{len(self.model.classes_)} {what}" + (f", {chosen}" if chosen else "")

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The answer, and the probability of each class, or with `top` the likeliest ones and their probabilities."""
        chances, classes = self.model.predict_proba(X), self.model.classes_
        found = self.model.decide(chances)
        if len(target) > 1:
            columns = {f"predicted_{name}": found[:, k].astype(int).tolist() for k, name in enumerate(target)}
            target = [""]
        elif self.model.multilabel_:
            lists = found if isinstance(found, list) else [classes[row > 0].tolist() for row in found]
            columns = {f"predicted_{target[0]}": lists}
        else:
            columns = {f"predicted_{target[0]}": found.tolist()}
        if self.top is None:
            return columns | {f"probability_{written(c)}": chances[:, i] for i, c in enumerate(classes.tolist())}
        labels, probabilities = top_classes(chances, classes, self.top)
        for i in range(labels.shape[1]):
            columns[f"predicted_{target[0]}_{i + 1}".replace("__", "_")] = labels[:, i].tolist()
            columns[f"probability_{i + 1}"] = probabilities[:, i]
        return columns

    def answer_type(self, table: Table, column: pl.Series) -> pl.Series:
        """Lists of labels, in a CSV file and where training had them so texts with the separator."""
        import polars as pl

        if not isinstance(column.dtype, pl.List) or not (is_csv(table) or self.model.label_separator):
            return column
        return pl.Series(column.name, [self.separator.join(map(written, own)) for own in column.to_list()], pl.String)

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """Accuracy and macro F1, of several labels F1 and subset accuracy, and the report on every class."""
        X = self.rows_of(table, input)
        truth = {name: self.read_targets(table, name, model) for name in target}
        with table.located():
            report = self.model.report(X, truth if len(truth) > 1 else truth[target[0]])
        details = report.to_json()
        scores = {name: details.pop(name) for name in report.scores}
        return Scored(details.pop("sequences"), scores, details, report.tables(), picture=report.picture)

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy and macro F1; of several labels F1 and subset accuracy."""
        if len(truth) > 1:
            return metrics.label_set_scores(*(np.array([own[n] for n in truth]).T > 0 for own in (truth, answers)))
        (name,) = truth
        if self.model.multilabel_:
            sets = (LabelSets(truth[name]), LabelSets(list(answers[name])))
            return metrics.label_set_scores(*(own.present(self.model.classes_) for own in sets))
        given = np.asarray(answers[name]).tolist() if hasattr(answers[name], "tolist") else list(answers[name])
        return {
            "accuracy": metrics.accuracy(truth[name], given),
            "macro_f1": metrics.macro_f1(truth[name], given),
        }

    def baselines(self, X: Any, target: str) -> list[Baseline | LabelSetBaseline]:
        """A linear model of what the sequences hold, and the commonest class, of several labels for each of them."""
        if self.model.multilabel_ and len(target_names(self.model)) < 2:
            return [label_set_baseline(X, feature=self.model.feature_), commonest_labels()]
        return [linear_baseline(X, feature=self.model.feature_), majority()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The class and its probability."""
        chances = {written(name): chance for name, chance in answer.probabilities.items()}
        labels = answer.label if self.model.multilabel_ else [answer.label]
        shown = self.separator.join(map(str, labels))
        line = f"{shown}\t{self.separator.join(f'{answer.probabilities[label]:.4f}' for label in labels)}"
        return line, {"steps": answer.steps, "label": answer.label, "probabilities": chances}
