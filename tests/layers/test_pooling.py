"""Pooling: literal cases, the reference, gradients, and streams with the same bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from agree import close, same_bits
from elman.errors import OptionError, ShapeError
from elman.layers.pooling import Pool
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import DTYPES, POOLS, ragged

LENGTHS = [3, 0, 11, 1, 7, 0, 5]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def scores_of(pool: Pool, values: Tensor) -> Tensor:
    return pool.score(torch.tanh(pool.attend(values)))[:, 0]


BY_HAND = {
    "last": [[3.0, 0.0], [0.0, 0.0], [-1.0, -2.0]],
    "mean": [[2.0, 1.0], [0.0, 0.0], [-1.0, -2.0]],
    "max": [[3.0, 2.0], [0.0, 0.0], [-1.0, -2.0]],
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_by_hand(kind: str) -> None:
    x = Ragged.of([[[1.0, 2.0], [3.0, 0.0]], torch.zeros(0, 2), [[-1.0, -2.0]]], dtype=torch.float32)
    assert Pool(kind, 2)(x).tolist() == BY_HAND[kind]


def test_attention_by_hand() -> None:
    x, offsets = torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([0, 2, 2, 3])
    scores = torch.tensor([0.0, math.log(3.0), -1000.0])
    assert torch.allclose(ops.pool("attention", x, offsets, scores), torch.tensor([[2.5], [0.0], [9.0]]))


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@torch.no_grad()
def test_equals_the_reference(kind: str, dtype: torch.dtype) -> None:
    x, pool = ragged(LENGTHS, 17, dtype), Pool(kind, 17).to(dtype)
    if kind == "attention":
        parts = [POOLS[kind](y=s, scores=scores_of(pool, s)) for s in x]
    else:
        parts = [POOLS[kind](y=s) for s in x]
    assert close(pool(x), torch.stack([torch.from_numpy(part) for part in parts]), dtype)


@torch.no_grad()
def test_scores_of_any_size() -> None:
    x, scores = ragged([50], 3, torch.float64), 1000 * torch.randn(50, dtype=torch.float64)
    expected = torch.from_numpy(POOLS["attention"](y=x.values, scores=scores))[None]
    assert close(ops.pool("attention", x.values, x.offsets, scores), expected, torch.float64)


@pytest.mark.parametrize("kind", POOLS)
def test_gradients_equal_finite_differences(kind: str) -> None:
    x, pool = ragged([3, 0, 1, 2], 2, torch.float64), Pool(kind, 2).double()
    names = [key for key, _ in pool.named_parameters()]

    def run(values: Tensor, *weights: Tensor) -> Any:
        return torch.func.functional_call(pool, dict(zip(names, weights, strict=True)), (x.with_values(values),))

    inputs = [x.values, *[p.detach() for p in pool.parameters()]]
    assert torch.autograd.gradcheck(run, [p.clone().requires_grad_() for p in inputs])


def test_the_first_of_equals_gets_the_gradient() -> None:
    x = torch.tensor([[1.0], [5.0], [5.0], [2.0]], requires_grad=True)
    Pool("max", 1)(Ragged(x, torch.tensor([0, 4]))).sum().backward()
    assert x.grad.tolist() == [[0.0], [1.0], [0.0], [0.0]]


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
@torch.no_grad()
def test_an_odd_number_stays_within_its_sequence_and_is_not_lost(kind: str, odd: float) -> None:
    x, pool = ragged(LENGTHS, 4), Pool(kind, 4)
    whole, spoilt = pool(x), x.values.clone()
    at = int(x.offsets[3]) - 1 if kind == "last" else int(x.offsets[2]) + 4
    spoilt[at, 1] = odd
    found = pool(x.with_values(spoilt))
    assert same_bits(found[[0, 1, 3, 4, 5, 6]], whole[[0, 1, 3, 4, 5, 6]])
    if odd is torch.nan:
        assert bool(found[2, 1].isnan()), "never a silent NaN: it is shown, not skipped"


@pytest.mark.parametrize("kind", [*POOLS, "mean+max", "last+mean+max+attention"])
@torch.no_grad()
def test_a_stream_has_the_same_bits_as_the_whole(kind: str) -> None:
    pool, x = Pool(kind, 5), ragged([9, 9, 9], 5)
    steps, state = x.values.reshape(3, 9, 5), pool.initial_state(3)
    assert pool.read(state).tolist() == [[0.0] * pool.outputs] * 3
    for t in range(9):
        out, state = pool.step(steps[:, t], state)
        prefix = Ragged(steps[:, : t + 1].reshape(-1, 5), torch.arange(4) * (t + 1))
        assert same_bits(out, pool(prefix))
        assert same_bits(pool.read(state), out)


@torch.no_grad()
def test_joined_kinds_stand_side_by_side() -> None:
    x, pool = ragged(LENGTHS, 5), Pool("mean+last", 5)
    assert pool.outputs == 10
    assert same_bits(pool(x), torch.cat([Pool("mean", 5)(x), Pool("last", 5)(x)], dim=1))


@pytest.mark.parametrize("kind", POOLS)
@torch.no_grad()
def test_alone_equals_any_batch_order_and_number_of_threads(kind: str, threads: None) -> None:
    x, pool = ragged([length * 9 for length in LENGTHS], 70), Pool(kind, 70)
    whole, order = pool(x), torch.randperm(len(x))
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert same_bits(pool(x), whole)
        assert same_bits(pool(x[order]), whole[order])
        assert same_bits(torch.cat([pool(x[i : i + 1]) for i in range(len(x))]), whole)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("lengths", [[], [0], [0, 0]], ids=str)
def test_nothing_at_all(kind: str, lengths: list[int]) -> None:
    x, pool = ragged(lengths, 4), Pool(kind, 4)
    x.values.requires_grad_()
    out = pool(x)
    out.sum().backward()
    assert out.tolist() == [[0.0] * 4] * len(lengths)


@pytest.mark.parametrize("kind", POOLS)
def test_any_layout_of_memory(kind: str) -> None:
    x, pool = ragged(LENGTHS, 4), Pool(kind, 4)
    expected = pool(x)
    for values in (x.values.t().contiguous().t(), torch.cat([x.values, x.values], 1)[:, :4]):
        assert same_bits(pool(x.with_values(values)), expected)
    row = torch.randn(1, 4).expand(27, 4)
    assert same_bits(pool(x.with_values(row)), pool(x.with_values(row.contiguous())))


def test_with_and_without_gradient_are_the_same_bits() -> None:
    x, pool = ragged(LENGTHS, 4), Pool("last+mean+max+attention", 4)
    with torch.no_grad():
        expected = pool(x)
    assert same_bits(pool(x.with_values(x.values.requires_grad_())), expected)


def test_pools_refuse_what_does_not_fit() -> None:
    for kind in ("median", "mean+", ""):
        with pytest.raises(
            OptionError, match=r"pool must be one of last, mean, max, attention, or some joined by '\+'"
        ):
            Pool(kind, 4)
    with pytest.raises(
        ShapeError, match=r"Pool expects steps of width 4, got values of shape \[5, 3\]. Build it with width=3"
    ):
        Pool("mean", 4)(ragged([5], 3))
