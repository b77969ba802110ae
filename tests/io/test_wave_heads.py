"""Heads of WAV files as common programs write them, and values that are taken for sound or refused."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elman import Classifier, Multitask, Regressor, Tagger, Transcriber, Translator
from elman.cli.main import main
from elman.errors import DataError
from elman.features import Sound, infer
from elman.features.kinds import kind_of
from elman.io.audio import rate_of, read_wave
from elman.tasks.translate.pairs import side

COUNT = 100
WHOLE = np.arange(-50, 50, dtype=np.int64)
TAIL = bytes.fromhex("0000001000800000aa00389b71")


def packed(bits: int, floating: bool = False) -> bytes:
    """The samples WHOLE / 64."""
    if floating:
        return (WHOLE / 64).astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (WHOLE * 2 + 128).astype(np.uint8).tobytes()
    return b"".join(int(n << (bits - 7)).to_bytes(bits // 8, "little", signed=True) for n in WHOLE)


def chunk(name: bytes, data: bytes, size: int | None = None, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (pad and len(data) % 2)


def fmt(tag: int = 1, bits: int = 16, channels: int = 1, more: bytes = b"") -> bytes:
    step = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, 8000, 8000 * step, step, bits) + more)


def extensible(sub: int, bits: int = 16, valid: int | None = None) -> bytes:
    return fmt(0xFFFE, bits, more=struct.pack("<HHIH", 22, valid or bits, 4, sub) + b"\0" + TAIL)


def riff(*chunks: bytes, size: int | None = None, name: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


DATA = packed(16)
WIDE = chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), COUNT, 0))

#: Files of the same hundred samples.
HEADS: dict[str, bytes] = {
    "PCM of 8 bits": riff(fmt(bits=8), chunk(b"data", packed(8))),
    "PCM of 16 bits": riff(fmt(), chunk(b"data", DATA)),
    "PCM of 24 bits": riff(fmt(bits=24), chunk(b"data", packed(24))),
    "PCM of 32 bits": riff(fmt(bits=32), chunk(b"data", packed(32))),
    "extensible, 16 bits": riff(extensible(1), chunk(b"data", DATA)),
    "extensible, 24 bits": riff(extensible(1, 24), chunk(b"data", packed(24))),
    "extensible, 24 in 32 bits": riff(extensible(1, 32, 24), chunk(b"data", packed(32))),
    "extensible, floats": riff(extensible(3, 32), chunk(b"data", packed(32, True))),
    "floats of 32 bits": riff(fmt(3, 32, more=b"\0\0"), chunk(b"fact", b"\0" * 4), chunk(b"data", packed(32, True))),
    "floats of 64 bits": riff(fmt(3, 64), chunk(b"data", packed(64, True))),
    "ffmpeg to a pipe": riff(fmt(), chunk(b"LIST", b"INFOISFT"), chunk(b"data", DATA, 2**32 - 1), size=2**32 - 1),
    "GStreamer to a pipe": riff(fmt(), chunk(b"data", DATA, 0), size=0),
    "sox to a pipe": riff(fmt(), chunk(b"data", DATA, 0x7FFFF000), size=0x7FFFF024),
    "sox to a pipe, 24 bits": riff(fmt(bits=24), chunk(b"data", packed(24), 0x7FFFF000 // 3 * 3)),
    "arecord to a pipe": riff(fmt(), chunk(b"data", DATA, 2**31), size=2**31 + 36),
    "opusdec to a pipe": riff(fmt(), chunk(b"data", DATA, 2**31 - 1), size=2**31 + 35),
    "part of a sample at the end of a pipe": riff(fmt(), chunk(b"data", DATA + b"\1", 2**32 - 1, pad=False)),
    "chunks before": riff(chunk(b"JUNK", b"\0" * 28), chunk(b"bext", b"x" * 602), fmt(), chunk(b"data", DATA)),
    "chunks behind": riff(fmt(), chunk(b"data", DATA), chunk(b"LIST", b"INFO")),
    "an odd chunk": riff(fmt(), chunk(b"LIST", b"abc"), chunk(b"data", DATA)),
    "an odd chunk without its zero": riff(fmt(), chunk(b"LIST", b"abc", pad=False), chunk(b"data", DATA)),
    "RF64": riff(WIDE, fmt(), chunk(b"data", DATA, 2**32 - 1), chunk(b"LIST", b"x"), name=b"RF64", size=2**32 - 1),
    "two channels": riff(fmt(channels=2), chunk(b"data", np.repeat(np.frombuffer(DATA, "<i2"), 2).tobytes())),
    "a size of its own that is wrong": riff(fmt(), chunk(b"data", DATA), size=7),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)  # not installed
    (tmp_path / "a.wav").write_bytes(HEADS[name])
    samples, rate = read_wave(tmp_path / "a.wav")
    assert rate == rate_of(tmp_path / "a.wav") == 8000
    np.testing.assert_array_equal(samples, WHOLE / 64)


def test_no_samples_before_other_chunks(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"INFO"), chunk(b"id3 ", b"abc")))
    assert read_wave(tmp_path / "a.wav")[0].shape == (0,)


BROKEN: dict[str, tuple[bytes, str]] = {
    "samples that are not there": (riff(fmt(), chunk(b"data", DATA, 2 * len(DATA))), "cut short: its head says 200"),
    "RF64 that is cut short": (
        riff(WIDE, fmt(), chunk(b"data", DATA[:-2], 2**32 - 1), name=b"RF64"),
        "cut short: its head says 100",
    ),
    "an end within the head": (riff(fmt())[:30], "cut short: it ends within its head"),
    "no samples at all": (riff(fmt()), "cut short: it ends within its head"),
    "no format": (riff(chunk(b"data", DATA)), "no head that says what its samples are"),
    "a format of few bytes": (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", DATA)), "no head that says"),
    "chunks without end": (riff(*[chunk(b"JUNK", b"")] * 2000), "1000 parts before its samples"),
    "no channels": (riff(fmt(channels=0), chunk(b"data", DATA)), "0 channels of 16 bits, which cannot be"),
    "no bits": (riff(fmt(bits=0), chunk(b"data", DATA)), "1 channels of 0 bits, which cannot be"),
    "floats of 16 bits": (riff(fmt(3), chunk(b"data", DATA)), "another kind .*floating point of 16 bits.*soundfile"),
    "ADPCM": (riff(fmt(17), chunk(b"data", DATA)), "unknown format: 17.*soundfile"),
    "a sub-format of its own": (riff(extensible(17), chunk(b"data", DATA)), "unknown format: 17.*soundfile"),
    "NaN": (riff(fmt(3, 64), chunk(b"data", np.array([0, np.nan]).tobytes())), "sample 1 is nan"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)  # not installed
    data, message = BROKEN[name]
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(DataError, match=f"a.wav.*{message}"):
        read_wave(tmp_path / "a.wav")


@pytest.mark.parametrize("read", [read_wave, rate_of])
def test_pipes_devices_and_folders_are_not_opened(read: Callable[[Any], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "folder.wav").mkdir()
    for path in (tmp_path / "fifo.wav", Path("/dev/null"), Path("/dev/zero"), tmp_path / "folder.wav"):
        with pytest.raises(DataError, match=r"cannot be read: it is a (pipe or a device|folder)"):
            read(path)


# ---- pairs of samples and a rate

TONE = 0.3 * np.sin(np.arange(1600) / 3)
FAST: dict[str, Any] = {"hidden": 2, "epochs": 1, "batch_sequences": 8, "verbose": False, "seed": 0}


@pytest.mark.parametrize("rate", [8000, 8000.0, np.int64(8000), np.float32(8000), np.array(8000), torch.tensor(8000)])
def test_rates(rate: Any) -> None:
    for pair in ((TONE, rate), (TONE.tolist(), rate), (torch.tensor(TONE), rate)):
        assert isinstance(infer([pair]), Sound)
        assert Sound().fit([pair]).rate_ == 8000


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((8000, TONE), r"pairs are \(samples, rate\), but this one has 8000 first"),
        ((np.int64(8000), TONE.tolist()), r"pairs are \(samples, rate\)"),
        ((TONE, 8000.5), "its rate is 8000.5, which is no whole number"),
        ((TONE, "8000"), "its rate is '8000', which is no whole number"),
        ((TONE, None), "its rate is None, which is no whole number"),
        ((TONE, True), "its rate is True, which is no whole number"),
        ((TONE, 5), "its rate is 5, which is none from 1000 to 768000"),
        ((TONE, float("nan")), "its rate is nan, which is no whole number"),
        ((TONE, float("inf")), "its rate is inf, which is"),
    ],
)
@pytest.mark.parametrize("task", [Classifier, Regressor, Transcriber])
def test_pairs_that_are_refused(task: Any, pair: Any, message: str) -> None:
    y = [0.0, 1.0] * 3 if task is Regressor else ["a", "b"] * 3
    with pytest.raises(DataError, match=f"sequence 0: {message}"):
        task(**FAST).fit([pair] * 6, y)


def test_samples_far_beyond_full_scale_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="X: sequence 1 has samples up to 300") as caught:
        made = Sound(rate=8000).fit([TONE, TONE * 1000])
    assert len(caught) == 1
    state = made.initial_state()
    with pytest.warns(UserWarning, match="has samples up to 300"):
        _, state = made.advance(TONE * 1000, state)
    made.advance(TONE * 1000, state)  # once a stream
    made.transform([TONE * 20, np.int16([32767, -32768] * 800)])


# ---- texts that name files, and lists in cells


@pytest.fixture
def wavs(tmp_path: Path) -> list[str]:
    for i in range(8):
        samples = (16000 * np.sin(np.arange(1600) * (0.1 + 0.3 * (i % 2)))).astype("<i2")
        (tmp_path / f"{i}.WAV").write_bytes(riff(fmt(), chunk(b"data", samples.tobytes())))
    return [str(tmp_path / f"{i}.WAV") for i in range(8)]


def test_paths_are_sound(wavs: list[str]) -> None:
    for model, y in (
        (Classifier(**FAST), ["low", "high"] * 4),
        (Regressor(**FAST), [0.0, 1.0] * 4),
        (Multitask(**FAST), {"pitch": ["low", "high"] * 4}),
    ):
        for X in (wavs, [Path(path) for path in wavs], np.array(wavs)):
            assert model.fit(X, y).feature_.kind == "sound"
    assert Classifier(feature="text", **FAST).fit(wavs, ["a", "b"] * 4).feature_.kind == "text"
    with pytest.raises(DataError, match="X holds sound"):
        Translator(**{k: v for k, v in FAST.items() if k != "batch_sequences"}).fit(wavs, wavs)
    with pytest.raises(DataError, match=r"names of sound files.*features={'wav': 'skip'}"):
        kind_of(wavs, "wav")
    with pytest.raises(DataError, match=r"sequence 8, 'none.wav', cannot be read: there is no such file"):
        infer([*wavs, "none.wav"])
    assert infer([*wavs, "a text"]).kind == "text"
    assert infer(["play a.wav now", "b.wav"]).kind == "text"


def test_paths_on_the_command_line(wavs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.csv"
    table.write_text("wav,y\n" + "".join(f"{i}.WAV,{'ab'[i % 2]}\n" for i in range(8)), encoding="utf-8")
    flags = ["--hidden", "2", "--epochs", "1", "--no-verbose", "--out", str(tmp_path / "m")]
    assert main(["fit", "classify", str(table), "--input", "wav", "--target", "y", *flags]) == 0
    assert "sound, 8000 samples a second" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "m"), str(table)]) == 0
    table.write_text("wav,y\n0.WAV,a\n99.WAV,b\n", encoding="utf-8")
    assert main(["fit", "classify", str(table), "--input", "wav", "--target", "y", *flags]) == 2
    assert "line 3 of t.csv" in capsys.readouterr().err


def test_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"path of a picture.*arrays.*feature=.text."):
        infer([str(tmp_path / "a.png")] * 2)
    assert infer(["a.png", "b.png"]).kind == "text"  # names, maybe


@pytest.mark.parametrize(
    "cells", [["[1,2]", "[3]"], ["[[1, 2], [3, 4.5]]"], ["[0.1 -2.e+03\n nan]", ""], ['["a", "b"]', "[]"]]
)
def test_lists_in_cells_are_refused(cells: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for read in (infer, lambda column: kind_of(column, "x")):
        with pytest.raises(DataError, match=r"a list that was written into a cell.*jsonl"):
            read(cells)
    y = [1.0, 2.0][: len(cells)]
    with pytest.raises(DataError, match="a list that was written into a cell"):
        Regressor(**FAST).fit(cells, y)
    assert Regressor(feature="text", validation=0, **FAST).fit([*cells, "a b"], [*y, 3.0]).feature_.kind == "text"


def test_a_translator_may_learn_lists_as_texts() -> None:
    assert side(["[3, 1, 2]", "[2, 1]"], "characters", 100, None, False, "y").kind == "text"


def test_texts_in_brackets_are_texts() -> None:
    for texts in (["[laughs]", "[sighs]"], ["[1] Smith", "[2] Jones"], ["[1,2]", "a"]):
        assert infer(texts).kind == "text"


@pytest.mark.parametrize("single", [torch.tensor(1.0), np.array(1.0), np.float64(1), torch.tensor(1)])
def test_single_values_are_no_sequences(single: Any) -> None:
    for task, y in ((Classifier, [0, 1] * 4), (Regressor, [0, 1] * 4), (Tagger, [[0], [1]] * 4)):
        with pytest.raises(DataError, match=r"sequence 0 is a .*1"):
            task(**FAST).fit([single] * 8, y)
