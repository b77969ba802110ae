"""Pictures of what decides a forecast."""

from __future__ import annotations

import numpy as np
import pytest

from elman.tasks.forecast.attribution_plot import shaded_past


@pytest.mark.parametrize("steps", [1, 3, 600])
def test_any_length_is_drawn(steps: int) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=steps)
    values[-1] = np.nan
    picture = shaded_past(values, np.zeros(steps) if steps == 3 else random.normal(size=steps), {"a $": 1.0}, "s1", "x")
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
