"""Decoding beside all paths written out, greedy and by beam, whole and in pieces; the loss beside the same."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from elman.decoding.ctc import Prefix, Prefixes, forced_alignment, greedy, steps_needed
from elman.ragged import Ragged
from elman.tasks.transcribe.network import nll, ragged_of


def scores(steps: int, symbols: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 1.5, (steps, symbols))
    return np.asarray(torch.log_softmax(torch.from_numpy(logits), 1))


def said(path: tuple[int, ...]) -> Prefix:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def by_hand(logs: np.ndarray) -> dict[Prefix, float]:
    """The chance of every transcript: the sum over its paths."""
    chances: defaultdict[Prefix, float] = defaultdict(float)
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        chances[said(path)] += math.exp(sum(logs[t, k] for t, k in enumerate(path)))
    return chances


@pytest.mark.parametrize(
    ("path", "told"),
    [([], []), ([0, 0], []), ([1, 1, 0, 1, 2], [1, 1, 2]), ([2, 2, 2], [2]), ([0, 1, 0], [1])],
)
def test_greedy_by_hand(path: list[int], told: list[int]) -> None:
    logs = np.full((len(path), 3), -5.0)
    logs[range(len(path)), path] = 0.0
    assert greedy(logs) == told


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all_transcripts(seed: int) -> None:
    logs = scores(5, 3, seed)
    truth = by_hand(logs)
    found = Prefixes(beam=1000)
    found.advance(logs)
    assert found.best() == max(truth, key=lambda prefix: truth[prefix])
    for prefix, (blank, other, _) in found.reached.items():
        assert math.exp(blank) + math.exp(other) == pytest.approx(truth[prefix])


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_sum_over_paths(seed: int) -> None:
    logs = scores(5, 3, seed)
    truth = by_hand(logs)
    targets = [[1], [1, 1, 2], [], [2, 1, 2, 1, 2]]
    many = Ragged.of([torch.from_numpy(logs)] * 4)
    expected = [-math.log(truth[tuple(target)]) for target in targets]
    np.testing.assert_allclose(nll(many, ragged_of(targets)), expected, rtol=1e-6)


def test_no_steps_and_no_path() -> None:
    logs = Ragged.of([torch.zeros(0, 3), torch.zeros(2, 3)], width=3)
    assert nll(logs, ragged_of([[], [1, 1]])).tolist() == [0.0, 0.0]
    assert Prefixes().best() == ()


class _Likes:
    """Speaks for symbol 2, and against an end after 1."""

    def after(self, prefix: Prefix, symbol: int) -> float:
        return 2.0 if symbol == 2 else 0.0

    def end(self, prefix: Prefix) -> float:
        return -100.0 if prefix[-1:] == (1,) else 0.0


def test_a_language_model_decides() -> None:
    logs = np.log([[0.1, 0.6, 0.3], [0.1, 0.5, 0.4]])
    plain, helped = Prefixes(8), Prefixes(8, _Likes())
    for found in (plain, helped):
        found.advance(logs)
    assert plain.best() == (1,)
    assert helped.best() == (1, 2)


def test_pieces_have_the_bits_of_the_whole() -> None:
    logs = scores(40, 6, 0)
    whole, pieces = Prefixes(6, _Likes()), Prefixes(6, _Likes())
    whole.advance(logs)
    for part in np.split(logs, [0, 1, 7, 30]):
        pieces.advance(part)
    assert whole.reached == pieces.reached
    assert len(whole.reached) == 6


def test_steps_needed() -> None:
    assert [steps_needed(one) for one in ([], [1], [1, 1], [1, 2, 2, 2])] == [0, 1, 3, 6]


@pytest.mark.parametrize("seed", range(6))
def test_the_alignment_is_the_likeliest_of_all_paths(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = np.log(random.dirichlet(np.ones(3), 6))
    symbols = random.integers(1, 3, 3).tolist()
    found = forced_alignment(scores, symbols)
    path = np.zeros(6, dtype=int)
    for (start, stop), symbol in zip(found, symbols, strict=True):
        path[start:stop] = symbol
    paths = [one for one in itertools.product(range(3), repeat=6) if _merged(one) == symbols]
    best = max(paths, key=lambda one: sum(scores[np.arange(6), list(one)]))
    assert path.tolist() == list(best)
    assert _merged(path.tolist()) == symbols


def _merged(path: Sequence[int]) -> list[int]:
    return [symbol for symbol, _ in itertools.groupby(path) if symbol]


def test_an_alignment_that_cannot_be() -> None:
    scores = np.log(np.full((2, 3), 1 / 3))
    assert forced_alignment(scores, []).shape == (0, 2)
    assert forced_alignment(scores, [1, 2]).tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match="2 symbols need 3 steps, there are 2"):
        forced_alignment(scores, [1, 1])
