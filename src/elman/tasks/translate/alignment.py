"""Attention between the symbols of a target and of its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.features.base import Written
from elman.tasks.translate.alignment_plot import aligned
from elman.validation import html


@dataclass(frozen=True)
class Alignment:
    """The attention weights of one pair.

    >>> print(Alignment(["a", "cat"], ["un", "chat"], np.array([[0.9, 0.1], [0.2, 0.8]])))
    un -> a 0.90
    chat -> cat 0.80
    """

    source: list[str]
    target: list[str]
    weights: NDArray[np.float64]  # attention weights [target symbols, source symbols]; rows sum to 1

    def picture(self, title: str = "") -> bytes | None:
        """The weights as the bytes of a PNG. None, with a note on stderr, where matplotlib is missing."""
        return aligned(self.source, self.target, self.weights, title)

    def _repr_html_(self) -> str:
        return html.printed(self) + html.image(self.picture())

    def __str__(self) -> str:
        if not self.source:
            return ""
        best = self.weights.argmax(1)
        rows = zip(self.target, best, self.weights, strict=True)
        return "\n".join(f"{symbol} -> {self.source[place]} {row[place]:.2f}" for symbol, place, row in rows)


def marked(feature: Written, symbols: Sequence[int] | Tensor) -> list[str]:
    """The symbols as they are printed."""
    return [word.replace("▁", "") or "▁" for word in feature.words(symbols)]
