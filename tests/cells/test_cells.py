"""The laws that every cell keeps: a row in tests/table.py brings them all."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from agree import TOLERANCE, close, distance, same_bits
from elman.cells import LRU, Cell, MinGRU, State
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import DTYPES, HIDDEN, SETS, TWINS, VARIANTS, pairwise, ragged

#: More sequences than lanes for one thread, empty ones first, in between and last, and ties.
LENGTHS = [0, 7, 1, 23, 4, 1, 0, 12, 9, 3, 5, 5, 2, 17, 1, 6, 8, 10, 0]


class Case(NamedTuple):
    """One combination that a law is tried on."""

    name: str
    isa: str
    dtype: torch.dtype
    reverse: bool
    hidden: int
    inputs: int
    bias: bool

    def __str__(self) -> str:
        way = "backward" if self.reverse else "forward"
        bias = "bias" if self.bias else "no_bias"
        return f"{self.name}-{self.isa}-{str(self.dtype)[6:]}-{way}-{self.inputs}x{self.hidden}-{bias}"

    def cell(self, *, reverse: bool | None = None) -> Cell:
        cell = VARIANTS[self.name].make(
            self.inputs,
            self.hidden,
            bias=self.bias,
            dtype=self.dtype,
            reverse=self.reverse if reverse is None else reverse,
        )
        with torch.no_grad():  # biases that are not zero, so that a lost one shows
            for key, parameter in cell.named_parameters():
                if key.startswith("bias"):
                    parameter.uniform_(-0.5, 0.5)
        return cell

    def x(self, lengths: list[int] = LENGTHS) -> Ragged:
        return ragged(lengths, self.inputs, self.dtype)


def widened(case: Case) -> Case:
    """With steps of a width that the cell can read."""
    return case._replace(inputs=case.inputs * VARIANTS[case.name].blocks)


CASES = [
    widened(Case(*row))
    for row in pairwise(list(VARIANTS), SETS, DTYPES, [False, True], HIDDEN, [1, 5, 40], [True, False])
]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Each case, with its instruction set in use; on one thread, but for the law that is about threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    ops.choose_set(request.param.isa)
    yield request.param
    ops.choose_set()
    torch.set_num_threads(before)


@pytest.fixture(params=SETS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    ops.choose_set(request.param)
    yield request.param
    ops.choose_set()


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=VARIANTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def random_state(cell: Cell, sequences: int) -> State:
    return cell.state_type(*[0.5 * torch.randn_like(part) for part in cell.initial_state(sequences)])


def take(state: State, sequences: Any) -> State:
    return type(state)(*[part[sequences] for part in state])


def by_reference(cell: Cell, name: str, x: Ragged, state: State) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The reference, one sequence at a time; a reversed cell reads its sequences backwards."""
    weights = {key: p.detach() for key, p in cell.named_parameters()}
    takes = inspect.signature(VARIANTS[name].reference).parameters
    weights = {key: torch.tensor(0.0) for key in takes if key.startswith("bias")} | weights
    ys, lasts = [], []
    for i, sequence in enumerate(x.values.detach().split(x.lengths.tolist())):
        rows = sequence.flip(0) if cell.reverse else sequence
        start = {key: part[i].detach() for key, part in state._asdict().items()}
        y, *last = map(torch.from_numpy, VARIANTS[name].reference(x=rows, **weights, **start))
        ys.append(y.flip(0) if cell.reverse else y)
        lasts.append(last)
    return ys, lasts


# ------------------------------------------------------------------------------------------------- one and whole


@torch.no_grad()
def test_steps_equal_forward(case: Case) -> None:
    cell, x = case.cell(reverse=False), case.x()
    state = random_state(cell, len(x))
    whole, last = cell(x, state)
    for t in range(int(x.lengths.max())):
        here = torch.nonzero(x.lengths > t)[:, 0]
        rows = x.offsets[:-1][here] + t
        y, after = cell.step(x.values[rows], take(state, here))
        assert same_bits(y, whole.values[rows])
        state = type(state)(*[part.index_copy(0, here, new) for part, new in zip(state, after, strict=True)])
    assert same_bits(state, last)


