"""What a caller writes in place into what goes through a layer: the gradient stays right, or torch refuses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from agree import close
from elman import nn
from elman.layers.attention import attend
from elman.layers.sampled_softmax import Candidates, nll
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import CELLS, DTYPES, TWINS

OFFSETS = torch.tensor([0, 3, 3, 8])
WHERE = ["output", "last", "input", "state"]
REFUSED = "modified by an inplace operation"


def tensors(thing: Any) -> list[Tensor]:
    return [thing] if isinstance(thing, Tensor) else [t for part in thing for t in tensors(part)]


def run(call: Callable[..., Any], where: str, in_place: bool, x: Tensor, state: list[Tensor]) -> Tensor:
    """A loss around ``call(x, state)``, which gives its output and its last state, after a change to one of the four.

    What is written into the input and the state has no gradient: the loss is the same with and without it.
    """
    x, state = x * 1, [part * 1 for part in state]
    y, last = call(x, state)
    last = tensors(last)
    if where == "output":
        y = y.mul_(2) if in_place else y * 2
    elif where == "last":
        last = [part.mul_(2) if in_place else part * 2 for part in last]
    elif in_place:
        with torch.no_grad():
            if where == "input":
                x.fill_(7.0)
            for part, new in zip(state, last, strict=False) if where == "state" else ():
                part.copy_(new if new.shape == part.shape else torch.ones_like(part))
    return y.pow(2).sum() + torch.stack([part.pow(2).sum() for part in last]).sum()


def gradients(call: Callable[..., Any], where: str, in_place: bool, leaves: list[Tensor], given: Any) -> Tensor:
    found = torch.autograd.grad(run(call, where, in_place, *given), leaves, allow_unused=True)
    return torch.cat([part.flatten() for part in found if part is not None])


# ------------------------------------------------------------------------------------------- layers of torch's form


def layer_case(layer: Any, batch_first: bool, sequences: int, length: int) -> tuple[Any, list[Tensor], Any]:
    dtype, lstm = layer.weight_ih_l0.dtype, layer.mode == "LSTM"
    x = torch.randn(sequences, length, 3, dtype=dtype, requires_grad=True)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    state = [torch.randn(rows, sequences, 4, dtype=dtype, requires_grad=True) for _ in range(2 if lstm else 1)]

    def call(x: Tensor, state: list[Tensor]) -> Any:
        return layer(x if batch_first else x.transpose(0, 1), tuple(state) if lstm else state[0])

    return call, [x, *state, *layer.parameters()], (x, state)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("sequences", "length"), [(2, 5), (1, 5), (2, 1)])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("accelerated", [True, False])
@pytest.mark.parametrize("name", TWINS)
def test_layers_train(name: str, accelerated: bool, batch_first: bool, sequences: int, length: int, where: str) -> None:
    """Where torch's layers do (all but the oneDNN LSTM let the output be written in), and more."""
    for dtype, options in zip(DTYPES, ({}, {"num_layers": 2, "bidirectional": True}), strict=True):
        make = TWINS[name].torch if accelerated else TWINS[name].drop_in
        layer = make(3, 4, batch_first=batch_first, dtype=dtype, **options)
        nn.accelerate(layer)
        case = layer_case(layer, batch_first, sequences, length)
        assert close(gradients(case[0], where, True, *case[1:]), gradients(case[0], where, False, *case[1:]), dtype)


@pytest.mark.parametrize(
    "change",
    [
        lambda y, x: y.masked_fill_(torch.tensor([[True, False, True], [False] * 3])[..., None], 0),
        lambda y, x: y.add_(x),
        lambda y, x: torch.nn.functional.relu(y, inplace=True),
        lambda y, x: y[:, 1:].mul_(3),
    ],
)
@pytest.mark.parametrize("cls", [torch.nn.GRU, torch.nn.RNN, torch.nn.LSTM])
def test_a_model_that_trained_trains_after_accelerate(cls: type[torch.nn.RNNBase], change: Any) -> None:
    layer, found = cls(4, 4, batch_first=True, dtype=torch.float64), []
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    for _ in range(2):
        y, _ = layer(x)
        change(y, x)
        found.append(torch.autograd.grad(y.square().sum(), list(layer.parameters())))
        nn.accelerate(layer)
    assert all(close(b, a, torch.float64) for a, b in zip(*found, strict=True))


def test_the_result_of_a_layer_is_contiguous_and_nobody_elses() -> None:
    for batch_first in (True, False):
        for shape in ((2, 5, 3), (1, 5, 3), (2, 1, 3)):
            y, _ = nn.GRU(3, 4, batch_first=batch_first)(torch.randn(shape))
            assert y.is_contiguous()


# --------------------------------------------------------------------------------------------- our cells, operators


