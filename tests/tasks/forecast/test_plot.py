"""The picture of forecasts."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from elman.errors import DataError
from elman.tasks import Forecaster
from forecast_series import part


def test_plot(frame: pl.DataFrame, plain: Forecaster, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = plain.plot(tmp_path / "forecast.png", series=["s0"])
    assert picture is not None
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "forecast.png").read_bytes() == picture
    later = part(frame, 100, 103)
    assert plain.plot(series=["s0"], truth=later) != picture, "true values of the first three steps"
    with pytest.raises(DataError, match="'s9' is not known"):
        plain.plot(series="s9")
    with pytest.raises(DataError, match="names none"):
        plain.plot(series=[])
