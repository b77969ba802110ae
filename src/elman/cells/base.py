"""The interface of cells, and what their base classes share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from elman.cells.resets import Segments, cut
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ops.stepper import Layer, Stepper, check_whole
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged
from elman.validation.options import is_number

#: What a step is to a cell: a vector, a flattened image, or values, mask and gap for a cell with decay.
VECTORS, IMAGES, VALUES_MASK_GAP = "vectors", "images", "values, mask and gap"

#: State has named fields, each [sequences, hidden], and belongs to the caller: a NamedTuple of tensors.
State = Any


class HiddenState(NamedTuple):
    """The state of a cell that has h alone, [sequences, hidden]."""

    hidden: Tensor


class CellOptions(TypedDict, total=False):
    """The options of every cell, which `Cell` describes."""

    reverse: bool
    checkpointing: bool
    learn_initial: bool
    device: torch.device | str | None
    dtype: torch.dtype | None


class Along(NamedTuple):
    """Arguments beside the inputs of a cell whose gates read the state: see `elman.ops.functional.recurrent`."""

    extras: ops.RecurrenceModifiers = ops.RecurrenceModifiers()
    rows: Tensor | None = None  # the argument `index`


class Cell(nn.Module, ABC):
    """One recurrent layer in one direction. State goes in and comes out; a cell keeps none.

    `inputs` is the width of a step that comes in, `hidden` of one that goes out, `units` of the state (None: `hidden`);
    a cell with `reverse` walks each sequence from its last step to its first. A subclass names its `state_type` and
    says in `_run` how whole sequences go through; one step of each sequence is the same call on sequences of one step,
    hence the same bits.

    - `checkpointing`: training stores only y for the backward pass and recomputes the rest chunk by chunk, for a third
      more arithmetic; False: all activations are stored. The gradient is exact either way.
    - `learn_initial`: the initial state is a parameter, ``initial_hidden`` [units] and so on for each part of the
      state, zeros at first. It is used where no state is given, and after a reset.
    """

    state_type: ClassVar[type[Any]]
    activations: ClassVar[dict[str, str]] = {}  # of each gate: "sigmoid", "tanh", "relu", "kept" (a fraction)
    keeps: ClassVar[str | None] = None  # the gate that is the fraction of the state kept
    blocks: ClassVar[int] = 1  # equal blocks in a step: 3 for values, mask and gap
    reads: ClassVar[str] = VECTORS  # what a step is
    spreads: ClassVar[bool] = False  # whether it takes `max_timescale`
    regularises: ClassVar[bool] = False  # whether it takes `recurrent_dropout` and `zoneout`
    narrows: ClassVar[bool] = False  # whether its matrix products are in bfloat16 under autocast
    above: ClassVar[str | None] = None  # the cell of the layers above the first, if different

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        units: int | None = None,
        reverse: bool = False,
        checkpointing: bool = False,
        learn_initial: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        units = hidden if units is None else units
        for name, size in (("inputs", inputs), ("hidden", hidden), ("units", units)):
            check_whole(name, size, MOST)
        ops.checked_flag(checkpointing, "checkpointing")
        self.inputs, self.hidden, self.units, self.reverse = inputs, hidden, units, reverse
        self.checkpointing, self.learn_initial = checkpointing, learn_initial
        if learn_initial:
            for name in self._initial_names():
                self.register_parameter(name, nn.Parameter(torch.zeros(units, device=device, dtype=dtype)))

    def _initial_names(self) -> list[str]:
        return [f"initial_{part}" for part in self.state_type._fields]

    def initial_state(self, sequences: int) -> State:
        """The initial state of `sequences`: zeros, or the learnt one."""
        names = self._initial_names()
        if self.learn_initial:
            return self.state_type(*[getattr(self, name).expand(sequences, self.units) for name in names])
        like = next(self.parameters())
        return self.state_type(*[like.new_zeros(sequences, self.units) for _ in names])

    def forward(self, x: Ragged, state: State | None = None, *, reset: Tensor | None = None) -> tuple[Ragged, State]:
        """Forwards whole sequences: [steps, inputs] to [steps, hidden], and the state after each sequence.

        `reset` [steps] bool marks steps before which the state goes back to the initial one, as if a new sequence began
        there. An empty sequence ends in the state it began with.
        """
        expect_ragged(x, self)
        y, last = self.forward_values(x.values, x.offsets, state, reset, Along())
        return x.with_values(y), last

    def step(self, x: Tensor, state: State, *, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Forwards one step of each sequence: [sequences, inputs] to [sequences, hidden], and the next state.

        `reset` [sequences] bool marks sequences whose state goes back to the initial one first.
        """
        self.check_direction()
        return self.forward_values(x, torch.arange(len(x) + 1, device="cpu"), state, reset, Along())

    def forward_values(
        self, values: Tensor, offsets: Tensor, state: State | None, reset: Tensor | None, along: Along
    ) -> tuple[Tensor, State]:
        """`forward` on the values and offsets of sequences, with what goes along with them."""
        self._check_width(values)
        if reset is not None:
            return self._forward_pieces(values, cut(offsets, reset, self.reverse), state, along)
        if state is None and self.learn_initial:
            state = self.initial_state(len(offsets) - 1)
        return self._run(values, offsets, state, along)

    def _forward_pieces(
        self, values: Tensor, pieces: Segments, state: State | None, along: Along
    ) -> tuple[Tensor, State]:
        start = self.initial_state(len(pieces.sequence))
        if state is not None:
            kept = pieces.keeps.to(values.device)
            entry = pieces.entry.to(values.device)[kept]
            start = self.state_type(*[a.index_copy(0, entry, b[kept]) for a, b in zip(start, state, strict=True)])
        if along.extras.drop is not None:
            drop = along.extras.drop[pieces.sequence]
            along = along._replace(extras=along.extras._replace(drop=drop))
        y, last = self._run(values, pieces.offsets, start, along)
        return y, self.state_type(*[part[pieces.exit] for part in last])

    @abstractmethod
    def _run(self, values: Tensor, offsets: Tensor, state: State | None, along: Along) -> tuple[Tensor, State]:
        """How whole sequences go through."""

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """The gates at every step of a pass, [steps, units], recomputed from its input and output in plain torch.

        For inspection, not for speed. Names and order are those of `activations`; {} without gates. `state` is the
        argument of `forward`. Dropout and resets are ignored.
        """
        return {}

    def cell_states(self, x: Ragged, y: Ragged, state: State | None = None) -> Ragged:
        """The cell state at every step of a pass, [steps, units]. Raises ``OptionError`` for a cell without one."""
        raise OptionError(
            f"{type(self).__name__} has no cell states to be read at every step. Take an LSTM, cell='lstm', or look at "
            "the gates: cell.gates(x, y)."
        )

    def recurrent_weights(self) -> dict[str, Tensor]:
        """The square recurrent matrices by gate; {} where there are none."""
        return {}

    def check_direction(self) -> None:
        """Raises ``OptionError`` for a cell that starts at the last step, and so cannot step."""
        if self.reverse:
            raise OptionError("a cell with reverse=True cannot step: it starts at the last step, which is yet to come.")

    def stepper(self, sequences: int = 1, weights: str = "float32", threads: int | None = None) -> Stepper:
        """A compiled stepper with the current weights: see ``elman.ops.stepper.Stepper``."""
        return Stepper([self.step_layer()], self.initial_state(1), sequences, weights, threads)

    def step_layer(self) -> Layer:
        """The layer for a stepper. Raises ``OptionError`` if the cell has no compiled stepper."""
        raise OptionError(f"{type(self).__name__} has no compiled stepper. Use its step, which has the same results.")

    def _check_width(self, values: Tensor) -> None:
        if values.dim() != 2 or values.shape[1] != self.inputs:
            width = values.shape[1] if values.dim() == 2 else 1
            raise ShapeError(
                f"{type(self).__name__} expects inputs of width {self.inputs}, got values of shape "
                f"{list(values.shape)}. Build it with inputs={width or 1}, or check what feeds it."
            )

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        shown = f"{self.inputs}, {self.hidden}" + (", reverse=True" if self.reverse else "")
        return shown + (", learn_initial=True" if self.learn_initial else "")


