"""One step after another through a layer of ``torch.nn``'s form: a compiled stepper from its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import OptionError
from elman.nn.rnn import checked_state, kernel_of
from elman.ops.stepper import Layer, StateLayout, Stepper


class Stepping:
    """The `stepper` that RNN, LSTM and GRU layers share."""

    def stepper(self, sequences: int = 1, weights: str = "float32", threads: int | None = None) -> Stepper:
        """A compiled stream of steps through all layers, in evaluation, with a copy of the weights as they are now.

        ``stepper.step(x)`` takes [sequences, input_size]; ``stepper.state`` is what the layer takes as ``hx``, and may
        be set to it. `weights` and `threads`: see ``elman.ops.stepper.Stepper``. Raises ``OptionError`` for a
        bidirectional layer, for projections, and for weights that are not float32 on the CPU.

        >>> from elman.nn import LSTM
        >>> lstm, x = LSTM(3, 4, num_layers=2), torch.randn(5, 3)
        >>> stepper = lstm.stepper()
        >>> y = [stepper.step(step).clone() for step in x.split(1)]
        >>> torch.allclose(torch.cat(y), lstm(x)[0], atol=1e-6), stepper.state[0].shape
        (True, torch.Size([2, 1, 4]))
        """
        assert isinstance(self, nn.RNNBase)
        return _stepper(self, sequences, weights, threads)


def _stepper(layer: nn.RNNBase, sequences: int, weights: str, threads: int | None) -> Stepper:
    if layer.bidirectional:
        raise OptionError(
            "a bidirectional layer cannot step: its second direction starts at the last step, which is yet to come. "
            "Train with bidirectional=False to stream."
        )
    if layer.proj_size:
        raise OptionError(
            f"a stepper has no projections, and this layer has proj_size={layer.proj_size}. Call the layer itself on "
            "each step, with its state as hx, or train with proj_size=0."
        )
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    own: list[list[Any]] = [[getattr(layer, f"{name}_l{i}", None) for name in names] for i in range(layer.num_layers)]
    layers = [Layer(kernel_of(layer), *tensors) for tensors in own]
    parts = 2 if layer.mode == "LSTM" else 1
    zeros = torch.zeros(1, layer.hidden_size, dtype=torch.float32, device="cpu")
    initial = tuple((zeros,) * parts for _ in layers)

    def joined(state: tuple[tuple[Tensor, ...], ...]) -> Any:
        made = tuple(torch.stack(own) for own in zip(*state, strict=True))
        return made if parts == 2 else made[0]

    def split(hx: Any, count: int) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(zip(*checked_state(layer, hx, count), strict=True))

    return Stepper(layers, initial, sequences, weights, threads, StateLayout(joined, split))
