"""The kernels behind the cells: what they refuse, whose bits they keep, and how torch sees them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from agree import close, same_bits
from elman.errors import OptionError, ShapeError
from elman.layers.encoder import Encoder
from elman.layers.pooling import Pool
from elman.ops import fallback
from elman.ops import functional as ops
from elman.ragged import Ragged
from refusals import CONVERT, OFFSETS, REFUSED, SILENCE
from table import CELLS, DTYPES, HIDDEN, SETS, TWINS, VARIANTS, pairwise, ragged


@pytest.fixture(params=SETS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    ops.choose_set(request.param)
    yield request.param
    ops.choose_set()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def lstm(**changed: Any) -> tuple[Tensor, Tensor, Tensor]:
    """A call that is right, but for what is changed in it."""
    arguments = {
        "x": torch.zeros(5, 3),
        "offsets": torch.tensor([0, 2, 5]),
        "weight_ih": torch.zeros(16, 3),
        "weight_hh": torch.zeros(16, 4),
    }
    return ops.recurrent("lstm", **(arguments | changed))


# ----------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("message", OFFSETS)
def test_each_rule_of_offsets(message: str) -> None:
    with pytest.raises(ShapeError) as error:
        lstm(offsets=OFFSETS[message])
    assert str(error.value) == message


@pytest.mark.parametrize("message", OFFSETS)
def test_each_rule_of_offsets_for_pools(message: str) -> None:
    with pytest.raises(ShapeError) as error:
        ops.pool("mean", torch.zeros(5, 3), OFFSETS[message])
    assert str(error.value) == message


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused(message: str) -> None:
    with pytest.raises(ShapeError) as error:
        lstm(**REFUSED[message])
    assert str(error.value) == message


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match="cell must be one of rnn_tanh, rnn_relu, lstm, gru, got 'rnn'"):
        ops.recurrent("rnn", torch.zeros(5, 3), torch.tensor([0, 5]), torch.zeros(4, 3), torch.zeros(4, 4))
    with pytest.raises(OptionError, match="pool must be one of mean, max, attention, got 'median'"):
        ops.pool("median", torch.zeros(5, 3), torch.tensor([0, 5]))


def test_linear_and_pool_refuse_what_does_not_fit() -> None:
    offsets = torch.tensor([0, 5])
    with pytest.raises(
        ShapeError, match=r"linear expects x \[rows, 4\] for a weight of shape \[2, 4\], got x of shape \[5, 3\]"
    ):
        ops.linear(torch.zeros(5, 3), torch.zeros(2, 4))
    with pytest.raises(ShapeError, match="weight must be float64 as x is, got float32"):
        ops.linear(torch.zeros(5, 3, dtype=torch.float64), torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"values must be two-dimensional \[steps, width\], got shape \[5\]"):
        ops.pool("mean", torch.zeros(5), offsets)
    with pytest.raises(ShapeError, match="scores are needed for attention"):
        ops.pool("attention", torch.zeros(5, 3), offsets)
    with pytest.raises(ShapeError, match=r"scores must have shape \[5\], got \[4\]"):
        ops.pool("attention", torch.zeros(5, 3), offsets, torch.zeros(4))


# --------------------------------------------------------------------------------------------------------------- linear

LINEAR = pairwise(SETS, DTYPES, HIDDEN, [1, 2, 17, 70], [True, False])


@pytest.mark.parametrize(("isa", "dtype", "outputs", "inputs", "bias"), LINEAR, ids=str, indirect=["isa"])
def test_linear(isa: str, dtype: torch.dtype, outputs: int, inputs: int, bias: bool, threads: None) -> None:
    """As torch within rounding, values and gradients; and a row alone has the bits it has among others."""
    x, weight = torch.randn(301, inputs, dtype=dtype), torch.randn(outputs, inputs, dtype=dtype)
    leaves = [x, weight, torch.randn(outputs, dtype=dtype)] if bias else [x, weight]
    for leaf in leaves:
        leaf.requires_grad_()
    out, theirs = ops.linear(*leaves), torch.nn.functional.linear(*leaves)
    assert close(out, theirs, dtype)
    gradient = torch.randn_like(out)
    for a, b in zip(
        torch.autograd.grad(out, leaves, gradient), torch.autograd.grad(theirs, leaves, gradient), strict=True
    ):
        assert close(a, b, dtype)
    with torch.no_grad():
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            assert same_bits(ops.linear(*leaves), out)
        for row in (0, 1, 5, 95, 96, 300):
            assert same_bits(ops.linear(x[row : row + 1], *leaves[1:]), out[row : row + 1])


def test_linear_of_no_rows() -> None:
    weight = torch.randn(2, 3, requires_grad=True)
    out = ops.linear(torch.zeros(0, 3), weight)
    out.sum().backward()
    assert out.shape == (0, 2)
    assert weight.grad.tolist() == [[0.0] * 3] * 2


def test_linear_gradients_equal_finite_differences(isa: str) -> None:
    leaves = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in [(4, 3), (2, 3), (2,)]]
    assert torch.autograd.gradcheck(ops.linear, leaves)


# ----------------------------------------------------------------------------------------------------------------- scan


def scan_operands(
    name: str, lengths: list[int], dtype: torch.dtype, hidden: int = 4
) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """gates, decay, h0 and j0, as `ops.scan` takes them."""
    gates = torch.randn(sum(lengths), ops.SCANS[name] * hidden, dtype=dtype)
    h0, j0 = torch.randn(2, len(lengths), hidden, dtype=dtype)
    if name != "lru":
        return gates, None, h0, None
    decay = torch.polar(torch.rand(hidden, dtype=torch.float64), 6 * torch.rand(hidden, dtype=torch.float64))
    return gates, torch.cat([decay.real, decay.imag]).to(dtype), h0, j0


@pytest.mark.parametrize("name", ops.SCANS)
@pytest.mark.parametrize("lengths", [[900], [500, 3], [40] * 30], ids=str)
@pytest.mark.parametrize("hidden", [70, 128])
def test_a_scan_has_the_same_bits_on_any_number_of_threads(
    isa: str, threads: None, name: str, lengths: list[int], hidden: int
) -> None:
    """Few sequences are split by units, the gradients of all weights included."""
    cell, x = CELLS[name].make(5, hidden), ragged(lengths, 5)
    results = []
    for count in (1, 2, 3, 8):
        torch.set_num_threads(count)
        y, last = cell(x)
        loss = y.values.square().sum() + sum(part.sum() for part in last)
        results.append((y.values, *last, *torch.autograd.grad(loss, list(cell.parameters()))))
    assert all(same_bits(result, results[0]) for result in results[1:])


REFUSED_SCANS: dict[str, dict[str, Any]] = {
    "gates must be two-dimensional [steps, width], got shape [5].": {"gates": torch.zeros(5)},
    "gates must have 2 columns for each unit, got shape [5, 7]": {"gates": torch.zeros(5, 7)},
    "gates must have 2 columns for each unit, got shape [5, 0]": {"gates": torch.zeros(5, 0)},
    f"gates must be float32 or float64, got float16{CONVERT}": {"gates": torch.zeros(5, 8, dtype=torch.float16)},
    "offsets must end at the number of steps, but offsets[-1] = 4 and values have 5 rows": {
        "offsets": torch.tensor([0, 2, 4])
    },
    "decay is needed for lru and was not given": {"decay": None},
    "decay must have shape [8], got [4]": {"decay": torch.zeros(4)},
    "h0 must have shape [2, 4], got [3, 4]": {"h0": torch.zeros(3, 4)},
    "j0 must have shape [2, 4], got [2, 5]": {"j0": torch.zeros(2, 5)},
    f"j0 must be float32 as x is, got float64. {SILENCE}": {"j0": torch.zeros(2, 4, dtype=torch.float64)},
}


@pytest.mark.parametrize("message", REFUSED_SCANS)
def test_a_scan_refuses_what_does_not_fit(message: str) -> None:
    arguments = {"gates": torch.zeros(5, 8), "offsets": torch.tensor([0, 2, 5]), "decay": torch.zeros(8)}
    with pytest.raises(ShapeError) as error:
        ops.scan("lru", **(arguments | REFUSED_SCANS[message]))
    assert str(error.value) == message


def test_a_scan_refuses_unknown_names() -> None:
    gates, offsets = torch.zeros(5, 6), torch.tensor([0, 5])
    with pytest.raises(OptionError, match="cell must be one of min_gru, min_lstm, lru, got 'gru'"):
        ops.scan("gru", gates, offsets)
    with pytest.raises(OptionError, match="candidate must be one of linear, tanh, positive, got 'relu'"):
        ops.scan("min_gru", gates, offsets, candidate="relu")


OFFSET, ONE = torch.tensor([0, 1]), torch.ones(1, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [60.0, 1e4, torch.inf])
def test_gates_that_are_shut_share_out_as_they_should(isa: str, dtype: torch.dtype, size: float) -> None:
    """f = i = 0 to the last bit is no 0 / 0: equal gates share equally, one 3 below the other gets e^-3 of its part."""
    for f, i, keep in [(-size, -size, 0.5), (size, -size, 1.0), (-size, size, 0.0), (size, size, 0.5)]:
        y, _, _ = ops.scan("min_lstm", torch.tensor([[f, i, 0.0]], dtype=dtype), OFFSET, h0=ONE.to(dtype))
        assert abs(float(y) - keep) < 1e-6
    y, _, _ = ops.scan("min_lstm", torch.tensor([[-63.0, -60.0, 0.0]], dtype=dtype), OFFSET, h0=ONE.to(dtype))
    assert abs(float(y) * (1 + torch.e**3) - 1) < 1e-5


def test_a_nearly_shut_gate_keeps_its_precision(isa: str) -> None:
    """A unit that renews a millionth of itself a step must not round that away."""
    a = torch.full((1, 2), -14.0)
    a[0, 1] = 1.0
    y, _, _ = ops.scan("min_gru", a, OFFSET)
    assert abs(float(y) / float(torch.sigmoid(torch.tensor(-14.0, dtype=torch.float64))) - 1) < 3e-7


# ------------------------------------------------------------------------------------------ many callers at once


@torch.no_grad()
def test_many_threads_of_python_get_the_same_bits(isa: str) -> None:
    encoder, pool = Encoder(5, 33, "gru", bidirectional=True), Pool("attention", 66)
    batches = [ragged([i, 0, 30, 7, 1, 2 * i], 5) for i in range(8)]
    expected = [pool(encoder(x)[0]) for x in batches]
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda x: pool(encoder(x)[0]), batches * 20))
    assert all(same_bits(a, b) for a, b in zip(found, expected * 20, strict=True))


def test_many_threads_of_python_may_train() -> None:
    x = ragged([20, 0, 5, 1], 5)

    def gradient(_: int) -> Tensor:
        cell = TWINS["lstm"].cell.from_torch(twin)
        return torch.autograd.grad(cell(x)[0].values.square().sum(), cell.weight_hh)[0]

    twin = torch.nn.LSTM(5, 33)
    expected = gradient(0)
    with ThreadPoolExecutor(6) as executor:
        found = list(executor.map(gradient, range(60)))
    # torch may divide its products over steps among another number of threads here
    assert all(close(a, expected, torch.float32) for a in found)


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns wherever threads exist
def test_workers_of_a_data_loader(start: str) -> None:
    """The parent has run the kernels on several threads before its workers begin."""
    cell = TWINS["lstm"].cell(3, 33).requires_grad_(False)
    batches = [ragged([9, 0, 30, 4], 3) for _ in range(3)]
    expected = [cell(x) for x in batches]
    loader: Any = torch.utils.data.DataLoader(
        batches,  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=cell,
        num_workers=1,
        multiprocessing_context=start,
        timeout=60,
    )
    assert all(same_bits(found, right) for found, right in zip(loader, expected, strict=True))


# ------------------------------------------------------------------------------------------ as torch sees them


def operands(name: str, *, save: bool = True) -> tuple[Any, ...]:
    cell = TWINS[name].cell(3, 4)
    weights = [p.detach() for p in cell.parameters()]
    state = [torch.randn(3, 4), torch.randn(3, 4) if name == "lstm" else None]
    x, offsets, none = torch.randn(5, 3), torch.tensor([0, 2, 2, 5]), [None] * 4
    return (cell.kernel, False, save, x, None, offsets, *weights, None, *state, *none)


CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("save", [True, False])
def test_operator_recurrent_forward_is_what_it_says(name: str, save: bool) -> None:
    arguments = operands(name, save=save)
    torch.library.opcheck(torch.ops.elman.recurrent_forward.default, arguments, test_utils=CHECKS[:3])


@pytest.mark.parametrize("name", TWINS)
def test_operator_recurrent_backward_is_what_it_says(name: str) -> None:
    cell, reverse, save, x, _, offsets, _, weight_hh, _, _, _, h0, c0, *none = arguments = operands(name)
    assert save
    y, _, c_last, saved, cells = torch.ops.elman.recurrent_forward(*arguments)
    d_last = [torch.randn(3, 4), torch.randn(3, 4) if len(c_last) else None]
    back = (cell, reverse, offsets, weight_hh, None, h0, c0, *none, y, cells, saved, torch.randn(5, 4), *d_last)
    torch.library.opcheck(torch.ops.elman.recurrent_backward.default, back, test_utils=CHECKS[:3])
    gradient = (cell, reverse, x, offsets, h0, None, None, y, saved)
    torch.library.opcheck(torch.ops.elman.recurrent_weight_gradient.default, gradient, test_utils=CHECKS[:3])


def test_operators_linear_and_pool_are_what_they_say() -> None:
    x, offsets = torch.randn(5, 3), torch.tensor([0, 2, 2, 5])
    torch.library.opcheck(torch.ops.elman.linear.default, (x, torch.randn(2, 3), torch.randn(2)), test_utils=CHECKS)
    index = torch.tensor([1, 0, 1, 1, 0])
    torch.library.opcheck(torch.ops.elman.collect.default, (x, index, 2), test_utils=CHECKS)
    for kind in ("mean", "max", "attention"):
        scores = torch.randn(5) if kind == "attention" else None
        torch.library.opcheck(torch.ops.elman.pool_forward.default, (kind, x, offsets, scores, None), test_utils=CHECKS)
        out, state = torch.ops.elman.pool_forward(kind, x, offsets, scores, None)
        back = (kind, x, offsets, scores, state, out, torch.randn(3, 3))
        torch.library.opcheck(torch.ops.elman.pool_backward.default, back, test_utils=CHECKS)


@pytest.mark.parametrize("name", ops.SCANS)
def test_operators_scan_and_scan_back_are_what_they_say(name: str) -> None:
    gates, decay, h0, j0 = scan_operands(name, [2, 0, 3], torch.float32)
    arguments = (name, "tanh", False, gates, torch.tensor([0, 2, 2, 5]), decay, h0, j0)
    torch.library.opcheck(torch.ops.elman.scan_forward.default, arguments, test_utils=CHECKS)
    y, h, j = torch.ops.elman.scan_forward(*arguments)
    back = (*arguments, y, torch.randn_like(y), torch.randn_like(h), None if j0 is None else torch.randn_like(j))
    torch.library.opcheck(torch.ops.elman.scan_backward.default, back, test_utils=CHECKS)


class Model(torch.nn.Module):
    """A small model over given offsets, as torch.compile meets one."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.cell = CELLS[name].make(3, 4)
        self.pool = Pool("mean+max", 4)

    def forward(self, x: Ragged) -> Tensor:
        return self.pool(self.cell(x)[0])


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", ["lstm", "gru", "min_gru", "lru"])
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own doing
def test_compile_sees_one_graph(name: str, backend: str) -> None:
    model, x = Model(name), ragged([3, 0, 2], 3)
    parameters = list(model.parameters())
    expected = model(x)
    gradients = torch.autograd.grad(expected.square().sum(), parameters)
    try:
        compiled = torch.compile(model, fullgraph=True, backend=backend)
    except RuntimeError as error:  # no torch.compile for this Python
        pytest.skip(f"NOT TESTED: torch.compile is unavailable here ({error})")
    found = compiled(x)
    assert same_bits(found, expected)
    for a, b in zip(torch.autograd.grad(found.square().sum(), parameters), gradients, strict=True):
        assert close(a, b, torch.float32)


