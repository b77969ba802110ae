"""The correlation of forecast errors at neighbouring steps."""

from __future__ import annotations

import numpy as np
import pytest

from elman.tasks.forecast.dependence import LARGEST, dependence_of


def test_it_is_that_of_the_errors() -> None:
    random = np.random.default_rng(0)
    errors = random.normal(size=(4000, 6))
    assert dependence_of(errors, np.zeros((4000, 6, 1))) == pytest.approx(0, abs=0.03)
    same = np.repeat(errors[:, :1], 6, axis=1)
    assert dependence_of(same, np.zeros((4000, 6, 1))) == pytest.approx(LARGEST)
    assert dependence_of(errors[:0], np.zeros((0, 6, 1))) == 0