#: The largest width: the product of two of them in bytes does not overflow.
MOST = 1 << 24


def check_longest(max_timescale: float | None) -> None:
    """Raises ``OptionError`` unless it is None or a number of steps of at least 2."""
    if max_timescale is not None and not is_number(max_timescale, 2):
        raise OptionError(f"max_timescale must be a number of steps of at least 2, got {max_timescale!r}.")


def new_parameter(options: CellOptions, *shape: int) -> nn.Parameter:
    """An uninitialised parameter with the device and the dtype of the options."""
    return nn.Parameter(torch.empty(shape, device=options.get("device"), dtype=options.get("dtype")))


def even_sigmoid(a: Tensor) -> Tensor:
    """The sigmoid by way of tanh: torch's own gives the last numbers of a tensor other bits than those before.

    Laid out afresh, because torch takes other code where numbers lie apart, with other bits too.
    """
    return 0.5 * torch.tanh(0.5 * a.contiguous()) + 0.5


def draw_gates(weight: Tensor, rows: int, draw: Callable[[Tensor], Tensor]) -> None:
    """Initialises a weight [gates * rows, ...] gate by gate with a function of torch's ``nn.init``."""
    whole = (
        weight if weight.dtype.itemsize > 2 else weight.float()
    )  # torch draws orthogonal matrices in float32 at least
    for gate in whole.split(rows):
        draw(gate)
    if whole is not weight:
        weight.copy_(whole)


def spread_memory(kept: Tensor, max_timescale: float) -> Tensor:
    """Fills `kept` with log(a / (1 - a)) of units that remember 1 / (1 - a) = 2 ... `max_timescale` steps."""
    return kept.uniform_(0.0, math.log(max_timescale - 1))
