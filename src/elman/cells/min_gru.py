"""Minimal gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from elman.cells.base import HiddenState, State
from elman.cells.scanned import Scanned
from elman.ragged import Ragged


class MinGRU(Scanned):
    """Minimal gated recurrent unit: one gate, which reads the input and not the state.

    ::

        z_t = sigmoid(W_z x_t + b_z)                        update gate
        n_t = candidate(W_h x_t + b_h)                      candidate
        h_t = (1 - z_t) * h_{t-1} + z_t * n_t,    y_t = h_t     z renews: in a GRU here it keeps

    b is ``bias_ih``; rows of W and b are z, h. `candidate`: "linear", candidate(v) = v, the paper's sequential form and
    the default; "positive", g(v) = v + 0.5 where v >= 0 and sigmoid(v) below, required by the paper's scan in log
    space, keeps h above 0; "tanh" keeps h within [-1, 1], as in a GRU. b_z starts so that time scales are 2 to
    `max_timescale` steps (`Scanned`), which is not in the paper.

    Source: Feng et al., "Were RNNs all we needed?", 2024.

    >>> import torch
    >>> from elman.ragged import Ragged
    >>> cell = MinGRU(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(1, 3)]))
    >>> y.offsets.tolist(), state.hidden.shape
    ([0, 5, 6], torch.Size([2, 4]))
    """

    kernel = "min_gru"
    state_type = HiddenState
    activations: ClassVar[dict[str, str]] = {"z": "sigmoid", "a": "kept"}
    keeps = "a"

    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        bias[: self.hidden] = -kept

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """z, and a = 1 - z, the fraction of h_{t-1} that is kept."""
        z = self.gate_inputs(x)[0].sigmoid()
        return {"z": z, "a": 1 - z}
