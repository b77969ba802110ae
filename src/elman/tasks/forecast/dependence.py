"""How forecast errors at neighbouring steps of the horizon depend on each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

_Floats = NDArray[np.float64]
LARGEST = 0.999  # correlation


def dependence_of(truth: _Floats, quantiles: _Floats) -> float:
    """The correlation of neighbouring forecast errors, as normal scores; 0 where fewer than three pairs are known.

    `truth` [rows, horizon], NaN where missing, `quantiles` [rows, horizon, quantiles]. Errors count in units of the
    widest interval, if there is one.

    >>> steps = np.array([[1.0, 1.1, 1.2], [-1.0, -1.1, -0.9], [0.2, 0.1, 0.3]])
    >>> round(dependence_of(steps, np.zeros((3, 3, 1))), 1)
    0.8
    """
    errors = truth - quantiles[..., quantiles.shape[-1] // 2]
    if quantiles.shape[-1] > 1:
        errors = errors / np.maximum(quantiles[..., -1] - quantiles[..., 0], np.finfo(np.float64).tiny)
    there = np.isfinite(errors)
    scores = np.full(errors.shape, np.nan)
    scores[there] = ndtri(rankdata(errors[there]) / (there.sum() + 1))
    pairs = there[:, 1:] & there[:, :-1]
    if pairs.sum() < 3:
        return 0.0
    one, next_one = scores[:, :-1][pairs], scores[:, 1:][pairs]
    size = float(np.sqrt((one**2).sum() * (next_one**2).sum()))
    return float(np.clip((one * next_one).sum() / size, -LARGEST, LARGEST)) if size > 0 else 0.0
