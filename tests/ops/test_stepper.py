"""A stepper is its cell's `step` without torch: the same bits in float32, and nothing allocated on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from agree import distance, same_bits
from elman.cells import Cell, Recurrent
from elman.errors import OptionError, ShapeError
from elman.layers.encoder import Encoder
from elman.ops import functional as ops
from elman.ops.stepper import Stepper
from table import CELLS, SETS, TWINS, pairwise

# bfloat16 and int8 against float32 over many steps, |a - b| / |b| in norm, weights drawn as a cell draws them: a weight
# loses up to 2^-9 of itself, or 1/254 of the greatest of its row. Measured: at most 0.008 and 0.02 over this table.
ROUNDED = {"bfloat16": 0.02, "int8": 0.04}
# int8 against the same weights in float32: x and h lose up to 1/65534 of their greatest, in each of 30 steps.
AS_QUANTISED = 5e-4

SOURCES = Path(__file__).parents[2] / "csrc"
PROGRAM = Path(__file__).parents[1] / "cpp" / "stepper.cc"


class Case(NamedTuple):
    """One combination that a law is tried on."""

    name: str
    isa: str
    hidden: int
    inputs: int
    sequences: int
    threads: int
    bias: bool

    def __str__(self) -> str:
        bias = "bias" if self.bias else "no_bias"
        return f"{self.name}-{self.isa}-{self.inputs}x{self.hidden}-{self.sequences}seq-{self.threads}t-{bias}"

    def cell(self) -> Recurrent:
        cell = TWINS[self.name].cell(self.inputs, self.hidden, bias=self.bias)
        with torch.no_grad():  # biases that are not zero, so that a lost one shows
            for bias in (cell.bias_ih, cell.bias_hh):
                if bias is not None:
                    bias.uniform_(-0.5, 0.5)
        return cell

    def stepper(self, cell: Cell, weights: str = "float32") -> Stepper:
        return cell.stepper(self.sequences, weights, self.threads)

    def x(self, steps: int) -> Tensor:
        return torch.randn(steps, self.sequences, self.inputs)


CASES = [
    Case(*row)
    for row in pairwise(list(TWINS), SETS, [1, 16, 33, 64, 300], [1, 3, 40], [1, 5, 33], [1, 2, 8], [True, False])
]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Each case, with its instruction set in use."""
    ops.choose_set(request.param.isa)
    yield request.param
    ops.choose_set()