# ------------------------------------------------------------------------------------------------ the path to a GPU

# Indices and bookkeeping of the path that other devices take, run here on CPU tensors; tests/test_cuda.py has a device.


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[3, 0, 5, 1, 0], [0, 0], [], [4]], ids=str)
def test_the_path_of_other_devices_agrees(name: str, reverse: bool, lengths: list[int]) -> None:
    cell, x = TWINS[name].cell(3, 4, dtype=torch.float64), ragged(lengths, 3, torch.float64)
    leaves = [
        x.values,
        torch.randn(len(lengths), 4, dtype=torch.float64),
        torch.randn(len(lengths), 4, dtype=torch.float64),
    ]
    for leaf in leaves:
        leaf.requires_grad_()
    wanted = [*(leaves if name == "lstm" else leaves[:2]), *cell.parameters()]

    def run(path: Any) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        c0 = leaves[2] if name == "lstm" else None
        weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        projection = (None,) if path is fallback.recurrent else ()
        results = list(path(cell.kernel, x.values, x.offsets, *weights, *projection, leaves[1], c0, reverse))
        loss = sum((result * result).sum() for result in results)
        return results, torch.autograd.grad(loss, wanted)

    for mine, theirs in zip(run(fallback.recurrent), run(ops.recurrent), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert close(a, b, torch.float64)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith(tuple(ops.SCANS))])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[3, 0, 5, 1, 0], [0, 0], [], [4], [9, 33]], ids=str)
