"""Reading and resampling of sound files.

Files are WAV (RIFF, RF64) with whole numbers (PCM) of 8, 16, 24 or 32 bits or numbers of floating point of 32 or 64
bits, also of the extensible kind; every other kind goes through soundfile, where it is installed. Channels are mixed
down to their mean, whole numbers are divided by full scale, -1 to 1.

A program that writes to a pipe does not know the size in advance; if the header gives 0, 2^32 - 1 or another size that
stands for that, the samples extend to the end of the file.

Sources: IBM & Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991; Microsoft,
"WAVEFORMATEXTENSIBLE"; EBU Tech 3306 (RF64).

Resampling (Smith & Gossett 1984): with r = new / old, c = 0.95 min(1, r) and w = 16 / c samples to either side,

    y_m = sum_k x_k c sinc(c (m / r - k)) cos^2(pi (m / r - k) / (2 w))        |m / r - k| < w

y_m is computed once all samples that it reads have come; before the first sample there are zeros. So a stream is
bitwise equal to the whole, and the last 16 / c samples are not used.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, Place, within

RATES = (1000, 768_000)  # samples a second: the slowest and fastest that are read
_CROSSINGS = 16  # zeros of sinc to either side
_ROLL = 0.95  # cut-off as a fraction of the lower of the two Nyquist frequencies
_BLOCK = 1 << 16  # samples that are made at a time: bounds the memory
_MOST_CHANNELS = 64
_MOST_CHUNKS = 1000  # before the samples of a file

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # what a head calls the kind of its samples
_UNKNOWN = (2**31, 2**31 - 256, 2**31 - 1)  # bytes of samples that arecord and opusdec claim to a pipe
_UNKNOWN_SOX = 0x7FFFF000  # what sox claims there, rounded down to whole samples

_Samples = NDArray[np.float64]


class _Head(NamedTuple):
    """The header of a WAV file."""

    kind: int
    channels: int
    rate: int
    bits: int
    begin: int  # where its samples begin, in bytes
    size: int  # the bytes they take


class _OtherKindError(Exception):
    """A WAV file whose samples are of a kind that is not read here."""


def read_wave(path: str | os.PathLike[str]) -> tuple[_Samples, int]:
    """The samples of a sound file, float64 [samples], and the rate in Hz.

    Raises ``DataError``, naming the file, where it is missing, cut short, or no sound that can be read.
    """
    samples, rate = _read(Path(path), whole=True)
    return samples, rate


def rate_of(path: str | os.PathLike[str]) -> int:
    """The rate in the header of a sound file, with the errors of `read_wave` about it."""
    return _read(Path(path), whole=False)[1]


def _read(path: Path, whole: bool) -> tuple[_Samples, int]:
    with within(file=shown_path(path)):
        try:
            status = path.stat()
            _check_regular(status)
            with path.open("rb") as opened:
                try:
                    head = _head(opened, status.st_size)
                except _OtherKindError as kind:
                    return _by_soundfile(path, str(kind), whole)
                return _samples(opened, head, whole), head.rate
        except DataError:
            raise
        except (OSError, ValueError) as error:  # ValueError: no path has a NUL, or half of a surrogate pair
            why = (error.strerror if isinstance(error, OSError) else None) or error
            raise DataError(f"cannot be read: {why}. Paths are those of sound files.") from None


def _check_regular(status: os.stat_result) -> None:
    """Refuses an empty file, and pipes and devices: to open one may wait for ever."""
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise DataError(f"cannot be read: it is {what}. Paths are those of sound files.")
    if not status.st_size:
        raise DataError("is empty: a sound file has a head of 44 bytes at least.")


def shown_path(file: str | os.PathLike[str]) -> str:
    """A path for an error message: cut when long, and with what is no valid text in it escaped.

    >>> shown_path("a\\udcff.wav")
    'a\\\\udcff.wav'
    """
    return str(file)[:200].encode("utf-8", "backslashreplace").decode("utf-8")


def _head(opened: BinaryIO, size: int) -> _Head:
    """The head of a WAV file of so many bytes, its claims checked. Raises ``DataError``, and `_OtherKindError`."""
    first = opened.read(12)
    if first[:4] not in (b"RIFF", b"RF64", b"BW64") or first[8:12] != b"WAVE":
        raise _OtherKindError("is no WAV file")
    at, kind, wide = 12, b"", 0  # `wide`: the bytes of the samples, where 32 bits cannot say it
    for _ in range(_MOST_CHUNKS):
        opened.seek(at)
        chunk = opened.read(8)
        name, claimed, at = chunk[:4], int.from_bytes(chunk[4:], "little"), at + 8
        if name == b"data" and len(chunk) == 8:
            break
        if len(chunk) < 8 or at + claimed > size:  # a part of it ends beyond the file
            raise DataError("is cut short: it ends within its head. Copy it again.")
        if name == b"fmt ":
            kind = opened.read(min(claimed, 40))
        elif name == b"ds64":
            wide = int.from_bytes(opened.read(16)[8:], "little")
        at = _after(opened, at + claimed)
    else:
        raise DataError(f"has {_MOST_CHUNKS} parts before its samples, which cannot be.")
    if len(kind) < 16:
        raise DataError("has no head that says what its samples are. Copy it again.")
    tag, channels, rate, bits = (int.from_bytes(kind[i:j], "little") for i, j in _FIELDS)
    if tag == _EXTENSIBLE and len(kind) >= 26:
        tag = int.from_bytes(kind[24:26], "little")  # the first two bytes of the sub-format
    _check_format(tag, channels, rate, bits)
    step = channels * _width(bits)
    claimed = wide if claimed == 2**32 - 1 and wide else claimed
    there = size - at
    if claimed == 2**32 - 1 or (claimed == 0 and not _only_chunks(opened, at, size)):
        claimed = there
    elif claimed > there:
        if claimed not in (*_UNKNOWN, _UNKNOWN_SOX // step * step):
            raise DataError(
                f"is cut short: its head says {claimed // step} samples, more than it holds. Copy it again."
            )
        claimed = there
    return _Head(tag, channels, rate, bits, at, claimed // step * step)


#: Where the fields of a format stand that are read: kind, channels, samples a second, bits of a sample.
_FIELDS = ((0, 2), (2, 4), (4, 8), (14, 16))


def _after(opened: BinaryIO, end: int) -> int:
    """Where the chunk after one that ends there begins: at an even place, unless its writer left out the zero."""
    if end % 2 == 0:
        return end
    opened.seek(end)
    following = opened.read(4)
    return end if len(following) == 4 and following.isascii() and following.decode().isprintable() else end + 1


def _only_chunks(opened: BinaryIO, at: int, size: int) -> bool:
    """Whether nothing, or whole chunks, stand from there to the end, so that there are truly no samples."""
    for _ in range(_MOST_CHUNKS):
        if at + 8 > size:
            break
        opened.seek(at)
        chunk = opened.read(8)
        if not (chunk[:4].isascii() and chunk[:4].decode().isprintable()):
            return False
        at += 8 + int.from_bytes(chunk[4:], "little")
        at += at % 2
    return at - 1 <= size <= at


def _check_format(kind: int, channels: int, rate: int, bits: int) -> None:
    floating = kind == _FLOAT and bits in (32, 64)
    if kind != _PCM and not floating:
        what = f"numbers of floating point of {bits} bits" if kind == _FLOAT else f"unknown format: {kind}"
        raise _OtherKindError(f"is a WAV file of another kind ({what})")
    _check_rate(rate)
    if not 1 <= channels <= _MOST_CHANNELS or not (floating or 1 <= bits <= 32):
        raise DataError(f"says it has {channels} channels of {bits} bits, which cannot be.")


def _width(bits: int) -> int:
    return (bits + 7) // 8


def _samples(opened: BinaryIO, head: _Head, whole: bool) -> _Samples:
    opened.seek(head.begin)
    data = opened.read(head.size if whole else 0)
    if whole and len(data) < head.size:  # it has become shorter meanwhile
        raise DataError("is cut short. Copy it again.")
    if head.kind == _PCM:
        return _mixed(_shares(data, _width(head.bits)).reshape(-1, head.channels))
    samples = np.frombuffer(data, f"<f{head.bits // 8}").astype(np.float64)
    if not np.isfinite(samples).all():
        at = int(np.flatnonzero(~np.isfinite(samples))[0]) // head.channels
        raise DataError(f": sample {at} is {samples[at * head.channels]}. Samples must be finite.")
    return _mixed(samples.reshape(-1, head.channels))


def _shares(data: bytes, width: int) -> _Samples:
    """Integers of `width` bytes divided by full scale."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:  # the upper three bytes of a whole number of four
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float64) / 2.0**31
    whole: _Samples = np.frombuffer(data, f"<i{width}").astype(np.float64)
    return whole / 2.0 ** (8 * width - 1)