@torch.no_grad()
def test_two_halves_equal_the_whole(case: Case) -> None:
    cell, x = case.cell(), case.x()
    state = random_state(cell, len(x))
    whole, last = cell(x, state)
    cuts = x.lengths // 2
    firsts = Ragged.of([s[:cut] for s, cut in zip(x, cuts, strict=True)], width=case.inputs)
    seconds = Ragged.of([s[cut:] for s, cut in zip(x, cuts, strict=True)], width=case.inputs)
    halves: dict[str, Ragged] = {}
    for key, half in (
        [("second", seconds), ("first", firsts)] if case.reverse else [("first", firsts), ("second", seconds)]
    ):
        halves[key], state = cell(half, state)
    joined = [torch.cat([a, b]) for a, b in zip(halves["first"], halves["second"], strict=True)]
    assert same_bits(torch.cat(joined), whole.values)
    assert same_bits(state, last)


@torch.no_grad()
def test_alone_equals_any_batch_and_any_number_of_threads(case: Case, threads: None) -> None:
    cell, x = case.cell(), case.x()
    state = random_state(cell, len(x))
    whole, last = cell(x, state)
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert same_bits(cell(x, state), (whole, last))
    torch.set_num_threads(1)
    for i in range(len(x)):
        y, after = cell(x[i : i + 1], take(state, [i]))
        assert same_bits(y.values, whole[i])
        assert same_bits(after, take(last, [i]))


@torch.no_grad()
def test_order_does_not_matter(case: Case) -> None:
    cell, x = case.cell(), case.x()
    state, order = random_state(cell, len(x)), torch.randperm(len(x))
    whole, last = cell(x, state)
    assert same_bits(cell(x[order], take(state, order)), (whole[order], take(last, order)))


def test_with_and_without_gradient_are_the_same_bits(case: Case) -> None:
    cell, x = case.cell(), case.x()
    y, last = cell(x)
    assert y.values.requires_grad
    with torch.no_grad():
        assert same_bits(cell(x), (y, last))


@torch.no_grad()
def test_no_state_is_zeros(case: Case) -> None:
    cell, x = case.cell(), case.x()
    assert same_bits(cell(x), cell(x, cell.initial_state(len(x))))


def test_a_reversed_cell_refuses_to_step(name: str) -> None:
    cell = VARIANTS[name].make(3, 4, reverse=True)
    with pytest.raises(OptionError, match="reverse=True cannot step: it starts at the last step, which is yet to come"):
        cell.step(torch.zeros(2, 3), cell.initial_state(2))


# ------------------------------------------------------------------------------------------------------- the truth


@torch.no_grad()
def test_equals_the_reference(case: Case) -> None:
    cell, x = case.cell(), case.x()
    state = random_state(cell, len(x))
    whole, last = cell(x, state)
    ys, lasts = by_reference(cell, case.name, x, state)
    tolerance = TOLERANCE[case.dtype] * VARIANTS[case.name].slack
    assert distance(whole.values, torch.cat(ys)) <= tolerance
    for part, theirs in zip(last, zip(*lasts, strict=True), strict=True):
        assert distance(part, torch.stack(theirs)) <= tolerance


