"""Word-by-word translation with IBM model 1.

    t(f | e) = sum over pairs of c(f, e) / sum over f' of c(f', e)
    c(f, e) = sum_{e in x, f in y} t(f | e) / sum_{e' in x + empty} t(f | e')        a few EM iterations from t = 1

Each source word is replaced by the f with the greatest t(f | e), without reordering; an unknown word is copied where
both sides are words. In scripts without spaces a word is a character.

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

_PASSES = 5
_LONGEST = 100  # words of a side used in training
_WORD = re.compile(r"\w+|[^\w\s]")
_NO_SPACE = re.compile(r" (?=[.,!?;:%)\]}’'”])|(?<=[(\[{“‘]) ")

_Ints = NDArray[np.int64]


class IBMModel1:
    """The baseline of a translator.

    >>> table = IBMModel1().fit(["the cat", "the dog"] * 3, ["le chat", "le chien"] * 3)
    >>> table.predict(["the cat"])
    ['le chat']
    """

    name, seconds = "word for word (IBM model 1)", 0.0

    def fit(self, X: Sequence[Any], y: Sequence[Any]) -> Self:
        """Estimates t(f | e) from sources and targets: texts, or lists of tokens."""
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
        """Every source, translated word by word."""
        return [self._translated(self._words(text, 0)) for text in X]

    def _translated(self, words: list[Any]) -> Any:
        copies = self.characters_[0] == self.characters_[1]
        translated = [self.answers_.get(word, word) for word in words if copies or word in self.answers_]
        if self.tokens_:
            return translated
        if self.characters_[1]:
            return "".join(map(str, translated))
        return _NO_SPACE.sub("", " ".join(map(str, translated)))

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
    """The likeliest target word of each source word; -1 for one without co-occurrences."""
    pairs, groups = _pairs(codes, sources, targets)
    distinct, place = np.unique(pairs, return_inverse=True)
    source = distinct // targets
    probability = np.ones(len(distinct))
    for _ in range(_PASSES):
        each = probability[place]
        each /= np.bincount(groups, each)[groups]
        counts = np.bincount(place, each, minlength=len(distinct))
        probability = counts / np.bincount(source, counts)[source]
    best = np.full(sources, -1, dtype=np.int64)
    order = np.lexsort((probability, source))  # the best of each source word comes last
    real = order[source[order] < sources]
    best[source[real]] = distinct[real] % targets
    return best


def _pairs(codes: Sequence[Sequence[Sequence[int]]], sources: int, targets: int) -> tuple[_Ints, _Ints]:
    """The co-occurrences of source words (with the empty word) and target words, and the index of the target word."""
    made, groups, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for x, y in zip(*codes, strict=True):
        ours = np.array([*x, sources], dtype=np.int64)
        theirs = np.array(y, dtype=np.int64)
        made.append((ours[None, :] * targets + theirs[:, None]).reshape(-1))
        groups.append(np.repeat(np.arange(count, count + len(y)), len(ours)))
        count += len(y)
    return np.concatenate(made), np.concatenate(groups)