@pytest.fixture(params=TWINS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair() -> tuple[Recurrent, Stepper]:
    """A cell and its stepper of three sequences, some steps on."""
    cell = TWINS["lstm"].cell(4, 6)
    stepper = cell.stepper(3)
    for x in torch.randn(5, 3, 4):
        stepper.step(x)
    return cell, stepper


# ------------------------------------------------------------------------------------------------- one and the other


@torch.no_grad()
def test_steps_have_the_bits_of_the_cell(case: Case) -> None:
    cell, xs = case.cell(), case.x(6)
    stepper, state = case.stepper(cell), cell.initial_state(case.sequences)
    for x in xs:
        y, state = cell.step(x, state)
        assert same_bits(stepper.step(x), y)
        assert same_bits(stepper.state, state)


@torch.no_grad()
def test_bfloat16_has_the_bits_of_rounded_weights(case: Case) -> None:
    cell, xs = case.cell(), case.x(6)
    stepper = case.stepper(cell, "bfloat16")
    for weight in (cell.weight_ih, cell.weight_hh):
        weight.copy_(weight.bfloat16().float())
    state = cell.initial_state(case.sequences)
    for x in xs:
        y, state = cell.step(x, state)
        assert same_bits(stepper.step(x), y)
    assert same_bits(stepper.state, state)


@torch.no_grad()
def test_int8_is_close_to_quantised_weights(case: Case) -> None:
    cell, xs = case.cell(), case.x(30)
    stepper = case.stepper(cell, "int8")
    for weight in (cell.weight_ih, cell.weight_hh):
        scale = weight.abs().amax(1, keepdim=True) / 127
        weight.copy_((weight / scale).round() * scale)
    state = cell.initial_state(case.sequences)
    for x in xs:
        y, state = cell.step(x, state)
        got = stepper.step(x)
    assert distance(got, y) < AS_QUANTISED


@torch.no_grad()
@pytest.mark.parametrize("weights", ROUNDED)
def test_rounded_weights_are_close(case: Case, weights: str) -> None:
    cell, xs = case.cell(), case.x(30)
    exact, rounded = case.stepper(cell), case.stepper(cell, weights)
    found = [(exact.step(x).clone(), rounded.step(x).clone()) for x in xs]
    assert distance(torch.stack([b for _, b in found]), torch.stack([a for a, _ in found])) < ROUNDED[weights]


@torch.no_grad()
@pytest.mark.parametrize("weights", ROUNDED)
def test_rounding_does_not_add_up(name: str, weights: str) -> None:
    """A thousand steps on, a state is no farther off than after thirty."""
    cell, xs = TWINS[name].cell(20, 64), torch.randn(1000, 4, 20)
    exact, rounded = cell.stepper(4), cell.stepper(4, weights)
    for x in xs:
        a, b = exact.step(x), rounded.step(x)
    assert distance(b, a) < ROUNDED[weights]


def test_int8_agrees_between_sets() -> None:
    """Its sums are exact, whatever the width of a vector; the rest differs by rounding alone."""
    cell, x = TWINS["gru"].cell(600, 70), torch.randn(4, 2, 600)  # more inputs than one exact sum takes
    results = []
    for isa in SETS:
        ops.choose_set(isa)
        stepper = cell.stepper(2, "int8")
        results.append([stepper.step(step).clone() for step in x][-1])
    ops.choose_set()
    for result in results:
        assert distance(result, results[0]) < 2e-5


@torch.no_grad()
@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_a_sequence_has_its_own_bits(case: Case, weights: str) -> None:
    cell, xs = case.cell(), case.x(3)
    stepper, alone = case.stepper(cell, weights), cell.stepper(1, weights, 1)
    together = [stepper.step(x)[-1:].clone() for x in xs]
    assert all(same_bits(alone.step(x[-1:].contiguous()), y) for x, y in zip(xs, together, strict=True))


@torch.no_grad()
def test_encoder_steps_have_its_bits(name: str) -> None:
    encoder = Encoder(5, [70, 9, 130], name, dropout=0.5).eval()
    stepper, state = encoder.stepper(3, threads=2), encoder.initial_state(3)
    for x in torch.randn(20, 3, 5):
        y, state = encoder.step(x, state)
        assert same_bits(stepper.step(x), y)
    assert same_bits(stepper.state, state)


@torch.no_grad()
def test_close_steps_with_pauses_between(name: str) -> None:
    """Threads that help come and go; the bits stay."""
    cell = TWINS[name].cell(64, 300)
    one, two = cell.stepper(threads=1), cell.stepper(threads=2)
    xs = torch.randn(600, 1, 64)
    for n, x in enumerate(xs):
        if n % 200 == 199:
            threading.Event().wait(0.002)
        assert same_bits(two.step(x), one.step(x))


# ------------------------------------------------------------------------------------------------------- the state


@torch.no_grad()
def test_state_out_and_in(case: Case) -> None:
    cell, xs = case.cell(), case.x(6)
    first, second = case.stepper(cell), case.stepper(cell)
    for x in xs[:3]:
        first.step(x)
    state = first.state
    second.state = state
    y, after = cell.step(xs[3], state)  # the cell goes on from there as well
    for x in xs[3:]:
        ys = first.step(x), second.step(x)
        assert same_bits(*ys)
        if x is xs[3]:
            assert same_bits(ys[0], y)
    second.state = after
    assert same_bits(second.state, after)


def test_state_is_a_copy(pair: tuple[Recurrent, Stepper]) -> None:
    _, stepper = pair
    state = stepper.state
    kept = type(state)(*[part.clone() for part in state])
    stepper.step(torch.randn(3, 4))
    assert same_bits(state, kept)
    stepper.state = state
    state.hidden.zero_()
    assert same_bits(stepper.state, kept)


def test_state_of_an_encoder_has_its_structure() -> None:
    encoder = Encoder(3, 4, "lstm", layers=2)
    state = encoder.stepper(2).state
    like = encoder.initial_state(2)
    assert [type(one) for (one,) in state] == [type(one) for (one,) in like]
    assert same_bits(state, like)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s[:1], "state must have 2 tensors, got 1"),
        (lambda s: type(s)(s.hidden[:2], s.cell), r"float32 tensors \[3, 6\] here, got torch.float32 \[2, 6\]"),
        (lambda s: type(s)(s.hidden, s.cell.double()), "got torch.float64"),
        (lambda s: (1, 2), "state must have 2 tensors"),
        (lambda s: None, "state must have 2 tensors"),
    ],
)
def test_a_wrong_state_is_refused(pair: tuple[Recurrent, Stepper], spoil: Any, message: str) -> None:
    _, stepper = pair
    before = stepper.state
    with pytest.raises(ShapeError, match=message):
        stepper.state = spoil(before)
    assert same_bits(stepper.state, before)