def cell_case(name: str, units: int = 4) -> tuple[Any, list[Tensor], Any]:
    cell = CELLS[name].make(3, units)
    x = torch.randn(8, 3, requires_grad=True)
    state = [part.detach().clone().normal_().requires_grad_() for part in cell.initial_state(3)]

    def call(x: Tensor, state: list[Tensor]) -> Any:
        y, last = cell(Ragged._trusted(x, OFFSETS), cell.state_type(*state))
        return y.values, last

    return call, [x, *state, *cell.parameters()], (x, state)


def pool_case(kind: str) -> tuple[Any, list[Tensor], Any]:
    x = torch.randn(8, 3, requires_grad=True)
    state = [torch.randn(8, requires_grad=True)] if kind == "attention" else []
    return lambda x, state: (ops.pool(kind, x, OFFSETS, *state), [x.sum()]), [x, *state], (x, state)


def linear_case() -> tuple[Any, list[Tensor], Any]:
    weight, bias, x = (torch.randn(*shape, requires_grad=True) for shape in ((2, 3), (2,), (8, 3)))
    return lambda x, state: (ops.linear(x, weight, bias), [x.sum()]), [x, weight, bias], (x, [])


def attention_case() -> tuple[Any, list[Tensor], Any]:
    keys, x = torch.randn(8, 3, requires_grad=True), torch.randn(8, 3, requires_grad=True)

    def call(x: Tensor, state: list[Tensor]) -> Any:
        seen, shares = attend(Ragged._trusted(x, OFFSETS), Ragged._trusted(state[0], OFFSETS))
        return seen.values, shares

    return call, [x, keys], (x, [keys])


def surprise_case() -> tuple[Any, list[Tensor], Any]:
    weight, bias, x = (torch.randn(*shape, requires_grad=True) for shape in ((5, 3), (5,), (4, 3)))
    among = Candidates(torch.arange(5), torch.tensor([2, 0, 2, 1]), torch.zeros(5))
    return lambda x, state: (nll(x, weight, bias, among), [x.sum()]), [x, weight, bias], (x, [])


CASES: dict[str, Callable[[], tuple[Any, list[Tensor], Any]]] = {
    **{name: (lambda name=name: cell_case(name)) for name in CELLS},
    **{f"pool {kind}": (lambda kind=kind: pool_case(kind)) for kind in ("mean", "max", "attention")},
    "linear": linear_case,
    "attention": attention_case,
    "nll": surprise_case,
}


def outcome(call: Any, where: str, *rest: Any) -> Tensor | str:
    """The gradient after a change in place, or that it was refused."""
    try:
        return gradients(call, where, True, *rest)
    except Exception as error:
        if REFUSED not in str(error):
            raise
        return REFUSED


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", CASES)
def test_what_is_saved_is_watched(name: str, where: str) -> None:
    case = CASES[name]()
    found = outcome(case[0], where, *case[1:])
    assert isinstance(found, str) or close(found, gradients(case[0], where, False, *case[1:]), torch.float32)


# --------------------------------------------------------------------------------------------------- compiled graphs


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        yield
    torch._dynamo.reset()


def compiled(call: Any, where: str, backend: str = "aot_eager") -> Any:
    """`run` on `call` as one graph."""
    try:
        return torch.compile(lambda x, state: run(call, where, True, x, state), backend=backend)
    except RuntimeError as error:  # no torch.compile for this Python
        pytest.skip(f"NOT TESTED: torch.compile is unavailable here ({error})")


@pytest.mark.filterwarnings("ignore")  # torch's compilers warn of what they do themselves
@pytest.mark.parametrize("where", ["output", "input", "state"])
@pytest.mark.parametrize(("name", "backend"), [("gru", "aot_eager"), ("lstm", "eager")])
def test_compiled_layers_train(name: str, backend: str, where: str) -> None:
    layer = TWINS[name].torch(3, 4, batch_first=True)
    nn.accelerate(layer)
    call, leaves, given = layer_case(layer, True, 2, 5)
    found = torch.autograd.grad(compiled(call, where, backend)(*given), leaves)
    right = gradients(call, where, False, leaves, given)
    assert close(torch.cat([part.flatten() for part in found]), right, torch.float32)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("gru", "output"),
        ("gru", "state"),
        ("min_gru", "output"),
        ("lru", "input"),
        ("ln_lstm", "output"),
        ("pool max", "output"),
        ("attention", "input"),
    ],
)
def test_compiled_graphs_watch_what_is_saved(name: str, where: str) -> None:
    """As an eager call: the same gradient, or the same refusal."""
    call, leaves, given = CASES[name]()
    expected = outcome(call, where, leaves, given)
    graph = compiled(call, where)
    if isinstance(expected, str):
        with pytest.raises(Exception, match=REFUSED):
            torch.autograd.grad(graph(*given), leaves)
        return
    found = torch.autograd.grad(graph(*given), leaves)
    right = gradients(call, where, False, leaves, given)
    assert close(torch.cat([part.flatten() for part in found]), right, torch.float32)
