"""Which sequences are held out: the last ones, whole groups; for every task that samples them."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman import tasks
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.tasks.base.holdout import last_ones, whole_groups
from table import TASKS, TINY

TEXTS = [f"a {'good' if i % 2 else 'bad'} film" for i in range(60)]
LABELS = ["v" if i % 2 else "u" for i in range(60)]
GROUPS = [f"p{i // 6}" for i in range(60)]


@pytest.mark.parametrize("seed", [0, 1, None])
@pytest.mark.parametrize("stratified", [True, False])
def test_no_group_is_on_both_sides(seed: int | None, stratified: bool) -> None:
    random = np.random.default_rng(3)
    groups, classes = random.integers(0, 12, 200), random.integers(0, 3, 200)
    found = whole_groups(groups, classes if stratified else None, 0.1, seed)
    rest = np.setdiff1d(np.arange(200), found)
    assert not {*groups[found]} & {*groups[rest]}
    assert 5 <= len(found) <= 40
    assert {*classes[rest]} == {0, 1, 2}
    if seed is not None:
        assert found.tolist() == whole_groups(groups, classes if stratified else None, 0.1, seed).tolist()


def test_a_class_of_one_group_is_learnt_from() -> None:
    groups, classes = np.repeat(np.arange(10), 6), np.repeat(np.arange(10) == 4, 6).astype(np.int64)
    for seed in range(20):
        assert 4 not in groups[whole_groups(groups, classes, 0.1, seed)]
    with pytest.raises(DataError, match="leaves a class without a sequence"):
        whole_groups(np.repeat([0, 1], 30), np.repeat([0, 1], 30), 0.1, 0)
    with pytest.raises(DataError, match="has the same group for every sequence"):
        whole_groups(np.zeros(60, np.int64), None, 0.1, 0)


def test_the_groups_that_end_last() -> None:
    groups = np.array([0, 1, 2, 0, 1, 1, 3, 3])
    assert whole_groups(groups, None, 0.2, None, in_order=True).tolist() == [6, 7]
    assert whole_groups(groups, None, 0.4, None, in_order=True).tolist() == [1, 4, 5, 6, 7]


def test_the_last_ones() -> None:
    assert last_ones(None, 20, 0.25).tolist() == [15, 16, 17, 18, 19]
    assert last_ones(None, 20, 0.0).tolist() == []


def held_out_of(model: Any) -> int:
    return int(model.data_.get("validation sequences", model.data_.get("validation pairs", -1)))


@pytest.mark.parametrize("verb", [verb for verb in TASKS if verb != "forecast"])
def test_every_task_holds_out_whole_groups(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Any] = []
    real = tasks.base.training_run.TrainingRun.split

    def split(*given: Any, **named: Any) -> Any:
        held.append(real(*given, **named))
        return held[-1]

    monkeypatch.setattr("elman.tasks.base.training_run.TrainingRun.split", split)
    X, *rest = TASKS[verb].data
    X, times = X * (60 // len(X)), 60 // len(X)
    y = [{n: c * times for n, c in part.items()} if isinstance(part, dict) else part * times for part in rest]
    made = tasks.TASKS[verb](**{**TINY, **TASKS[verb].options, "validation": 0.1})
    made.fit(X, *y, groups=GROUPS)
    training, validation = held[0]
    assert len(validation) == 6
    assert not {GROUPS[i] for i in training} & {GROUPS[i] for i in validation}
    made.set_params(holdout="last").fit(X, *y)
    assert held[1][1].tolist() == list(range(54, 60))
    made.fit(X, *y, groups=GROUPS)
    assert held[2][1].tolist() == list(range(54, 60))


REFUSED: dict[str, tuple[Any, str]] = {
    "too few": (GROUPS[1:], "groups has 59 groups, but X has 60 sequences"),
    "missing": ([None, *GROUPS[1:]], "groups: sequence 0 is None. Give a group for each"),
    "a list": ([[1], *GROUPS[1:]], r"groups: sequence 0 is \[1\]"),
    "a name": ("p", "groups = 'p' names a column, but X is a list"),
    "one": (["p"] * 60, "same group for every sequence"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_groups(name: str) -> None:
    given, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        tasks.Classifier(**TINY).fit(TEXTS, LABELS, groups=given)


def test_groups_where_nothing_is_sampled() -> None:
    with pytest.raises(OptionError, match="validation_data is given"):
        tasks.Classifier(**TINY).fit(TEXTS, LABELS, groups=GROUPS, validation_data=(TEXTS, LABELS))
    with pytest.raises(OptionError, match="groups has no meaning for a Forecaster"):
        tasks.Forecaster(**TINY).fit(TASKS["forecast"].data[0], groups=[0])
    with pytest.raises(OptionError, match="holdout = 'first' must be one of random, last"):
        tasks.Classifier(**TINY, holdout="first").fit(TEXTS, LABELS)


def test_command_line(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"text": TEXTS, "label": LABELS, "who": GROUPS}).write_csv("t.csv")
    fit = "fit classify t.csv --target label --hidden 3 --epochs 1 --out m"
    assert main(shlex.split(f"{fit} --groups who --holdout last")) == 0
    model = tasks.load("m")
    assert (model.input_, model.holdout, model.data_["groups"]) == ("text", "last", "who")
    assert held_out_of(model) == 6
    capsys.readouterr()
    assert main(shlex.split(f"{fit} --groups what")) == 2
    assert "has no column 'what'" in capsys.readouterr().err
