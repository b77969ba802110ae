"""The heads of several targets: the outputs of the last layer that each owns, and the weighted sum of their losses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.evaluation.classification import ClassificationReport
from elman.evaluation.model_card import CountTable
from elman.features.lists import listed
from elman.tasks.base.targets.labels import LabelTarget
from elman.tasks.base.targets.numbers import NumberTarget
from elman.training.fit_checks import warn_if_constant, warn_if_one_answer
from elman.validation.columns import is_missing, of_categories
from elman.validation.plain_values import plain_value

_Floats = NDArray[np.float64]


#: What a target can be: each kind has its own head, loss and scores.
Target: TypeAlias = LabelTarget | NumberTarget

TARGETS: dict[str, type[Target]] = {t.kind: t for t in (LabelTarget, NumberTarget)}


def looks_like(column: Any, name: str) -> str:
    """The kind of a target that nobody named: numbers are "number"; texts, truth values and categories are "label".

    >>> looks_like(["spam", None], "kind"), looks_like([1, 2.5], "price"), looks_like([True, False], "paid")
    ('label', 'number', 'label')
    """
    if of_categories(column):
        return LabelTarget.kind
    known = [value for value in listed(column, name) if not is_missing(value)]
    of_labels = bool(known) and isinstance(plain_value(known[0]), str | bool)
    return LabelTarget.kind if of_labels else NumberTarget.kind


class Heads:
    """The `targets` by name, whose outputs stand side by side in their order; `weights` of their losses, else 1.

    >>> targets = {"mood": LabelTarget(classes=np.array(["+", "-"])), "age": LabelTarget(classes=np.arange(3))}
    >>> {name: z.shape for name, z in Heads(targets, {}).split(np.zeros((4, 5))).items()}
    {'mood': (4, 2), 'age': (4, 3)}
    """

    def __init__(self, targets: Mapping[str, Target], weights: Mapping[str, float]) -> None:
        self.targets, self.weights = dict(targets), weights

    @property
    def labels(self) -> dict[str, LabelTarget]:
        """The targets that are labels."""
        return {name: target for name, target in self.targets.items() if isinstance(target, LabelTarget)}

    @property
    def outputs(self) -> int:
        """How many numbers of the last layer there are in all."""
        return sum(target.outputs for target in self.targets.values())

    def split(self, rows: Any) -> dict[str, Any]:
        """The outputs of each target, of rows [sequences, outputs]."""
        ends = np.cumsum([target.outputs for target in self.targets.values()]).tolist()
        places = zip(self.targets.items(), ends, strict=True)
        return {name: rows[:, end - target.outputs : end] for (name, target), end in places}

    def _weight(self, name: str) -> float:
        return float(self.weights.get(name, 1.0))

    def loss(self, rows: Tensor, coded: Mapping[str, Tensor], counts: Tensor | None = None) -> Tensor:
        """The weighted sum of the losses of all targets; `counts` [sequences]: what each sequence counts."""
        own = self.split(rows)
        losses = [self._weight(name) * self.targets[name].loss(z, coded[name], counts) for name, z in own.items()]
        return torch.stack(losses).sum()

    def losses(self, rows: Tensor, coded: Mapping[str, Tensor], unknown: Collection[str] = ()) -> Tensor:
        """The same for each sequence; a number that is `unknown` counts itself."""
        each = []
        for name, z in self.split(rows).items():
            pairs = zip(z.split(1), coded[name].split(1), strict=True)
            own = [row.sum() if name in unknown else self.targets[name].loss(row, code) for row, code in pairs]
            each.append(self._weight(name) * torch.stack(own))
        return torch.stack(each).sum(0)

    def metrics(self, rows: _Floats, truth: Mapping[str, _Floats], counts: _Floats | None = None) -> dict[str, float]:
        """ "loss", the weighted sum, and each metric of each target as "target.metric"."""
        found = {name: self.targets[name].metrics(z, truth[name], counts) for name, z in self.split(rows).items()}
        loss = sum(self._weight(name) * metrics.get("loss", 0.0) for name, metrics in found.items())
        named = {f"{name}.{metric}": value for name, metrics in found.items() for metric, value in metrics.items()}
        return {"loss": loss, **named}

    def reports(self, rows: _Floats, truth: Mapping[str, _Floats]) -> dict[str, ClassificationReport]:
        """The report on each target that is a label and known of some sequence."""
        own = self.split(rows)
        known = [name for name in self.labels if not np.isnan(truth[name]).all()]
        return {name: self.labels[name].report(own[name], truth[name]) for name in known}

    def count_tables(self, rows: _Floats, truth: Mapping[str, _Floats]) -> list[CountTable]:
        """The confusion matrix of each target that is a label."""
        tables = {name: report.count_table for name, report in self.reports(rows, truth).items()}
        return [table._replace(title=f"{table.title} of {name}") for name, table in tables.items()]

    def check_answers(self, rows: _Floats, truth: Mapping[str, _Floats], metrics: Mapping[str, float]) -> None:
        """Warns of each target whose answers in the validation part say nothing."""
        for name, z in self.split(rows).items():
            known, what = ~np.isnan(truth[name]), f"the target {name!r}"
            if name in self.labels:
                given = self.targets[name].decode(z)[known].tolist()
                warn_if_one_answer(truth[name][known].tolist(), given, what)
            elif known.any():
                warn_if_constant(metrics[f"{name}.r2"], int(known.sum()), what)
