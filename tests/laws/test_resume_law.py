"""A run that was broken off and resumed ends in the weights of the unbroken one, whatever changes while it goes on."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from elman.tasks import TASKS
from elman.tasks.base import training_run
from elman.training import loop as train
from elman.training.checkpoint import Checkpoint
from runs import ALL, RUNS


def fitted(name: str, seed: int | None = 5, **where: Any) -> Any:
    kind, options, given = RUNS[name]
    data = [part() if callable(part) else part for part in given]
    return kind(**{**ALL, **options, "seed": seed}).fit(*data, **where)


@functools.cache
def whole(name: str) -> Any:
    return fitted(name)


def state(model: Any) -> dict[str, Any]:
    """All that training decides: weights, curve, scores, and what a task learns beside its network."""
    curve = [{k: v for k, v in epoch.items() if "second" not in k} for epoch in model.history_.to_json()["records"]]
    config, tensors = model._config(), model.network_.state_dict() | model._tensors()
    if model.reader is not None:
        config, tensors = config | model.reader.config(), tensors | model.reader.tensors()
    config.pop("history", None)
    return {"tensors": tensors, "curve": curve, "config": config}


def assert_same(one: Any, other: Any) -> None:
    a, b = state(one), state(other)
    assert a["curve"] == b["curve"]
    assert a["tensors"].keys() == b["tensors"].keys()
    assert [key for key, value in a["tensors"].items() if not torch.equal(value, b["tensors"][key])] == []
    assert a["config"] == b["config"]
    assert one.metrics_ == other.metrics_


class DiedError(Exception):
    """In place of a kill."""


def broken_off(patch: pytest.MonkeyPatch, error: BaseException, after: int) -> None:
    """Lets the second batch after so many checkpoints of whole epochs fail."""
    real, run = train._Run._one_batch, {"epochs": 0, "batches": 0}
    write = Checkpoint.write

    def writes(self: Any) -> None:
        write(self)
        run["epochs"] += 1
        run["batches"] = 0

    def learns(self: Any, *args: Any) -> Any:
        run["batches"] += 1
        if run["epochs"] == after and run["batches"] == 2:
            raise error
        return real(self, *args)

    patch.setattr(Checkpoint, "write", writes)
    patch.setattr(train._Run, "_one_batch", learns)


def test_every_task_is_here() -> None:
    assert {kind.task for kind, _, _ in RUNS.values()} == set(TASKS)


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_resumes_to_the_weights_of_the_unbroken_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        broken_off(patch, DiedError(), after=2)
        with pytest.raises(DiedError):
            fitted(name, out=tmp_path / "run")
    assert_same(fitted(name, out=tmp_path / "run", resume=True), whole(name))


@pytest.mark.parametrize("name", ["translate", "generate", "tag", "forecast"])
def test_a_run_stopped_by_hand_resumes_to_the_weights_of_the_unbroken_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        broken_off(patch, KeyboardInterrupt(), after=1)
        stopped = fitted(name, out=tmp_path / "run")
    assert stopped.history_.interrupted
    assert_same(fitted(name, out=tmp_path / "run", resume=True), whole(name))


def test_without_a_seed_a_run_goes_on_with_the_part_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run drew for itself is in its checkpoint; sequences of one length would not show the difference."""
    held: list[list[int]] = []
    real = training_run.held_out

    def drawn(*args: Any) -> Any:
        rest = real(*args)
        held.append(rest.tolist())
        return rest

    monkeypatch.setattr("elman.tasks.base.training_run.held_out", drawn)
    with monkeypatch.context() as patch:
        broken_off(patch, KeyboardInterrupt(), after=2)
        stopped = fitted("classify", seed=None, out=tmp_path / "run")
    resumed = fitted("classify", seed=None, out=tmp_path / "run", resume=True)
    fitted("classify", seed=None)
    assert held[0] == held[1] != held[2]
    assert [epoch.loss for epoch in resumed.history_][:2] == [epoch.loss for epoch in stopped.history_][:2]
    assert resumed.seed is None


def test_a_run_resumes_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        with monkeypatch.context() as patch:
            broken_off(patch, KeyboardInterrupt(), after=1)
            fitted("translate", out=tmp_path / "run", resume=True)
    assert_same(fitted("translate", out=tmp_path / "run", resume=True), whole("translate"))
