"""torch.nn's layers and ours: every kind of input, every option, the same answers, and all that torch does to a module.

tests/test_compile.py has torch.compile and torch.export.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from agree import TOLERANCE, close, distance, same_bits
from elman import nn
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import DTYPES, pairwise, ragged
from table import TWINS as CELLS

CHOICES = DTYPES, [1, 2], [False, True], [True, False], [False, True], [False, True]
OPTIONS = pairwise(list(CELLS), *CHOICES)
options = pytest.mark.parametrize(
    ("name", "dtype", "layers", "bidirectional", "bias", "batch_first", "with_state"), OPTIONS, ids=str
)


def pair(name: str, dtype: torch.dtype, **given: Any) -> tuple[torch.nn.RNNBase, torch.nn.RNNBase]:
    """Our layer and torch's, with the same parameters, through state_dict."""
    mine = CELLS[name].drop_in(5, 17, dtype=dtype, **given)
    theirs = CELLS[name].torch(5, 17, dtype=dtype, **given)
    assert not theirs.load_state_dict(mine.state_dict()).missing_keys
    assert not mine.load_state_dict(theirs.state_dict()).unexpected_keys
    return mine, theirs


def state_for(layer: torch.nn.RNNBase, sequences: int | None, dtype: torch.dtype) -> Any:
    shape = [layer.num_layers * (2 if layer.bidirectional else 1), *([] if sequences is None else [sequences])]
    h, c = (torch.randn(*shape, n, dtype=dtype, requires_grad=True) for n in (layer.proj_size or 17, 17))
    return (h, c) if layer.mode == "LSTM" else h


def tensors(thing: Any) -> list[Tensor]:
    """Every tensor of an answer, in order."""
    if isinstance(thing, PackedSequence):
        return [thing.data]
    if isinstance(thing, tuple):
        return [t for part in thing for t in tensors(part)]
    return [thing]


def agree(mine: Any, theirs: Any, ours: torch.nn.RNNBase, torchs: torch.nn.RNNBase, also: list[Tensor]) -> None:
    """The answers, and the gradients of parameters and inputs."""
    weights = [torch.randn_like(t) for t in tensors(theirs)]
    dtype = weights[0].dtype
    gradients = []
    for answer, layer in ((mine, ours), (theirs, torchs)):
        loss = sum((w * t).sum() for w, t in zip(weights, tensors(answer), strict=True))
        # both went through the same packing of x, which is needed twice
        gradients.append(torch.autograd.grad(loss, [*also, *layer.parameters()], retain_graph=True))
    for a, b in zip(tensors(mine), tensors(theirs), strict=True):
        assert close(a, b, dtype)
    size = torch.cat([b.flatten() for b in gradients[1]]).norm()
    for a, b in zip(*gradients, strict=True):
        assert (a - b).norm() <= TOLERANCE[dtype] * size


KINDS = ["batch", "alone", "packed", "packed_sorted"]


@options
@pytest.mark.parametrize("kind", KINDS)
def test_equals_torch(
    kind: str,
    name: str,
    dtype: torch.dtype,
    layers: int,
    bidirectional: bool,
    bias: bool,
    batch_first: bool,
    with_state: bool,
) -> None:
    given = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    compare(kind, *pair(name, dtype, **given), with_state)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("dtype", "layers", "bidirectional", "bias", "batch_first", "with_state", "checkpointing"),
    pairwise(*CHOICES, (False, True)),
    ids=str,
)
def test_projections_equal_torch(
    kind: str,
    dtype: torch.dtype,
    layers: int,
    bidirectional: bool,
    bias: bool,
    batch_first: bool,
    with_state: bool,
    checkpointing: bool,
) -> None:
    given: dict[str, Any] = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias}
    mine, theirs = pair("lstm", dtype, batch_first=batch_first, proj_size=7, **given)
    mine.checkpointing = checkpointing
    compare(kind, mine, theirs, with_state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CELLS)
