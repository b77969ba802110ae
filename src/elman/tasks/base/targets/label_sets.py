"""Several labels for each sequence, in whatever they come: lists, texts with a separator, an indicator matrix."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, OptionError, Place, option
from elman.features.containers import by_name, is_sparse
from elman.tasks.base.targets.labels import check_label, classes_of, plain_labels
from elman.validation.columns import is_missing
from elman.validation.messages import seen, shown
from elman.validation.plain_values import plain_value

LISTS = "lists"

_Array = NDArray[Any]
_Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelSets:
    """The labels of each sequence as plain values, and the form in which they came.

    >>> LabelSets([["a", "b"], []]).classes().tolist()
    ['a', 'b']
    """

    labels: list[list[Any]]
    form: str = LISTS  # or the dtype of an indicator matrix
    columns: list[Any] | None = None  # its labels in order

    def classes(self) -> _Array:
        """The distinct labels in order, those of a matrix in the order of its columns.

        Raises ``DataError``, naming the sequence, for what is no label, for mixed kinds and for fewer than two labels.
        """
        if self.columns is not None and any(self.labels):
            return np.array(self.columns)
        sequence = [i for i, own in enumerate(self.labels) for _ in own]
        every = [label for own in self.labels for label in own]
        for i, label in zip(sequence, every, strict=True):
            check_label(label, Place("y", sequence=i))
        classes = classes_of(every, lambda i: Place(sequence=sequence[i]))
        if len(classes) < 2:
            only = f"only the label {shown(classes.tolist()[0])}" if len(classes) else "no label at all"
            raise DataError(
                f"holds {only}, but several labels need two at least. For one, give True or False a sequence.",
                at=Place("y"),
            )
        return classes

    def present(self, classes: _Array) -> _Bits:
        """Which of the classes each sequence has, bool [sequences, classes]. Raises ``DataError`` for another label."""
        place = {label: code for code, label in enumerate(classes.tolist())}
        made = np.zeros((len(self.labels), len(classes)), dtype=bool)
        for i, own in enumerate(self.labels):
            for label in own:
                if label not in place:
                    raise DataError(
                        f"has the label {shown(label)}, which is none of the classes learnt: "
                        f"{', '.join(map(repr, list(place)[:8]))}{', …' if len(place) > 8 else ''}.",
                        at=Place("y", sequence=i),
                    )
                made[i, place[label]] = True
        return made


def label_sets(y: Any, sequences: int, separator: str | None = None) -> LabelSets | None:
    """The labels of each sequence where `y` gives several to each: None where it gives one to each.

    Several are a list, tuple, set or array of labels for each sequence, with a `separator` a text, or a matrix
    [sequences, labels] of 0 and 1: an array, a sparse matrix, lists of one length, or the columns of a frame. Raises
    ``DataError``, naming the sequence, where `y` is mixed or has not one entry for each of the `sequences`.

    >>> label_sets([["news"], ["news", "sport"], []], 3).labels
    [['news'], ['news', 'sport'], []]
    >>> label_sets(["news|sport", ""], 2, separator="|").labels
    [['news', 'sport'], []]
    >>> label_sets(np.array([[0, 1], [1, 1]]), 2).labels
    [[1], [0, 1]]
    >>> label_sets(["news", "sport"], 2) is None
    True
    """
    found = None if separator is not None else _matrix(y)
    if found is not None:
        return _of_matrix(*found, sequences)
    if isinstance(y, np.ndarray) and (y.dtype != object or y.ndim > 1) and separator is None:
        return None
    values = plain_labels(y, sequences)
    if separator is not None and not any(map(_is_several, values)):
        return LabelSets([_split(value, separator, i) for i, value in enumerate(values)])
    several = [_is_several(value) for value in values]
    if not any(several):
        return None
    if not all(several):
        i, j = several.index(True), several.index(False)
        raise DataError(
            "is mixed: ",
            Place(sequence=i),
            " has a list of labels, ",
            Place(sequence=j),
            f" {seen(values[j])}. Give each a list, [] for none.",
            at=Place("y"),
        )
    rows = [[plain_value(label) for label in value] for value in values]
    if _is_indicator(rows):
        return _of_matrix(np.array(rows), None, sequences)
    return LabelSets([list(dict.fromkeys(row)) if all(map(_hashable, row)) else row for row in rows])


def _is_several(value: Any) -> bool:
    if isinstance(value, str | bytes):
        return False
    return isinstance(value, Sequence | AbstractSet) or getattr(value, "ndim", 0) == 1


def _hashable(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _is_indicator(rows: list[list[Any]]) -> bool:
    """Whether lists are the rows of a matrix: of one length, at least 2, and nothing but 0 and 1."""
    same = len({len(row) for row in rows}) == 1 and len(rows[0]) > 1
    return same and all(isinstance(value, int) and value in (0, 1) for row in rows for value in row)


def _split(value: Any, separator: str, sequence: int) -> list[str]:
    if is_missing(value):
        raise DataError(f'has no labels, got {value!r}. Drop it, or write "".', at=Place("y", sequence=sequence))
    if not isinstance(value, str):
        raise OptionError(
            f"label_separator = {separator!r} splits texts, but y has {seen(value)}. Leave it at None (",
            option("label_separator"),
            ").",
        )
    return list(dict.fromkeys(part for each in value.split(separator) if (part := each.strip())))


def _matrix(y: Any) -> tuple[_Array, list[str] | None] | None:
    """A matrix of at least two columns and their names; None for what is none."""
    if is_sparse(y):
        y = y.toarray()
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    if isinstance(y, np.ndarray) and y.dtype.names is None:
        return (y, None) if y.ndim == 2 and y.shape[1] > 1 else None
    columns = by_name(y, "y")
    if columns is None or len(columns) < 2:
        return None
    return np.array([plain_labels(column) for column in columns.values()], dtype=object).T, list(columns)


def _of_matrix(matrix: _Array, names: list[str] | None, sequences: int) -> LabelSets:
    if len(matrix) != sequences:
        raise DataError(f"X has {sequences} sequences, y has {len(matrix)} rows. Give one row a sequence.")
    known = np.isin(matrix, (0, 1))
    if not known.all():
        i, k = np.argwhere(~known)[0].tolist()
        column = f"column {k if names is None else repr(names[k])} "
        raise DataError(
            f"{column}is {shown(plain_value(matrix[i, k]))}. y should be a 1d array with one label a sequence, or "
            "a matrix of 0 and 1, one column a label.",
            at=Place("y", sequence=i),
        )
    bits = matrix.astype(np.int64).astype(bool)
    labels: list[Any] = list(range(matrix.shape[1])) if names is None else names
    dtype = np.dtype(np.int64) if matrix.dtype == object else matrix.dtype
    return LabelSets([[labels[k] for k in np.flatnonzero(row)] for row in bits], dtype.str, labels)
