"""Cells whose gates see the state before: the loop is compiled."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn

from elman.cells.base import Along, Cell, CellOptions, State, check_longest, draw_gates, new_parameter, spread_memory
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ops.stepper import Layer
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged
from elman.ragged.indexed import Indexed
from elman.validation.options import is_number


class Recurrent(Cell):
    """A cell whose gates read h_{t-1}, with the parameters of ``torch.nn``'s cell of that name.

    Initialisation: ``weight_ih`` [gates * hidden, inputs] Glorot uniform per gate, ``weight_hh`` [gates * hidden,
    hidden] orthogonal per gate (Saxe et al. 2014), biases zero.

    `max_timescale`, for cells with gates: chrono initialisation (Tallec & Ollivier 2018), the gate biases start so that
    units have time scales from 2 to so many steps, uniform in the logarithm; None: the cell's default.

    Two regularisers, both compiled:

    - `recurrent_dropout`: dropout rate of h_{t-1} before U, in training, one mask for all steps of a sequence (Gal &
      Ghahramani 2016); 0 turns it off.
    - `zoneout`: probability that a unit keeps its value instead of the new one, in training; in evaluation its
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
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        max_timescale: float | None = None,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(inputs, hidden, **options)
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
        self.weight_ih = new_parameter(options, rows, inputs)
        self.weight_hh = new_parameter(options, rows, hidden)
        self.bias_ih = new_parameter(options, rows) if bias else None
        self.bias_hh = new_parameter(options, rows) if bias else None
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
        """Sets the gates' biases so that log(a / (1 - a)) is `kept` [hidden] for zero input; a: fraction kept."""

    def gate_sums(self, x: Ragged, y: Ragged, state: State | None) -> tuple[list[Tensor], list[Tensor]]:
        """W x_t + b_ih and U h_{t-1} + b_hh of each gate, in the order of their rows."""
        state = self.initial_state(len(x)) if state is None else state
        h, dtype = before(y, state.hidden, self.reverse), self.weight_ih.dtype  # y may be bfloat16
        of_x = nn.functional.linear(x.values.to(dtype), self.weight_ih, self.bias_ih)
        of_h = nn.functional.linear(h.to(dtype), self.weight_hh, self.bias_hh)
        return list(of_x.split(self.hidden, 1)), list(of_h.split(self.hidden, 1))

    def recurrent_weights(self) -> dict[str, Tensor]:
        """The rows of ``weight_hh`` of each gate, [hidden, hidden]."""
        return dict(zip(self.activations, self.weight_hh.detach().split(self.hidden), strict=True))

    def step_layer(self) -> Layer:
        """The weights as they are now."""
        self.check_direction()
        if any(self.zoneout):
            raise OptionError("a cell with zoneout has no compiled stepper. Use its step, which has the same results.")
        return Layer(self.kernel, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def forward(
        self, x: Ragged, state: State | None = None, *, reset: Tensor | None = None, decay: Tensor | None = None
    ) -> tuple[Ragged, State]:
        """Forwards whole sequences: [steps, inputs] to [steps, hidden], and the state after each sequence.

        `reset` [steps] bool marks steps before which the state goes back to the initial one, as if a new sequence began
        there. `decay` [steps, hidden] multiplies h_{t-1} before step t reads it, and has a gradient (GRU-D; Che et al.
        2018). An empty sequence ends in the state it began with. The input projection of an `Indexed` is computed once
        per distinct row.
        """
        expect_ragged(x, self)
        values, rows = (x.rows, x.index) if isinstance(x, Indexed) else (x.values, None)
        along = Along(self._extras(x.steps, len(x.offsets) - 1, decay, self.training), rows)
        y, last = self.forward_values(values, x.offsets, state, reset, along)
        return x.with_values(y), last

    def step(
        self, x: Tensor, state: State, *, reset: Tensor | None = None, decay: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Forwards one step of each sequence: [sequences, inputs] to [sequences, hidden], and the next state.

        As in evaluation, whatever the mode: no recurrent dropout, the expectation of zoneout. `reset` [sequences] bool
        marks sequences whose state goes back to the initial one first; `decay` [sequences, hidden] as in `forward`.
        """
        self.check_direction()
        along = Along(self._extras(len(x), len(x), decay, False))
        return self.forward_values(x, torch.arange(len(x) + 1, device="cpu"), state, reset, along)

    def _extras(self, steps: int, sequences: int, decay: Tensor | None, training: bool) -> ops.RecurrenceModifiers:
        """The masks of one pass: sampled in training, expectations in evaluation."""
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
    def from_torch(
        cls, module: nn.Module, layer: int | None = None, reverse: bool | None = None, **options: Any
    ) -> Recurrent:
        """The same cell with copies of the weights of one layer and direction of a ``torch.nn`` module, or of a
        ``torch.nn`` cell. `elman.Encoder.from_torch` copies all layers and directions.

        `layer` and `reverse` may be left out where the module has one layer, or one direction; `options` are others of
        the cell, such as ``checkpointing``. Raises ``ShapeError`` for a module that does not fit, ``OptionError`` where
        one of several has to be named.
        """
        _check_one_of(module, layer, reverse)
        layer, reverse = layer or 0, bool(reverse)
        end = "" if hasattr(module, "weight_ih") else f"_l{layer}{'_reverse' if reverse else ''}"
        weights = {name: getattr(module, name + end, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        weight_ih, weight_hh = weights["weight_ih"], weights["weight_hh"]
        rows = ops.GATES[cls.kernel]
        fits = torch_kernel(module) in (None, cls.kernel)
        if not fits or weight_ih is None or weight_hh is None or weight_hh.shape[0] != rows * weight_hh.shape[1]:
            raise ShapeError(
                f"{type(module).__name__} has no layer {layer} that {cls.__name__} can take. Give it the torch.nn "
                "module of the same kind (without proj_size), and a layer that it has."
            )
        made = cls(
            weight_ih.shape[1], weight_hh.shape[1], bias=weights["bias_ih"] is not None, reverse=reverse,
            device=weight_ih.device, dtype=weight_ih.dtype, **options,
        )  # fmt: skip
        with torch.no_grad():
            for name, weight in weights.items():
                if weight is not None:
                    getattr(made, name).copy_(weight)
                    if isinstance(weight, nn.Parameter):
                        getattr(made, name).requires_grad_(weight.requires_grad)
        return made


def _check_rate(name: str, rate: Any) -> None:
    if not is_number(rate, 0) or not rate < 1:
        raise OptionError(f"{name} must be at least 0 and below 1, got {rate!r}.")


def before(y: Ragged, first: Tensor, reverse: bool = False) -> Tensor:
    """h_{t-1} at every step, given every h_t and the h before the `first` steps [sequences, hidden].

    >>> before(Ragged.of([[[1.0], [2.0]], [], [[3.0]]]), torch.zeros(3, 1))[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    full = y.lengths > 0
    starts = y.offsets[1:][full] - 1 if reverse else y.offsets[:-1][full]
    return y.values.roll(-1 if reverse else 1, 0).index_copy(0, starts, first[full].to(y.values.dtype))


def torch_kernel(module: nn.Module) -> str | None:
    """The compiled kernel with the equations of a ``torch.nn`` layer or cell; None for other modules.

    >>> torch_kernel(nn.RNN(2, 3, nonlinearity="relu")), torch_kernel(nn.LSTMCell(2, 3)), torch_kernel(nn.Linear(2, 3))
    ('rnn_relu', 'lstm', None)
    """
    if isinstance(module, nn.RNNBase):
        return module.mode.lower()
    if isinstance(module, nn.RNNCell):
        return f"rnn_{module.nonlinearity}"
    cells = {nn.LSTMCell: "lstm", nn.GRUCell: "gru"}
    return next((kernel for kind, kernel in cells.items() if isinstance(module, kind)), None)


def _check_one_of(module: nn.Module, layer: int | None, reverse: bool | None) -> None:
    """Raises ``OptionError`` where a module has several layers or directions and none is named."""
    layers, bidirectional = getattr(module, "num_layers", 1), getattr(module, "bidirectional", False)
    open_ = [f"{layers} layers (layer=0 to {layers - 1})"] if layers > 1 and layer is None else []
    open_ += ["two directions (reverse=False or True)"] if bidirectional and reverse is None else []
    if open_:
        raise OptionError(
            f"a cell is one layer in one direction, but the {type(module).__name__} has {' and '.join(open_)}. Name "
            "the one to copy, or copy all of them with elman.Encoder.from_torch."
        )
