"""`fit(..., validation_data=...)`: the caller's own validation set, for every task."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from elman import tasks
from elman.cli.main import main
from elman.errors import DataError, ElmanError, OptionError
from elman.ragged import Ragged
from table import FRAME, TASKS, TEXTS, TINY, WORDS

LABELS = ["u", "v"] * 6
FUTURE = pl.DataFrame({"unique_id": "a", "ds": range(60, 66), "y": [1.0, 2.0, 4.0] * 2})


def task_of(verb: str) -> Any:
    row = TASKS[verb]
    return tasks.TASKS[verb](**{**TINY, **row.options, "epochs": 2})


def held_back(verb: str) -> tuple[Any, Any, Any]:
    """X, y and a validation set of a few sequences in another order."""
    if verb == "forecast":
        return FRAME, None, FUTURE
    X, *rest = TASKS[verb].data
    if not rest:
        return X, None, X[3:0:-1]
    (y,) = rest
    few = {name: column[3:0:-1] for name, column in y.items()} if isinstance(y, dict) else y[3:0:-1]
    return X, y, (X[3:0:-1], few)


def fitted_with(verb: str) -> tuple[Any, Any]:
    X, y, validation = held_back(verb)
    given = () if y is None else (y,)
    return task_of(verb).fit(X, *given, validation_data=validation), validation


@pytest.mark.parametrize("verb", TASKS)
def test_metrics_are_those_of_the_own_validation_set(verb: str) -> None:
    """Also of what is learnt beside the network: nothing is learnt from the validation set afterwards."""
    model, validation = fitted_with(verb)
    assert len(model.history_) == 2
    assert model.history_.best
    if verb == "forecast":
        assert model.data_["held out at the end"] == "6 to 6 steps"
        assert model.predict(horizon=1)["ds"].to_list() == [66]
        return
    given = {"beam": 1} if verb == "translate" else {}
    scores = model.evaluate(*(validation if isinstance(validation, tuple) else (validation,)), **given)
    shared = scores.keys() & model.metrics_.keys()
    if verb == "transcribe":  # validated by greedy decoding
        shared = {"loss"}
    assert shared
    for name in shared:
        assert math.isclose(scores[name], model.metrics_[name], rel_tol=1e-12), name


@pytest.mark.parametrize("verb", [verb for verb in TASKS if verb != "forecast"])
def test_the_inputs_are_learnt_from_x_alone(verb: str) -> None:
    model, _ = fitted_with(verb)
    X, *rest = TASKS[verb].data
    other = task_of(verb).fit(X, *rest)
    assert model.feature_.describe() == other.feature_.describe()
    assert repr(model.feature_.config()) == repr(other.feature_.config())
    same = model.feature_.tensors()
    assert all(torch.equal(t, same[name]) for name, t in other.feature_.tensors().items())


CONTAINERS: dict[str, tuple[Any, Any]] = {
    "array": (np.arange(24.0).reshape(12, 2), np.arange(24.0).reshape(12, 2)[:4]),
    "tensor": (torch.arange(24.0).reshape(12, 2), torch.arange(24.0).reshape(12, 2)[:4]),
    "lists": ([np.ones(n) for n in range(12)], [np.ones(3)] * 4),
    "ragged": (Ragged.of([torch.ones(n, 2) for n in range(12)]), Ragged.of([torch.ones(n, 2) for n in range(4)])),
    "array and list": (np.array(TEXTS), TEXTS[:4]),
    "series": (pd.Series(TEXTS), pd.Series(TEXTS[:4])),
    "two libraries": (pl.Series(TEXTS), pd.Series(TEXTS[:4])),
    "frame of one column": (pl.DataFrame({"text": TEXTS}), TEXTS[:4]),
    "whole numbers and fractions": (
        pl.DataFrame({"a": range(12), "b": range(12)}),
        pl.DataFrame({"b": [0.5] * 4, "a": [0.5] * 4, "c": [""] * 4}),
    ),
    "dict": ({"text": WORDS, "size": list(range(12))}, {"text": WORDS[:4], "size": [1.5] * 4}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name: str) -> None:
    X, validation = CONTAINERS[name]
    model = tasks.Classifier(**TINY).fit(X, LABELS, validation_data=(validation, pd.Series(LABELS[:4])))
    assert model.metrics_["accuracy"] == model.evaluate(validation, LABELS[:4])["accuracy"]


def test_columns_by_name() -> None:
    frame = pl.DataFrame({"text": TEXTS, "label": LABELS})
    model = tasks.Classifier(**TINY)
    first = model.fit(frame, "label", validation_data=frame[:4]).metrics_
    assert model.fit(frame, "label", validation_data=(frame[:4].to_pandas(), "label")).metrics_ == first
    assert (model.input_, model.target_) == ("text", "label")


REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "no pair": (TEXTS, LABELS, TEXTS, r"must be a tuple \(X, y\) or .*, got a list"),
    "four": (TEXTS, LABELS, (1, 2, 3, 4), "got a tuple of 4"),
    "none": (TEXTS, LABELS, ([], []), r"validation_data\[0\] holds no sequences"),
    "no targets": (TEXTS, LABELS, (["a"], None), r"validation_data\[1\] must hold a target for each of the 1"),
    "targets": (TEXTS, LABELS, (["a"], ["u", "v"]), r"validation_data\[1\] has 2 targets, but validation_data\[0\]"),
    "targets of X": (TEXTS, LABELS[1:], (["a"], ["u"]), "y has 11 targets, but X has 12 sequences"),
    "a new label": (TEXTS, LABELS, (["a", "b"], ["u", "w"]), r"validation_data\[1\]: sequence 1 has a label that no"),
    "missing": (TEXTS, LABELS, (["a", None], ["u", "v"]), r"validation_data\[0\]: sequence 1 is None"),
    "widths": (np.ones((12, 3)), LABELS, (np.ones((2, 4)), ["u", "v"]), "has 4 columns, but X has 3"),
    "a frame": (TEXTS, LABELS, ({"a": ["a"], "b": ["b"]}, ["u"]), "has the columns 'a', 'b', but X is a list"),
    "columns": ({"text": TEXTS, "y": LABELS}, "y", {"txt": ["a"], "y": ["u"]}, "Did you mean 'txt'"),
    "other names": ({"text": TEXTS, "y": LABELS}, "y", ({"text": ["a"], "y": ["u"]}, "z"), "is 'z', but y is 'y'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_validation_set(name: str) -> None:
    X, y, validation, message = REFUSED[name]
    with pytest.raises((DataError, OptionError), match=message):
        tasks.Classifier(**TINY).fit(X, y, validation_data=validation)


FORECASTS: dict[str, tuple[Any, str]] = {
    "another series": (FUTURE.with_columns(unique_id=pl.lit("b")), "'b', which is not in the training frame"),
    "too few": (FUTURE[:2], "at most 2 values of a series, but horizon = 3"),
    "no frame": ([1.0], "validation_data is a list, not a frame"),
    "no target": (FUTURE.drop("y"), "validation_data has no column 'y'"),
    "a target": ((FUTURE, [1.0] * 6), "Leave y out"),
}


@pytest.mark.parametrize("name", FORECASTS)
def test_what_cannot_follow_the_series(name: str) -> None:
    frame, message = FORECASTS[name]
    with pytest.raises(ElmanError, match=message):
        task_of("forecast").fit(FRAME, validation_data=frame)


def run(line: str) -> int:
    return main(shlex.split(line))


def test_a_file_on_the_command_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"text": TEXTS, "label": LABELS})
    frame.write_csv("t.csv")
    frame[::-1][:4].select("label", "text").write_csv("v.csv")
    frame[:2].with_columns(label=pl.Series(["u", "w"])).write_csv("strange.csv")
    frame[:2].rename({"text": "txt"}).write_csv("renamed.csv")
    fit = "fit classify t.csv --target label --hidden 2 --epochs 1 --out m --validation"
    assert run(f"{fit} v.csv --json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sequences"] == 12
    assert run("score m v.csv --json") == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == told["validation"]["accuracy"]
    assert tasks.load("m").data_["validation file"] == "../v.csv"
    assert run(f"{fit} 0.2") == 0
    for file, message in {
        "strange.csv": "line 3 of strange.csv has a label that no training sequence has",
        "renamed.csv": "renamed.csv has no column 'text'",
        "none.csv": "no such file: none.csv",
        "0.7": "--validation 0.7 must be a number from 0 to 0.5",
    }.items():
        capsys.readouterr()
        assert run(f"{fit} {file}") == 2
        assert message in capsys.readouterr().err


def test_forecast_and_generate_files(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.write_csv("t.csv")
    FUTURE.write_csv("v.csv")
    pl.DataFrame({"text": TEXTS}).write_csv("texts.csv")
    assert run("fit forecast t.csv --validation v.csv --horizon 3 --season 3 --hidden 2 --epochs 1 --out f") == 0
    assert run("fit generate texts.csv --validation texts.csv --hidden 2 --epochs 1 --out g") == 0
    assert "validation, used to choose the epoch" in capsys.readouterr().out
