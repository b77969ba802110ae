"""What a tagger reads: words letter by letter, or texts as lists of their characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from elman.errors import DataError
from elman.features import Columns, Feature, Inputs, Tokens, Words, infer
from elman.features.lists import listed
from elman.ragged import Ragged
from elman.tasks.base.inputs import InputReader
from elman.validation.columns import is_missing
from elman.validation.messages import shown
from elman.validation.plain_values import plain_value

__all__ = ["TagReader"]

_LETTERS = "letters"  # the kind of a column of texts that are read letter by letter, or of lists


class TagReader(InputReader):
    """Reads sequences whose every step has a label."""

    def feature(self, column: Any) -> Feature | Columns:
        """A feature for what is read: tokens of several letters are words."""
        if self.task.feature == "auto" and isinstance(made := _inferred(column), Tokens):
            return self.with_options(Words() if _long(listed(column, "X")) else made)
        return super().feature(column)

    def kind(self, fitted: bool) -> str:
        """The kind of feature that a column is for; "letters" where texts are read letter by letter."""
        kind = super().kind(fitted)
        spelled = fitted and isinstance(self.task.feature_, Tokens) and not _long([self.task.feature_.vocabulary_])
        return _LETTERS if kind == "auto" or spelled else kind

    def column(self, X: Any, without: Sequence[str] = (), *, fitted: bool = False) -> Any:
        """What is read; of several columns, lists of words are read letter by letter too."""
        found = super().column(X, without, fitted=fitted)
        if not isinstance(found, Inputs) or isinstance(X, Inputs) or fitted:
            return found
        named = self.task.features or {}
        words = [n for n, k in found.kinds.items() if k == Tokens.kind and n not in named and _long(found.columns[n])]
        return Inputs(found.columns, found.kinds | dict.fromkeys(words, Words.kind))

    def letters(self, column: Any, fitted: bool = True) -> Any:
        """Texts as lists of their characters, unless words are read; everything else as it is."""
        if hasattr(column, "kinds") or isinstance(column, Ragged | Tensor):
            return column
        if isinstance(column, np.ndarray) and column.dtype.kind not in "UO":
            return column
        try:
            sequences = listed(column, "X")
        except DataError:
            return column
        if not sequences or not all(isinstance(sequence, str) for sequence in sequences):
            return column
        if isinstance(self.task.feature_, Words) if fitted else self.task.feature == Words.kind:
            raise DataError(f"X: sequence 0 is a text, {shown(sequences[0])}, but words are read. Give lists of words.")
        return [list(sequence) for sequence in sequences]

    def with_options(self, made: Feature | str) -> Feature:
        """A feature with the options that concern it."""
        feature = super().with_options(made)
        if isinstance(feature, Words):
            feature.characters, feature.looks = int(self.task.characters), int(self.task.looks)
        return feature


def _inferred(column: Any) -> Feature | None:
    return None if hasattr(column, "kinds") else infer(column)


def _long(column: Iterable[Any]) -> bool:
    """Whether there is a token of more than one letter."""
    return any(len(str(plain_value(token))) > 1 for tokens in column if not is_missing(tokens) for token in tokens)
