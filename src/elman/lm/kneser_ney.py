"""Interpolated Kneser-Ney n-gram language models.

    p(w | h) = max(c(h w) - d, 0) / c(h) + d n(h) / c(h) p(w | h')        h' is h without its oldest symbol
    p(w | empty) the same over p(w) = 1 / symbols                         n(h): number of distinct symbols after h

c is the count of the longest n-grams, and for shorter ones the number of distinct symbols before them; the discount of
each length is d = n1 / (n1 + 2 n2), with n1 and n2 the numbers of n-grams of count 1 and 2.

The n-grams of each length are a sorted array of keys, `index of the prefix * symbols + last symbol`, so that n-grams
with the same prefix are adjacent and a whole text is looked up at once.

Sources: Kneser & Ney 1995; Chen & Goodman 1999.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import ModelFileError

_KEPT = 50_000  # contexts in the cache
_LARGEST = 1 << 40  # maximum count, so that sums are exact

_Floats = NDArray[np.float64]
_Whole = NDArray[np.int64]


class _Level(NamedTuple):
    """The n-grams of one length."""

    keys: _Whole  # sorted; of single symbols 0 ... symbols - 1
    counts: _Whole
    totals: _Whole  # for each n-gram one shorter, as a context: the sum of the counts after it
    followers: _Whole  # and the number of distinct symbols after it
    discount: float


class KneserNey:
    """An n-gram model of sequences of symbols 0 ... `symbols` - 1.

    >>> model = KneserNey(order=2, symbols=3).fit([[0, 1, 0, 1, 0, 2]])
    >>> round(float(model.probabilities((0,)).sum()), 6)
    1.0
    >>> model.probability((1,), 0) > model.probability((1,), 2)
    True
    """

    def __init__(self, order: int, symbols: int) -> None:
        self.order, self.symbols, self.name = order, symbols, f"Kneser-Ney {order}-grams"
        self.levels: list[_Level] = []
        self.seconds = 0.0
        self._found: dict[tuple[int, ...], _Floats] = {}

    # ---- learning

    def fit(self, sequences: Sequence[Sequence[int]]) -> Self:
        """Counts the n-grams of each sequence; the first symbol is context only."""
        begin = time.perf_counter()
        values, within = _flat(sequences)
        self.levels, self._found, nodes = [], {}, values
        keys, begun, before = [np.arange(self.symbols)], [np.zeros(self.symbols, np.int64)], []
        for length in range(2, self.order + 1):
            at = np.flatnonzero(within >= length - 1)
            found, first, place = np.unique(
                nodes[at - 1] * self.symbols + values[at], return_index=True, return_inverse=True
            )
            before.append(nodes[at][first])  # without the oldest symbol
            nodes = np.full(len(values), -1)
            nodes[at] = place
            keys.append(found)
            begun.append(np.bincount(nodes[within == length - 1], minlength=len(found)))
        last = np.bincount(nodes[within >= max(1, self.order - 1)], minlength=len(keys[-1]))
        shorter = [np.bincount(b, minlength=len(k)) + n for b, k, n in zip(before, keys, begun, strict=False)]
        self._know(keys, [*shorter, last])
        self.seconds = time.perf_counter() - begin
        return self

    def _know(self, keys: Sequence[_Whole], counts: Sequence[_Whole]) -> None:
        contexts = 1
        for own, count in zip(keys, counts, strict=True):
            parents = own // self.symbols
            totals = np.bincount(parents, weights=count, minlength=contexts).astype(np.int64)
            followers = np.bincount(parents[count > 0], minlength=contexts)
            ones, twos = int((count == 1).sum()), int((count == 2).sum())
            discount = ones / (ones + 2 * twos) if ones and twos else 0.5
            self.levels.append(_Level(own, count, totals, followers, discount))
            contexts = len(own)

    # ---- answering

    def probability(self, before: Sequence[int], symbol: int) -> float:
        """p of a symbol after others."""
        return float(self.probabilities(before)[symbol])

    def probabilities(self, before: Sequence[int]) -> _Floats:
        """p of each symbol after others, float64 [symbols]."""
        context = tuple(before[max(0, len(before) + 1 - self.order) :])
        if context not in self._found:
            if len(self._found) * self.symbols > _KEPT * 100:
                self._found = {}
            self._found[context] = self._after(context)
        return self._found[context]

    def _after(self, context: tuple[int, ...]) -> _Floats:
        p = np.full(self.symbols, 1 / self.symbols)
        for place, level in zip(self._contexts(np.array(context, np.int64)), self.levels, strict=False):
            total = int(level.totals[place]) if place >= 0 else 0
            if not total:
                break
            p *= level.discount * level.followers[place] / total
            first, last = np.searchsorted(level.keys, [place * self.symbols, (place + 1) * self.symbols])
            own = np.maximum(level.counts[first:last] - level.discount, 0.0)
            p[level.keys[first:last] - place * self.symbols] += own / total
        return p

    def _contexts(self, symbols: _Whole) -> list[int]:
        """The index of the last 0, 1, 2 ... symbols among the n-grams of that length; -1 for unknown ones."""
        found, nodes = [0], symbols
        for length in range(1, len(symbols) + 1):
            if length > 1:
                nodes = self._place(length, nodes[:-1], symbols[length - 1 :])
            found.append(int(nodes[-1]))
        return found

    def _place(self, length: int, before: _Whole, symbols: _Whole) -> _Whole:
        """The indices of n-grams, from those of their prefixes; -1 for unknown ones."""
        keys, wanted = self.levels[length - 1].keys, before * self.symbols + symbols
        at = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
        known = (before >= 0) & (keys[at] == wanted) if len(keys) else np.zeros(len(wanted), bool)
        return np.where(known, at, -1)

    def each(self, sequences: Sequence[Sequence[int]]) -> _Floats:
        """p of every symbol but the first of each sequence, concatenated; bitwise equal to `probabilities`."""
        values, within = _flat(sequences)
        p = np.full(len(values), 1 / self.symbols)
        contexts, nodes = np.zeros(len(values), np.int64), values
        for length, level in enumerate(self.levels, start=1):
            if length > 1:
                contexts = np.where(within >= length - 1, np.roll(nodes, 1), -1)
                nodes = self._place(length, contexts, values)
            if not (contexts >= 0).any():
                break
            total = np.where(contexts >= 0, level.totals[contexts], 0)
            at = np.flatnonzero(total > 0)
            node, context = nodes[at], contexts[at]
            count = np.where(node >= 0, level.counts[node], 0) if len(level.counts) else np.zeros(len(at))
            kept = level.discount * level.followers[context] / total[at]
            p[at] = np.maximum(count - level.discount, 0.0) / total[at] + kept * p[at]
        return p[within > 0]

    def nats(self, sequences: Sequence[Sequence[int]]) -> float:
        """The sum of -log p over all symbols but the first of each sequence."""
        return float(-np.log(self.each(sequences)).sum())

    # ---- on disk

    def tensors(self) -> dict[str, Tensor]:
        """The n-grams of each length and their counts."""
        made = {f"counts{n}": torch.from_numpy(level.counts) for n, level in enumerate(self.levels, start=1)}
        keys = {f"keys{n}": torch.from_numpy(level.keys) for n, level in enumerate(self.levels, start=1) if n > 1}
        return made | keys

    @classmethod
    def restore(cls, order: int, symbols: int, tensors: Mapping[str, Tensor]) -> Self:
        """The saved model. Raises `ModelFileError` for invalid n-grams."""
        keys, counts, above = [], [], 1
        for length in range(1, order + 1):
            count = _saved(tensors, f"counts{length}")
            own = np.arange(symbols) if length == 1 else _saved(tensors, f"keys{length}")
            good = len(own) == len(count) and bool((count >= (length > 1)).all())
            inside = not len(own) or (own[0] >= 0 and own[-1] < above * symbols)
            if not (good and inside and bool((np.diff(own) > 0).all())):
                raise ModelFileError(f"the saved n-grams of {length} symbols are invalid. Save the model again.")
            keys.append(own)
            counts.append(count)
            above = len(own)
        made = cls(order, symbols)
        made._know(keys, counts)
        return made


def _saved(tensors: Mapping[str, Tensor], name: str) -> _Whole:
    tensor: Any = tensors.get(name)
    if tensor is None or tensor.dtype != torch.int64 or tensor.dim() != 1 or bool((tensor > _LARGEST).any()):
        raise ModelFileError(f"the saved n-grams have no {name}, one row of whole numbers. Save the model again.")
    found: _Whole = tensor.numpy()
    return found


def _flat(sequences: Sequence[Sequence[int]]) -> tuple[_Whole, _Whole]:
    """All symbols concatenated, and the position of each in its sequence."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    values = np.concatenate([np.zeros(0, np.int64), *(np.asarray(one, np.int64) for one in sequences)])
    starts = np.cumsum(lengths) - lengths
    return values, np.arange(len(values)) - np.repeat(starts, lengths)
