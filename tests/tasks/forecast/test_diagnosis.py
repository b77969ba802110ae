"""What `diagnose` looks at."""

from __future__ import annotations

import polars as pl
import pytest

from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from forecast_series import head


def test_it_is_diagnosed(plain: Forecaster, frame: pl.DataFrame) -> None:
    found = plain.diagnose(frame)
    assert [layer.name for layer in found.layers] == ["network 1 layer 1", "network 2 layer 1"]
    assert found.sequences == 3
    assert all(0 < layer.at(5) < 100 for layer in found.layers)
    assert plain.diagnose(head(frame, 120)).to_json() == found.to_json()
    with pytest.raises(DataError, match="no series is longer than the 6 steps"):
        plain.diagnose(head(frame, 6))
    with pytest.raises(OptionError, match="Leave y out"):
        plain.diagnose(frame, "y")
