"""Gated recurrent unit whose reset gate comes before the product."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from elman.cells.base import CellOptions, HiddenState, State, draw_gates, even_sigmoid, new_parameter
from elman.cells.recurrent import before
from elman.cells.scanned import Chunked
from elman.errors import ShapeError
from elman.ops import functional as ops
from elman.ragged import Ragged


class ResetBeforeGRU(Chunked):
    """Gated recurrent unit as Keras has it with ``reset_after=False`` and ONNX with ``linear_before_reset=0``.

    ::

        r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)
        z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)
        n_t = tanh(W_n x_t + U_n (r_t * h_{t-1}) + b_n)           reset before the product: Cho et al. 2014 v3
        h_t = (1 - z_t) * n_t + z_t * h_{t-1},    y_t = h_t       z keeps the old state

    W is ``weight_ih`` [3 * hidden, inputs], U ``weight_hh`` [3 * hidden, hidden], b ``bias`` [3 * hidden], or left out
    with ``bias=False``; rows are r, z, n. Differs from `GRU`, ``torch.nn.GRU`` and Keras with ``reset_after=True``,
    whose weights mean something else.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", version 3, 2014.

    >>> from elman.ragged import Ragged
    >>> cell = ResetBeforeGRU(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(1, 3)]))
    >>> y.offsets.tolist(), state.hidden.shape
    ([0, 5, 6], torch.Size([2, 4]))
    """

    state_type = HiddenState
    activations: ClassVar[dict[str, str]] = {"r": "sigmoid", "z": "sigmoid", "n": "tanh"}
    keeps = "z"

    def __init__(self, inputs: int, hidden: int, *, bias: bool = True, **options: Unpack[CellOptions]) -> None:
        super().__init__(inputs, hidden, **options)
        self.weight_ih = new_parameter(options, 3 * hidden, inputs)
        self.weight_hh = new_parameter(options, 3 * hidden, hidden)
        self.bias = new_parameter(options, 3 * hidden) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        draw_gates(self.weight_ih, self.hidden, nn.init.xavier_uniform_)
        draw_gates(self.weight_hh, self.hidden, nn.init.orthogonal_)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """All steps of W x + b at once; then step after step, the sequences that are still going on together."""
        sequences = len(offsets) - 1
        h = (self.initial_state(sequences) if state is None else state)[0]
        of_x = ops.linear(values, self.weight_ih, self.bias)
        self._check_state(h, values, sequences)
        gates, candidate = self.weight_hh.split([2 * self.hidden, self.hidden])
        ys, rows = [], []
        for wave in ops.waves(offsets, 1, self.reverse):
            at, now = wave.sequences.to(h.device), torch.arange(len(values), device="cpu")[wave.rows].to(h.device)
            old = h[at]
            gates_x, candidate_x = of_x[now].split([2 * self.hidden, self.hidden], dim=1)
            r, z = even_sigmoid(gates_x + ops.linear(old, gates)).chunk(2, dim=1)
            n = torch.tanh((candidate_x + ops.linear(r * old, candidate)).contiguous())
            new = (1 - z) * n + z * old
            h = h.index_copy(0, at, new)
            ys.append(new)
            rows.append(now)
        if ys:
            return torch.cat(ys)[torch.cat(rows).argsort()], HiddenState(h)
        # no step at all: every parameter still has a gradient, of zeros
        return h.new_zeros(0, self.hidden) + of_x.sum() + sum(p.sum() for p in self.parameters()), HiddenState(h)

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """r, z and n of every step."""
        state = self.initial_state(len(x)) if state is None else state
        h = before(y, state.hidden, self.reverse).to(self.weight_ih.dtype)
        of_x = nn.functional.linear(x.values.to(h.dtype), self.weight_ih, self.bias).split(self.hidden, 1)
        u_r, u_z, u_n = self.weight_hh.split(self.hidden)
        r, z = (of_x[0] + h @ u_r.T).sigmoid(), (of_x[1] + h @ u_z.T).sigmoid()
        return {"r": r, "z": z, "n": (of_x[2] + (r * h) @ u_n.T).tanh()}

    def recurrent_weights(self) -> dict[str, Tensor]:
        """The rows of ``weight_hh`` of each gate, [hidden, hidden]."""
        return dict(zip(self.activations, self.weight_hh.detach().split(self.hidden), strict=True))

    def _check_state(self, h: Tensor, values: Tensor, sequences: int) -> None:
        if h.dtype != values.dtype:
            got, wanted = (str(tensor.dtype).removeprefix("torch.") for tensor in (h, values))
            raise ShapeError(f"h0 must be {wanted} as x is, got {got}. Convert one of them.")
        if h.shape != (sequences, self.units):
            raise ShapeError(f"h0 must have shape [{sequences}, {self.units}], got {list(h.shape)}.")
