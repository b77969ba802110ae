"""Affix and shape features of words.

    shape_features("McGee's") = m, mc, mcg, s, 's, e's, ee's, XxXxx'x

A feature is a symbol if at least `LEAST` distinct words of the training data have it, else 0, the unknown symbol.

Source: Ratnaparkhi, "A maximum entropy model for part-of-speech tagging", 1996.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor

from elman.errors import ModelFileError
from elman.validation.messages import shown

FILE = "looks.json"
KINDS = 8  # three prefixes, four suffixes, the shape
LEAST = 3  # minimum number of distinct words with a feature


def shape_features(word: str) -> list[str]:
    """The prefixes of 1 to 3 letters, the suffixes of 1 to 4, both in lower case, and the shape.

    >>> shape_features("Running")
    ['r', 'ru', 'run', 'g', 'ng', 'ing', 'ning', 'Xxx']
    """
    low = word.lower()
    return [*(low[:n] for n in (1, 2, 3)), *(low[-n:] for n in (1, 2, 3, 4)), shape(word)]


def shape(word: str) -> str:
    """Upper case as X, lower case as x, caseless letters as a, digits as d, other characters unchanged; runs of equal
    characters cut to two.

    >>> shape("Dec.2004"), shape("中文")
    ('Xxx.dd', 'aa')
    """
    return "".join("".join(run)[:2] for _, run in groupby(map(kind, word[:40])))


def kind(letter: str) -> str:
    """The class of a character in `shape`.

    >>> [kind(letter) for letter in "Aa7-"]
    ['X', 'x', 'd', '-']
    """
    if letter.isalpha():
        return "X" if letter.isupper() else "x" if letter.islower() else "a"
    return "d" if letter.isdigit() else letter


class WordShapeFeatures:
    """The vocabulary of shape features, numbered from 1 over all kinds.

    >>> common = WordShapeFeatures.of(["sing", "ring", "bring"])
    >>> common.numbers(["king", "x"]).tolist()
    [[0, 0, 0, 1, 2, 3, 0, 4], [0, 0, 0, 0, 0, 0, 0, 0]]
    """

    def __init__(self, known: Sequence[Sequence[str]]) -> None:
        self.known = [list(own) for own in known]
        before = accumulate((len(own) for own in self.known), initial=1)
        self._numbers = [
            {look: first + i for i, look in enumerate(own)} for first, own in zip(before, known, strict=False)
        ]
        self.symbols = 1 + sum(map(len, self.known))

    @classmethod
    def of(cls, words: Iterable[str]) -> WordShapeFeatures:
        """The vocabulary of distinct words."""
        counts: list[Counter[str]] = [Counter() for _ in range(KINDS)]
        for word in words:
            for count, look in zip(counts, shape_features(word), strict=True):
                count[look] += 1
        return cls([sorted(look for look, n in count.items() if n >= LEAST) for count in counts])

    def numbers(self, words: Sequence[str]) -> Tensor:
        """The features of each word, int64 [words, KINDS]."""
        rows = [
            [own.get(look, 0) for own, look in zip(self._numbers, shape_features(word), strict=True)] for word in words
        ]
        return torch.tensor(rows, dtype=torch.int64).view(len(rows), KINDS)

    def file(self) -> str:
        """As JSON: a list for each kind."""
        return json.dumps(self.known)

    @classmethod
    def restored(cls, known: list[Any], symbols: int) -> WordShapeFeatures:
        """The features of a saved list for each kind. Raises `ModelFileError` for invalid contents."""
        for own in known:
            if not isinstance(own, list) or not all(isinstance(look, str) for look in own):
                raise ModelFileError(f"{FILE} has {shown(own)}, which is no list of texts. Save the model again.")
            if len(set(own)) < len(own):
                raise ModelFileError(f"{FILE} has the same feature twice. Save the model again.")
        if 1 + sum(map(len, known)) != symbols:
            raise ModelFileError(f"{FILE} does not hold the {symbols} features that the model was saved with.")
        return cls(known)