@pytest.mark.parametrize("case", [case for case in CASES if case.name in TWINS], ids=str, indirect=True)
def test_equals_torch(case: Case) -> None:
    """Values and every gradient, through `from_torch`. The twin is bidirectional: one of its halves is the cell's."""
    twin = TWINS[case.name].torch(case.inputs, case.hidden, bias=case.bias, bidirectional=True, dtype=case.dtype)
    cell = TWINS[case.name].cell.from_torch(twin, reverse=case.reverse)
    x = case.x([length for length in LENGTHS if length])
    x.values.requires_grad_()
    state = take(random_state(cell, len(x)), slice(None))
    for part in state:
        part.requires_grad_()
    weight, weights = torch.randn_like(x.values[:, :1]), [torch.randn_like(part) for part in state]

    def gradients(y: Tensor, last: Any, parameters: list[Tensor]) -> list[Tensor]:
        loss = (y * weight).sum() + sum((w * part).sum() for w, part in zip(weights, last, strict=True))
        return list(torch.autograd.grad(loss, [x.values, *state, *parameters]))

    mine, last = cell(x, state)
    way, end = int(case.reverse), "_l0_reverse" if case.reverse else "_l0"
    start = tuple(torch.stack([part, part]) for part in state)
    packed, theirs_last = twin(x.to_packed(), start if len(start) == 2 else start[0])
    theirs = Ragged.from_packed(packed).values.chunk(2, dim=1)[way]
    lasts = [part[way] for part in (theirs_last if len(start) == 2 else (theirs_last,))]
    assert close(mine.values, theirs, case.dtype)
    names = [key for key, _ in cell.named_parameters()]
    ours = gradients(mine.values, last, [getattr(cell, key) for key in names])
    torchs = gradients(theirs, lasts, [getattr(twin, key + end) for key in names])
    size = torch.cat([b.flatten() for b in torchs]).norm()  # one gradient alone may be a sum that happens to cancel
    for key, a, b in zip(["x", *state._fields, *names], ours, torchs, strict=True):
        assert (a - b).norm() <= TOLERANCE[case.dtype] * size, key
    for a, b in zip(last, lasts, strict=True):
        assert close(a, b, case.dtype)


@pytest.mark.parametrize("name", TWINS)
def test_from_torch_takes_cells_and_refuses_others(name: str) -> None:
    kind = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}.get(name)
    if kind:
        twin = kind(3, 4)
        cell = TWINS[name].cell.from_torch(twin)
        x, state = torch.randn(2, 3), random_state(cell, 2)
        expected = twin(x, tuple(state) if name == "lstm" else state[0])
        assert close(cell.step(x, state)[0], expected[0] if name == "lstm" else expected, torch.float32)
    for other in (twin.torch(3, 4) for key, twin in TWINS.items() if key != name):  # tanh is not relu either
        with pytest.raises(
            ShapeError, match=r"has no layer 0 that .* can take. Give it the torch.nn module of the same kind"
        ):
            TWINS[name].cell.from_torch(other)
    with pytest.raises(ShapeError, match="has no layer 1"):
        TWINS[name].cell.from_torch(TWINS[name].torch(3, 4), layer=1)


@pytest.mark.parametrize("name", TWINS)
def test_from_torch_wants_one_of_several_layers_and_directions_named(name: str) -> None:
    make, twin = TWINS[name].cell.from_torch, TWINS[name].torch(3, 4, num_layers=2, bidirectional=True)
    with pytest.raises(
        OptionError, match=r"has 2 layers \(layer=0 to 1\) and two directions \(reverse=False or True\)"
    ):
        make(twin)
    with pytest.raises(OptionError, match="has 2 layers"):
        make(twin, reverse=False)
    with pytest.raises(OptionError, match=r"copy, or copy all of them with elman.Encoder.from_torch\.$"):
        make(twin, layer=1)
    assert torch.equal(make(twin, layer=1, reverse=True).weight_hh, twin.weight_hh_l1_reverse)
    assert make(twin, layer=1, reverse=True, checkpointing=True).checkpointing


# ------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize(("isa", "reverse", "bias"), pairwise(SETS, [False, True], [True, False]), indirect=["isa"])
def test_gradients_equal_finite_differences(name: str, isa: str, reverse: bool, bias: bool) -> None:
    lengths, hidden = [3, 0, 1, 2], 3
    inputs = 2 * VARIANTS[name].blocks
    cell = Case(name, isa, torch.float64, reverse, hidden, inputs, bias).cell()
    x, names = ragged(lengths, inputs, torch.float64), [key for key, _ in cell.named_parameters()]
    parts = len(cell.state_type._fields)

    def run(values: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, rest[parts:], strict=True))
        y, last = torch.func.functional_call(cell, given, (x.with_values(values), cell.state_type(*rest[:parts])))
        return y.values, *last

    given = [x.values, *random_state(cell, len(lengths)), *[p.detach() for p in cell.parameters()]]
    if name == "rnn_relu":  # away from the corner of max(0, .), where there is no derivative
        given[0] = given[0] + 0.1
    many = sum(p.numel() for p in given) > 300  # every number moved by itself would take half a minute
    assert torch.autograd.gradcheck(run, [p.clone().requires_grad_() for p in given], fast_mode=many)


