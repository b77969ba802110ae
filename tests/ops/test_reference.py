"""The reference against torch.nn in double precision, one sequence at a time, and against cases done by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elman.ops import reference

# Double precision on both sides; only the order of summation differs, over at most 17 + 9 terms and 40 steps.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}

SHAPES = [(1, 1, 1), (5, 3, 4), (1, 7, 2), (40, 17, 9), (12, 1, 8)]  # steps, inputs, hidden
TORCH: dict[str, Callable[[int, int], torch.nn.RNNBase]] = {
    "tanh": lambda inputs, hidden: torch.nn.RNN(inputs, hidden, dtype=torch.float64),
    "relu": lambda inputs, hidden: torch.nn.RNN(inputs, hidden, nonlinearity="relu", dtype=torch.float64),
    "lstm": lambda inputs, hidden: torch.nn.LSTM(inputs, hidden, dtype=torch.float64),
    "gru": lambda inputs, hidden: torch.nn.GRU(inputs, hidden, dtype=torch.float64),
}


def run_reference(kind: str, layer: torch.nn.RNNBase, x: Tensor, state: list[Tensor]) -> tuple[Any, ...]:
    arguments: dict[str, Any] = {name.removesuffix("_l0"): p.detach() for name, p in layer.named_parameters()}
    arguments |= dict(zip(("hidden", "cell"), state, strict=False))
    if kind in ("lstm", "gru"):
        return getattr(reference, kind)(x=x, **arguments)
    return reference.rnn(x=x, nonlinearity=kind, **arguments)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize(("steps", "inputs", "hidden"), SHAPES)
def test_reference_equals_torch(kind: str, steps: int, inputs: int, hidden: int) -> None:
    torch.manual_seed(steps)
    layer = TORCH[kind](inputs, hidden)
    x = torch.randn(steps, inputs, dtype=torch.float64)
    state = [torch.randn(hidden, dtype=torch.float64) for _ in range(2 if kind == "lstm" else 1)]
    rows = [part[None] for part in state]
    with torch.no_grad():
        expected, last = layer(x, tuple(rows) if kind == "lstm" else rows[0])
    y, *found = run_reference(kind, layer, x, state)
    np.testing.assert_allclose(y, expected.numpy(), **TOLERANCE)
    for mine, theirs in zip(found, last if kind == "lstm" else [last], strict=True):
        np.testing.assert_allclose(mine, theirs[0].numpy(), **TOLERANCE)
    assert y.dtype == np.float64


@pytest.mark.parametrize("kind", TORCH)
def test_empty_sequence_keeps_the_initial_state(kind: str) -> None:
    layer = TORCH[kind](3, 4)
    state = [torch.randn(4, dtype=torch.float64) for _ in range(2 if kind == "lstm" else 1)]
    y, *last = run_reference(kind, layer, torch.empty(0, 3, dtype=torch.float64), state)
    assert y.shape == (0, 4)
    assert [part.tolist() for part in last] == [part.tolist() for part in state]


@pytest.mark.parametrize("kind", TORCH)
def test_two_halves_equal_the_whole(kind: str) -> None:
    layer, x = TORCH[kind](3, 4), torch.randn(9, 3, dtype=torch.float64)
    start = [torch.zeros(4, dtype=torch.float64) for _ in range(2 if kind == "lstm" else 1)]
    whole, *last = run_reference(kind, layer, x, start)
    first, *middle = run_reference(kind, layer, x[:5], start)
    second, *end = run_reference(kind, layer, x[5:], [torch.from_numpy(part) for part in middle])
    assert np.concatenate([first, second]).tolist() == whole.tolist()
    assert [part.tolist() for part in end] == [part.tolist() for part in last]


def test_gru_reset_gate_covers_the_recurrent_bias() -> None:
    # r = sigmoid(-1000) = 0 hides U_n h + b_hh_n = 7 altogether; z = 0 passes n = tanh(0) on.
    y, _ = reference.gru(
        x=[[0.0]],
        weight_ih=np.zeros((3, 1)),
        weight_hh=np.zeros((3, 1)),
        bias_ih=[-1000.0, -1000.0, 0.0],
        bias_hh=[0.0, 0.0, 7.0],
        hidden=[0.5],
    )
    assert y.tolist() == [[0.0]]


def test_lstm_rows_are_i_f_g_o() -> None:
    # i = 1, f = 0, g = tanh(2), o = 1: the old cell state 5 is forgotten, tanh(2) written and shown.
    y, h, s = reference.lstm(
        x=[[0.0]],
        weight_ih=np.zeros((4, 1)),
        weight_hh=np.zeros((4, 1)),
        bias_ih=[1000.0, -1000.0, 2.0, 1000.0],
        bias_hh=0.0,
        hidden=[0.5],
        cell=[5.0],
    )
    assert s.tolist() == [np.tanh(2.0)]
    assert y[0].tolist() == h.tolist() == [np.tanh(np.tanh(2.0))]


def test_unknown_nonlinearity_is_refused() -> None:
    weights = {"weight_ih": [[1.0]], "weight_hh": [[1.0]], "bias_ih": 0.0, "bias_hh": 0.0}
    with pytest.raises(KeyError, match="sine"):
        reference.rnn(x=[[1.0]], hidden=[0.0], nonlinearity="sine", **weights)


POOLS = [
    ([[1.0, 2.0], [3.0, -4.0]], {"last": [3.0, -4.0], "mean": [2.0, -1.0], "max": [3.0, 2.0]}),
    ([[-1.0, -2.0]], {"last": [-1.0, -2.0], "mean": [-1.0, -2.0], "max": [-1.0, -2.0]}),
    (np.empty((0, 2)), {"last": [0.0, 0.0], "mean": [0.0, 0.0], "max": [0.0, 0.0]}),
]


@pytest.mark.parametrize(("y", "expected"), POOLS)
def test_pools_by_hand(y: Any, expected: dict[str, list[float]]) -> None:
    for kind, result in expected.items():
        assert getattr(reference, f"pool_{kind}")(y=y).tolist() == result


def test_attention_by_hand() -> None:
    # scores log 1 and log 3, whatever is added to both: weights 1/4 and 3/4.
    for shift in (0.0, 1000.0, -1000.0):
        found = reference.pool_attention(y=[[0.0, 4.0], [1000.0, 8.0]], scores=[shift, shift + np.log(3.0)])
        np.testing.assert_allclose(found, [750.0, 7.0])
    assert reference.pool_attention(y=np.empty((0, 2)), scores=[]).tolist() == [0.0, 0.0]


def test_attention_equals_torch() -> None:
    y, scores = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    expected = torch.softmax(scores, 0) @ y
    np.testing.assert_allclose(reference.pool_attention(y=y, scores=scores), expected.numpy(), **TOLERANCE)


def test_arguments_are_keywords_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        reference.pool_mean([[1.0]])  # type: ignore[misc]
