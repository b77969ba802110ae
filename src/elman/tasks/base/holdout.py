"""The validation split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST = 50  # sequences; with fewer there is no validation set
_Indices = NDArray[np.int64]


def held_out(
    classes: NDArray[np.int64] | None, sequences: int, share: float, seed: int | None, least: int = LEAST
) -> _Indices:
    """The indices of the validation set, ascending: a fraction `share` of each class, sampled with `seed`.

    Every class keeps at least one sequence for training. Empty with fewer than `least` sequences or a `share` of 0.
    `classes` None: not stratified.

    >>> held_out(np.array([0, 1] * 50), 100, 0.1, seed=0).shape
    (10,)
    """
    if sequences < least or share <= 0:
        return np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(sequences)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
        order = order[np.bincount(classes)[classes[order]] > 1]
    # Every 1/share-th of the sequences in order of class: at share <= 0.5 never two adjacent ones.
    places = np.floor((np.arange(round(len(order) * share)) + 0.5) / share).astype(np.int64)
    return np.sort(order[places[places < len(order)]])