@pytest.mark.parametrize("started", [False, True])
def test_the_scan_of_other_devices_agrees(name: str, reverse: bool, lengths: list[int], started: bool) -> None:
    cell, candidate = name.removesuffix("_none"), VARIANTS[name].options.get("candidate", "linear")
    cell = cell.removesuffix(f"_{candidate}")
    x = ragged(lengths, 1)
    operands = scan_operands(cell, lengths, torch.float64)
    gates, decay, h0, j0 = operands if started else (*operands[:2], None, None)
    wanted = [part.requires_grad_() for part in (gates, decay, h0, j0) if part is not None]

    def run(path: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        results = path(cell, gates, x.offsets, decay, h0, j0, reverse, candidate)
        return results, torch.autograd.grad(sum((result * result).sum() for result in results), wanted)

    for mine, theirs in zip(run(fallback.scan), run(ops.scan), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert close(a, b, torch.float64)


def norm_operands(steps: int, hidden: int, bias: bool) -> list[Tensor | None]:
    """What `ops.layer_norm_lstm` takes beside offsets and states, all wanting a gradient."""
    shapes = [
        (steps, 4 * hidden),
        (4 * hidden, hidden),
        (4 * hidden,),
        (4 * hidden,),
        (4 * hidden,),
        (hidden,),
        (hidden,),
    ]
    made: list[Tensor | None] = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    return [None if i in (4, 6) and not bias else one for i, one in enumerate(made)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[3, 0, 5, 1, 0], [0, 0], [], [4], [9, 33]], ids=str)
@pytest.mark.parametrize("plain", [False, True])
def test_the_normalised_lstm_of_other_devices_agrees(reverse: bool, lengths: list[int], plain: bool) -> None:
    """`plain`: neither biases nor a given state."""
    x, hidden = ragged(lengths, 1), 4
    gates, *weights = norm_operands(len(x.values), hidden, not plain)
    states = None if plain else torch.randn(2, len(lengths), hidden, dtype=torch.float64)
    h0, c0 = (None, None) if states is None else (states[0].requires_grad_(), states[1].requires_grad_())
    wanted = [t for t in (gates, *weights, h0, c0) if t is not None]

    def run(path: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        results = path(gates, x.offsets, *weights, h0, c0, reverse)
        return results, torch.autograd.grad(
            sum((result * result).sum() for result in results), wanted, allow_unused=True, materialize_grads=True
        )

    (mine, d_mine), (theirs, d_theirs) = run(ops.layer_norm_lstm), run(fallback.layer_norm_lstm)
    for a, b in zip((*mine, *d_mine), (*theirs, *d_theirs), strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-11)


def test_a_normalised_lstm_has_the_same_bits_on_any_number_of_threads(isa: str, threads: None) -> None:
    """The gradients of all weights included."""
    cell, results = CELLS["ln_lstm"].make(5, 70), []
    x = ragged([40, 3, 0, *[25] * 30], 5)
    for count in (1, 2, 3, 8):
        torch.set_num_threads(count)
        y, last = cell(x)
        results.append((y.values, *last, *torch.autograd.grad(y.values.square().sum(), list(cell.parameters()))))
    assert all(same_bits(result, results[0]) for result in results)


@pytest.mark.parametrize(
    ("place", "given", "message"),
    [
        (0, torch.randn(5, 9), r"gates must have shape \[5, 8\], got \[5, 9\]"),
        (1, torch.randn(7, 2), r"weight_hh must have shape \[8, 2\], got \[7, 2\]"),
        (2, torch.randn(7), r"gain_ih must have shape \[8\], got \[7\]"),
        (5, torch.randn(2).double(), "gain_cell must be float32 as x is, got float64"),
        (0, torch.randn(5, 8).half(), r"gates must be float32 or float64, got float16"),
    ],
)
def test_a_normalised_lstm_refuses_what_does_not_fit(place: int, given: Tensor, message: str) -> None:
    operands = [None if one is None else one.detach().float() for one in norm_operands(5, 2, True)]
    operands[place] = given
    gates, *rest = operands
    with pytest.raises(ShapeError, match=message):
        ops.layer_norm_lstm(gates, torch.tensor([0, 5]), *rest)


@pytest.mark.parametrize("kind", ["mean", "max", "attention"])
def test_the_pools_of_other_devices_agree(kind: str) -> None:
    x = ragged([3, 0, 5, 1, 0], 4, torch.float64)
    leaves = [x.values, torch.randn(9, dtype=torch.float64)]
    for leaf in leaves:
        leaf.requires_grad_()
    scores = leaves[1] if kind == "attention" else None
    wanted = leaves if kind == "attention" else leaves[:1]
    found = []
    for path in (fallback.pool, ops.pool):
        out = path(kind, x.values, x.offsets, scores)
        found.append((out, *torch.autograd.grad(out.square().sum(), wanted)))
    for a, b in zip(*found, strict=True):
        assert close(a, b, torch.float64)


@pytest.mark.parametrize("steps", [0, 1, 257, 600])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 65), (40, 130)])
@pytest.mark.parametrize("threads", [1, 3])
def test_outer_is_the_product_over_all_steps(steps: int, rows: int, columns: int, threads: int) -> None:
    a, b = torch.randn(steps, rows, dtype=torch.float64), torch.randn(steps, columns + 5, dtype=torch.float64)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        out = torch.ops.elman.outer(a, b[:, :columns])  # rows of b lie apart
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(out, a.t() @ b[:, :columns], rtol=0, atol=1e-12 * max(1, steps))


def test_outer_adds_steps_in_their_order_whatever_the_threads() -> None:
    a, b = torch.randn(1000, 57), torch.randn(1000, 200)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(torch.ops.elman.outer(a, b))
    torch.set_num_threads(before)
    assert all(torch.equal(results[0], other) for other in results[1:])
