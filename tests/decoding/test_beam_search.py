"""Beam search against all there is, and its rules one by one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from elman.decoding.beam_search import beam_search, best_continuations
from elman.errors import OptionError
from elman.ops.state import State

END = 3


def chances(seed: int) -> Tensor:
    """log p of the next symbol after each symbol and sequence: [sequences, symbols, symbols]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.log_softmax(torch.randn(4, END + 1, END + 1, generator=draw, dtype=torch.float64) * 2, -1)


def advance(table: Tensor):  # type: ignore[no-untyped-def]
    def step(last: Tensor, state: State, sequences: Tensor) -> tuple[Tensor, State]:
        (count,) = state
        return table[sequences, last], (count + 1,)

    return step


def everything(table: Tensor, limit: int, penalty: float) -> tuple[float, list[int]]:
    """The best of all continuations, by trying each."""
    best = (-math.inf, [0])
    for length in range(limit + 1):
        for said in itertools.product(range(END), repeat=length):
            path = [END, *said, *([END] if length < limit else [])]
            logs = sum(float(table[a, b]) for a, b in itertools.pairwise(path))
            best = max(best, (logs / ((5 + len(path) - 1) / 6) ** penalty, list(said)))
    return best


def zeros(sequences: int) -> State:
    return (torch.zeros(sequences),)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_best(seed: int, penalty: float) -> None:
    table = chances(seed)
    found = beam_search(advance(table), zeros(4), [4] * 4, begin=END, end=END, beam=200, penalty=penalty)
    for i, one in enumerate(found):
        score, said = everything(table[i], 4, penalty)
        assert one.symbols == said
        assert one.score == pytest.approx(score)


def test_a_beam_of_one_is_greedy() -> None:
    table = chances(5)
    found = beam_search(advance(table), zeros(4), [6] * 4, begin=END, end=END)
    for i, one in enumerate(found):
        said, last = [], END
        while len(said) < 6 and (last := int(table[i, last].argmax())) != END:
            said.append(last)
        assert one.symbols == said


def test_a_sequence_does_not_see_the_others() -> None:
    table = chances(6)
    limits = [3, 0, 5, 1]
    together = beam_search(advance(table), zeros(4), limits, begin=END, end=END, beam=3, penalty=0.6)
    for i in range(4):
        alone = beam_search(advance(table[i : i + 1]), zeros(1), limits[i : i + 1], begin=END, end=END, beam=3,
                            penalty=0.6)  # fmt: skip
        assert alone == together[i : i + 1]
    assert together[1].symbols == [], "a limit of 0 leaves nothing to say"
    assert len(together[3].symbols) <= 1


def test_what_is_impossible_is_never_said() -> None:
    table = chances(7)
    table[:, :, 0] = -math.inf
    found = beam_search(advance(table), zeros(4), [8] * 4, begin=END, end=END, beam=4)
    assert all(0 not in one.symbols for one in found)


@pytest.mark.parametrize(("beam", "penalty", "says"), [(0, 0.0, "beam = 0"), (2, -0.1, "length_penalty = -0.1")])
def test_what_cannot_be_is_refused(beam: int, penalty: float, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        beam_search(advance(chances(0)), zeros(4), [1] * 4, begin=END, end=END, beam=beam, penalty=penalty)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_the_best_of_all_in_their_order(penalty: float) -> None:
    table = chances(2)
    found = best_continuations(
        advance(table), zeros(4), [3] * 4, begin=END, end=END, count=5, beam=200, penalty=penalty
    )
    for i, own in enumerate(found):
        paths = [list(said) for length in range(4) for said in itertools.product(range(END), repeat=length)]
        scores = {tuple(said): score(table[i], said, 3, penalty) for said in paths}
        best = sorted(scores, key=lambda said: -scores[said])[:5]
        assert [tuple(one.symbols) for one in own] == best
        assert [one.score for one in own] == pytest.approx([scores[said] for said in best])


def score(table: Tensor, said: list[int], limit: int, penalty: float) -> float:
    path = [END, *said, *([END] if len(said) < limit else [])]
    return sum(float(table[a, b]) for a, b in itertools.pairwise(path)) / ((5 + len(path) - 1) / 6) ** penalty


def test_no_n_symbols_twice() -> None:
    table = chances(3).clone()
    table[:, :, END] -= 5  # long ones
    for n in (1, 2):
        for own in best_continuations(
            advance(table), zeros(4), [9] * 4, begin=END, end=END, count=4, beam=8, no_repeat=n
        ):
            assert own
            for one in own:
                grams = [tuple(one.symbols[i : i + n]) for i in range(len(one.symbols) - n + 1)]
                assert len(grams) == len(set(grams))
    with pytest.raises(OptionError, match="no_repeat = -1"):
        beam_search(advance(table), zeros(4), [9] * 4, begin=END, end=END, no_repeat=-1)
