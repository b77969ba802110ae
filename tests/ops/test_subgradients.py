"""Where a function has a corner, the kernels, the code for other devices and gradients of gradients take one side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from agree import same_bits
from elman.ops import fallback
from elman.ops import functional as ops
from table import DTYPES

INF = float("inf")
VALUES = {
    "the greatest is 0": [[0.0, -1.0], [-1.0, 0.0], [-2.0, -3.0]],
    "ties": [[1.0, 2.0], [1.0, 2.0], [0.5, 2.0]],
    "ties at 0": [[0.0, -0.0], [-0.0, 0.0], [0.0, -1.0]],
    "negative": [[-1.0, -2.0], [-3.0, -0.5], [-2.0, -0.5]],
    "infinite": [[-INF, INF], [-INF, INF], [-INF, 1.0]],
    "one step": [[0.0, -4.0]],
    "none": [],
}
WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kernel": lambda v, offsets: torch.autograd.grad(ops.pool("max", v, offsets).sum(), v)[0],
    "twice": lambda v, offsets: torch.autograd.grad(ops.pool("max", v, offsets).sum(), v, create_graph=True)[0],
    "fallback": lambda v, offsets: torch.autograd.grad(fallback.pool("max", v, offsets, None).sum(), v)[0],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VALUES)
def test_the_first_of_the_greatest_has_the_gradient(name: str, way: str, dtype: torch.dtype) -> None:
    """All of it: each sequence and unit has 1, between empty sequences too."""
    rows, expected = VALUES[name], torch.zeros(len(VALUES[name]), 2, dtype=dtype)
    for unit in range(2 if rows else 0):
        column = [row[unit] for row in rows]
        expected[column.index(max(column)), unit] = 1.0
    values = torch.tensor([*rows, *rows], dtype=dtype).reshape(-1, 2).requires_grad_()
    offsets = torch.tensor([0, 0, len(rows), len(rows), 2 * len(rows), 2 * len(rows)])
    assert torch.equal(WAYS[way](values, offsets), torch.cat([expected, expected]))
    assert same_bits(fallback.pool("max", values, offsets, None), ops.pool("max", values, offsets))


def test_a_maximum_that_is_no_number() -> None:
    values = torch.tensor([[1.0], [INF - INF], [2.0]], requires_grad=True)
    for pool in (ops.pool, lambda *given: fallback.pool(*given, None)):
        assert pool("max", values, torch.tensor([0, 3])).isnan().all()


def test_second_gradients_of_a_maximum() -> None:
    values = torch.tensor([[0.0], [-1.0], [3.0], [3.0]], dtype=torch.float64, requires_grad=True)
    out = ops.pool("max", values, torch.tensor([0, 2, 4]))
    (first,) = torch.autograd.grad(out.pow(3).sum(), values, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), values)
    assert first.flatten().tolist() == [0.0, 0.0, 27.0, 0.0]
    assert second.flatten().tolist() == [0.0, 0.0, 18.0, 0.0]


@pytest.mark.parametrize("candidate", ops.CANDIDATES)
@pytest.mark.parametrize("cell", ["min_gru", "min_lstm"])
def test_scans_at_zero(cell: str, candidate: str) -> None:
    gates, offsets = torch.zeros(5, 2 * ops.SCANS[cell], requires_grad=True), torch.tensor([0, 2, 5])
    mine, _, _ = ops.scan(cell, gates, offsets, candidate=candidate)
    theirs, _, _ = fallback.scan(cell, gates, offsets, None, None, None, False, candidate)
    a, b = (torch.autograd.grad(y.sum(), gates)[0] for y in (mine, theirs))
    torch.testing.assert_close(a, b)


def test_a_relu_at_zero() -> None:
    x, offsets, bias = torch.ones(4, 3), torch.tensor([0, 4]), torch.zeros(2, requires_grad=True)
    given = x, offsets, torch.zeros(2, 3), torch.zeros(2, 2), bias, None
    for y, _, _ in (
        ops.recurrent("rnn_relu", *given),
        fallback.recurrent("rnn_relu", *given, None, None, None, False),
    ):
        assert torch.autograd.grad(y.sum(), bias)[0].tolist() == [0.0, 0.0]
