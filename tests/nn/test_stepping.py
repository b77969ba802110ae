"""Steps through a layer of torch.nn's form: the results and the state of the layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from elman import nn
from elman.errors import OptionError, ShapeError

KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "rnn": (nn.RNN, torch.nn.RNN, {}),
    "relu": (nn.RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, torch.nn.LSTM, {}),
    "gru": (nn.GRU, torch.nn.GRU, {}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_the_layer(kind: str, layers: int, bias: bool) -> None:
    ours, theirs, options = KINDS[kind]
    layer = ours(3, 5, num_layers=layers, bias=bias, dropout=0.5 if layers > 1 else 0.0, **options).eval()
    twin = theirs(3, 5, num_layers=layers, bias=bias, **options)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(7, 2, 3)
    expected, last = twin(x)
    stepper = layer.stepper(sequences=2)
    y = torch.stack([stepper.step(step).clone() for step in x])
    torch.testing.assert_close(y, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(stepper.state, last, atol=1e-6, rtol=1e-5)
    _, middle = twin(x[:4])
    stepper.state = middle
    again = stepper.twin(2)
    again.state = stepper.state
    for one in (stepper, again):
        y = torch.stack([one.step(step).clone() for step in x[4:]])
        torch.testing.assert_close(y, expected[4:], atol=1e-6, rtol=1e-5)


def test_of_an_accelerated_layer() -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(3, 4))
    nn.accelerate(model)
    lstm: Any = model[0]
    assert isinstance(lstm, torch.nn.LSTM)
    x = torch.randn(1, 3)
    torch.testing.assert_close(lstm.stepper().step(x).clone(), lstm(x)[0], atol=1e-6, rtol=1e-5)
    nn.restore(model)
    assert not hasattr(model[0], "stepper")


def test_weights_that_are_smaller() -> None:
    lstm = nn.LSTM(8, 16)
    x = torch.randn(1, 8)
    for weights, most in (("bfloat16", 0.02), ("int8", 0.02)):
        assert (lstm.stepper(weights=weights).step(x) - lstm(x)[0]).abs().max() < most


def test_refusals() -> None:
    with pytest.raises(OptionError, match="Train with bidirectional=False"):
        nn.GRU(3, 4, bidirectional=True).stepper()
    with pytest.raises(OptionError, match="this layer has proj_size=2"):
        nn.LSTM(3, 4, proj_size=2).stepper()
    with pytest.raises(OptionError, match="float32 weights on the CPU"):
        nn.GRU(3, 4).double().stepper()
    stepper = nn.LSTM(3, 4, num_layers=2).stepper(sequences=2)
    h = torch.zeros(2, 2, 4)
    wrong: list[Any] = [h, None, (h,), (h, h[:1]), (h[:, :1], h[:, :1]), (h.double(), h.double()), [h, h, h]]
    for hx in wrong:
        with pytest.raises(ShapeError):
            stepper.state = hx
    stepper.state = [h, h + 1]
    assert torch.equal(stepper.state[1], h + 1)
    gru = nn.GRU(3, 4).stepper()
    with pytest.raises(ShapeError, match=r"hx must have shape \[1, 1, 4\], got \[2, 2, 4\]"):
        gru.state = h


def test_under_another_default_dtype() -> None:
    layer = nn.GRU(3, 4)
    torch.set_default_dtype(torch.float64)
    try:
        assert layer.stepper().step(torch.ones(1, 3, dtype=torch.float32)).dtype is torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
