"""What `elman.nn` refuses, it refuses in the words of its caller: the shape that came in, the names of torch.nn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from elman import nn
from elman.errors import ShapeError
from elman.ragged import Ragged

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]


@pytest.mark.parametrize("made", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_wrong_width(made: Any, batch_first: bool) -> None:
    layer = made(10, 4, batch_first=batch_first)
    given = [
        (torch.randn(5, 11, 3), r"\[5, 11, 3\]"),
        (torch.randn(5, 3), r"\[5, 3\]"),
        (torch.randn(0, 11, 3), r"\[0, 11, 3\]"),
        (pack_sequence([torch.randn(5, 3), torch.randn(2, 3)]), r"\[7, 3\]"),
        (Ragged.of([torch.randn(5, 3), torch.randn(2, 3)]), r"\[7, 3\]"),
        (torch.nested.nested_tensor([torch.randn(5, 3), torch.randn(2, 3)], layout=torch.jagged), r"\[7, 3\]"),
    ]
    for input, shape in given:
        message = rf"^input must be input_size=10 wide, got shape {shape}\. Build the layer with input_size=3, or check"
        with pytest.raises(ShapeError, match=message):
            layer(input)


@pytest.mark.parametrize("made", CELLS)
def test_a_wrong_width_of_a_step(made: Any) -> None:
    for input, shape in ((torch.randn(5, 3), r"\[5, 3\]"), (torch.randn(3), r"\[3\]")):
        with pytest.raises(
            ShapeError, match=rf"^input must be input_size=10 wide, got shape {shape}\. .* input_size=3,"
        ):
            made(10, 4)(input)


@pytest.mark.parametrize("made", LAYERS + CELLS)
def test_a_wrong_type(made: Any) -> None:
    layer, x = made(3, 4), torch.zeros(5, 3)
    for wrong in (torch.float16, torch.int64, torch.complex64, torch.bool):
        message = rf"^input must be float32, float64 or bfloat16, got {wrong}\. Convert it first"
        with pytest.raises(ShapeError, match=message):
            layer(x.to(wrong))
    with pytest.raises(ShapeError, match=r"^input is torch\.float64 but the weights are torch\.float32\. Convert one"):
        layer(x.double())
    with pytest.raises(ShapeError, match=r"^input is torch\.float32 but the weights are torch\.float64\. Convert one"):
        layer.double()(x)


def state(made: Any, *parts: Any) -> Any:
    """For an LSTM (h, c)."""
    return (parts[0], parts[-1]) if made in (nn.LSTM, nn.LSTMCell) else parts[0]


@pytest.mark.parametrize("made", LAYERS)
def test_a_state_of_the_wrong_shape(made: Any) -> None:
    layer = made(3, 4)
    for x, wrong, expected in (
        (torch.zeros(5, 3), torch.zeros(1, 1, 4), r"\[1, 4\], got \[1, 1, 4\]"),
        (torch.zeros(5, 3), torch.zeros(1, 3), r"\[1, 4\], got \[1, 3\]"),
        (torch.zeros(5, 2, 3), torch.zeros(1, 4), r"\[1, 2, 4\], got \[1, 4\]"),
        (torch.zeros(5, 2, 3), torch.zeros(1, 3, 4), r"\[1, 2, 4\], got \[1, 3, 4\]"),
    ):
        with pytest.raises(ShapeError, match=f"^hx must have shape {expected}"):
            layer(x, state(made, wrong))


@pytest.mark.parametrize("made", LAYERS + CELLS)
def test_a_state_of_something_else(made: Any) -> None:
    layer, x = made(3, 4), torch.zeros(5, 3)
    h = torch.zeros(5 if made in CELLS else 1, 4)
    for wrong in ((h, None), (None, h), (None, None), (h,), (h, h, h), [h, 1.0], (), "text", 3, h.tolist(), {"h": h}):
        with pytest.raises(ShapeError, match=r"^hx must be a (pair of tensors \(h, c\)|tensor), got "):
            layer(x, wrong)
    with pytest.raises(ShapeError, match=r"^hx must be a"):
        layer(x, h if made in (nn.LSTM, nn.LSTMCell) else (h, h))
    with pytest.raises(ShapeError, match=r"^input is torch\.float32 but hx is torch\.float64"):
        layer(x, state(made, h.double()))
