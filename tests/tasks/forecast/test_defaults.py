"""The season that is chosen where none is given: the longest cycle that the usual series holds twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.tasks import Forecaster
from elman.tasks.forecast.data.time_grid import Grid, seasons_of

QUICK: dict[str, Any] = {"epochs": 1, "hidden": 4, "experts": 1, "ensemble_size": 1, "seed": 0, "verbose": False}
DAY = 86_400_000_000
UNITS = {"100ms": DAY // 864_000, "1s": DAY // 86_400, "1min": DAY // 1440, "1h": DAY // 24, "1d": DAY, "1w": 7 * DAY}


def series(lengths: list[int], every: str) -> pl.DataFrame:
    """Rising series that end together."""
    parts = []
    for i, n in enumerate(lengths):
        steps = np.arange(max(lengths) - n, max(lengths))
        when = (steps * UNITS[every]).astype("datetime64[us]") if every in UNITS else months(steps)
        parts.append(pl.DataFrame({"unique_id": f"s{i}", "ds": when, "y": 100 + 3.0 * steps}))
    return pl.concat(parts)


def months(steps: Any) -> Any:
    return (np.datetime64("2000-01", "M") + steps).astype("datetime64[us]")


CHOSEN: list[tuple[str, list[int], int]] = [
    ("1w", [40], 1),
    ("1w", [103], 1),
    ("1w", [104], 52),
    ("1mo", [23], 1),
    ("1mo", [24], 12),
    ("1h", [47], 1),
    ("1h", [48], 24),
    ("1d", [13], 1),
    ("1d", [14], 7),
    ("1min", [119], 1),
    ("1min", [700], 60),
    ("1s", [119], 1),
    ("1s", [500], 60),
    ("100ms", [400], 1),
    ("1h", [100, 6, 6, 6], 24),  # most of the steps are in a series that holds it
    ("1h", [40, 40, 40, 60], 1),
]


@pytest.mark.parametrize(("every", "lengths", "season"), CHOSEN)
def test_the_season_fits_into_the_usual_series(every: str, lengths: list[int], season: int) -> None:
    model = Forecaster(horizon=2, **QUICK).fit(series(lengths, every))
    assert model.config_.season == season
    assert model.config_.window >= season
    assert model.data_["season chosen"] == model.config_.season_reason
    assert ("is not held twice by a series of" in model.config_.season_reason) == (
        season != next(iter(seasons_of(model.grid_).values()), 1)
    )


def test_weeks_of_less_than_two_years_are_forecast(tmp_path: Path) -> None:
    given = series([44], "1w")
    model = Forecaster(horizon=4, **QUICK | {"epochs": 20}).fit(given.head(40))
    assert np.abs(model.predict()["elman"].to_numpy() - given["y"][40:].to_numpy()).max() < 3
    model.save(tmp_path / "m")
    assert elman.load(tmp_path / "m").config_.season_reason == model.config_.season_reason
    assert "a year of 52 steps is not held twice by a series of 40" in (tmp_path / "m" / "README.md").read_text("utf-8")


def test_a_given_season_that_no_series_reaches_is_said() -> None:
    given = series([44], "1w")
    with pytest.warns(UserWarning, match=r"season = 52, but the longest series, 's0', has 40 steps"):
        model = Forecaster(horizon=4, season=52, **QUICK).fit(given.head(40))
    assert model.config_.season == 52
    assert model.predict()["elman"].min() > 200, "it begins with the last value, not with the first of the window"
    Forecaster(horizon=4, season=39, **QUICK).fit(given.head(40))


def test_a_season_beyond_what_can_be_loaded_is_not_chosen() -> None:
    found = seasons_of(Grid("fixed", 1000))
    assert found == {"day": 86_400_000, "hour": 3_600_000, "minute": 60_000}
