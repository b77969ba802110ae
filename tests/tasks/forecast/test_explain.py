"""Explanations of forecasts: they add up to the forecast, and find the lag and the covariate that decide."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from elman.cli.main import main
from elman.errors import OptionError
from elman.interpret.attribution import LEFT_OVER, Explanation
from elman.tasks import Forecaster, load
from forecast_series import QUICK, head, part


def adds_up(found: Explanation) -> None:
    for one in found:
        assert one.steps.sum() == pytest.approx(one.score - one.nothing, abs=LEFT_OVER * abs(one.score) + 1e-3)
        assert sum(c.steps.sum() for c in one.columns.values()) == pytest.approx(one.steps.sum())
        assert one.symbols is not None
        assert len(one.symbols) == len(one.steps)


@pytest.mark.parametrize("horizon", [None, 1, 4])
def test_it_adds_up_to_the_forecast(frame: pl.DataFrame, plain: Forecaster, horizon: int | None) -> None:
    given = head(frame, 90)
    found = plain.explain(given, horizon=horizon)
    adds_up(found)
    assert [one.answer for one in found] == ["s0", "s1", "s2"]
    for one in found:
        made = plain.predict(frame=given).filter(pl.col("unique_id") == one.answer)["elman"].to_numpy()
        assert one.score == pytest.approx(made.mean() if horizon is None else made[horizon - 1], rel=1e-5)
        assert list(one.columns) == ["y", "calendar", "calendar ahead"]
        assert np.array_equal(
            one.columns["y"].values, given.filter(pl.col("unique_id") == one.answer)["y"], equal_nan=True
        )
    alone = plain.explain(given.filter(pl.col("unique_id") == "s1"), horizon=horizon)[0]
    assert np.allclose(alone.steps, found[1].steps, atol=1e-5)


def test_a_season_before_decides(frame: pl.DataFrame, plain: Forecaster) -> None:
    for one in plain.explain(head(frame, 96), horizon=2):
        strongest = np.argsort(-np.abs(one.columns["y"].steps))[:3] - 96
        assert {(lag - 1) % 12 for lag in strongest} == {0}


def test_covariates_have_their_own(frame: pl.DataFrame, rich: Forecaster) -> None:
    given, future = head(frame, 90), part(frame, 90, 96)
    found = rich.explain(given, future=future)
    adds_up(found)
    names = ["y", "heat", "calendar", "sale", "shop", "calendar ahead", "sale ahead"]
    assert list(found[0].columns) == names
    assert [len(found[0].columns[name].steps) for name in names] == [90, 90, 90, 90, 1, 6, 6]
    picture = found[0].picture()
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    recursive = Forecaster(
        horizon=4, season=12, recursive=True, paths=20, past="heat", future="sale", **{**QUICK, "epochs": 1}
    ).fit(given)
    adds_up(recursive.explain(given, future=future))
    with pytest.raises(OptionError, match="horizon = 2 must be a whole number from 1 to 1: a recursive"):
        recursive.explain(given, future=future, horizon=2)


def test_the_covariate_that_decides_is_found() -> None:
    random = np.random.default_rng(0)
    heat, noise = random.normal(size=(2, 6, 150))
    y = 10 + 0.01 * noise
    y[:, 1:] += 3 * heat[:, :-1]
    columns = {"unique_id": np.repeat(np.arange(6), 150), "ds": np.tile(np.arange(150), 6)}
    frame = pl.DataFrame(columns | {"y": y.reshape(-1), "heat": heat.reshape(-1), "idle": random.normal(size=900)})
    options = {**QUICK, "epochs": 25, "hidden": 12, "ensemble_size": 1}
    model = Forecaster(horizon=1, season=1, past=["heat", "idle"], log=False, **options).fit(frame)
    found = model.explain(frame)
    adds_up(found)
    by_heat = np.array([one.columns["heat"].steps[-1] for one in found])
    assert np.corrcoef(by_heat, heat[:, -1])[0, 1] > 0.9
    for one in found[:3]:
        size = {name: np.abs(column.steps).sum() for name, column in one.columns.items()}
        assert size["heat"] > 3 * size["idle"]


def test_on_disk_and_refusals(saved: Path, frame: pl.DataFrame, rich: Forecaster, plain: Forecaster) -> None:
    given, future = head(frame, 60), part(frame, 60, 66)
    again, now = load(saved).explain(given, future=future), rich.explain(given, future=future)
    assert all(np.array_equal(a.steps, b.steps) for a, b in zip(again, now, strict=True))
    for wrong in (0, 7, 1.5):
        with pytest.raises(OptionError, match="from 1 to 6: the horizon of the model"):
            plain.explain(given, horizon=wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Leave y out"):
        plain.explain(given, "y")


def test_on_the_command_line(
    saved: Path, frame: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "rows.csv", tmp_path / "why.png"
    rows = head(frame, 66)
    last = pl.int_range(pl.len()).over("unique_id") >= 60
    rows.with_columns(y=pl.when(~last).then("y")).write_csv(file)
    main(["explain", str(saved), str(file), "--horizon", "2", "--answer", "s1", "--out", str(picture), "--json"])
    made = json.loads(capsys.readouterr().out)
    want = load(saved).explain(head(frame, 60), horizon=2, future=part(frame, 60, 66))[1]
    assert made["answer"] == "s1"
    assert made["score"] == pytest.approx(want.score, rel=1e-4)
    assert made["place"] == "rows.csv: 2 steps ahead"
    assert picture.read_bytes().startswith(b"\x89PNG")
    for flags, message in {("--row", "1"): "forecasts series, not rows", ("--answer", "x"): "'x' is no series"}.items():
        assert main(["explain", str(saved), str(file), *flags])
        assert message in capsys.readouterr().err
