"""Calibration: whether answers given with a probability of 0.8 are right in 80 % of the cases.

The confidence of an answer is the probability of the likeliest class. Sequences are sorted by it into M bins of equal
width, B_m = ((m - 1) / M, m / M]. Over the sequences of a bin, acc is the share whose likeliest class is the true one,
conf the mean confidence; the expected calibration error is the mean gap, weighted by the size n_m of the bins:

    ECE = sum_m n_m / n |acc(B_m) - conf(B_m)|

It is 0 for a calibrated model and at most 1. The bars of acc by conf are the reliability diagram.

Naeini, Cooper & Hauskrecht 2015. Obtaining well calibrated probabilities using Bayesian binning. AAAI.
Guo, Pleiss, Sun & Weinberger 2017. On calibration of modern neural networks. ICML (the form above, with M = 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15


class ReliabilityBin(NamedTuple):
    """The answers whose confidence lies above `low` and at most at `high`."""

    low: float
    high: float
    confidence: float  # mean
    accuracy: float
    answers: int


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> list[ReliabilityBin]:
    """The bins that are not empty, of answers with a `confidence` [answers] from 0 to 1 that are `right` or not.

    >>> for part in reliability(np.array([0.9, 0.95, 0.6]), np.array([True, False, True]), bins=10):
    ...     print(part)
    ReliabilityBin(low=0.5, high=0.6, confidence=0.6, accuracy=1.0, answers=1)
    ReliabilityBin(low=0.8, high=0.9, confidence=0.9, accuracy=1.0, answers=1)
    ReliabilityBin(low=0.9, high=1.0, confidence=0.95, accuracy=0.0, answers=1)
    """
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    means = [
        np.bincount(place, weights=values, minlength=bins) / np.maximum(count, 1) for values in (confidence, right)
    ]
    return [
        ReliabilityBin(float(edges[m]), float(edges[m + 1]), float(means[0][m]), float(means[1][m]), int(count[m]))
        for m in np.flatnonzero(count)
    ]


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The mean gap between confidence and accuracy; NaN without bins.

    >>> expected_calibration_error(reliability(np.array([0.75, 0.75]), np.array([True, False])))
    0.25
    """
    total = sum(part.answers for part in bins)
    if not total:
        return float("nan")
    return sum(part.answers * abs(part.accuracy - part.confidence) for part in bins) / total
