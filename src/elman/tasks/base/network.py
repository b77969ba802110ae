"""The network of tasks with one answer per sequence or per step.

    e_t = input layer(x_t)                         an embedding, or the numbers as they are
    e = convolution(e)                             with `channels`: layers/convolution.py
    h_1 ... h_T = encoder(e_1 ... e_T)
    answer = A pool(h_1 ... h_T) + b               one row for each sequence
    answer_t = A h_t + b                           with every_step: one for each step

Aligned columns are concatenated at every step, each other column with steps has a path of its own, and static inputs
pass through a small layer. All rows are concatenated before the output layer:

    answer = A [pool(h), pool(h'), ..., relu(B static + c)] + b
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.cells.base import IMAGES
from elman.cells.compatibility import reads
from elman.errors import DataError, OptionError, option
from elman.features import Columns, Feature, Inputs
from elman.features.multi_input import MultiInput, groups_of
from elman.io import model_folder as store
from elman.layers.convolution import Convolution
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.layers.pooling import Pool
from elman.ragged import Ragged
from elman.tasks.base.resolve import PATH, Config, Summary, resolve
from elman.tasks.base.session import counted, flat, nested
from elman.tasks.base.word_vectors import start_from_vectors
from elman.training.batching import batches
from elman.validation.options import is_whole

FACTS = 32  # units of the layer for static inputs
_Scores = TypeVar("_Scores", NDArray[np.float64], Tensor)
_STEPS = 1 << 16  # steps in a batch of prediction: bounds the memory without changing the result


class Joined(nn.Module):
    """The input layers of aligned columns, concatenated at every step."""

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.outputs = sum(int(layer.outputs) for layer in layers)

    def forward(self, *parts: Ragged) -> Ragged:
        """The steps of each column to [steps, outputs]."""
        values = [layer(part).values for layer, part in zip(self.layers, parts, strict=True)]
        return parts[0].with_values(torch.cat(values, dim=1))


class StaticLayer(nn.Module):
    """The layer for static inputs: relu(B static + c), 32 units."""

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.mix = Linear(sum(int(layer.outputs) for layer in layers), FACTS)
        self.outputs = FACTS

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """The rows of each column to [sequences, outputs]."""
        static = torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)], dim=1)
        mixed: Tensor = self.mix(static)
        return mixed.relu()


class Path(nn.Module):
    """Input layer, convolution, encoder, and pooling for one answer per sequence.

    `features`: of one column, or of several aligned ones.

    >>> from elman.features import Numbers
    >>> from elman.tasks import Classifier
    >>> path = Path([Numbers().fit([[1.0, 2.0]])], Classifier(hidden=4).config())
    >>> path(Ragged.of([torch.randn(5, 1), torch.randn(0, 1)])).shape
    torch.Size([2, 4])
    """

    def __init__(self, features: Sequence[Feature], config: Config, pooled: bool = True) -> None:
        super().__init__()
        config = resolve(config, Summary(features=features), PATH)
        given = config.symbol_dropout
        dropout = [float((0.0 if f.is_alphabet else 0.4) if given is None else given) for f in features]
        layers: list[Any] = [f.module(int(config.embed), p) for f, p in zip(features, dropout, strict=True)]
        for each, layer in zip(features, layers, strict=True):
            start_from_vectors(config, each, layer)
        read = layers[0] if len(layers) == 1 else Joined(layers)
        self.input = read
        self.front = _front(config, read.outputs, features[-1])
        inputs = read.outputs if self.front is None else self.front.outputs
        self.encoder = encoder_of(config, inputs, image=getattr(read, "image", (1, 1)))
        self.pool = Pool(config.pool, self.encoder.outputs) if pooled else None
        self.outputs = self.encoder.outputs if self.pool is None else self.pool.outputs

    def forward(self, *x: Ragged) -> Tensor:
        """Whole sequences to one row each; without pooling to one row per step."""
        y, _ = self.steps(x)
        return y.values if self.pool is None else self.pool(y)

    def steps(self, x: Sequence[Ragged], state: Any = None) -> tuple[Ragged, Any]:
        """The hidden states of the encoder, and its last state."""
        e = self.input(*x)
        y, after = self.encoder(e if self.front is None else self.front(e), state)
        return y, after


def encoder_of(config: Config, inputs: int, **more: Any) -> Encoder:
    """The recurrent layers for steps of `inputs` numbers; `more`: further arguments of ``Encoder``."""
    hidden = config.hidden
    return Encoder(
        inputs,
        int(hidden) if is_whole(hidden) else [int(width) for width in hidden],
        config.cell,
        int(config.layers),
        bool(config.bidirectional),
        config.dropout,
        bool(config.checkpointing),
        config.precision,
        max_timescale=None if config.max_timescale is None else float(config.max_timescale),
        **more,
    )


def _front(config: Config, inputs: int, feature: Feature) -> Convolution | None:
    """The convolution before the recurrent layers, causal in unidirectional models.

    None without `channels`; if these are None, only for numbers without missing values.
    """
    signals = feature.is_signal and inputs == feature.value_width and reads(config.cell) != IMAGES
    default = config.channels_of_signals if signals else ()
    widths = [int(width) for width in (default if config.channels is None else np.atleast_1d(config.channels))]
    if not any(widths):
        return None
    return Convolution(inputs, widths, int(config.kernel), int(config.stride), causal=not config.bidirectional)


class Network(nn.Module):
    """Paths, dropout and a linear layer: [sequences, outputs], or [steps, outputs] with `every_step`.

    >>> from elman.features import Numbers
    >>> from elman.tasks import Classifier
    >>> network = Network(Numbers().fit([[1.0, 2.0]]), 3, Classifier(hidden=4).config())
    >>> network(Ragged.of([torch.randn(5, 1), torch.randn(0, 1)])).shape
    torch.Size([2, 3])
    """

    def __init__(self, feature: Feature | Columns, outputs: int, config: Config, every_step: bool = False) -> None:
        super().__init__()
        self.every_step = every_step
        groups, statics = feature.feature_groups(), list(feature.statics.values())
        if every_step and len(groups) > 1:
            raise OptionError(
                "every_step = True needs one kind of step, but not all columns are aligned: "
                f"{', '.join(feature.kinds)}. Leave some out with ",
                option("features", {"...": "skip"}),
                ".",
            )
        self.paths = nn.ModuleList(Path(features, config, pooled=not every_step) for features in groups)
        self.static = StaticLayer([static.module() for static in statics]) if statics else None
        self.dropout = nn.Dropout(config.head_dropout)
        width = sum(path.outputs for path in self._paths()) + (0 if self.static is None else self.static.outputs)
        self.head = Linear(width, outputs)

    def _paths(self) -> list[Path]:
        return [path for path in self.paths if isinstance(path, Path)]

    @property
    def path(self) -> Path:
        """The first path."""
        return self._paths()[0]

    @property
    def input(self) -> Any:
        """The input layer."""
        return self.path.input

    @property
    def inputs(self) -> list[nn.Module]:
        """The input layer of each column, or of columns of numbers side by side; those without steps come last."""
        layers = [list(p.input.layers) if isinstance(p.input, Joined) else [p.input] for p in self._paths()]
        return [layer for each in layers for layer in each] + ([] if self.static is None else list(self.static.layers))

    @property
    def encoder(self) -> Encoder:
        """The recurrent layers."""
        return self.path.encoder

    def forward(self, x: Ragged | MultiInput) -> Tensor:
        """Whole sequences to their answers."""
        rows = [path(*parts) for path, parts in zip(self._paths(), groups_of(x), strict=True)]
        return self.answer(rows, x)

    def steps(self, x: Ragged | MultiInput, state: Any) -> tuple[Tensor, Any]:
        """The answers at every step of sequences continued from a state, and the last state."""
        (parts,) = groups_of(x)
        y, after = self.path.steps(parts, state)
        return self.answer([y.values], x), after

    def answer(self, rows: Sequence[Tensor], x: Ragged | MultiInput) -> Tensor:
        """The answers from the rows of all paths and the static inputs of `x`."""
        if self.static is not None and isinstance(x, MultiInput):
            static = self.static(x.static)
            rows = [*rows, static[x.groups[0][0].segments] if self.every_step else static]
        answers: Tensor = self.head(self.dropout(rows[0] if len(rows) == 1 else torch.cat(list(rows), dim=1)))
        return answers


def in_batches(data: Ragged | MultiInput) -> Iterator[Any]:
    """The sequences in batches of bounded memory, in their order."""
    for chosen in batches(data.lengths, _STEPS) if len(data) else []:
        yield data[int(chosen[0]) : int(chosen[-1]) + 1]


@torch.no_grad()
def answers(network: Network, data: Ragged | MultiInput, outputs: int) -> NDArray[np.float64]:
    """The outputs of a network, float64 [rows, outputs], bitwise independent of the batches."""
    made = torch.zeros(data.steps if network.every_step else len(data), outputs, dtype=torch.float64)
    done = 0
    for part in in_batches(data):
        rows = network(part)
        made[done : done + len(rows)] = rows
        done += len(rows)
    return made.numpy()


def finite(scores: _Scores, infinite: bool = False) -> _Scores:
    """The scores, unchanged. Raises ``DataError`` for NaN, and unless `infinite` for infinities.

    Finite weights and inputs may overflow: a model folder may hold 3e38 for every weight.

    >>> finite(np.array([[0.5, 2.0]])).tolist()
    [[0.5, 2.0]]
    """
    found = np.asarray(scores)
    bad = np.isnan(found) if infinite else ~np.isfinite(found)
    if bad.any():
        value = found[bad].flat[0]
        raise DataError(
            f"the model answers {value} in place of a number: its weights, or the numbers that it reads, are too "
            "large. Look for huge values in the input; if there are none, train the model again."
        )
    return scores


def margin(z: Tensor, codes: Tensor) -> Tensor:
    """z[code] - mean of z[other classes], for rows z [rows, classes] and a code each.

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([1.5000])
    """
    own = z.gather(1, codes[:, None])[:, 0]
    return own - (z.sum(1) - own) / (z.shape[1] - 1)


class NetworkStepper:
    """Streaming of a unidirectional network; `Session` keeps the state.

    `read_answer` makes the answer of the outputs [1, outputs] and the number of steps, unless a subclass has its own
    `answer`. Raises ``OptionError`` for a bidirectional network.
    """

    def __init__(
        self,
        feature: Feature | Columns,
        network: Network,
        static: Mapping[str, Any] | None = None,
        read_answer: Callable[[NDArray[np.float64], int], Any] = lambda z, steps: z,
    ) -> None:
        if network.encoder.bidirectional:
            raise OptionError(
                "a bidirectional model cannot stream: its second direction starts at the last step, which is yet to "
                "come. Train with ",
                option("bidirectional", False),
                ".",
            )
        self.read_answer = read_answer
        self.feature = feature.only()
        self.network = network
        self.static = _static_rows(feature, static)
        self.start = network.encoder.initial_state(1)
        front = network.path.front
        self.front = () if front is None else tuple((layer,) for layer in front.initial_state())

    def read(self, value: Any, state: dict[str, Tensor]) -> tuple[Ragged, dict[str, Tensor]]:
        """The steps that a caller feeds, and the state after reading them, which imputation of gaps may need."""
        steps, after = self.feature.advance(value, store.under("feature.", state), name="steps")
        one = steps if isinstance(steps, Ragged) else Ragged(steps, torch.tensor([0, len(steps)]))
        return one, state | {f"feature.{key}": tensor for key, tensor in after.items()}

    def initial_state(self) -> dict[str, Tensor]:
        """The state before the first step."""
        kept = self._initial() | {f"feature.{key}": tensor for key, tensor in self.feature.initial_state().items()}
        layers = flat("encoder", self.start) | flat("front", self.front)
        return {"steps": torch.zeros(1, dtype=torch.int64), **kept, **layers}

    @torch.no_grad()
    def advance(self, steps: Ragged, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps."""
        x, front = self._walk(steps, state)
        y, after = self.network.encoder(x, nested("encoder", state, self.start))
        kept = {key: tensor for key, tensor in state.items() if key.startswith("feature.")}
        kept |= self._after(y.values, state)
        return {"steps": state["steps"] + steps.steps, **kept, **flat("encoder", after), **front}

    def _walk(self, steps: Ragged, state: dict[str, Tensor]) -> tuple[Ragged, dict[str, Tensor]]:
        """The steps that reach the encoder, with a stride maybe none yet, and the state of the convolution."""
        x: Ragged = self.network.input(steps)
        if self.network.path.front is None:
            return x, {}
        before = tuple(layer for (layer,) in nested("front", state, self.front))
        values, after = self.network.path.front.advance(x.values, before)
        return Ragged(values, torch.tensor([0, len(values)])), flat("front", [(layer,) for layer in after])

    def row(self, state: dict[str, Tensor]) -> Tensor:
        """The outputs of the network in a state: float64 [1, outputs]."""
        pool = self.network.path.pool
        row = state["last"] if pool is None else pool.read(state["pool"])
        one = Ragged(torch.zeros(1), torch.tensor([0, 1]))
        return self.network.answer([row], MultiInput([(one,)], self.static)).double()

    @torch.no_grad()
    def answer(self, state: dict[str, Tensor]) -> Any:
        """The answer in a state."""
        return self.read_answer(self.row(state).numpy(), counted(state))

    def _initial(self) -> dict[str, Tensor]:
        """The initial state beyond the encoder's: that of the pooling, or h itself."""
        pool = self.network.path.pool
        if pool is None:
            return {"last": torch.zeros(1, self.network.path.outputs)}
        return {"pool": pool.initial_state(1)}

    def _after(self, y: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        pool = self.network.path.pool
        if pool is None:
            return {"last": y[-1:].clone() if len(y) else state["last"]}
        pooled = state["pool"]
        for row in y.split(1) if len(y) else ():
            _, pooled = pool.step(row, pooled)
        return {"pool": pooled}


def _static_rows(feature: Feature | Columns, given: Mapping[str, Any] | None) -> list[Tensor]:
    """The static inputs of a streamed sequence; columns that are not given are missing."""
    statics = feature.statics
    if unknown := [name for name in given or {} if name not in statics]:
        known = ", ".join(map(repr, statics)) or "none"
        raise OptionError(f"static names {unknown[0]!r}, but the columns without steps are {known}.")
    one = Inputs({name: [(given or {}).get(name)] for name in statics}) if statics else None
    return [] if one is None else [s.transform(one.columns[name], name=name) for name, s in statics.items()]
