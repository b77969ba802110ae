"""Inputs of a tagger: words, or texts as lists of their characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from elman.errors import DataError
from elman.features import Columns, Feature, Inputs, Words, infer
from elman.features.lists import listed
from elman.features.registry import FEATURES
from elman.ragged import Ragged
from elman.tasks.base.inputs import InputReader
from elman.validation.columns import is_missing
from elman.validation.messages import shown
from elman.validation.plain_values import plain_value


class TagReader(InputReader):
    """Reads sequences with a label per step."""

    def feature(self, column: Any) -> Feature | Columns:
        """The feature for a column: tokens of several letters are words."""
        made = infer(column) if self.task.feature == "auto" and not hasattr(column, "kinds") else None
        if made is not None and made.reads_lists:
            return self.with_options(Words() if _long(listed(column, "X")) else made)
        return super().feature(column)

    def reads(self, fitted: bool) -> type[Feature] | None:
        """The type of feature that reads a column; texts read by character stay texts."""
        feature = super().reads(fitted)
        writer = self.task.feature_.only().writer if fitted and self.task.feature_.is_vocabulary else None
        letters = writer is not None and not _long([writer.words(range(1, int(writer.symbols or 0)))])
        return Feature if feature is None or letters else feature

    def column(self, X: Any, without: Sequence[str] = (), *, fitted: bool = False) -> Any:
        """The input; among several columns, lists of words get character embeddings too."""
        found = super().column(X, without, fitted=fitted)
        if not isinstance(found, Inputs) or isinstance(X, Inputs) or fitted:
            return found
        lists = [name for name, kind in found.kinds.items() if kind in FEATURES and FEATURES[kind].reads_lists]
        named = self.task.features or {}
        return found.with_kind(Words.kind, [n for n in lists if n not in named and _long(found.columns[n])])

    def letters(self, column: Any, fitted: bool = True) -> Any:
        """Texts as lists of their characters, unless the model reads words; everything else as it is."""
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
        if (self.task.feature_ if fitted else FEATURES.get(self.task.feature, Feature)).reads_letters:
            raise DataError(
                f"X: sequence 0 is a text, {shown(sequences[0])}, but the model reads words. Give lists of words."
            )
        return [list(sequence) for sequence in sequences]

    def with_options(self, made: Feature | str) -> Feature:
        """The feature with its options."""
        own = {"characters": int(self.task.characters), "word_shape": int(self.task.word_shape)}
        return super().with_options(made).take_options(own)


def _long(column: Iterable[Any]) -> bool:
    """Whether there is a token of more than one letter."""
    return any(len(str(plain_value(token))) > 1 for tokens in column if not is_missing(tokens) for token in tokens)
