"""What may change the state on its way: resets, a learnt start, decay, recurrent dropout, zoneout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agree import close, same_bits
from elman.cells import GRU, LSTM, RNN, Cell, Recurrent, State
from elman.errors import OptionError, ShapeError
from elman.layers.encoder import Encoder
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import CELLS, TWINS, ragged

LENGTHS = [0, 7, 1, 23, 4, 1, 0, 12, 3, 0]
MARKS = {
    "none": lambda steps: torch.zeros(steps, dtype=torch.bool),
    "every": lambda steps: torch.ones(steps, dtype=torch.bool),
    "some": lambda steps: torch.rand(steps) < 0.3,
}


@pytest.fixture(params=CELLS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def learnt(name: str, inputs: int = 3, hidden: int = 5, **given: Any) -> Cell:
    """A cell that begins elsewhere than at zeros."""
    cell = CELLS[name].make(inputs, hidden, learn_initial=True, **given)
    with torch.no_grad():
        for key, parameter in cell.named_parameters():
            if key.startswith("initial"):
                parameter.uniform_(-0.5, 0.5)
    return cell


def random_state(cell: Cell, sequences: int) -> State:
    return cell.state_type(*[0.5 * torch.randn_like(part) for part in cell.initial_state(sequences)])


def apart(cell: Cell, x: Ragged, marks: Tensor, state: State | None) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Each sequence cut by hand at its marks, and each piece run on its own."""
    ys, lasts = [], []
    for i, (rows, flags) in enumerate(zip(x, marks.split(x.lengths.tolist()), strict=True)):
        here = cell.initial_state(1) if state is None else type(state)(*[part[i : i + 1] for part in state])
        pieces: list[list[int]] = [[]]
        for t in reversed(range(len(rows))) if cell.reverse else range(len(rows)):
            if flags[t]:
                pieces.append([])
            pieces[-1].append(t)
        made: list[Tensor | None] = [None] * len(rows)
        for j, piece in enumerate(pieces):
            here = cell.initial_state(1) if j else here
            y, here = cell(Ragged.of([rows[sorted(piece)]], width=cell.inputs), here)
            for t, row in zip(sorted(piece), y.values, strict=True):
                made[t] = row
        ys += made
        lasts.append([part[0] for part in here])
    return ys, lasts


@torch.no_grad()
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("marked", MARKS)
def test_a_reset_is_a_new_sequence_bit_for_bit(name: str, marked: str, reverse: bool, given: bool) -> None:
    cell, x = learnt(name, reverse=reverse), ragged(LENGTHS, 3)
    marks, state = MARKS[marked](len(x.values)), random_state(cell, len(x)) if given else None
    y, last = cell(x, state, reset=marks)
    ys, lasts = apart(cell, x, marks, state)
    assert same_bits(y.values, torch.stack(ys))
    assert same_bits(tuple(last), tuple(torch.stack(part) for part in zip(*lasts, strict=True)))
    if marked == "none":
        assert same_bits((y, last), cell(x, state))


@torch.no_grad()
def test_steps_with_resets_equal_forward(name: str) -> None:
    cell, x = learnt(name), ragged([9, 9, 9], 3)
    marks, state = MARKS["some"](27), random_state(cell, 3)
    whole, last = cell(x, state, reset=marks)
    for t in range(9):
        rows = x.offsets[:-1] + t
        y, state = cell.step(x.values[rows], state, reset=marks[rows])
        assert same_bits(y, whole.values[rows])
    assert same_bits(tuple(state), tuple(last))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_of_a_learnt_start_through_resets(name: str, checkpointing: bool) -> None:
    lengths = [3, 0, 1, 4]
    width = 2 * CELLS[name].blocks
    cell, x = (
        learnt(name, width, 3, checkpointing=checkpointing, dtype=torch.float64),
        ragged(lengths, width, torch.float64),
    )
    marks, names = torch.tensor([0, 1, 0, 1, 0, 0, 1, 0]).bool(), [key for key, _ in cell.named_parameters()]
    x.values.abs_().add_(0.1)  # away from the corner of max(0, .)

    def run(values: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, rest, strict=True))
        y, last = torch.func.functional_call(cell, given, (x.with_values(values),), {"reset": marks})
        return y.values, *last

    inputs = [x.values, *[p.detach() for p in cell.parameters()]]
    assert torch.autograd.gradcheck(run, [p.clone().requires_grad_() for p in inputs], fast_mode=True)


def test_no_state_is_the_learnt_one(name: str) -> None:
    cell, x = learnt(name), ragged(LENGTHS, 3)
    assert same_bits(cell(x), cell(x, cell.initial_state(len(x))))
    assert all((part == part[0]).all() and part.abs().sum() > 0 for part in cell.initial_state(4))


