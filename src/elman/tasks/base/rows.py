"""What `fit` is given beside X and y: a validation set of the caller's own, what each sequence counts, and groups.

The sequences of a validation set follow those of training in one X and one y, so that every task reads both alike;
which are which, and the weights of all of them, is asked of the `Rows`. Errors name the place in what the caller gave.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, OptionError, Place, placed
from elman.features.concatenation import concatenated, sequence_count
from elman.features.containers import by_name, column_named
from elman.features.lists import listed
from elman.tasks.base.inputs import check_column
from elman.tasks.base.options import are_texts
from elman.validation.columns import is_missing
from elman.validation.messages import shown, type_name
from elman.validation.plain_values import plain_value

#: The names of the parts of `validation_data` in messages.
VALIDATION_NAMES = ("validation_data[0]", "validation_data[1]", "validation_data[2]")

_Indices = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What is known of the rows of X and y."""

    training: int | None = None  # rows of the training set, where a validation set of the caller's follows; else None
    weights: _Floats | None = None  # what each row counts; None: all the same
    groups: _Indices | None = None  # the code of each row's group, if there are groups

    def counted(self, rows: _Indices) -> _Indices:
        """Those of the `rows` that count more than nothing. Raises ``DataError`` where there are none."""
        if self.weights is None:
            return rows
        if not len(found := rows[self.weights[rows] > 0]) and len(rows):
            raise DataError("sample_weight is 0 for every sequence with a target. Give one of them more.")
        return found

    def check_learnt(self, codes: _Indices, rows: _Indices) -> None:
        """Raises ``DataError`` for a class, of codes [sequences], of which none of the training `rows` is."""
        new = np.flatnonzero(~np.isin(codes, codes[rows]))
        if not len(new):
            return
        what = "is of a class whose sequences all have sample_weight 0. Leave them out, or give one of them more."
        if self.training is not None and new[-1] >= self.training:
            new = new[new >= self.training]
            what = "has a label that no training sequence has. Add some of it to X and y."
        raise DataError(what, at=Place("y", sequence=int(new[0])))

    def of(self, rows: _Indices) -> _Floats | None:
        """What each of the `rows` counts; None where all count the same."""
        weights = None if self.weights is None else self.weights[rows]
        return None if weights is None or not len(weights) or bool((weights == weights[0]).all()) else weights

    def mean_one(self, rows: _Indices) -> Tensor | None:
        """The same with a mean of 1, float32 [rows], so that their unit makes no difference to the learning rate."""
        weights = self.of(rows)
        return None if weights is None else torch.from_numpy(weights / weights.mean()).float()

    def split(self, rows: _Indices) -> tuple[_Indices, _Indices]:
        """The given `rows` of the training set, and those of the caller's validation set."""
        assert self.training is not None
        first = int(np.searchsorted(rows, self.training))
        if not first:
            raise DataError("X holds no sequence to learn from, but validation_data does. Give both.")
        if first == len(rows):
            raise DataError("validation_data holds no sequence with a target. Give at least one, or leave it out.")
        return rows[:first], rows[first:]

    def located(self) -> AbstractContextManager[None]:
        """Errors raised in the block name the validation set where a place lies in it."""
        return placed(self._located)

    def _located(self, place: Place) -> Place:
        if self.training is None or place.sequence is None or place.sequence < self.training:
            return place
        argument = {"X": VALIDATION_NAMES[0], "y": VALIDATION_NAMES[1]}.get(place.argument or "", "validation_data")
        return replace(place, argument=argument, sequence=place.sequence - self.training)