@torch.no_grad()
def test_reset(case: Case) -> None:
    cell, xs = case.cell(), case.x(4)
    stepper = case.stepper(cell)
    first = [stepper.step(x).clone() for x in xs]
    stepper.reset()
    assert same_bits(stepper.state, cell.initial_state(case.sequences))
    assert all(same_bits(stepper.step(x), y) for x, y in zip(xs, first, strict=True))
    before = stepper.state
    stepper.reset([case.sequences - 1])
    for now, then in zip(stepper.state, before, strict=True):
        assert not now[-1].any()
        assert same_bits(now[:-1], then[:-1])


@torch.no_grad()
def test_select(case: Case) -> None:
    cell, xs = case.cell(), case.x(3)
    stepper = case.stepper(cell)
    for x in xs:
        stepper.step(x)
    state, rows = stepper.state, [case.sequences - 1, 0, case.sequences - 1]
    stepper.select(rows)
    assert stepper.sequences == 3
    chosen = type(state)(*[part[rows] for part in state])
    assert same_bits(stepper.state, chosen)
    x = torch.randn(3, case.inputs)
    assert same_bits(stepper.step(x), cell.step(x, chosen)[0])
    stepper.select([1])
    assert stepper.step(x[:1]).shape == (1, case.hidden)


@torch.no_grad()
def test_some_of_the_sequences(case: Case) -> None:
    """The others stay where they are."""
    cell, stepper = case.cell(), None
    stepper = case.stepper(cell)
    states = [cell.initial_state(1) for _ in range(case.sequences)]
    for _ in range(8):
        rows = torch.randperm(case.sequences)[: torch.randint(1, case.sequences + 1, ())]
        x = torch.randn(len(rows), case.inputs)
        got = stepper.step(x, rows=rows)
        for place, row in enumerate(rows.tolist()):
            y, states[row] = cell.step(x[place : place + 1], states[row])
            assert same_bits(got[place : place + 1], y)
    joined = type(states[0])(*[torch.cat(parts) for parts in zip(*states, strict=True)])
    assert same_bits(stepper.state, joined)


@torch.no_grad()
def test_twins_share_weights_only(pair: tuple[Recurrent, Stepper]) -> None:
    cell, stepper = pair
    before = stepper.state
    twin = stepper.twin(2)
    assert same_bits(twin.state, cell.initial_state(2))
    x = torch.randn(2, 4)
    assert same_bits(twin.step(x), cell.step(x, cell.initial_state(2))[0])
    assert same_bits(stepper.state, before)
    del stepper
    assert twin.step(x).shape == (2, 6)