def test_gradient_of_x_equals_finite_differences_of_the_reference(name: str, isa: str) -> None:
    """Against other code than the one that made the values, so that both being wrong together would show."""
    cell = Case(name, isa, torch.float64, False, 5, 3, True).cell()
    x = ragged([4, 0, 6], 3, torch.float64)
    state, weight = random_state(cell, 3), torch.randn(10, 5, dtype=torch.float64)
    x.values.requires_grad_()
    (cell(x, state)[0].values * weight).sum().backward()
    direction, tiny = torch.randn_like(x.values), 1e-6

    def moved(by: float) -> Tensor:
        ys, _ = by_reference(cell, name, x.with_values(x.values.detach() + by * direction), state)
        return (torch.cat(ys) * weight).sum()

    expected = (moved(tiny) - moved(-tiny)) / (2 * tiny)
    assert torch.allclose((x.values.grad * direction).sum(), expected, rtol=1e-7, atol=1e-8)  # tiny^2, and rounding


def test_backward_twice_gives_the_same_gradient(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 17), ragged(LENGTHS, 3)
    loss = cell(x)[0].values.square().sum()
    first = torch.autograd.grad(loss, list(cell.parameters()), retain_graph=True)
    assert same_bits(first, torch.autograd.grad(loss, list(cell.parameters())))


def test_gradients_repeat_bit_for_bit(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 33), ragged(LENGTHS, 3)

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(cell(x)[0].values.square().sum(), list(cell.parameters()))

    first = gradients()
    assert all(same_bits(gradients(), first) for _ in range(5))


def test_every_subset_of_inputs_may_want_a_gradient(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 4, dtype=torch.float64), ragged([3, 0, 2], 3, torch.float64)
    state = random_state(cell, 3)
    leaves = [x.values, *state, *cell.parameters()]

    def loss() -> Tensor:
        y, last = cell(x, state)
        return y.values.square().sum() + sum(part.sum() for part in last)

    for leaf in leaves:
        leaf.requires_grad_()
    whole = torch.autograd.grad(loss(), leaves)
    for wanted, expected in zip(leaves, whole, strict=True):
        for leaf in leaves:
            leaf.requires_grad_(leaf is wanted)
        assert close(torch.autograd.grad(loss(), [wanted])[0], expected, torch.float64)


def test_a_loss_may_use_one_result_only(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 4, dtype=torch.float64), ragged([3, 0, 2], 3, torch.float64)

    def gradient(*scales: float) -> Tensor:
        y, last = cell(x)
        results = (y.values, *last)
        used = [scale * result.sum() for scale, result in zip(scales, results, strict=False) if scale]
        return torch.autograd.grad(sum(used[1:], used[0]), cell.weight_ih)[0]

    parts = 1 + len(cell.state_type._fields)
    each = [gradient(*[float(i == j) for j in range(parts)]) for i in range(parts)]
    assert close(sum(each), gradient(*[1.0] * parts), torch.float64)


def test_strided_and_expanded_gradients(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 4, dtype=torch.float64), ragged([3, 0, 2], 3, torch.float64)
    dense = torch.randn(5, 4, dtype=torch.float64)
    for gradient in (dense.t().contiguous().t(), torch.cat([dense, dense], 1)[:, :4], dense[:1, :1].expand(5, 4)):
        expected = torch.autograd.grad(cell(x)[0].values, cell.weight_ih, gradient.contiguous())
        assert same_bits(torch.autograd.grad(cell(x)[0].values, cell.weight_ih, gradient), expected)


def test_a_second_derivative_is_right_or_refused(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 4, dtype=torch.float64), ragged([3, 2], 3, torch.float64)

    def first(values: Tensor) -> Tensor:
        loss = cell(x.with_values(values))[0].values.square().sum()
        return torch.autograd.grad(loss, values, create_graph=True)[0]

    leaf = x.values.requires_grad_()
    if name in TWINS:
        assert torch.autograd.gradcheck(first, leaf)
    else:
        with pytest.raises((RuntimeError, OptionError), match=r"once_differentiable|create_graph=True"):
            first(leaf).sum().backward()


