"""Sampled paths: their quantiles are those of the forecast, their order depends on the seed and the series alone."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtri

from elman.cli.main import main
from elman.errors import OptionError
from elman.tasks import Forecaster, load
from elman.tasks.forecast.dependence import dependence_of
from forecast_series import QUICK, head, part


@pytest.fixture(scope="module")
def recursive(frame: pl.DataFrame) -> Forecaster:
    options = {**QUICK, "ensemble_size": 1, "epochs": 1}
    return Forecaster(horizon=4, season=12, recursive=True, paths=20, levels=[80], **options).fit(head(frame, 60))


def table(made: pl.DataFrame, series: str, steps: int) -> np.ndarray[Any, Any]:
    """[paths, steps]"""
    return made.filter(pl.col("unique_id") == series)["elman"].to_numpy().reshape(-1, steps)


@pytest.mark.parametrize("kind", ["plain", "recursive"])
def test_marginals_are_the_calibrated_quantiles(kind: str, request: pytest.FixtureRequest) -> None:
    model: Forecaster = request.getfixturevalue(kind)
    steps, n = model.horizon, 999
    made, wanted = model.predict(paths=n, seed=3), model.predict()
    assert made.columns == ["unique_id", "ds", "path", "elman"]
    assert made.height == 3 * n * steps
    assert made["path"].to_list()[: 2 * steps] == [1] * steps + [2] * steps
    shares = {"elman": 0.5} | {
        f"elman-{e}-{v:g}": 0.5 + s * v / 200 for v in model.levels for e, s in (("lo", -1), ("hi", 1))
    }
    for series in ("s0", "s2"):
        row = wanted.filter(pl.col("unique_id") == series)
        assert made.filter(pl.col("unique_id") == series)["ds"].to_list()[:steps] == row["ds"].to_list()
        values = np.sort(table(made, series, steps), axis=0)
        for name, share in shares.items():
            here = [np.interp(ndtri(share), ndtri((np.arange(n) + 0.5) / n), column) for column in values.T]
            assert np.allclose(here, row[name].to_numpy(), rtol=1e-3)


@pytest.mark.parametrize("kind", ["plain", "recursive"])
def test_the_seed_and_the_series_decide(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model: Forecaster = request.getfixturevalue(kind)
    frame = head(request.getfixturevalue("frame"), 50)
    made = model.predict(frame=frame, paths=10, seed=1)
    assert made.equals(model.predict(frame=frame, paths=10, seed=1))
    assert not made.equals(model.predict(frame=frame, paths=10, seed=2))
    alone = model.predict(frame=frame.filter(pl.col("unique_id") == "s1"), paths=10, seed=1)
    assert np.allclose(table(alone, "s1", model.horizon), table(made, "s1", model.horizon), rtol=1e-5)
    short = model.predict(2, frame=frame, paths=10, seed=1)
    assert np.allclose(table(short, "s1", 2)[:, 0], table(made, "s1", model.horizon)[:, 0], rtol=1e-5)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(frame=frame, paths=10, seed=1).equals(made)


def test_neighbouring_steps_depend_as_errors_do(plain: Forecaster) -> None:
    random = np.random.default_rng(0)
    errors = random.normal(size=(4000, 6))
    for step in range(1, 6):
        errors[:, step] = 0.7 * errors[:, step - 1] + np.sqrt(1 - 0.49) * errors[:, step]
    assert dependence_of(errors, np.zeros((4000, 6, 1))) == pytest.approx(0.7, abs=0.03)
    assert dependence_of(np.full((2, 3), np.nan), np.zeros((2, 3, 1))) == 0
    assert abs(plain.dependence_) < 1
    for given in (0.9, -0.5):
        model = with_dependence(plain, given)
        ranks = table(model.predict(paths=2000), "s0", 6).argsort(0).argsort(0)
        assert np.corrcoef(ranks[:, 2], ranks[:, 3])[0, 1] == pytest.approx(given, abs=0.06)


def with_dependence(model: Forecaster, dependence: float) -> Forecaster:
    """The same model with another correlation of neighbouring errors."""

    made = copy(model)
    made.dependence_ = dependence
    return made


def test_bounds_hold(frame: pl.DataFrame) -> None:
    model = Forecaster(horizon=3, season=12, minimum=10, maximum=12, integer=True, **QUICK).fit(head(frame, 60))
    values = model.predict(paths=50)["elman"].to_numpy()
    assert set(values) <= {10.0, 11.0, 12.0}


def test_future_covariates_and_the_command_line(
    saved: Path, frame: pl.DataFrame, rich: Forecaster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "next.csv", tmp_path / "paths.parquet"
    part(frame, 100, 106).write_csv(file)
    main(["predict", str(saved), "--future", str(file), "--paths", "5", "--seed", "7", "--out", str(out)])
    made, wanted = pl.read_parquet(out), rich.predict(future=part(frame, 100, 106), paths=5, seed=7)
    assert np.allclose(made["elman"].to_numpy(), wanted["elman"].to_numpy())
    assert main(["predict", str(saved), "--future", str(file), "--seed", "7"])
    assert "Give --paths too" in capsys.readouterr().err


def test_refusals(plain: Forecaster, frame: pl.DataFrame) -> None:
    for wrong in (0, 1.5, 10_001, "5"):
        with pytest.raises(OptionError, match=r"paths = .* must be a whole number from 1 to 10000"):
            plain.predict(paths=wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="seed = -1 must be a whole number of at least 0"):
        plain.predict(paths=2, seed=-1)
    with pytest.raises(OptionError, match="Leave one of the two out"):
        plain.predict(paths=2, quantiles=[0.5])
    bare = Forecaster(horizon=2, season=12, levels=(), **{**QUICK, "epochs": 1}).fit(head(frame, 60))
    with pytest.raises(OptionError, match="Fit with levels"):
        bare.predict(paths=2)
