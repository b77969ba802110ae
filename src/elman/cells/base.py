"""The contract of a cell, and what the compiled cells share."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from elman import ops
from elman.errors import OptionError, ShapeError
from elman.ragged import Ragged

#: State has named fields, each [sequences, hidden], and belongs to the caller: a NamedTuple of tensors.
State = Any


class Cell(nn.Module):
    """One recurrent layer in one direction. State goes in and comes out; a cell keeps none.

    `inputs` is the width of a step that comes in, `hidden` of one that goes out.
    """

    inputs: int
    hidden: int
    reverse: bool

    def initial_state(self, sequences: int) -> State:
        """The state before the first step of each of so many sequences."""
        raise NotImplementedError

    def forward(self, x: Ragged, state: State | None = None) -> tuple[Ragged, State]:
        """Forwards whole sequences: [steps, inputs] to [steps, hidden], and the state after each sequence."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Forwards one step of each sequence: [sequences, inputs] to [sequences, hidden], and the next state."""
        raise NotImplementedError


def _is_whole(size: object) -> bool:
    return hasattr(size, "__index__") and not isinstance(size, bool)


class Recurrent(Cell):
    """A cell whose steps run in the compiled core, with the parameters of ``torch.nn``'s cell of that name.

    ``weight_ih`` [gates * hidden, inputs] starts Glorot uniform in each gate, ``weight_hh`` [gates * hidden, hidden]
    orthogonal in each gate (Saxe et al. 2014: no direction vanishes at first), the biases at zero.

    `memory` says what training keeps for the way back: "save" the gates of every step, "recompute" y alone, from which
    the gates of a piece at a time are made again, for a third more arithmetic. The gradient is exact either way.
    """

    kernel: ClassVar[str]
    state_type: ClassVar[type[Any]]

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        bias: bool = True,
        reverse: bool = False,
        memory: str = "save",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if memory not in ops.MEMORY:
            raise OptionError(f"memory must be one of {', '.join(ops.MEMORY)}, got {memory!r}.")
        self.memory = memory
        for name, size in (("inputs", inputs), ("hidden", hidden)):
            if not _is_whole(size) or size < 1:
                raise OptionError(f"{name} must be a whole number of at least 1, got {size!r}.")
        self.inputs, self.hidden, self.reverse = inputs, hidden, reverse
        rows = ops.GATES[self.kernel] * hidden
        self.weight_ih = nn.Parameter(torch.empty(rows, inputs, device=device, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden, device=device, dtype=dtype))
        self.bias_ih = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        for gate in self.weight_ih.split(self.hidden):
            nn.init.xavier_uniform_(gate)
        for gate in self.weight_hh.split(self.hidden):
            nn.init.orthogonal_(gate)
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                nn.init.zeros_(bias)

    def initial_state(self, sequences: int) -> State:
        """Zeros."""
        zeros = self.weight_hh.new_zeros(sequences, self.hidden)
        return self.state_type(*[zeros for _ in self.state_type._fields])

    def forward(self, x: Ragged, state: State | None = None) -> tuple[Ragged, State]:
        """Forwards whole sequences. An empty one ends in its initial state."""
        if x.values.dim() != 2 or x.values.shape[1] != self.inputs:
            raise ShapeError(
                f"{type(self).__name__} expects inputs of width {self.inputs}, got values of shape "
                f"{list(x.values.shape)}. Build it with inputs={x.width or 1}, or check what feeds it."
            )
        y, last = self._run(x.values, x.offsets, state)
        return x.with_values(y), last

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Forwards one step of each sequence: the same code, hence the same bits, as `forward`."""
        if self.reverse:
            raise OptionError("a cell with reverse=True cannot step: it starts at the last step, which is yet to come.")
        return self._run(x, torch.arange(len(x) + 1), state)

    def _run(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        initial = (None, None) if state is None else (*state, None)[:2]
        y, *last = ops.recur(
            self.kernel, values, offsets, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh,
            initial[0], initial[1], self.reverse, memory=self.memory,
        )  # fmt: skip
        return y, self.state_type(*last[: len(self.state_type._fields)])

    @classmethod
    def from_torch(cls, module: nn.Module, layer: int = 0, reverse: bool = False) -> Recurrent:
        """The same cell with copies of the weights of one layer and direction of a ``torch.nn`` module, or of a
        ``torch.nn`` cell."""
        end = "" if hasattr(module, "weight_ih") else f"_l{layer}{'_reverse' if reverse else ''}"
        weights = {name: getattr(module, name + end, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        weight_ih, weight_hh = weights["weight_ih"], weights["weight_hh"]
        rows = ops.GATES[cls.kernel]
        if weight_ih is None or weight_hh is None or weight_hh.shape[0] != rows * weight_hh.shape[1]:
            raise ShapeError(
                f"{type(module).__name__} has no layer {layer} that {cls.__name__} can take. Give it the torch.nn "
                "module of the same kind (without proj_size), and a layer that it has."
            )
        made = cls(
            weight_ih.shape[1], weight_hh.shape[1], bias=weights["bias_ih"] is not None, reverse=reverse,
            device=weight_ih.device, dtype=weight_ih.dtype,
        )  # fmt: skip
        with torch.no_grad():
            for name, weight in weights.items():
                if weight is not None:
                    getattr(made, name).copy_(weight)
        return made

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        return f"{self.inputs}, {self.hidden}" + (", reverse=True" if self.reverse else "")