# ------------------------------------------------------------------------------------------------ odd shapes of memory


def layouts(dense: Tensor) -> dict[str, Tensor]:
    """The same numbers, laid out in other ways."""
    twice = torch.stack([dense, dense], dim=1).flatten(0, 1)
    if dense.dim() != 2:
        return {"every second number": twice[::2]}
    wide = torch.cat([dense, torch.full_like(dense, torch.nan)], dim=1)
    return {
        "columns first": dense.t().contiguous().t(),
        "rows apart": wide[:, : dense.shape[1]],
        "every second row": twice[::2],
    }


def test_any_layout_of_memory_gives_the_same_bits(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 4), ragged([3, 0, 2], 3)
    state = random_state(cell, 3)
    x.values.requires_grad_()

    def run(values: Tensor, first: Tensor, **weights: Tensor) -> tuple[Tensor, ...]:
        made = torch.func.functional_call(cell, weights, (x.with_values(values), (first, *state[1:])))
        return made[0].values, *torch.autograd.grad(made[0].values.square().sum(), x.values)

    expected = run(x.values, state[0])
    for layout, values in layouts(x.values).items():
        assert same_bits(run(values, state[0]), expected), f"x, {layout}"
    for layout, first in layouts(state[0]).items():
        assert same_bits(run(x.values, first), expected), f"{state._fields[0]}, {layout}"
    for key, weight in cell.named_parameters():
        for layout, laid in layouts(weight).items():
            assert same_bits(run(x.values, state[0], **{key: laid}), expected), f"{key}, {layout}"


def test_expanded_inputs(name: str) -> None:
    cell = VARIANTS[name].make(3, 4)
    row, hidden = torch.randn(1, 3), torch.randn(1, 4)
    offsets = torch.tensor([0, 3, 5])
    state = cell.state_type(*[hidden.expand(2, 4)] * len(cell.state_type._fields))
    expanded = cell(Ragged(row.expand(5, 3), offsets), state)
    state = cell.state_type(*[hidden.repeat(2, 1)] * len(cell.state_type._fields))
    assert same_bits(expanded, cell(Ragged(row.repeat(5, 1), offsets), state))
    one = torch.randn(5, 1).expand(5, 3)
    assert same_bits(cell(Ragged(one, offsets)), cell(Ragged(one.contiguous(), offsets)))


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]], ids=str)
def test_nothing_at_all(name: str, isa: str, lengths: list[int]) -> None:
    """No sequence, or no step in any: forward and backward."""
    case = Case(name, isa, torch.float32, len(lengths) > 1, 17, 3, True)
    cell, x = case.cell(), case.x(lengths)
    x.values.requires_grad_()
    state = random_state(cell, len(lengths))
    for part in state:
        part.requires_grad_()
    y, last = cell(x, state)
    assert y.values.shape == (0, case.hidden)
    assert same_bits(last, state)
    assert same_bits(cell(x)[1], cell.initial_state(len(lengths)))
    (y.values.sum() + sum(part.sum() for part in last)).backward()
    assert all(bool((part.grad == 1).all()) for part in state)
    assert all(bool((p.grad == 0).all()) for p in cell.parameters())
    assert x.values.grad.shape == x.values.shape


@torch.no_grad()
def test_stepping_no_sequences(name: str) -> None:
    cell = VARIANTS[name].make(3, 4)
    y, state = cell.step(torch.zeros(0, 3), cell.initial_state(0))
    assert y.shape == (0, 4)
    assert all(part.shape == (0, 4) for part in state)


