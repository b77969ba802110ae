"""c_t of an LSTM at every step: torch's, with torch's gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import elman
from elman.errors import OptionError


def by_torch(cell: torch.nn.LSTMCell, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
    made = []
    for row in x:
        h, c = cell(row[None], (h, c))
        made.append(c)
    return torch.cat(made) if made else c[:0]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_values_and_gradients(reverse: bool, given: bool) -> None:
    plain = torch.nn.LSTMCell(3, 4).double()
    cell = elman.LSTM(3, 4, reverse=reverse).double()
    cell.load_state_dict(plain.state_dict())
    x = elman.Ragged.of([torch.randn(n, 3, dtype=torch.float64) for n in (5, 0, 2)])
    x.values.requires_grad_()
    start = cell.state_type(*(torch.randn(2, 3, 4, dtype=torch.float64) if given else torch.zeros(2, 3, 4).double()))
    y, last = cell(x, start if given else None)
    found = cell.cell_states(x, y, start if given else None)
    expected = [
        by_torch(plain, own.flip(0) if reverse else own, start.hidden[[i]], start.cell[[i]])
        for i, own in enumerate(x.to_list())
    ]
    expected = [own.flip(0) if reverse else own for own in expected]
    torch.testing.assert_close(found.values, torch.cat(expected))
    torch.testing.assert_close(found[0][0 if reverse else -1], last.cell[0])
    weight = torch.randn(7, 4, dtype=torch.float64)
    theirs = torch.autograd.grad((torch.cat(expected) * weight).sum(), [x.values, *plain.parameters()])
    ours = torch.autograd.grad((found.values * weight).sum(), [x.values, *cell.parameters()])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_of_an_encoder() -> None:
    lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    encoder = elman.Encoder.from_torch(lstm)
    x = elman.Ragged.of([torch.randn(5, 3), torch.randn(2, 3)])
    found = encoder.cell_states(x)
    assert [len(layer) for layer in found] == [2, 2]
    _, state = encoder(x)
    for layer, last in zip(found, state, strict=True):
        for i in range(2):
            torch.testing.assert_close(layer[0][i][-1], last[0].cell[i], atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(layer[1][i][0], last[1].cell[i], atol=1e-6, rtol=1e-5)
    (halves,) = elman.Encoder(3, 4).cell_states(elman.Ragged.of([torch.randn(0, 3)]))
    assert halves[0].steps == 0


def test_refusals() -> None:
    x = elman.Ragged.of([torch.randn(5, 3)])
    with pytest.raises(OptionError, match="GRU has no cell states to be read at every step"):
        elman.Encoder(3, 4, "gru").cell_states(x)
    cell = elman.LSTM(3, 4, zoneout=0.1)
    with pytest.raises(OptionError, match="where there is zoneout"):
        cell.cell_states(x, cell(x)[0])
    cell = elman.LSTM(3, 4, recurrent_dropout=0.5)
    with pytest.raises(OptionError, match=r"training drops units of the state\. Call eval\(\)"):
        cell.cell_states(x, cell(x)[0])
    assert cell.eval().cell_states(x, cell(x)[0]).steps == 5
