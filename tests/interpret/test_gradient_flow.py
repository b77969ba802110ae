"""The gradient through time against finite differences and against loops written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from elman.cells import Cell
from elman.interpret.gradient_flow import CellPass, Sizes, cuts, sizes, watched
from elman.layers.encoder import Encoder
from elman.ragged import Ragged
from table import VARIANTS, ragged

LENGTHS = [6, 1, 0, 4]
CLOSE = {"rtol": 1e-5, "atol": 1e-9}  # of a central difference in double precision


def walked(cell: Cell, x: Ragged) -> tuple[CellPass, Tensor, tuple[Tensor, ...]]:
    """A pass in double precision, and what a random linear loss of y and the last state sends down."""
    with watched(torch.nn.ModuleList([cell])) as walks:
        y, last = cell(x)
    return walks[0], torch.randn_like(y.values), tuple(torch.randn_like(part) for part in last)


def followed(walk: CellPass, d_y: Tensor, d_last: tuple[Tensor, ...], back: list[int]) -> Sizes:
    return sizes(walk, d_y.detach(), tuple(d.detach() for d in d_last), back)


def by_differences(cell: Cell, walk: CellPass, d_y: Tensor, d_last: tuple[Tensor, ...], i: int, k: int) -> list[Tensor]:
    """The gradients of the two losses with respect to the state k steps back of sequence i: carried, total."""
    rows = torch.arange(len(walk.x.values))[walk.x.offsets[i] : walk.x.offsets[i + 1]]
    rows = rows.flip(0) if cell.reverse else rows  # in the order of the walk
    early, late = (part.sort().values for part in (rows[:-k], rows[-k:]))
    _, state = cell(Ragged.of([walk.x.values[early]]))
    flat = torch.cat([part[0] for part in state]).detach()

    def losses(numbers: Tensor) -> Tensor:
        parts = type(state)(*[part[None] for part in numbers.split(cell.units)])
        y, last = cell(Ragged.of([walk.x.values[late]]), parts)
        end = sum((d[i] * part[0]).sum() for d, part in zip(d_last, last, strict=True))
        last_y = y.values[0 if cell.reverse else -1]
        return torch.stack([(d_y[rows[-1]] * last_y).sum() + end, (d_y[late] * y.values).sum() + end]).detach()

    steps = 1e-6 * torch.eye(len(flat), dtype=torch.float64)
    found = torch.stack([(losses(flat + e) - losses(flat - e)) / 2e-6 for e in steps])
    return [found[:, 0], found[:, 1]]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_are_those_of_finite_differences(name: str, reverse: bool) -> None:
    torch.manual_seed(0)
    inputs = 2 * VARIANTS[name].blocks
    cell = VARIANTS[name].make(inputs, 3, reverse=reverse, dtype=torch.float64)
    walk, d_y, d_last = walked(cell, ragged(LENGTHS, inputs, torch.float64))
    found = followed(walk, d_y, d_last, [1, 2, 5])
    assert found.reached.tolist() == [[True] * 3, [False] * 3, [False] * 3, [True, True, False]]
    for i, place, k in [(0, 0, 1), (0, 1, 2), (0, 2, 5), (3, 0, 1), (3, 1, 2)]:
        carried, total = by_differences(cell, walk, d_y, d_last, i, k)
        torch.testing.assert_close(found.carried[i, place], carried.norm(), **CLOSE)
        torch.testing.assert_close(found.total[i, place], total.norm(), **CLOSE)
        for part, expected in zip(found.parts.values(), carried.split(cell.units), strict=True):
            torch.testing.assert_close(part[i, place], expected.norm(), **CLOSE)
    assert not found.carried[~found.reached].any()
    assert not found.total[~found.reached].any()


def test_against_a_loop_of_torch() -> None:
    """The equations of an LSTM written out, and a gradient retained at every h and C."""
    torch.manual_seed(1)
    cell = VARIANTS["lstm"].make(2, 4, dtype=torch.float64)
    walk, d_y, d_last = walked(cell, ragged([9], 2, torch.float64))
    found = followed(walk, d_y, d_last, cuts(9))
    states = [torch.zeros(8, dtype=torch.float64, requires_grad=True)]
    w, u, b = cell.weight_ih.detach(), cell.weight_hh.detach(), (cell.bias_ih + cell.bias_hh).detach()
    for x in walk.x.values:
        h, c = states[-1].split(4)
        i, f, g, o = (w @ x + u @ h + b).split(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        states.append(torch.cat([o.sigmoid() * c.tanh(), c]))
        states[-1].retain_grad()
    ends = torch.cat([d_last[0][0], d_last[1][0]])
    (sum((d * s[:4]).sum() for d, s in zip(d_y, states[1:], strict=True)) + (ends * states[-1]).sum()).backward()
    # The gradient retained at a state has what its own y sends down in it; what is carried back to it has not.
    got = [s.grad - torch.cat([d, torch.zeros(4)]) for d, s in zip(d_y[:-1], states[1:-1], strict=True)]
    torch.testing.assert_close(found.total[0], torch.stack([g.norm() for g in got[::-1]]))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_batch_is_its_sequences(checkpointing: bool) -> None:
    torch.manual_seed(2)
    cell = VARIANTS["gru"].make(2, 3, checkpointing=checkpointing)
    x = ragged([5, 150, 0, 1], 2)
    walk, d_y, d_last = walked(cell, x)
    back = cuts(150)
    whole = followed(walk, d_y, d_last, back)
    for i in (0, 1, 3):
        alone, _, _ = walked(cell, x[[i]])
        rows = slice(int(x.offsets[i]), int(x.offsets[i + 1]))
        one = followed(alone, d_y[rows], tuple(d[[i]] for d in d_last), back)
        assert torch.equal(one.carried[0], whole.carried[i])
        assert torch.equal(one.total[0], whole.total[i])


def test_cutting_less_often_changes_nothing() -> None:
    torch.manual_seed(3)
    cell = VARIANTS["lstm"].make(2, 3)
    made = walked(cell, ragged([40, 33], 2))
    fine, coarse = followed(*made, list(range(1, 40))), followed(*made, [1, 7, 39])
    torch.testing.assert_close(coarse.carried, fine.carried[:, [0, 6, 38]], rtol=1e-9, atol=0)


def test_a_stack_is_watched_by_layer_and_direction() -> None:
    encoder, other = Encoder(2, 3, "lru", layers=2, bidirectional=True), Encoder(2, 3)
    network = torch.nn.ModuleDict({"words": encoder, "paths": torch.nn.ModuleList([other])})
    with watched(network) as walks:
        encoder(ragged([3], 2))
        other(ragged([3], 2))
    layers = ["layer 1", "layer 1, backwards", "layer 2", "layer 2, backwards"]
    assert [walk.name for walk in walks] == [*(f"words {layer}" for layer in layers), "layer 1"]
    with watched(encoder) as alone:
        encoder(ragged([3], 2))
    assert [walk.name for walk in alone] == layers
    encoder(ragged([3], 2))
    assert len(walks) == 5  # the hooks are gone


def test_what_overflows_stays_a_number() -> None:
    cell = VARIANTS["rnn_relu"].make(1, 2, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_hh.copy_(1e4 * torch.eye(2))
        cell.weight_ih.fill_(1.0)
    walk, d_y, d_last = walked(cell, Ragged.of([torch.ones(100, 1, dtype=torch.float64) * 1e-300]))
    found = followed(walk, torch.ones_like(d_y), d_last, cuts(100))
    assert torch.isfinite(found.carried).all()
    assert found.carried[0, -1] > 1e70
