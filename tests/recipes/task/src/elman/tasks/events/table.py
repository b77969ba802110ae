"""Counts of events on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np
from elman.tasks.events.estimator import EventCounter

from elman.evaluation.baselines import NumberBaseline, mean
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter
from elman.tasks.base.table_columns import floats_of


@final
class EventTable(RowAdapter):
    """Reads counts, and writes rates."""

    estimator: ClassVar[type[EventCounter]] = EventCounter
    target_help: ClassVar[str] = "the column with the counts"

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The counts of all rows."""
        return floats_of(table, name)

    def describe_learnt(self) -> str:
        """What was learnt."""
        return "counts"

    def metadata(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The rates."""
        return {f"predicted_{target[0]}": self.model.predict(X).tolist()}

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """The mean absolute error."""
        return {"mae": float(np.mean([np.abs(np.array(truth[name]) - answers[name]).mean() for name in truth]))}

    def baselines(self, X: Any, target: str) -> list[NumberBaseline]:
        """The mean count."""
        return [mean()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """Never asked for: there is no stream."""
        return str(answer), {"rate": answer}
