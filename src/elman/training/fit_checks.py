"""Warnings after training: a model that gives one answer for everything, or whose network learned nothing.

They are judged on the validation part, where it has at least 20 sequences. Each is an `ElmanWarning`: the model is made
all the same.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import ElmanWarning

_LEAST = 20  # sequences; with fewer one answer for all is no evidence

_ADVICE = "Look at what was read (model.feature_.describe()); a lower learning_rate or more epochs may help."


def warn_if_one_answer(truth: Sequence[Any], answers: Sequence[Any], what: str = "the model") -> None:
    """Warns where all answers are equal, but the true values are not.

    >>> warn_if_one_answer(["a", "b"], ["a", "b"])
    """
    if len(answers) < _LEAST or len(set(map(repr, truth))) < 2:
        return
    (answer, count), *others = Counter(map(repr, answers)).most_common(2)
    if others:
        return
    _warn(f"{what} gives the same answer, {answer}, for all {count} validation sequences. {_ADVICE}")


def warn_if_network_idle(
    truth: NDArray[np.int64], network: NDArray[np.int64], beside: NDArray[np.int64], name: str
) -> None:
    """Warns where the network is no better than the commonest class, and the model `name` beside it is.

    `truth`, `network` and `beside` are class codes [sequences] of the validation part. Better means by more than two
    standard errors of an accuracy.
    """
    if len(truth) < _LEAST:
        return
    commonest = float(np.bincount(truth).max() / len(truth))
    alone, other = (float((codes == truth).mean()) for codes in (network, beside))
    error = float(np.sqrt(max(commonest * (1 - commonest), 1 / len(truth)) / len(truth)))
    if alone <= commonest and other > commonest + 2 * error:
        _warn(
            f"the recurrent network learned nothing: on the validation part its accuracy is {alone:.4f}, and the "
            f"commonest class alone has {commonest:.4f}. The {name} answer in its place ({other:.4f}). {_ADVICE}"
        )


def warn_if_constant(r2: float, sequences: int, what: str = "the model") -> None:
    """Warns where a regression is no better than the mean: R2 of the validation part is 0 or less.

    >>> warn_if_constant(0.3, 100)
    """
    if sequences >= _LEAST and r2 <= 0:
        _warn(f"on the validation part {what} is no better than the mean: R2 = {r2:.4f}. {_ADVICE}")


def _warn(text: str) -> None:
    warnings.warn(text, ElmanWarning, stacklevel=6)  # who called fit
