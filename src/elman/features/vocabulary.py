"""Vocabularies: option checks, the minimum count, unknown symbols."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import ElmanWarning, Problem
from elman.validation.messages import grouped
from elman.validation.options import flag, is_whole, require


@dataclass(kw_only=True, eq=False, repr=False)
class VocabularyOptions:
    """Texts and tokens."""

    max_words: int = 30_000  # maximum vocabulary, the commonest symbols first, without the unknown symbol
    min_count: int | None = None  # minimum count of a symbol, rarer ones are unknown; None: 2 from 100,000 training
    #   steps, else 1


def vocabulary_problems(options: Any) -> list[Problem]:
    """What is wrong with the limits of a vocabulary, and with `lower`.

    >>> from elman.features.tokens import Tokens
    >>> print(*vocabulary_problems(Tokens(max_words=0)))
    max_words = 0 must be a whole number of at least 1
    """
    few = options.min_count is None or is_whole(options.min_count)
    return (
        require(is_whole(options.max_words), options, "max_words", "must be a whole number of at least 1")
        + require(few, options, "min_count", "must be a whole number of at least 1, or None")
        + flag(options, "lower")
    )


def least_count(min_count: int | None, steps: int) -> int:
    """The minimum count of a symbol; None is 1 in a small training set and 2 from 100,000 steps.

    In a large training set half of all words occur once, which is too few to learn their embeddings.
    """
    if min_count is not None:
        return min_count
    return 2 if steps >= 100_000 else 1


def warn_if_unknown(ids: "np.ndarray[Any, Any]", name: str, advice: str = "") -> None:
    """Warns where most symbols are not in the vocabulary.

    >>> warn_if_unknown(np.array([0, 1, 2]), "X")
    """
    unknown = int((ids == 0).sum())
    if 2 * unknown > len(ids):
        warnings.warn(
            f"{name}: {grouped(unknown)} of {grouped(len(ids))} symbols are unknown, since the training set has none "
            f"of them. The answers rest on the others alone.{advice}",
            ElmanWarning,
            stacklevel=4,
        )
