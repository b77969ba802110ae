"""What `fit` is given beside X and y: a validation set of the caller's own.

Its sequences follow those of training in one X and one y, so that every task reads both alike; which are which is
asked of the `Rows`. Errors name the place in what the caller gave.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, OptionError, Place, placed
from elman.features.concatenation import concatenated, sequence_count
from elman.features.containers import by_name, column_named
from elman.tasks.base.options import are_texts
from elman.validation.messages import shown, type_name

#: The names of the two parts of `validation_data` in messages.
VALIDATION_NAMES = ("validation_data[0]", "validation_data[1]")

_Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """What is known of the rows of X and y."""

    training: int | None = None  # rows of the training set, where a validation set of the caller's follows; else None

    def split(self, rows: _Indices, codes: _Indices | None) -> tuple[_Indices, _Indices]:
        """The given `rows` of the training set, and those of the caller's validation set.

        `codes` are the classes of the rows; one that the training set lacks is refused.
        """
        assert self.training is not None
        first = int(np.searchsorted(rows, self.training))
        if not first:
            raise DataError("X holds no sequence to learn from, but validation_data does. Give both.")
        if first == len(rows):
            raise DataError("validation_data holds no sequence with a target. Give at least one, or leave it out.")
        if codes is not None and len(new := np.flatnonzero(~np.isin(codes[first:], codes[:first]))):
            where = Place("y", sequence=int(rows[first + new[0]]))
            raise DataError("has a label that no training sequence has. Add some of it to X and y.", at=where)
        return rows[:first], rows[first:]

    def located(self) -> AbstractContextManager[None]:
        """Errors raised in the block name the validation set where a place lies in it."""
        return placed(self._located)

    def _located(self, place: Place) -> Place:
        if self.training is None or place.sequence is None or place.sequence < self.training:
            return place
        argument = {"X": VALIDATION_NAMES[0], "y": VALIDATION_NAMES[1]}.get(place.argument or "", "validation_data")
        return replace(place, argument=argument, sequence=place.sequence - self.training)


def with_validation(X: Any, y: Any, validation_data: Any, task: Any) -> tuple[Any, Any, Rows]:
    """X and y with the sequences of `validation_data` behind them, and what is known of their rows.

    `validation_data` is a pair as X and y are; or where y names columns, or is None, X alone.
    """
    if validation_data is None:
        return X, y, Rows()
    columns = by_name(X)
    names = _named(y, columns)
    X_validation, y_validation = _pair(validation_data, alone=y is None or names is not None)
    needed = None
    if names is not None:
        if y_validation is not None and not _same(y_validation, y):
            what = f"is {shown(y_validation)}, but y is {shown(y)}. Name the same columns, or pass the frame alone."
            raise DataError(what, at=Place(VALIDATION_NAMES[1]))
        given: Any = getattr(task, "input", None)
        needed = None if given is None else [*([given] if isinstance(given, str) else given), *names]
    training = sequence_count(X, "X")
    if not sequence_count(X_validation, VALIDATION_NAMES[0]):
        raise DataError("holds no sequences. Give at least one, or leave it out.", at=Place(VALIDATION_NAMES[0]))
    both = concatenated(X, X_validation, ("X", VALIDATION_NAMES[0]), needed)
    if names is None and y is not None:
        _check_lengths(y, training, "y", "X")
        _check_lengths(y_validation, sequence_count(X_validation, VALIDATION_NAMES[0]), *VALIDATION_NAMES[::-1])
        y = concatenated(y, y_validation, ("y", VALIDATION_NAMES[1]))
    return both, y, Rows(training)


def _pair(given: Any, alone: bool) -> tuple[Any, Any]:
    if isinstance(given, tuple) and len(given) == 2:
        return given
    if alone and not isinstance(given, tuple):
        return given, None
    got = f"a tuple of {len(given)}" if isinstance(given, tuple) else f"a {type_name(given)}"
    raise OptionError(f"validation_data must be a tuple (X, y), got {got}. Give sequences and their targets.")


def _named(y: Any, columns: dict[str, Any] | None) -> list[str] | None:
    """The columns of the frame that `y` names; None where it holds the targets themselves."""
    if columns is None:
        return None
    if (name := column_named(y, columns)) is not None:
        return [name]
    named = isinstance(y, list | tuple) and y and are_texts(y) and len(set(y)) == len(y) and set(y) <= set(columns)
    return list(y) if named else None


def _same(y: Any, other: Any) -> bool:
    return bool(np.array_equal(np.atleast_1d(y), np.atleast_1d(other)))


def _check_lengths(y: Any, sequences: int, name: str, of: str) -> None:
    """Before both are joined, since a target too many here and one too few there would cancel."""
    if isinstance(y, str | bytes) or y is None:
        raise DataError(f"must hold a target for each of the {sequences} sequences, got {shown(y)}.", at=Place(name))
    if (targets := sequence_count(y, name)) != sequences:
        what = f"has {targets} targets, but {of} has {sequences} sequences. Give one for each."
        raise DataError(what, at=Place(name))
