"""Batched beam search with length normalisation.

    score(y) = sum_t log p(y_t | y_1 ... y_{t-1}) / lp(|y|)        |y| counts the end
    lp(n) = ((5 + n) / 6)^penalty                                  Wu et al. 2016; penalty 0: none

A sequence has at most `beam` hypotheses. Finished ones leave the beam; the search ends when `beam` are finished, or
when no open one can still be among the best that are asked for. A beam of 1 is greedy search. Rows are the hypotheses
of all sequences, without padding, and do not affect those of other sequences.

Wu, Y. et al. 2016. Google's neural machine translation system. arXiv:1609.08144.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.decoding.repeats import check_no_repeat, repeating
from elman.errors import OptionError, Problem
from elman.ops.state import State, taken
from elman.validation.messages import shown
from elman.validation.options import is_number, is_whole

MOST_BEAM = 1000  # maximum width

#: Last symbols [rows], the state of each row, and the sequence of each: to log p [rows, symbols] and the next state.
Advance = Callable[[Tensor, State, Tensor], tuple[Tensor, State]]

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


class Found(NamedTuple):
    """A finished hypothesis of a sequence."""

    symbols: list[int]  # without the end
    score: float  # log p over the length penalty


def check_beam(beam: Any, penalty: Any) -> list[Problem]:
    """What is wrong with a beam width and a length penalty.

    >>> print(*check_beam(0, -1.0), sep="\\n")
    beam = 0 must be a whole number of at least 1
    length_penalty = -1.0 must be a number of at least 0
    """
    found = []
    if not is_whole(beam):
        found.append(Problem("beam", shown(beam), "must be a whole number of at least 1"))
    elif beam > MOST_BEAM:
        found.append(Problem("beam", shown(beam), f"must be at most {MOST_BEAM}"))
    good = is_number(penalty, 0)
    return found if good else [*found, Problem("length_penalty", shown(penalty), "must be a number of at least 0")]


def beam_search(
    advance: Advance,
    state: State,
    limits: Sequence[int],
    *,
    begin: int,
    end: int,
    beam: int = 1,
    penalty: float = 0.0,
    no_repeat: int = 0,
) -> list[Found]:
    """The best continuation of each sequence, of at most `limits` [sequences] symbols.

    `state` is the initial state, one row for each sequence; `begin` and `end` are the boundary symbols. Symbols with
    log p of -inf are never chosen. A sequence whose hypotheses all reach the limit ends there. `no_repeat` = n: no n
    symbols in a row occur twice in a hypothesis; 0: any.

    Raises ``OptionError`` for a beam below 1 or above `MOST_BEAM` and for a penalty or `no_repeat` below 0.

    >>> def advance(last, state, sequences):  # 0 or 1, then the end
    ...     sure = torch.tensor([[0.4, 0.6, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    ...     return sure[(last != 2).long()].log().double(), state
    >>> beam_search(advance, None, [5], begin=2, end=2)[0].symbols
    [1]
    """
    how: dict[str, Any] = {"begin": begin, "end": end, "beam": beam, "penalty": penalty, "no_repeat": no_repeat}
    return [(own or [Found([], 0.0)])[0] for own in best_continuations(advance, state, limits, count=1, **how)]


def best_continuations(
    advance: Advance,
    state: State,
    limits: Sequence[int],
    *,
    begin: int,
    end: int,
    count: int,
    beam: int,
    penalty: float = 0.0,
    no_repeat: int = 0,
) -> list[list[Found]]:
    """The `count` best continuations of each sequence, best first, or as many as were found: see `beam_search`."""
    if problems := check_beam(beam, penalty) + check_no_repeat(no_repeat):
        raise OptionError.of(problems)
    search = _Search(limits, end, beam, penalty, no_repeat, count)
    last = torch.full((len(search.owner),), begin, dtype=torch.int64)
    state = taken(state, torch.from_numpy(search.owner)) if state is not None else None
    while len(search.owner):
        logs, state = advance(last, state, torch.from_numpy(search.owner))
        rows, last = search.grow(logs)
        state = taken(state, rows) if state is not None else None
    return [sorted(ended, key=lambda one: -one.score)[:count] for ended in search.ended]


class _Search:
    """The open hypotheses: their sequence, symbols and log p."""

    def __init__(self, limits: Sequence[int], end: int, beam: int, penalty: float, no_repeat: int, count: int) -> None:
        self.limits = np.asarray(limits, dtype=np.int64)
        self.end, self.beam, self.penalty, self.no_repeat, self.count = end, beam, penalty, no_repeat, count
        self.owner: _Ints = np.flatnonzero(self.limits > 0)
        self.sums: _Floats = np.zeros(len(self.owner))
        self.symbols: _Ints = np.zeros((len(self.owner), 0), dtype=np.int64)
        self.ended: list[list[Found]] = [[] for _ in self.limits]

    def grow(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        """Extends by one symbol: the previous row of each new row, and its last symbol."""
        row, symbol, sums = self._candidates(logs)
        owner = self.owner[row]
        length = self.symbols.shape[1] + 1
        ends = symbol == self.end
        rank = _ranks(owner)
        for place in np.flatnonzero(ends & (rank < self.beam)):
            self._close(int(owner[place]), self.symbols[row[place]], float(sums[place]), length)
        stays = ~ends
        row, symbol, sums, owner = row[stays], symbol[stays], sums[stays], owner[stays]
        open_ = _ranks(owner) < self.beam
        row, symbol, sums, owner = row[open_], symbol[open_], sums[open_], owner[open_]
        symbols = np.concatenate([self.symbols[row], symbol[:, None]], axis=1)
        full = length >= self.limits[owner]
        for place in np.flatnonzero(full):
            self._close(int(owner[place]), symbols[place], float(sums[place]), length)
        keep = ~full & self._can_win(owner, sums)
        self.owner, self.sums, self.symbols = owner[keep], sums[keep], symbols[keep]
        return torch.from_numpy(row[keep]), torch.from_numpy(symbol[keep])

    def _candidates(self, logs: Tensor) -> tuple[_Ints, _Ints, _Floats]:
        """The best symbols of each row, sorted within a sequence; one more than the beam, as one may be the end."""
        if self.no_repeat:
            logs = logs.clone()
            logs[tuple(map(torch.from_numpy, repeating(self.symbols, self.no_repeat)))] = -torch.inf
        best = logs.topk(min(self.beam + 1, logs.shape[1]), dim=1)
        width = best.indices.shape[1]
        row = np.repeat(np.arange(len(self.owner)), width)
        symbol = best.indices.numpy().reshape(-1)
        sums = np.repeat(self.sums, width) + best.values.double().numpy().reshape(-1)
        likely = np.isfinite(sums)
        row, symbol, sums = row[likely], symbol[likely], sums[likely]
        order = np.lexsort((-sums, self.owner[row]))
        return row[order], symbol[order], sums[order]

    def _close(self, owner: int, symbols: _Ints, logs: float, length: int) -> None:
        self.ended[owner].append(Found(symbols.tolist(), logs / self._divisor(length)))

    def _divisor(self, length: Any) -> Any:
        with np.errstate(over="ignore"):  # overflow for an extreme penalty
            return np.float64((5.0 + length) / 6.0) ** self.penalty

    def _can_win(self, owner: _Ints, sums: _Floats) -> NDArray[np.bool_]:
        """Whether a hypothesis can still be among the best finished ones; none can once `beam` have finished."""
        best = np.array([self._least(ended) for ended in self.ended])
        count = np.array([len(ended) for ended in self.ended])
        hope = sums / self._divisor(self.limits[owner])  # an upper bound: log p only falls, the divisor only grows
        can: NDArray[np.bool_] = (count[owner] < self.beam) & (hope > best[owner])
        return can

    def _least(self, ended: Sequence[Found]) -> float:
        """The score that a hypothesis must exceed to be among the best."""
        scores = sorted((one.score for one in ended), reverse=True)
        return scores[self.count - 1] if len(scores) >= self.count else -np.inf


def _ranks(owner: _Ints) -> _Ints:
    """The rank of each row within its sequence; rows of a sequence are adjacent."""
    if not len(owner):
        return owner
    begins = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    return np.arange(len(owner)) - np.repeat(begins, np.diff(np.concatenate([begins, [len(owner)]])))
