"""Cells stacked: layers, directions, dropout between them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn

from elman.cells import CELLS
from elman.cells.base import IMAGES, MOST, VALUES_MASK_GAP, Cell, State
from elman.cells.compatibility import equivalent
from elman.errors import OptionError, ShapeError, option
from elman.layers.dropout import SequenceDropout
from elman.ops.state import mapped
from elman.ops.stepper import Stepper, check_whole
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged
from elman.ragged.indexed import Indexed

#: What the products of a layer are made of.
PRECISIONS = ("float32", "bfloat16")
_CPU = torch.device("cpu")
#: Layers of an encoder.
MOST_LAYERS = 1000


class Encoder(nn.Module):
    """A stack of recurrent layers: [steps, inputs] to [steps, outputs].

    ::

        y^0 = x,    y^l = dropout([forward cell(y^{l-1}), backward cell(y^{l-1})]),    output y^layers

    - `inputs`: width of a step.
    - `hidden`: units of a layer and direction; one number for all layers, or one per layer.
    - `cell`: a name of ``elman.cells.CELLS``, such as "lstm", "gru" or "rnn". "gru_d" reads
      steps with mask and gap; the layers over the first are "gru" then.
    - `layers`: how many; may be left at 1 when `hidden` lists one width per layer.
    - `bidirectional`: each layer also walks backwards; its two results stand side by side.
    - `dropout`: share of h set to zero after every layer, one mask for all steps of a sequence; 0 turns it off.
    - `checkpointing`: training keeps y of a layer alone and computes its gates again, for a third more arithmetic and
      the same gradient. For sequences of many thousand steps.
    - `precision`: "bfloat16" runs the layers under ``torch.autocast``: products of bfloat16 with float32 sums and
      state, in training too, while weights, gradients and what comes out stay as they are. For cells whose gates see
      the state, on the CPU; on a processor without such products the layers run in float32, and a warning says so once.
    - `max_timescale`: the units of each layer remember 2 to so many steps at first, the logarithm even; for "lstm",
      "gru", "min_gru", "min_lstm" and "lru". None: as the cell says, which is up to 100 for min_gru, fewer for others.
    - `image`: height and width of the images that the steps are, laid flat, for "conv_lstm"; `hidden` then counts
      numbers for each pixel.
    - `recurrent_dropout`, `zoneout`: what training does to the state on its way to the next step (rnn, lstm and gru;
      `elman.cells.Recurrent`). `learn_initial`: every layer learns the state it begins with.

    ``outputs`` is the width of what comes out. Raises ``OptionError`` for options that do not fit together.

    >>> encoder = Encoder(3, 4, "gru", layers=2)
    >>> y, state = encoder(Ragged.of([torch.randn(5, 3), torch.randn(2, 3)]))
    >>> y.values.shape, len(state), encoder.outputs
    (torch.Size([7, 4]), 2, 4)
    """

    def __init__(
        self,
        inputs: int,
        hidden: int | Sequence[int],
        cell: str = "lstm",
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        checkpointing: bool = False,
        precision: str = "float32",
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        learn_initial: bool = False,
        max_timescale: float | None = None,
        image: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise OptionError(f"cell must be one of {', '.join(CELLS)}, got {cell!r}.")
        if precision not in PRECISIONS:
            raise OptionError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
        if precision not in precisions(cell):
            raise OptionError(f"precision = {precision!r} is not made for cell = {cell!r}. Leave it at 'float32'.")
        widths = _widths(hidden, layers)
        ways = (False, True) if bidirectional else (False,)
        self.inputs, self.bidirectional, self.precision = inputs, bidirectional, precision
        options: dict[str, Any] = {"checkpointing": checkpointing, "learn_initial": learn_initial}
        if CELLS[cell].regularises:
            options |= {"recurrent_dropout": recurrent_dropout, "zoneout": zoneout}
        elif recurrent_dropout or zoneout:
            raise OptionError(
                f"recurrent_dropout and zoneout are for rnn, rnn_relu, lstm, gru and gru_d, got cell={cell!r}."
            )
        if CELLS[cell].reads == IMAGES:
            options["image"] = image
            widths = [width * image[0] * image[1] for width in widths]
        elif image != (1, 1):
            raise OptionError(f"image = {image} has no meaning for cell = {cell!r}, which reads vectors.")
        if max_timescale is not None:
            if not CELLS[cell].spreads:
                raise OptionError(
                    f"max_timescale = {max_timescale!r} has no meaning for cell = {cell!r}. Leave it at None."
                )
            options["max_timescale"] = max_timescale
        self.outputs = widths[-1] * len(ways)
        widths_in = [inputs] + [width * len(ways) for width in widths]
        kinds = [cell] + [CELLS[cell].above or cell] * (len(widths) - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(CELLS[kind](width_in, width, reverse=reverse, **options) for reverse in ways)
            for kind, width_in, width in zip(kinds, widths_in, widths, strict=False)
        )
        self.dropout = SequenceDropout(dropout)
        self._away: torch.device | None = None

    @property
    def cpu_only(self) -> str:
        """Which of its options runs on the CPU alone, in words; "" if none does."""
        if self.precision != "float32":
            return f"precision = {self.precision!r}"
        cells = [cell for layer in self._cells() for cell in layer]
        if any(type(cell).reads == VALUES_MASK_GAP for cell in cells):
            return "cell = 'gru_d'"
        return "zoneout" if any(any(getattr(cell, "zoneout", ())) for cell in cells) else ""

    def compute_on(self, device: torch.device | None) -> None:
        """Moves the weights to `device`, while inputs, states and results stay on the CPU; None: back to the CPU."""
        self.to(device or "cpu")
        self._away = device

    @classmethod
    def from_torch(
        cls,
        module: nn.Module,
        *,
        dropout: float | None = None,
        checkpointing: bool = False,
        precision: str = "float32",
    ) -> Self:
        """An encoder with copies of the weights of all layers and directions of a ``torch.nn`` RNN, LSTM or GRU.

        In evaluation its results are those of the module. It reads a `Ragged`, and `step` and `stepper` are there for
        streams. `dropout` None takes the module's rate where that has several layers; note that here one mask counts
        for all steps of a sequence, and the last layer has dropout too. Raises ``ShapeError`` for other modules,
        ``OptionError`` for a module with projections (``proj_size``).

        >>> lstm = torch.nn.LSTM(3, 4, num_layers=2)
        >>> encoder, x = Encoder.from_torch(lstm), torch.randn(5, 3)
        >>> torch.allclose(encoder(Ragged.of([x]))[0].values, lstm(x)[0], atol=1e-6)
        True
        """
        found = equivalent(module)
        if found is None or not isinstance(module, nn.RNNBase):
            advice = "" if found is None else f" For one cell: elman.{found[1].__name__}.from_torch."
            raise ShapeError(
                f"Encoder.from_torch expects a torch.nn.RNN, LSTM or GRU, got {type(module).__name__}.{advice}"
            )
        name, kind = found
        if module.proj_size:
            raise OptionError(
                f"an Encoder has no projections, and the {type(module).__name__} has proj_size={module.proj_size}. "
                "elman.nn.accelerate(module) keeps them."
            )
        if dropout is None:
            dropout = module.dropout if module.num_layers > 1 else 0.0
        ways = (False, True) if module.bidirectional else (False,)
        with torch.device("meta"):  # its layers are replaced below
            made = cls(
                module.input_size, module.hidden_size, name, module.num_layers, module.bidirectional, dropout,
                checkpointing, precision,
            )  # fmt: skip
        made.layers = nn.ModuleList(
            nn.ModuleList(kind.from_torch(module, layer, way, checkpointing=checkpointing) for way in ways)
            for layer in range(module.num_layers)
        )
        return made.train(module.training)

    def initial_state(self, sequences: int) -> tuple[tuple[State, ...], ...]:
        """The state of every layer and direction before the first step."""
        state = tuple(tuple(cell.initial_state(sequences) for cell in layer) for layer in self._cells())
        return state if self._away is None else _sent(state, _CPU)

    def forward(
        self, x: Ragged, state: tuple[tuple[State, ...], ...] | None = None, *, reset: Tensor | None = None
    ) -> tuple[Ragged, State]:
        """Forwards whole sequences; the state after each comes back, and may go in again.

        `reset` [steps] bool marks steps before which every state goes back to the initial one.
        """
        expect_ragged(x, self)
        if self._away is None:
            return self._forward(x, state, reset)
        reset = None if reset is None else reset.to(self._away)
        y, after = self._forward(_steps_sent(x, self._away), _sent(state, self._away), reset)
        return _steps_sent(y, _CPU), _sent(after, _CPU)

    def _forward(self, x: Ragged, state: State, reset: Tensor | None) -> tuple[Ragged, State]:
        after, given = [], x.rows if isinstance(x, Indexed) else x.values
        with self._narrowed(given):
            for index, layer in enumerate(self._cells()):
                before = [None] * len(layer) if state is None else state[index]
                runs = [cell(x, start, reset=reset) for cell, start in zip(layer, before, strict=True)]
                x = runs[0][0] if len(runs) == 1 else x.with_values(torch.cat([y.values for y, _ in runs], dim=1))
                x = self.dropout(x)
                after.append(tuple(last for _, last in runs))
        return self._widened(x, given), tuple(after)

    def step(self, x: Tensor, state: tuple[tuple[State, ...], ...]) -> tuple[Tensor, State]:
        """Forwards one step of each sequence, [sequences, inputs]; for evaluation: no dropout. One direction only."""
        self._check_steps()
        if self._away is None:
            return self._step(x, state)
        y, after = self._step(x.to(self._away), _sent(state, self._away))
        return y.to(_CPU), _sent(after, _CPU)

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        after, given = [], x
        with self._narrowed(given):
            for layer, (before,) in zip(self._cells(), state, strict=True):
                x, last = layer[0].step(x, before)
                after.append((last,))
        return x if self.precision == "float32" else x.to(given.dtype), tuple(after)

    def cell_states(
        self, x: Ragged, state: tuple[tuple[State, ...], ...] | None = None
    ) -> tuple[tuple[Ragged, ...], ...]:
        """c_t at every step, [steps, hidden], of each layer and direction of an LSTM; differentiable, without dropout.

        They are recomputed in plain torch after a pass of the layers, which takes longer than `forward`. Raises
        ``OptionError`` for other cells.

        >>> encoder, x = Encoder(3, 4, layers=2), Ragged.of([torch.randn(5, 3), torch.randn(2, 3)])
        >>> (first,), (second,) = encoder.cell_states(x)
        >>> second
        Ragged(sequences=2, steps=7, width=4, dtype=float32)
        """
        expect_ragged(x, self)
        found = []
        for index, layer in enumerate(self._cells()):
            before = [None] * len(layer) if state is None else state[index]
            states, ys = [], []
            for cell, start in zip(layer, before, strict=True):
                ys.append(cell(x, start)[0])
                states.append(cell.cell_states(x, ys[-1], start))
            found.append(tuple(states))
            x = ys[0] if len(ys) == 1 else x.with_values(torch.cat([y.values for y in ys], dim=1))
        return tuple(found)

    def stepper(self, sequences: int = 1, weights: str = "float32", threads: int | None = None) -> Stepper:
        """A compiled stream of steps through all layers, in evaluation, with the weights as they are now: see
        ``elman.ops.stepper.Stepper``. One direction only. States and sums are float32 whatever `precision` says."""
        self._check_steps()
        layers = [cell.step_layer() for (cell,) in self._cells()]
        return Stepper(layers, self.initial_state(1), sequences, weights, threads)

    def _check_steps(self) -> None:
        if self.bidirectional:
            raise OptionError(
                "a bidirectional encoder cannot step: its second direction starts at the last step, which is yet to "
                "come. Train with ",
                option("bidirectional", False),
                " to stream.",
            )

    def _narrowed(self, values: Tensor) -> AbstractContextManager[object]:
        """What the layers run in. An autocast of the caller's stays in force."""
        if self.precision == "float32":
            return nullcontext()
        if values.device.type != "cpu":
            raise OptionError(
                f"precision = {self.precision!r} runs on the CPU only, got values on {values.device}. Leave it at "
                "'float32' there."
            )
        return torch.autocast("cpu", torch.bfloat16)

    def _widened(self, y: Ragged, like: Tensor) -> Ragged:
        return y if self.precision == "float32" else y.with_values(y.values.to(like.dtype))

    def _cells(self) -> list[list[Cell]]:
        layers = [layer for layer in self.layers if isinstance(layer, nn.ModuleList)]
        return [[cell for cell in layer if isinstance(cell, Cell)] for layer in layers]


def precisions(cell: str) -> tuple[str, ...]:
    """What a cell of ``CELLS`` can multiply in.

    >>> precisions("gru")
    ('float32', 'bfloat16')
    """
    return PRECISIONS if CELLS[cell].narrows else PRECISIONS[:1]


def _sent(state: State, device: torch.device) -> State:
    return mapped(lambda part: part.to(device), state)


def _steps_sent(x: Ragged, device: torch.device) -> Ragged:
    if isinstance(x, Indexed):
        return Indexed(x.rows.to(device), Ragged(x.index.to(device), x.offsets))
    return x.with_values(x.values.to(device))


def _widths(hidden: Any, layers: int) -> list[int]:
    check_whole("layers", layers, MOST_LAYERS)
    if isinstance(hidden, str) or not hasattr(hidden, "__len__"):
        check_whole("hidden", hidden, MOST)
        return [hidden] * layers
    if len(hidden) == 0 or layers not in (1, len(hidden)):
        raise OptionError(
            f"hidden lists {len(hidden)} widths and layers is {layers}. Give one width, or one per layer."
        )
    return list(hidden)
