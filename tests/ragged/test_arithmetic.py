"""Arithmetic on a Ragged, and `map`: step by step, with literal cases and what is refused."""

import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from elman.errors import DataError, ShapeError
from elman.ragged import Ragged
from elman.ragged.indexed import Indexed

OFFSETS = torch.tensor([0, 2, 2, 5])
VALUES = torch.arange(1.0, 11.0, dtype=torch.float64).reshape(5, 2)
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]


def numbers() -> Ragged:
    return Ragged(VALUES, OFFSETS)


@pytest.mark.parametrize("function", OPERATORS)
@pytest.mark.parametrize(
    ("other", "beside"),
    [
        (3, 3),
        (2.5, 2.5),
        (np.float32(2.5), 2.5),
        (np.float64(2.5), 2.5),
        (torch.tensor(2.5), torch.tensor(2.5)),
        (torch.tensor([2.0, 4.0]), torch.tensor([2.0, 4.0])),
        (torch.tensor([4.0]), 4.0),
        (torch.tensor([[2.0, 4.0]]), torch.tensor([2.0, 4.0])),
        (np.array([2.0, 4.0]), torch.tensor([2.0, 4.0])),
        (Ragged(VALUES * 3, OFFSETS.clone()), VALUES * 3),
        (Ragged(VALUES[:, :1] * 3, OFFSETS), VALUES[:, :1] * 3),
        (Ragged(VALUES[:, 0], OFFSETS), VALUES[:, :1]),
    ],
    ids=str,
)
def test_every_operator_from_both_sides(function: Callable[[Any, Any], Any], other: Any, beside: Any) -> None:
    for made, expected in [
        (function(numbers(), other), function(VALUES, beside)),
        (function(other, numbers()), function(beside, VALUES)),
    ]:
        assert type(made) is Ragged
        assert made.offsets.tolist() == OFFSETS.tolist()
        assert made.values.dtype == torch.float64
        assert torch.equal(made.values, expected)


def test_by_hand() -> None:
    x = Ragged.of([[1, 2], [], [3]])
    assert [part.tolist() for part in 10 - x] == [[9, 8], [], [7]]
    assert [part.tolist() for part in -x] == [[-1, -2], [], [-3]]
    assert (x / 2).values.dtype == torch.float32  # types promote as in torch
    wide = Ragged(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1, 2])) * torch.tensor([1.0, 10.0, 100.0])
    assert wide.values.tolist() == [[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]]


def test_nothing_is_written_into() -> None:
    x = before = numbers()
    kept = x.values.clone()
    x += 1
    assert x is not before
    assert torch.equal(before.values, kept)


def test_an_empty_batch() -> None:
    x = Ragged.of([[], []], width=3)
    assert (x + 1).values.shape == (0, 3)
    assert (x * torch.ones(3) + x).values.shape == (0, 3)
    assert x.map(torch.nn.Linear(3, 5)).width == 5


def test_of_rows_of_a_table() -> None:
    x = Indexed(torch.tensor([[1.0], [2.0]]), Ragged.of([[1, 0], [1]]))
    assert type(x + 1) is Ragged
    assert (x + x).values[:, 0].tolist() == [4.0, 2.0, 4.0]


@pytest.mark.parametrize("function", [*OPERATORS, lambda a, b: a.map(torch.tanh) * b, lambda a, b: -a * b])
def test_gradients_pass(function: Callable[[Any, Any], Any]) -> None:
    def both(a: Tensor, b: Tensor) -> Any:
        return function(Ragged(a, OFFSETS), Ragged(b, OFFSETS)).values

    assert torch.autograd.gradcheck(both, (VALUES.clone().requires_grad_(), (VALUES[:, 0] + 1).requires_grad_()))


BOTH = "Arithmetic on two Raggeds goes step by step: both need the same lengths."
REFUSED = {
    f"sequence 0 has 2 steps on the left and 3 on the right. {BOTH}": Ragged(VALUES, torch.tensor([0, 3, 3, 5])),
    f"there are 3 sequences on the left and 2 on the right. {BOTH}": Ragged(VALUES, torch.tensor([0, 2, 5])),
    "steps of shape [2] on the left and [3] on the right do not fit together. Both need the same width, or one of them "
    "width 1.": Ragged(torch.ones(5, 3), OFFSETS),
}
REFUSED |= {
    f"a tensor of shape {list(shape)} does not broadcast to a step of shape [2]. For a row per step use "
    "x.with_values(x.values + tensor), for a row per sequence tensor[x.segments] there.": torch.ones(*shape)
    for shape in [(5, 2), (3,), (3, 2), (5, 1), (1, 5, 2), (1, 1, 2)]
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("function", OPERATORS)
def test_what_does_not_fit_is_refused(function: Callable[[Any, Any], Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        function(numbers(), REFUSED[message])
    assert str(caught.value) == message


def test_bare_numbers_take_no_vector() -> None:
    """A vector of as many numbers as there are steps would be right by chance."""
    with pytest.raises(ShapeError, match=r"^a tensor of shape \[3\] does not broadcast to a step of shape \[\]\."):
        Ragged.of([[1, 2], [3]]) + torch.ones(3)


@pytest.mark.parametrize("other", ["a", None, [1.0, 2.0]])
def test_other_things_are_no_operands(other: Any) -> None:
    with pytest.raises(TypeError, match=r"unsupported operand"):
        numbers() + other
    with pytest.raises(TypeError):
        other * numbers()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.sum, "got a tensor of shape []. For one value a sequence, use it on each of x.to_list()."),
        (lambda v: v[:3], "got a tensor of shape [3, 2]. For one value a sequence, use it on each of x.to_list()."),
        (Tensor.tolist, "got list. For one value a sequence, use it on each of x.to_list()."),
    ],
)
def test_map_refuses(function: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        numbers().map(function)
    assert str(caught.value) == f"the function of map must return one value for each of the 5 steps, {message}"


def test_float_and_to() -> None:
    assert numbers().float().values.dtype == torch.float32
    assert numbers().to("meta", torch.float16).values.dtype == torch.float16
    assert numbers().to("meta").values.device.type == "meta"


def test_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `values` alone: offsets stay where they are. No GPU is needed to see that it is asked for."""
    pinned = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    x = numbers()
    assert x.pin_memory().offsets is x.offsets
    assert len(pinned) == 1
    assert pinned[0] is x.values


def test_the_thread_that_pins_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.data._utils import pin_memory

    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor + 1)
    x, label = pin_memory.pin_memory((numbers(), torch.zeros(1)))
    assert torch.equal(x.values, VALUES + 1)
    assert label.item() == 1.0


def test_from_workers() -> None:
    loader = DataLoader([torch.ones(n, 2) for n in (1, 2, 3, 4)], 2, collate_fn=Ragged.of, num_workers=1)
    assert [x.lengths.tolist() for x in loader] == [[1, 2], [3, 4]]


def test_what_torch_does_not_have_is_refused() -> None:
    x = Ragged.of([[1.0, 2.0], [3.0]])
    for other in (Decimal(1), Fraction(1, 2), np.datetime64("2020-01-01")):
        with pytest.raises(TypeError, match=r"unsupported operand|does not support"):
            x + other
    for array in (np.array([None]), np.array(["a"])):
        with pytest.raises(DataError, match=r"the array is an array of dtype .*, not of numbers"):
            x * array
    assert (x * np.arange(3.0)[::-2][:1]).values.tolist() == [2.0, 4.0, 6.0]
