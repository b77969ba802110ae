"""Infers the feature for a column."""

import os
from typing import Any

import numpy as np
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.audio import Sound, is_pair, is_recording
from elman.features.base import Feature
from elman.features.containers import column_of
from elman.features.images import Images
from elman.features.numbers import Numbers
from elman.features.references import kind_of_texts
from elman.features.registry import FEATURES
from elman.features.text import Text
from elman.features.tokens import Tokens
from elman.validation.columns import is_frame, is_missing
from elman.validation.messages import seen
from elman.validation.plain_values import plain_value


def infer(column: Any, *, name: str = "X", written: bool = False) -> Feature:
    """The unfitted feature for a column, with default options.

    Texts → `Text`; lists of str → `Tokens`; arrays or lists of numbers, 2-D and 3-D arrays, frames of numbers and
    `Ragged` → `Numbers`; 4-D and 5-D arrays, lists of 3-D and 4-D ones → `Images`. Integers are measurements; for ids
    use `Tokens()`, for music `Chords()`.

    Texts that all name sound files, by their suffix, and pairs (samples, rate) → `Sound`. Samples without a rate are
    numbers unless a task sets feature = "sound".

    Missing values among the numbers stay: `Numbers` fills them.

    Texts that are all lists, such as "[1, 2]", are refused, unless `written`: for tasks that generate texts.

    Raises `DataError` if the column is empty, mixed, or holds anything else.

    >>> infer(["a text", "another"])
    Text(max_words=30000, min_count=None, unit='auto', lower=True)
    >>> infer([["a", "list"], []])
    Tokens(max_words=30000, min_count=None, lower=False)
    >>> infer([[1.5, 2.5], [3]])
    Numbers(scale='standard')
    """
    if not isinstance(column, list | tuple | np.ndarray | Tensor | str | bytes) and is_frame(column, name):
        return Numbers()
    sequences = column_of(column, name=name)
    if isinstance(sequences, np.ndarray | Tensor):
        return Images() if sequences.ndim > 3 else Numbers()
    if not isinstance(sequences, list):  # sparse, or Ragged
        return Numbers()
    kinds: dict[str, int] = {}
    for i, sequence in enumerate(sequences):
        if kind := _kind(sequence, i, name):
            kinds.setdefault(kind, i)
    if not kinds:
        full = any(not is_missing(sequence) and len(sequence) for sequence in sequences)
        what = "no sequences" if not sequences else "nothing but missing values" if full else ""
        raise DataError(f"holds {what or 'only empty sequences'}: nothing to learn from.", at=Place(name))
    if len(kinds) > 1:
        (one, i), (other, j) = list(kinds.items())[:2]
        first, second = Place(sequence=i), Place(sequence=j)
        raise DataError(
            "is mixed: ", first, f" is of the kind {one}, ", second, f" of the kind {other}.", at=Place(name)
        )
    kind = next(iter(kinds))
    return FEATURES[kind_of_texts(sequences, name, written) if kind == Text.kind else kind]()


def _kind(sequence: Any, i: int, name: str) -> str | None:
    """The kind of one sequence; None for an empty list, which fits tokens and numbers."""
    if isinstance(sequence, str | os.PathLike):
        return Text.kind
    if (isinstance(sequence, tuple) and is_pair(sequence)) or is_recording(sequence):
        return Sound.kind
    if getattr(sequence, "ndim", None) == 0:
        raise DataError(f"is a single value, {seen(plain_value(sequence))}. {_EXPECTED}", at=Place(name, sequence=i))
    if hasattr(sequence, "__len__") and hasattr(sequence, "__getitem__") and not isinstance(sequence, dict | bytes):
        if len(sequence) == 0:
            return None
        if getattr(sequence, "ndim", 0) > 2:
            return Images.kind
        if hasattr(sequence, "columns"):  # a frame for each sequence
            return Numbers.kind
        first = next((value for value in sequence if not is_missing(value)), None)
        if isinstance(first, str):
            return Tokens.kind
        if first is None:  # NaN is a missing number; the kind of None follows from the other sequences
            return Numbers.kind if any(isinstance(value, float | np.floating) for value in sequence) else None
        if isinstance(first, list | tuple) or hasattr(first, "__float__"):
            return Numbers.kind
        raise DataError(f"begins with {seen(first)}. {_EXPECTED}", at=Place(name, sequence=i))
    if is_missing(sequence):
        raise DataError(f"is {seen(sequence)}. Drop it, or put an empty one in its place.", at=Place(name, sequence=i))
    raise DataError(f"is {seen(sequence)}. {_EXPECTED}", at=Place(name, sequence=i))


_EXPECTED = "Expected texts, lists of tokens, or arrays [length] or [length, width] of numbers."
