"""Convolution along the steps: against torch's, edge by edge; alone as in a batch; step by step as at once."""

from __future__ import annotations

import pytest
import torch

from elman.errors import OptionError, ShapeError
from elman.layers.convolution import Convolution, windows
from elman.ragged import Ragged
from table import ragged

LENGTHS = [7, 0, 1, 12, 3]


def made(kernel: int, stride: int, causal: bool, channels: tuple[int, ...] = (5, 4)) -> Convolution:
    """In evaluation, with statistics that are not those it begins with."""
    torch.manual_seed(0)
    layers = Convolution(3, channels, kernel, stride, causal)
    layers(ragged([50, 30], 3))
    return layers.eval()


def by_torch(layers: Convolution, x: torch.Tensor, kernel: int, stride: int, causal: bool) -> torch.Tensor:
    """One sequence [steps, inputs] through torch.nn.functional.conv1d and batch_norm."""
    rows = x.double().T[None]
    for layer in layers._layers():
        before = kernel - 1 if causal else (kernel - 1) // 2
        weight = layer.weight.double().view(layer.outputs, kernel, layer.inputs).transpose(1, 2)
        rows = torch.nn.functional.pad(rows, (before, kernel - 1 - before))
        rows = torch.nn.functional.conv1d(rows, weight, stride=stride)
        facts = (part.double() for part in (layer.mean, layer.variance, layer.gain, layer.bias))
        rows = torch.nn.functional.batch_norm(rows, *facts).relu()
    return rows[0].T


@pytest.mark.parametrize(("kernel", "stride", "causal"), [(5, 1, False), (4, 2, False), (3, 3, True), (1, 1, True)])
def test_equals_torch(kernel: int, stride: int, causal: bool) -> None:
    layers, x = made(kernel, stride, causal), ragged(LENGTHS, 3)
    y = layers(x)
    for i, sequence in enumerate(x):
        if len(sequence):
            torch.testing.assert_close(y[i], by_torch(layers, sequence, kernel, stride, causal).float())
        else:
            assert len(y[i]) == 0


def test_training_equals_torch() -> None:
    """Normalised by the steps of the batch; statistics move by a tenth."""
    torch.manual_seed(0)
    layers, x = Convolution(3, 4, kernel=1), ragged(LENGTHS, 3)
    (layer,) = layers._layers()
    y, expected = layers(x).values, (x.values @ layer.weight.T)
    norm = (expected - expected.mean(0)) / (expected.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(y, norm.relu())
    torch.testing.assert_close(layer.mean, 0.1 * expected.mean(0))


def test_gradient() -> None:
    layers, x = made(3, 2, False).double(), ragged([4, 0, 3], 3, torch.float64)
    given = x.values.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: layers(x.with_values(values)).values, given)


@pytest.mark.parametrize(("kernel", "stride", "causal"), [(5, 1, False), (4, 2, True), (3, 2, False)])
def test_a_sequence_alone_has_the_same_bits(kernel: int, stride: int, causal: bool) -> None:
    layers, x = made(kernel, stride, causal, (40, 33)), ragged(LENGTHS, 3)
    y = layers(x)
    for i in range(len(x)):
        assert torch.equal(layers(x[i : i + 1]).values, y[i])


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (4, 2), (3, 5), (1, 3)])
@pytest.mark.parametrize("pieces", [[1] * 12, [4, 0, 8], [12]])
def test_a_stream_has_the_same_bits(kernel: int, stride: int, pieces: list[int]) -> None:
    layers, x = made(kernel, stride, True), torch.randn(12, 3)
    state, rows = layers.initial_state(), []
    for part in x.split(pieces):
        y, state = layers.advance(part, state)
        rows.append(y)
    assert torch.equal(torch.cat(rows), layers(Ragged.of([x])).values)


def test_what_cannot_be() -> None:
    with pytest.raises(OptionError, match="causal=True"):
        made(3, 1, False).advance(torch.zeros(1, 3), made(3, 1, False).initial_state())
    with pytest.raises(OptionError, match="kernel must be at least 1, got 0"):
        Convolution(3, 4, kernel=0)
    with pytest.raises(OptionError, match="channels must be at least 1, got 0"):
        Convolution(3, ())
    with pytest.raises(ShapeError, match="inputs=2"):
        made(3, 1, False)(ragged([4], 2))


def test_one_step_in_training_is_normalised_by_what_was_learnt() -> None:
    layers = Convolution(3, 4)
    assert layers(ragged([1], 3)).values.isfinite().all()
    assert layers(ragged([0, 0], 3)).values.shape == (0, 4)


def test_windows_of_nothing() -> None:
    found = windows(torch.tensor([0, 0, 0]), kernel=3)
    assert found.rows.shape == (0, 3)
    assert found.offsets.tolist() == [0, 0, 0]
