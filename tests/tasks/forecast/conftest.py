"""Fitted forecasters that several tests ask."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from elman.tasks import Forecaster
from forecast_series import QUICK, head, waves


@pytest.fixture(scope="package")
def frame() -> pl.DataFrame:
    return waves()


@pytest.fixture(scope="package")
def plain(frame: pl.DataFrame) -> Forecaster:
    return Forecaster(horizon=6, season=12, **QUICK).fit(head(frame, 100))


@pytest.fixture(scope="package")
def rich(frame: pl.DataFrame) -> Forecaster:
    options = {"past": "heat", "future": ["sale"], "static": ["shop"], **QUICK}
    return Forecaster(horizon=6, season=12, **options).fit(head(frame, 100))


@pytest.fixture(scope="package")
def saved(rich: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich") / "model"
    rich.save(folder)
    return folder
