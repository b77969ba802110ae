"""The same classes on a CUDA tensor, through cuDNN, against the CPU. Without a GPU nothing here is proved, and pytest's
summary says so for every test; tests/test_ops.py runs the bookkeeping of this path on the CPU."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from agree import distance
from elman.layers.dropout import SequenceDropout
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.layers.pooling import Pool
from elman.ragged import Ragged
from table import CELLS, DTYPES, POOLS, TWINS, VARIANTS, ragged

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason="NOT TESTED: no CUDA device here, so nothing shows that cells, Encoder, nn and heads agree with the CPU",
    ),
]

# cuDNN multiplies float32 in TF32 where it may (10 bits of mantissa); float64 differs by the order of summation.
TOLERANCE = {torch.float32: 2e-3, torch.float64: 1e-11}
LENGTHS = [7, 0, 1, 23, 4, 0]


def tensors(thing: Any) -> list[torch.Tensor]:
    if isinstance(thing, Ragged):
        return [thing.values]
    return [t for part in thing for t in tensors(part)] if isinstance(thing, tuple) else [thing]


def agree(module: torch.nn.Module, x: Any) -> None:
    """Values and gradients on both devices."""
    there = copy.deepcopy(module).cuda()
    dtype = tensors(x)[0].dtype
    found = there(x.to("cuda"))
    expected = module(x)
    for answer in (found, expected):
        sum(t.square().sum() for t in tensors(answer)).backward()
    assert all(t.is_cuda for t in tensors(found))
    for a, b in zip(tensors(found), tensors(expected), strict=True):
        assert distance(a.cpu(), b) <= TOLERANCE[dtype]
    for p, q in zip(there.parameters(), module.parameters(), strict=True):
        assert distance(p.grad.cpu(), q.grad) <= TOLERANCE[dtype]


#: Extras, such as zoneout and GRU-D's decay, run on the CPU only.
ON_THE_CARD = [name for name in VARIANTS if "zoneout" not in name and name != "gru_d"]


@pytest.mark.parametrize("name", ON_THE_CARD)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_cells(name: str, reverse: bool, dtype: torch.dtype, bias: bool) -> None:
    agree(VARIANTS[name].make(6, 17, reverse=reverse, bias=bias, dtype=dtype), ragged(LENGTHS, 6, dtype))


@pytest.mark.parametrize("name", sorted(CELLS.keys() & ON_THE_CARD))
@pytest.mark.parametrize("lengths", [[], [0, 0], [3]], ids=str)
def test_few_steps_or_none(name: str, lengths: list[int]) -> None:
    agree(CELLS[name].make(5, 17), ragged(lengths, 5))


@pytest.mark.parametrize("name", sorted(CELLS.keys() & ON_THE_CARD))
def test_steps_equal_forward(name: str) -> None:
    cell = CELLS[name].make(5, 17, dtype=torch.float64, device="cuda")
    x = ragged([4, 4], 5, torch.float64).to("cuda")
    whole, last = cell(x)
    state, steps = cell.initial_state(2), x.values.reshape(2, 4, 5)
    for t in range(4):
        y, state = cell.step(steps[:, t], state)
        assert distance(y.cpu(), whole.values.reshape(2, 4, 17)[:, t].cpu()) <= TOLERANCE[torch.float64]
    assert all(distance(a.cpu(), b.cpu()) <= TOLERANCE[torch.float64] for a, b in zip(state, last, strict=True))


@pytest.mark.parametrize("name", sorted(CELLS.keys() & ON_THE_CARD))
def test_encoder(name: str) -> None:
    agree(Encoder(5, [17, 9], name, bidirectional=True).double(), ragged(LENGTHS, 5, torch.float64))


@pytest.mark.parametrize("name", TWINS)
def test_drop_in_layers(name: str) -> None:
    agree(TWINS[name].drop_in(5, 17, num_layers=2, bidirectional=True).double(), ragged(LENGTHS, 5, torch.float64))
    agree(TWINS[name].drop_in(5, 17).double(), torch.randn(6, 3, 5, dtype=torch.float64))


@pytest.mark.parametrize("kind", POOLS)
def test_pools(kind: str) -> None:
    x = ragged(LENGTHS, 8, torch.float64)
    x.values.requires_grad_()
    agree(Pool(kind, 8).double(), x)


def test_linear_and_dropout() -> None:
    agree(Linear(8, 3).double(), torch.randn(6, 8, dtype=torch.float64))
    x = ragged(LENGTHS, 8).to("cuda")
    y = SequenceDropout(0.5)(x)
    assert y.values.is_cuda
    assert all(bool(((s == 0).all(0) | ~(s == 0).any(0)).all()) for s in y)
