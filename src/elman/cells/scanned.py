"""Cells whose gates see the input alone, so that a sequence is one scan."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from elman.cells.base import Along, Cell, CellOptions, State, check_longest, draw_gates, new_parameter, spread_memory
from elman.errors import OptionError
from elman.ops import functional as ops
from elman.ragged import Ragged


class Chunked(Cell):
    """A cell whose checkpointing is torch's, chunk by chunk: y and the states between are stored, the rest recomputed.

    A subclass says in `_whole` how sequences go through.
    """

    def _run(self, values: Tensor, offsets: Tensor, state: State | None, along: Along) -> tuple[Tensor, State]:
        if not self.checkpointing or not torch.is_grad_enabled() or len(values) == 0:
            return self._whole(values, offsets, state)
        state = self.initial_state(len(offsets) - 1) if state is None else state
        ys, rows = [], []
        for wave in ops.pieces(offsets, self.reverse):
            start = type(state)(*[part[wave.sequences] for part in state])
            y, last = checkpoint(
                self._whole, values[wave.rows], wave.offsets, start, use_reentrant=False, preserve_rng_state=False
            )
            pairs = zip(state, last, strict=True)
            state = type(state)(*[part.index_copy(0, wave.sequences, new) for part, new in pairs])
            ys.append(y)
            rows.append(torch.arange(len(values), device="cpu")[wave.rows])
        return torch.cat(ys)[torch.cat(rows).argsort()], state

    @abstractmethod
    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """What `_run` gives, without checkpointing."""


class Scanned(Chunked):
    """A cell whose gates read only the inputs, so that its steps are ``h_t = a_t h_{t-1} + b_t``, unit by unit.

    ``weight_ih`` [gates * hidden, inputs] starts Glorot uniform per gate; there is no ``weight_hh``. The gate biases
    start so that the time scales 1 / (1 - a_t) of the units lie between 2 and `max_timescale`, uniform in the logarithm
    (of one less), as in chrono initialisation (Tallec & Ollivier 2018): no gate reads the state, so that nothing else
    separates time scales.

    `candidate`: the candidate from v = W_h x_t + b_h: "linear" v, "tanh" tanh(v), "positive" v + 0.5 where v >= 0 and
    sigmoid(v) below. Raises ``OptionError``.
    """

    kernel: ClassVar[str]
    spreads = True

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        candidate: str = "linear",
        max_timescale: float = 100.0,
        bias: bool = True,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(inputs, hidden, **options)
        if candidate not in ops.CANDIDATES:
            raise OptionError(f"candidate must be one of {', '.join(ops.CANDIDATES)}, got {candidate!r}.")
        check_longest(max_timescale)
        self.candidate, self.max_timescale = candidate, max_timescale
        rows = ops.SCANS[self.kernel] * hidden
        self.weight_ih = new_parameter(options, rows, inputs)
        self.bias_ih = new_parameter(options, rows) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        draw_gates(self.weight_ih, self.hidden, nn.init.xavier_uniform_)
        if self.bias_ih is not None:
            nn.init.zeros_(self.bias_ih)
            self._spread(self.bias_ih, spread_memory(self.bias_ih.new_empty(self.hidden), self.max_timescale))

    @abstractmethod
    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        """Sets the gates' biases so that log(a / (1 - a)) is `kept` [hidden] where W x_t is 0."""

    def gate_inputs(self, x: Ragged) -> list[Tensor]:
        """W x_t + b of each gate, in the order of their rows."""
        weight = self.weight_ih
        return list(nn.functional.linear(x.values.to(weight.dtype), weight, self.bias_ih).split(self.hidden, 1))

    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        gates = ops.linear(values, self.weight_ih, self.bias_ih)
        h0 = None if state is None else state[0]
        y, last, _ = ops.scan(self.kernel, gates, offsets, h0=h0, reverse=self.reverse, candidate=self.candidate)
        return y, self.state_type(last)

    def extra_repr(self) -> str:
        """The sizes and the candidate, for printing."""
        return super().extra_repr() + ("" if self.candidate == "linear" else f", candidate={self.candidate!r}")
