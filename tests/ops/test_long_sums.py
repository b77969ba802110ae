"""Sums and counts over very many steps: as exact as their result is."""

from __future__ import annotations

import pytest
import torch

from agree import distance, same_bits
from elman.layers.pooling import Pool
from elman.ops import fallback
from elman.ops import functional as ops

SEEN = 2.0**24  # past which float32 does not count


def pooled(kind: str, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    offsets, scores = torch.tensor([0, len(values)]), values.new_zeros(len(values)) if kind == "attention" else None
    return ops.pool(kind, values, offsets, scores), fallback.pool(kind, values, offsets, scores)


@pytest.mark.parametrize("kind", ["mean", "attention"])
@pytest.mark.parametrize("steps", [10_000, 300_000])
def test_a_mean_of_one_number_is_that_number(kind: str, steps: int) -> None:
    for found in pooled(kind, torch.full((steps, 2), 0.1)):
        assert found.dtype == torch.float32
        assert found.unique().tolist() == torch.tensor([0.1]).tolist()


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_a_stream_does_not_stop_counting(kind: str) -> None:
    state = torch.tensor([[SEEN, SEEN, 0.0]])
    values, scores = torch.full((4096, 1), 3.0), torch.zeros(4096) if kind == "attention" else None
    out, after = ops.pool_on(kind, values, torch.tensor([0, 4096]), scores, state)
    assert after[0, :2].tolist() == [SEEN + 3 * 4096, SEEN + 4096]
    assert out.dtype == torch.float32
    assert out.item() == pytest.approx((SEEN + 3 * 4096) / (SEEN + 4096), rel=1e-7)


@pytest.mark.parametrize("kind", ["mean", "attention", "max", "last", "mean+max+last"])
def test_a_pool_steps_on_past_it(kind: str) -> None:
    pool = Pool(kind, 1)
    state = pool.initial_state(1)
    assert state.dtype == torch.float64
    state[..., 0], state[..., 1], state[..., 2] = SEEN, SEEN, -torch.inf if kind != "attention" else 0.0
    for _ in range(3):
        out, state = pool.step(torch.ones(1, 1), state)
        assert same_bits(pool.read(state), out)
    if kind == "mean":
        assert state.tolist() == [[[SEEN + 3, SEEN + 3, -torch.inf]]]


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_weights_of_a_long_sequence_add_up_to_one(kind: str) -> None:
    steps = 300_000
    values, offsets = torch.rand(steps, 1).requires_grad_(), torch.tensor([0, steps])
    scores = torch.zeros(steps) if kind == "attention" else None
    ops.pool(kind, values, offsets, scores).sum().backward()
    assert values.grad is not None
    assert values.grad.double().sum().item() == pytest.approx(1.0, rel=1e-6)


def test_a_symbol_that_all_steps_share() -> None:
    """Its row of the table gets what all of them want, here the same."""
    found = torch.ops.elman.collect(torch.full((300_000, 3), 0.1), torch.zeros(300_000, dtype=torch.int64), 2)
    assert distance(found, torch.tensor([[30_000.0] * 3, [0.0] * 3])) < 1e-6


@pytest.mark.parametrize("steps", [100_000])
def test_the_gradient_of_a_decay_over_a_long_sequence(steps: int) -> None:
    """Lambda of 0, an input of 1, and gradients of 0.1: the sum is that of 0.1 over all steps but the first."""
    gates, decay = torch.cat([torch.ones(steps, 1), torch.zeros(steps, 1)], dim=1), torch.zeros(2, requires_grad=True)
    y, _, _ = ops.scan("lru", gates, torch.tensor([0, steps]), decay)
    y.backward(torch.full_like(y, 0.1) * torch.tensor([1.0, 0.0]))
    assert decay.grad is not None
    assert decay.grad[0].item() == pytest.approx(0.1 * (steps - 1), rel=2e-5)


def test_gradients_of_gains_over_a_long_sequence() -> None:
    """In float32 as in float64."""
    steps, found = 40_000, []
    for dtype in (torch.float32, torch.float64):
        gates = torch.tensor([[0.3, 0.1, 0.5, 0.2] * 2], dtype=dtype).expand(steps, 8).contiguous()
        vectors = [torch.full((width,), 0.5, dtype=dtype, requires_grad=True) for width in (8, 8, 8, 2, 2)]
        y, _, _ = ops.layer_norm_lstm(gates, torch.tensor([0, steps]), torch.zeros(8, 2, dtype=dtype), *vectors)
        y.backward(torch.full_like(y, 0.1))
        found.append(torch.cat([vector.grad for vector in vectors if vector.grad is not None]))
    assert distance(*found) < 1e-4
