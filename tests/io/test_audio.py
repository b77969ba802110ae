"""Sound files: every width of sample, channels, what is cut short; and other rates."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import pytest

from elman.errors import DataError
from elman.io.audio import Resampled, full_scale, rate_of, read_wave, resample
from sounds import write

NOISE = np.random.default_rng(0).uniform(-0.9, 0.9, 500)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width(width: int, tmp_path: Path) -> None:
    samples, rate = read_wave(write(tmp_path / "a.wav", NOISE, 16000, width))
    assert rate == rate_of(tmp_path / "a.wav") == 16000
    np.testing.assert_allclose(samples, NOISE, atol=2 / 2 ** (8 * width - 1))


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    both = np.stack([NOISE, -0.5 * NOISE], axis=1)
    samples, _ = read_wave(write(tmp_path / "a.wav", both))
    np.testing.assert_allclose(samples, both.mean(1), atol=1e-4)
    np.testing.assert_array_equal(full_scale(both, "X"), both.mean(1))


def test_no_samples(tmp_path: Path) -> None:
    assert read_wave(write(tmp_path / "a.wav", np.zeros(0)))[0].shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: data[:30], "cut short: it ends within its head"),
        (lambda data: data[:-100], "cut short: its head says 500 samples"),
        (lambda data: data[:12] + b"\xff" * 99, "cut short: it ends within its head"),
        (lambda data: data[:300], "cut short: its head says 500 samples"),
        (lambda data: data[:40] + struct.pack("<I", 2**31 - 2) + data[44:], "cut short: its head says 1073741823"),
        (lambda data: b"ID3" + data, "is no WAV file. Other sound files need soundfile"),
        (lambda data: data[:20] + struct.pack("<H", 3) + data[22:], "another kind .*need soundfile"),
        (lambda data: data[:24] + struct.pack("<I", 7) + data[28:], "7 samples a second"),
    ],
)
def test_files_that_are_refused(change: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)  # not installed
    data = write(tmp_path / "a.wav", NOISE).read_bytes()
    (tmp_path / "b.wav").write_bytes(change(data))
    with pytest.raises(DataError, match=message) as caught:
        read_wave(tmp_path / "b.wav")
    assert "b.wav" in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_wave(path)


class _SoundFile:
    samplerate = 22050

    def __init__(self, path: str) -> None:
        if "bad" in path:
            raise RuntimeError("unknown format")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def read(self, frames: int, dtype: str, always_2d: bool) -> Any:
        return np.ones((3 if frames else 0, 2)) * [1.0, 0.0]


def test_other_files_through_soundfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType("soundfile")
    made.SoundFile = _SoundFile  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "soundfile", made)
    for name in ("a.flac", "bad.flac"):
        (tmp_path / name).write_bytes(b"fLaC")
    samples, rate = read_wave(tmp_path / "a.flac")
    assert (samples.tolist(), rate) == ([0.5, 0.5, 0.5], 22050)
    with pytest.raises(DataError, match=r"bad.flac is no WAV file, and soundfile cannot read it: unknown format"):
        read_wave(tmp_path / "bad.flac")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, np.int64), "int64"),
        (np.array([0.0, np.nan]), "sample 1 is nan"),
        (np.zeros((2, 3, 4)), r"shape \[2, 3, 4\]"),
        (np.zeros((2, 1000)), r"shape \[2, 1000\]"),
        (["a"], "<U1"),
    ],
)
def test_samples_that_are_refused(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        full_scale(value, "X")


def test_whole_numbers_are_shares_of_full_scale() -> None:
    assert full_scale(np.array([0, 128, 192], np.uint8), "X").tolist() == [-1.0, 0.0, 0.5]
    assert full_scale(np.array([2**30], np.int32), "X").tolist() == [0.5]


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (16000, 8000), (44100, 16000), (11025, 8000), (16000, 16000)])
def test_a_tone_stays_and_what_the_new_rate_cannot_hold_goes(old: int, new: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(old // 4) / old)
    made = resample(tone, old, new)
    assert len(made) == pytest.approx(new / 4, abs=40 * max(1.0, new / old))
    truth = np.sin(2 * np.pi * 440 * np.arange(len(made)) / new)
    np.testing.assert_allclose(made[100:-10], truth[100:-10], atol=1e-3)
    if new < old:
        high = np.sin(2 * np.pi * 0.6 * new * np.arange(old // 4) / old)
        assert np.abs(resample(high, old, new)[100:-10]).max() < 0.01


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (44100, 16000), (16000, 11025)])
def test_pieces_have_the_bits_of_the_whole(old: int, new: int) -> None:
    sound, random = np.random.default_rng(1).normal(size=3000), np.random.default_rng(2)
    cuts = np.sort(random.integers(0, 3000, 20))
    changing = Resampled(old, new)
    made = [changing.feed(piece) for piece in np.split(sound, cuts)]
    assert np.array_equal(np.concatenate(made), resample(sound, old, new))
    assert len(changing.recent) < 400
