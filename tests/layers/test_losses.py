"""Losses against sums written out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from elman.errors import ShapeError
from elman.layers.losses import cross_entropy


def by_hand(logits: torch.Tensor, classes: list[int], weights: list[float], smoothing: float) -> float:
    """The equation of the docstring, one number at a time."""
    total, count = 0.0, logits.shape[1]
    for row, true in zip(logits.tolist(), classes, strict=True):
        log_sum = math.log(sum(math.exp(z) for z in row))
        for k, z in enumerate(row):
            q = (1 - smoothing) * (k == true) + smoothing / count
            total -= weights[true] * q * (z - log_sum)
    return total / len(classes)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 2.0, 0.0]])
def test_equation(smoothing: float, weights: list[float]) -> None:
    logits, classes = torch.randn(5, 3, dtype=torch.float64), [0, 2, 1, 1, 0]
    found = cross_entropy(logits, torch.tensor(classes), torch.tensor(weights, dtype=torch.float64), smoothing)
    assert found.item() == pytest.approx(by_hand(logits, classes, weights, smoothing), rel=1e-12)


def test_mean_is_over_sequences() -> None:
    """Two halves of a batch average to the batch, with weights too."""
    logits, classes, weights = torch.randn(4, 2), torch.tensor([0, 0, 0, 1]), torch.tensor([1.0, 5.0])
    halves = [cross_entropy(logits[i : i + 2], classes[i : i + 2], weights) for i in (0, 2)]
    torch.testing.assert_close(sum(halves) / 2, cross_entropy(logits, classes, weights))


def test_no_sequences() -> None:
    assert cross_entropy(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)) == 0


@pytest.mark.parametrize(
    ("logits", "classes", "weights", "message"),
    [
        (torch.zeros(2), torch.tensor([0, 1]), None, r"shapes \[2\] and \[2\]"),
        (torch.zeros(2, 2), torch.tensor([0]), None, r"shapes \[2, 2\] and \[1\]"),
        (torch.zeros(1, 2), torch.tensor([0]), torch.ones(3), "each of the 2 classes, got 3"),
    ],
)
def test_shapes(logits: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        cross_entropy(logits, classes, weights)
