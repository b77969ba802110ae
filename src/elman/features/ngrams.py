"""N-grams of texts for baselines: options of scikit-learn's ``TfidfVectorizer``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from elman.features.unicode import canonical
from elman.validation.plain_values import plain_value

_RUNS = 20_000_000  # maximum number of character n-grams


def text_ngrams(texts: Sequence[str], unit: str, lower: bool, cut: Callable[[str], Sequence[str]]) -> dict[str, Any]:
    """1- and 2-grams of words or subwords; of 1 to 3 characters for unit "mixed", of 1 to 6 for "characters" (limited
    to 20 million n-grams, but at least 3). `cut` gives the subwords of a text.

    >>> text_ngrams(["a film"], "mixed", True, str.split)["ngram_range"]
    (1, 3)
    """
    plain = (lambda text: canonical(text).lower()) if lower else canonical
    longest = min(6, max(3, _RUNS // max(1, sum(map(len, texts)))))
    by_unit: dict[str, dict[str, Any]] = {
        "words": {"preprocessor": plain, "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
        "mixed": {"preprocessor": plain, "analyzer": "char", "ngram_range": (1, 3)},
        "characters": {"preprocessor": plain, "analyzer": "char", "ngram_range": (1, longest)},
    }
    return by_unit.get(unit, {"analyzer": lambda text: pairs(cut(text))})


def pairs(sequence: Sequence[Any]) -> list[tuple[str, ...]]:
    """The unigrams and bigrams of a sequence.

    >>> pairs(["a", 7])
    [('a',), ('7',), ('a', '7')]
    """
    names = [str(plain_value(token)) for token in sequence]
    return [*((name,) for name in names), *itertools.pairwise(names)]
