"""Calibrated intervals cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from elman.tasks.forecast.conformal import Calibration, factor


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("width", [0.1, 1.0, 9.0])
def test_coverage(level: float, width: float) -> None:
    random = np.random.default_rng(0)
    held, new = random.normal(size=4000), random.normal(size=20_000)
    by = factor(held, np.full(4000, -width), np.zeros(4000), np.full(4000, 2 * width), level)
    low, _, high = Calibration({100 * level: by}).apply(np.array([-width, 0.0, 2 * width]))
    assert ((low <= new) & (new <= high)).mean() == pytest.approx(level, abs=0.02)


def test_missing_and_none() -> None:
    assert factor(np.array([np.nan]), np.zeros(1), np.zeros(1), np.ones(1), 0.9) == 1.0
    assert factor(np.array([np.nan, 0.5]), np.zeros(2), np.zeros(2), np.ones(2), 0.9) == 0.5
