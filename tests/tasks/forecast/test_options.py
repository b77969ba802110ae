"""Options of a forecaster that cannot be."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from elman.errors import OptionError
from elman.tasks import Forecaster
from forecast_series import QUICK


def test_wrong_options(frame: pl.DataFrame) -> None:
    options = {"horizon": 0, "season": -1, "levels": (0,), "freq": "blue", "past": "y", "bidirectional": True}
    options |= {"experts": None, "window": 10**12, "ensemble_size": 10**9, "layers": 10**9}
    with pytest.raises(OptionError) as caught:
        Forecaster(**options).fit(frame)  # type: ignore[arg-type]
    for said in ("horizon = 0", "season = -1", "levels = (0,)", "'blue'", "names 'y' again", "bidirectional"):
        assert said in str(caught.value)
    for said in (
        "experts = None",
        "window = 1000000000000 must be at most",
        "ensemble_size = 1000000000 must",
        "layers = 1000000000 must",
    ):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"past": None}, {"static": 5}, {"future": [1]}, {"freq": 10**30}, {"freq": "9" * 20 + "D"}]
)
def test_options_of_the_wrong_kind(option: dict[str, Any], frame: pl.DataFrame) -> None:
    with pytest.raises(OptionError, match=r"names of columns|no distance between steps"):
        Forecaster(**option).fit(frame)


@pytest.mark.parametrize("levels", [[0.9], 0.95, (0.8, 0.95)])
def test_levels_that_are_shares(levels: Any, frame: pl.DataFrame) -> None:
    with pytest.raises(OptionError, match=r"are per cent. For fractions of 1 write levels = \[(80.0, )?9[05].0\]"):
        Forecaster(horizon=2, levels=levels, **QUICK).fit(frame)
