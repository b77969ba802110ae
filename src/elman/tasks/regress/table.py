"""A regressor on the command line: numbers in a table, estimates as columns, ridge regression beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from elman.errors import DataError
from elman.evaluation.baselines import NumberBaseline, mean, ridge
from elman.evaluation.metrics import errors_of, numbers_of
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter
from elman.tasks.base.table_columns import check_names, floats_of
from elman.tasks.regress.estimator import Regressor


@final
class RegressTable(RowAdapter):
    """What `elman` asks of a task whose answers are numbers; several targets are several columns."""

    model: Regressor
    estimator: ClassVar[type[Regressor]] = Regressor
    target_help: ClassVar[str] = "the column with the numbers to be found; several with commas between them"

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The numbers of all rows, None where one is missing; with every_step the list of each row."""
        if not self.model.every_step:
            return floats_of(table, name)
        check_names(table, [name])
        column = table.frame[name]
        if not column.dtype.is_nested() and column.null_count() != len(column):
            what = f"holds {column.dtype}. With every_step each row needs a list, one number a step."
            raise DataError(what, at=table.place(column=name))
        for row, value in enumerate(column.to_list()):
            if value is None:
                raise DataError("is missing. Write a list, with null where a number is.", at=table.place(row, name))
        return column.to_list()

    def check_targets(self, table: Table, name: str, truth: list[Any]) -> None:
        """Refuses a column without any number."""
        if np.isnan(numbers_of(truth)).all():
            raise DataError("holds no number. Is --target the right column?", at=table.place(column=name))

    def metadata(self) -> dict[str, Any]:
        """The targets and whether each step has one."""
        return {"targets": self.model.numbers_.outputs, "every_step": bool(self.model.every_step)}

    def describe_learnt(self) -> str:
        """How many numbers."""
        return self.model.numbers_.in_words(bool(self.model.every_step))

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The estimates."""
        found = self.model.predict(X)
        found = found if isinstance(found, dict) else {target[0]: found}
        return {f"predicted_{name}": [np.asarray(v).tolist() for v in values] for name, values in found.items()}

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Mean absolute error, root of the mean squared error and R2; of several targets the means, and each."""
        each = {name: errors_of(truth[name], answers[name]) for name in truth}
        found: dict[str, float] = {}
        for metric in next(iter(each.values())):
            found[metric] = float(np.mean([scores[metric] for scores in each.values()]))
            if len(each) > 1:
                found |= {f"{metric} {name}": scores[metric] for name, scores in each.items()}
        return found

    def baselines(self, X: Any, target: str) -> list[NumberBaseline]:
        """Ridge regression on what the sequences hold, and the mean; for every step the mean alone."""
        if self.model.every_step:
            return [mean()]
        return [ridge(X, feature=self.model.feature_), mean()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The number, or the numbers."""
        value = answer.value
        if isinstance(value, dict):
            line = "\t".join(f"{name} {number:.6g}" for name, number in value.items())
        else:
            value = np.asarray(value).tolist()
            line = "\t".join(f"{number:.6g}" for number in (value if isinstance(value, list) else [value]))
        return line, {"steps": answer.steps, "value": value}
