"""Leaky integrator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells.base import HiddenState, State
from elman.cells.scanned import Chunked
from elman.ops import functional as ops


class Leaky(Chunked):
    """Leaky integrator: each unit forgets at a rate of its own.

    ::

        h_t = a * h_{t-1} + (1 - a) * tanh(W x_t + b),    y_t = h_t,    a = sigmoid(s)

    W is ``weight_ih``, b ``bias_ih``, s ``decay``. Source: Jaeger et al. 2007, without the recurrent weights.

    >>> Leaky(3, 4).initial_state(2).hidden.shape
    torch.Size([2, 4])
    """

    state_type = HiddenState

    def __init__(self, inputs: int, hidden: int, *, bias: bool = True, **given: Any) -> None:
        super().__init__(inputs, hidden, **given)
        like = {key: given.get(key) for key in ("device", "dtype")}
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden, inputs, **like)))
        self.bias_ih = nn.Parameter(torch.zeros(hidden, **like)) if bias else None
        self.decay = nn.Parameter(torch.zeros(hidden, **like))

    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        new = ops.linear(values, self.weight_ih, self.bias_ih)
        gates = torch.cat([-self.decay.expand(len(values), self.hidden), new], dim=1)
        h0 = None if state is None else state[0]
        y, last, _ = ops.scan("min_gru", gates, offsets, h0=h0, reverse=self.reverse, candidate="tanh")
        return y, HiddenState(last)


def reference(*, x: Any, weight_ih: Any, bias_ih: Any, decay: Any, hidden: Any) -> tuple[Any, Any]:
    """The same for one sequence in NumPy."""
    x, w, b, s, h = (np.asarray(part, np.float64) for part in (x, weight_ih, bias_ih, decay, hidden))
    a, y = 1 / (1 + np.exp(-s)), np.empty((len(x), len(h)))
    for t in range(len(x)):
        y[t] = h = a * h + (1 - a) * np.tanh(w @ x[t] + b)
    return y, h
