"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from elman.cells.base import State
from elman.cells.recurrent import Recurrent
from elman.errors import OptionError
from elman.ops.functional import waves
from elman.ragged import Ragged


class LSTMState(NamedTuple):
    """The state of an LSTM: h and c, each [sequences, hidden]."""

    hidden: Tensor
    cell: Tensor


class LSTM(Recurrent):
    """Long short-term memory: a cell state with input, forget and output gates.

    ::

        i_t = sigmoid(W_i x_t + b_ih_i + U_i h_{t-1} + b_hh_i)          input gate
        f_t = sigmoid(W_f x_t + b_ih_f + U_f h_{t-1} + b_hh_f)          forget gate
        g_t = tanh(W_g x_t + b_ih_g + U_g h_{t-1} + b_hh_g)             candidate
        o_t = sigmoid(W_o x_t + b_ih_o + U_o h_{t-1} + b_hh_o)          output gate
        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * tanh(c_t),    y_t = h_t

    c_t is the cell state (``state.cell``), b_ih ``bias_ih`` and b_hh ``bias_hh``. Rows of W and U are i, f, g, o, as in
    ``torch.nn.LSTM``. No peepholes. The forget gate's bias starts at 1, so that memory is kept at first
    (Jozefowicz et al. 2015); ``torch.nn`` starts it near 0.

    Sources: Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000.

    >>> from elman.ragged import Ragged
    >>> cell = LSTM(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(0, 3)]))
    >>> y1, state = cell.step(torch.randn(2, 3), state)
    >>> y1.shape, state.cell.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    kernel = "lstm"
    state_type = LSTMState
    activations: ClassVar[dict[str, str]] = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}
    keeps = "f"
    spreads = True

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again; the forget gate starts open."""
        super().reset_parameters()
        if self.bias_ih is not None and self.max_timescale is None:
            self.bias_ih[self.hidden : 2 * self.hidden] = 1.0

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """i, f, g and o of every step."""
        sums = [of_x + of_h for of_x, of_h in zip(*self.gate_sums(x, y, state), strict=True)]
        return {name: getattr(a, act)() for (name, act), a in zip(self.activations.items(), sums, strict=True)}

    def cell_states(self, x: Ragged, y: Ragged, state: State | None = None) -> Ragged:
        """c_t at every step of a pass, [steps, hidden], recomputed from its input and output in plain torch.

        Differentiable, through `y` too. `state` is the argument of `forward`; resets are ignored. Raises
        ``OptionError`` for a cell with zoneout or, in training, recurrent dropout: their c_t do not follow from y.

        >>> cell, x = LSTM(3, 4), Ragged.of([torch.randn(5, 3), torch.randn(2, 3)])
        >>> y, state = cell(x)
        >>> states = cell.cell_states(x, y)
        >>> states, torch.allclose(states[1][-1], state.cell[1], atol=1e-6)
        (Ragged(sequences=2, steps=7, width=4, dtype=float32), True)
        """
        if any(self.zoneout):
            raise OptionError("cell states do not follow from y where there is zoneout. Build the cell with zoneout=0.")
        if self.training and self.recurrent_dropout:
            raise OptionError(
                "cell states do not follow from y where training drops units of the state. Call eval() before the pass."
            )
        gates = self.gates(x, y, state)
        write, keep = gates["i"] * gates["g"], gates["f"]
        c = (self.initial_state(len(x)) if state is None else state).cell.to(keep.dtype)
        made, rows = [keep[:0]], [torch.zeros(0, dtype=torch.int64, device=keep.device)]
        for wave in waves(x.offsets, 1, self.reverse):
            at, now = wave.sequences.to(c.device), torch.arange(len(keep), device="cpu")[wave.rows].to(c.device)
            new = keep[now] * c[at] + write[now]
            c = c.index_copy(0, at, new)
            made.append(new)
            rows.append(now)
        return x.with_values(torch.cat(made)[torch.cat(rows).argsort()])

    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        bias[self.hidden : 2 * self.hidden] = kept
        bias[: self.hidden] = -kept  # what is kept long is written to seldom
