"""What `ops.recurrent` can do beyond a plain layer: projections, modifiers, shared symbols, checkpointing, threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from agree import close, distance, same_bits
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from table import ragged

LENGTHS = [0, 7, 1, 23, 4, 1, 0, 12, 9, 3, 5, 0]
CELLS = list(ops.GATES)
NARROW = pytest.mark.skipif(not ops.info()["bfloat16"], reason="NOT TESTED: this processor has no bfloat16 products")


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def layer(
    cell: str, inputs: int, hidden: int, outputs: int | None = None, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """weight_ih, weight_hh, bias_ih, bias_hh, small enough not to saturate."""
    rows = ops.GATES[cell] * hidden
    shapes = [(rows, inputs), (rows, outputs or hidden), (rows,), (rows,)]
    return [torch.randn(*shape, dtype=dtype).div_(hidden**0.5).requires_grad_() for shape in shapes]


def state_for(cell: str, sequences: int, hidden: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    parts = 2 if cell == "lstm" else 1
    return [torch.randn(sequences, hidden, dtype=dtype).div_(2).requires_grad_() for _ in range(parts)]


def gradients(results: Any, leaves: list[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator, dtype=torch.float64).to(r.dtype)).sum() for r in results)
    return list(torch.autograd.grad(loss, leaves, retain_graph=True))


def step_by_step(
    cell: str,
    x: Tensor,
    offsets: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    extras: ops.RecurrenceModifiers,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """The equations of a layer with extras, in plain torch."""
    w, u, b, c = weights
    rows, lasts = [None] * len(x), []
    for s in range(len(offsets) - 1):
        h, m = state[0][s], state[-1][s]
        steps = range(int(offsets[s]), int(offsets[s + 1]))
        for t in reversed(steps) if reverse else steps:
            h = h if extras.decay is None else extras.decay[t] * h
            seen = h if extras.drop is None else extras.drop[s] * h
            a, r = w @ x[t] + b, u @ seen + c
            if cell == "lstm":
                i, f, g, o = (a + r).chunk(4)
                new_m = f.sigmoid() * m + i.sigmoid() * g.tanh()
                new = o.sigmoid() * new_m.tanh()
                keep = 0 if extras.keep_cell is None else extras.keep_cell[t % len(extras.keep_cell)]
                m = keep * m + (1 - keep) * new_m
            elif cell == "gru":
                (ar, az, an), (rr, rz, rn) = a.chunk(3), r.chunk(3)
                z = (az + rz).sigmoid()
                new = (1 - z) * (an + (ar + rr).sigmoid() * rn).tanh() + z * h
            else:
                new = (a + r).tanh() if cell == "rnn_tanh" else (a + r).relu()
            keep = 0 if extras.keep is None else extras.keep[t % len(extras.keep)]
            h = keep * h + (1 - keep) * new
            rows[t] = h
        lasts.append((h, m))
    last = [torch.stack(part) for part in zip(*lasts, strict=True)]
    return torch.stack(rows), *(last if cell == "lstm" else last[:1])


@pytest.mark.parametrize("which", ["decay", "drop", "keep", "keep of one row", "keep_cell", "all"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_extras_equal_their_equations(cell: str, which: str, reverse: bool, checkpointing: bool) -> None:
    x, hidden, dtype = ragged(LENGTHS, 3, torch.float64), 5, torch.float64
    steps, sequences = len(x.values), len(x)
    masks = {
        "decay": torch.rand(steps, hidden, dtype=dtype).requires_grad_(),
        "drop": torch.rand(sequences, hidden, dtype=dtype) * 2,
        "keep": torch.rand(steps, hidden, dtype=dtype).round(),
        "keep_cell": torch.rand(steps, hidden, dtype=dtype),
    }
    if which == "keep of one row":
        extras = ops.RecurrenceModifiers(keep=torch.rand(1, hidden, dtype=dtype))
    else:
        extras = ops.RecurrenceModifiers(**{name: mask for name, mask in masks.items() if which in (name, "all")})
    weights, state = layer(cell, 3, hidden), state_for(cell, sequences, hidden)
    x.values.requires_grad_()
    leaves = [x.values, *weights, *state, *([extras.decay] if extras.decay is not None else [])]
    y, h, c = ops.recurrent(
        cell, x.values, x.offsets, *weights, *state, reverse=reverse, extras=extras, checkpointing=checkpointing
    )
    mine = (y, h, c) if cell == "lstm" else (y, h)
    theirs = step_by_step(cell, x.values, x.offsets, weights, state, extras, reverse)
    for a, b in zip(mine, theirs, strict=True):
        assert close(a, b, dtype)
    for a, b in zip(gradients(mine, leaves), gradients(theirs, leaves), strict=True):
        assert close(a, b, dtype)
    with torch.no_grad():
        again = ops.recurrent(cell, x.values, x.offsets, *weights, *state, reverse=reverse, extras=extras)
    assert same_bits(again, (y, h, c))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("hidden", "projected"), [(5, 3), (20, 17), (70, 3)])
def test_a_projection_equals_torch(hidden: int, projected: int, reverse: bool, checkpointing: bool) -> None:
    twin = torch.nn.LSTM(4, hidden, proj_size=projected, bidirectional=True, dtype=torch.float64)
    end = "_l0_reverse" if reverse else "_l0"
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    *weights, weight_hr = (getattr(twin, name + end) for name in names)
    x = ragged([length for length in LENGTHS if length], 4, torch.float64)
    x.values.requires_grad_()
    h0 = torch.randn(len(x), projected, dtype=torch.float64, requires_grad=True)
    c0 = torch.randn(len(x), hidden, dtype=torch.float64, requires_grad=True)
    leaves = [x.values, *weights, weight_hr, h0, c0]
    mine = ops.recurrent(
        "lstm", x.values, x.offsets, *weights, h0, c0, reverse=reverse, weight_hr=weight_hr, checkpointing=checkpointing
    )
    packed, (h, c) = twin(x.to_packed(), (torch.stack([h0, h0]), torch.stack([c0, c0])))
    way = int(reverse)
    theirs = (type(x).from_packed(packed).values.chunk(2, dim=1)[way], h[way], c[way])
    for a, b in zip(mine, theirs, strict=True):
        assert close(a, b, torch.float64)
    for a, b in zip(gradients(mine, leaves), gradients(theirs, leaves), strict=True):
        assert close(a, b, torch.float64)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, pytest.param(torch.bfloat16, marks=NARROW)])
@pytest.mark.parametrize("cell", CELLS)
def test_index_reads_rows_of_x(cell: str, dtype: torch.dtype, checkpointing: bool) -> None:
    state = torch.float64 if dtype == torch.float64 else torch.float32
    x, weights = ragged(LENGTHS, 1, dtype), layer(cell, 6, 20, dtype=state)
    rows, index = torch.randn(9, 6, dtype=dtype, requires_grad=True), torch.randint(9, (len(x.values),))
    folded = ops.recurrent(cell, rows, x.offsets, *weights, index=index, checkpointing=checkpointing)[:2]
    plain = ops.recurrent(cell, rows[index], x.offsets, *weights, checkpointing=checkpointing)[:2]
    assert same_bits(folded, plain)
    for a, b in zip(gradients(folded, [rows, *weights]), gradients(plain, [rows, *weights]), strict=True):
        assert distance(a.double(), b.double()) < (0.02 if dtype == torch.bfloat16 else 3e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, pytest.param(torch.bfloat16, marks=NARROW)])
@pytest.mark.parametrize("cell", CELLS)
def test_recomputing_is_exact(cell: str, dtype: torch.dtype, reverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "PIECE", 1)  # waves of 32 steps
    state = torch.float64 if dtype == torch.float64 else torch.float32
    x, weights = ragged([100, 0, 31, 32, 33, 1], 6, dtype), layer(cell, 6, 20, dtype=state)
    start = state_for(cell, len(x), 20, state)
    leaves = [x.values.requires_grad_(), *weights, *start]
    found = [
        ops.recurrent(cell, x.values, x.offsets, *weights, *start, reverse=reverse, checkpointing=c)
        for c in (False, True)
    ]
    assert same_bits(*found)
    kept, again = (gradients(results[:2], leaves) for results in found)
    for a, b in zip(kept, again, strict=True):
        assert distance(b.double(), a.double()) < (0.02 if dtype == torch.bfloat16 else 3e-6)
    last = [torch.autograd.grad(results[1].sum(), leaves, retain_graph=True) for results in found]  # y unused
    for a, b in zip(*last, strict=True):
        assert distance(b.double(), a.double()) < (0.02 if dtype == torch.bfloat16 else 3e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, pytest.param(torch.bfloat16, marks=NARROW)])
@pytest.mark.parametrize("hidden", [128, 150, 200])
@pytest.mark.parametrize("cell", CELLS)
def test_teams_share_columns_and_keep_every_bit(
    cell: str, hidden: int, dtype: torch.dtype, reverse: bool, threads: None
) -> None:
    """Few sequences on more threads, and on more threads than cores."""
    state = torch.float64 if dtype == torch.float64 else torch.float32
    weights = layer(cell, 6, hidden, dtype=state)
    for lengths in ([9], [5, 0, 12], [3, 4, 1, 7, 2]):
        x, start = ragged(lengths, 6, dtype), state_for(cell, len(lengths), hidden, state)
        leaves = [x.values.requires_grad_(), *weights, *start]
        answers = []
        for count in (1, 2, 3, 8):
            torch.set_num_threads(count)
            results = ops.recurrent(cell, x.values, x.offsets, *weights, *start, reverse=reverse)
            with torch.no_grad():
                assert same_bits(ops.recurrent(cell, x.values, x.offsets, *weights, *start, reverse=reverse), results)
            answers.append((*results, *gradients(results[:2], leaves)))
        assert all(same_bits(answer, answers[0]) for answer in answers)


@NARROW
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inputs", [1, 6, 41])
@pytest.mark.parametrize("hidden", [1, 15, 16, 33, 64, 100])
@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_is_near_float32(cell: str, hidden: int, inputs: int, reverse: bool) -> None:
    weights, x = layer(cell, inputs, hidden, dtype=torch.float32), ragged(LENGTHS, inputs)
    start = state_for(cell, len(x), hidden, torch.float32)
    leaves = [x.values.requires_grad_(), *weights, *start]
    exact = ops.recurrent(cell, x.values, x.offsets, *weights, *start, reverse=reverse)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = ops.recurrent(cell, x.values, x.offsets, *weights, *start, reverse=reverse)
    assert [part.dtype for part in narrow] == [torch.bfloat16, torch.float32, torch.float32]
    for a, b in zip(narrow, exact, strict=True):
        assert distance(a.double(), b.double()) < 0.02  # eight bits of precision
    size = 0.03 if cell != "rnn_relu" else 0.1  # where a unit is near its corner the gradient may be another
    total = torch.cat([g.flatten() for g in gradients(exact[:2], leaves)]).norm()
    for a, b in zip(gradients(narrow[:2], leaves), gradients(exact[:2], leaves), strict=True):
        assert a.dtype == b.dtype
        assert (a - b).norm() < size * total
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert same_bits(ops.recurrent(cell, x.values, x.offsets, *weights, *start, reverse=reverse), narrow)
        for s in range(len(x)):  # alone as in a batch
            one = x[s : s + 1]
            y = ops.recurrent(cell, one.values, one.offsets, *weights, *[p[s : s + 1] for p in start], reverse=reverse)
            assert same_bits(y[0], narrow[0][x.offsets[s] : x.offsets[s + 1]])


def test_bfloat16_falls_back_with_a_warning() -> None:
    ops._warn_of_float32.cache_clear()
    weights, x = layer("gru", 3, 4, dtype=torch.float32), ragged([3, 1], 3)
    ops.choose_set("generic")
    try:
        with torch.autocast("cpu", torch.bfloat16), pytest.warns(UserWarning, match="in use is generic"):
            y, _, _ = ops.recurrent("gru", x.values, x.offsets, *weights)
        assert y.dtype == torch.float32
    finally:
        ops.choose_set()


def test_what_does_not_fit_is_refused() -> None:
    x, weights = ragged([3, 2], 3, torch.float64), layer("gru", 3, 4)
    with pytest.raises(OptionError, match="checkpointing must be True or False, got 'little'"):
        ops.recurrent("gru", x.values, x.offsets, *weights, checkpointing="little")
    with pytest.raises(ShapeError, match=r"decay must have shape \[5, 4\], got \[4, 4\]"):
        ops.recurrent(
            "gru",
            x.values,
            x.offsets,
            *weights,
            extras=ops.RecurrenceModifiers(decay=torch.ones(4, 4, dtype=torch.float64)),
        )
    with pytest.raises(ShapeError, match=r"index must lie in 0 ... 4, but index\[1\] = 5"):
        ops.recurrent("gru", x.values, x.offsets, *weights, index=torch.tensor([0, 5, 1, 2, 3]))
    with pytest.raises(ShapeError, match="weight_hr belongs to an lstm"):
        ops.recurrent("gru", x.values, x.offsets, *weights, weight_hr=torch.ones(4, 4, dtype=torch.float64))
    with pytest.raises(OptionError, match="get no gradient"):
        ops.recurrent(
            "gru", x.values, x.offsets, *weights, extras=ops.RecurrenceModifiers(drop=torch.ones(2, 4).requires_grad_())
        )
