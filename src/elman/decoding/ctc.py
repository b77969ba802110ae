"""Decoding for connectionist temporal classification (Graves et al. 2006).

y_t(k) is the log probability of symbol k at step t; symbol 0 is the blank. A path has one symbol a step; its transcript
is what remains after merging repeated symbols and removing blanks:

    log p(l) = log sum over paths of l exp sum_t y_t(path_t)        loss: -log p of the true transcript

A transcript of n symbols of which r equal the one before them needs at least n + r steps.

Greedy decoding takes the likeliest symbol of each step. Beam search (Hannun et al. 2014) sums over paths: for every
prefix l, ending in symbol e, it keeps b(l) and n(l), the log probabilities of all paths that end in the blank or not:

    b(l)  = log(exp b(l) + exp n(l)) + y(0)
    n(l)  = n(l) + y(e)
    n(lk) = y(k) + log(exp b(l) + [k != e] exp n(l))                added to what is there already

The `beam` prefixes with the greatest log(exp b + exp n) + language(l) are kept, the greatest is the answer, with the
language model score language(l) = weight log p(l) + bonus words(l). Symbols less likely than 0.0001 at a step are
pruned.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BLANK = 0
_LEAST = math.log(1e-4)  # pruning threshold of symbols at a step
_NONE = -math.inf

Prefix = tuple[int, ...]


class Language(Protocol):
    """A language model: scores added to the acoustic ones."""

    def after(self, prefix: Prefix, symbol: int) -> float:
        """The score of a symbol after a prefix."""

    def end(self, prefix: Prefix) -> float:
        """The score of the end after a prefix."""


def greedy(scores: NDArray[np.float64]) -> list[int]:
    """The transcript of the likeliest path: [steps, symbols] to codes from 1.

    >>> greedy(np.log([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]))
    [1, 1, 2]
    """
    path = scores.argmax(axis=1).tolist() if len(scores) else []
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK]


def steps_needed(symbols: Sequence[int]) -> int:
    """The minimum number of steps for a transcript.

    >>> steps_needed([1, 1, 2])
    4
    """
    return len(symbols) + sum(a == b for a, b in itertools.pairwise(symbols))


@dataclass
class Prefixes:
    """The state of beam search: prefixes with b, n and language(l).

    >>> found = Prefixes(beam=4)
    >>> found.advance(np.log([[0.4, 0.6], [0.6, 0.4]]))
    >>> found.best()  # greedily "1" too, but of two paths more
    (1,)
    """

    beam: int = 16  # number of prefixes
    language: Language | None = None
    reached: dict[Prefix, tuple[float, float, float]] = field(default_factory=lambda: {(): (0.0, _NONE, 0.0)})

    def advance(self, scores: NDArray[np.float64]) -> None:
        """Advances by some steps: log probabilities [steps, symbols]."""
        for row, likely in zip(scores.tolist(), scores > _LEAST, strict=True):
            self._step(row, [symbol for symbol in np.flatnonzero(likely).tolist() if symbol != BLANK])

    def _step(self, row: list[float], symbols: list[int]) -> None:
        before, made = self.reached, dict[Prefix, list[float]]()
        for prefix, (blank, other, language) in before.items():
            total = _plus(blank, other)
            last = prefix[-1] if prefix else BLANK
            own = made.setdefault(prefix, [_NONE, _NONE, language])
            own[0] = _plus(own[0], total + row[BLANK])
            if prefix:
                own[1] = _plus(own[1], other + row[last])
            for symbol in symbols:
                longer = (*prefix, symbol)
                found = made.get(longer)
                if found is None:
                    added = 0.0 if self.language is None else self.language.after(prefix, symbol)
                    found = made[longer] = [_NONE, _NONE, language + added]
                found[1] = _plus(found[1], row[symbol] + (blank if symbol == last else total))
        ranked = sorted(made.items(), key=lambda item: (-_plus(item[1][0], item[1][1]) - item[1][2], item[0]))
        self.reached = {prefix: (b, n, language) for prefix, (b, n, language) in ranked[: self.beam]}

    def best(self) -> Prefix:
        """The likeliest transcript of the steps so far."""
        return min(self.reached, key=lambda prefix: (-self._whole(prefix), prefix))

    def ranked(self) -> list[tuple[Prefix, float]]:
        """All transcripts of the steps so far and their scores, log p + language, the likeliest first."""
        scores = {prefix: self._whole(prefix) for prefix in self.reached}
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))

    def _whole(self, prefix: Prefix) -> float:
        blank, other, language = self.reached[prefix]
        return _plus(blank, other) + language + (0.0 if self.language is None else self.language.end(prefix))


def forced_alignment(scores: NDArray[np.float64], symbols: Sequence[int]) -> NDArray[np.int64]:
    """The first step of each symbol and the step after its last one [symbols, 2], in the likeliest path (Viterbi).

    `scores`: log probabilities [steps, symbols]. Raises ``ValueError`` where there are fewer than `steps_needed`.

    >>> forced_alignment(np.log([[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.9, 0.1], [0.2, 0.8]]), [1, 1]).tolist()
    [[1, 3], [4, 5]]
    """
    if steps_needed(symbols) > len(scores):
        raise ValueError(f"{len(symbols)} symbols need {steps_needed(symbols)} steps, there are {len(scores)}")
    if not len(symbols):
        return np.zeros((0, 2), dtype=np.int64)
    states = np.zeros(2 * len(symbols) + 1, dtype=np.int64)  # blank, symbol, blank, symbol ... blank
    states[1::2] = symbols
    skips = np.zeros(len(states), dtype=np.bool_)  # from a symbol to the next without a blank between
    skips[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    best = np.full(len(states), _NONE)
    best[:2] = scores[0, states[:2]]
    back = np.zeros((len(scores), len(states)), dtype=np.int8)
    for step in range(1, len(scores)):
        ways = np.full((3, len(states)), _NONE)
        ways[0], ways[1, 1:] = best, best[:-1]
        ways[2, 2:] = np.where(skips[2:], best[:-2], _NONE)
        back[step] = ways.argmax(axis=0)
        best = ways.max(axis=0) + scores[step, states]
    state = len(states) - 1 - int(best[-2] > best[-1])
    path = np.zeros(len(scores), dtype=np.int64)
    for step in range(len(scores) - 1, -1, -1):
        path[step] = state
        state -= int(back[step, state])
    places = 2 * np.arange(len(symbols)) + 1
    return np.stack([np.searchsorted(path, places), np.searchsorted(path, places, side="right")], axis=1)


def _plus(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a < b:
        a, b = b, a
    return a if b == _NONE else a + math.log1p(math.exp(b - a))
