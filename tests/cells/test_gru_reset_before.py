"""The GRU with the reset before the product, beside the one with the reset after it, and as a task's cell."""

from pathlib import Path

import pytest
import torch

import elman
from elman.cells import ResetBeforeGRU
from elman.errors import OptionError


def test_both_are_one_without_recurrent_weights_of_the_candidate() -> None:
    cell, plain = ResetBeforeGRU(3, 4), elman.GRU(3, 4)
    with torch.no_grad():
        cell.weight_hh[8:] = 0
        plain.load_state_dict(
            {
                "weight_ih": cell.weight_ih, "weight_hh": cell.weight_hh, "bias_ih": cell.bias,
                "bias_hh": torch.zeros(12),
            }
        )  # fmt: skip
    x = elman.Ragged.of([torch.randn(5, 3), torch.randn(2, 3)])
    torch.testing.assert_close(cell(x)[0].values, plain(x)[0].values)
    with torch.no_grad():
        cell.weight_hh.normal_()
        plain.weight_hh.copy_(cell.weight_hh)
    assert (cell(x)[0].values - plain(x)[0].values).abs().max() > 1e-3


def test_gates_are_those_of_the_pass() -> None:
    cell = ResetBeforeGRU(3, 4)
    x = elman.Ragged.of([torch.randn(6, 3)])
    y, _ = cell(x)
    gates = cell.gates(x, y)
    old = torch.cat([torch.zeros(1, 4), y.values[:-1]])
    torch.testing.assert_close((1 - gates["z"]) * gates["n"] + gates["z"] * old, y.values)
    assert sorted(cell.recurrent_weights()) == ["n", "r", "z"]
    with pytest.raises(OptionError, match="no compiled stepper"):
        cell.stepper()


def test_in_a_task(tmp_path: Path) -> None:
    texts, labels = ["good film", "bad film"] * 8, ["+", "-"] * 8
    model = elman.Classifier(cell="gru_reset_before", hidden=6, epochs=2, verbose=False).fit(texts, labels)
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert again.cell == "gru_reset_before"
    assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
