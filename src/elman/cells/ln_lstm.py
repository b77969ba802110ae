"""Layer-normalised long short-term memory."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from elman.cells.base import CellOptions, State, draw_gates, new_parameter
from elman.cells.lstm import LSTMState
from elman.cells.recurrent import before
from elman.cells.scanned import Chunked
from elman.ops import functional as ops
from elman.ragged import Ragged


class LayerNormLSTM(Chunked):
    """Long short-term memory with layer normalisation of the pre-activations at every step.

    ::

        |v| = (v - mean(v)) / sqrt(variance(v) + 1e-5)                  over the numbers of one step
        a_t = p * |W x_t| + q * |U h_{t-1}| + b                         i, f, g, o, normalised together
        c_t = sigmoid(a_f) * c_{t-1} + sigmoid(a_i) * tanh(a_g)
        h_t = sigmoid(a_o) * tanh(k * |c_t| + d),    y_t = h_t

    p, q, b are ``gain_ih``, ``gain_hh``, ``bias`` [4 * hidden]; k and d ``gain_cell``, ``bias_cell`` [hidden]; W and U
    ``weight_ih``, ``weight_hh`` as in `LSTM`, rows i, f, g, o. The result does not depend on the scale of W and U.
    Gains start at 1, biases at 0, that of the forget gate at 1. The paper's three biases of a gate appear as their sum.
    ``bias=False`` leaves out b and d.

    Source: Ba, Kiros & Hinton, "Layer normalization", 2016, equations 20 to 22.

    >>> from elman.ragged import Ragged
    >>> cell = LayerNormLSTM(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(0, 3)]))
    >>> y1, state = cell.step(torch.randn(2, 3), state)
    >>> y1.shape, state.cell.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    state_type = LSTMState
    activations: ClassVar[dict[str, str]] = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}
    keeps = "f"

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        bias: bool = True,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(inputs, hidden, **options)
        rows = 4 * hidden
        self.weight_ih = new_parameter(options, rows, inputs)
        self.weight_hh = new_parameter(options, rows, hidden)
        self.gain_ih, self.gain_hh = (new_parameter(options, rows) for _ in range(2))
        self.gain_cell = new_parameter(options, hidden)
        self.bias = new_parameter(options, rows) if bias else None
        self.bias_cell = new_parameter(options, hidden) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator; the forget gate starts open."""
        draw_gates(self.weight_ih, self.hidden, nn.init.xavier_uniform_)
        draw_gates(self.weight_hh, self.hidden, nn.init.orthogonal_)
        for gain in (self.gain_ih, self.gain_hh, self.gain_cell):
            nn.init.ones_(gain)
        if self.bias is not None and self.bias_cell is not None:
            nn.init.zeros_(self.bias)
            nn.init.zeros_(self.bias_cell)
            self.bias[self.hidden : 2 * self.hidden] = 1.0

    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        h0, c0 = (None, None) if state is None else state
        y, *last = ops.layer_norm_lstm(
            ops.linear(values, self.weight_ih), offsets, self.weight_hh, self.gain_ih, self.gain_hh, self.bias,
            self.gain_cell, self.bias_cell, h0, c0, self.reverse,
        )  # fmt: skip
        return y, LSTMState(*last)

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """i, f, g and o of every step."""
        state = self.initial_state(len(x)) if state is None else state
        h = before(y, state.hidden, self.reverse)
        rows = self.weight_hh.shape[:1]
        of_x = nn.functional.layer_norm(nn.functional.linear(x.values.to(h.dtype), self.weight_ih), rows, self.gain_ih)
        of_h = nn.functional.layer_norm(nn.functional.linear(h, self.weight_hh), rows, self.gain_hh)
        sums = (of_x + of_h + (0 if self.bias is None else self.bias)).split(self.hidden, 1)
        return {name: getattr(a, act)() for (name, act), a in zip(self.activations.items(), sums, strict=True)}
