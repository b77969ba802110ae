"""The likeliest classes of each sequence."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.validation.messages import seen
from elman.validation.options import is_whole


class TopClasses(NamedTuple):
    """The likeliest classes, likeliest first, and the probability of each, both [sequences, k]."""

    labels: NDArray[Any]
    probabilities: NDArray[np.float64]


def top_classes(probabilities: NDArray[np.float64], classes: NDArray[Any], k: int) -> TopClasses:
    """The `k` likeliest of each row, or all if there are fewer; of equal ones the first.

    >>> top_classes(np.array([[0.2, 0.5, 0.3]]), np.array(["a", "b", "c"]), 2).labels
    array([['b', 'c']], dtype='<U1')
    """
    if not is_whole(k):
        raise DataError(f"k is {seen(k)}. Give a whole number of at least 1.")
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : int(k)]
    return TopClasses(classes[order], np.take_along_axis(probabilities, order, axis=1))
