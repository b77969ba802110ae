"""The state of the series: it goes on with new points, and is checked when a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import elman
from elman.errors import DataError, ModelFileError
from elman.io import model_folder as store
from elman.tasks import Forecaster
from forecast_series import frame_time, head, numbers, part


def test_update_is_the_whole_series_bit_for_bit(frame: pl.DataFrame, rich: Forecaster, tmp_path: Path) -> None:
    rich.save(tmp_path / "model")
    model = elman.load(tmp_path / "model")
    given = head(frame, 110)
    given = given.filter(~given["ds"].is_in([frame_time(103), frame_time(104)]))  # absent: two missing steps
    for first, last in ((100, 101), (101, 103), (105, 110)):
        model.update(part(frame, first, last))
    later = part(frame, 110, 116)
    assert (numbers(model.predict(future=later)) == numbers(rich.predict(frame=given, future=later))).all()
    model.save(tmp_path / "later")
    assert elman.load(tmp_path / "later").predict(future=later).equals(model.predict(future=later))


def test_update_refuses(frame: pl.DataFrame, plain: Forecaster) -> None:
    with pytest.raises(DataError, match="is known up to 2024-01-05 03"):
        plain.update(part(frame, 99, 101))


def test_update_with_new_series(rich: Forecaster, frame: pl.DataFrame, saved: Path, tmp_path: Path) -> None:
    model = elman.load(saved)
    names = pl.col("unique_id").replace({"s0": "new 0", "s1": "new 1", "s2": "new 2"})
    begin = part(frame, 60, 90).with_columns(names)
    given = pl.concat([begin.head(30), part(frame, 100, 104), begin.tail(60)])
    model.update(given)
    assert model.state_.ids == ["s0", "s1", "s2", "new 0", "new 1", "new 2"]
    coming = pl.concat([part(frame, 104, 110), part(frame, 90, 96).with_columns(names)])
    answers = model.predict(future=coming)
    whole = pl.concat([head(frame, 104), begin])
    assert (numbers(answers) == numbers(rich.predict(frame=whole, future=coming))).all()
    later = part(frame, 90, 92).with_columns(names)
    model.update(later)
    model.save(tmp_path / "m")
    coming = pl.concat([part(frame, 104, 110), part(frame, 92, 98).with_columns(names)])
    expected = rich.predict(frame=pl.concat([whole, later]), future=coming)
    assert (numbers(elman.load(tmp_path / "m").predict(future=coming)) == numbers(expected)).all()


def test_update_with_new_series_refuses_and_notes(
    frame: pl.DataFrame, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = elman.load(saved)
    one = part(frame, 100, 101).head(1).with_columns(unique_id=pl.lit("new"))
    with pytest.raises(DataError, match="series 'new' has no value in column 'y'"):
        model.update(one.with_columns(y=pl.lit(None, pl.Float64)))
    with pytest.raises(DataError, match="no column 'shop'"):
        model.update(one.drop("shop"))
    with pytest.raises(DataError, match="is known up to 2024-01-05 03"):
        model.update(pl.concat([one, part(frame, 99, 100)]))
    assert model.state_.ids == ["s0", "s1", "s2"], "nothing has changed"
    model.set_params(verbose=True).update(one)
    assert "new series: 'new'" in capsys.readouterr().err


CONFIGS: list[tuple[tuple[Any, ...], Any]] = [
    (("options", "past"), []),
    (("options", "static"), []),
    (("options", "ensemble_size"), 10**9),
    (("options", "layers"), 10**9),
    (("options", "experts"), 10**30),
    (("options", "hidden"), 10**12),
    (("grid", 0), "week"),
    (("grid", 1), 2**62),
    (("grid", 2), 1.5),
    (("style", 0), "x"),
    (("style", 2), "Mars/North"),
    (("config", "season"), True),
    (("config", "window"), 10**12),
    (("config", "log"), 1),
    (("longest",), 0),
    (("options", "paths"), 10**6),
    (("covariates", "scales"), {}),
    (("covariates", "kinds", "sale"), ["yes"]),
    (("calibration", 0, 1), -1),
    (("state", "ids"), ["s0"]),
    (("state", "ids", 0), [1]),
    (("state", "ids", 0), 7),
]


@pytest.mark.parametrize(("path", "value"), CONFIGS)
def test_a_config_that_cannot_be_is_refused(path: tuple[Any, ...], value: Any, saved: Path) -> None:
    config, tensors, files = store.load(saved)
    place: Any = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ModelFileError):
        Forecaster.restore(config, tensors, files, saved)


TENSORS: dict[str, Any] = {
    "state.next": lambda t: t[:1],
    "state.last.codes": lambda t: t + 99,
    "state.constant.numbers": lambda t: t.double(),
    "state.last.numbers": lambda t: t * float("nan"),
    "state.hidden.0": lambda t: t.half(),
    "state.tail.gap": lambda t: t - 99,
    "state.tail.squares": lambda t: t - 1e9,
    "state.tail.total": lambda t: -1 - t,
    "state.tail.level": lambda t: t * float("inf"),
    "state.tail.scale": lambda t: t * 0,
    "state.tail.lowest": lambda t: t * float("nan"),
    "state.tail.missed": lambda t: -1 - t,
    "state.tail.pairs": lambda t: t.int(),
    "state.tail.kinds": lambda t: t + 1,
    "state.tail.steps": lambda t: t + 2**60,
    "state.tail.fills": lambda t: t[:, 1:],
    "network.networks.0.gate.bias": lambda t: t * float("nan"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_cannot_be_are_refused(name: str, saved: Path) -> None:
    config, tensors, files = store.load(saved)
    with pytest.raises(ModelFileError):
        Forecaster.restore(config, tensors | {name: TENSORS[name](tensors[name])}, files, saved)
