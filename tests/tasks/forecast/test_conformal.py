"""Calibrated intervals cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from elman.errors import OptionError
from elman.tasks import Forecaster
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


def test_quantiles_by_share(plain: Forecaster) -> None:
    intervals, shares = plain.predict(), plain.predict(quantiles=[0.1, 0.3, 0.5, 0.95])
    assert shares.columns == ["unique_id", "ds", "elman", "elman-q-0.1", "elman-q-0.3", "elman-q-0.5", "elman-q-0.95"]
    for name, same in (("q-0.1", "lo-80"), ("q-0.95", "hi-90")):
        assert np.allclose(shares[f"elman-{name}"].to_numpy(), intervals[f"elman-{same}"].to_numpy())
    assert (shares["elman-q-0.5"] == intervals["elman"]).all()
    assert (shares["elman-q-0.1"] <= shares["elman-q-0.3"]).all()
    for wrong in ([0.01], [95], ["a"], [0.5, None]):
        with pytest.raises(OptionError, match=r"shares from 0\.025 to 0\.975"):
            plain.predict(quantiles=wrong)
    with pytest.raises(OptionError, match="names none"):
        plain.predict(quantiles=[])
