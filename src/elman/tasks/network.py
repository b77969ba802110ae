"""What the tasks that read columns train: from steps to one row per sequence, and from rows to answers.

e_t = input layer(x_t)                         the vector of a symbol, or the numbers as they are
e = convolution(e)                             where there are `channels`: convolution.py
h_1 ... h_T = encoder(e_1 ... e_T)
answer = A pool(h_1 ... h_T) + b               one row for each sequence
answer_t = A h_t + b                           with every_step: one for each step
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman import store
from elman.batches import batches
from elman.encoder import Encoder
from elman.features import Feature
from elman.heads import Linear, Pool
from elman.ragged import Ragged
from elman.stream import flat, nested
from elman.tasks.columns import ColumnTask

__all__ = ["Network", "NetworkStepper", "Path", "answers"]

_STEPS = 1 << 16  # steps in a batch of prediction: bounds the memory, the answers do not depend on it


class Path(nn.Module):
    """What reads one kind of steps: input layer, convolution, encoder, and a pool for one answer per sequence.

    >>> from elman.features import Numbers
    >>> from elman.tasks import Classifier
    >>> path = Path(Numbers().fit([[1.0, 2.0]]), Classifier(hidden=4))
    >>> path(Ragged.of([torch.randn(5, 1), torch.randn(0, 1)])).shape
    torch.Size([2, 4])
    """

    def __init__(self, feature: Feature, options: ColumnTask, pooled: bool = True) -> None:
        super().__init__()
        read: Any = feature.module(int(options.embed), float(options.symbol_dropout))
        self.input = read
        self.front = options.front(read.outputs, feature)
        inputs = read.outputs if self.front is None else self.front.outputs
        self.encoder = options.encoder(inputs, getattr(read, "image", (1, 1)))
        self.pool = Pool(options.pool, self.encoder.outputs) if pooled else None
        self.outputs = self.encoder.outputs if self.pool is None else self.pool.outputs

    def forward(self, x: Ragged) -> Tensor:
        """Whole sequences to one row each; without a pool to one row per step."""
        y, _ = self.steps(x)
        return y.values if self.pool is None else self.pool(y)

    def steps(self, x: Ragged, state: Any = None) -> tuple[Ragged, Any]:
        """What the encoder makes of every step, and its state afterwards."""
        x = self.input(x)
        y, after = self.encoder(x if self.front is None else self.front(x), state)
        return y, after


class Network(nn.Module):
    """A path, dropout and a linear layer: [sequences, outputs], or [steps, outputs] with `every_step`.

    >>> from elman.features import Numbers
    >>> from elman.tasks import Classifier
    >>> network = Network(Numbers().fit([[1.0, 2.0]]), 3, options=Classifier(hidden=4))
    >>> network(Ragged.of([torch.randn(5, 1), torch.randn(0, 1)])).shape
    torch.Size([2, 3])
    """

    def __init__(self, feature: Feature, outputs: int, options: ColumnTask, every_step: bool = False) -> None:
        super().__init__()
        self.every_step = every_step
        self.path = Path(feature, options, pooled=not every_step)
        self.dropout = nn.Dropout(options.head_dropout)
        self.head = Linear(self.path.outputs, outputs)

    @property
    def input(self) -> Any:
        """The input layer."""
        return self.path.input

    @property
    def encoder(self) -> Encoder:
        """The layers that remember."""
        return self.path.encoder

    @property
    def pool(self) -> Pool:
        """What makes one row of all steps."""
        assert self.path.pool is not None
        return self.path.pool

    def forward(self, x: Ragged) -> Tensor:
        """Whole sequences to their answers."""
        answers: Tensor = self.head(self.dropout(self.path(x)))
        return answers

    def steps(self, x: Ragged, state: Any) -> tuple[Tensor, Any]:
        """The answers at every step of sequences that go on from a state, and the state afterwards."""
        y, after = self.path.steps(x, state)
        return self.head(self.dropout(y.values)), after


@torch.no_grad()
def answers(network: Network, data: Ragged, outputs: int) -> NDArray[np.float64]:
    """What a network says, float64 [rows, outputs]. A sequence's bits do not depend on the batch it falls into."""
    made = torch.zeros(data.steps if network.every_step else len(data), outputs, dtype=torch.float64)
    done = 0
    for chosen in batches(data.lengths, _STEPS) if len(data) else []:
        rows = network(data[int(chosen[0]) : int(chosen[-1]) + 1])
        made[done : done + len(rows)] = rows
        done += len(rows)
    return made.numpy()


class NetworkStepper:
    """A network one step at a time; `Session` keeps the state. What is left open is `answer`."""

    def __init__(self, feature: Feature, network: Network) -> None:
        self.feature, self.network = feature, network
        self.start = network.encoder.initial_state(1)
        front = network.path.front
        self.front = () if front is None else tuple((layer,) for layer in front.initial_state())

    def read(self, value: Any, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The steps in what a caller feeds, and the state once they were read: a gap may be filled by what came."""
        steps, after = self.feature.advance(value, store.under("feature.", state), name="steps")
        return steps, state | {f"feature.{key}": tensor for key, tensor in after.items()}

    def initial_state(self) -> dict[str, Tensor]:
        """The state before the first step."""
        kept = self._kept() | {f"feature.{key}": tensor for key, tensor in self.feature.initial_state().items()}
        layers = flat("encoder", self.start) | flat("front", self.front)
        return {"steps": torch.zeros(1, dtype=torch.int64), **kept, **layers}

    @torch.no_grad()
    def advance(self, steps: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps."""
        x, front = self._walk(Ragged(steps, torch.tensor([0, len(steps)])), state)
        y, after = self.network.encoder(x, nested("encoder", state, self.start))
        kept = {key: tensor for key, tensor in state.items() if key.startswith("feature.")}
        kept |= self._after(y.values, state)
        return {"steps": state["steps"] + len(steps), **kept, **flat("encoder", after), **front}

    def _walk(self, steps: Ragged, state: dict[str, Tensor]) -> tuple[Ragged, dict[str, Tensor]]:
        """What reaches the encoder of some steps: with a stride maybe nothing yet; and the state of the convolution."""
        x: Ragged = self.network.input(steps)
        if self.network.path.front is None:
            return x, {}
        before = tuple(layer for (layer,) in nested("front", state, self.front))
        values, after = self.network.path.front.advance(x.values, before)
        return Ragged(values, torch.tensor([0, len(values)])), flat("front", [(layer,) for layer in after])

    def row(self, state: dict[str, Tensor]) -> Tensor:
        """What the network says in a state: float64 [1, outputs]."""
        pool = self.network.path.pool
        answers: Tensor = self.network.head(state["last"] if pool is None else pool.read(state["pool"]))
        return answers.double()

    def _kept(self) -> dict[str, Tensor]:
        """What is remembered of h before the first step: what the pool needs, or h itself."""
        pool = self.network.path.pool
        if pool is None:
            return {"last": torch.zeros(1, self.network.path.outputs)}
        return {"pool": pool.initial_state(1)}

    def _after(self, y: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        pool = self.network.path.pool
        if pool is None:
            return {"last": y[-1:].clone()}
        pooled = state["pool"]
        for row in y.split(1) if len(y) else ():
            _, pooled = pool.step(row, pooled)
        return {"pool": pooled}
