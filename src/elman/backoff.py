"""The rival of a language model: n-grams that back off to shorter ones (interpolated Kneser-Ney).

    p(w | h) = max(c(h w) - d, 0) / c(h) + d n(h) / c(h) p(w | h')        h' is h without its oldest symbol
    p(w | nothing) the same over p(w) = 1 / symbols                       n(h): how many different symbols followed h

In the longest n-grams c counts how often, in all shorter ones how many different symbols came before;
d = n1 / (n1 + 2 n2) of each length, with n1 and n2 the n-grams of count 1 and 2.

Sources: Kneser & Ney 1995; Chen & Goodman 1999.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

__all__ = ["BackOff"]

_Gram = tuple[int, ...]


class BackOff:
    """An n-gram model of sequences of symbols 0 ... `symbols` - 1.

    >>> model = BackOff(order=2, symbols=3).fit([[0, 1, 0, 1, 0, 2]])
    >>> round(sum(model.chance((0,), w) for w in range(3)), 6)
    1.0
    >>> model.chance((1,), 0) > model.chance((1,), 2)
    True
    """

    def __init__(self, order: int, symbols: int) -> None:
        self.order, self.symbols = order, symbols
        self.counts: list[dict[_Gram, int]] = []
        self.totals: list[dict[_Gram, int]] = []
        self.followers: list[dict[_Gram, int]] = []
        self.discounts: list[float] = []
        self.seconds = 0.0

    @property
    def name(self) -> str:
        """As it is shown beside the network."""
        return f"{self.order}-grams that back off (Kneser-Ney)"

    def fit(self, sequences: Sequence[Sequence[int]]) -> Self:
        """Counts the n-grams of each sequence, whose first symbol is only ever a context."""
        begin = time.perf_counter()
        longest: Counter[_Gram] = Counter()
        shorter: list[Counter[_Gram]] = [Counter() for _ in range(self.order - 1)]
        for sequence in sequences:
            for end in range(1, len(sequence)):
                gram = tuple(sequence[max(0, end + 1 - self.order) : end + 1])
                (longest if len(gram) == self.order else shorter[len(gram) - 1])[gram] += 1
        tables: list[Counter[_Gram]] = [longest]
        for length in range(self.order - 1, 0, -1):
            before = Counter(gram[1:] for gram in tables[-1])
            tables.append(before + shorter[length - 1])
        self._know(tables[::-1])
        self.seconds = time.perf_counter() - begin
        return self

    def _know(self, tables: Sequence[Counter[_Gram]]) -> None:
        for table in tables:
            totals: Counter[_Gram] = Counter()
            followers: Counter[_Gram] = Counter()
            for gram, count in table.items():
                totals[gram[:-1]] += count
                followers[gram[:-1]] += 1
            ones, twos = (sum(count == n for count in table.values()) for n in (1, 2))
            self.discounts.append(ones / (ones + 2 * twos) if ones and twos else 0.5)
            self.counts.append(dict(table))
            self.totals.append(dict(totals))
            self.followers.append(dict(followers))

    def chance(self, before: Sequence[int], symbol: int) -> float:
        """p of a symbol after others."""
        p = 1 / self.symbols
        for length in range(1, self.order + 1):
            context = tuple(before[len(before) - length + 1 :]) if length > 1 else ()
            if len(context) < length - 1:
                break
            total = self.totals[length - 1].get(context, 0)
            if not total:
                break
            discount = self.discounts[length - 1]
            own = max(self.counts[length - 1].get((*context, symbol), 0) - discount, 0.0)
            p = own / total + discount * self.followers[length - 1][context] / total * p
        return p

    def nats(self, sequences: Sequence[Sequence[int]]) -> float:
        """-log p of all symbols but the first of each sequence, together."""
        total = 0.0
        for sequence in sequences:
            for end in range(1, len(sequence)):
                total -= math.log(self.chance(sequence[max(0, end + 1 - self.order) : end], sequence[end]))
        return total
