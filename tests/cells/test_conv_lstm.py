"""ConvLSTM on images of more than one pixel; the laws of all cells try it on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from elman.cells import ConvLSTM
from elman.errors import OptionError
from elman.layers.encoder import Encoder
from elman.ops import reference
from elman.tasks import Classifier, load
from table import ragged

LENGTHS = [3, 0, 1, 5]


def made(reverse: bool = False, **given: object) -> ConvLSTM:
    """2 channels in, 3 out, 4 x 3 pixels; nothing is at a special value."""
    torch.manual_seed(0)
    cell = ConvLSTM(2 * 12, 3 * 12, image=(4, 3), reverse=reverse, **given).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(0, 0.3)
    return cell


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_equals_the_reference(kernel: int, reverse: bool) -> None:
    cell, x = made(reverse, kernel=kernel), ragged(LENGTHS, 24, torch.float64)
    state = cell.state_type(*torch.randn(2, len(x), 36, dtype=torch.float64))
    y, last = cell(x, state)
    weights = {key: p.detach() for key, p in cell.named_parameters()}
    for i, sequence in enumerate(x):
        start = {key: part[i] for key, part in state._asdict().items()}
        rows = sequence.flip(0) if reverse else sequence
        theirs, h, c = map(torch.from_numpy, reference.conv_lstm(x=rows, image=(4, 3), **weights, **start))
        torch.testing.assert_close(y[i], theirs.flip(0) if reverse else theirs)
        torch.testing.assert_close(last.hidden[i], h)
        torch.testing.assert_close(last.cell[i], c)


def test_the_reference_convolves_as_torch() -> None:
    weight, image = torch.randn(5, 2, 3, 3, dtype=torch.float64), torch.randn(2, 4, 3, dtype=torch.float64)
    theirs = torch.nn.functional.conv2d(image[None], weight, padding=1)[0]
    torch.testing.assert_close(torch.from_numpy(reference._convolved(weight.numpy(), image.numpy())), theirs)


def test_gradients() -> None:
    cell, x = made(), ragged([2, 0, 1], 24, torch.float64)
    names = [key for key, _ in cell.named_parameters()]

    def run(values: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        y, _ = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (x.with_values(values),))
        return y.values[:, ::5]

    given = [x.values.requires_grad_(), *[p.detach().requires_grad_() for p in cell.parameters()]]
    assert torch.autograd.gradcheck(run, given, fast_mode=True)


def test_a_film_alone_has_the_same_bits_and_steps_too() -> None:
    cell, x = made().float(), ragged(LENGTHS, 24)
    y, _ = cell(x)
    for i, film in enumerate(x):
        assert torch.equal(cell(x[i : i + 1])[0].values, y[i])
        state = cell.initial_state(1)
        for image, expected in zip(film, y[i], strict=True):
            now, state = cell.step(image[None], state)
            assert torch.equal(now[0], expected)


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(OptionError, match=r"inputs = 13 and hidden = 12 must be multiples of the 4 x 3 pixels"):
        ConvLSTM(13, 12, image=(4, 3))
    with pytest.raises(OptionError, match="kernel must be odd"):
        ConvLSTM(12, 12, image=(4, 3), kernel=2)
    with pytest.raises(OptionError, match="has no meaning for cell = 'lstm'"):
        Encoder(12, 4, "lstm", image=(4, 3))


def test_encoder_counts_numbers_for_each_pixel() -> None:
    encoder = Encoder(24, 3, "conv_lstm", layers=2, bidirectional=True, image=(4, 3))
    y, _ = encoder(ragged(LENGTHS, 24))
    assert encoder.outputs == y.values.shape[1] == 2 * 3 * 12


WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


def moving_digits(count: int, random: np.random.Generator) -> tuple[list[np.ndarray], list[str]]:
    """Scikit-learn's digits, each on its way across an image of 14 x 14; the label is where to."""
    digits = load_digits().images
    films, ways = [], []
    for _ in range(count):
        way, steps = random.choice(list(WAYS)), int(random.integers(3, 5))
        film = np.zeros((steps, 14, 14))
        digit, move = digits[random.integers(len(digits))], np.array(WAYS[way])
        away = (steps - 1) * move
        first = random.integers(np.maximum(0, -away), 7 - np.maximum(0, away))
        for t in range(steps):
            row, column = first + move * t
            film[t, row : row + 8, column : column + 8] = digit
        films.append(film)
        ways.append(way)
    return films, ways


@pytest.mark.parametrize(("cell", "hidden"), [("conv_lstm", 6), ("gru", 24)])
def test_where_digits_move(cell: str, hidden: int, tmp_path: Path) -> None:
    """No single image tells. One in four is right by chance."""
    films, ways = moving_digits(220, np.random.default_rng(0))
    options: dict[str, Any] = {"dropout": 0.0, "head_dropout": 0.0, "pool": "last", "learning_rate": 1e-2}
    clf = Classifier(cell=cell, hidden=hidden, epochs=12, verbose=False, **options).fit(films[:160], ways[:160])
    assert clf.score(films[160:], ways[160:]) > 0.6
    clf.save(tmp_path / "model")
    shares = load(tmp_path / "model").predict_proba(films[160:164])
    np.testing.assert_array_equal(shares, clf.predict_proba(films[160:164]))
    session = clf.stream()
    for image in films[160]:
        answer = session.feed(image)
    assert list(answer.probabilities.values()) == shares[0].tolist()


def test_images_of_ragged_films_are_read_one_by_one() -> None:
    films, ways = moving_digits(20, np.random.default_rng(1))
    clf = Classifier(cell="conv_lstm", hidden=2, epochs=1, verbose=False).fit(films, ways)
    whole = clf.predict_proba(films)
    np.testing.assert_array_equal(np.concatenate([clf.predict_proba([film]) for film in films]), whole)