@torch.no_grad()
def test_weights_are_those_of_when_it_was_made(pair: tuple[Recurrent, Stepper]) -> None:
    cell, stepper = pair
    twin = stepper.twin(3)
    for parameter in cell.parameters():
        parameter.zero_()
    assert twin.step(torch.randn(3, 4)).any()


# ---------------------------------------------------------------------------------------------- what comes in and out


def test_arrays_and_tensors() -> None:
    stepper = TWINS["gru"].cell(3, 5).stepper(2)
    x = torch.randn(2, 3)
    y = stepper.step(x)
    assert isinstance(y, Tensor)
    assert not y.requires_grad
    kept = y.clone()
    stepper.reset()
    z = stepper.step(x.numpy())
    assert isinstance(z, np.ndarray)
    assert same_bits(torch.from_numpy(z), kept)
    assert stepper.step(x) is y, "the same memory at every call"
    assert not same_bits(y, kept)
    frozen = x.numpy().copy()
    frozen.flags.writeable = False
    stepper.step(frozen)
    assert stepper.step(x[:1], rows=[1]).shape == (1, 5)
    assert stepper.step(x.requires_grad_()) is y


@pytest.mark.parametrize("sequences", [1, 2])
def test_numbers_that_are_kept_with_another_sign(sequences: int) -> None:
    """In a step, in some of the sequences, in a state and in the weights."""
    cell = TWINS["lstm"].cell(1, 1)
    one, two = cell.stepper(sequences), cell.stepper(sequences)
    x = torch.rand(sequences, 1)
    lazy = torch.complex(torch.zeros(sequences), -x[:, 0]).conj().imag[:, None]
    assert lazy.is_neg()
    assert torch.equal(lazy, x)
    rows = [sequences - 1]
    for _ in range(2):
        if lazy.is_contiguous():
            assert same_bits(one.step(lazy), two.step(x))
            assert same_bits(one.step(lazy[rows[0] :], rows), two.step(x[rows[0] :], rows))
        state = two.state
        one.state = type(state)(*[torch.complex(torch.zeros_like(part), -part).conj().imag for part in state])
        assert same_bits(one.state, two.state)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 4), r"x must have shape \[2, 3\] \(sequences, inputs\), got \[2, 4\]"),
        (torch.zeros(3), r"got \[3\]"),
        (torch.zeros(2, 3).double(), "x must be float32 on the CPU, got torch.float64 on cpu"),
        (torch.zeros(3, 2).t(), "x must be contiguous"),
        (torch.zeros(2, 3, device="meta"), "on meta"),
        (np.zeros((2, 4), np.float32), r"x must have shape \[2, 3\] \(sequences, inputs\), got \[2, 4\]"),
        (np.zeros(3, np.float32), r"got \[3\]"),
        (np.zeros((2, 3)), "x must be float32, got numbers of format 'd'"),
        (np.zeros((2, 3), ">f4"), "got numbers of format '>f'"),
        (np.zeros((3, 2), np.float32).T, "x must be contiguous"),
        ([[0.0] * 3] * 2, "x must be a NumPy array or a tensor, got list"),
        (None, "got NoneType"),
        ("text", "got str"),
        (b"bytes", "x must be float32"),
    ],
)
def test_wrong_steps_are_refused(x: Any, message: str) -> None:
    stepper = TWINS["lstm"].cell(3, 5).stepper(2)
    stepper.step(torch.randn(2, 3))
    before = stepper.state
    for rows in (None, [0, 1]):
        with pytest.raises(ShapeError, match=message):
            stepper.step(x, rows)
    assert same_bits(stepper.state, before)


