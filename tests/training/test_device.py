from __future__ import annotations

import pytest
import torch

from elman.errors import OptionError
from elman.layers.encoder import Encoder
from elman.ragged import Ragged
from elman.training.device import computing_on, device_of
from elman.training.options import TrainingOptions
from pretend_device import LAZY, Away, pretended


@pytest.mark.parametrize("name", ["cpu", "auto", "cuda", "cuda:1"])
def test_names(name: str) -> None:
    assert TrainingOptions(device=name).problems() == []


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "mps", None, 0, torch.device("cpu")])
def test_other_names(name: object) -> None:
    (problem,) = TrainingOptions(device=name).problems()  # type: ignore[arg-type]
    assert str(problem).endswith('must be "cpu", "cuda", "cuda:1" ... or "auto"')


def test_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert [str(device_of(name)) for name in ("cpu", "auto", "cuda", "cuda:0")] == ["cpu", "cuda:1", "cuda:1", "cuda:0"]
    with pytest.raises(OptionError, match=r"device = 'cuda:2' is not there: torch .* finds 2 GPUs with CUDA here"):
        device_of("cuda:2")


def test_auto_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto").type == "cpu"
    with pytest.raises(OptionError, match=r"device = 'cuda' is not there: torch .* finds no GPU"):
        device_of("cuda")


def test_an_encoder_elsewhere_reads_and_answers_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, x = Encoder(3, 4, layers=2), Ragged.of([torch.randn(5, 3), torch.randn(0, 3), torch.randn(2, 3)])
    reset = torch.arange(7) == 3
    expected, state = encoder(x, reset=reset)
    step, _ = encoder.step(torch.ones(3, 3), state)
    with pretended(monkeypatch), computing_on(encoder, "cuda"):
        assert all(p.device == LAZY for p in encoder.parameters())
        found, after = encoder(x, encoder.initial_state(3), reset=reset)
        again, _ = encoder.step(torch.ones(3, 3), after)
        for one, other in ((found.values, expected.values), (again, step), (after[1][0][0], state[1][0][0])):
            assert not isinstance(one, Away)
            torch.testing.assert_close(one, other)
    assert not any(isinstance(p, Away) for p in encoder.parameters())
    assert torch.equal(encoder(x, reset=reset)[0].values, expected.values)