def test_a_start_to_be_learnt_is_zeros_at_first(name: str) -> None:
    cell = CELLS[name].make(3, 5, learn_initial=True)
    assert not any(part.any() for part in cell.initial_state(2))
    plain = {key for key, _ in CELLS[name].make(3, 5).named_parameters()}
    new = {key for key, _ in cell.named_parameters()} - plain
    assert new == {f"initial_{part}" for part in cell.state_type._fields}
    assert "learn_initial=True" in repr(cell)


@pytest.mark.parametrize("marks", [torch.zeros(4, dtype=torch.bool), torch.zeros(5), torch.zeros(5, 1).bool()])
def test_marks_that_do_not_fit_are_refused(name: str, marks: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"reset must be bool of shape \[5\], a mark for each step, got torch"):
        CELLS[name].make(3, 5)(ragged([3, 2], 3), reset=marks)


# ----------------------------------------------------------------------------------------------- cells that see h_{t-1}


def by_hand(cell: Recurrent, x: Ragged, state: State, **extras: Tensor | None) -> tuple[Tensor, ...]:
    weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
    start = (*state, None)[:2]
    return ops.recurrent(
        cell.kernel,
        x.values,
        x.offsets,
        *weights,
        *start,
        reverse=cell.reverse,
        extras=ops.RecurrenceModifiers(**extras),
    )


def make(twin: str, **given: Any) -> Recurrent:
    cell = TWINS[twin].make(3, 64, **given)
    assert isinstance(cell, Recurrent)
    return cell


@pytest.mark.parametrize("reverse", [False, True])
def test_recurrent_dropout_is_one_mask_a_sequence(twin: str, reverse: bool) -> None:
    cell, x = make(twin, recurrent_dropout=0.25, reverse=reverse), ragged(LENGTHS, 3)
    state = random_state(cell, len(x))
    plain = make(twin, reverse=reverse)
    plain.load_state_dict(cell.state_dict())
    assert same_bits(cell(x, state), plain(x, state)), "evaluation"
    cell.train()
    torch.manual_seed(1)
    mask = torch.empty(len(x), 64).bernoulli_(0.75).div_(0.75)
    torch.manual_seed(1)
    y, last = cell(x, state)
    expected = by_hand(cell, x, state, drop=mask)
    assert same_bits((y.values, *last), expected[: 1 + len(last)])
    assert not same_bits(cell(x, state)[0], y), "another pass, another mask"
    marks = MARKS["some"](len(x.values))
    torch.manual_seed(1)
    through = cell(x, state, reset=marks)[0]
    mine = [piece for i in range(len(x)) for piece in _with_mask(cell, x[i : i + 1], marks, state, mask, i, x)]
    assert close(through.values, torch.cat(mine), torch.float32)


def _with_mask(
    cell: Recurrent, x: Ragged, marks: Tensor, state: State, mask: Tensor, i: int, whole: Ragged
) -> list[Tensor]:
    """One sequence cut at its marks, each piece under the mask of the sequence."""
    first, last = int(whole.offsets[i]), int(whole.offsets[i + 1])
    cuts = [t - first + int(cell.reverse) for t in range(first, last) if marks[t]]
    offsets = torch.tensor(sorted({0, last - first, *cuts}))
    if last == first:
        return []
    pieces = Ragged(x.values, offsets)
    start = cell.initial_state(len(pieces))
    entry, step = (-1, last - 1) if cell.reverse else (0, first)
    if not marks[step]:
        for part, given in zip(start, state, strict=True):
            part[entry] = given[i]
    return [by_hand(cell, pieces, start, drop=mask[i : i + 1].expand(len(pieces), -1))[0]]


@pytest.mark.parametrize("reverse", [False, True])
def test_zoneout_keeps_units_as_they_were(twin: str, reverse: bool) -> None:
    cell = make(twin, zoneout=0.3, reverse=reverse).train()
    x = ragged(LENGTHS, 3)
    state = random_state(cell, len(x))
    torch.manual_seed(1)
    masks = [torch.full((len(x.values), 64), 0.3).bernoulli() for _ in state]
    assert abs(float(masks[0].mean()) - 0.3) < 0.05
    torch.manual_seed(1)
    y, last = cell(x, state)
    expected = by_hand(cell, x, state, **dict(zip(["keep", "keep_cell"], masks, strict=False)))
    assert same_bits((y.values, *last), expected[: 1 + len(last)])
    for i, rows in enumerate(y):
        kept = masks[0].split(x.lengths.tolist())[i].bool()
        rows, kept = (rows.flip(0), kept.flip(0)) if reverse else (rows, kept)
        before = torch.cat([state[0][i : i + 1], rows])[: len(rows)]
        assert torch.equal(rows[kept], before[kept])


