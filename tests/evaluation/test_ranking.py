"""ROC and precision-recall areas: by hand, beside scikit-learn, and where they are not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics

from elman.evaluation.ranking import macro_mean, precision_recall_curve, rank_scores, roc_curve


def test_by_hand() -> None:
    truth = np.array([0, 0, 1, 1])
    second = np.array([0.1, 0.4, 0.35, 0.8])  # three of the four pairs are in order
    _, score = rank_scores(truth, np.stack([1 - second, second], 1))
    assert score.roc_area == 0.75
    assert score.pr_area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_as_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    truth, probabilities = draw.integers(0, 4, 200), draw.dirichlet(np.ones(4), 200)
    scores = rank_scores(truth, probabilities)
    whole = sklearn.metrics.roc_auc_score(truth, probabilities, multi_class="ovr")
    assert macro_mean(score.roc_area for score in scores) == pytest.approx(whole)
    whole = sklearn.metrics.average_precision_score(np.eye(4)[truth], probabilities)
    assert macro_mean(score.pr_area for score in scores) == pytest.approx(whole)


def test_a_class_without_sequences_has_no_area() -> None:
    scores = rank_scores(np.array([0, 0]), np.array([[0.5, 0.5], [0.9, 0.1]]))
    assert all(math.isnan(area) for score in scores for area in score)
    assert math.isnan(macro_mean(score.roc_area for score in scores))


def test_curves_begin_with_no_answer() -> None:
    positive, scores = np.array([True, False, True]), np.array([0.9, 0.5, 0.1])
    false, recall = roc_curve(positive, scores)
    assert (false[0], recall[0], false[-1], recall[-1]) == (0, 0, 1, 1)
    recall, precision = precision_recall_curve(positive, scores)
    assert (recall[0], precision[0]) == (0, 1)
    assert (recall[-1], precision[-1]) == (1, pytest.approx(2 / 3))
