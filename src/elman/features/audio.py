"""Audio as steps: log-mel spectrogram."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, ModelFileError, OptionError, Place, Problem, option
from elman.features.base import LARGEST_SCALED, SCALES, Feature, checked, of_lengths, saved_array
from elman.features.lists import listed
from elman.features.numbers import Values
from elman.io.audio import RATES, Resampled, full_scale, rate_of, read_wave, resample
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.validation.columns import is_missing
from elman.validation.messages import seen, shown
from elman.validation.options import choice, is_number, is_whole, require
from elman.validation.plain_values import plain_value

LOWEST = 60.0  # Hz: where the first band begins; the last one ends at half the rate
_MOST_WEIGHTS = 1 << 24  # of the mel filter bank
_LEAST_BINS = 512  # minimum size of the FFT, so that the lowest bands contain bins at low rates
_TINY = 1e-10  # minimum power
_FRAMES = 4096  # frames transformed at a time: bounds the memory
_LOUD = 10.0  # floating-point samples beyond this are likely unscaled integers

_Samples = NDArray[np.float64]


def mel_bands(rate: int, points: int, bands: int, lowest: float = LOWEST) -> NDArray[np.float64]:
    """The mel filter bank for an FFT of `points`: [bands, points / 2 + 1].

    Triangles of height 1 between equally spaced points of the mel scale, 2595 log10(1 + f / 700) (O'Shaughnessy 1987),
    from `lowest` to half the rate.

    >>> mel_bands(8000, 512, 40).shape
    (40, 257)
    """
    low, high = (2595 * math.log10(1 + f / 700) for f in (lowest, rate / 2))
    corners = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    bins = np.arange(points // 2 + 1) * rate / points
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


@dataclass(kw_only=True, eq=False, repr=False)
class SoundOptions:
    """Sound files."""

    rate: int | None = None  # audio: sampling rate in Hz, others are resampled; None: the lowest of the training files
    window: float = 0.025  # audio: length of a frame in seconds
    hop: float = 0.01  # audio: seconds between frames, at most a window
    bands: int = 40  # audio: number of mel bands, the width of a step


@dataclass(kw_only=True)
class Sound(SoundOptions, Feature):
    """Paths of sound files, or samples, as steps: log-mel spectrogram.

    ```
    X_tk = sum_{0 <= n < w} v_n x_{th + n} e^{-2 pi i k n / N}    v_n = sin^2(pi n / w) (Hann), w = window, h = hop
    m_tb = log(max(sum_k F_bk |X_tk|^2, 1e-10))                   F: `mel_bands`
    e_tb = (m_tb - mean_b) / deviation_b                          of the training data
    ```

    N is the smallest power of two of at least w and 512. Frames are not padded: n samples are 1 + (n - w) / h steps,
    rounded down, and none where n < w; so the chunks of a stream have the bits of the whole. Silence is log 1e-10 in
    every band. A sequence is the path of a file, an array of samples ([samples] or [samples, channels], floating point
    from -1 to 1, int16, int32 or uint8), a pair (samples, rate), or a recording of a
    Hugging Face data set ({"array": ..., "sampling_rate": ...}, or a decoder of torchcodec); channels are mixed down,
    another rate is resampled: `elman.io.audio`. Files: WAV with whole numbers of 8 to 32 bits or floats; others need
    the extra "audio".

    Raises `DataError`, naming sequence and file, for what cannot be read, `OptionError` where the rate is unknown.

    Source: Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980.

    >>> noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    >>> sound = Sound(rate=8000).fit([noise])
    >>> sound.transform([noise, noise[:100]]).lengths, sound.describe()
    (tensor([98,  0]), 'sound, 8000 samples a second, 40 bands, 100 steps a second')
    """

    kind: ClassVar[str] = "sound"
    is_signal: ClassVar[bool] = True
    reads_files: ClassVar[bool] = True
    arrays: ClassVar[tuple[str, ...]] = ("mean", "deviation")  # [bands]

    scale: str = "standard"  # standard: mean 0, deviation 1 in each band, learnt from the training data; none: as is

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        rate = self.rate is None or is_whole(self.rate, *RATES)
        found = require(rate, self, "rate", f"must be a whole number from {RATES[0]} to {RATES[1]}, or None")
        for name in ("window", "hop"):
            good = is_number(getattr(self, name), 1e-3, 10)
            found += require(good, self, name, "must be a number of seconds from 0.001 to 10")
        if not found:
            rule = f"must be at most window = {self.window}, or samples would be left out"
            found += require(self.hop <= self.window, self, "hop", rule)
        found += require(is_whole(self.bands, most=512), self, "bands", "must be a whole number from 1 to 512")
        return found + choice(self, "scale", SCALES)

    # ---- learning

    def read(self, column: Any, name: str, fitted: bool) -> list[Any]:
        """The sounds; files are read by `learn` and `encode`."""
        return listed(column, name)

    def learn(self, sequences: list[Any], name: str) -> Ragged:
        """Learns the rate, and mean and deviation of each band."""
        self._know(int(self.rate) if self.rate is not None else _lowest(sequences, name))
        self.mean_, self.deviation_ = np.zeros(self.bands), np.ones(self.bands)
        parts = self._all_bands(sequences, name)
        every = np.concatenate(parts)
        if self.scale == "standard" and len(every):
            deviation = every.std(axis=0)
            self.mean_, self.deviation_ = every.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0)
        return self._steps(parts)

    def _know(self, rate: int) -> None:
        """Sets what follows from the options and the rate."""
        self.rate_ = rate
        self.length_, self.every_ = max(1, round(self.window * rate)), max(1, round(self.hop * rate))
        self.points_ = max(_LEAST_BINS, 1 << (self.length_ - 1).bit_length())
        if self.points_ // 2 * self.bands > _MOST_WEIGHTS:
            raise OptionError(
                f"window = {self.window}, of {rate} samples a second, and bands = {self.bands} make more than "
                f"{_MOST_WEIGHTS} weights. Take a shorter window, or fewer bands."
            )
        self.hann_ = np.sin(np.pi * np.arange(self.length_) / self.length_) ** 2
        self.filters_ = torch.from_numpy(mel_bands(rate, self.points_, int(self.bands)))

    # ---- steps

    def encode(self, sequences: list[Any], name: str) -> Ragged:
        """The steps of each sequence: float32 values `[steps, bands]`."""
        return self._steps(self._all_bands(sequences, name))

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The steps `[steps, bands]` of one sound from the initial state; `advance` continues a stream."""
        return self.transform([value], name=name).values

    def initial_state(self) -> dict[str, Tensor]:
        """The initial state of a stream: samples for later frames, and the state of the resampler."""
        self.check_fitted()
        empty = torch.zeros(0, dtype=torch.float64)
        return {"rest": empty, "recent": empty, "rate": torch.zeros(3, dtype=torch.int64)}

    def advance(self, value: Any, state: dict[str, Tensor], *, name: str = "X") -> tuple[Tensor, dict[str, Tensor]]:
        """The steps that the next samples complete, and the next state; bitwise equal to the whole sound."""
        samples, rate = _sound(value, Place(name))
        rate = self.rate_ if rate is None else rate
        before, begin, made = state["rate"].tolist()
        if before not in (0, rate):
            raise DataError(f"has {rate} samples a second, the chunks before it had {before}.", at=Place(name))
        if not before and len(samples) and (peak := float(np.abs(samples).max())) > _LOUD:  # once a stream
            _warn_of_loud(peak, Place(name))
        recent = state["recent"]
        if rate != self.rate_:
            changing = Resampled(rate, self.rate_)
            if before:
                changing.recent, changing.begin, changing.made = recent.numpy(), begin, made
            samples = changing.feed(samples)
            recent, begin, made = torch.from_numpy(changing.recent), changing.begin, changing.made
        known = np.concatenate([state["rest"].numpy(), samples])
        bands = self._bands(known)
        rest = torch.from_numpy(known[len(bands) * self.every_ :].copy())
        after = {"rest": rest, "recent": recent, "rate": torch.tensor([rate, begin, made])}
        return self._steps([bands]).values, after

    @property
    def seconds(self) -> float:
        """The length of a step in seconds."""
        return float(self.every_ / self.rate_)

    @property
    def value_width(self) -> int:
        """The width of a step: the bands."""
        return int(self.bands)

    def parse_line(self, line: str, place: Place) -> Any:
        """Samples, or the path of a file."""
        try:
            return np.array([float(part) for part in line.replace(",", " ").split()])
        except ValueError:
            return line.strip()

    def module(self, width: int, dropout: float = 0.0) -> Values:
        """The bands unchanged; `width` and `dropout` are not used."""
        return Values(int(self.bands))

    # ---- on disk

    def learnt(self) -> dict[str, Any]:
        """The rate that was learnt."""
        return {"learnt_rate": self.rate_}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes rate and scale. Raises `ModelFileError` for invalid ones."""
        rate = checked(config, "learnt_rate", int, self.kind)
        if not is_whole(rate, *RATES) or self.rate not in (None, rate):
            raise ModelFileError(f"the saved sound feature has rate = {self.rate}, but learnt {rate}.")
        self.mean_, self.deviation_ = (saved_array(tensors, name, (self.bands,)) for name in self.arrays)
        if not (self.deviation_ > 0).all():
            raise ModelFileError("the saved sound feature has deviations that are not above 0.")
        try:
            self._know(rate)
        except OptionError as error:
            raise ModelFileError(f"the saved sound feature has invalid options: {error}") from error

    def step_length(self) -> tuple[float, str]:
        """The seconds between two frames."""
        return self.every_ / self.rate_, "seconds"

    def describe(self) -> str:
        """One line: `sound, 8000 samples a second, 40 bands, 100 steps a second`."""
        return f"sound, {self.rate_} samples a second, {self.bands} bands, {1 / self.hop:g} steps a second"

    # ---- inside

    def _all_bands(self, sounds: list[Any], name: str) -> list[_Samples]:
        """The unscaled bands of each sound."""
        made, peaks = [], list[float]()
        for i, value in enumerate(sounds):
            samples, rate = _sound(value, Place(name, sequence=i))
            peaks.append(float(np.abs(samples).max(initial=0.0)))
            if rate is None and self.rate is None:
                raise _no_rate(Place(name, sequence=i))
            made.append(self._bands(resample(samples, rate or self.rate_, self.rate_)))
        if peaks and max(peaks) > _LOUD:
            _warn_of_loud(max(peaks), Place(name, sequence=int(np.argmax(peaks))))
        return made

    def _bands(self, samples: _Samples) -> _Samples:
        """The log-mel bands of one sound: [steps, bands]. A step's bits do not depend on the others."""
        count = max(0, 1 + (len(samples) - self.length_) // self.every_)
        made = np.zeros((count, int(self.bands)))
        for first in range(0, count, _FRAMES):
            last = min(first + _FRAMES, count)
            piece = samples[first * self.every_ : (last - 1) * self.every_ + self.length_]
            windows = np.lib.stride_tricks.sliding_window_view(piece, self.length_)[:: self.every_]
            found = np.fft.rfft(windows * self.hann_, self.points_)
            power = torch.from_numpy(found.real**2 + found.imag**2)
            made[first:last] = ops.linear(power, self.filters_).clamp(min=_TINY).log()
        return made

    def _steps(self, parts: list[_Samples]) -> Ragged:
        flat = np.concatenate(parts) if parts else np.zeros((0, int(self.bands)))
        scaled = ((flat - self.mean_) / self.deviation_).astype(np.float32)
        return of_lengths(scaled, np.array([len(part) for part in parts], dtype=np.int64))


def _sound(value: Any, place: Place) -> tuple[_Samples, int | None]:
    """The samples of one sound, and its rate if known."""
    try:
        if isinstance(value, str | os.PathLike):
            return read_wave(value)
        given, rate = _paired(value)
        samples = full_scale(given, "its sound")
        if len(far := np.flatnonzero(np.abs(samples) > LARGEST_SCALED)):
            raise DataError(f"sample {far[0]} of its sound is {samples[far[0]]:g}. Samples lie between -1 and 1.")
        return samples, rate
    except DataError as error:
        raise DataError(": ", *error.parts, at=place) from None


def _paired(value: Any) -> tuple[Any, int | None]:
    """Samples and rate of (samples, rate), or of a recording; rate None for samples alone."""
    if is_recording(value):
        value = _recorded(value)
    if is_missing(value) or isinstance(value, Mapping | bytes):
        raise DataError(f"{seen(value)} is no sound. Give the path of a file, or an array of samples.")
    if not is_pair(value):
        return value, None
    samples, rate = value
    if _dimensions(rate):
        raise DataError(f"pairs are (samples, rate), but this one has {shown(samples)} first. Write (samples, rate).")
    rate = plain_value(rate)
    whole = isinstance(rate, int | float) and not isinstance(rate, bool) and rate == rate // 1
    if not (whole and RATES[0] <= rate <= RATES[1]):
        what = f"none from {RATES[0]} to {RATES[1]}" if whole else "no whole number"
        raise DataError(f"its rate is {shown(rate)}, which is {what} of samples a second.")
    return samples, int(rate)


def is_pair(value: Any) -> bool:
    """Whether a value is a pair of samples and a rate, in whichever order.

    >>> is_pair((np.zeros(3), 8000)), is_pair((8000, [0.0, 0.0])), is_pair([0.0, 0.0])
    (True, True, False)
    """
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    one, other = map(_dimensions, value)
    if bool(one) == bool(other):
        return False
    samples, rate = value if one else reversed(value)
    return isinstance(plain_value(rate), int | float) or (
        not isinstance(samples, list | tuple) and isinstance(rate, str | None)
    )


def is_recording(value: Any) -> bool:
    """Whether a value is a recording as Hugging Face's data sets hold them: a dict with "array" and "sampling_rate", or
    a decoder of torchcodec.

    >>> is_recording({"array": [0.0], "sampling_rate": 8000, "path": None}), is_recording([0.0])
    (True, False)
    """
    if isinstance(value, Mapping):
        return "sampling_rate" in value and "array" in value
    return callable(getattr(value, "get_all_samples", None)) or _is_samples(value)


def _is_samples(value: Any) -> bool:
    return hasattr(value, "sample_rate") and hasattr(value, "data") and not isinstance(value, np.ndarray)


def _recorded(value: Any) -> tuple[Any, Any]:
    """Samples [samples] or [samples, channels] of a recording, and its rate."""
    if isinstance(value, Mapping):
        return value["array"], value["sampling_rate"]
    decoded = value if _is_samples(value) else value.get_all_samples()
    samples = decoded.data  # [channels, samples]
    return (samples.T if getattr(samples, "ndim", 1) == 2 else samples), decoded.sample_rate


def _dimensions(value: Any) -> int:
    """The dimensions of an array, 1 for a flat list, 0 for a scalar."""
    if isinstance(value, list | tuple):
        return 1
    found = getattr(value, "ndim", 0)
    return found if isinstance(found, int) else 0


def _warn_of_loud(peak: float, place: Place) -> None:
    warnings.warn(
        f"{place} has samples up to {peak:.6g}. Those of floating point lie between -1 and 1; whole numbers that were "
        "made floats are divided by their full scale first, such as 32768.",
        UserWarning,
        stacklevel=2,
    )


def _lowest(sounds: list[Any], name: str) -> int:
    """The lowest known rate."""
    rates = []
    for i, value in enumerate(sounds):
        try:
            paths = isinstance(value, str | os.PathLike)
            rates.append(rate_of(value) if paths else _paired(value)[1])
        except DataError as error:
            raise DataError(": ", *error.parts, at=Place(name, sequence=i)) from None
    if None in rates:
        raise _no_rate(Place(name, sequence=rates.index(None)))
    return min(rate for rate in rates if rate is not None)


def _no_rate(place: Place) -> OptionError:
    return OptionError("has samples without a rate. Give ", option("rate"), ", or (samples, rate).", at=place)
