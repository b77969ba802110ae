"""Linear-chain conditional random field: transition scores between labels, and decoding."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import ShapeError
from elman.ragged import Ragged

_Floats = NDArray[np.float64]
_Codes = NDArray[np.int64]


class CRF(nn.Module):
    """Scores of paths through labels: a score for each label at each step, and one for each pair of neighbours.

    ::

        score(y) = s[y_1] + sum_t z_t[y_t] + sum_{t>1} A[y_{t-1}, y_t] + e[y_T]
        p(y) = exp score(y) / sum over all paths y' of exp score(y')

    ``weight`` is A [labels, labels], ``start`` s and ``end`` e [labels]; all begin at 0, where the labels of a sequence
    do not see each other. Source: Lafferty, McCallum & Pereira, "Conditional random fields", 2001; on a recurrent
    network Huang, Xu & Yu 2015.

    >>> crf = CRF(2)
    >>> z = Ragged.of([[[1.0, 0.0], [0.0, 0.0]]])
    >>> round(crf.nll(z, torch.tensor([0, 1])).item(), 4)  # -log (e / (e + 1)) - log (1 / 2)
    1.0064
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.weight = nn.Parameter(torch.zeros(labels, labels))
        self.start = nn.Parameter(torch.zeros(labels))
        self.end = nn.Parameter(torch.zeros(labels))

    def nll(self, scores: Ragged, codes: Tensor) -> Tensor:
        """-log p of the true labels `codes` int64 [steps], one for each sequence [sequences]; 0 without steps."""
        self._check(scores, codes)
        if not scores.steps:
            return scores.values.new_zeros(len(scores)) + scores.values.sum()
        return self._all_paths(scores) - self._path(scores, codes)

    def _path(self, scores: Ragged, codes: Tensor) -> Tensor:
        """The score of one path for each sequence."""
        own = scores.values.gather(1, codes[:, None])[:, 0]
        filled = scores.lengths > 0
        first = torch.zeros(scores.steps, dtype=torch.bool, device="cpu")
        first[scores.offsets[:-1][filled]] = True
        last = torch.zeros(scores.steps, dtype=torch.bool, device="cpu")
        last[scores.offsets[1:][filled] - 1] = True
        moves = torch.where(first, self.start[codes], self.weight[codes.roll(1), codes])
        each = own + moves + torch.where(last, self.end[codes], 0.0)
        return each.new_zeros(len(scores)).index_add(0, scores.segments, each)

    def _all_paths(self, scores: Ragged) -> Tensor:
        """log sum exp over the scores of all paths, one for each sequence, by the forward recursion.

        The sum over the label before is a product with exp A, after the largest number was taken out of each row.
        """
        lanes = _lanes(scores)
        steps = scores.values[lanes.rows].split(lanes.sizes)
        moves = self.weight.exp()
        reached, done = self.start + steps[0], []
        for step in steps[1:]:
            if len(step) < len(reached):
                done.append(reached[len(step) :])
                reached = reached[: len(step)]
            top = reached.detach().amax(dim=1, keepdim=True)
            reached = ((reached - top).exp() @ moves).clamp(min=1e-30).log() + top + step
        ends = torch.cat([reached, *done[::-1]])
        total = torch.logsumexp(ends + self.end, dim=1)
        return total.new_zeros(len(scores)).index_copy(0, lanes.order[: len(total)], total)

    def _check(self, scores: Ragged, codes: Tensor) -> None:
        if scores.values.dim() != 2 or scores.width != self.labels or codes.shape != scores.values.shape[:1]:
            raise ShapeError(
                f"CRF expects scores [steps, {self.labels}] and one true label a step, got shapes "
                f"{list(scores.values.shape)} and {list(codes.shape)}."
            )

    def numbers(self) -> tuple[_Floats, _Floats, _Floats]:
        """A, s and e in double precision, for `viterbi`."""
        return tuple(part.detach().double().numpy() for part in (self.weight, self.start, self.end))  # type: ignore[return-value]

    @torch.no_grad()
    def marginals(self, scores: Ragged) -> _Floats:
        """p(y_t = k) of every step, float64 [steps, labels], by the forward-backward algorithm."""
        made = np.zeros((scores.steps, self.labels))
        weight, start, end = self.numbers()
        for first, last in zip(scores.offsets[:-1].tolist(), scores.offsets[1:].tolist(), strict=True):
            if last > first:
                made[first:last] = _marginals(scores.values[first:last].double().numpy(), weight, start, end)
        return made


