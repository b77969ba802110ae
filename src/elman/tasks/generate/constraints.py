"""Constraints on generated verse: line lengths, punctuation, and rhyme by a user's function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from elman.errors import OptionError
from elman.features.unicode import composed
from elman.validation.options import is_whole

#: The end of a text among the allowed symbols.
END = ""


@dataclass(frozen=True, kw_only=True)
class Verse:
    """A poem of `lines` lines, all of the same number of characters, which is one of `lengths`.

    Each line ends with a mark, the `marks` in turn. `letters`: the symbols allowed in a line (None: all but the marks).
    `rhyme(poem, symbol)`: whether a symbol may end a rhyming line, called at the end of each line of `rhyming`
    (numbered from 0) with the symbols so far; if no symbol rhymes, all are allowed. The first line determines the
    length of the others. Raises ``OptionError`` for an invalid form.

    >>> form = Verse(lines=2, lengths=(1, 2), marks="，。")
    >>> [sorted(form(list(poem), ["a", "，", "。", ""])) for poem in ("", "a", "ab", "a，b", "a，b。")]
    [['a'], ['a', '，'], ['，'], ['。'], ['']]
    """

    lines: int = 4
    lengths: Sequence[int] = (5, 7)
    marks: Sequence[str] = "，。"
    letters: Callable[[str], bool] | None = None
    rhyme: Callable[[Sequence[str], str], bool] | None = None
    rhyming: Collection[int] = (1, 3)

    def __post_init__(self) -> None:
        texts = _all(self.marks, lambda mark: isinstance(mark, str))
        if not (is_whole(self.lines) and _all(self.lengths, is_whole) and texts):
            got = f"lines = {self.lines!r}, lengths = {self.lengths!r}, marks = {self.marks!r}"
            raise OptionError(f"a verse needs lines, lengths of at least 1 and marks, got {got}.")
        if not isinstance(self.rhyming, Collection):
            raise OptionError(f"rhyming = {self.rhyming!r} must be numbers of lines, such as (1, 3)")
        marks = composed(self.marks) if isinstance(self.marks, str) else tuple(map(composed, self.marks))
        object.__setattr__(self, "marks", marks)  # symbols of texts are composed
        for name in ("letters", "rhyme"):
            if not (getattr(self, name) is None or callable(getattr(self, name))):
                raise OptionError(f"{name} = {getattr(self, name)!r} must be a function, or None")

    def __call__(self, poem: Sequence[str], symbols: Sequence[str]) -> set[str]:
        """The allowed next symbols."""
        ended = [place for place, symbol in enumerate(poem) if symbol in self.marks]
        if len(ended) >= self.lines:
            return {END}
        begin = ended[-1] + 1 if ended else 0
        written, lengths = len(poem) - begin, {ended[0]} if ended else set(self.lengths)
        allowed: set[str] = set()
        if written in lengths:
            allowed.add(self.marks[len(ended) % len(self.marks)])
        if written < max(lengths):
            allowed |= self._letters(poem, symbols, len(ended), written + 1 in lengths)
        return allowed

    def _letters(self, poem: Sequence[str], symbols: Sequence[str], line: int, last: bool) -> set[str]:
        letters = {symbol for symbol in symbols if symbol != END and symbol not in self.marks}
        if self.letters is not None:
            letters = {symbol for symbol in letters if self.letters(symbol)}
        if self.rhyme is None or not last or line not in self.rhyming:
            return letters
        return {symbol for symbol in letters if self.rhyme(poem, symbol)} or letters


def _all(values: object, good: Callable[[Any], bool]) -> bool:
    """Whether it is a non-empty sequence of good values."""
    return isinstance(values, Sequence) and len(values) > 0 and all(map(good, values))
