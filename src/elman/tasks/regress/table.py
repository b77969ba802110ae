"""A regressor on the command line: numbers in a table, estimates as columns, ridge regression beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.evaluation.baselines import NumberBaseline, mean, ridge, sound_ridge
from elman.evaluation.metrics import errors_of, numbers_of
from elman.io.tables import Table
from elman.tasks.base.table_adapter import AnswersRows, check_names, floats_of

__all__ = ["NumberRows"]

_Floats = NDArray[np.float64]


class NumberRows(AnswersRows):
    """What `elman` asks of a task whose answers are numbers; several targets are several columns."""

    target_says: ClassVar[str] = "the column with the numbers to be found; several with commas between them"
    example: ClassVar[str] = "wear.jsonl --input vibration --target hours"

    if TYPE_CHECKING:
        every_step: bool
        outputs_: int
        names_: list[str] | None

    def truth_of(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The numbers of all rows, None where one is missing; with every_step the list of each row."""
        if not self.every_step:
            return floats_of(table, name)
        check_names(table, [name])
        column = table.frame[name]
        if not column.dtype.is_nested() and column.null_count() != len(column):
            what = f"holds {column.dtype}. With every_step each row needs a list, one number a step."
            raise DataError(f"{table.path.name}: the column {name!r} {what}")
        for row, value in enumerate(column.to_list()):
            if value is None:
                raise DataError(f"{table.where(row)}: {name} is missing. Write a list, with null where a number is.")
        return column.to_list()

    def check_truth(self, table: Table, name: str, truth: list[Any]) -> None:
        """Refuses a column without any number."""
        if not len(_flat(truth)):
            raise DataError(f"{table.path.name}: the column {name!r} holds no number. Is --target the right column?")

    def facts(self) -> dict[str, Any]:
        """The targets and whether each step has one."""
        return {"targets": self.outputs_, "every_step": bool(self.every_step)}

    def learnt(self) -> str:
        """How many numbers."""
        numbers = "1 number" if self.outputs_ == 1 else f"{self.outputs_} numbers"
        return f"{numbers} for each {'step' if self.every_step else 'sequence'}"

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The estimates."""
        found = self.predict(X)
        found = found if isinstance(found, dict) else {target[0]: found}
        return {f"predicted_{name}": [np.asarray(v).tolist() for v in values] for name, values in found.items()}

    def measured(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Mean absolute error, root of the mean squared error and R2; of several targets the means, and each."""
        each = {name: errors_of(truth[name], answers[name]) for name in truth}
        found: dict[str, float] = {}
        for metric in next(iter(each.values())):
            found[metric] = float(np.mean([scores[metric] for scores in each.values()]))
            if len(each) > 1:
                found |= {f"{metric} {name}": scores[metric] for name, scores in each.items()}
        return found

    def rivals(self, X: Any, target: str) -> list[NumberBaseline]:
        """Ridge regression on what the sequences hold, and the mean; for every step the mean alone."""
        if self.every_step:
            return [mean()]
        return [
            sound_ridge(self.feature_) if self.feature_.kind == "sound" else ridge(X, feature=self.feature_),
            mean(),
        ]

    def spoken(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The number, or the numbers."""
        value = answer.value
        if isinstance(value, dict):
            line = "\t".join(f"{name} {number:.6g}" for name, number in value.items())
        else:
            value = np.asarray(value).tolist()
            line = "\t".join(f"{number:.6g}" for number in (value if isinstance(value, list) else [value]))
        return line, {"steps": answer.steps, "value": value}


def _flat(truth: list[Any]) -> _Floats:
    values = numbers_of(truth)
    return values[~np.isnan(values)]
