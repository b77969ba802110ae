"""Minimal long short-term memory."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from elman.cells.base import HiddenState, State
from elman.cells.scanned import Scanned
from elman.ragged import Ragged


class MinLSTM(Scanned):
    """Minimal long short-term memory: two gates, which read the input and not the state, normalised to sum to 1.

    ::

        f_t = sigmoid(W_f x_t + b_f)                        forget gate
        i_t = sigmoid(W_i x_t + b_i)                        input gate
        n_t = candidate(W_h x_t + b_h)                      candidate
        h_t = (f_t * h_{t-1} + i_t * n_t) / (f_t + i_t),    y_t = h_t

    b is ``bias_ih``; rows of W and b are f, i, h. Against an LSTM: no cell state, no output gate, no tanh, and the two
    gates are divided by their sum, so that the size of h does not grow with time. `candidate` as in `MinGRU`. b_f and
    b_i start at opposite values, so that time scales are 2 to `max_timescale` steps (`Scanned`).

    Source: Feng et al., "Were RNNs all we needed?", 2024.

    >>> import torch
    >>> from elman.ragged import Ragged
    >>> cell = MinLSTM(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(1, 3)]))
    >>> y1, state = cell.step(torch.randn(2, 3), state)
    >>> y1.shape, state.hidden.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    kernel = "min_lstm"
    state_type = HiddenState
    activations: ClassVar[dict[str, str]] = {"f": "sigmoid", "i": "sigmoid", "a": "kept"}
    keeps = "a"

    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        bias[: self.hidden] = kept  # f / i = (1 + exp(kept)) / (1 + exp(-kept)) = exp(kept)
        bias[self.hidden : 2 * self.hidden] = -kept

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """f, i, and a = f / (f + i), the fraction of h_{t-1} that is kept."""
        f, i = (a.sigmoid() for a in self.gate_inputs(x)[:2])
        return {"f": f, "i": i, "a": f / (f + i)}