def read_rows(
    X: Any, y: Any, validation_data: Any, sample_weight: Any, groups: Any, task: Any
) -> tuple[Any, Any, Rows]:
    """X and y with the sequences of `validation_data` behind them, and what is known of their rows.

    `validation_data` is a tuple as X, y and `sample_weight` are, the last of which may be left out; or where y names
    columns, or is None, X alone. `sample_weight` and `groups` are arrays, or names of columns of X, which are no inputs
    then.
    """
    if validation_data is None:
        X, codes = _groups_of(X, groups)
        X, weights = _weights_of(X, sample_weight, "X", "sample_weight")
        return X, y, Rows(weights=weights, groups=codes)
    if groups is not None:
        raise OptionError("groups says what is held out, but validation_data is given. Leave out one of them.")
    columns = by_name(X)
    names = _named(y, columns)
    X_validation, y_validation, weight_validation = _parts(validation_data, alone=y is None or names is not None)
    training, beyond = sequence_count(X, "X"), sequence_count(X_validation, VALIDATION_NAMES[0])
    if not beyond:
        raise DataError("holds no sequences. Give at least one, or leave it out.", at=Place(VALIDATION_NAMES[0]))
    X, weights = _weights_of(X, sample_weight, "X", "sample_weight")
    given = by_name(X_validation, VALIDATION_NAMES[0]) or {}
    if weight_validation is None and isinstance(sample_weight, str) and sample_weight in given:
        weight_validation = sample_weight
    X_validation, others = _weights_of(X_validation, weight_validation, VALIDATION_NAMES[0], VALIDATION_NAMES[2])
    if weights is not None or others is not None:
        both = (np.ones(training) if weights is None else weights), (np.ones(beyond) if others is None else others)
        weights = np.concatenate(both)
    needed = None
    if names is not None:
        if y_validation is not None and not _same(y_validation, y):
            what = f"is {shown(y_validation)}, but y is {shown(y)}. Name the same columns, or pass the frame alone."
            raise DataError(what, at=Place(VALIDATION_NAMES[1]))
        inputs: Any = getattr(task, "input", None)
        needed = None if inputs is None else [*([inputs] if isinstance(inputs, str) else inputs), *names]
    if names is None and y is not None:
        _check_lengths(y, training, "y", "X")
        _check_lengths(y_validation, beyond, *VALIDATION_NAMES[1::-1])
        y = concatenated(y, y_validation, ("y", VALIDATION_NAMES[1]))
    return concatenated(X, X_validation, ("X", VALIDATION_NAMES[0]), needed), y, Rows(training, weights)


def _weights_of(X: Any, given: Any, name: str, argument: str) -> tuple[Any, _Floats | None]:
    """X without the column of weights, if there is one, and the weights.

    Raises ``DataError`` naming the sequence for a weight below 0, missing or infinite.
    """
    if given is None:
        return X, None
    X, given, place = _column_beside(X, given, name, argument)
    try:
        weights = np.asarray(given if isinstance(given, np.ndarray) else listed(given, argument), dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("holds what is no number. Give a weight for each sequence.", at=place) from None
    sequences = sequence_count(X, name)
    if weights.shape != (sequences,):
        what = f"has shape {list(weights.shape)}, but {name} has {sequences} sequences. Give a weight for each."
        raise DataError(what, at=place)
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if len(bad):
        where = replace(place, sequence=int(bad[0]))
        raise DataError(f"is {weights[bad[0]]:g}. Give numbers of at least 0.", at=where)
    if not weights.any():
        raise DataError("is zero for every sequence. Give one of them more.", at=place)
    return X, weights


def _column_beside(X: Any, given: Any, name: str, argument: str) -> tuple[Any, Any, Place]:
    """X without the column that `given` names, if it does, its values, and their place in messages."""
    if not isinstance(given, str):
        return X, given, Place(argument)
    columns = by_name(X, name)
    if columns is None:
        what = f"names a column, but {name} is a {type_name(X)}. Pass a frame, or a value for each sequence."
        raise DataError(f"{argument} = {given!r} {what}")
    check_column(list(columns), given, argument, f"column of {name}")
    rest = {key: column for key, column in columns.items() if key != given}
    return rest, columns[given], Place(name, column=given)


def _groups_of(X: Any, given: Any) -> tuple[Any, _Indices | None]:
    """X without the column of groups, if there is one, and the code of each sequence's group.

    Raises ``DataError`` naming the sequence whose group is missing.
    """
    if given is None:
        return X, None
    X, given, place = _column_beside(X, given, "X", "groups")
    names, sequences = [plain_value(name) for name in listed(given, "groups")], sequence_count(X, "X")
    if len(names) != sequences:
        raise DataError(f"has {len(names)} groups, but X has {sequences} sequences. Give a group for each.", at=place)
    for i, name in enumerate(names):
        if is_missing(name) or not isinstance(name, Hashable):
            what = f"is {shown(name)}. Give a group for each sequence."
            raise DataError(what, at=replace(place, sequence=i))
    codes: dict[Any, int] = {}
    return X, np.array([codes.setdefault(name, len(codes)) for name in names], dtype=np.int64)


def _parts(given: Any, alone: bool) -> tuple[Any, Any, Any]:
    if isinstance(given, tuple) and len(given) in (2, 3):
        return (*given, None) if len(given) == 2 else given
    if alone and not isinstance(given, tuple):
        return given, None, None
    got = f"a tuple of {len(given)}" if isinstance(given, tuple) else f"a {type_name(given)}"
    what = f"validation_data must be a tuple (X, y) or (X, y, sample_weight), got {got}."
    raise OptionError(f"{what} Give sequences and their targets.")


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
