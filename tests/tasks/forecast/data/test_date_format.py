"""Dates in a format of the caller's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.tasks import Forecaster
from forecast_series import QUICK

STEPS = 40
DAYS = (np.datetime64("2024-01-01", "us") + np.arange(STEPS + 2) * np.timedelta64(1, "D")).tolist()
FAST: dict[str, Any] = {**QUICK, "horizon": 2, "season": 7, "epochs": 1}


def frame(date_format: str, numbers: bool = False) -> pl.DataFrame:
    texts = [day.strftime(date_format) for day in DAYS[:STEPS]]
    return pl.DataFrame({"ds": list(map(int, texts)) if numbers else texts, "y": np.arange(STEPS) % 7 + 1.0})


@pytest.mark.parametrize("date_format", ["%d/%m/%Y", "%Y/%m/%d %H:%M", "%d.%m.%y", "%Y%m%d", "%G-W%V-%u"])
@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_forecasts_are_written_alike(date_format: str, library: str, tmp_path: Path) -> None:
    numbers = date_format == "%Y%m%d"
    given: Any = frame(date_format, numbers)
    if library == "pandas":
        given = pytest.importorskip("pandas").DataFrame(given.to_dict(as_series=False))
    model = Forecaster(date_format=date_format, **FAST).fit(given)
    model.save(tmp_path / "m")
    texts = [day.strftime(date_format) for day in DAYS[STEPS:]]
    answers = elman.load(tmp_path / "m").predict()
    assert list(answers["ds"]) == (list(map(int, texts)) if numbers else texts)
    assert model.data_["missing"] == 0


def test_refused() -> None:
    with pytest.raises(
        DataError, match=r"column 'ds', row 0 is '2024/01/01', which is no date of the format '%d/%m/%Y'"
    ):
        Forecaster(date_format="%d/%m/%Y", **FAST).fit(frame("%Y/%m/%d"))
    for wrong in ("%d/%m", "day", 5, "%Y-%m-%d%z"):
        with pytest.raises(OptionError, match=r"date_format = .* must name a year"):
            Forecaster(date_format=wrong, **FAST).fit(frame("%d/%m/%Y"))  # type: ignore[arg-type]


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame("%d%m%Y").write_csv(tmp_path / "sales.csv")
    argv = ["fit", "forecast", f"{tmp_path}/sales.csv", "--date-format", "%d%m%Y", "--out", f"{tmp_path}/m"]
    quick = ["--horizon", "2", "--epochs", "1", "--hidden", "4", "--experts", "2", "--ensemble-size", "1"]
    assert main([*argv, *quick]) == 0
    capsys.readouterr()
    assert main(["predict", f"{tmp_path}/m", f"{tmp_path}/sales.csv"]) == 0
    assert [line[:8] for line in capsys.readouterr().out.splitlines()[1:]] == ["10022024", "11022024"]
