"""Paths that a series may take: values drawn step by step from the quantiles of the next one.

    u_kj   shares in (0, 1), of path k and step j; at each step one in every n-th part, in random order
    y_kj = Q(u_kj)       Q: straight lines between the quantiles of the next value; the ends beyond the outermost two

All series draw with the same shares, so that what is said of one never depends on the others.

McKay, M., Beckman, R. and Conover, W. 1979. A comparison of three methods for selecting values of input variables.
Technometrics 21.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "drawn", "shares"]

_Floats = NDArray[np.float64]
_HALF = (0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4)
GRID = (*_HALF, 0.5, *(round(1 - share, 3) for share in reversed(_HALF)))  # the quantiles that draws are made from


def shares(paths: int, steps: int, seed: int) -> _Floats:
    """Shares to draw at: [steps, paths], each row one in every n-th part of (0, 1).

    >>> sorted(shares(4, 1, seed=0)[0].tolist())
    [0.125, 0.375, 0.625, 0.875]
    """
    even = np.tile((np.arange(paths) + 0.5) / paths, (steps, 1))
    return np.random.default_rng(seed).permuted(even, axis=1)


def drawn(quantiles: _Floats, levels: _Floats, at: _Floats) -> _Floats:
    """The values below which the shares `at` [rows] lie, by ascending `quantiles` [rows, levels].

    >>> drawn(np.array([[0.0, 1.0, 3.0]]), np.array([0.25, 0.5, 0.75]), np.array([0.625])).tolist()
    [2.0]
    """
    inside = np.clip(at, levels[0], levels[-1])
    right = np.clip(np.searchsorted(levels, inside, side="right"), 1, len(levels) - 1)
    weight = (inside - levels[right - 1]) / (levels[right] - levels[right - 1])
    rows = np.arange(len(quantiles))
    made: _Floats = (1 - weight) * quantiles[rows, right - 1] + weight * quantiles[rows, right]
    return made
