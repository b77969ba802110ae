"""Options that are set after `fit` count from the next `fit` on: answers go by those that were learnt with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.errors import OptionError
from table import FRAME, TASKS, TEXTS, fitted


def asked(task: str) -> dict[str, Callable[[Any, Path], Any]]:
    """What a fitted task is asked, and what tells whether two answers are the same."""
    X = TASKS[task].data[0]
    calls: dict[str, Callable[[Any, Path], Any]] = {"save": saved}
    if task == "forecast":
        later = pl.DataFrame({"unique_id": "a", "ds": [60, 61, 62], "y": [1.0, 2.0, 4.0]})
        calls["predict"] = lambda model, _: model.predict().to_dict()
        calls["of a frame"] = lambda model, _: model.predict(frame=FRAME).to_dict()
        calls["evaluate"] = lambda model, _: model.evaluate(later) | model.evaluate_naive(later)
        calls["tests"] = lambda model, _: model.cross_validation(FRAME, refit=False).to_dict()
        calls["diagnose"] = lambda model, _: model.diagnose(FRAME).to_json()
        return calls
    if task == "generate":
        calls["evaluate"] = lambda model, _: model.evaluate(X)
        calls["generate"] = lambda model, _: model.generate("a", length=3, seed=0)
    else:
        calls["predict"] = lambda model, _: model.predict(X[:3])
    if task in ("classify", "multitask", "tag"):
        calls["predict_proba"] = lambda model, _: model.predict_proba(X[:3])
    if task in ("classify", "regress", "multitask", "generate"):
        calls["stream"] = lambda model, _: model.stream().feed(X[0]).__class__.__name__
    return calls


def saved(model: Any, folder: Path) -> Any:
    model.save(folder)
    return type(elman.load(folder)).__name__


def plain(answer: Any) -> str:
    with np.printoptions(precision=17, threshold=10**6):
        return repr(answer)


def others(value: Any) -> list[Any]:
    """Values of an option that it did not have in training."""
    if isinstance(value, bool):
        return [not value, "x"]
    if isinstance(value, int):
        return [value + 1, "x", -1]
    if isinstance(value, float):
        return [value / 2 + 0.1, "x"]
    if isinstance(value, tuple | list):
        return [[70], "x", None]
    return [1, "x", ["x"], {"x": 1}, 0.5]


@pytest.mark.parametrize("task", TASKS)
def test_options_that_are_set_later_are_not_read(task: str, tmp_path: Path) -> None:
    model, calls = fitted(task), asked(task)
    before = {name: plain(call(model, tmp_path / name)) for name, call in calls.items()}
    one = next(name for name in calls if name != "save")
    learnt = model.get_params(deep=False)
    fixed = [field.name for field in dataclasses.fields(model) if field.name not in model.answering]
    for name in fixed:
        for value in others(learnt[name])[: None if task == "forecast" else 1]:
            model.set_params(**{name: value})
            assert plain(calls[one](model, tmp_path)) == before[one], f"{one} with {name} = {value!r}"
        model.set_params(**{name: learnt[name]})
    for choice in (0, -1):
        model.set_params(**{name: others(learnt[name])[choice] for name in fixed})
        assert {name: plain(call(model, tmp_path / name)) for name, call in calls.items()} == before


def test_a_forecaster_goes_on_by_what_it_learnt() -> None:
    model = fitted("forecast")
    later = pl.DataFrame({"unique_id": "a", "ds": [60, 61], "y": [1.0, 2.0]})
    expected = fitted("forecast").update(later).predict()
    model.set_params(horizon=9, levels=[50], recursive=True, ensemble_size=4, season=7, target="z", id="q")
    assert model.update(later) is model
    assert model.predict().equals(expected)
    assert model.horizon == 9, "what was set stays, for the next fit"
    with pytest.raises(OptionError, match="from 1 to 3"):
        model.predict(9)
    model.set_params(levels=[0.5, 300])
    with pytest.raises(OptionError, match="levels"):
        model.cross_validation(FRAME, refit=True)


def test_options_of_answering_count_at_once() -> None:
    model = fitted("translate")
    model.set_params(beam=0)
    with pytest.raises(OptionError, match="beam"):
        model.predict(TEXTS[:1])
    disordered = FRAME.sample(fraction=1.0, shuffle=True, seed=0)
    forecaster = fitted("forecast").set_params(sort=True)
    assert forecaster.predict(frame=disordered).equals(forecaster.predict(frame=FRAME))
