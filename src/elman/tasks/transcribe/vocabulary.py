"""The vocabulary of transcripts: characters or words of texts, or the items of lists; and error rates.

    WER = (substitutions + deletions + insertions) / reference words        CER the same over characters

over all sequences together by edit distance (Levenshtein 1966), with jiwer. The items of lists are words. For an empty
reference every insertion counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elman.decoding.ctc import steps_needed
from elman.errors import DataError, Place
from elman.features.base import check_whole
from elman.features.lists import listed
from elman.features.unicode import UNSPACED, plain
from elman.validation.columns import is_missing
from elman.validation.messages import seen
from elman.validation.plain_values import plain_text

SPELLINGS = ("characters", "words")
Transcript = str | list[str]


def transcripts_of(y: Any, sequences: int) -> list[Transcript]:
    """Transcripts as texts or lists: composed (NFC), white space as single spaces, without invisible characters.

    Raises ``DataError``, naming the sequence, for an invalid transcript, and unless `y` has `sequences` entries.

    >>> transcripts_of(["GO  ON ", ""], 2), transcripts_of([("g", "o")], 1)
    (['GO ON', ''], [['g', 'o']])
    """
    found = listed(y, "y")
    if len(found) != sequences:
        raise DataError(f"X has {sequences} sequences, y has {len(found)}. Give one transcript for each.")
    made = [_transcript(one, i) for i, one in enumerate(found)]
    kinds = {type(one) for one in made}
    if len(kinds) > 1:
        other = next(i for i, one in enumerate(made) if type(one) is not type(made[0]))
        raise DataError(
            f"is mixed: sequence 0 is {seen(found[0])}, sequence {other} is {seen(found[other])}.", at=Place("y")
        )
    return made


def _transcript(one: Any, i: int) -> Transcript:
    if isinstance(one, str):
        return _spaced(one, i)
    for name in ("to_list", "tolist"):
        if hasattr(one, name):
            one = getattr(one, name)()
    if is_missing(one) or not isinstance(one, list | tuple):
        raise DataError(
            f"is {seen(one)}. A transcript is a text, or a list of words or phones.", at=Place("y", sequence=i)
        )
    for step, item in enumerate(one):
        if not isinstance(item, str) or not plain_text(item).strip():
            raise DataError(f", item {step} is {seen(item)}. Words and phones are texts.", at=Place("y", sequence=i))
    return [_spaced(item, i) for item in one]


def _spaced(text: str, i: int) -> str:
    """The normalised text."""
    text = plain_text(text)
    check_whole(text, i, "y")
    return plain(text)


class TranscriptVocabulary:
    """The symbols of transcripts, numbered from 1, and how they are joined.

    >>> script = TranscriptVocabulary.of(["GO", "NO"], "characters")
    >>> script.codes("GONE"), script.written([3, 2]), script.unspaced
    ([1, 3, 2, 0], 'ON', False)
    """

    def __init__(self, symbols: Sequence[str], kind: str) -> None:
        self.symbols, self.kind = list(symbols), kind  # kind: "characters", "words" or "lists"
        self.places = {symbol: code for code, symbol in enumerate(self.symbols, start=1)}
        self.space = self.places.get(" ") if kind == "characters" else None

    @classmethod
    def of(cls, transcripts: Sequence[Transcript], spelling: str) -> TranscriptVocabulary:
        """The vocabulary of the training transcripts. Raises ``DataError`` where all are empty."""
        kind = "lists" if transcripts and isinstance(transcripts[0], list) else spelling
        distinct = {symbol for one in transcripts for symbol in _symbols(one, kind)}
        if not distinct:
            raise DataError("holds empty transcripts only, so that there is no symbol to learn.", at=Place("y"))
        return cls(sorted(distinct), kind)

    @property
    def unspaced(self) -> bool:
        """Whether words are not separated: no symbol is a space, and one in ten is of a script without spaces."""
        if self.kind != "characters" or self.space is not None:
            return False
        found = sum(bool(UNSPACED.match(symbol)) for symbol in self.symbols)
        return 10 * found > len(self.symbols)

    def in_words(self) -> str:
        """The number of symbols."""
        what = {"characters": "characters", "words": "words", "lists": "symbols"}[self.kind]
        return f"{len(self.symbols)} {what}"

    def codes(self, transcript: Transcript) -> list[int]:
        """The code of each symbol; 0 for an unknown one."""
        return [self.places.get(symbol, 0) for symbol in _symbols(transcript, self.kind)]

    def first_unknown(self, transcript: Transcript) -> str | None:
        """The first symbol that is not in the vocabulary."""
        return next((symbol for symbol in _symbols(transcript, self.kind) if symbol not in self.places), None)

    def words(self, codes: Sequence[int]) -> list[tuple[str, int, int]]:
        """The words of codes: text, place of the first symbol, and the place after the last one.

        Words of characters end at spaces; in scripts without spaces, and for words and lists, each symbol is one.

        >>> TranscriptVocabulary.of(["GO NO"], "characters").words([2, 4, 1, 3, 4])
        [('GO', 0, 2), ('NO', 3, 5)]
        """
        symbols = [self.symbols[code - 1] for code in codes]
        if self.kind != "characters" or self.unspaced:
            return [(symbol, i, i + 1) for i, symbol in enumerate(symbols)]
        ends = [i for i, symbol in enumerate(symbols) if symbol == " "]
        bounds = zip([0, *(i + 1 for i in ends)], [*ends, len(symbols)], strict=True)
        return [("".join(symbols[first:last]), first, last) for first, last in bounds if last > first]

    def written(self, codes: Sequence[int]) -> Any:
        """The text of codes, or for lists the list."""
        symbols = [self.symbols[code - 1] for code in codes]
        if self.kind == "lists":
            return symbols
        return " ".join("".join(symbols).split()) if self.kind == "characters" else " ".join(symbols)


def _symbols(transcript: Transcript, kind: str) -> list[str]:
    if isinstance(transcript, list):
        return [plain(item) for item in transcript]
    return list(plain(transcript)) if kind == "characters" else plain(transcript).split()


def check_lengths(codes: Sequence[Sequence[int]], steps: Sequence[int], places: Sequence[int], shrunk: int) -> None:
    """Raises ``DataError`` naming the first transcript too long for its steps, `shrunk` times fewer than in the data.

    >>> check_lengths([[1, 1]], [2], [7], 1)
    Traceback (most recent call last):
    elman.errors.DataError: y: sequence 7 has 2 symbols, 1 of them equal to the one before, which need 3 steps to be ...
    """
    for own, there, place in zip(codes, steps, places, strict=True):
        if (needed := steps_needed(own)) > there:
            equal = needed - len(own)
            after = f" after a stride of {shrunk}" if shrunk > 1 else ""
            raise DataError(
                f"has {len(own)} symbols, {equal} of them equal to the one before, which need "
                f"{needed} steps to be told apart, but it has {there}{after}. Choose a smaller stride, or drop it.",
                at=Place("y", sequence=place),
            )
