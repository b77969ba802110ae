"""One recurrent layer, ours and theirs, with equal weights and equal data: the sides of most rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence
from workers import NotThereError, Side

import elman
from elman import Ragged
from elman.ops import functional as ops

PEERS: dict[str, Any] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
LAYERS: dict[str, Any] = {"LSTM": elman.nn.LSTM, "GRU": elman.nn.GRU, "RNN": elman.nn.RNN}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class Layer:
    """One row's job."""

    cell: str
    lengths: tuple[int, ...]
    inputs: int
    hidden: int
    bidirectional: bool = False
    training: bool = True  # forward, backward, gradient of the inputs; otherwise forward under no_grad
    bf16: bool = False  # under torch.autocast("cpu", torch.bfloat16)
    threads: int = 2

    @property
    def work(self) -> float:
        """Operations on real steps: 2 N g H (I + H), three times that for training."""
        products = (3 if self.training else 1) * (2 if self.bidirectional else 1) * GATES[self.cell] * self.hidden
        return float(products * 2 * sum(self.lengths) * (self.inputs + self.hidden))


def ragged_lengths(sequences: int = 32, longest: int = 1000) -> tuple[int, ...]:
    """Log-normal lengths, mean 215: exp(0.6 randn + 5.2), clipped to 10 ... 1000, seed 0."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.exp(0.6 * torch.randn(max(32, sequences), generator=generator) + 5.2)
    return tuple(drawn.clamp(10, longest).long().tolist()[:sequences])


def parts(layer: Layer) -> tuple[Any, list[Tensor]]:
    """The torch module and the sequences, the same for every side."""
    torch.set_num_threads(layer.threads)
    torch.manual_seed(0)
    peer = PEERS[layer.cell](layer.inputs, layer.hidden, batch_first=True, bidirectional=layer.bidirectional)
    return peer, [torch.randn(length, layer.inputs) for length in layer.lengths]


def ours(layer: Layer, memory: str = "") -> Side:
    """The compiled layer on a Ragged."""
    peer, sequences = parts(layer)
    try:
        made = LAYERS[layer.cell](
            layer.inputs,
            layer.hidden,
            batch_first=True,
            bidirectional=layer.bidirectional,
            **({"memory": memory} if memory else {}),
        )
    except TypeError as error:
        raise NotThereError("not built yet") from error
    made.load_state_dict(peer.state_dict())
    x = Ragged.of(sequences)
    leaf = x.values.requires_grad_(layer.training)

    def forward() -> Tensor:
        y: Tensor = made(x.with_values(leaf))[0].values
        return y

    if layer.bf16 and not ops.info()["bfloat16"]:
        raise NotThereError("no bfloat16 here")
    return _side(layer, made, forward, leaf, torch.ones(sum(layer.lengths), width(layer)))


def padded(layer: Layer, whole_bf16: bool = False) -> Side:
    """torch.nn's layer on a padded tensor. Its reversed direction reads the padding: nothing to compare then."""
    peer, sequences = parts(layer)
    real = _real(layer)
    leaf = pad_sequence(sequences, batch_first=True)
    if whole_bf16:  # without autocast: weights and data are bfloat16
        peer, leaf = peer.bfloat16(), leaf.bfloat16()
    leaf.requires_grad_(layer.training)

    def forward() -> Tensor:
        y: Tensor = peer(leaf)[0]
        return y

    dy = real[:, :, None].expand(-1, -1, width(layer)).contiguous().float()
    ragged = len(set(layer.lengths)) > 1
    comparable = not (layer.bidirectional and ragged)
    return _side(layer, peer, forward, leaf, dy, real if comparable else None)


def packed(layer: Layer) -> Side:
    """torch.nn's layer on a packed sequence, packing included."""
    peer, sequences = parts(layer)
    lengths, real = torch.tensor(layer.lengths), _real(layer)
    leaf = pad_sequence(sequences, batch_first=True).requires_grad_(layer.training)

    def pack() -> PackedSequence:
        return pack_padded_sequence(leaf, lengths, batch_first=True, enforce_sorted=False)

    def forward() -> Tensor:
        y: Tensor = peer(pack())[0].data
        return y

    def read(y: Tensor) -> Tensor:
        if y.dim() == 3:  # the gradient of the padded inputs
            return y[real]
        return pad_packed_sequence(pack()._replace(data=y), batch_first=True)[0][real]

    return _side(layer, peer, forward, leaf, torch.ones(sum(layer.lengths), width(layer)), read)


def width(layer: Layer) -> int:
    return layer.hidden * (2 if layer.bidirectional else 1)


def _real(layer: Layer) -> Tensor:
    """Which places of a padded tensor hold a step."""
    return torch.arange(max(layer.lengths)) < torch.tensor(layer.lengths)[:, None]


def _side(
    layer: Layer,
    module: nn.Module,
    forward: Callable[[], Tensor],
    leaf: Tensor,
    dy: Tensor,
    read: Tensor | Callable[[Tensor], Tensor] | None = lambda y: y,
) -> Side:
    """`read` takes the real steps out of a result: a mask, or a function; None: not to be compared."""

    def cast() -> Any:
        return torch.autocast("cpu", torch.bfloat16) if layer.bf16 and leaf.dtype == torch.float32 else nullcontext()

    def infer() -> Tensor:
        with torch.no_grad(), cast():
            return forward()

    def gradients() -> Tensor:
        nonlocal dy
        with cast():
            y = forward()
        dy = dy.to(y.dtype)
        y.backward(dy)
        return y

    def train() -> None:
        gradients()
        leaf.grad = None
        for weight in module.parameters():
            weight.grad = None

    def answer() -> Any:
        found = [gradients(), leaf.grad] if layer.training else [infer()]
        taken = [(part[read] if isinstance(read, Tensor) else read(part)).detach().float() for part in found]
        return torch.cat([part.flatten() for part in taken]).numpy()

    return Side(train if layer.training else infer, answer if read is not None else None)
