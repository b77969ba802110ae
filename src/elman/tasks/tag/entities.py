"""Entities: the spans of an answer with a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.tasks.tag.spans import spans


class Entity(NamedTuple):
    """A span of steps: the first, the one after the last, the kind ("" without kinds), and how sure it is, 0 to 1.

    The score is the mean probability of the labels of its steps, as in Flair (Akbik et al. 2019); with a CRF of their
    marginals over all paths.
    """

    start: int
    stop: int
    kind: str
    score: float


def entities_of(labels: Sequence[str], probabilities: NDArray[np.float64]) -> list[Entity]:
    """The entities of one sequence, from its labels and the probability of each of them, both [steps].

    >>> entities_of(["B-place", "I-place", "O"], np.array([0.5, 1.0, 0.9]))
    [Entity(start=0, stop=2, kind='place', score=0.75)]
    """
    return [Entity(*span, float(probabilities[span.start : span.stop].mean())) for span in spans(labels)]
