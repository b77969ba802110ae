"""Which sequences are held out to validate on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "held_out"]

LEAST = 50  # sequences; with fewer nothing is held out, since a part of them could not choose anything
_Indices = NDArray[np.int64]


def held_out(
    classes: NDArray[np.int64] | None, sequences: int, share: float, seed: int | None, least: int = LEAST
) -> _Indices:
    """Which sequences make the validation part: about `share` of each class, drawn by `seed`, ascending.

    A class with one member stays in training, and every class keeps at least one there. With fewer than `least`
    sequences, or a share of 0, none is held out. `classes` None: drawn from all alike.

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
    # Every 1/share-th of the sequences in order of class: at share <= 0.5 never two neighbours.
    places = np.floor((np.arange(round(len(order) * share)) + 0.5) / share).astype(np.int64)
    return np.sort(order[places[places < len(order)]])