def test_recomputing_equals_torch(kind: str, name: str) -> None:
    mine, theirs = pair(name, torch.float64, num_layers=2, bidirectional=True)
    again = CELLS[name].drop_in(5, 17, num_layers=2, bidirectional=True, dtype=torch.float64, checkpointing=True)
    again.load_state_dict(mine.state_dict())
    assert repr(again) == repr(mine)[:-1] + ", checkpointing=True)"
    assert copy.deepcopy(again).checkpointing == pickle.loads(pickle.dumps(again)).checkpointing
    compare(kind, again, theirs, with_state=True)


def compare(kind: str, mine: torch.nn.RNNBase, theirs: torch.nn.RNNBase, with_state: bool) -> None:
    """Results and gradients for an input of this kind."""
    dtype, batch_first = mine.weight_hh_l0.dtype, mine.batch_first
    x = torch.randn(4, 9, 5, dtype=dtype, requires_grad=True)
    given: Any = x
    if kind == "alone":
        given = x[0]
    elif kind == "packed":
        given = pack_sequence([x[0, :2], x[1, :9], x[2, :1], x[3, :9]], enforce_sorted=False)
    elif kind == "packed_sorted":
        given = pack_sequence([x[1, :9], x[3, :9], x[0, :2], x[2, :1]])
    sequences = None if kind == "alone" else given.size(0 if batch_first else 1) if kind == "batch" else 4
    hx = state_for(mine, sequences, dtype) if with_state else None
    found, expected = mine(given, hx), theirs(given, hx)
    assert type(found[0]) is type(expected[0])
    if kind == "batch" and not batch_first:
        assert found[0].is_contiguous()  # callers go on with .view(), as torch's answer allows
    if isinstance(given, PackedSequence):
        for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            a, b = getattr(found[0], field), getattr(expected[0], field)
            assert (a is None and b is None) or torch.equal(a, b)
    agree(found, expected, mine, theirs, [x, *(tensors(hx) if with_state else [])])


