"""Chords to a standard MIDI file, which players and notation programs read.

    MThd  length 6, format 0, 1 track, `PULSES` pulses a quarter note
    MTrk  (pulses since the event before, event) ...        pulses in base 128, all bytes but the last with bit 7 set

Source: MIDI Manufacturers Association, "Standard MIDI files 1.0", 1996.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from elman.errors import DataError, OptionError
from elman.io.atomic_write import write_file

PULSES = 480  # a quarter note
_FASTEST, _SLOWEST = 60_000_000, 4  # quarter notes a minute that the three bytes of a tempo can say
_NOTE_OFF, _NOTE_ON, _PROGRAM, _VELOCITY = 0x80, 0x90, 0xC0, 80
_TEMPO, _END = b"\xff\x51\x03", b"\xff\x2f\x00"


def write_midi(
    path: str | os.PathLike[str],
    chords: Sequence[Sequence[int]],
    *,
    tempo: float = 80.0,
    length: float = 1.0,
    program: int = 19,
    tied: bool = True,
) -> None:
    """Writes chords, lists of MIDI numbers (60: the middle C) or empty for a rest, to a file of format 0.

    - `tempo`: quarter notes a minute, 4 to 60,000,000.
    - `length`: quarter notes that a chord lasts, at least 1/480.
    - `program`: the instrument, 0 to 127 (19: church organ; 0: piano).
    - `tied`: a note that stands in the next chord too goes on; else it is struck again.

    Raises ``DataError`` for a note outside 0 to 127 and where the file cannot be written (one that was there before
    stays as it was), ``OptionError`` for an option outside its range or a folder that is not there.
    """
    data = midi_bytes(chords, tempo=tempo, length=length, program=program, tied=tied)
    check_midi(path)
    write_file(path, data)


def check_midi(path: str | os.PathLike[str], tempo: float = 80.0) -> None:
    """Raises ``OptionError`` for a file that `write_midi` could not write, and for a tempo outside its range."""
    _check((), tempo, 1.0, 0)
    place = Path(path)
    if not os.fspath(path) or place.is_dir() or not place.resolve().parent.is_dir():
        raise OptionError(f"{os.fspath(path)!r} cannot be written: name a file in a folder that exists.")


def midi_bytes(
    chords: Sequence[Sequence[int]],
    *,
    tempo: float = 80.0,
    length: float = 1.0,
    program: int = 19,
    tied: bool = True,
) -> bytes:
    """What `write_midi` writes.

    >>> midi_bytes([[60]], program=0)[:14].hex(" ")
    '4d 54 68 64 00 00 00 06 00 00 00 01 01 e0'
    """
    _check(chords, tempo, length, program)
    track = b"\x00" + _TEMPO + round(60_000_000 / tempo).to_bytes(3, "big") + b"\x00" + bytes([_PROGRAM, program])
    waited = 0
    for pulses, event in _events([frozenset(chord) for chord in chords], round(length * PULSES), tied):
        track += _number(pulses - waited) + event
        waited = pulses
    track += _number(len(chords) * round(length * PULSES) - waited) + _END
    head = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, PULSES)
    return head + struct.pack(">4sI", b"MTrk", len(track)) + track


def _events(chords: list[frozenset[int]], pulses: int, tied: bool) -> Iterator[tuple[int, bytes]]:
    """When notes end and begin, ends first."""
    before: frozenset[int] = frozenset()
    for place, chord in enumerate([*chords, frozenset[int]()]):
        held = before & chord if tied else frozenset[int]()
        for note in sorted(before - held):
            yield place * pulses, bytes([_NOTE_OFF, note, 0])
        for note in sorted(chord - held):
            yield place * pulses, bytes([_NOTE_ON, note, _VELOCITY])
        before = chord


def _number(value: int) -> bytes:
    """A number in base 128, highest digit first; every byte but the last has its top bit set.

    >>> _number(0).hex(), _number(127).hex(), _number(480).hex()
    ('00', '7f', '8360')
    """
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def _check(chords: Sequence[Sequence[int]], tempo: float, length: float, program: int) -> None:
    rules = {
        "tempo": (_SLOWEST <= tempo <= _FASTEST, f"{_SLOWEST} to {_FASTEST} quarter notes a minute"),
        "length": (length * PULSES >= 1, f"at least 1/{PULSES} of a quarter note"),
        "program": (0 <= program <= 127, "a number from 0 to 127"),
    }
    got = {"tempo": tempo, "length": length, "program": program}
    if wrong := [f"{name} = {got[name]!r} must be {rule}" for name, (good, rule) in rules.items() if not good]:
        raise OptionError("; ".join(wrong))
    for place, chord in enumerate(chords):
        for note in chord:
            if not 0 <= note <= 127:
                raise DataError(f"chord {place} has the note {note!r}. A note is a MIDI number, 0 to 127.")
