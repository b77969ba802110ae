"""Sampling of the next symbol from logits: temperature, top-k, top-p, repetition penalty.

    z' = z / r where z > 0, else z r, for symbols generated before; r: repetition                (Keskar et al. 2019)
    p = softmax(z' / temperature)
    top_k   only the k likeliest                                                                 (Fan et al. 2018)
    top_p   the smallest set of the likeliest with total probability p                           (Holtzman et al. 2020)

Temperature 0 is greedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elman.errors import OptionError
from elman.validation.options import is_number, is_whole, require

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling options.

    `temperature` ≥ 0, 1 as trained; `top_k` ≥ 1 symbols or None; `top_p` over 0 up to 1; `repetition` ≥ 1, which
    divides the logits of symbols generated before (1: no penalty). Raises ``OptionError`` outside these.

    >>> draw = np.random.default_rng(0)
    >>> Sampling(temperature=0.0).draw(np.array([0.1, 2.0, 1.0]), draw)
    1
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    repetition: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "temperature": (is_number(self.temperature, 0), "a number of at least 0"),
            "top_k": (self.top_k is None or is_whole(self.top_k), "a whole number of at least 1, or None"),
            "top_p": (is_number(self.top_p, 0, 1) and self.top_p > 0, "a number over 0 and up to 1"),
            "repetition": (is_number(self.repetition, 1), "a number of at least 1"),
        }
        problems = [require(good, self, name, f"must be {rule}") for name, (good, rule) in rules.items()]
        if found := [problem for own in problems for problem in own]:
            raise OptionError.of(found)

    def probabilities(self, scores: _Floats, before: Sequence[int] = ()) -> _Floats:
        """The probability of each symbol, float64; 0 for a score of -inf. At least one must be finite."""
        z = np.array(scores, dtype=np.float64)
        if self.repetition != 1 and len(before):
            distinct = np.unique(np.asarray(before))
            z[distinct] = np.where(z[distinct] > 0, z[distinct] / self.repetition, z[distinct] * self.repetition)
        if self.temperature == 0:
            made = np.zeros_like(z)
            made[int(z.argmax())] = 1.0
            return made
        if self.top_k is not None and self.top_k < len(z):
            z[np.argsort(-z, kind="stable")[self.top_k :]] = -np.inf
        with np.errstate(over="ignore"):  # overflow at a temperature near 0
            p: _Floats = np.exp((z - z.max()) / self.temperature)
        p /= p.sum()
        if self.top_p < 1:
            order = np.argsort(-p, kind="stable")
            candidates = int(np.searchsorted(np.cumsum(p[order]), self.top_p)) + 1
            p[order[candidates:]] = 0
            p /= p.sum()
        return p

    def draw(self, scores: _Floats, random: np.random.Generator, before: Sequence[int] = ()) -> int:
        """A symbol sampled with `random`."""
        p = self.probabilities(scores, before)
        return min(int(np.searchsorted(np.cumsum(p), random.random(), side="right")), int(np.flatnonzero(p)[-1]))
