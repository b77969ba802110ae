"""Bins and the expected calibration error, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elman.evaluation.calibration import expected_calibration_error, reliability


def test_by_hand() -> None:
    confidence = np.array([0.55, 0.6, 0.95, 1.0])
    right = np.array([True, False, True, True])
    bins = reliability(confidence, right, bins=10)
    assert [(part.low, part.high, part.answers) for part in bins] == [(0.5, 0.6, 2), (0.9, 1.0, 2)]
    assert [part.accuracy for part in bins] == [0.5, 1.0]
    assert [part.confidence for part in bins] == pytest.approx([0.575, 0.975])
    assert expected_calibration_error(bins) == pytest.approx((2 * 0.075 + 2 * 0.025) / 4)


def test_ends_of_the_range_have_a_bin() -> None:
    assert [part.answers for part in reliability(np.array([0.0, 1e-9, 1.0]), np.zeros(3, dtype=bool))] == [2, 1]


def test_calibrated_answers_have_a_small_error() -> None:
    draw = np.random.default_rng(0)
    confidence = draw.uniform(0.5, 1, 20_000)
    right = draw.uniform(size=20_000) < confidence
    assert expected_calibration_error(reliability(confidence, right)) < 0.02
    assert expected_calibration_error(reliability(confidence, ~right)) > 0.4


def test_no_answers() -> None:
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)) == []
    assert math.isnan(expected_calibration_error([]))