@options
def test_ragged_and_jagged_equal_each_sequence_through_torch(
    name: str, dtype: torch.dtype, layers: int, bidirectional: bool, bias: bool, batch_first: bool, with_state: bool
) -> None:
    mine, theirs = pair(name, dtype, num_layers=layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
    x = ragged([4, 1, 7], 5, dtype)
    hx = state_for(mine, 3, dtype) if with_state else None
    parts = [theirs(s, None if hx is None else pick(hx, i)) for i, s in enumerate(x)]
    expected = torch.cat([y for y, _ in parts])
    last = [torch.stack(each, dim=1) for each in zip(*[tensors(state) for _, state in parts], strict=True)]
    nested = torch.nested.nested_tensor_from_jagged(x.values, x.offsets)
    for given in (x, nested):
        y, state = mine(given, hx)
        values = y.values if isinstance(y, Ragged) else y.values()
        assert isinstance(y, Ragged) == isinstance(given, Ragged)
        assert torch.equal(y.offsets if isinstance(y, Ragged) else y.offsets(), x.offsets)
        assert close(values, expected, dtype)
        for a, b in zip(tensors(state), last, strict=True):
            assert close(a, b, dtype)


def pick(hx: Any, sequence: int) -> Any:
    return tuple(pick(part, sequence) for part in hx) if isinstance(hx, tuple) else hx[:, sequence]


@pytest.mark.parametrize("name", CELLS)
def test_gradients_reach_a_nested_tensor(name: str) -> None:
    layer, values = CELLS[name].drop_in(5, 4), torch.randn(6, 5, requires_grad=True)
    y, _ = layer(torch.nested.nested_tensor_from_jagged(values, torch.tensor([0, 2, 6])))
    y.values().square().sum().backward()
    expected = torch.autograd.grad(layer(Ragged(values, torch.tensor([0, 2, 6])))[0].values.square().sum(), values)[0]
    assert same_bits(values.grad, expected)


@pytest.mark.parametrize("name", CELLS)
def test_empty_sequences_end_in_their_initial_state(name: str) -> None:
    layer = CELLS[name].drop_in(5, 4, num_layers=2, bidirectional=True)
    x, hx = ragged([3, 0, 2], 5), [torch.randn(4, 3, 4) for _ in range(2 if name == "lstm" else 1)]
    y, last = layer(x, tuple(hx) if name == "lstm" else hx[0])
    assert y.offsets.tolist() == [0, 3, 3, 5]
    for part, start in zip(tensors(last), hx, strict=True):
        assert same_bits(part[:, 1], start[:, 1])


@pytest.mark.parametrize("name", CELLS)
def test_initial_parameters_are_torchs(name: str) -> None:
    torch.manual_seed(3)
    mine = CELLS[name].drop_in(5, 4, num_layers=2)
    torch.manual_seed(3)
    theirs = CELLS[name].torch(5, 4, num_layers=2)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert all(same_bits(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert same_bits(copy.deepcopy(mine)(torch.ones(3, 5)), mine(torch.ones(3, 5)))


def test_dropout_stands_between_layers_and_only_in_training() -> None:
    layer = nn.LSTM(5, 17, num_layers=2, dropout=0.5)
    x = ragged([9, 3], 5)
    assert not same_bits(layer(x)[0], layer(x)[0])
    plain = torch.nn.LSTM(5, 17, num_layers=2).eval()
    plain.load_state_dict(layer.eval().state_dict())
    assert close(layer(x)[0][0], plain(x[0])[0], torch.float32)


def test_a_model_of_torch_may_hold_ours() -> None:
    class Sentiment(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(50, 5)
            self.lstm = nn.LSTM(5, 8, batch_first=True)
            self.head = torch.nn.Linear(8, 1)

        def forward(self, ids: Tensor) -> Tensor:
            y, _ = self.lstm(self.embedding(ids))
            return self.head(y[:, -1])[:, 0]  # type: ignore[no-any-return]

    model, ids = Sentiment(), torch.randint(50, (20, 7))
    labels = (ids[:, 0] < 25).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(ids), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


# --------------------------------------------------------------------------------------------------------- one step

STEPS = {
    "rnn": (nn.RNNCell, torch.nn.RNNCell, {}),
    "rnn_relu": (nn.RNNCell, torch.nn.RNNCell, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTMCell, torch.nn.LSTMCell, {}),
    "gru": (nn.GRUCell, torch.nn.GRUCell, {}),
}


@pytest.mark.parametrize(
    ("name", "dtype", "sequences", "bias", "with_state"),
    pairwise(list(STEPS), DTYPES, [None, 0, 1, 7], [True, False], [False, True]),
    ids=str,
)
def test_a_step_equals_torch(
    name: str, dtype: torch.dtype, sequences: int | None, bias: bool, with_state: bool
) -> None:
    ours, torchs, options = STEPS[name]
    mine, theirs = ours(5, 17, bias, dtype=dtype, **options), torchs(5, 17, bias, dtype=dtype, **options)
    mine.load_state_dict(theirs.state_dict())
    shape = [] if sequences is None else [sequences]
    x = torch.randn(*shape, 5, dtype=dtype, requires_grad=True)
    h, c = (torch.randn(*shape, 17, dtype=dtype, requires_grad=True) for _ in range(2))
    hx = ((h, c) if name == "lstm" else h) if with_state else None
    agree(mine(x, hx), theirs(x, hx), mine, theirs, [x, *(tensors(hx) if with_state else [])])


def test_steps_are_the_layer() -> None:
    layer, cell = nn.LSTM(5, 17), nn.LSTMCell(5, 17)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x, hx = torch.randn(6, 3, 5), None
    y, (h, c) = layer(x)
    for step, expected in zip(x, y, strict=True):
        hx = cell(step, hx)
        assert same_bits(hx[0], expected)
    assert same_bits(hx, (h[0], c[0]))


def test_what_a_cell_refuses() -> None:
    cell = nn.GRUCell(5, 4)
    with pytest.raises(ShapeError, match=r"input must have 1 or 2 dimensions, got shape \[2, 3, 5\]"):
        cell(torch.zeros(2, 3, 5))
    with pytest.raises(ShapeError, match=r"hx must have shape \[3, 4\], got \[2, 4\]"):
        cell(torch.zeros(3, 5), torch.zeros(2, 4))
    with pytest.raises(ShapeError, match=r"hx must have shape \[4\], got \[1, 4\]"):
        cell(torch.zeros(5), torch.zeros(1, 4))


# --------------------------------------------------------------------------------------------- what torch does to it

ALL = [nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell]


@pytest.mark.parametrize("ours", ALL)
def test_arguments_stand_where_torch_has_them(ours: type[torch.nn.Module]) -> None:
    """By position, as many as torch takes, and the same printed form."""
    given: dict[str, list[Any]] = {
        "RNN": [3, 4, 2, "relu", False, True, 0.1, True],
        "LSTM": [3, 4, 2, False, True, 0.1, True, 2],
        "GRU": [3, 4, 2, False, True, 0.1, True],
        "RNNCell": [3, 4, False, "relu"],
        "LSTMCell": [3, 4, False],
        "GRUCell": [3, 4, False],
    }
    arguments = given[ours.__name__]
    mine, theirs = ours(*arguments), getattr(torch.nn, ours.__name__)(*arguments)
    assert repr(mine) == repr(theirs)
    assert [(n, p.shape) for n, p in mine.named_parameters()] == [(n, p.shape) for n, p in theirs.named_parameters()]


@pytest.mark.parametrize("ours", ALL)
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
def test_copies(ours: type[torch.nn.Module], way: str) -> None:
    module, x = ours(5, 4), torch.randn(3, 5)
    expected = module(x)
    if way == "deepcopy":
        copied = copy.deepcopy(module)
    elif way == "pickle":
        copied = pickle.loads(pickle.dumps(module))
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    assert same_bits(copied(x), expected)
    with torch.no_grad():
        next(copied.parameters()).zero_()
    assert same_bits(module(x), expected)


def test_it_moves_as_a_module_does() -> None:
    layer, x = nn.LSTM(5, 4, num_layers=2, batch_first=True), torch.randn(2, 3, 5)
    layer.flatten_parameters()
    assert [len(names) for names in layer.all_weights] == [4, 4]
    assert isinstance(layer, torch.nn.RNNBase)
    expected = layer(x)[0]
    assert close(layer.double()(x.double())[0], expected.double(), torch.float32)
    assert close(layer.float()(x)[0], expected, torch.float32)
    shape = layer.to("meta")(x.to("meta"))[0]
    assert shape.is_meta
    assert shape.shape == expected.shape
    for wrong in (torch.float16, torch.complex64):
        with pytest.raises(ShapeError, match="input must be float32, float64 or bfloat16, got"):
            nn.LSTM(5, 4, dtype=wrong)(x.to(wrong))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("shape", [(0, 3, 5), (4, 0, 5), (0, 0, 5), (0, 5)], ids=str)
def test_nothing_in_nothing_out(name: str, shape: tuple[int, ...]) -> None:
    """No sequences as in torch; no steps, which torch refuses, end in the initial state."""
    mine, theirs = pair(name, torch.float32, num_layers=2, bidirectional=True)
    hx = state_for(mine, shape[1] if len(shape) == 3 else None, torch.float32)
    x = torch.zeros(shape, requires_grad=True)
    y, last = mine(x, hx)
    if shape[0]:
        expected, end = theirs(x, hx)
        assert y.shape == expected.shape
        assert [t.shape for t in tensors(last)] == [t.shape for t in tensors(end)]
    else:
        assert y.shape == (*shape[:-1], 34)
        assert same_bits(tuple(tensors(last)), tuple(tensors(hx)))
    (y.sum() + sum(t.sum() for t in tensors(last))).backward()
    assert all(p.grad is not None and not p.grad.any() for p in mine.parameters())
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_input_need_not_be_contiguous() -> None:
    layer, x = nn.GRU(5, 4), torch.randn(5, 2, 7)
    assert same_bits(layer(x.permute(2, 1, 0))[0], layer(x.permute(2, 1, 0).contiguous())[0])
    wide = torch.randn(7, 4, 9)
    assert same_bits(layer(wide[:, ::2, 1:6])[0], layer(wide[:, ::2, 1:6].contiguous())[0])
    assert same_bits(layer(x[:, :1].expand(5, 3, 7).permute(2, 1, 0))[0][:, 1], layer(x.permute(2, 1, 0))[0][:, 0])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("frozen", ["weight_ih", "weight_hh", "bias", "all"])
@pytest.mark.parametrize("input_too", [True, False])
def test_gradients_of_some(name: str, frozen: str, input_too: bool) -> None:
    mine, theirs = pair(name, torch.float64, num_layers=2)
    for layer in (mine, theirs):
        for key, parameter in layer.named_parameters():
            parameter.requires_grad_(frozen != "all" and not key.startswith(frozen))
    x = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=input_too)
    if frozen == "all" and not input_too:
        assert not mine(x)[0].requires_grad
        return
    found = []
    for layer in (mine, theirs):
        x.grad = None
        layer(x)[0].square().sum().backward()
        found.append([x.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        assert a is None or close(a, b, torch.float64)


def test_hooks() -> None:
    seen = []
    layer, x = nn.GRU(5, 4), torch.randn(3, 2, 5, requires_grad=True)
    layer.register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    layer.register_forward_hook(lambda module, given, answer: seen.append(answer[0].shape))
    layer.register_full_backward_hook(lambda module, into, out: seen.append(into[0].shape))
    layer.weight_hh_l0.register_hook(lambda gradient: gradient * 0)
    y, _ = layer(x)
    y.square().sum().backward()
    assert seen == [y.shape, x.shape]
    assert not layer.weight_hh_l0.grad.any()
    assert layer.weight_ih_l0.grad.any()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal", "old spectral_norm"])
def test_parametrizations(name: str, kind: str) -> None:
    """A weight that is computed anew at each call."""
    mine, theirs = pair(name, torch.float64)
    for layer in (mine, theirs):
        torch.manual_seed(1)
        if kind.startswith("old"):
            torch.nn.utils.spectral_norm(layer, "weight_hh_l0")
        else:
            getattr(parametrizations, kind)(layer, "weight_hh_l0")
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    gradients = []
    for layer in (mine.eval(), theirs.eval()):  # in training the old spectral_norm goes on at each call
        answer = layer(x)[0]
        gradients.append([answer, *torch.autograd.grad(answer.square().sum(), list(layer.parameters()))])
    for a, b in zip(*gradients, strict=True):
        assert close(a, b, torch.float64)


def test_functional_call_and_its_gradient() -> None:
    layer, x = nn.LSTM(5, 4, num_layers=2), torch.randn(3, 2, 5)
    other = {name: torch.randn_like(p) for name, p in layer.named_parameters()}

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(layer, parameters, (x,))[0].square().sum()

    leaves = {name: p.clone().requires_grad_() for name, p in other.items()}
    expected = torch.autograd.grad(loss(leaves), list(leaves.values()))
    for a, b in zip(torch.func.grad(loss)(other).values(), expected, strict=True):
        assert close(a, b, torch.float32)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # dual tensors are torch's own use of it
def test_gradients_that_would_be_lost_are_refused() -> None:
    """torch refuses vmap and forward mode through its recurrent operators too."""
    layer, cell, x = nn.GRU(5, 4), nn.GRUCell(5, 4), torch.randn(7, 3, 2, 5)
    for call in (lambda x: layer(x)[0], lambda x: cell(x[0])):
        with pytest.raises(OptionError, match=r"torch.func's transforms .* cannot go through elman's kernels"):
            torch.func.vmap(call)(x)
        with pytest.raises(OptionError, match=r"torch.func's transforms"):
            torch.func.jvp(call, (x[0],), (x[0],))
        with torch.autograd.forward_ad.dual_level(), torch.no_grad():
            with pytest.raises(OptionError, match=r"forward-mode gradients .* Use reverse mode"):
                call(torch.autograd.forward_ad.make_dual(x[0], x[0]))
            assert call(x[0]).shape[-1] == 4  # without a tangent there is nothing to lose


@pytest.mark.parametrize("name", CELLS)
def test_second_gradients(name: str) -> None:
    """A gradient penalty, as a Wasserstein critic has."""
    mine, theirs = pair(name, torch.float64, num_layers=2, bidirectional=True)
    x = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    hx = state_for(mine, 3, torch.float64)
    found = []
    for layer in (mine, theirs):
        y, last = layer(x, hx)
        loss = y.sum() + sum(t.square().sum() for t in tensors(last))
        (first,) = torch.autograd.grad(loss, x, create_graph=True)
        wanted = [x, *tensors(hx), *layer.parameters()]
        found.append([first, *torch.autograd.grad(loss + (first.norm() - 1).square(), wanted)])
    for a, b in zip(*found, strict=True):
        assert close(a, b, torch.float64)


@pytest.mark.parametrize("given", [{"checkpointing": True}, {"dtype": torch.bfloat16}])
def test_second_gradients_that_do_not_exist_are_refused(given: dict[str, Any]) -> None:
    if "dtype" in given and not ops.info()["bfloat16"]:
        pytest.skip("NOT TESTED: this processor does not multiply bfloat16")
    layer = nn.LSTM(5, 4, **given)
    y, _ = layer(torch.randn(3, 2, 5, dtype=given.get("dtype")))
    with pytest.raises(OptionError, match=r"gradients of gradients \(create_graph=True\) cannot go through"):
        torch.autograd.grad(y.sum(), layer.weight_ih_l0, create_graph=True)


@pytest.mark.filterwarnings("ignore:bfloat16 was asked for")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CELLS)
def test_autocast(name: str, kind: str) -> None:
    """Types as torch's, numbers as near to float32 as a product of bfloat16 can be."""
    mine, theirs = pair(name, torch.float32, num_layers=2, bidirectional=True)
    x = torch.randn(4, 9, 5)
    given: Any = {"batch": x, "alone": x[0]}.get(kind, pack_sequence([x[0], x[1, :3]]))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = mine(given), theirs(given)
    exact = theirs(given)
    assert [t.dtype for t in tensors(found)] == [t.dtype for t in tensors(expected)]
    for a, b in zip(tensors(found), tensors(exact), strict=True):
        assert distance(a, b) < 0.02
    sum(t.sum() for t in tensors(found)).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in mine.parameters())


def test_weights_in_bfloat16() -> None:
    mine, theirs = (module.bfloat16() for module in pair("gru", torch.float32))
    x = torch.randn(9, 3, 5).bfloat16()
    for a, b in zip(tensors(mine(x)), tensors(theirs.float()(x.float())), strict=True):
        assert a.dtype == torch.bfloat16
        assert distance(a, b) < 0.02


class Encoded(torch.utils.data.Dataset[Tensor]):
    """What a worker process computes with a layer that its parent has used, in threads, before the fork."""

    def __init__(self, layer: torch.nn.Module, x: Tensor) -> None:
        self.layer, self.x = layer, x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, at: int) -> Tensor:
        with torch.no_grad():
            return self.layer(self.x[at])[0]  # type: ignore[no-any-return]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT TESTED: no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_that_are_forked_compute_the_same() -> None:
    data = Encoded(nn.LSTM(5, 33, num_layers=2, bidirectional=True), torch.randn(8, 6, 4, 5))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = [data[at] for at in range(len(data))]
        loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context="fork")
        found = list(loader)
    finally:
        torch.set_num_threads(threads)
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


def test_many_threads_of_python_share_a_layer() -> None:
    layer, xs = nn.LSTM(5, 33, num_layers=2, bidirectional=True), [torch.randn(i % 5 + 1, 3, 5) for i in range(40)]
    expected = [layer(x) for x in xs]
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(layer, xs * 5))
    assert all(same_bits(a, b) for a, b in zip(found, expected * 5, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("packed", [False, True])
def test_trace_records_torchs_own_operators(packed: bool) -> None:
    """What it saves must run without this package."""

    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(5, 4, num_layers=2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            if not packed:
                return self.layer(x)[0]
            lengths = torch.full((x.shape[0],), x.shape[1])
            given = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return torch.nn.utils.rnn.pad_packed_sequence(self.layer(given)[0], batch_first=True)[0]

    model = Around()
    traced = torch.jit.trace(model, (torch.randn(2, 3, 5),))
    assert "elman" not in str(traced.inlined_graph).replace("__torch__.elman", "").replace(str(Path.cwd()), "")
    x = torch.randn(3, 6, 5)
    assert close(traced(x), model(x), torch.float32)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("ours", ALL)
def test_script_is_refused(ours: type[torch.nn.Module]) -> None:
    with pytest.raises(OptionError, match=rf"torch.jit.script cannot compile elman\.nn\.{ours.__name__}\. Use"):
        torch.jit.script(torch.nn.Sequential(ours(5, 4)))


TWO = """
import os, sys, torch, elman
torch.set_num_threads(1)
rank, store = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(elman.nn.GRU(5, 4, num_layers=2, batch_first=True))
x = torch.randn(6, 7, 5)
model(x[rank::2])[0].square().sum().backward()
shared = [p.grad.clone() for p in model.parameters()]
model.zero_grad()
(model.module(x)[0].square().sum() / 2).backward()
worst = max(float((a - p.grad).norm() / p.grad.norm()) for a, p in zip(shared, model.parameters()))
print(worst < 2e-6, worst)
torch.distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="NOT TESTED: torch was built without distributed")
def test_two_processes_share_gradients(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error::UserWarning", "-c", TWO]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else None
    both = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "store")], env=environment, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    answers = [process.communicate(timeout=120)[0] for process in both]
    assert all(answer.startswith("True") for answer in answers), answers


def test_what_does_not_fit_is_refused() -> None:
    layer = nn.LSTM(5, 4)
    with pytest.raises(ShapeError, match=r"input must have 2 or 3 dimensions, got shape \[5\]"):
        layer(torch.zeros(5))
    with pytest.raises(ShapeError, match=r"input must be input_size=5 wide, got shape \[3, 2, 3\]"):
        layer(torch.zeros(3, 2, 3))
    with pytest.raises(ShapeError, match=r"hx must have shape \[1, 2, 4\], got \[1, 3, 4\]"):
        layer(torch.zeros(3, 2, 5), (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)))
    with pytest.raises(ShapeError, match="input must be a Tensor, PackedSequence, jagged nested tensor or Ragged, got"):
        layer([[1.0]])
    with pytest.raises(OptionError, match="nonlinearity must be tanh or relu, got 'sigmoid'"):
        nn.RNN(5, 4, nonlinearity="sigmoid")
    with pytest.raises(OptionError, match="checkpointing must be True or False, got 'none'"):
        nn.GRU(5, 4, checkpointing="none")
    for wrong in (torch.zeros(1, 2, 4), (torch.zeros(1, 2, 4),)):
        with pytest.raises(ShapeError, match=r"hx must be a pair of tensors \(h, c\), got (Tensor|\(Tensor\))"):
            layer(torch.zeros(3, 2, 5), wrong)
    with pytest.raises(ShapeError, match=r"hx must be a tensor, got \(Tensor, Tensor\)"):
        nn.GRU(5, 4)(torch.zeros(3, 2, 5), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))
    with pytest.raises(ShapeError, match=r"hx must have shape \[1, 2, 3\], got \[1, 2, 4\]"):
        nn.LSTM(5, 4, proj_size=3)(torch.zeros(3, 2, 5), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))


def test_the_one_line_program() -> None:
    """As the project promises it to a first reader."""
    program = (
        "import elman, torch; x = elman.Ragged.of([torch.randn(5, 3), torch.randn(0, 3), torch.randn(2, 3)]); "
        "y, s = elman.nn.LSTM(3, 4)(x); print(y.offsets.tolist(), s[0].shape)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[0, 5, 5, 7] torch.Size([1, 3, 4])\n"
