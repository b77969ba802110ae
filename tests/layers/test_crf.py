"""Chains of labels: against every path written out, whatever the lengths."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from elman.errors import ShapeError
from elman.layers.crf import CRF, TransitionConstraints, viterbi
from elman.ragged import Ragged
from table import ragged

LENGTHS = [3, 0, 1, 5, 3]
LABELS = 3


def made() -> tuple[CRF, Ragged]:
    chain = CRF(LABELS).double()
    for part in chain.parameters():
        torch.nn.init.normal_(part)
    return chain, ragged(LENGTHS, LABELS, torch.float64)


def every_path(chain: CRF, z: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    scores = {}
    for path in product(range(LABELS), repeat=len(z)):
        score = chain.start[path[0]] + chain.end[path[-1]] + sum(z[t, k] for t, k in enumerate(path))
        scores[path] = score + sum(chain.weight[i, j] for i, j in pairwise(path))
    return scores


def test_surprise_is_that_of_all_paths_written_out() -> None:
    chain, scores = made()
    codes = torch.randint(LABELS, (scores.steps,))
    found = chain.nll(scores, codes)
    assert found[1] == 0
    for i, z in enumerate(scores.to_list()):
        if len(z):
            paths = every_path(chain, z)
            true = tuple(codes[scores.offsets[i] : scores.offsets[i + 1]].tolist())
            wanted = torch.stack(list(paths.values())).logsumexp(0) - paths[true]
            torch.testing.assert_close(found[i], wanted)


def test_gradients() -> None:
    chain, scores = made()
    codes = torch.randint(LABELS, (scores.steps,))

    def loss(values: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in chain.named_parameters()]
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(_Loss(chain, codes), {f"chain.{k}": v for k, v in given.items()}, (values,))

    class _Loss(torch.nn.Module):
        def __init__(self, chain: CRF, codes: torch.Tensor) -> None:
            super().__init__()
            self.chain, self.codes = chain, codes

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.chain.nll(scores.with_values(values), self.codes)

    assert torch.autograd.gradcheck(loss, (scores.values.requires_grad_(), *chain.parameters()))


@pytest.mark.parametrize("ruled", [False, True])
def test_best_paths_are_the_best_of_all(ruled: bool) -> None:
    chain, scores = made()
    moves, starts, ends = np.ones((LABELS, LABELS), bool), np.ones(LABELS, bool), np.ones(LABELS, bool)
    moves[0, 2] = moves[2, 2] = starts[2] = ends[1] = False
    rules = TransitionConstraints(moves, starts, ends) if ruled else None
    found = viterbi(scores, *chain.numbers(), rules)
    for i, z in enumerate(scores.to_list()):
        if not len(z):
            continue
        paths = every_path(chain, z)
        if ruled:
            paths = {p: s for p, s in paths.items() if starts[p[0]] and ends[p[-1]]}
            paths = {p: s for p, s in paths.items() if all(moves[a, b] for a, b in pairwise(p))}
        best = max(paths, key=lambda path: float(paths[path].detach()))
        assert found[scores.offsets[i] : scores.offsets[i + 1]].tolist() == list(best)


def test_marginals_are_those_of_all_paths() -> None:
    chain, scores = made()
    found = chain.marginals(scores)
    z = scores[0]
    paths = every_path(chain, z)
    total = torch.stack(list(paths.values())).exp().sum()
    for t, k in product(range(len(z)), range(LABELS)):
        wanted = sum(float((s.exp() / total).detach()) for path, s in paths.items() if path[t] == k)
        assert found[t, k] == pytest.approx(wanted)
    np.testing.assert_allclose(found.sum(1), 1)


def test_no_steps_and_far_scores() -> None:
    chain = CRF(2)
    nothing = Ragged.of([[], []], width=2, dtype=torch.float32)
    assert chain.nll(nothing, torch.zeros(0, dtype=torch.int64)).tolist() == [0, 0]
    far = Ragged.of([[[1e4, -1e4], [-1e4, 1e4]]])
    assert torch.isfinite(chain.nll(far, torch.tensor([1, 0]))).all()
    with pytest.raises(ShapeError, match=r"\[steps, 2\]"):
        chain.nll(Ragged.of([[[1.0]]]), torch.tensor([0]))
