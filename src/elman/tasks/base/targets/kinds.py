"""What a target of a sequence can be: a label or a number, each with its own head, loss and scores.

A `Target` owns some rows of the last layer; z [sequences, outputs] are the numbers that those say of each sequence.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from elman.features.lists import listed
from elman.tasks.base.targets.labels import LabelTarget
from elman.tasks.base.targets.numbers import NumberTarget
from elman.validation.columns import is_missing, of_categories
from elman.validation.plain_values import plain_value

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
