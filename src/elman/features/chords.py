"""Chords as steps of a language model: the notes of a chord one after the other, highest first, then a mark.

    [[60, 64, 67], []]    is    67 64 60 | |
    p(c_1, ..., c_n) = prod_t p(s_t | s_1 ... s_{t-1})        a note given all chords before and the notes over it

Notes are MIDI numbers, 60 the middle C. Since each set of notes has one order, this is a distribution over chords.
Source of the factors: Boulanger-Lewandowski, Bengio & Vincent, "Modeling temporal dependencies in high-dimensional
sequences", 2012 (there as RNN-NADE).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError, ModelFileError, Place
from elman.features.base import UNKNOWN, Written, checked, of_lengths
from elman.features.lists import json_list, listed
from elman.ragged import Ragged
from elman.validation.messages import seen

NOTES = 128  # of MIDI: 0 to 127
MARK = "|"  # the symbol that ends a chord
_END = NOTES + 1  # its id; note n has id n + 1, and 0 is the unknown symbol, which no chord has
Chord = list[int]


@dataclass
class Chords(Written):
    """Lists of chords as steps, each chord a list of MIDI numbers; an empty chord is a rest, an empty list no chord.

    A note that stands twice in a chord sounds once. Nothing is learnt but the lowest and the highest note, for reports.
    Raises `DataError` naming sequence and step for whatever is no chord.

    >>> chords = Chords().fit([[[60, 64, 67], []]])
    >>> chords.transform([[[60, 64, 67], []], []]).to_list()
    [tensor([ 68,  65,  61, 129, 129]), tensor([], dtype=torch.int64)]
    >>> chords.chords([68, 65, 61, 129, 129])
    [[60, 64, 67], []]
    """

    kind: ClassVar[str] = "chords"
    is_music: ClassVar[bool] = True
    has_grammar: ClassVar[bool] = True
    reads_lists: ClassVar[bool] = True
    prompt_example: ClassVar[str] = "[[60, 64, 67]]"

    def read(self, column: Any, name: str, fitted: bool) -> list[list[Chord]]:
        """The chords of each sequence."""
        return _sequences(column, name)

    def learn(self, sequences: list[list[Chord]], name: str) -> Ragged:
        """Learns the range of notes."""
        notes = [note for sequence in sequences for chord in sequence for note in chord]
        self._know(min(notes, default=0), max(notes, default=NOTES - 1))
        return self.encode(sequences, name)

    def encode(self, sequences: list[list[Chord]], name: str) -> Ragged:
        """The symbols of each sequence, each from 1 to 129."""
        made = [[code for chord in sequence for code in _codes(chord)] for sequence in sequences]
        lengths = np.array([len(codes) for codes in made], dtype=np.int64)
        return of_lengths(np.array([code for codes in made for code in codes], dtype=np.int64), lengths)

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The symbols `[steps]` of one chord, `[60, 64]`, or of a list of chords, `[[60, 64], []]`; `[]` is none."""
        several = not _is_chord(value) or not len(value)
        return self.transform([value if several else [value]], name=name).values

    def split_units(self, column: Any, *, name: str = "X") -> list[list[str]]:
        """The symbols of each piece: notes, and the ends of chords."""
        return [self.words(ids) for ids in self.transform(column, name=name)]

    def word(self, symbol: int) -> str:
        """A note as text, such as "60", or "|" for the end of a chord."""
        return MARK if symbol == _END else str(symbol - 1)

    def chords(self, ids: Sequence[int]) -> list[Chord]:
        """The chords of symbols, lowest note first; an incomplete last one is left out."""
        return [*self.spelled(ids)]

    def spelled(self, ids: Iterable[int] | Tensor, after: Any = "") -> Iterator[Chord]:
        """Yields each chord when it is complete, lowest note first."""
        notes: list[int] = []
        for code in map(int, ids):
            if code == _END:
                yield sorted(notes)
                notes = []
            else:
                notes.append(code - 1)

    def next_symbols(self, previous: Sequence[str], symbols: Sequence[str], ends: bool) -> Collection[str]:
        """Notes below the last one, or the mark: see `below`."""
        return below(previous, symbols, ends)

    def transposed(self, column: Sequence[Any], reach: int) -> list[Any]:
        """The pieces in every key up to `reach` half-tones lower and higher."""
        return [piece for by in range(-reach, reach + 1) for piece in transposed(column, by)]

    def parse_line(self, line: str, place: Place) -> Any:
        """A JSON list: one chord, or several."""
        return json_list(line, place)

    def learnt(self) -> dict[str, Any]:
        """The lowest and the highest note of the training data."""
        return {"lowest": self.lowest_, "highest": self.highest_}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes the range of notes. Raises `ModelFileError` for one outside MIDI's."""
        lowest, highest = (checked(config, key, int, self.kind) for key in ("lowest", "highest"))
        if not 0 <= lowest <= highest < NOTES:
            raise ModelFileError(
                f"the saved chords feature has notes from {lowest} to {highest}. Notes go from 0 to 127."
            )
        self._know(lowest, highest)

    def describe(self) -> str:
        """One line: `chords, notes 43 to 96`."""
        return f"chords, notes {self.lowest_} to {self.highest_}"

    # ---- inside

    def _know(self, lowest: int, highest: int) -> None:
        self.lowest_, self.highest_, self.symbols = lowest, highest, _END + 1


