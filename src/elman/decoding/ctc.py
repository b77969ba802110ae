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

    def _whole(self, prefix: Prefix) -> float:
        blank, other, language = self.reached[prefix]
        return _plus(blank, other) + language + (0.0 if self.language is None else self.language.end(prefix))


def _plus(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a < b:
        a, b = b, a
    return a if b == _NONE else a + math.log1p(math.exp(b - a))
