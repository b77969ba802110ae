"""The contract of a cell, and what the compiled cells share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from elman.cells.resets import Segments, cut
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ops.stepper import Layer, Stepper
from elman.ragged import Ragged
from elman.ragged.indexed import Indexed

#: What a step is to a cell: any numbers, an image laid flat, or what a cell that learns a decay reads.
VECTORS, IMAGES, VALUES_MASK_GAP = "vectors", "images", "values, mask and gap"

#: State has named fields, each [sequences, hidden], and belongs to the caller: a NamedTuple of tensors.
State = Any


class Along(NamedTuple):
    """What goes along with the inputs of a cell whose gates see the state: see `elman.ops.functional.recurrent`."""

    extras: ops.RecurrenceModifiers = ops.RecurrenceModifiers()
    rows: Tensor | None = None  # the argument `index`


class Cell(nn.Module):
    """One recurrent layer in one direction. State goes in and comes out; a cell keeps none.

    `inputs` is the width of a step that comes in, `hidden` of one that goes out, `units` of the state (None: `hidden`);
    a cell with `reverse` walks each sequence from its last step to its first. A subclass names its `state_type` and
    says in `_run` how whole sequences go through; one step of each sequence is the same call on sequences of one step,
    hence the same bits.

    - `checkpointing`: training keeps y alone for the way back and computes the rest again, a piece at a time, for a
      third more arithmetic; False: it keeps everything that a step makes. The gradient is exact either way.
    - `learn_initial`: the state before the first step is learnt, ``initial_hidden`` [units] and so on for each part of
      the state, zeros at first. It is used where no state is given, and after a reset.
    """

    state_type: ClassVar[type[Any]]
    activations: ClassVar[dict[str, str]] = {}  # of each gate in `gates`: "sigmoid", "tanh", "relu", "kept" (a share)
    keeps: ClassVar[str | None] = None  # the gate that says which share of the state is kept
    blocks: ClassVar[int] = 1  # of as many numbers each a step must be made of: 3 are values, mask and gap
    reads: ClassVar[str] = VECTORS  # what a step is to it
    spreads: ClassVar[bool] = False  # whether it takes `max_timescale`, how many steps its units remember at first
    regularises: ClassVar[bool] = False  # whether it takes `recurrent_dropout` and `zoneout`
    narrows: ClassVar[bool] = False  # whether its products are made of bfloat16 under autocast
    above: ClassVar[str | None] = None  # the cell of the layers over the first, where that is another

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
        check_sizes(inputs=inputs, hidden=hidden, units=units)
        if not isinstance(checkpointing, bool):
            raise OptionError(f"checkpointing must be True or False, got {checkpointing!r}.")
        self.inputs, self.hidden, self.units, self.reverse, self.checkpointing = (
            inputs,
            hidden,
            units,
            reverse,
            checkpointing,
        )
        self.learn_initial = learn_initial
        if learn_initial:
            for name in self._initial_names():
                self.register_parameter(name, nn.Parameter(torch.zeros(units, device=device, dtype=dtype)))

    def _initial_names(self) -> list[str]:
        return [f"initial_{part}" for part in self.state_type._fields]

    def initial_state(self, sequences: int) -> State:
        """The state before the first step of each of so many sequences: zeros, or what was learnt."""
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
        y, last = self._forward(x.values, x.offsets, state, reset, Along())
        return x.with_values(y), last

    def step(self, x: Tensor, state: State, *, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Forwards one step of each sequence: [sequences, inputs] to [sequences, hidden], and the next state.

        `reset` [sequences] bool marks sequences whose state goes back to the initial one first.
        """
        self._check_direction()
        return self._forward(x, torch.arange(len(x) + 1, device="cpu"), state, reset, Along())

    def _forward(
        self, values: Tensor, offsets: Tensor, state: State | None, reset: Tensor | None, along: Along
    ) -> tuple[Tensor, State]:
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

    def _run(self, values: Tensor, offsets: Tensor, state: State | None, along: Along) -> tuple[Tensor, State]:
        raise NotImplementedError

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """What each gate was at every step of a pass, [steps, units], from what went in and came out; in plain torch.

        For looking at, not for speed. Their names are those of `activations`, in that order; a cell that says nothing
        of its gates gives {}. `state` is what `forward` was given. Dropout and resets are left out.
        """
        return {}

    def recurrent_weights(self) -> dict[str, Tensor]:
        """The square matrices that multiply the state at every step, by gate; {} where there are none."""
        return {}

    def _check_direction(self) -> None:
        if self.reverse:
            raise OptionError("a cell with reverse=True cannot step: it starts at the last step, which is yet to come.")

    def stepper(self, sequences: int = 1, weights: str = "float32", threads: int | None = None) -> Stepper:
        """A compiled stream of steps with the weights as they are now: see ``elman.ops.stepper.Stepper``."""
        return Stepper([self.step_layer()], self.initial_state(1), sequences, weights, threads)

    def step_layer(self) -> Layer:
        """What a stepper needs of this cell. Raises ``OptionError`` if it has no compiled stepper."""
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


