"""The estimated surprise: exact with all symbols, right on average with some, with its own gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from elman.layers.sampled_softmax import Candidates, Sampler, nll

COUNTS = torch.tensor([60, 30, 10, 5, 3, 2, 1, 0])


def everything(targets: torch.Tensor, symbols: int = 8) -> Candidates:
    return Candidates(torch.arange(symbols), targets, torch.zeros(symbols))


def test_all_symbols_give_the_whole_surprise_and_its_gradient() -> None:
    torch.manual_seed(0)
    rows, weight, bias = (torch.randn(*shape, dtype=torch.float64) for shape in ((1100, 3), (8, 3), (8,)))
    targets = torch.randint(8, (1100,))  # more rows than stand in memory at a time
    leaves = [part.requires_grad_() for part in (rows, weight, bias)]
    ours = nll(rows, weight, bias, everything(targets))
    whole = cross_entropy(rows @ weight.T + bias, targets)
    assert ours.item() == pytest.approx(whole.item(), rel=1e-12)
    for a, b in zip(torch.autograd.grad(2 * ours, leaves), torch.autograd.grad(2 * whole, leaves), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


def test_some_symbols_give_the_right_sum_on_average() -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    row, shares = torch.randn(1, 3, dtype=torch.float64), (COUNTS + 1e-3) / (COUNTS + 1e-3).sum()
    sampler, target, sums = Sampler(COUNTS, 2), torch.tensor([1]), []
    score = float((row @ weight.T + bias)[0, 1])
    for _ in range(1500):
        others = torch.multinomial(shares, 3, replacement=True)  # the other targets of a batch
        found = sampler.candidates(torch.cat([target, others]))
        sums.append(float(torch.exp(nll(row, weight, bias, found._replace(places=found.places[:1])) + score)))
    whole = float((row @ weight.T + bias).exp().sum())
    # The target's own place in the batch is counted as one more draw: a few per cent of four, nothing of 8192.
    assert sum(sums) / len(sums) == pytest.approx(whole, rel=0.15)


def test_candidates() -> None:
    torch.manual_seed(0)
    found = Sampler(COUNTS, 3).candidates(torch.tensor([7, 0, 7, 4]))
    assert found.symbols[found.places].tolist() == [7, 0, 7, 4]
    assert found.symbols.tolist() == sorted(set(found.symbols.tolist()))
    assert len(found.symbols) <= 6
    assert bool((found.logs <= 0).all())
    assert bool(found.logs.isfinite().all())
    assert float(found.logs[0]) > float(found.logs[-1])  # the commoner, the surer


def test_bfloat16_is_near() -> None:
    torch.manual_seed(0)
    rows, weight, targets = torch.randn(64, 16, requires_grad=True), torch.randn(8, 16), torch.randint(8, (64,))
    wide, narrow = (nll(rows, weight, torch.zeros(8), everything(targets), narrow) for narrow in (False, True))
    assert narrow.item() == pytest.approx(wide.item(), rel=0.02)
    (a,), (b,) = (torch.autograd.grad(loss, rows) for loss in (wide, narrow))
    assert float((a - b).norm() / a.norm()) < 0.02