@pytest.mark.parametrize("rows", [[0, 0], [3], [-1], [[0]], [0.5], 1, "a", [True, False], [2**40]])
def test_wrong_rows_are_refused(pair: tuple[Recurrent, Stepper], rows: Any) -> None:
    _, stepper = pair
    before = stepper.state
    count = len(rows) if isinstance(rows, list) else 1
    with pytest.raises(ShapeError, match="rows must be"):
        stepper.step(torch.randn(count, 4), rows)
    with pytest.raises(ShapeError, match="rows must be"):
        stepper.reset(rows)
    if rows != [0, 0]:
        with pytest.raises(ShapeError, match="rows"):
            stepper.select(rows)
    assert same_bits(stepper.state, before)
    assert stepper.step(torch.randn(3, 4)).shape == (3, 6)


def test_no_rows(pair: tuple[Recurrent, Stepper]) -> None:
    _, stepper = pair
    before = stepper.state
    assert stepper.step(torch.zeros(0, 4), []).shape == (0, 6)
    stepper.reset([])
    assert same_bits(stepper.state, before)
    with pytest.raises(ShapeError, match="sequences must be at least 1"):
        stepper.select([])


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_wrong_numbers_are_refused(number: Any) -> None:
    cell = TWINS["rnn"].cell(3, 5)
    with pytest.raises(OptionError, match="sequences must be a whole number of at least 1"):
        cell.stepper(number)
    with pytest.raises(OptionError, match="threads must be a whole number of at least 1"):
        cell.stepper(threads=number)


def test_what_cannot_step_is_refused() -> None:
    with pytest.raises(OptionError, match="weights must be one of float32, bfloat16, int8, got 'int4'"):
        TWINS["rnn"].cell(3, 5).stepper(weights="int4")
    with pytest.raises(OptionError, match=r"made from float32 weights on the CPU, got torch.float64 on cpu.*\.float"):
        TWINS["rnn"].cell(3, 5, dtype=torch.float64).stepper()
    with pytest.raises(OptionError, match="on meta"):
        TWINS["rnn"].cell(3, 5, device="meta").stepper()
    with pytest.raises(OptionError, match="reverse=True cannot step"):
        TWINS["rnn"].cell(3, 5, reverse=True).stepper()
    with pytest.raises(OptionError, match="bidirectional encoder cannot step"):
        Encoder(3, 5, bidirectional=True).stepper()


@pytest.mark.parametrize("name", sorted(CELLS.keys() - TWINS.keys()))
def test_a_cell_without_a_stepper_says_so(name: str) -> None:
    with pytest.raises(OptionError, match=r"has no compiled stepper\. Use its step, which has the same results"):
        CELLS[name].cell(3, 5).stepper()
    with pytest.raises(OptionError, match="has no compiled stepper"):
        Encoder(3, 5, name).stepper()


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_stays_in_its_sequence(weights: str, value: float) -> None:
    """A NaN comes out, as it does of the cell, and no other sequence sees it."""
    cell = TWINS["rnn_relu"].cell(3, 20)
    clean, stepper = cell.stepper(3, weights), cell.stepper(3, weights)
    x = torch.randn(3, 3)
    x[1, 2] = value
    got, expected = stepper.step(x), clean.step(x.nan_to_num(0.0, 0.0))
    assert not got[1].isfinite().all()
    assert same_bits(got[::2], expected[::2])


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_weights_that_are_no_numbers_come_out(weights: str) -> None:
    cell = TWINS["rnn_relu"].cell(3, 20)
    with torch.no_grad():
        cell.weight_ih[4, 1] = float("nan")
        cell.weight_hh[5].zero_()
    y = cell.stepper(weights=weights).step(torch.randn(1, 3))
    assert y[0, 4].isnan()
    assert y[0].isnan().sum() == 1