# ------------------------------------------------------------------------------------------------------- odd numbers


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
def test_an_odd_number_stays_within_its_sequence(case: Case, odd: float) -> None:
    cell, x = case.cell(), case.x()
    y, last = cell(x)
    spoilt = x.values.clone()
    spoilt[int(x.offsets[3]) + 5] = odd
    z, after = cell(x.with_values(spoilt))
    for i in range(len(x)):
        if i != 3:
            assert same_bits(z[i], y[i])
            assert same_bits(take(after, i), take(last, i))
    before, hit = (slice(6, None), 5) if case.reverse else (slice(0, 5), 5)
    assert same_bits(z[3][before], y[3][before])
    if odd is torch.nan:
        later = z[3][: hit + 1] if case.reverse else z[3][hit:]
        assert bool(later.isnan().all())


@torch.no_grad()
def test_saturated_gates_are_exact(name: str, isa: str) -> None:
    """tanh never passes 1, and numbers of any size go in."""
    width = VARIANTS[name].blocks
    cell = VARIANTS[name].make(width, 17)
    for size in (9.0, 1e3, 1e30, torch.inf):
        y, _ = cell(Ragged(torch.full((4, width), size), torch.tensor([0, 4])))
        assert not VARIANTS[name].bounded or bool((y.values.abs() <= 1).all())


@torch.no_grad()
def test_denormals_are_flushed_inside_and_the_caller_keeps_them(isa: str) -> None:
    tiny = torch.full((3, 1), 1e-20)
    weight, zero = torch.full((1, 1), 1e-20), torch.zeros(1, 1)
    assert float(tiny[0] * weight) != 0.0, "the caller has denormals"
    y, _, _ = ops.recurrent("rnn_relu", tiny, torch.tensor([0, 3]), weight, zero)
    assert y.tolist() == [[0.0]] * 3, "1e-40 is denormal and was flushed"
    assert float(tiny[0] * weight) != 0.0, "and the caller still has them"
    assert bool((tiny.numpy() * weight.numpy() != 0).all())


def test_denormals_after_many_threads_and_backward(isa: str, threads: None) -> None:
    torch.set_num_threads(3)
    cell, x = VARIANTS["lstm"].make(5, 64), ragged(LENGTHS * 3, 5)
    cell(x)[0].values.sum().backward()
    tiny = torch.full((200_000,), 1e-20)  # enough for every thread
    assert bool((tiny * 1e-20 != 0).all())


# ------------------------------------------------------------------------------------------------------ a good module


def test_copies_and_state_dicts(name: str) -> None:
    cell, x = VARIANTS[name].make(3, 4), ragged([3, 0, 2], 3)
    expected = cell(x)
    assert same_bits(copy.deepcopy(cell)(x), expected)
    other = VARIANTS[name].make(3, 4)
    other.load_state_dict(cell.state_dict())
    assert same_bits(other(x), expected)
    assert set(cell.state_dict()) == {key for key, _ in cell.named_parameters()}
    if name in TWINS:
        assert set(cell.state_dict()) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    assert cell.double()(x.to(torch.float64))[0].values.dtype == torch.float64


@pytest.mark.parametrize("name", TWINS)
def test_initial_parameters(name: str) -> None:
    cell = TWINS[name].cell(9, 8)
    for gate in cell.weight_hh.detach().split(8):
        assert torch.allclose(gate @ gate.t(), torch.eye(8), atol=1e-5)
    assert cell.bias_ih is not None
    bias = torch.zeros(len(cell.bias_ih))
    if name == "lstm":
        bias[8:16] = 1.0
    assert same_bits(cell.bias_ih, bias)
    assert same_bits(cell.bias_hh, torch.zeros_like(bias))


@pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
@torch.no_grad()
def test_memories_are_spread_at_first(name: str) -> None:
    """What is left of a state of 1 after a step of zeros is 1 - 1 / memory."""
    cell = VARIANTS[name].make(3, 1000, max_timescale=50)
    kept = cell.step(torch.zeros(1, 3), cell.state_type(torch.ones(1, 1000)))[0][0]
    memory = 1 / (1 - kept)
    assert 2 * 0.999 <= memory.min() < 2.2
    assert 45 < memory.max() <= 50 * 1.001
    share = (memory < 1 + 49**0.5).float().mean()  # log(memory - 1) is even between 0 and log 49
    assert 0.45 < share < 0.55


