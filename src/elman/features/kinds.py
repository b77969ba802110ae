"""The kind of each column of a frame: text, tokens, series, or one number or category per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from elman.errors import DataError, Place, option
from elman.features.lists import listed
from elman.features.references import are_sound_names, check_no_lists
from elman.features.registry import COLUMNS, STATICS
from elman.validation.columns import is_missing, of_categories
from elman.validation.messages import few, nearest, seen
from elman.validation.plain_values import plain_value

SKIP = "skip"  # of a column that is not read
KINDS = (*COLUMNS, *STATICS, SKIP)  # of a column
MOST = 50  # distinct texts of a category; with more it is a text


def kinds_of(columns: Mapping[str, Any], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The kind of each column: as `given`, else inferred.

    Raises ``DataError`` for a given name that is no column, and for a column of no known kind.

    >>> kinds_of({"review": ["a b", "c"], "age": [3, None], "load": [[1.5], [2, 3]], "id": [1, 2]}, {"id": "skip"})
    {'review': 'text', 'age': 'number', 'load': 'numbers'}
    """
    given = given or {}
    for name in given:
        if name not in columns:
            near = nearest(name, columns)
            raise DataError(f"features names {name!r}, which is no column to read: {few(list(columns))}.{near}")
    found = {name: given.get(name) or kind_of(column, name) for name, column in columns.items()}
    return {name: kind for name, kind in found.items() if kind != SKIP}


def holds_number(kind: str | None) -> bool:
    """Whether a column of that kind holds one number per sequence.

    >>> holds_number("number"), holds_number("category"), holds_number(None)
    (True, False, False)
    """
    return kind in STATICS and not STATICS[kind].is_category


def kind_of(column: Any, name: str) -> str:
    """The inferred kind of a column.

    Numbers and truth values: "number". Texts: "category" if at most 50 are distinct and each comes twice on average,
    or if the column has a type of categories; else "text". Lists of texts: "tokens"; of numbers, and arrays: "numbers".

    >>> kind_of(["red", "blue", "red", "red"], "colour"), kind_of(["red", "blue"], "colour")
    ('category', 'text')
    """
    if of_categories(column):
        return "category"
    numeric = isinstance(column, Tensor) or (isinstance(column, np.ndarray) and column.dtype.kind not in "UTO")
    if numeric and column.ndim > 1:
        return "numbers"
    values, place = [value for value in listed(column, name) if not is_missing(value)], Place("X", column=name)
    if not values:
        raise DataError("holds nothing. Leave it out: ", option("features", {name: "skip"}), ".", at=place)
    first = values[0]
    if isinstance(first, str):
        _check_texts(values, name)
        return "category" if len(set(map(plain_value, values))) <= min(MOST, len(values) // 2) else "text"
    if hasattr(first, "__len__") and not isinstance(first, Mapping | bytes):
        return _kind_of_lists(values, name)
    if hasattr(first, "__float__"):
        return "number"
    raise DataError(
        f"holds {seen(first)}, which is no text, number or list. Turn it into numbers, or leave it out: ",
        option("features", {name: "skip"}),
        ".",
        at=place,
    )


def _check_texts(values: list[Any], name: str) -> None:
    """Raises ``DataError`` for texts, such as paths, of a kind that cannot be one of several columns."""
    advice = option("features", {name: "text"})
    if are_sound_names(values):
        raise DataError(
            "holds names of sound files. Sound is read by itself, ",
            option("input", name),
            " alone; beside other columns leave it out, ",
            option("features", {name: "skip"}),
            ", or read the names as texts, ",
            advice,
            ".",
            at=Place("X", column=name),
        )
    check_no_lists(values, Place("X", column=name, row=0), advice)


def _kind_of_lists(values: list[Any], name: str) -> str:
    for value in values:
        inside = [part for part in list(value)[:100] if not is_missing(part)]
        if inside:
            return "tokens" if isinstance(inside[0], str) else "numbers"
    return "numbers"