def test_zoneout_of_an_lstm_may_be_a_pair() -> None:
    assert LSTM(3, 4, zoneout=(0.1, 0.4)).zoneout == (0.1, 0.4)
    assert LSTM(3, 4, zoneout=0.2).zoneout == (0.2, 0.2)
    assert GRU(3, 4, zoneout=0.2).zoneout == (0.2,)
    cell, x = LSTM(3, 4, zoneout=(0.0, 0.9)).train(), ragged([50], 3)
    y, _ = cell(x)
    assert len(torch.unique(y.values, dim=0)) == 50, "h is never kept"


@torch.no_grad()
def test_steps_are_taken_as_in_evaluation(twin: str) -> None:
    cell, x = make(twin, zoneout=0.3, recurrent_dropout=0.4), torch.randn(5, 3)
    state = random_state(cell, 5)
    expected = cell.step(x, state)
    assert same_bits(cell.train().step(x, state), expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_decay_of_h_before_every_step(twin: str, reverse: bool) -> None:
    cell, x = make(twin, reverse=reverse), ragged(LENGTHS, 3)
    state, decay = random_state(cell, len(x)), torch.rand(len(x.values), 64, requires_grad=True)
    y, last = cell(x, state, decay=decay)
    expected = by_hand(cell, x, state, decay=decay)
    assert same_bits((y.values, *last), expected[: 1 + len(last)])
    mine, theirs = (torch.autograd.grad(v.square().sum(), decay)[0] for v in (y.values, expected[0]))
    assert same_bits(mine, theirs)
    assert mine.abs().sum() > 0
    gone = cell(x, state, decay=torch.zeros_like(decay), reset=None)[0]
    if twin != "lstm":  # whose cell state is not decayed
        assert same_bits(gone.values, cell(x, reset=MARKS["every"](len(x.values)))[0].values)


@torch.no_grad()
def test_steps_with_decay_equal_forward(twin: str) -> None:
    cell, x = make(twin), ragged([6, 6], 3)
    state, decay = random_state(cell, 2), torch.rand(12, 64)
    whole, last = cell(x, state, decay=decay)
    for t in range(6):
        rows = x.offsets[:-1] + t
        y, state = cell.step(x.values[rows], state, decay=decay[rows])
        assert same_bits(y, whole.values[rows])
    assert same_bits(tuple(state), tuple(last))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoneout": 1.0}, "zoneout must be at least 0 and below 1, got 1.0"),
        ({"zoneout": (0.1, 0.1)}, r"zoneout must be one number, got \(0.1, 0.1\)"),
        ({"recurrent_dropout": -0.1}, "recurrent_dropout must be at least 0 and below 1, got -0.1"),
        ({"recurrent_dropout": "much"}, "recurrent_dropout must be at least 0 and below 1, got 'much'"),
    ],
)
def test_rates_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RNN(3, 4, **options)


# ------------------------------------------------------------------------------------------------------------- stacked


def test_an_encoder_hands_them_on() -> None:
    encoder = Encoder(3, 4, "lstm", layers=2, zoneout=(0.1, 0.2), recurrent_dropout=0.3, learn_initial=True)
    for (cell,) in encoder._cells():
        assert isinstance(cell, LSTM)
        assert (cell.zoneout, cell.recurrent_dropout, cell.learn_initial) == ((0.1, 0.2), 0.3, True)
    x, marks = ragged(LENGTHS, 3), MARKS["every"](sum(LENGTHS))
    whole = encoder.eval()(x, reset=marks)[0]
    alone = Ragged(x.values, torch.arange(len(x.values) + 1))
    assert same_bits(whole.values, encoder(alone)[0].values)


def test_an_encoder_refuses_what_its_cell_lacks() -> None:
    with pytest.raises(OptionError, match="recurrent_dropout and zoneout are for rnn,"):
        Encoder(3, 4, "min_gru", zoneout=0.1)


# ------------------------------------------------------------------------------------------------------- compiled steps


@torch.no_grad()
def test_a_stepper_begins_where_it_was_learnt(twin: str) -> None:
    cell = learnt(twin)
    stepper, state = cell.stepper(sequences=2), cell.initial_state(2)
    for x in torch.randn(3, 2, 3):
        y, state = cell.step(x, state)
        assert same_bits(stepper.step(x), y)


def test_a_stepper_of_a_cell_with_zoneout_is_refused(twin: str) -> None:
    with pytest.raises(OptionError, match=r"a cell with zoneout has no compiled stepper\. Use its step"):
        make(twin, zoneout=0.1).stepper()
