"""Where a generated text ends: before symbols, and before texts of several symbols."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import OptionError
from elman.features.base import Written
from elman.validation.messages import shown
from elman.validation.options import LARGEST, is_whole
from elman.validation.plain_values import plain_text


@dataclass(frozen=True)
class Stops:
    """Symbols and texts before which generation ends.

    >>> "".join(Stops(texts=("User:",)).cut(iter("Us two. User: hello")))
    'Us two. '
    """

    symbols: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, stop: Any, feature: Written) -> Stops:
        """The stops of a symbol or a text, or of several in a list, as the feature reads them.

        Raises ``OptionError`` for anything else, and for what has symbols outside the vocabulary.
        """
        given = [stop] if isinstance(stop, str) or is_whole(stop, -LARGEST) else stop
        kinds = str if feature.reads_texts else (str, int, np.integer)  # an id is a symbol
        if not isinstance(given, Collection) or not all(isinstance(one, kinds) for one in given):
            raise OptionError(f"stop = {shown(stop)} must be a symbol or a text, or several in a list")
        known = feature.words(range(int(feature.symbols or 0)))
        symbols, texts = set(), []
        for one in map(plain_text, map(str, given)):
            symbol = one if one in known else feature.normalized_symbol(one, "stop")
            if symbol in known:
                symbols.add(symbol)
            elif feature.reads_texts and _is_known(symbol, feature):
                texts.append(symbol)
            else:
                other = f", or name one of the vocabulary, such as {known[1]!r}" if len(known) > 1 else ""
                what = f"stop = {shown(one)} is not in the vocabulary of this model"
                raise OptionError(f"{what}. Leave it out{other}.")
        return cls(frozenset(symbols), tuple(texts))

    def cut(self, pieces: Iterable[Any], after: int = 0) -> Iterator[Any]:
        """Yields the pieces of a text up to the first of `texts` that begins after `after` pieces.

        A piece that may begin such a text is held back until it is known.
        """
        held: list[str] = []
        for place, piece in enumerate(pieces):
            if place < after or not self.texts:
                yield piece
                continue
            held.append(piece)
            text = "".join(held)
            if found := [at for stop in self.texts if (at := text.find(stop)) >= 0]:
                yield from _before(held, min(found))
                return
            safe = len(text) - max(_begun(text, stop) for stop in self.texts)
            while held and len(held[0]) <= safe:
                safe -= len(held[0])
                yield held.pop(0)
        yield from held


def _is_known(text: str, feature: Written) -> bool:
    """Whether a text has symbols, and all of them are in the vocabulary."""
    codes: Any = feature.step(text, name="stop")
    return bool(len(codes)) and bool((codes > 0).all())


def _begun(text: str, stop: str) -> int:
    """The length of the longest beginning of `stop` with which the text ends."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def _before(pieces: Sequence[str], end: int) -> Iterator[str]:
    """Yields the pieces up to a place in the text; no space that only joins a word to the one left out."""
    for piece in pieces:
        if len(piece) > end:
            if piece[:end].strip():
                yield piece[:end]
            return
        yield piece
        end -= len(piece)
