"""The picture of forecasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from elman.errors import DataError
from elman.tasks import Forecaster


def test_plot(plain: Forecaster, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = plain.plot(tmp_path / "forecast.png", series=["s0"])
    assert picture is not None
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "forecast.png").read_bytes() == picture
    with pytest.raises(DataError, match="'s9' is not known"):
        plain.plot(series="s9")
    with pytest.raises(DataError, match="names none"):
        plain.plot(series=[])
