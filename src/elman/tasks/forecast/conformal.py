"""Split-conformal calibration of prediction intervals.

With y the held-out values, m the median, a and b the ends of the interval that the network gives:

    e_i = max((m_i - y_i) / (m_i - a_i), (y_i - m_i) / (b_i - m_i))       1 at an end
    c   = the ceil((n + 1) level)-th smallest of e_1 ... e_n
    interval:  m - c (m - a) ... m + c (b - m)

If later values are exchangeable with the held-out ones, the interval covers a fraction `level` of them. Each level has
its own c; where the interval of one would end inside that of a lower level, it ends with it (`nested`).

Vovk, V., Gammerman, A. and Shafer, G. 2005. Algorithmic learning in a random world. Springer.
Romano, Y., Patterson, E. and Candès, E. 2019. Conformalized quantile regression. NeurIPS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from elman.errors import OptionError, Problem
from elman.validation.messages import shown
from elman.validation.options import is_number

_Floats = NDArray[np.float64]
_LEAST = 1e-9  # of how much a series changes: no interval counts as narrower, or a constant one would decide for all
_ROUNDING = 1e-13  # of a value, and likewise


def levels_of(value: Any) -> list[float]:
    """The levels of the intervals, in per cent, the widest first.

    >>> levels_of(80), levels_of((80, 95))
    ([80], [95, 80])
    """
    return sorted(value if isinstance(value, list | tuple | np.ndarray) else [value], reverse=True)


def quantile_levels(levels: Any) -> list[float]:
    """The quantile levels of the intervals' ends, ascending; the median in the middle.

    >>> quantile_levels([50, 75])
    [0.125, 0.25, 0.5, 0.75, 0.875]
    """
    tails = sorted((1 - float(level) / 100) / 2 for level in levels_of(levels))
    return [*tails, 0.5, *(1 - tail for tail in reversed(tails))]


@dataclass(frozen=True)
class Calibration:
    """The factor c of each level, in per cent.

    >>> Calibration({90.0: 2.0}).apply(np.array([[9.0, 10.0, 12.0]])).tolist()
    [[8.0, 10.0, 14.0]]
    """

    factors: dict[float, float]

    @classmethod
    def fit(cls, levels: Any, truth: _Floats, quantiles: _Floats, change: _Floats) -> Self:
        """From held-out values [rows, horizon] and their forecasts [rows, horizon, quantiles]; `change` [rows, 1]."""
        middle, factors = quantiles.shape[-1] // 2, {}
        for i, level in enumerate(map(float, levels_of(levels))):
            ends = quantiles[..., i], quantiles[..., middle], quantiles[..., -1 - i]
            factors[level] = factor(truth, *ends, level / 100, change)
        return cls(factors)

    @classmethod
    def restore(cls, config: Sequence[Any], levels: Any) -> Self:
        """From pairs of level and factor. Raises ValueError for what cannot be."""
        factors = {float(level): float(by) for level, by in config}
        if sorted(factors, reverse=True) != [float(level) for level in levels_of(levels)]:
            raise ValueError("factors")
        if not all(math.isfinite(by) and by >= 0 for by in factors.values()):
            raise ValueError("factors")
        return cls(factors)

    def config(self) -> list[list[float]]:
        """Pairs of level and factor, as JSON."""
        return [[level, by] for level, by in self.factors.items()]

    def apply(self, quantiles: _Floats) -> _Floats:
        """Quantiles [..., quantiles] with every interval calibrated, one inside the other."""
        median, made = quantiles[..., quantiles.shape[-1] // 2], quantiles.copy()
        for i, level in enumerate(sorted(self.factors, reverse=True)):
            for end in (i, -1 - i):
                made[..., end] = median + self.factors[level] * (quantiles[..., end] - median)
        return nested(made)


def factor(
    values: _Floats, low: _Floats, middle: _Floats, high: _Floats, level: float, change: _Floats | float = 1.0
) -> float:
    """By how much intervals must be widened to hold the fraction `level` of `values`; NaN are left out.

    `change` is by how much the series of each value changes. With too few values for the level, the largest e.
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


def at_shares(quantiles: _Floats, levels: Any, shares: Any) -> _Floats:
    """The quantiles [..., shares] at other quantile levels, from those [..., quantiles] of intervals of these `levels`.

    Interpolated linearly in z = Phi^-1(share), exact for normal distributions. Raises ``OptionError`` for a share
    outside the widest interval.

    >>> at_shares(np.array([[-1.0, 0.0, 1.0]]), [80], [0.1, 0.5, 0.6]).round(3).tolist()
    [[-1.0, 0.0, 0.198]]
    """
    known = np.array(quantile_levels(levels))
    given = list(shares) if isinstance(shares, list | tuple | np.ndarray) else [shares]
    for share in given:
        if not (is_number(share, 0, 1) and known[0] - 1e-9 <= float(share) <= known[-1] + 1e-9):
            what = f"must be shares from {known[0]:g} to {known[-1]:g}, the ends of the widest interval of the model"
            raise OptionError.of([Problem("quantiles", shown(share), f"{what}; fit with a higher level for others")])
    if not given:
        raise OptionError("quantiles = [] names none. Give shares such as [0.1, 0.5, 0.9].")
    at = np.clip(np.array(given, np.float64), known[0], known[-1])
    z, x = ndtri(known), ndtri(at)
    if len(known) == 1:
        return np.repeat(quantiles, len(given), axis=-1)
    right = np.clip(np.searchsorted(z, x, side="right"), 1, len(z) - 1)
    weight = (x - z[right - 1]) / (z[right] - z[right - 1])
    made: _Floats = (1 - weight) * quantiles[..., right - 1] + weight * quantiles[..., right]
    return made


def nested(quantiles: _Floats) -> _Floats:
    """Quantiles [..., from the lowest to the highest], each at least as far from the median as those nearer to it.

    >>> nested(np.array([[2.0, 1.0, 3.0, 5.0, 4.0]])).tolist()
    [[1.0, 1.0, 3.0, 5.0, 5.0]]
    """
    middle = quantiles.shape[-1] // 2
    low = np.minimum.accumulate(quantiles[..., middle::-1], axis=-1)[..., ::-1]
    high = np.maximum.accumulate(quantiles[..., middle:], axis=-1)
    return np.concatenate([low[..., :-1], high], axis=-1)
