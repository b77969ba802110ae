"""Images as steps: videos, gestures, radar maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells.base import IMAGES
from elman.errors import DataError, ModelFileError, Place, Problem
from elman.features.arrays import center_and_spread, place, read_one
from elman.features.base import LARGEST_SCALED, SCALES, Feature, checked, of_lengths, saved_array
from elman.features.lists import listed
from elman.layers.linear import Linear
from elman.ops.convolution import convolve, neighbours
from elman.ragged import Ragged
from elman.validation.columns import is_missing
from elman.validation.messages import seen, shown
from elman.validation.options import choice, is_whole

CHANNELS = (16, 32)  # of the two convolutions
_Array = np.ndarray[Any, Any]
_Shape = tuple[int, int, int]


class ImageReader(nn.Module):
    """The input layer of images: two convolutions, each of which halves height and width, and one vector an image.

    ::

        a_t = relu(W_1 * x_t + b_1)        windows of 3 x 3 pixels, every second row and column
        c_t = relu(W_2 * a_t + b_2)
        y_t = relu(A c_t + d)              of so many `outputs`; None: y_t = c_t, an image of ``image`` pixels laid flat

    `shape` is channels, height and width; an image is laid flat. Each image's bits are its own.

    >>> reader = ImageReader((1, 6, 5), 4)
    >>> reader(Ragged.of([torch.randn(3, 30)])).values.shape
    torch.Size([3, 4])
    """

    def __init__(self, shape: _Shape, outputs: int | None) -> None:
        super().__init__()
        self.shape = shape
        inputs, height, width = shape
        self.sizes, self.weights, self.biases = [(height, width)], nn.ParameterList(), nn.ParameterList()
        for channels in CHANNELS:
            weight = nn.Parameter(torch.empty(channels, inputs, 3, 3))
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")
            self.weights.append(weight)
            self.biases.append(nn.Parameter(torch.zeros(channels)))
            inputs, (height, width) = channels, (-(-height // 2), -(-width // 2))
            self.sizes.append((height, width))
        numbers = inputs * height * width
        self.linear = None if outputs is None else Linear(numbers, outputs)
        self.outputs = numbers if outputs is None else outputs
        self.image = (height, width) if outputs is None else (1, 1)

    def forward(self, x: Ragged) -> Ragged:
        """`[steps, channels * height * width]` → `[steps, outputs]`."""
        return x.with_values(self.step(x.values))

    def step(self, values: Tensor) -> Tensor:
        """The same for the values alone."""
        y = values.view(len(values), self.shape[0], self.shape[1] * self.shape[2]).transpose(1, 2)
        for size, weight, bias in zip(self.sizes, self.weights, self.biases, strict=False):
            y = convolve(y, neighbours(size, 3, stride=2), weight, bias).relu()
        if self.linear is None:
            return y.transpose(1, 2).flatten(1)
        vectors: Tensor = self.linear(y.flatten(1))
        return vectors.relu()


@dataclass
class Images(Feature):
    """Images as steps: float32 `[steps, channels * height * width]`, scaled to mean 0 and deviation 1 over all pixels.

    ```
    y_t = (x_t - mean) / deviation        one mean and one deviation for each channel
    ```

    A column of the data is a list of arrays `[length, height, width]` or `[length, channels, height, width]`, a 4-D
    array `[sequences, length, height, width]` or a 5-D one with channels; all images are of one size. Raises
    `DataError` naming the sequence for images of another size, for NaN and infinities, and for what is no number.

    >>> images = Images().fit([np.zeros((3, 8, 6)), np.ones((1, 8, 6))])
    >>> images.transform([np.ones((2, 8, 6))]).values.shape
    torch.Size([2, 48])
    """

    kind: ClassVar[str] = "images"
    arrays: ClassVar[tuple[str, ...]] = ("mean", "deviation")  # float64 [channels]

    scale: str = "standard"  # standard: mean 0, deviation 1 in each channel, learnt from the training data; none: as is
    maps: bool = False  # whether the input layer gives images again, for a convolutional cell, or one vector an image

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        return choice(self, "scale", SCALES)

    def read(self, column: Any, name: str, fitted: bool) -> list[_Array]:
        """An array for each sequence, as `_sequence` gives it."""
        return [_sequence(value, i, name) for i, value in enumerate(_sequences(column, name))]

    def learn(self, sequences: list[_Array], name: str) -> Ragged:
        """Learns the size of images, and mean and deviation of each channel."""
        sized = [array for array in sequences if array.ndim == 4]
        if not sized:
            raise DataError("holds no image. Fitting needs at least one.", at=Place(name))
        self.shape_: _Shape = sized[0].shape[1:]
        channels, height, width = self.shape_
        if width in (1, 3, 4) and min(channels, height) >= 8:
            raise DataError(
                f": images of {_size(self.shape_)}: channels stand before the height, and here they seem to "
                "stand last. Move them: np.moveaxis(film, -1, 1); if the images are so narrow, exchange height and "
                "width.",
                at=Place(name),
            )
        self.mean_, self.deviation_ = np.zeros(self.shape_[0]), np.ones(self.shape_[0])
        if self.scale == "standard":
            self.mean_, self.deviation_ = _statistics(self._joined(sequences, name))
        return self.encode(sequences, name)

    def encode(self, sequences: list[_Array], name: str) -> Ragged:
        """The scaled images of each sequence, laid flat."""
        whole = self._joined(sequences, name)
        lengths = np.array([len(array) for array in sequences], dtype=np.int64)
        with np.errstate(over="ignore"):  # overflow is refused below, with its place
            # Halves, because the difference of two numbers near the limit of float64 would overflow.
            away = whole * 0.5 - self.mean_[:, None, None] * 0.5
            scaled = away / (self.deviation_[:, None, None] * 0.5)
        far = ~(np.abs(scaled) <= LARGEST_SCALED)
        if far.any():
            at = tuple(np.argwhere(far)[0])
            advice = "Divide it." if self.scale == "none" else "It is far from the training data."
            raise DataError(
                f"has a pixel of {whole[at]:g} (channel {at[1]}, row {at[2]}, column "
                f"{at[3]}), too large for float32 once scaled. {advice}",
                at=place(at[0], 0, np.concatenate([[0], lengths.cumsum()]), 1, name),
            )
        return of_lengths(scaled.reshape(len(scaled), math.prod(self.shape_)).astype(np.float32), lengths)

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The steps of one image `[height, width]` or `[channels, height, width]`, or of several, `[steps, ...]`."""
        array = read_one(value, Place(name))
        if array.ndim == 2 or (array.ndim == 3 and array.shape == self.shape_):
            array = array[None]
        return self.transform([array], name=name).values

    def suit(self, reads: str) -> None:
        """A cell that reads images gets images."""
        self.maps = reads == IMAGES

    def module(self, width: int, dropout: float = 0.0) -> ImageReader:
        """Two convolutions, and a vector of `width` numbers for each image unless `maps`; `dropout` is not used."""
        return ImageReader(self.shape_, None if self.maps else width)

    def learnt(self) -> dict[str, Any]:
        """The size of an image: channels, height, width."""
        return {"shape": list(self.shape_)}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes size and scale. Raises `ModelFileError` for invalid ones."""
        shape = checked(config, "shape", list, self.kind)
        if len(shape) != 3 or not all(is_whole(size, most=2**20 - 1) for size in shape):
            raise ModelFileError(f"the saved images feature has shape = {shown(shape)}.")
        self.shape_ = (shape[0], shape[1], shape[2])
        self.mean_, self.deviation_ = (saved_array(tensors, name, (shape[0],)) for name in self.arrays)
        if not (self.deviation_ > 0).all():
            raise ModelFileError("the saved mean and deviation must be finite, and the deviation above 0.")

    def describe(self) -> str:
        """One line: `images of 28 x 28 pixels, 1 channel, scaled to mean 0 and deviation 1`."""
        channels, height, width = self.shape_
        scaled = "scaled to mean 0 and deviation 1" if self.scale == "standard" else "as is"
        return f"images of {height} x {width} pixels, {channels} channel{'s' * (channels > 1)}, {scaled}"

    # ---- inside

    def _joined(self, arrays: list[_Array], name: str) -> _Array:
        """All images, float64 [steps, channels, height, width]."""
        for i, array in enumerate(arrays):
            if array.ndim == 4 and array.shape[1:] != self.shape_:
                raise DataError(
                    f"has images of {_size(array.shape[1:])}, but those of training are of "
                    f"{_size(self.shape_)}. Bring all images to one size.",
                    at=Place(name, sequence=i),
                )
            finite = np.isfinite(array)
            if not finite.all():
                at = np.argwhere(~finite)[0]
                what = "NaN" if np.isnan(array[tuple(at)]) else "infinite"
                raise DataError(
                    f"has a pixel that is {what} (channel {at[1]}, row {at[2]}, "
                    f"column {at[3]}). Give every pixel a number.",
                    at=Place(name, sequence=i, step=at[0]),
                )
        return np.concatenate([np.zeros((0, *self.shape_)), *(array for array in arrays if array.ndim == 4)])


def _statistics(whole: _Array) -> tuple[_Array, _Array]:
    """Mean and deviation of each channel, without overflow; deviation 1 for a constant channel."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = whole.mean(axis=(0, 2, 3)), whole.std(axis=(0, 2, 3))
    low, high = whole.min(axis=(0, 2, 3)), whole.max(axis=(0, 2, 3))
    mean, deviation = np.where(low == high, low, mean), np.where((low == high) | (deviation == 0), 1.0, deviation)
    for channel in np.flatnonzero(~(np.isfinite(mean) & np.isfinite(deviation))):
        mean[channel], deviation[channel] = center_and_spread(whole[:, channel].ravel())
    return mean, deviation


def _size(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height} x {width} pixels and {channels} channel{'s' * (channels > 1)}"


def _sequences(column: Any, name: str) -> list[Any]:
    if isinstance(column, np.ndarray | Tensor) and column.ndim not in (1, 4, 5):
        raise DataError(
            f"has shape {list(column.shape)}. Images reads [sequences, length, height, width], or with channels "
            "before the height.",
            at=Place(name),
        )
    return listed(column, name)


def _sequence(value: Any, i: int, name: str) -> _Array:
    """One sequence: `[length, channels, height, width]`, or `[0]` where an empty one tells no size."""
    where = Place(name, sequence=i)
    if is_missing(value) or isinstance(value, str | bytes | Mapping):
        raise DataError(f"is {seen(value)}. Images reads arrays [length, height, width].", at=where)
    array = np.atleast_1d(read_one(value, where, ("step",)))
    if len(array) == 0:
        return array if array.ndim == 4 and array.size else np.zeros(0)
    if array.ndim not in (3, 4) or not array.size:
        raise DataError(
            f"has shape {list(array.shape)}. Images reads [length, height, width] or [length, channels, "
            "height, width].",
            at=where,
        )
    return array[:, None] if array.ndim == 3 else array
