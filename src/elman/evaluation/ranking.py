"""How well the probability of a class ranks its own sequences above the others: thin names over scikit-learn.

Each class is set against all others (one-vs-rest). At every threshold t on the probability of the class, with TP, FP,
FN and TN the sequences above and below it that do and do not belong to the class:

    recall = TP / (TP + FN)      false positive rate = FP / (FP + TN)      precision = TP / (TP + FP)

    ROC area   area under recall by false positive rate: the probability that a sequence of the class ranks above one
               of another; 0.5 by chance
    PR area    average precision, sum_n (recall_n - recall_{n-1}) precision_n; the share of the class by chance

The trapezoid under precision by recall would be too high (Davis & Goadrich 2006). Where a class has no sequence, or
there are no others, its areas are NaN; the macro mean is over the classes that have one.

Fawcett 2006. An introduction to ROC analysis. Pattern Recognition Letters 27.
Davis & Goadrich 2006. The relationship between precision-recall and ROC curves. ICML.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


class RankScore(NamedTuple):
    """The two areas of one class."""

    roc_area: float
    pr_area: float


def rank_scores(truth: NDArray[np.int64], probabilities: _Floats) -> list[RankScore]:
    """The areas of each class, for codes `truth` [sequences] and `probabilities` [sequences, classes].

    A code that is no column of `probabilities` belongs to none of the classes.

    >>> rank_scores(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]))[1]
    RankScore(roc_area=0.5, pr_area=0.5)
    """
    return [rank_score(truth == code, probabilities[:, code]) for code in range(probabilities.shape[1])]


def rank_score(positive: NDArray[np.bool_], scores: _Floats) -> RankScore:
    """The areas of one class: which sequences are of it, and their scores; NaN where all or none are.

    >>> rank_score(np.array([True, False]), np.array([0.9, 0.2]))
    RankScore(roc_area=1.0, pr_area=1.0)
    """
    if positive.all() or not positive.any():
        return RankScore(float("nan"), float("nan"))
    return RankScore(
        float(sklearn.metrics.roc_auc_score(positive, scores)),
        float(sklearn.metrics.average_precision_score(positive, scores)),
    )


def macro_mean(values: Iterable[float]) -> float:
    """The mean of those that are not NaN; NaN where none is.

    >>> macro_mean([0.5, float("nan"), 1.0])
    0.75
    """
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def roc_curve(positive: NDArray[np.bool_], scores: _Floats) -> tuple[_Floats, _Floats]:
    """False positive rate and recall [thresholds] of a class, from none answered to all.

    >>> [side.tolist() for side in roc_curve(np.array([True, False]), np.array([0.9, 0.2]))]
    [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    """
    false, true, _ = sklearn.metrics.roc_curve(positive, scores)
    return false, true


def precision_recall_curve(positive: NDArray[np.bool_], scores: _Floats) -> tuple[_Floats, _Floats]:
    """Recall and precision [thresholds] of a class, from none answered to all.

    >>> [side.tolist() for side in precision_recall_curve(np.array([True, False]), np.array([0.9, 0.2]))]
    [[0.0, 1.0, 1.0], [1.0, 1.0, 0.5]]
    """
    precision, recall, _ = sklearn.metrics.precision_recall_curve(positive, scores)
    return recall[::-1], precision[::-1]
