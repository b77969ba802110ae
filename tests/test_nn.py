"""torch.nn's layers and ours: every kind of input, every option, the same answers."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from agree import TOLERANCE, close, same_bits
from elman import nn
from elman.errors import OptionError, ShapeError
from elman.ragged import Ragged
from table import DTYPES, pairwise, ragged
from table import TWINS as CELLS

OPTIONS = pairwise(list(CELLS), DTYPES, [1, 2], [False, True], [True, False], [False, True], [False, True])
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
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    shape = [rows, 17] if sequences is None else [rows, sequences, 17]
    h, c = torch.randn(*shape, dtype=dtype, requires_grad=True), torch.randn(*shape, dtype=dtype, requires_grad=True)
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


@options
@pytest.mark.parametrize("kind", ["batch", "alone", "packed", "packed_sorted"])
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
    mine, theirs = pair(name, dtype, num_layers=layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
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


def test_what_does_not_fit_is_refused() -> None:
    layer = nn.LSTM(5, 4)
    with pytest.raises(ShapeError, match=r"input must have 2 or 3 dimensions, got shape \[5\]"):
        layer(torch.zeros(5))
    with pytest.raises(ShapeError, match=r"lstm expects inputs of width 5, got values of shape \[6, 3\]"):
        layer(torch.zeros(3, 2, 3))
    with pytest.raises(ShapeError, match=r"hx must have shape \[1, 2, 4\], got \[1, 3, 4\]"):
        layer(torch.zeros(3, 2, 5), (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)))
    with pytest.raises(OptionError, match="proj_size=2 is not supported yet"):
        nn.LSTM(5, 4, proj_size=2)(torch.zeros(3, 2, 5))


def test_the_one_line_program() -> None:
    """As the project promises it to a first reader."""
    program = (
        "import elman, torch; x = elman.Ragged.of([torch.randn(5, 3), torch.randn(0, 3), torch.randn(2, 3)]); "
        "y, s = elman.nn.LSTM(3, 4)(x); print(y.offsets.tolist(), s[0].shape)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[0, 5, 5, 7] torch.Size([1, 3, 4])\n"
