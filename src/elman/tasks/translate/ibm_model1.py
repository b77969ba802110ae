"""Word for word: what each source word is most likely to become, learnt from pairs alone (IBM model 1).

    t(f | e) = sum over pairs of c(f, e) / sum over f' of c(f', e)
    c(f, e) = sum_{e in x, f in y} t(f | e) / sum_{e' in x + empty} t(f | e')        a few passes from t = 1

An answer has, for each source word in its order, the f with the greatest t(f | e); a word that was not learnt stays as
it is where both sides are words. Of scripts without spaces a word is a character.

Brown, P. et al. 1993. The mathematics of statistical machine translation. Computational Linguistics 19.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elman.features.unicode import canonical
from elman.tasks.translate.pairs import chosen_unit

__all__ = ["IBMModel1"]

_PASSES = 5
_LONGEST = 100  # words of a side that are learnt from
_WORD = re.compile(r"\w+|[^\w\s]")
_NO_SPACE = re.compile(r" (?=[.,!?;:%)\]}’'”])|(?<=[(\[{“‘]) ")

_Ints = NDArray[np.int64]


class IBMModel1:
    """The simple rival of a translator.

    >>> table = IBMModel1().fit(["the cat", "the dog"] * 3, ["le chat", "le chien"] * 3)
    >>> table.predict(["the cat"])
    ['le chat']
    """

    name = "word for word (IBM model 1)"

    def __init__(self) -> None:
        self.seconds = 0.0

    def fit(self, X: Sequence[Any], y: Sequence[Any]) -> Self:
        """Learns the table from sources and their targets: texts, or lists of tokens."""
        start = time.perf_counter()
        self.characters_ = [_by_character(column) for column in (X, y)]
        self.tokens_ = bool(len(y)) and not isinstance(y[0], str)
        sides = [[self._words(text, i)[:_LONGEST] for text in column] for i, column in enumerate((X, y))]
        known: list[dict[Any, int]] = [{}, {}]
        codes = [
            [[k.setdefault(w, len(k)) for w in words] for words in column]
            for k, column in zip(known, sides, strict=True)
        ]
        self.table_ = _best(codes, len(known[0]), len(known[1]))
        words = list(known[1])
        self.answers_ = {word: words[self.table_[i]] for word, i in known[0].items() if self.table_[i] >= 0}
        self.seconds = time.perf_counter() - start
        return self

    def predict(self, X: Sequence[Any]) -> list[Any]:
        """Every source, word for word."""
        return [self._said(self._words(text, 0)) for text in X]

    def _said(self, words: list[Any]) -> Any:
        copies = self.characters_[0] == self.characters_[1]
        said = [self.answers_.get(word, word) for word in words if copies or word in self.answers_]
        if self.tokens_:
            return said
        if self.characters_[1]:
            return "".join(map(str, said))
        return _NO_SPACE.sub("", " ".join(map(str, said)))

    def _words(self, text: Any, side: int) -> list[Any]:
        if not isinstance(text, str):
            return list(text)
        text = canonical(text)
        return list(text) if self.characters_[side] else _WORD.findall(text)


def _by_character(column: Sequence[Any]) -> bool:
    """Whether a word is a character."""
    texts = [text for text in column if isinstance(text, str)]
    return bool(texts) and chosen_unit(texts) == "characters"


def _best(codes: Sequence[Sequence[Sequence[int]]], sources: int, targets: int) -> _Ints:
    """The likeliest target word of each source word; -1 for one that never stood beside any."""
    pairs, groups = _pairs(codes, sources, targets)
    best = np.full(sources, -1, dtype=np.int64)
    if not len(pairs):
        return best
    distinct, place = np.unique(pairs, return_inverse=True)
    source = distinct // targets
    chance = np.ones(len(distinct))
    for _ in range(_PASSES):
        each = chance[place]
        each /= np.bincount(groups, each)[groups]
        counts = np.bincount(place, each, minlength=len(distinct))
        chance = counts / np.bincount(source, counts)[source]
    order = np.lexsort((chance, source))  # the best of each source word comes last
    real = order[source[order] < sources]
    best[source[real]] = distinct[real] % targets
    return best


def _pairs(codes: Sequence[Sequence[Sequence[int]]], sources: int, targets: int) -> tuple[_Ints, _Ints]:
    """Each source word (and the empty one) beside each target word of its pair, and which target word it is."""
    made, groups, count = [], [], 0
    for x, y in zip(*codes, strict=True):
        if not y:
            continue
        ours = np.array([*x, sources], dtype=np.int64)
        theirs = np.array(y, dtype=np.int64)
        made.append((ours[None, :] * targets + theirs[:, None]).reshape(-1))
        groups.append(np.repeat(np.arange(count, count + len(y)), len(ours)))
        count += len(y)
    if not made:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(made), np.concatenate(groups)
