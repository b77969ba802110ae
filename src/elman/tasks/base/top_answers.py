"""The best answers of a search, with their scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from elman.errors import OptionError
from elman.validation.messages import shown
from elman.validation.options import is_whole

MOST = 1000  # answers of a sequence


class TopAnswers(NamedTuple):
    """The best answers of each sequence, best first, and their scores; fewer where the search found fewer."""

    answers: list[list[Any]]
    scores: list[list[float]]


def check_k(k: Any) -> int:
    """The number of answers. Raises ``OptionError`` unless it is a whole number from 1 to 1000."""
    if not is_whole(k, 1, MOST):
        raise OptionError(f"k = {shown(k)} must be a whole number from 1 to {MOST}")
    return int(k)


def distinct(found: Iterable[tuple[Any, float]], k: int) -> tuple[list[Any], list[float]]:
    """The first `k` different answers and their scores, from the best one on.

    >>> distinct([("a b", -1.0), ("a b", -2.0), ("a", -3.0)], 2)
    (['a b', 'a'], [-1.0, -3.0])
    """
    answers: list[Any] = []
    scores: list[float] = []
    for answer, score in found:
        if len(answers) < k and answer not in answers:
            answers.append(answer)
            scores.append(float(score))
    return answers, scores


def top_columns(found: TopAnswers, target: str, k: int) -> dict[str, list[Any]]:
    """The columns of a table: the answer, then each of the `k` best with its score; missing where there are fewer.

    >>> top_columns(TopAnswers([["a", "b"], ["c"]], [[-1.0, -2.0], [-3.0]]), "y", 2)["score_2"]
    [-2.0, None]
    """
    columns: dict[str, list[Any]] = {f"predicted_{target}": [own[0] for own in found.answers]}
    for i in range(k):
        columns[f"predicted_{target}_{i + 1}"] = [own[i] if i < len(own) else None for own in found.answers]
        columns[f"score_{i + 1}"] = [own[i] if i < len(own) else None for own in found.scores]
    return columns