def test_memory_of_weights() -> None:
    cell = TWINS["lstm"].cell(128, 256)
    sizes = [cell.stepper(weights=w)._kernel.weight_bytes for w in ("float32", "bfloat16", "int8")]
    exact = 4 * 256 * (128 + 256) * 4
    for size, share in zip(sizes, (1, 2, 4), strict=True):
        assert exact / share <= size < 1.04 * exact / share
    assert repr(cell.stepper(2, "int8")) == "Stepper(128, 256, sequences=2, weights='int8', 0.41 MB)"


# -------------------------------------------------------------------------------------------------- memory and threads


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_steps_keep_no_memory(weights: str) -> None:
    """From Python; the program below counts what the compiled part asks for."""
    stepper = TWINS["lstm"].cell(16, 64).stepper(2, weights)
    x, rows = torch.randn(2, 16), np.array([1])
    array = x.numpy()

    def some() -> None:
        for _ in range(1000):
            stepper.step(x)
            stepper.step(array)
            stepper.step(x[:1], rows)

    some()
    tracemalloc.start()
    some()
    before = tracemalloc.get_traced_memory()[0]
    some()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 1024, "three thousand steps leave nothing behind"


def test_the_compiled_part_by_itself(tmp_path: Path) -> None:
    """tests/cpp/stepper.cc counts what a step asks of memory; alone and with help, after fork, in many threads."""
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        pytest.skip("NOT TESTED: there is no C++ compiler here")
    flags = ["-O1", "-std=c++17", "-ffp-contract=off", "-DELMAN_SET=generic", "-pthread", "-Wl,--wrap=posix_memalign"]
    sources = [SOURCES / name for name in ("step.cc", "stepper.cc", "helper_threads.cc", "cores.cc")]
    build = [compiler, *flags, *map(str, sources), str(PROGRAM), "-o", str(tmp_path / "stepper")]
    made = subprocess.run(build, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    run = subprocess.run([tmp_path / "stepper"], capture_output=True, text=True, check=False, timeout=300)
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr


def walked(stepper: Stepper, xs: Tensor) -> Tensor:
    return torch.stack([stepper.step(x).clone() for x in xs])


def test_many_steppers_in_many_threads(name: str) -> None:
    cell, xs = TWINS[name].cell(32, 200), torch.randn(300, 2, 32)
    expected = walked(cell.stepper(2, threads=1), xs)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: walked(cell.stepper(2, threads=1 + n % 3), xs), range(6)))
    assert all(same_bits(ys, expected) for ys in found)


def test_one_stepper_in_many_threads() -> None:
    """Steps of several callers follow each other, long ones too, which let Python go on meanwhile."""
    cell = TWINS["gru"].cell(8, 8)
    wide = TWINS["rnn"].cell(512, 1024)
    for stepper, width in ((cell.stepper(50), 8), (wide.stepper(50), 512)):
        xs = torch.randn(40, 50, width)

        def work(n: int, stepper: Stepper = stepper, xs: Tensor = xs) -> None:
            for t, x in enumerate(xs):
                stepper.step(x)
                if t % 10 == n:
                    stepper.reset([n])
                    assert stepper.state[0].isfinite().all()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert stepper.state[0].isfinite().all()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_steps_after_fork() -> None:
    stepper = TWINS["lstm"].cell(32, 200).stepper(threads=2)
    xs = torch.randn(200, 1, 32).numpy()  # torch's own threads do not survive a fork

    def walk() -> bytes:
        return [stepper.step(x).tobytes() for x in xs][-1]

    expected = walk()  # the threads that help exist now
    stepper.reset()
    child = os.fork()
    if child == 0:
        os._exit(0 if walk() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stepper.reset()
    assert walk() == expected


def test_steps_on_one_core() -> None:
    """More threads than cores: nobody waits for a thread that cannot run."""
    before = os.sched_getaffinity(0)
    cell, xs = TWINS["lstm"].cell(32, 200), torch.randn(300, 1, 32)
    expected = walked(cell.stepper(threads=2), xs)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert same_bits(walked(cell.stepper(threads=8), xs), expected)
    finally:
        os.sched_setaffinity(0, before)