#: The largest width: products of two of them, in bytes, are still sizes that memory can have.
MOST = 1 << 24


def check_sizes(**sizes: object) -> None:
    """Raises ``OptionError`` unless each is a whole number of at least 1 and at most `MOST`."""
    for name, size in sizes.items():
        if not hasattr(size, "__index__") or isinstance(size, bool) or size.__index__() < 1:
            raise OptionError(f"{name} must be a whole number of at least 1, got {size!r}.")
        if size.__index__() > MOST:
            raise OptionError(f"{name} may be at most {MOST}, got {size!r}.")


def _check_rate(name: str, rate: object) -> None:
    if not isinstance(rate, float | int) or not 0 <= rate < 1:
        raise OptionError(f"{name} must be at least 0 and below 1, got {rate!r}.")


def before(y: Ragged, first: Tensor, reverse: bool = False) -> Tensor:
    """h_{t-1} at every step, given every h_t and the h before the `first` steps [sequences, hidden].

    >>> before(Ragged.of([[[1.0], [2.0]], [], [[3.0]]]), torch.zeros(3, 1))[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    full = y.lengths > 0
    starts = y.offsets[1:][full] - 1 if reverse else y.offsets[:-1][full]
    return y.values.roll(-1 if reverse else 1, 0).index_copy(0, starts, first[full].to(y.values.dtype))


def check_longest(max_timescale: float | None) -> None:
    """Raises ``OptionError`` unless it is None or a number of steps of at least 2."""
    if max_timescale is not None and not 2 <= max_timescale < float("inf"):
        raise OptionError(f"max_timescale must be a number of steps of at least 2, got {max_timescale!r}.")


def draw_gates(weight: Tensor, rows: int, draw: Callable[[Tensor], Tensor]) -> None:
    """Draws a weight [gates * rows, ...] gate by gate, each as a matrix by itself, by one of torch's ``nn.init``."""
    for gate in weight.split(rows):
        draw(gate)


def spread_memory(kept: Tensor, max_timescale: float) -> Tensor:
    """Fills `kept` with log(a / (1 - a)) of units that remember 1 / (1 - a) = 2 ... `max_timescale` steps."""
    return kept.uniform_(0.0, math.log(max_timescale - 1))


