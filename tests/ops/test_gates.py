"""The gates that a cell shows are those that it used: y can be made from them."""

from __future__ import annotations

import pytest
import torch

from elman.cells.recurrent import before
from table import CELLS, VARIANTS, ragged

LENGTHS = [5, 1, 0, 7]


def carried(kept: torch.Tensor, new: torch.Tensor, offsets: torch.Tensor, reverse: bool) -> torch.Tensor:
    """c_t = kept_t c_{t-1} + new_t, by hand."""
    out = torch.zeros_like(new)
    for first, last in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        c = torch.zeros_like(new[0])
        for t in reversed(range(first, last)) if reverse else range(first, last):
            c = out[t] = kept[t] * c + new[t]
    return out


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["rnn", "rnn_relu", "lstm", "gru", "ln_lstm", "min_gru", "min_lstm"])
def test_y_is_made_of_the_gates(name: str, reverse: bool) -> None:
    torch.manual_seed(0)
    cell = CELLS[name].make(3, 4, reverse=reverse, dtype=torch.float64)
    x = ragged(LENGTHS, 3, torch.float64)
    y, _ = cell(x)
    gates = cell.gates(x, y)
    assert list(gates) == list(cell.activations)
    assert all(values.shape == (13, 4) for values in gates.values())
    h = before(y, torch.zeros(4, 4), reverse)
    if name in ("rnn", "rnn_relu"):
        made = gates["h"]
    elif name == "gru":
        made = (1 - gates["z"]) * gates["n"] + gates["z"] * h
    elif name.startswith("min"):
        candidate = cell.gate_inputs(x)[-1]
        made = gates["a"] * h + (1 - gates["a"]) * candidate
    else:
        c = carried(gates["f"], gates["i"] * gates["g"], x.offsets, reverse)
        scaled = torch.nn.functional.layer_norm(c, (4,)) * cell.gain_cell + cell.bias_cell if name == "ln_lstm" else c
        made = gates["o"] * scaled.tanh()
    torch.testing.assert_close(made, y.values)


def test_an_lru_keeps_its_modulus() -> None:
    cell = CELLS["lru"].make(3, 4, r_min=0.5, r_max=0.9)
    kept = cell.gates(x := ragged([2, 3], 3), cell(x)[0])["a"]
    assert kept.shape == (5, 4)
    assert ((kept >= 0.5) & (kept <= 0.9)).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_gates_are_within_their_range(name: str) -> None:
    cell = VARIANTS[name].make(3, 4)
    gates = cell.gates(x := ragged([0, 9], 3), cell(x)[0])
    assert set(gates) == set(cell.activations)
    assert cell.keeps is None or cell.keeps in gates
    for gate, kind in cell.activations.items():
        least, most = {"tanh": (-1, 1), "relu": (0, torch.inf)}.get(kind, (0, 1))
        assert ((gates[gate] >= least) & (gates[gate] <= most)).all()


def test_a_given_state_is_what_comes_before() -> None:
    cell = CELLS["lstm"].make(3, 4)
    x = ragged([6], 3)
    y, _ = cell(x)
    _, half = cell(x[[0]].with_values(x.values))
    first = type(x)(x.values[:2], torch.tensor([0, 2]))
    rest = type(x)(x.values[2:], torch.tensor([0, 4]))
    _, half = cell(first)
    late, _ = cell(rest, half)
    for gate, values in cell.gates(rest, late, half).items():
        torch.testing.assert_close(values, cell.gates(x, y)[gate][2:])


@pytest.mark.parametrize(("name", "count"), [("rnn", 1), ("lstm", 4), ("gru", 3), ("ln_lstm", 0), ("min_gru", 0)])
def test_recurrent_weights(name: str, count: int) -> None:
    weights = CELLS[name].make(3, 4).recurrent_weights()
    assert len(weights) == count
    assert all(weight.shape == (4, 4) for weight in weights.values())
