"""Series that the tests of forecasting share."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

__all__ = ["QUICK", "frame_time", "head", "numbers", "part", "waves"]

QUICK: dict[str, Any] = {"epochs": 2, "hidden": 6, "experts": 2, "ensemble_size": 2, "seed": 0, "verbose": False}


def waves(series: int = 3, steps: int = 120, season: int = 12, holes: bool = True) -> pl.DataFrame:
    """Noisy seasons with covariates, some values missing."""
    random = np.random.default_rng(0)
    parts = []
    for i in range(series):
        steady = 10 * (i + 1) + 3 * np.sin(2 * np.pi * np.arange(steps) / season + i)
        y = steady + random.normal(0, 0.2, steps)
        if holes:
            y[random.integers(5, steps, 8)] = np.nan
        columns = {
            "unique_id": [f"s{i}"] * steps,
            "ds": np.datetime64("2024-01-01", "us") + np.arange(steps) * np.timedelta64(1, "h"),
            "y": y,
            "heat": random.normal(size=steps),
            "sale": random.choice(["no", "yes"], steps),
            "shop": ["xyz"[i % 3]] * steps,
        }
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


def head(frame: pl.DataFrame, steps: int) -> pl.DataFrame:
    return frame.group_by("unique_id", maintain_order=True).head(steps)


def part(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    return (
        frame.group_by("unique_id", maintain_order=True)
        .agg(pl.all().slice(first, last - first))
        .explode(pl.exclude("unique_id"))
    )


def numbers(answer: pl.DataFrame) -> np.ndarray[Any, Any]:
    return answer.select(pl.exclude("unique_id", "ds")).to_numpy()


def frame_time(step: int) -> Any:
    return pl.Series(np.datetime64("2024-01-01", "us") + np.array([step]) * np.timedelta64(1, "h"))[0]