class Recurrent(Cell):
    """A cell whose gates see h_{t-1}, with the parameters of ``torch.nn``'s cell of that name.

    ``weight_ih`` [gates * hidden, inputs] starts Glorot uniform in each gate, ``weight_hh`` [gates * hidden, hidden]
    orthogonal in each gate (Saxe et al. 2014: no direction vanishes at first), the biases at zero.

    `max_timescale`, for cells with gates: the biases of the gates start so that units remember 2 to so many steps, the
    logarithm even ("chrono", Tallec & Ollivier 2018), where a memory must last long; None: as the cell says.

    Two options against overfitting; both stay on the compiled path:

    - `recurrent_dropout`: share of h_{t-1} set to zero on its way into U, in training, one mask for all steps of a
      sequence, the rest scaled up (Gal & Ghahramani 2016); 0 turns it off.
    - `zoneout`: chance that a unit keeps its value instead of taking the new one, in training; in evaluation its
      expectation, ``h_t = p h_{t-1} + (1 - p) (new h_t)`` (Krueger et al. 2017). One number for every part of the
      state, or for an LSTM a pair, of h and of c; 0 turns it off.

    Raises ``OptionError``.
    """

    kernel: ClassVar[str]
    regularises = True
    narrows = True

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        bias: bool = True,
        reverse: bool = False,
        checkpointing: bool = False,
        learn_initial: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        max_timescale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            inputs,
            hidden,
            reverse=reverse,
            checkpointing=checkpointing,
            learn_initial=learn_initial,
            device=device,
            dtype=dtype,
        )
        parts = len(self.state_type._fields)
        rates = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout,) * parts
        if len(rates) != parts:
            raise OptionError(f"zoneout must be one number{' or a pair' * (parts - 1)}, got {zoneout!r}.")
        _check_rate("recurrent_dropout", recurrent_dropout)
        for rate in rates:
            _check_rate("zoneout", rate)
        if max_timescale is not None and not (self.spreads and bias):
            raise OptionError(
                f"max_timescale = {max_timescale!r} is for cells whose gates have biases. Leave it at None."
            )
        check_longest(max_timescale)
        self.recurrent_dropout, self.zoneout, self.max_timescale = recurrent_dropout, rates, max_timescale
        rows = ops.GATES[self.kernel] * hidden
        self.weight_ih = nn.Parameter(torch.empty(rows, inputs, device=device, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden, device=device, dtype=dtype))
        self.bias_ih = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        draw_gates(self.weight_ih, self.hidden, nn.init.xavier_uniform_)
        draw_gates(self.weight_hh, self.hidden, nn.init.orthogonal_)
        for bias in (self.bias_ih, self.bias_hh):
            if bias is not None:
                nn.init.zeros_(bias)
        if self.max_timescale is not None and self.bias_ih is not None:
            self._spread(self.bias_ih, spread_memory(self.bias_ih.new_empty(self.hidden), self.max_timescale))

    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        """Sets the gates' biases so that log(a / (1 - a)) is `kept` [hidden] where nothing comes in, a what is kept."""
        raise NotImplementedError

    def _sums(self, x: Ragged, y: Ragged, state: State | None) -> tuple[list[Tensor], list[Tensor]]:
        """W x_t + b_ih and U h_{t-1} + b_hh of each gate, in the order of their rows."""
        state = self.initial_state(len(x)) if state is None else state
        h = before(y, state.hidden, self.reverse)
        of_x = nn.functional.linear(x.values.to(h.dtype), self.weight_ih, self.bias_ih)
        of_h = nn.functional.linear(h, self.weight_hh, self.bias_hh)
        return list(of_x.split(self.hidden, 1)), list(of_h.split(self.hidden, 1))

    def recurrent_weights(self) -> dict[str, Tensor]:
        """The rows of ``weight_hh`` of each gate, [hidden, hidden]."""
        return dict(zip(self.activations, self.weight_hh.detach().split(self.hidden), strict=True))

    def step_layer(self) -> Layer:
        """The weights as they are now."""
        self._check_direction()
        if any(self.zoneout):
            raise OptionError("a cell with zoneout has no compiled stepper. Use its step, which has the same results.")
        return Layer(self.kernel, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def forward(
        self, x: Ragged, state: State | None = None, *, reset: Tensor | None = None, decay: Tensor | None = None
    ) -> tuple[Ragged, State]:
        """Forwards whole sequences: [steps, inputs] to [steps, hidden], and the state after each sequence.

        `reset` [steps] bool marks steps before which the state goes back to the initial one, as if a new sequence began
        there. `decay` [steps, hidden] multiplies h_{t-1} before step t reads it, and has a gradient (GRU-D; Che et al.
        2018). An empty sequence ends in the state it began with. What the weights make of the rows of an `Indexed` is
        computed once for each.
        """
        values, rows = (x.rows, x.index) if isinstance(x, Indexed) else (x.values, None)
        along = Along(self._extras(x.steps, len(x.offsets) - 1, decay, self.training), rows)
        y, last = self._forward(values, x.offsets, state, reset, along)
        return x.with_values(y), last

    def step(
        self, x: Tensor, state: State, *, reset: Tensor | None = None, decay: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Forwards one step of each sequence: [sequences, inputs] to [sequences, hidden], and the next state.

        As in evaluation, whatever the mode: no recurrent dropout, the expectation of zoneout. `reset` [sequences] bool
        marks sequences whose state goes back to the initial one first; `decay` [sequences, hidden] as in `forward`.
        """
        self._check_direction()
        along = Along(self._extras(len(x), len(x), decay, False))
        return self._forward(x, torch.arange(len(x) + 1, device="cpu"), state, reset, along)

    def _extras(self, steps: int, sequences: int, decay: Tensor | None, training: bool) -> ops.RecurrenceModifiers:
        """The masks of one pass: drawn in training, expected in evaluation."""
        like, drop = self.weight_hh, None
        if training and self.recurrent_dropout:
            stays = 1 - self.recurrent_dropout
            drop = like.new_empty(sequences, self.hidden).bernoulli_(stays).div_(stays)
        rows = steps if training else 1
        made = [like.new_full((rows, self.hidden), rate) if rate else None for rate in self.zoneout]
        keep, keep_cell = ([m.bernoulli() if m is not None and training else m for m in made] + [None])[:2]
        return ops.RecurrenceModifiers(decay, drop, keep, keep_cell)

    def _run(self, values: Tensor, offsets: Tensor, state: State | None, along: Along) -> tuple[Tensor, State]:
        initial = (None, None) if state is None else (*state, None)[:2]
        y, *last = ops.recurrent(
            self.kernel, values, offsets, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh,
            initial[0], initial[1], self.reverse, extras=along.extras, index=along.rows,
            checkpointing=self.checkpointing,
        )  # fmt: skip
        return y, self.state_type(*last[: len(self.state_type._fields)])

    @classmethod
    def from_torch(cls, module: nn.Module, layer: int | None = None, reverse: bool | None = None) -> Recurrent:
        """The same cell with copies of the weights of one layer and direction of a ``torch.nn`` module, or of a
        ``torch.nn`` cell.

        `layer` and `reverse` may be left out where the module has one layer, or one direction. Raises ``ShapeError``
        for a module that does not fit, ``OptionError`` where one of several has to be named.
        """
        _check_one_of(module, layer, reverse)
        layer, reverse = layer or 0, bool(reverse)
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


def _check_one_of(module: nn.Module, layer: int | None, reverse: bool | None) -> None:
    """Raises ``OptionError`` where a module has several layers or directions and none is named."""
    layers, bidirectional = getattr(module, "num_layers", 1), getattr(module, "bidirectional", False)
    open_ = [f"{layers} layers (layer=0 to {layers - 1})"] if layers > 1 and layer is None else []
    open_ += ["two directions (reverse=False or True)"] if bidirectional and reverse is None else []
    if open_:
        raise OptionError(
            f"a cell is one layer in one direction, but the {type(module).__name__} has {' and '.join(open_)}. Name "
            "the one to copy."
        )


class Scanned(Cell):
    """A cell whose gates see the inputs alone, so that its steps are ``h_t = a_t h_{t-1} + b_t``, unit by unit.

    ``weight_ih`` [gates * hidden, inputs] starts Glorot uniform in each gate; there is no ``weight_hh``. The biases of
    the gates start so that 1 / (1 - a_t), the steps a unit remembers, differs from unit to unit: between 2 and
    `max_timescale`, its logarithm (of one less) even. No gate sees the state, so that nothing else tells units apart in
    time; Tallec & Ollivier 2018 spread the memory of an LSTM likewise.

    `candidate` says what may be written, given v = W_h x_t + b_h: "linear" v itself, "tanh" tanh(v), "positive" v + 0.5
    where v >= 0 and sigmoid(v) below. Raises ``OptionError``.
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
        reverse: bool = False,
        checkpointing: bool = False,
        learn_initial: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            inputs,
            hidden,
            reverse=reverse,
            checkpointing=checkpointing,
            learn_initial=learn_initial,
            device=device,
            dtype=dtype,
        )
        if candidate not in ops.CANDIDATES:
            raise OptionError(f"candidate must be one of {', '.join(ops.CANDIDATES)}, got {candidate!r}.")
        check_longest(max_timescale)
        self.candidate, self.max_timescale = candidate, max_timescale
        rows = ops.SCANS[self.kernel] * hidden
        self.weight_ih = nn.Parameter(torch.empty(rows, inputs, device=device, dtype=dtype))
        self.bias_ih = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        draw_gates(self.weight_ih, self.hidden, nn.init.xavier_uniform_)
        if self.bias_ih is not None:
            nn.init.zeros_(self.bias_ih)
            self._spread(self.bias_ih, spread_memory(self.bias_ih.new_empty(self.hidden), self.max_timescale))

    def _spread(self, bias: Tensor, kept: Tensor) -> None:
        """Sets the gates' biases so that log(a / (1 - a)) is `kept` [hidden] where W x_t is 0."""
        raise NotImplementedError

    def _of_x(self, x: Ragged) -> list[Tensor]:
        """W x_t + b of each gate, in the order of their rows."""
        weight = self.weight_ih
        return list(nn.functional.linear(x.values.to(weight.dtype), weight, self.bias_ih).split(self.hidden, 1))

    def _run(self, values: Tensor, offsets: Tensor, state: State | None, along: Along) -> tuple[Tensor, State]:
        return run_in_pieces(self, self._scan, values, offsets, state)

    def _scan(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        gates = ops.linear(values, self.weight_ih, self.bias_ih)
        h0 = None if state is None else state[0]
        y, last, _ = ops.scan(self.kernel, gates, offsets, h0=h0, reverse=self.reverse, candidate=self.candidate)
        return y, self.state_type(last)

    def extra_repr(self) -> str:
        """The sizes and the candidate, for printing."""
        return super().extra_repr() + ("" if self.candidate == "linear" else f", candidate={self.candidate!r}")


def run_in_pieces(
    cell: Cell,
    run: Callable[[Tensor, Tensor, State | None], tuple[Tensor, State]],
    values: Tensor,
    offsets: Tensor,
    state: State | None,
) -> tuple[Tensor, State]:
    """``run(values, offsets, state)``; where `cell` recomputes, piece by piece, keeping y and the states between."""
    if not cell.checkpointing or not torch.is_grad_enabled() or len(values) == 0:
        return run(values, offsets, state)
    state = cell.initial_state(len(offsets) - 1) if state is None else state
    ys, rows = [], []
    for wave in ops.pieces(offsets, cell.reverse):
        start = type(state)(*[part[wave.sequences] for part in state])
        y, last = checkpoint(run, values[wave.rows], wave.offsets, start, use_reentrant=False, preserve_rng_state=False)
        state = type(state)(*[part.index_copy(0, wave.sequences, new) for part, new in zip(state, last, strict=True)])
        ys.append(y)
        rows.append(torch.arange(len(values), device="cpu")[wave.rows])
    return torch.cat(ys)[torch.cat(rows).argsort()], state