def below(previous: Sequence[str], symbols: Sequence[str], ends: bool = True) -> Collection[str]:
    """The allowed next symbols: notes below the last one, or the mark; with `ends` also the end.

    >>> sorted(below(["67", "2"], ["67", "2", "1", "0", "|", ""]))
    ['0', '1', '|']
    """
    if not previous or previous[-1] == MARK:
        return {symbol for symbol in symbols if symbol not in (MARK, UNKNOWN, "")} | {MARK} | ({""} if ends else set())
    last = int(previous[-1])
    return {MARK, *(symbol for symbol in symbols if symbol.isdecimal() and int(symbol) < last)}


def transposed(column: Any, halftones: int, *, name: str = "X") -> list[list[Chord]]:
    """The chords of each sequence transposed by `halftones`, without those that would leave the range of MIDI.

    >>> transposed([[[60, 64], []], [[1]]], -2)
    [[[58, 62], []]]
    """
    moved = [[[note + halftones for note in chord] for chord in piece] for piece in _sequences(column, name)]
    return [piece for piece in moved if all(0 <= note < NOTES for chord in piece for note in chord)]


def _codes(chord: Chord) -> list[int]:
    return [*(note + 1 for note in sorted(set(chord), reverse=True)), _END]


def _is_chord(value: Any) -> bool:
    """Whether it is a list of numbers, and not of lists."""
    plain = value.tolist() if isinstance(value, np.ndarray | Tensor) else value
    return isinstance(plain, list | tuple) and not any(isinstance(part, list | tuple | np.ndarray) for part in plain)


def _sequences(column: Any, name: str) -> list[list[Chord]]:
    return [_piece(piece, i, name) for i, piece in enumerate(listed(column, name, rows=True))]


def _piece(piece: Any, i: int, name: str) -> list[Chord]:
    """One sequence as a list of lists of int."""
    plain = _plain(piece)
    if plain is None:
        raise DataError(f"is {seen(piece)}. Expected a list of chords: [[60, 64, 67], []].", at=Place(name, sequence=i))
    return [_chord(chord, i, j, name) for j, chord in enumerate(plain)]


def _chord(chord: Any, i: int, j: int, name: str) -> Chord:
    notes = _plain(chord)
    if notes is None:
        raise DataError(
            f"is {seen(chord)}. A chord is a list of notes: [60], or [].", at=Place(name, sequence=i, step=j)
        )
    for note in notes:
        whole = isinstance(note, int | np.integer) and not isinstance(note, bool)
        if not whole or not 0 <= note < NOTES:
            raise DataError(f"has {seen(note)}. A note is a MIDI number, 0 to 127.", at=Place(name, sequence=i, step=j))
    return [int(note) for note in notes]


def _plain(value: Any) -> list[Any] | None:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, np.ndarray | torch.Tensor) and value.ndim:
        return list(value.tolist())
    return list(value.to_list()) if hasattr(value, "to_list") else None