class TransitionConstraints(NamedTuple):
    """Which moves may be part of an answer: bool [labels, labels], [labels] at the start, [labels] at the end."""

    moves: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    ends: NDArray[np.bool_]


def viterbi(
    scores: Ragged, weight: _Floats, start: _Floats, end: _Floats, rules: TransitionConstraints | None = None
) -> _Codes:
    """The path with the highest score for each sequence, int64 [steps] (Viterbi 1967), obeying the rules.

    Of paths with equal scores the one with the lower label, from the end backwards.

    >>> z = Ragged.of([[[1.0, 0.0], [0.4, 0.6]]])
    >>> viterbi(z, np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2), np.zeros(2))
    array([0, 0])
    """
    codes = np.zeros(scores.steps, dtype=np.int64)
    if not scores.steps:
        return codes
    if rules is not None:
        weight, start = np.where(rules.moves, weight, -np.inf), np.where(rules.starts, start, -np.inf)
        end = np.where(rules.ends, end, -np.inf)
    lanes = _lanes(scores)
    rows, bounds = lanes.rows.numpy(), np.cumsum([0, *lanes.sizes])
    steps = scores.values.detach().double().numpy()[rows]
    reached, before = start + steps[: bounds[1]], [np.zeros((0, 0), np.int64)]
    ends = np.empty_like(reached)
    for begin, stop in itertools.pairwise(bounds[1:]):
        size = stop - begin
        ends[size : len(reached)] = reached[size:]
        through = reached[:size, :, None] + weight
        came = through.argmax(axis=1)
        before.append(came)
        reached = np.take_along_axis(through, came[:, None], axis=1)[:, 0] + steps[begin:stop]
    ends[: len(reached)] = reached
    at = (ends + end).argmax(axis=1)
    for t in range(len(bounds) - 2, -1, -1):
        size = bounds[t + 1] - bounds[t]
        codes[rows[bounds[t] : bounds[t + 1]]] = at[:size]
        if t:
            at[:size] = before[t][np.arange(size), at[:size]]
    return codes


class _Lanes(NamedTuple):
    order: Tensor  # sequences, the longest first
    rows: Tensor  # the steps: first those at time 0, in that order, then those at time 1 ...
    sizes: list[int]  # how many at each time


def _lanes(x: Ragged) -> _Lanes:
    lengths = x.lengths
    order = torch.argsort(lengths, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device="cpu")
    segments = x.segments
    time = torch.arange(x.steps, device="cpu") - x.offsets[:-1][segments]
    rows = torch.argsort(time * len(order) + rank[segments])
    return _Lanes(order, rows, torch.bincount(time).tolist())


def _marginals(z: _Floats, weight: _Floats, start: _Floats, end: _Floats) -> _Floats:
    """`CRF.marginals` of one sequence, from its scores `z` [steps, labels]."""
    forward, backward = np.zeros_like(z), np.zeros_like(z)
    forward[0] = start + z[0]
    for t in range(1, len(z)):
        forward[t] = np.logaddexp.reduce(forward[t - 1][:, None] + weight, axis=0) + z[t]
    backward[-1] = end
    for t in range(len(z) - 2, -1, -1):
        backward[t] = np.logaddexp.reduce(weight + (z[t + 1] + backward[t + 1])[None], axis=1)
    both = forward + backward
    both = np.exp(both - np.logaddexp.reduce(both, axis=1, keepdims=True))
    probabilities: _Floats = both / both.sum(axis=1, keepdims=True)
    return probabilities
