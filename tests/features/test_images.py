"""Images as steps: what is read, what is refused, and that an image's bits are its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from elman.errors import DataError, ModelFileError, OptionError
from elman.features import Images, Numbers, infer
from elman.features.images import ImageReader
from elman.ragged import Ragged

RANDOM = np.random.default_rng(0)
FILMS = [RANDOM.normal(3, 2, size=(n, 5, 4)) for n in (3, 1, 6)]


def test_every_form_is_the_same() -> None:
    whole = np.stack([film[:1] for film in FILMS])  # one image each
    expected = Images().fit_transform(whole).values
    coloured = [film[:1, None] for film in FILMS]
    for column in (list(whole), coloured, np.stack(coloured), torch.from_numpy(whole), [f.tolist() for f in whole]):
        images = Images()
        assert torch.equal(images.fit_transform(column).values, expected)
        assert images.shape_ == (1, 5, 4)


def test_channels_are_scaled_each() -> None:
    column = [RANDOM.normal([[[1]], [[50]]], [[[2]], [[9]]], size=(4, 2, 5, 4)) for _ in range(3)]
    x = Images().fit_transform(column)
    by_channel = x.values.view(-1, 2, 20).transpose(0, 1).flatten(1)
    torch.testing.assert_close(by_channel.mean(1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(by_channel.std(1, correction=0), torch.ones(2))
    assert torch.equal(
        Images(scale="none").fit_transform(column).values[0], torch.from_numpy(column[0][0]).float().flatten()
    )


def test_empty_sequences_are_sequences() -> None:
    x = Images().fit_transform([[], FILMS[0], np.zeros((0, 5, 4))])
    assert x.lengths.tolist() == [0, 3, 0]


def test_what_is_taken_for_images() -> None:
    assert infer(np.zeros((2, 3, 5, 4))).kind == "images"
    assert infer([np.zeros((3, 2, 5, 4))]).kind == "images"
    assert isinstance(infer(np.zeros((3, 5, 4))), Numbers)  # sequences of 5 steps


def spoilt(value: float) -> Any:
    film = FILMS[0].copy()
    film[1, 2, 3] = value
    return film


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([FILMS[0], np.zeros((2, 4, 4))], "X: sequence 1 has images of 4 x 4 pixels and 1 channel, but .* 5 x 4"),
        ([FILMS[1], spoilt(np.nan)], r"sequence 1, step 1 has a pixel that is NaN \(channel 0, row 2, column 3\)"),
        ([spoilt(np.inf)], "sequence 0, step 1 has a pixel that is infinite"),
        ([FILMS[0], np.zeros((5, 4))], r"sequence 1 has shape \[5, 4\]"),
        ([FILMS[0], "film"], "sequence 1 is a text"),
        ([FILMS[0], None], "sequence 1 is None"),
        ([FILMS[0], [["a"]]], "sequence 1, step 0 is a text, .a., where a number was expected"),
        ([[[[1, 2]], [[1]]]], "unequal sizes"),
        (np.zeros((3, 5, 4)), r"X has shape \[3, 5, 4\]"),
        ([[], []], "holds no image"),
    ],
)
def test_refused(column: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Images().fit(column)


def test_steps_of_a_stream() -> None:
    images = Images().fit(FILMS)
    expected = images.transform(FILMS[:1]).values
    for value in (FILMS[0][0], FILMS[0][:1], FILMS[0][:1, None]):
        assert torch.equal(images.step(value), expected[:1])
    assert torch.equal(images.step(FILMS[0]), expected)
    with pytest.raises(DataError, match="5 x 4"):
        images.step(np.zeros((4, 4)))


def test_saved_and_restored() -> None:
    images = Images().fit(FILMS)
    again = Images.restore(images.config(), images.tensors(), {})
    assert torch.equal(again.transform(FILMS).values, images.transform(FILMS).values)
    for wrong in ({"shape": [1, 5]}, {"shape": [1, 5, 0]}, {"shape": [1, 5, "4"]}, {"scale": "big"}, {"maps": 1}):
        with pytest.raises(ModelFileError):
            Images.restore(images.config() | wrong, images.tensors(), {})
    with pytest.raises(ModelFileError, match="mean is missing"):
        Images.restore(images.config(), {}, {})
    with pytest.raises(ModelFileError, match="deviation above 0"):
        Images.restore(images.config(), images.tensors() | {"deviation": torch.zeros(1, dtype=torch.float64)}, {})


def test_not_fitted() -> None:
    with pytest.raises(OptionError, match="not fitted"):
        Images().transform(FILMS)


@pytest.mark.parametrize("outputs", [7, None])
def test_the_reader_equals_torch_and_its_bits_are_an_images_own(outputs: int | None) -> None:
    torch.manual_seed(0)
    reader, x = ImageReader((2, 6, 5), outputs), torch.randn(9, 60)
    y = x.view(9, 2, 6, 5)
    for weight, bias in zip(reader.weights, reader.biases, strict=True):
        y = torch.nn.functional.conv2d(y, weight, bias, stride=2, padding=1).relu()
    assert reader.image == ((2, 2) if outputs is None else (1, 1))
    whole = reader(Ragged(x, torch.tensor([0, 9]))).values
    assert whole.shape[1] == reader.outputs
    if reader.linear is None:
        torch.testing.assert_close(whole, y.flatten(1))
    else:  # the linear layer reads pixel by pixel
        torch.testing.assert_close(whole, reader.linear(y.flatten(2).transpose(1, 2).flatten(1)).relu())
    for i in range(9):
        assert torch.equal(reader.step(x[i : i + 1]), whole[i : i + 1])