@torch.no_grad()
def test_memories_of_gates_that_see_the_state_are_spread_too() -> None:
    """The bias of the gate that keeps is log(memory - 1); an LSTM writes as seldom as it forgets."""
    for name, rows in (("lstm", slice(1000, 2000)), ("gru", slice(1000, 2000))):
        cell = VARIANTS[name].make(3, 1000, max_timescale=50)
        memory = 1 + cell.bias_ih[rows].exp()
        assert 2 * 0.999 <= memory.min() < 2.2
        assert 45 < memory.max() <= 50 * 1.001
        if name == "lstm":
            assert same_bits(cell.bias_ih[:1000], -cell.bias_ih[rows])
    cell = LRU(3, 1000, max_timescale=50)
    memory = 1 / cell.nu_log.exp()
    assert 2 * 0.999 <= memory.min() < 2.2
    assert 45 < memory.max() <= 50 * 1.001
    assert bool((cell.theta_log.exp() * memory < 2 * torch.pi * 1.001).all())
    for kind, options in ((VARIANTS["rnn"].cell, {}), (VARIANTS["gru"].cell, {"bias": False})):
        with pytest.raises(OptionError, match="max_timescale = 50 is for cells whose gates have biases"):
            kind(3, 4, max_timescale=50, **options)
    with pytest.raises(OptionError, match="max_timescale must be a number of steps of at least 2, got 1"):
        VARIANTS["lstm"].cell(3, 4, max_timescale=1)


@torch.no_grad()
def test_an_lru_starts_on_its_ring_and_keeps_the_size_of_h() -> None:
    cell = LRU(3, 1000, r_min=0.6, r_max=0.9, max_phase=0.5, activation="none", dtype=torch.float64)
    one = torch.ones(1, 1000, dtype=torch.float64)
    real, imaginary = cell.step(torch.zeros(1, 3, dtype=torch.float64), cell.state_type(one, 0 * one))[1]
    modulus, phase = torch.hypot(real, imaginary), torch.atan2(imaginary, real)
    assert 0.6 <= modulus.min() < 0.61
    assert 0.89 < modulus.max() <= 0.9
    assert 0 < phase.min() < 0.01
    assert 0.49 < phase.max() <= 0.5
    share = (modulus.square() < (0.6**2 + 0.9**2) / 2).double().mean()  # even in area
    assert 0.45 < share < 0.55
    _, last = cell(ragged([40] * 200, 3, torch.float64))
    assert 0.8 < float((last.real.square() + last.imaginary.square()).mean()) < 1.2


