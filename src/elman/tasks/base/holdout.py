"""Which sequences are held out for validation, beside the random sample of `held_out`.

    holdout = "last"    the last ones, where they are in order of time
    groups              whole groups, so that none (a patient, a speaker, a document) is on both sides

With both the groups whose last sequence comes last are held out. Every class keeps a sequence for training.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from elman.errors import DataError, Place, Problem, option
from elman.validation.options import OptionGroup, choice

HOLDOUTS = ("random", "last")
_Indices = NDArray[np.int64]


@dataclass(kw_only=True)
class HoldoutOptions(OptionGroup):
    """Training."""

    holdout: str = "random"  # which sequences are held out for validation: "random", or "last": the last ones, where
    #   they are in order of time

    def problems(self) -> list[Problem]:
        """What is wrong with these options."""
        return choice(self, "holdout", HOLDOUTS)


def last_ones(classes: _Indices | None, sequences: int, share: float) -> _Indices:
    """The indices of the last sequences, a fraction `share` of all; a class that none before has stays in training.

    >>> last_ones(None, 10, 0.2).tolist(), last_ones(np.array([0] * 9 + [1]), 10, 0.2).tolist()
    ([8, 9], [8])
    """
    found = np.arange(sequences - round(sequences * share), sequences)
    return found if classes is None else found[np.isin(classes[found], classes[: len(classes) - len(found)])]


def whole_groups(
    groups: _Indices, classes: _Indices | None, share: float, seed: int | None, in_order: bool = False
) -> _Indices:
    """The indices of whole groups that hold about a fraction `share` of the sequences, ascending.

    `groups` and `classes` are codes [sequences]. Sampled with `seed` and, as far as groups allow it, stratified by
    class (`StratifiedGroupKFold`); with `in_order` the groups that end last. Raises ``DataError`` where no group can be
    held out.

    >>> whole_groups(np.array([0, 0, 1, 1, 2, 2]), None, 0.3, seed=None, in_order=True).tolist()
    [4, 5]
    """
    names = np.unique(groups)
    if len(names) < 2:
        what = "has the same group for every sequence, so none can be held out. Give two at least, or set "
        raise DataError(what, option("validation", 0), at=Place("groups"))
    parts = _last_groups(groups, share) if in_order else _folds(groups, classes, share, seed, len(names))
    for validation in parts:
        training = np.setdiff1d(np.arange(len(groups)), validation)
        if classes is None or np.isin(classes, classes[training]).all():
            return validation
    what = "leaves a class without a sequence to learn from, whichever groups are held out. Set "
    raise DataError(what, option("validation", 0), ", or give validation_data.", at=Place("groups"))


def _folds(groups: _Indices, classes: _Indices | None, share: float, seed: int | None, names: int) -> list[_Indices]:
    folds, state = min(names, max(2, round(1 / share))), None if seed is None else int(seed) % 2**32
    labels = np.zeros_like(groups) if classes is None else classes  # of one class: folds of equal size
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=state).split(labels, labels, groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer members than there are folds
        found = [np.sort(validation) for _, validation in splits]
    return [part for part in found if len(part)]


def _last_groups(groups: _Indices, share: float) -> list[_Indices]:
    ends = {int(code): i for i, code in enumerate(groups.tolist())}
    held: list[int] = []
    parts: list[_Indices] = []
    for code in sorted(ends, key=ends.__getitem__, reverse=True)[:-1]:
        held.append(code)
        parts.append(np.flatnonzero(np.isin(groups, held)))
        if len(parts[-1]) >= share * len(groups):
            break
    return parts[::-1]
