"""Several targets on the command line: labels and numbers in a table, answers as columns, a baseline for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from elman.errors import DataError
from elman.evaluation import metrics
from elman.evaluation.baselines import Baseline, NumberBaseline, linear_baseline, majority, mean, ridge
from elman.evaluation.metrics import errors_of
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter, Scored
from elman.tasks.base.table_columns import among, check_names, floats_of, labels_of, written
from elman.tasks.base.targets.labels import LabelTarget
from elman.tasks.multitask.estimator import Multitask
from elman.validation.columns import is_missing


@final
class MultitaskTable(RowAdapter):
    """What `elman` asks of a task with several targets of different kinds; an empty cell is unknown."""

    model: Multitask
    estimator: ClassVar[type[Multitask]] = Multitask
    target_help: ClassVar[str] = "the columns with the labels and numbers to be found, with commas between them"
    by_name: ClassVar[bool] = True

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The labels, or the numbers, of all rows, None where one is unknown.

        CSV has no types: there a column that holds nothing but numbers is one of numbers, unless `targets` say "label".
        """
        check_names(table, [name])
        if self._is_label(table, name, model):
            labels = labels_of(table, name)
            return labels if model is None else among(labels, self.model.classes_[name].tolist(), table, name, model)
        return floats_of(table, name)

    def _is_label(self, table: Table, name: str, model: str | None) -> bool:
        if model is not None:
            return name in self.model.classes_
        if said := (self.model.targets or {}).get(name):
            return bool(said == LabelTarget.kind)
        try:
            floats_of(table, name)
        except DataError:
            return True
        return str(table.frame[name].dtype) == "Boolean"

    def check_targets(self, table: Table, name: str, truth: list[Any]) -> None:
        """Refuses a column without any value."""
        if all(map(is_missing, truth)):
            raise DataError("holds nothing. Is --target the right column?", at=table.place(column=name))

    def metadata(self) -> dict[str, Any]:
        """What each target is, and the classes of the labels."""
        kinds = {name: target.kind for name, target in self.model.targets_.items()}
        return {"targets": kinds, "classes": {name: classes.tolist() for name, classes in self.model.classes_.items()}}

    def describe_learnt(self) -> str:
        """What each target is."""
        return "; ".join(f"{name}: {target.describe()}" for name, target in self.model.targets_.items())

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The likeliest class of each label with the probability of each, and the numbers."""
        found, chances = self.model.predict(X), self.model.predict_proba(X)
        columns: dict[str, Any] = {}
        for name, answers in found.items():
            columns[f"predicted_{name}"] = answers.tolist()
            for i, label in enumerate(self.model.classes_[name].tolist() if name in chances else ()):
                columns[f"probability_{name}_{written(label)}"] = chances[name][:, i].astype(float)
        return columns

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The scores, and the report on each target that is a label."""
        scored = super().score_table(table, input, target, model)
        X, y = self.diagnosis_data(table, target, model, input)
        with table.located():
            reports = self.model.report(X, y)
        tables = [part for name, report in reports.items() for part in (f"{name}:", *report.tables())]
        details = {"reports": {name: report.to_json() for name, report in reports.items()}} if reports else {}
        return scored._replace(details=details, tables=tables)

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy and macro F1 of labels, the errors and R2 of numbers, as "target.metric"; "score" is their mean."""
        found: dict[str, dict[str, float]] = {}
        for name, values in truth.items():
            if not (known := [i for i, value in enumerate(values) if not is_missing(value)]):
                continue
            if name not in self.model.classes_:
                found[name] = errors_of(values, answers[name])
                continue
            said = np.asarray(answers[name], dtype=object)[known].tolist()
            labels = [values[i] for i in known]
            found[name] = {"accuracy": metrics.accuracy(labels, said), "macro_f1": metrics.macro_f1(labels, said)}
        if not found:
            raise DataError("there is no target to score against. Give at least one.")
        scores = [scores[self.model.targets_[name].main] for name, scores in found.items()]
        each = {f"{name}.{metric}": value for name, scores in found.items() for metric, value in scores.items()}
        return {"score": float(np.mean(scores)), **each}

    def baselines(self, X: Any, target: str) -> list[Baseline | NumberBaseline]:
        """A linear model of what the sequences hold, and what looks at nothing."""
        if target in self.model.classes_:
            return [linear_baseline(X, feature=self.model.feature_), majority()]
        return [ridge(X, feature=self.model.feature_), mean()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """Each target with its class, or its number."""
        line = "\t".join(f"{n} {v:.6g}" if isinstance(v, float) else f"{n} {v}" for n, v in answer.values.items())
        shares = {n: {written(c): chance for c, chance in each.items()} for n, each in answer.probabilities.items()}
        return line, {"steps": answer.steps, "values": answer.values, "probabilities": shares}
