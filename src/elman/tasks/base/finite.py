"""The check that answers are finite."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError

_Scores = TypeVar("_Scores", NDArray[np.float64], Tensor)


def finite(scores: _Scores, infinite: bool = False) -> _Scores:
    """The scores, unchanged. Raises ``DataError`` for NaN, and unless `infinite` for infinities.

    Finite weights and inputs may overflow: a model folder may hold 3e38 for every weight.

    >>> finite(np.array([[0.5, 2.0]])).tolist()
    [[0.5, 2.0]]
    """
    found = np.asarray(scores)
    bad = np.isnan(found) if infinite else ~np.isfinite(found)
    if bad.any():
        value = found[bad].flat[0]
        raise DataError(
            f"the model answers {value} in place of a number: its weights, or the numbers that it reads, are too "
            "large. Look for huge values in the input; if there are none, train the model again."
        )
    return scores
