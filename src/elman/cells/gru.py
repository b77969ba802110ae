"""Gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from elman.cells.base import HiddenState, State
from elman.cells.recurrent import Recurrent
from elman.ragged import Ragged


class GRU(Recurrent):
    """Gated recurrent unit: two gates, one state.

    ::

        r_t = sigmoid(W_r x_t + b_ih_r + U_r h_{t-1} + b_hh_r)
        z_t = sigmoid(W_z x_t + b_ih_z + U_z h_{t-1} + b_hh_z)
        n_t = tanh(W_n x_t + b_ih_n + r_t * (U_n h_{t-1} + b_hh_n))     reset after the product: Cho et al. 2014 v1
        h_t = (1 - z_t) * n_t + z_t * h_{t-1},    y_t = h_t       z keeps the old state

    b_ih is ``bias_ih``, b_hh ``bias_hh``. Rows of W and U are r, z, n, as in ``torch.nn.GRU``. Differs from Cho et al.
    2014 v3 and from Keras with ``reset_after=False``, which reset before the product.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    >>> import torch
    >>> from elman.ragged import Ragged
    >>> cell = GRU(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(1, 3)]))
    >>> y.offsets.tolist(), state.hidden.shape
    ([0, 5, 6], torch.Size([2, 4]))
    """

    kernel = "gru"
    state_type = HiddenState
    activations: ClassVar[dict[str, str]] = {"r": "sigmoid", "z": "sigmoid", "n": "tanh"}
    keeps = "z"
    spreads = True

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """r, z and n of every step."""
        (r_x, z_x, n_x), (r_h, z_h, n_h) = self.gate_sums(x, y, state)
        r = (r_x + r_h).sigmoid()
        return {"r": r, "z": (z_x + z_h).sigmoid(), "n": (n_x + r * n_h).tanh()}

    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        bias[self.hidden : 2 * self.hidden] = kept
