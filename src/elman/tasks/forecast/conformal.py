"""Intervals that keep their promise: widened or narrowed until they cover as many values as they say.

Of values y that training did not see, with m the median, a and b the ends of the interval that the network gives:

    e_i = max((m_i - y_i) / (m_i - a_i), (y_i - m_i) / (b_i - m_i))       1 at an end
    c   = the ceil((n + 1) level)-th smallest of e_1 ... e_n
    interval:  m - c (m - a) ... m + c (b - m)

where values to come behave like those held out, the interval covers a share of `level` of them. Each level has its own
c; where the interval of one would end inside that of a lower level, it ends with it (`nested`).

Vovk, V., Gammerman, A. and Shafer, G. 2005. Algorithmic learning in a random world. Springer.
Romano, Y., Patterson, E. and Candès, E. 2019. Conformalized quantile regression. NeurIPS.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["factor", "nested", "widened"]

_Floats = NDArray[np.float64]
_LEAST = 1e-9  # of how much a series changes: no interval is thought narrower, or a constant one would decide for all
_ROUNDING = 1e-13  # of a value, and likewise


def factor(
    values: _Floats, low: _Floats, middle: _Floats, high: _Floats, level: float, change: _Floats | float = 1.0
) -> float:
    """By how much intervals must be widened so that the share `level` of `values` lies inside; NaN are left out.

    `change` is by how much the series of each value changes. With too few values to promise it, the largest e stands.
    1 where there are none.

    >>> y = np.arange(1, 100) / 100
    >>> round(factor(y, np.full(99, 0.4), np.full(99, 0.5), np.full(99, 0.6), 0.9), 3)
    4.5
    """
    there = np.isfinite(values)
    y, a, m, b, by = (part[there] for part in np.broadcast_arrays(values, low, middle, high, change))
    if not len(y):
        return 1.0
    least = np.maximum(np.maximum(_LEAST * by, _ROUNDING * np.abs(m)), np.finfo(np.float64).tiny)
    errors = np.maximum((m - y) / np.maximum(m - a, least), (y - m) / np.maximum(b - m, least))
    place = min(len(y), math.ceil((len(y) + 1) * level)) - 1
    return float(max(0.0, np.partition(errors, place)[place]))


def widened(low: _Floats, middle: _Floats, high: _Floats, by: float) -> tuple[_Floats, _Floats]:
    """The ends of the interval, moved away from the median (or towards it)."""
    return middle - by * (middle - low), middle + by * (high - middle)


def nested(quantiles: _Floats) -> _Floats:
    """Quantiles [..., from the lowest to the highest] of which each, seen from the median, is as far as those nearer.

    >>> nested(np.array([[2.0, 1.0, 3.0, 5.0, 4.0]])).tolist()
    [[1.0, 1.0, 3.0, 5.0, 5.0]]
    """
    middle = quantiles.shape[-1] // 2
    low = np.minimum.accumulate(quantiles[..., middle::-1], axis=-1)[..., ::-1]
    high = np.maximum.accumulate(quantiles[..., middle:], axis=-1)
    return np.concatenate([low[..., :-1], high], axis=-1)
