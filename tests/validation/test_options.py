"""Every option of every task, with values of every kind: an OptionError that names it, or a model. No other error."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli import main as cli
from elman.errors import DataError, ElmanError, OptionError, Problem
from elman.tasks import TABLES, TASKS, Task
from elman.training import loop as train
from elman.training.history import Epoch, History

#: What any option may be given.
VALUES: dict[str, Any] = {
    "10 ** 400": 10**400,
    "10 ** 5000": 10**5000,
    "-10 ** 400": -(10**400),
    "2 ** 63": 2**63,
    "2 ** 62": 2**62,
    "2 ** 31": 2**31,
    "2 ** 20 + 1": 2**20 + 1,
    "-1": -1,
    "0": 0,
    "a half": 0.5,
    "1e308": 1e308,
    "1e-320": 1e-320,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "NumPy's infinity": np.float64("inf"),
    "NumPy's largest": np.int64(2**63 - 1),
    "complex": 1j,
    "an empty text": "",
    "a text": "1e999",
    "half a character": "\ud800",
    "a list": [],
    "a list of huge": [10**400, 2**62],
    "a nested list": [[1], [2]],
    "a long list": [1] * 5000,
    "a dict": {},
    "a dict of huge": {"a": 10**400},
    "None": None,
    "True": True,
    "an array": np.zeros((2, 2)),
    "bytes": b"1",
    "an object": object(),
}
TEXTS = ["a good film", "bad", "poor film", "fine"] * 15
DATA: dict[str, tuple[Any, ...]] = {
    "classify": (TEXTS, [1, 0, 0, 1] * 15),
    "regress": (TEXTS, [1.0, 0.0, 0.5, 1.0] * 15),
    "multitask": (TEXTS, {"a": [1, 0, 0, 1] * 15}),
    "forecast": (pl.DataFrame({"unique_id": ["a"] * 40, "ds": range(40), "y": [1.0, 2.0] * 20}),),
    "tag": ([text.split() for text in TEXTS], [list("abc"[: len(text.split())]) for text in TEXTS]),
    "generate": (TEXTS,),
    "transcribe": ([[[1.0], [2.0], [3.0]]] * 60, ["a"] * 60),
    "translate": (TEXTS, TEXTS),
}
SMALL: dict[str, Any] = {"hidden": 2, "verbose": False, "epochs": 1, "embed": 2, "horizon": 2, "season": 2}
OPTIONS = [(verb, field.name) for verb, task in TASKS.items() for field in dataclasses.fields(task)]


def made(verb: str, **options: Any) -> Task:
    task = TASKS[verb]
    names = {field.name for field in dataclasses.fields(task)}
    return task(**{name: value for name, value in SMALL.items() if name in names} | options)


@pytest.mark.parametrize("verb", TASKS)
def test_problems_are_sentences(verb: str) -> None:
    """Of every option with every value, and nothing is raised."""
    for field in dataclasses.fields(TASKS[verb]):
        for value in VALUES.values():
            for problem in made(verb, **{field.name: value}).problems():
                assert isinstance(problem, Problem)
                assert problem.option in {option.name for option in dataclasses.fields(TASKS[verb])}
                assert len(str(problem)) < 1000


@contextlib.contextmanager
def untrained(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fits that build everything, and learn nothing."""

    def learnt(model: Any, *_: Any, **more: Any) -> History:
        model.eval()
        return History(records=[Epoch(1, 0.0, {}, 0.0, 0.0, 0.0, 0.0, 0.0)], best=1, stopped="finished")

    with patch.context() as patched:
        for module in (
            train,
            elman.tasks.base.training_run,
            elman.tasks.forecast.estimator,
            elman.tasks.pretrain.objective,
        ):  # type: ignore[attr-defined]
            patched.setattr(module, "train", learnt)
        yield


#: Options whose large values are work and not an error; a fit with these would take too long here.
WORK = {
    "minirocket",
    "pretrain_epochs",
    "horizon",
    "season",
    "window",
    "experts",
    "ensemble_size",
    "paths",
    "ngrams",
    "order",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("verb", TASKS)
def test_what_is_no_problem_builds_a_model(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or is refused as an option, or for the data; sizes that no memory has are refused before it is asked for."""

    data = [part[:8] if isinstance(part, list) else part for part in DATA[verb]]
    with untrained(monkeypatch):
        for field in dataclasses.fields(TASKS[verb]):
            for name in ("2 ** 62", "1e308", "an array"):
                task = made(verb, **{field.name: VALUES[name]})
                if task.problems() or field.name in WORK or field.name in ("pretrain", "verbose"):
                    continue
                with contextlib.suppress(OptionError, DataError):
                    task.fit(*data)  # type: ignore[attr-defined]


def test_sizes_of_layers_have_a_limit() -> None:
    for name in ("hidden", "embed", "channels", "kernel"):
        for value in (2**20 + 1, 2**62, [2**62], [1] * 1001):
            problems = str(OptionError.of(elman.Classifier(**{name: value}).problems()))
            assert name in problems
    assert "hidden = 1048577 must be at most 1048576" in str(elman.Classifier(hidden=2**20 + 1).problems()[0])
    assert "layers = 1001 must be at most 1000" in str(elman.Classifier(layers=1001).problems()[0])


FLAGS = ["1" + "0" * 400, "1e999", "-1", "nan", "inf", "", "[]", "[[", "{}", "none", "true", str(2**63), "\x00"]


@pytest.mark.parametrize("verb", ["classify", "forecast", "generate"])  # which have the flags of all between them
def test_flags(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each flag with one of these values, in turn: a line and no traceback."""
    fields = [field.name for field in dataclasses.fields(TASKS[verb]) if field.name != "verbose"]
    target = ["--target", "y"] if TABLES[verb].target_help else []
    for place, name in enumerate(fields):
        value = FLAGS[(place + len(verb)) % len(FLAGS)]
        flag = f"--{name.replace('_', '-')}={value}"
        code = cli.main(["fit", verb, str(tmp_path / "no.csv"), *target, "--out", str(tmp_path / "m"), flag])
        err = capsys.readouterr().err
        assert code == 2, (flag, err)
        assert err.startswith("elman: error: ")
        assert err.count("\n") == 1
        assert "fault in elman" not in err


def test_what_is_asked_of_a_model() -> None:
    """Arguments of answering, not options."""
    model: Any = made("generate", epochs=1)
    model.fit(TEXTS)
    for argument in (
        "temperature",
        "top_k",
        "top_p",
        "repetition",
        "no_repeat",
        "min_length",
        "samples",
        "seed",
        "stop",
    ):
        for value in VALUES.values():
            with contextlib.suppress(ElmanError):
                model.generate("a", length=1, **{argument: value})
