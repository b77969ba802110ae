"""MIDI files, read back by a small reader that shares nothing with the writer."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from elman.errors import DataError, OptionError
from elman.io.midi import midi_bytes, write_midi


def read(data: bytes) -> tuple[int, list[tuple[int, tuple[int, ...]]]]:
    """Pulses a quarter note, and the events of the track with the pulse at which each comes."""
    kind, size, form, tracks, division = struct.unpack(">4sIHHH", data[:14])
    assert (kind, size, form, tracks) == (b"MThd", 6, 0, 1)
    kind, size = struct.unpack(">4sI", data[14:22])
    assert (kind, size) == (b"MTrk", len(data) - 22)
    place, now, events = 22, 0, []
    while place < len(data):
        wait = 0
        while True:
            wait = wait * 128 + data[place] % 128
            place += 1
            if data[place - 1] < 128:
                break
        now += wait
        length = 3 + data[place + 2] if data[place] == 0xFF else 2 if data[place] >> 4 == 0xC else 3
        events.append((now, tuple(data[place : place + length])))
        place += length
    return division, events


def sounding(data: bytes, length: float) -> list[list[int]]:
    """The notes that sound in each chord."""
    division, events = read(data)
    last = events[-1][0]
    steps = round(length * division)
    chords = []
    for begin in range(0, last, steps):
        on = set()
        for now, event in events:
            if now <= begin and event[0] in (0x80, 0x90):
                (on.add if event[0] == 0x90 else on.discard)(event[1])
        chords.append(sorted(on))
    return chords


CHORDS = [[60, 64, 67], [60, 65], [], [0, 127], [0, 127], []]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("length", [1.0, 0.25, 40.0])
def test_what_is_written_sounds(tied: bool, length: float) -> None:
    data = midi_bytes(CHORDS, length=length, tied=tied)
    assert sounding(data, length) == CHORDS
    _, events = read(data)
    struck = sum(event[0] == 0x90 for _, event in events)
    assert struck == (6 if tied else 9)
    assert sum(event[0] == 0x80 for _, event in events) == struck
    assert events[-1][1] == (0xFF, 0x2F, 0)


def test_tempo_and_instrument() -> None:
    _, events = read(midi_bytes([], tempo=120, program=5))
    assert events[0] == (0, (0xFF, 0x51, 3, 7, 0xA1, 0x20))  # 500,000 microseconds
    assert events[1] == (0, (0xC0, 5))
    assert len(events) == 3


def test_files(tmp_path: Path) -> None:
    write_midi(tmp_path / "a.mid", CHORDS)
    assert (tmp_path / "a.mid").read_bytes() == midi_bytes(CHORDS)
    for bad in (tmp_path, tmp_path / "none" / "a.mid"):
        with pytest.raises(OptionError, match="cannot be written"):
            write_midi(bad, CHORDS)


@pytest.mark.parametrize("wrong", [{"tempo": 3}, {"tempo": float("nan")}, {"length": 0}, {"program": 128}])
def test_refused_options(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(OptionError, match=f"{name} = "):
        midi_bytes(CHORDS, **wrong)


def test_refused_notes() -> None:
    with pytest.raises(DataError, match="chord 1 has the note 128"):
        midi_bytes([[], [128]])
