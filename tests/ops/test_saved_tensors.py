"""What training keeps, as torch sees it: hooks, checkpoints, graphs that are kept; and gradients in a batch."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from agree import close, same_bits
from elman import nn
from elman.layers.attention import attend
from elman.layers.sampled_softmax import Candidates, nll
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import CELLS, TWINS

OFFSETS = torch.tensor([0, 3, 3, 8])
Call = Callable[[Tensor], Tensor]


def layer_case(name: str, **options: Any) -> tuple[Call, list[Tensor]]:
    layer = TWINS[name].drop_in(3, 4, num_layers=2, bidirectional=True, **options)
    return lambda x: layer(x[None])[0], list(layer.parameters())


def cell_case(name: str, **options: Any) -> tuple[Call, list[Tensor]]:
    cell = CELLS[name].make(3, 4, **options)
    return lambda x: cell(Ragged._trusted(x, OFFSETS))[0].values, list(cell.parameters())


def linear_case() -> tuple[Call, list[Tensor]]:
    weight, bias = torch.randn(2, 3, requires_grad=True), torch.randn(2, requires_grad=True)
    return lambda x: ops.linear(x, weight, bias), [weight, bias]


def attend_case() -> tuple[Call, list[Tensor]]:
    keys = torch.randn(8, 3, requires_grad=True)
    return lambda x: attend(Ragged._trusted(x, OFFSETS), Ragged._trusted(keys, OFFSETS))[0].values, [keys]


def surprise_case() -> tuple[Call, list[Tensor]]:
    weight, bias = torch.randn(5, 3, requires_grad=True), torch.zeros(5, requires_grad=True)
    among = Candidates(torch.arange(5), torch.tensor([2, 0, 2, 1, 4, 3, 0, 1]), torch.zeros(5))
    return lambda x: nll(x, weight, bias, among)[None], [weight, bias]


CASES: dict[str, Callable[[], tuple[Call, list[Tensor]]]] = {
    **{f"layer {name}": (lambda name=name: layer_case(name)) for name in TWINS},
    "layer recomputed": lambda: layer_case("lstm", checkpointing=True),
    **{name: (lambda name=name: cell_case(name)) for name in CELLS},
    **{f"{name} recomputed": (lambda name=name: cell_case(name, checkpointing=True)) for name in ("gru", "lru")},
    **{
        f"pool {kind}": (
            lambda kind=kind: (
                lambda x: ops.pool(kind, x, OFFSETS, x[:, 0] if kind == "attention" else None),
                [],
            )
        )
        for kind in ("mean", "max", "attention")
    },
    "linear": linear_case,
    "attend": attend_case,
    "nll": surprise_case,
}
cases = pytest.mark.parametrize("name", CASES)


def case(name: str) -> tuple[Call, list[Tensor], Tensor]:
    call, parameters = CASES[name]()
    x = torch.randn(8, 3, requires_grad=True)
    return call, [x, *parameters], x


def gradients(y: Tensor, leaves: list[Tensor], **options: Any) -> tuple[Tensor, ...]:
    return torch.autograd.grad(y.square().sum(), leaves, **options)


class Seen:
    """Hooks that replace whatever is saved by a copy, and know what they replaced."""

    def __init__(self) -> None:
        self.bytes, self.tensors = 0, []  # type: ignore[var-annotated]

    def pack(self, tensor: Tensor) -> Tensor:
        self.bytes += tensor.nbytes
        self.tensors.append(weakref.ref(tensor))
        return tensor.clone()


def alive(kept: Any) -> int:
    """Bytes of the tensors that a graph reaches through attributes of its nodes, whatever hooks did."""
    found, todo, seen = 0, [kept.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        values = list(getattr(node, "__dict__", {}).values())
        while values:
            value = values.pop()
            if isinstance(value, Tensor):
                found += value.nbytes
            elif isinstance(value, list | tuple):
                values += value
        todo += [following for following, _ in node.next_functions]
    return found


@cases
def test_hooks_see_everything(name: str) -> None:
    """Nothing is held beside what a hook may move away; and what it gives back is what is used."""
    call, leaves, x = case(name)
    expected, seen = gradients(call(x), leaves), Seen()
    with saved_tensors_hooks(seen.pack, lambda tensor: tensor):
        y = call(x)
    assert alive(y) == 0
    assert seen.bytes > 0
    assert same_bits(gradients(y, leaves), expected)
    with save_on_cpu():
        y = call(x)
    assert same_bits(gradients(y, leaves), expected)


@pytest.mark.parametrize("name", TWINS)
def test_a_layer_saves_its_gates_where_hooks_see_them(name: str) -> None:
    layer, seen = TWINS[name].drop_in(3, 16), Seen()
    with saved_tensors_hooks(seen.pack, lambda tensor: tensor):
        layer(torch.randn(50, 2, 3))
    assert seen.bytes >= 100 * 16 * 4 * (1 + {"lstm": 5, "gru": 4}.get(name, 1))  # y, the gates, and c


@cases
def test_a_checkpoint_frees_what_is_saved(name: str) -> None:
    call, leaves, x = case(name)
    expected = gradients(call(x), leaves)
    y = checkpoint(call, x, use_reentrant=False)
    gc.collect()
    assert alive(y) == 0
    for keep in (True, False):
        assert same_bits(gradients(y, leaves, retain_graph=keep), expected)


@cases
def test_a_graph_that_is_kept(name: str) -> None:
    """As often as one likes; and once more after that is refused, as ever."""
    call, leaves, x = case(name)
    y = call(x)
    first = gradients(y, leaves, retain_graph=True)
    for keep in (True, False):
        assert same_bits(gradients(y, leaves, retain_graph=keep), first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        gradients(y, leaves)


def test_hooks_of_others_are_not_written_into() -> None:
    """The gates are turned into their gradients where they lie, but not where a hook may show them to others."""
    layer, store = nn.LSTM(3, 4), []

    def pack(tensor: Tensor) -> int:
        store.append(tensor)
        return len(store) - 1

    with saved_tensors_hooks(pack, store.__getitem__):
        y, _ = layer(torch.randn(5, 2, 3))
    before = [tensor.detach().clone() for tensor in store]
    y.sum().backward()
    assert all(same_bits(a, b) for a, b in zip(store, before, strict=True) if a.is_floating_point())


@cases
def test_gradients_in_a_batch(name: str) -> None:
    """is_grads_batched, jacobian(vectorize=True) and torch.func.vmap, each as one gradient after another."""
    call, leaves, x = case(name)
    y = call(x)
    given = torch.randn(3, *y.shape)
    each = [torch.autograd.grad(y, leaves, d, retain_graph=True) for d in given]
    expected = [torch.stack(parts) for parts in zip(*each, strict=True)]
    found = torch.autograd.grad(y, leaves, given, retain_graph=True, is_grads_batched=True)
    assert all(close(a, b, torch.float32) for a, b in zip(found, expected, strict=True))
    found = torch.func.vmap(lambda d: torch.autograd.grad(y, leaves, d, retain_graph=True))(given)
    assert all(close(a, b, torch.float32) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_a_jacobian_after_accelerate(name: str) -> None:
    layer, x = getattr(torch.nn, name)(3, 4).double(), torch.randn(2, 2, 3, dtype=torch.float64)

    def call(x: Tensor) -> Tensor:
        y = layer(x if isinstance(layer, torch.nn.RNNBase) else x[0])
        return y[0] if isinstance(y, tuple) else y

    found = []
    for _ in range(2):
        found.append(torch.autograd.functional.jacobian(call, x, vectorize=True))
        nn.accelerate(layer)
    assert close(found[1], found[0], torch.float64)
    hessian = torch.autograd.functional.hessian(lambda x: call(x).square().sum(), x, vectorize=True)
    assert close(hessian, torch.autograd.functional.hessian(lambda x: call(x).square().sum(), x), torch.float64)