def _mixed(samples: NDArray[Any]) -> _Samples:
    """Channels [samples, channels] mixed down, summed in order, so that the bits do not depend on NumPy."""
    total: _Samples = samples[:, 0].astype(np.float64)
    for channel in range(1, samples.shape[1]):
        total = total + samples[:, channel]
    mixed: _Samples = total / samples.shape[1]
    return mixed


def _by_soundfile(path: Path, what: str, whole: bool) -> tuple[_Samples, int]:
    try:
        import soundfile
    except ImportError:
        raise DataError(f"{what}. Other sound files need soundfile: pip install 'elman[audio]'.") from None
    try:
        with soundfile.SoundFile(str(path)) as opened:
            rate = int(opened.samplerate)
            _check_rate(rate)
            samples = opened.read(-1 if whole else 0, dtype="float64", always_2d=True)
    except RuntimeError as error:
        raise DataError(f"{what}, and soundfile cannot read it: {error}") from None
    return _mixed(samples), rate


def _check_rate(rate: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise DataError(f"says {rate} samples a second. Between {RATES[0]} and {RATES[1]} can be read.")


def full_scale(value: Any, name: str) -> _Samples:
    """Samples in memory, [samples] or [samples, channels], divided by full scale, float64 [samples].

    Numbers of floating point stay as they are; whole numbers must be of a type with 8 (unsigned), 16 or 32 bits.
    Raises ``DataError``.

    >>> full_scale(np.array([16384, -32768], np.int16), "X").tolist()
    [0.5, -1.0]
    """
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (ValueError, TypeError):
        raise DataError("is no array of samples.", at=Place(name)) from None
    if array.size == 0:
        return np.zeros(0)
    if array.dtype.kind not in "iuf" or array.dtype in (np.int8, np.uint16, np.uint32, np.int64, np.uint64):
        raise DataError(
            f"holds {array.dtype}. Samples are numbers of floating point from -1 to 1, or int16, int32 or uint8.",
            at=Place(name),
        )
    if array.ndim > 2 or (array.ndim == 2 and not 1 <= array.shape[1] <= _MOST_CHANNELS) or array.ndim == 0:
        raise DataError(
            f"has shape {list(array.shape)}. Samples are [samples], or [samples, channels].", at=Place(name)
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(
            f": sample {where} is {np.atleast_2d(array.T).T[where][0]}. Samples must be finite.", at=Place(name)
        )
    flat = _mixed(array.reshape(len(array), -1))
    if array.dtype == np.uint8:
        return (flat - 128) / 128
    return flat if array.dtype.kind == "f" else flat / 2.0 ** (8 * array.dtype.itemsize - 1)


class Resampled:
    """Streaming resampler: see the head of this file.

    `recent` are the samples that later ones still read, the first of them number `begin`; `made` counts what came out.

    >>> whole = Resampled(8000, 16000).feed(np.ones(100))
    >>> piece = Resampled(8000, 16000)
    >>> bool((np.concatenate([piece.feed(np.ones(30)), piece.feed(np.ones(70))]) == whole).all())
    True
    """

    def __init__(self, old: int, new: int) -> None:
        common = math.gcd(old, new)
        self.up, self.down = new // common, old // common
        self.band = _ROLL * min(1.0, new / old)
        self.reach = math.ceil(_CROSSINGS / self.band)
        self.recent, self.begin, self.made = np.zeros(self.reach), -self.reach, 0

    def feed(self, samples: _Samples) -> _Samples:
        """The output that the next samples complete, maybe none."""
        known = np.concatenate([self.recent, samples])
        end = self.begin + len(known)
        # y_m reads up to sample floor(m down / up) + reach
        ready = max(self.made, -(-(end - self.reach) * self.up // self.down))
        made = [self._between(known, first, min(first + _BLOCK, ready)) for first in range(self.made, ready, _BLOCK)]
        self.made = ready
        keep = min(max(self.made * self.down // self.up - self.reach + 1 - self.begin, 0), len(known))
        self.recent, self.begin = known[keep:].copy(), self.begin + keep
        return np.concatenate(made) if made else np.zeros(0)

    def _between(self, known: _Samples, first: int, last: int) -> _Samples:
        m = np.arange(first, last, dtype=np.int64)
        base, phase = m * self.down // self.up, (m * self.down % self.up) / self.up
        total = np.zeros(len(m))
        for tap in range(1 - self.reach, self.reach + 1):  # one after the other: each result's bits are its own
            away = phase - tap
            window = np.cos(np.clip(np.pi * self.band / (2 * _CROSSINGS) * away, -np.pi / 2, np.pi / 2)) ** 2
            total += known[base + tap - self.begin] * (self.band * np.sinc(self.band * away) * window)
        return total


def resample(samples: _Samples, old: int, new: int) -> _Samples:
    """A whole sound at another rate.

    >>> len(resample(np.zeros(8000), 8000, 16000)) > 15900
    True
    """
    return samples if old == new else Resampled(old, new).feed(samples)
