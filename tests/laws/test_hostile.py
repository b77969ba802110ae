"""Calls that nobody should make: each is refused by the argument's name, or right; none crashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from agree import same_bits
from elman import _kernels
from elman.errors import OptionError, ShapeError
from elman.ops import fallback
from elman.ops import functional as ops
from refusals import OFFSETS, REFUSED

OFFSETS_OF_5 = torch.tensor([0, 2, 5])
INF = float("inf")


def layer(**changed: Any) -> tuple[Tensor, Tensor, Tensor]:
    """A call of an LSTM that is right, but for what is changed in it."""
    return ops.recurrent("lstm", **(arguments() | changed))


def arguments() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "x": (5, 3), "weight_ih": (16, 3), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,), "h0": (2, 4),
        "c0": (2, 4),
    }  # fmt: skip
    return {"offsets": OFFSETS_OF_5} | {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


NAMES = list(arguments())
CHANGES: dict[str, Callable[[Tensor], Any]] = {
    "NumPy": lambda t: t.numpy(),
    "a list": lambda t: t.tolist(),
    "sparse": lambda t: t.to_sparse(),
    "on another device": lambda t: t.to("meta"),
    "complex": lambda t: t.to(torch.complex64),
    "half": lambda t: t.to(torch.float16),
    "bytes": lambda t: t.to(torch.int8),
    "a scalar": lambda _: torch.tensor(1.0),
    "one dimension more": lambda t: t[None],
    "nothing": lambda t: t[:0],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_is_wrong_is_refused_by_its_name(change: str, name: str, checkpointing: bool) -> None:
    given = arguments()
    wrong = CHANGES[change](given[name])
    given["weight_hh"].requires_grad_()
    with pytest.raises(ShapeError) as error:
        layer(**(given | {name: wrong}), checkpointing=checkpointing)
    first = str(error.value).split()
    assert name in first or "weight_ih and weight_hh" in str(error.value) or first[0] in ("lstm", "offsets")


@pytest.mark.parametrize("message", OFFSETS)
def test_recomputing_checks_offsets(message: str) -> None:
    weight_hh = torch.zeros(16, 4, requires_grad=True)
    with pytest.raises(ShapeError) as error:
        layer(offsets=OFFSETS[message], weight_hh=weight_hh, checkpointing=True)
    assert str(error.value) == message


@pytest.mark.parametrize("message", REFUSED)
def test_recomputing_checks_the_rest(message: str) -> None:
    given = {"weight_hh": torch.zeros(16, 4)} | REFUSED[message]
    given = {name: part.requires_grad_(part.is_floating_point()) for name, part in given.items()}
    with pytest.raises(ShapeError) as error:
        layer(**{"bias_ih": None, "bias_hh": None, "h0": None, "c0": None} | given, checkpointing=True)
    assert str(error.value) == message.replace("values of shape [5", "values of shape [0")  # which it has checked apart


ONES = torch.ones(5, 4)
BESIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "keep, a scalar": ("keep", {"keep": torch.tensor(1.0)}),
    "keep, a row": ("keep", {"keep": torch.ones(4)}),
    "keep_cell, a scalar": ("keep_cell", {"keep_cell": torch.tensor(1.0)}),
    "keep, of two rows": ("keep", {"keep": ONES[:2]}),
    "keep_cell, of no rows": ("keep_cell", {"keep_cell": ONES[:0]}),
    "decay, too long": ("decay", {"decay": torch.ones(6, 4)}),
    "decay, of one row": ("decay", {"decay": ONES[:1]}),
    "drop, a row for each step": ("drop", {"drop": ONES}),
    "drop, elsewhere": ("drop", {"drop": ONES[:2].to("meta")}),
    "weight_hr, a scalar": ("weight_hr", {"weight_hr": torch.tensor(1.0)}),
    "weight_hr, wide": ("weight_hr", {"weight_hr": torch.ones(9, 4)}),
    "weight_hr, of no units": ("weight_ih", {"weight_hr": torch.ones(4, 0)}),
    "index, a scalar": ("index", {"index": torch.tensor(1)}),
    "index, too short": ("offsets", {"index": torch.tensor([0, 1])}),
    "index, below 0": ("index", {"index": torch.tensor([0, -1, 0, 0, 0])}),
    "index, above": ("index", {"index": torch.tensor([0, 5, 0, 0, 0])}),
    "index, far above": ("index", {"index": torch.tensor([0, 2**62, 0, 0, 0])}),
    "index, int32": ("index", {"index": torch.zeros(5, dtype=torch.int32)}),
    "index, true and false": ("index", {"index": torch.ones(5, dtype=torch.bool)}),
    "index, into nothing": ("index", {"index": torch.zeros(5, dtype=torch.int64), "x": torch.zeros(0, 3)}),
}


@pytest.mark.parametrize("case", BESIDE)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_options_of_a_layer_are_checked(case: str, checkpointing: bool, gradient: bool) -> None:
    name, changed = BESIDE[case]
    extras = {key: part for key, part in changed.items() if key in ops.RecurrenceModifiers._fields}
    rest = {key: part for key, part in changed.items() if key not in extras}
    weight_hh = torch.zeros(16, 4, requires_grad=gradient)
    with pytest.raises(ShapeError, match=name):
        layer(**rest, weight_hh=weight_hh, extras=ops.RecurrenceModifiers(**extras), checkpointing=checkpointing)


LINEAR: dict[str, tuple[str, tuple[Any, ...]]] = {
    "x, NumPy": ("x", (torch.ones(5, 3).numpy(), torch.ones(4, 3))),
    "x, sparse": ("x", (torch.ones(5, 3).to_sparse(), torch.ones(4, 3))),
    "weight, elsewhere": ("weight", (torch.ones(5, 3), torch.ones(4, 3, device="meta"))),
    "weight, sparse": ("weight", (torch.ones(5, 3), torch.ones(4, 3).to_sparse())),
    "weight, complex": ("weight", (torch.ones(5, 3), torch.ones(4, 3) + 0j)),
    "bias, elsewhere": ("bias", (torch.ones(5, 3), torch.ones(4, 3), torch.ones(4, device="meta"))),
    "bias, a column": ("bias", (torch.ones(5, 3), torch.ones(4, 3), torch.ones(4, 1))),
}
POOL: dict[str, tuple[str, tuple[Any, ...]]] = {
    "values, whole numbers": ("values", (torch.ones(5, 3, dtype=torch.int64), OFFSETS_OF_5, torch.zeros(5))),
    "values, sparse": ("values", (torch.ones(5, 3).to_sparse(), OFFSETS_OF_5, torch.zeros(5))),
    "offsets, elsewhere": ("offsets", (torch.ones(5, 3), OFFSETS_OF_5.to("meta"), torch.zeros(5))),
    "offsets, a list": ("offsets", (torch.ones(5, 3), [0, 2, 5], torch.zeros(5))),
    "scores, elsewhere": ("scores", (torch.ones(5, 3), OFFSETS_OF_5, torch.zeros(5, device="meta"))),
    "scores, a column": ("scores", (torch.ones(5, 3), OFFSETS_OF_5, torch.zeros(5, 1))),
    "scores, float64": ("scores", (torch.ones(5, 3), OFFSETS_OF_5, torch.zeros(5, dtype=torch.float64))),
}


@pytest.mark.parametrize("case", LINEAR)
def test_linear_refuses(case: str) -> None:
    with pytest.raises(ShapeError, match=LINEAR[case][0]):
        ops.linear(*LINEAR[case][1])


@pytest.mark.parametrize("case", POOL)
def test_pool_refuses(case: str) -> None:
    with pytest.raises(ShapeError, match=POOL[case][0]):
        ops.pool("attention", *POOL[case][1])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_unknown_kinds_are_refused_on_every_device(device: str) -> None:
    x, weights = torch.zeros(5, 3, device=device), torch.zeros(16, 3, device=device)
    with pytest.raises(OptionError, match="pool must be one of mean, max, attention, got 'median'"):
        ops.pool("median", x, OFFSETS_OF_5)
    with pytest.raises(OptionError, match="cell must be one of rnn_tanh"):
        ops.recurrent("elman", x, OFFSETS_OF_5, weights, weights)


VIEWS: dict[str, dict[str, Tensor]] = {
    "x, one row for all": {"x": torch.randn(1, 3).expand(5, 3)},
    "x, one column for all": {"x": torch.randn(5, 1).expand(5, 3)},
    "x, rows that overlap": {"x": torch.randn(20).as_strided((5, 3), (2, 1))},
    "x, every second row and column": {"x": torch.randn(10, 6)[::2, ::2]},
    "x, far into its memory": {"x": torch.randn(200_000, 3)[150_000:150_005]},
    "x, negated in passing": {"x": torch._neg_view(torch.randn(5, 3))},
    "x, of a conjugate": {"x": torch.randn(5, 3, dtype=torch.complex64).conj().imag},
    "offsets, every second": {"offsets": torch.tensor([0, 9, 2, 9, 5])[::2]},
    "weights, transposed": {"weight_ih": torch.randn(3, 16).t(), "weight_hh": torch.randn(4, 16).t()},
    "bias_ih, one number": {"bias_ih": torch.randn(1).expand(16)},
    "h0, one row": {"h0": torch.randn(1, 4).expand(2, 4)},
    "h0 and c0, one tensor": dict.fromkeys(("h0", "c0"), torch.randn(2, 4)),
}


@pytest.mark.parametrize("case", VIEWS)
def test_views_give_what_their_copies_give(case: str) -> None:
    copies = {name: view.clone(memory_format=torch.contiguous_format) for name, view in VIEWS[case].items()}
    assert same_bits(layer(**VIEWS[case]), layer(**copies))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("cell", ops.GATES)
@pytest.mark.parametrize(("inputs", "hidden", "steps"), [(0, 4, 5), (3, 0, 5), (0, 0, 5), (3, 4, 0), (0, 0, 0)])
def test_sizes_of_zero(cell: str, inputs: int, hidden: int, steps: int, checkpointing: bool) -> None:
    rows = ops.GATES[cell] * hidden
    leaves = [torch.randn(*shape, requires_grad=True) for shape in [(steps, inputs), (rows, inputs), (rows, hidden)]]
    for offsets in ([0, steps], [0, 0, steps], [0] if steps == 0 else [0, steps, steps]):
        y, h, c = ops.recurrent(cell, leaves[0], torch.tensor(offsets), *leaves[1:], checkpointing=checkpointing)
        assert y.shape == (steps, hidden)
        assert h.shape == (len(offsets) - 1, hidden)
        for gradient in torch.autograd.grad(y.sum() + h.sum() + c.sum(), leaves):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("value", [float("nan"), INF, -INF])
@pytest.mark.parametrize("cell", ops.GATES)
def test_a_number_that_is_none_stays_in_its_sequence(cell: str, value: float) -> None:
    """And does not reach the steps before it."""
    rows = ops.GATES[cell] * 40
    x, offsets, weights = torch.randn(40, 3), torch.arange(0, 41, 4), (torch.randn(rows, 3), torch.randn(rows, 40))
    clean, _, _ = ops.recurrent(cell, x, offsets, *weights)
    x[9] = value
    y, _, _ = ops.recurrent(cell, x, offsets, *weights)
    elsewhere_ = torch.arange(40).sub(9).clamp(0, 3) != torch.arange(40).sub(9)  # not steps 9 to 11
    assert same_bits(y[elsewhere_], clean[elsewhere_])
    assert not y[9:12].isfinite().all() or cell == "rnn_tanh"


@pytest.mark.parametrize("run", [ops.pool, fallback.pool])
def test_a_score_of_minus_infinity_has_no_weight(run: Callable[..., Tensor]) -> None:
    """Wherever it stands; a sequence that has no others gets zeros, like one without steps."""
    values = torch.tensor([[1.0], [2.0], [4.0], [8.0], [16.0]], requires_grad=True)
    scores = torch.tensor([-INF, 0.0, -INF, -INF, -INF], requires_grad=True)
    out = run("attention", values, torch.tensor([0, 3, 5, 5]), scores)
    assert out.tolist() == [[2.0], [0.0], [0.0]]
    d_values, d_scores = torch.autograd.grad(out.sum(), [values, scores])
    assert d_values.flatten().tolist() == [0, 1, 0, 0, 0]
    assert d_scores.tolist() == [0, 0, 0, 0, 0]


def test_the_bindings_check_dimensions() -> None:
    """Without elman.ops.library in front of it."""
    x, one, none = torch.zeros(5, 3), torch.tensor(1), torch.zeros(0)
    weights = [torch.zeros(4, 3), torch.zeros(4, 4)]
    rest: list[Any] = [None] * 9
    made = [torch.zeros(5, 4), torch.zeros(2, 4), none, torch.zeros(5, 4), none, None]
    with pytest.raises(ShapeError, match=r"index must have shape \[5\], got \[\]"):
        _kernels.recurrent_forward("rnn_tanh", False, True, x, one, OFFSETS_OF_5, *weights, *rest, 1, *made)
    rest[7] = torch.tensor(1.0)
    with pytest.raises(ShapeError, match=r"keep must have shape \[5, 4\], got \[\]"):
        _kernels.recurrent_forward("rnn_tanh", False, True, x, None, OFFSETS_OF_5, *weights, *rest, 1, *made)
    with pytest.raises(ShapeError, match=r"x must be two-dimensional \[steps, width\], got shape \[\]"):
        _kernels.recurrent_weight_gradient(
            "rnn_tanh", False, torch.tensor(1.0), OFFSETS_OF_5, None, None, None, made[0], made[0], 1, weights[0],
            weights[1], torch.zeros(4), torch.zeros(4),
        )  # fmt: skip
