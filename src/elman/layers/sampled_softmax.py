"""Sampled softmax: the negative log-likelihood of one symbol of very many, estimated from some of them.

    z_c = w_c . h + b_c
    -log p(y) = log sum_c exp(z_c) - z_y  ~  log(exp(z_y) + sum_{c in S, c != y} exp(z_c) / pi_c) - z_y

S are the candidates of a batch: its distinct targets, and some symbols drawn beside them; pi_c is the probability that
c is among them, so that the sum has the right mean (Horvitz & Thompson 1952). With T targets, of which c is a fraction
u_c in the long run, and K symbols drawn with probabilities q_c:

    pi_c = 1 - (1 - u_c)^T (1 - q_c)^K          q_c in proportion to sqrt(u_c)

Bengio & Senecal 2008, "Adaptive importance sampling to accelerate training of a neural probabilistic language model";
Jean et al. 2015, "On using very large target vocabulary for neural machine translation". The gradient is made together
with the loss, some rows at a time, so that no scores of all rows stand in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elman.ops.compile import not_compiled
from elman.ops.gradients import way_back

_ROWS = 512  # whose scores stand in memory at a time


class Candidates(NamedTuple):
    """Some of the symbols, and where among them each target stands."""

    symbols: Tensor  # int64 [candidates], ascending
    places: Tensor  # int64 [targets]
    logs: Tensor  # log pi of each candidate, float32 [candidates]


class Sampler:
    """Draws candidates for the symbols of a text; `counts` [symbols] says how often each stands in it.

    >>> found = Sampler(torch.tensor([5, 3, 2, 0]), drawn=2).candidates(torch.tensor([2, 0, 2]))
    >>> found.symbols[found.places]
    tensor([2, 0, 2])
    """

    def __init__(self, counts: Tensor, drawn: int) -> None:
        self.symbols, self.drawn = len(counts), drawn
        rates = (counts.double() + 1e-3) / (counts.double() + 1e-3).sum()
        probabilities = rates.sqrt() / rates.sqrt().sum()
        self.missed, self.passed = torch.log1p(-rates), torch.log1p(-probabilities)
        self.until = probabilities.cumsum(0)

    def candidates(self, targets: Tensor) -> Candidates:
        """The distinct targets [targets] and some symbols beside them."""
        chosen = torch.zeros(self.symbols, dtype=torch.bool, device="cpu")
        chosen[targets] = True
        drawn = torch.searchsorted(self.until, torch.rand(self.drawn, dtype=torch.float64, device="cpu"))
        chosen[drawn.clamp(max=self.symbols - 1)] = True
        symbols = chosen.nonzero()[:, 0]
        absent = len(targets) * self.missed[symbols] + self.drawn * self.passed[symbols]
        logs = torch.log(-torch.expm1(absent)).float()
        return Candidates(symbols, (chosen.cumsum(0) - 1)[targets], logs)


def nll(rows: Tensor, weight: Tensor, bias: Tensor, among: Candidates, narrow: bool = False) -> Tensor:
    """The mean of -log p(y) over rows of h: a scalar with gradient.

    - `rows` [targets, width], `weight` [symbols, width], `bias` [symbols], float32.
    - `narrow`: products of bfloat16.

    >>> h, w, b = torch.randn(3, 4), torch.randn(5, 4), torch.zeros(5)
    >>> every = Candidates(torch.arange(5), torch.tensor([2, 0, 2]), torch.zeros(5))
    >>> whole = torch.nn.functional.cross_entropy(h @ w.T + b, every.places)
    >>> torch.allclose(nll(h, w, b, every), whole)
    True
    """
    return _nll(rows, weight[among.symbols], bias[among.symbols], among, narrow)


@not_compiled  # a graph would not check what is saved
def _nll(rows: Tensor, weight: Tensor, bias: Tensor, among: Candidates, narrow: bool) -> Tensor:
    mean: Tensor = _NLL.apply(rows, weight, bias, among, narrow)  # type: ignore[no-untyped-call]
    return mean


class _NLL(torch.autograd.Function):
    """Loss and gradients, some rows at a time."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, among: Candidates, narrow: bool) -> Tensor:
        kind = torch.bfloat16 if narrow else rows.dtype
        logs = among.logs.to(rows.dtype)
        narrowed, offsets = weight.to(kind), bias - logs
        to_rows, to_weight, to_bias = torch.empty_like(rows), torch.zeros_like(weight), torch.zeros_like(bias)
        total = rows.new_zeros(())
        for part in torch.arange(len(rows), device="cpu").split(_ROWS):
            here = slice(int(part[0]), int(part[-1]) + 1)
            h, places = rows[here].to(kind), among.places[here][:, None]
            z = (h @ narrowed.T).to(rows.dtype).add_(offsets)
            z.scatter_add_(1, places, logs[places])  # the target itself is a candidate for certain
            norms = z.logsumexp(1, keepdim=True)
            total += (norms - z.gather(1, places)).sum()
            change = z.sub_(norms).exp_().scatter_add_(1, places, torch.full_like(norms, -1.0))
            to_bias += change.sum(0)
            change = change.to(kind)
            to_rows[here] = change @ narrowed
            to_weight += change.T @ h
        ctx.save_for_backward(to_rows, to_weight, to_bias)
        return total / len(rows)

    @staticmethod
    @once_differentiable
    @way_back
    def backward(ctx: Any, kept: tuple[Tensor, ...], last: bool, grad: Tensor) -> Any:  # type: ignore[override]
        scale = grad / len(kept[0])
        return *(scale * part for part in kept), None, None