def test_the_same_seed_draws_the_same_parameters(name: str) -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        drawn.append(tuple(VARIANTS[name].make(3, 4).parameters()))
    assert same_bits(*drawn)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_parameters_of_half_types_are_drawn(name: str, dtype: torch.dtype) -> None:
    cell = VARIANTS[name].make(3, 4, dtype=dtype)
    assert all(p.dtype == dtype and bool(p.isfinite().all()) for p in cell.parameters())


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (MinGRU, {"candidate": "relu"}, "candidate must be one of linear, tanh, positive, got 'relu'."),
        (MinGRU, {"max_timescale": 1}, "max_timescale must be a number of steps of at least 2, got 1."),
        (MinGRU, {"max_timescale": torch.inf}, "max_timescale must be a number of steps of at least 2, got inf."),
        (LRU, {"activation": "gelu"}, "activation must be one of relu, none, got 'gelu'."),
        (LRU, {"units": 0}, "units must be a whole number of at least 1, got 0."),
        (LRU, {"r_min": 0.9, "r_max": 0.9}, "r_min and r_max must have 0 <= r_min < r_max <= 1, got 0.9 and 0.9."),
        (LRU, {"r_max": 1.1}, "r_min and r_max must have 0 <= r_min < r_max <= 1, got 0.0 and 1.1."),
        (LRU, {"max_phase": 7.0}, "max_phase must be above 0 and at most 2 pi, got 7.0."),
    ],
)
def test_options_that_cannot_be(cell: type[Cell], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as error:
        cell(3, 4, **options)
    assert str(error.value) == message


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_sizes_that_cannot_be(name: str, size: Any) -> None:
    with pytest.raises(OptionError, match=rf"inputs must be a whole number of at least 1, got {size}\."):
        VARIANTS[name].make(size, 4)
    with pytest.raises(OptionError, match=rf"hidden must be a whole number of at least 1, got {size}\."):
        VARIANTS[name].make(3, size)


def test_wrong_width(name: str) -> None:
    kind = VARIANTS[name].cell
    message = rf"{kind.__name__} expects inputs of width 3, got values of shape \[5, 4\]. Build it with inputs=4"
    with pytest.raises(ShapeError, match=message):
        kind(3, 4)(ragged([5], 4))
    with pytest.raises(ShapeError, match=r"expects inputs of width 3, got values of shape \[5, 4\]"):
        kind(3, 4).step(torch.zeros(5, 4), kind(3, 4).initial_state(5))
    with pytest.raises(ShapeError, match=r"expects inputs of width 3, got values of shape \[5\]"):
        kind(3, 4)(Ragged(torch.zeros(5), torch.tensor([0, 5])))


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
def test_wrong_dtype(name: str, dtype: torch.dtype) -> None:
    with pytest.raises(
        ShapeError, match=rf"x must be float32(, float64 or bfloat16| or float64), got {str(dtype)[6:]}"
    ):
        VARIANTS[name].make(3, 4)(Ragged(torch.zeros(5, 3, dtype=dtype), torch.tensor([0, 5])))


def test_mixed_dtypes(name: str) -> None:
    message = (
        r"weight(_ih)? must be float64 as x is, got float32. Convert one of them: no type is converted in silence."
    )
    with pytest.raises(ShapeError, match=message):
        VARIANTS[name].make(3, 4)(ragged([5], 3, torch.float64))
    cell = VARIANTS[name].make(3, 4)
    with pytest.raises(ShapeError, match="h0 must be float32 as x is, got float64"):
        cell(ragged([5], 3), VARIANTS[name].make(3, 4, dtype=torch.float64).initial_state(1))


def test_a_state_for_another_number_of_sequences(name: str) -> None:
    cell = VARIANTS[name].make(3, 4)
    with pytest.raises(ShapeError, match=r"h0 must have shape \[2, 4\], got \[3, 4\]"):
        cell(ragged([5, 1], 3), cell.initial_state(3))


# -------------------------------------------------------------------------------------------------------------- fuzz


@settings(max_examples=40)
@given(
    name=st.sampled_from(list(VARIANTS)),
    isa=st.sampled_from(SETS),
    dtype=st.sampled_from(DTYPES),
    reverse=st.booleans(),
    lengths=st.lists(st.integers(0, 12), max_size=30),
    inputs=st.integers(1, 70),
    hidden=st.integers(1, 70),
    bias=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_fuzz_against_the_reference(
    name: str,
    isa: str,
    dtype: torch.dtype,
    reverse: bool,
    lengths: list[int],
    inputs: int,
    hidden: int,
    bias: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    made = widened(Case(name, isa, dtype, reverse, hidden, inputs, bias))
    cell, x = made.cell(), made.x(lengths)
    state = random_state(cell, len(x))
    ops.choose_set(isa)
    try:
        y, last = cell(x, state)
    finally:
        ops.choose_set()
    ys, lasts = by_reference(cell, name, x, state)
    assert y.values.shape == (sum(lengths), hidden)
    assert close(y.values, torch.cat([torch.zeros(0, hidden, dtype=torch.float64), *ys]), dtype)
    for part, theirs in zip(last, zip(*lasts, strict=True), strict=False):
        assert close(part, torch.stack(theirs), dtype)


def test_packed_sequences_come_in_through_ragged(name: str) -> None:
    """The recipe of docs/ragged.md on a cell: packed in, packed out, in torch's own order."""
    cell = VARIANTS[name].make(3, 4)
    packed = ragged([2, 5, 1], 3).to_packed()
    y, _ = cell(Ragged.from_packed(packed))
    again = y.to_packed(like=packed)
    assert isinstance(again, PackedSequence)
    assert torch.equal(again.batch_sizes, packed.batch_sizes)
