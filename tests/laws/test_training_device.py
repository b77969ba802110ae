"""Every task trains with its recurrent layers on another device, mixes no devices, and is on the CPU afterwards.

Without a GPU the device is a pretended one (tests/pretend_device.py), which shows that no operator reads tensors of two
devices and that the weights learnt are those of the CPU; the tests on CUDA say that they were not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.errors import OptionError
from pretend_device import Away, pretended
from runs import ALL, RUNS
from table import TASKS, fitted

PLAIN = {"epochs": 1, "dropout": 0.0, "average": 0.9}
#: Options of `RUNS` that draw numbers inside of the encoder, or run on the CPU alone.
DRAWING = {"recurrent_dropout": 0.0, "zoneout": 0.0, "weight_drop": 0.0}


def learnt(run: str, device: str) -> Any:
    kind, options, given = RUNS[run]
    options = {**ALL, **options, "precision": "float32", **PLAIN}
    options |= {name: value for name, value in DRAWING.items() if name in options}
    return kind(**options, seed=0, device=device).fit(*[part() if callable(part) else part for part in given])


@pytest.mark.parametrize("run", RUNS)
def test_a_fit_on_another_device_learns_the_same(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = learnt(run, "cpu").network_.state_dict()
    with pretended(monkeypatch) as mode:
        model = learnt(run, "cuda")
    assert mode.computed
    found = model.network_.state_dict()
    assert not any(isinstance(value, Away) or value.device.type != "cpu" for value in found.values())
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=2e-3, msg=lambda why: f"{name}: {why}")  # noqa: B023


@pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT TESTED: no CUDA device here, so no task trained on one")
@pytest.mark.gpu
@pytest.mark.parametrize("run", RUNS)
def test_a_fit_on_a_gpu(run: str, tmp_path: Path) -> None:
    model = learnt(run, "cuda")
    assert all(value.device.type == "cpu" for value in model.network_.state_dict().values())
    model.save(tmp_path / "model")
    elman.load(tmp_path / "model")


@pytest.mark.parametrize("verb", TASKS)
def test_a_model_says_nothing_of_the_device_when_it_loads(verb: str, tmp_path: Path) -> None:
    model = fitted(verb, device="auto" if not torch.cuda.is_available() else "cpu")
    model.device = "cuda:7"
    model.learnt_with_["device"] = "cuda:7"  # saved on a larger machine
    model.save(tmp_path / "model")
    assert elman.load(tmp_path / "model").device == "cuda:7"


@pytest.mark.parametrize("verb", TASKS)
def test_a_gpu_that_is_not_there(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match=r"device = 'cuda:3' is not there: torch .* Set device=.cpu."):
        fitted(verb, device="cuda:3")
    with pytest.raises(OptionError, match=r"device = 'gpu' must be \"cpu\", \"cuda\", \"cuda:1\" ... or \"auto\""):
        fitted(verb, device="gpu")


def test_layers_for_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    X = [np.where(np.random.default_rng(i).random((6, 2)) < 0.6, np.nan, 1.0) for i in range(12)]
    options: dict[str, Any] = {"hidden": 3, "epochs": 1, "cell": "gru_d", "verbose": False}
    with pretended(monkeypatch) as mode:
        with pytest.raises(OptionError, match=r"device = 'cuda' does not run cell = 'gru_d'. Set device=.cpu."):
            elman.Classifier(**options, device="cuda").fit(X, ["a", "b"] * 6)
        elman.Classifier(**options, device="auto").fit(X, ["a", "b"] * 6)
        assert not mode.computed
