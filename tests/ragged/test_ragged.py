"""Ragged: the five rules, indexing, every conversion there and back; literal cases with an empty sequence in each."""

import copy
import pickle
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_sequence

from elman.errors import DataError, ShapeError
from elman.ragged import Ragged

LENGTHS = st.lists(st.integers(0, 6), max_size=8)
SHAPES = st.sampled_from([(), (1,), (3,), (2, 2)])
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.int64])


def make(lengths: list[int], shape: tuple[int, ...] = (), dtype: torch.dtype = torch.float32) -> Ragged:
    offsets = torch.tensor([0, *np.cumsum(lengths, dtype=np.int64)])
    steps = int(offsets[-1])
    numbers = torch.arange(steps * int(np.prod(shape, dtype=np.int64)), dtype=dtype)
    return Ragged(numbers.reshape(steps, *shape), offsets)


def same(a: Ragged, b: Ragged) -> None:
    assert a.offsets.tolist() == b.offsets.tolist()
    assert a.values.dtype == b.values.dtype
    assert a.values.shape == b.values.shape
    assert torch.equal(a.values, b.values)


HAND = Ragged(torch.tensor([1, 2, 3]), torch.tensor([0, 2, 2, 3]))  # [1, 2], [], [3]


# ---- what it is


def test_parts_by_hand() -> None:
    assert (len(HAND), HAND.sequences, HAND.steps, HAND.width) == (3, 3, 3, 0)
    assert HAND.lengths.tolist() == [2, 0, 1]
    assert HAND.segments.tolist() == [0, 0, 2]
    assert [x.tolist() for x in HAND] == [[1, 2], [], [3]]
    assert repr(HAND) == "Ragged(sequences=3, steps=3, width=0, dtype=int64)"
    assert repr(make([2, 0], (2, 2))) == "Ragged(sequences=2, steps=2, width=4, dtype=float32)"
    assert repr(make([1], (3,)).to("meta")) == "Ragged(sequences=1, steps=1, width=3, dtype=float32, device='meta')"


@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [0, 2, 0], [1]])
def test_nothing_is_legal(lengths: list[int]) -> None:
    x = make(lengths, (3,))
    assert (len(x), x.steps, x.width) == (len(lengths), sum(lengths), 3)
    assert [len(part) for part in x] == lengths == x.lengths.tolist()
    assert len(x.segments) == sum(lengths)
    assert x.lengths.dtype == x.segments.dtype == torch.int64


def test_equality_is_identity() -> None:
    other = Ragged(HAND.values, HAND.offsets)
    assert other != HAND
    assert len({HAND, other}) == 2


def test_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        HAND.lenghts = 3  # type: ignore[attr-defined]


def test_values_need_not_be_contiguous() -> None:
    values = torch.arange(12.0).reshape(4, 3).T
    x = Ragged(values, torch.tensor([0, 9, 1, 9, 3])[::2])
    assert [part.tolist() for part in x] == [[[0.0, 3.0, 6.0, 9.0]], [[1.0, 4.0, 7.0, 10.0], [2.0, 5.0, 8.0, 11.0]]]
    same(x[::-1], Ragged.of([values[1:], values[:1]]))


@pytest.mark.parametrize("clone", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copy_and_pickle(clone: Any) -> None:
    same(clone(HAND), HAND)


def test_unpickled_offsets_are_checked() -> None:
    kind, (values, offsets) = HAND.__reduce__()
    with pytest.raises(ShapeError, match="end at the number of steps"):
        kind(values[:2], offsets)


# ---- the five rules, and what comes before them

STEPS = torch.zeros(9, 3)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (torch.tensor([[0, 9]]), "offsets must be one-dimensional, got shape [1, 2]."),
        (torch.tensor(9), "offsets must be one-dimensional, got shape []."),
        (
            torch.empty(0, dtype=torch.int64),
            "offsets must have at least one element, got none. Zero sequences are torch.tensor([0]).",
        ),
        (torch.tensor([2, 9]), "offsets must start at 0, but offsets[0] = 2."),
        (torch.tensor([-1, 9]), "offsets must start at 0, but offsets[0] = -1."),
        (torch.tensor([0, 4, 9, 7, 9]), "offsets must never decrease, but offsets[3] = 7 follows offsets[2] = 9"),
        (torch.tensor([0, -(2**63), 9]), f"offsets must never decrease, but offsets[1] = {-(2**63)} follows"),
        (
            torch.tensor([0, 4, 7]),
            "offsets must end at the number of steps, but offsets[2] = 7 and values of shape [9, 3] have 9 steps.",
        ),
        (torch.tensor([0, 2**62]), f"but offsets[1] = {2**62} and values of shape [9, 3] have 9 steps."),
        (torch.tensor([0]), "but offsets[0] = 0 and values of shape [9, 3] have 9 steps."),
        (torch.tensor([0, 9], dtype=torch.int32), "offsets must be int64, got torch.int32."),
        (torch.tensor([0.0, 9.0]), "offsets must be int64, got torch.float32."),
        (torch.tensor([0, 9]).to("meta"), "offsets must be on the CPU, got meta."),
        ([0, 9], "offsets must be an int64 tensor, got list."),
    ],
)
def test_offsets_that_break_a_rule(offsets: Any, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Ragged(STEPS, offsets)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], "values must be a tensor [steps, ...], got list."),
        (torch.tensor(1.0), "values must have at least one dimension"),
        (torch.zeros(2, 2).to_sparse(), "values must be a dense tensor"),
    ],
)
def test_values_that_are_none(values: Any, message: str) -> None:
    for refused in (lambda: Ragged(values, torch.tensor([0, 2])), lambda: HAND.with_values(values)):
        with pytest.raises(ShapeError) as caught:
            refused()
        assert message in str(caught.value)


def test_with_values_shares_offsets_and_counts_steps() -> None:
    other = HAND.with_values(torch.zeros(3, 5))
    assert other.offsets is HAND.offsets
    assert other.width == 5
    with pytest.raises(ShapeError, match=r"each of the 3 steps, got values of shape \[4, 2\]"):
        HAND.with_values(torch.zeros(4, 2))


def test_to_keeps_offsets() -> None:
    other = HAND.to(torch.float64)
    assert other.values.dtype == torch.float64
    assert other.offsets is HAND.offsets
    assert HAND.to(device="meta").offsets.device.type == "cpu"


# ---- choosing sequences

LISTS = [[1, 2], [], [3], [4, 5, 6]]
FOUR = Ragged.of(LISTS)


@pytest.mark.parametrize("i", [0, 1, 2, 3, -1, -4, np.int64(2), torch.tensor(3)])
def test_one_sequence(i: Any) -> None:
    assert FOUR[i].tolist() == LISTS[int(i)]


@pytest.mark.parametrize("start", [None, 0, 1, 3, 4, 9, -1, -3, -9])
@pytest.mark.parametrize("stop", [None, 0, 2, 4, 9, -1, -4, -9])
@pytest.mark.parametrize("stride", [None, 1, 2, 3, -1, -2])
def test_slices_as_lists_have_them(start: int | None, stop: int | None, stride: int | None) -> None:
    where = slice(start, stop, stride)
    found = FOUR[where]
    assert [x.tolist() for x in found] == LISTS[where]
    same(found, Ragged(found.values, found.offsets))  # the rules hold


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([2, 0, 2], [2, 0, 2]),
        ([], []),
        ([-1, -4], [3, 0]),
        (range(3, 0, -2), [3, 1]),
        (np.array([1, 1]), [1, 1]),
        (torch.tensor([3, -2]), [3, 2]),
        (torch.tensor([3, 0], dtype=torch.int32), [3, 0]),
        ([True, False, False, True], [0, 3]),
        (np.array([False] * 4), []),
        (torch.tensor([False, True, True, False]), [1, 2]),
    ],
)
def test_lists_and_masks(index: Any, expected: list[int]) -> None:
    found = FOUR[index]
    assert [x.tolist() for x in found] == [LISTS[i] for i in expected]
    same(found, Ragged(found.values, found.offsets))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (4, "sequence 4 is out of range for 4 sequences; they are numbered 0 to 3, or -4 to -1."),
        (-5, "sequence -5 is out of range for 4 sequences"),
        ([0, 7], "sequence 7 is out of range for 4 sequences"),
        (torch.tensor([0, -5]), "sequence -5 is out of range for 4 sequences"),
        ([True, False], "the mask has 2 elements, the Ragged has 4 sequences."),
        (torch.zeros(2, 2, dtype=torch.int64), "got shape [2, 2]"),
    ],
)
def test_out_of_range(index: Any, message: str) -> None:
    with pytest.raises(IndexError) as caught:
        FOUR[index]
    assert message in str(caught.value)


def test_out_of_range_of_nothing() -> None:
    with pytest.raises(IndexError, match="there are 0 sequences"):
        Ragged.of([])[0]


@pytest.mark.parametrize("index", [True, 1.0, "a", None, (0, 1), [0.5], torch.tensor([1], dtype=torch.uint8)])
def test_what_is_no_index(index: Any) -> None:
    with pytest.raises(TypeError, match="got"):
        FOUR[index]


@given(LENGTHS, SHAPES, st.data())
def test_taking_equals_picking_from_the_list(lengths: list[int], shape: tuple[int, ...], data: st.DataObject) -> None:
    x = make(lengths, shape)
    index = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=9) if lengths else st.just([]))
    parts = x.to_list()
    same(x[index], Ragged.of([parts[i] for i in index] or [x.values[:0]])[: len(index)])


# ---- lists


def test_of_the_promised_line() -> None:
    x = Ragged.of([torch.randn(5, 3), torch.randn(0, 3), torch.randn(2, 3)])
    assert x.offsets.tolist() == [0, 5, 5, 7]
    assert x.values.shape == (7, 3)


@pytest.mark.parametrize(
    ("sequences", "options", "shape", "dtype", "lengths"),
    [
        ([], {}, (0,), torch.float32, []),
        ([[], []], {}, (0,), torch.float32, [0, 0]),
        ([[], []], {"width": 3}, (0, 3), torch.float32, [0, 0]),
        ([], {"width": 3, "dtype": torch.int64}, (0, 3), torch.int64, []),
        ([[1, 2], [], [3]], {}, (3,), torch.int64, [2, 0, 1]),
        ([(1, 2), range(3)], {}, (5,), torch.int64, [2, 3]),
        ([[1], [0.5]], {}, (2,), torch.float32, [1, 1]),
        ([[True], [False, True]], {}, (3,), torch.bool, [1, 2]),
        ([[1, 2], []], {"width": 1}, (2, 1), torch.int64, [2, 0]),
        ([[1, 2]], {"width": 0}, (2,), torch.int64, [2]),
        ([[[1, 2.5]], []], {}, (1, 2), torch.float32, [1, 0]),
        ([[], [[1, 2], [3, 4]]], {"width": 2}, (2, 2), torch.int64, [0, 2]),
        ([np.zeros((2, 3)), []], {}, (2, 3), torch.float64, [2, 0]),
        ([np.zeros((2, 3), np.float32), np.array([])], {}, (2, 3), torch.float32, [2, 0]),
        ([np.array([], np.int64)], {}, (0,), torch.int64, [0]),
        ([np.array([], np.int64), []], {"width": 2}, (0, 2), torch.int64, [0, 0]),
        ([torch.zeros(2, dtype=torch.float64), [1, 2], [0.1]], {}, (5,), torch.float64, [2, 2, 1]),
        ([[0.1], np.zeros(1, np.float64)], {}, (2,), torch.float64, [1, 1]),
        ([np.zeros(1, np.int32), [7]], {}, (2,), torch.int32, [1, 1]),
        ([np.zeros(1, np.int32), torch.zeros(1)], {"dtype": torch.float64}, (2,), torch.float64, [1, 1]),
        ([[np.zeros(2), np.ones(2)], [np.zeros(2)]], {}, (3, 2), torch.float64, [2, 1]),
        ([[torch.tensor(1.0), torch.tensor(2.0)]], {}, (2,), torch.float32, [2]),
        ([np.arange(4)[::-1], np.array([1], ">i8")], {}, (5,), torch.int64, [4, 1]),
        (np.zeros((2, 5, 3)), {}, (10, 3), torch.float64, [5, 5]),
        (torch.zeros(2, 5), {}, (10,), torch.float32, [5, 5]),
        ((part for part in ([1], [2])), {}, (2,), torch.int64, [1, 1]),
        ([torch.zeros(2, 2, 2), torch.zeros(0, 2, 2)], {"width": 4}, (2, 2, 2), torch.float32, [2, 0]),
        (FOUR, {}, (6,), torch.int64, [2, 0, 1, 3]),
    ],
)
def test_of(
    sequences: Any, options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype, lengths: list[int]
) -> None:
    x = Ragged.of(sequences, **options)
    assert (tuple(x.values.shape), x.values.dtype, x.lengths.tolist()) == (shape, dtype, lengths)
    same(x, Ragged(x.values, x.offsets))


def test_of_rounds_no_number_twice() -> None:
    assert Ragged.of([torch.zeros(1, dtype=torch.float64), [0.1]]).values[1].item() == 0.1
    assert Ragged.of([[0.1]], dtype=torch.float64).values.item() == 0.1
    assert Ragged.of([np.array([2**53 + 1])]).values.item() == 2**53 + 1


def test_of_copies() -> None:
    array = np.zeros(2)
    x = Ragged.of([array])
    array[0] = 1
    assert x.values.tolist() == [0.0, 0.0]
    array.flags.writeable = False
    Ragged.of([array])  # torch warns of arrays that cannot be written; a copy can


MASKED = np.ma.masked_array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    ("sequences", "options", "error", "message"),
    [
        ("abc", {}, DataError, "Ragged.of expects a list of sequences, got 'abc'."),
        (3, {}, DataError, "Ragged.of expects a list of sequences, got 3."),
        ({"a": [1]}, {}, DataError, "Ragged.of expects a list of sequences, got {'a': [1]}."),
        ([1, 2], {}, DataError, "sequence 0 is 1, not a list, array or tensor of steps."),
        (torch.zeros(2), {}, DataError, "sequence 0 is the single number"),
        ([[1], None], {}, DataError, "sequence 1 is None, not numbers. Fill it or leave it out."),
        ([[1], "abc"], {}, DataError, "sequence 1 is 'abc', not numbers. Texts become steps through"),
        ([[1], ["the", "cat"]], {}, DataError, "sequence 1, step 0 is 'the', not a number."),
        ([[1, None]], {}, DataError, "sequence 0, step 1 is None, not a number."),
        ([[[1, 2]], [[1, 2], [3]]], {}, DataError, "sequence 1 has steps of unequal width: step 0 has 2 numbers, step"),
        ([[1, [2]]], {}, DataError, "step 0 has a bare number, step 1 has 1 numbers."),
        ([[[1, 2], [3, None]]], {}, DataError, "sequence 0, step 1, number 1 is None, not a number."),
        ([[[1, "2"]]], {}, DataError, "sequence 0, step 0, number 1 is '2', not a number."),
        ([[np.zeros(2), np.zeros(3)]], {}, DataError, "steps of unequal shape: step 0 has [2], step 1 has [3]."),
        ([[np.zeros(2), None]], {}, DataError, "sequence 0, step 1 is None, not numbers."),
        ([[np.zeros(2), torch.zeros(2)]], {}, ShapeError, "step 0 is torch.float64, step 1 is torch.float32."),
        ([np.array(["a"])], {}, DataError, "sequence 0 is an array of dtype <U1, not of numbers."),
        ([np.array([1, None])], {}, DataError, "sequence 0 is an array of dtype object, not of numbers."),
        ([np.array(["2020-01-01"], "M8[D]")], {}, DataError, "sequence 0 is an array of dtype datetime64[D]"),
        ([np.zeros(1, np.longdouble)], {}, DataError, "which torch does not have."),
        ([MASKED], {}, DataError, "sequence 0 is a masked array with 1 masked numbers."),
        ([{1, 2}], {}, DataError, "sequence 0 is {1, 2}, not a list, array or tensor of steps."),
        ([[10**30]], {}, DataError, "sequence 0 cannot be read as numbers"),
        ([[1], [10**12]], {"dtype": torch.int32}, DataError, "sequence 1 cannot be read as numbers"),
        ([torch.zeros(5, 3), torch.zeros(2, 4)], {}, ShapeError, "sequence 1 has shape [2, 4], sequence 0 has [5, 3]."),
        ([[], torch.zeros(5, 3), [1.0]], {}, ShapeError, "sequence 2 has shape [1], sequence 1 has [5, 3]."),
        ([torch.zeros(5, 3), torch.zeros(0, 4)], {}, ShapeError, "sequence 1 has shape [0, 4], sequence 0 has [5, 3]."),
        ([torch.zeros(1), np.zeros(1)], {}, ShapeError, "sequence 1 has dtype torch.float64, sequence 0 has torch.flo"),
        ([np.zeros(1, np.int64), [0.5]], {}, ShapeError, "sequence 1 holds numbers of torch.float32, sequence 0 has "),
        ([torch.zeros(1), torch.zeros(1).to("meta")], {}, ShapeError, "sequence 1 is on meta, sequence 0 on cpu."),
        ([torch.zeros(5, 3)], {"width": 4}, ShapeError, "width = 4, but sequence 0 has shape [5, 3], of width 3."),
        ([[1, 2]], {"width": 2}, ShapeError, "width = 2, but sequence 0 has shape [2], of width 0."),
        ([[1, 2]], {"width": -1}, ShapeError, "width must be a whole number of at least 0, got -1."),
        ([[1, 2]], {"width": 1.5}, ShapeError, "width must be a whole number of at least 0, got 1.5."),
    ],
)
def test_of_refuses(sequences: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Ragged.of(sequences, **options)
    assert message in str(caught.value)


@given(LENGTHS, SHAPES, DTYPES)
def test_list_round_trip(lengths: list[int], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = make(lengths, shape, dtype)
    same(Ragged.of(x.to_list() or [x.values])[: len(x)], x)
    if shape == () and x.steps:
        same(Ragged.of([part.tolist() for part in x], dtype=dtype), x)


def test_cat_by_hand() -> None:
    same(Ragged.cat([HAND, Ragged.of([]).to(torch.int64), HAND[2:]]), Ragged.of([[1, 2], [], [3], [3]]))


@given(LENGTHS, SHAPES, st.integers(0, 8))
def test_cat_is_the_inverse_of_slicing(lengths: list[int], shape: tuple[int, ...], cut: int) -> None:
    x = make(lengths, shape)
    same(Ragged.cat([x[:cut], x[cut:]]), x)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "Ragged.cat needs at least one Ragged, got an empty list."),
        ([make([1]), make([1], dtype=torch.float64)], "part 1 has dtype torch.float64, part 0 has torch.float32."),
        ([make([1]), make([1]).to("meta")], "part 1 has device meta, part 0 has cpu."),
        ([make([1], (2,)), make([2], (3,))], "part 1 has values of shape [2, 3], part 0 of shape [1, 2]."),
    ],
)
def test_cat_refuses(parts: list[Ragged], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Ragged.cat(parts)
    assert message in str(caught.value)


# ---- padded


def test_padded_by_hand() -> None:
    padded, lengths = HAND.to_padded(value=-1)
    assert padded.tolist() == [[1, 2], [-1, -1], [3, -1]]
    assert lengths.tolist() == [2, 0, 1]
    assert HAND.to_padded(batch_first=False)[0].tolist() == [[1, 0, 3], [2, 0, 0]]
    assert Ragged.of([], width=3).to_padded()[0].shape == (0, 0, 3)
    assert make([0, 0], (3,)).to_padded()[0].shape == (2, 0, 3)


@given(LENGTHS, SHAPES, DTYPES, st.booleans(), st.integers(0, 2))
def test_padded_round_trip(
    lengths: list[int], shape: tuple[int, ...], dtype: torch.dtype, batch_first: bool, more: int
) -> None:
    x = make(lengths, shape, dtype)
    padded, counts = x.to_padded(value=7, batch_first=batch_first)
    same(Ragged.from_padded(padded, counts, batch_first), x)
    time = 1 if batch_first else 0
    wider = torch.cat([padded, padded.narrow(time, 0, 0).new_zeros(*_grown(padded, time, more))], time)
    same(Ragged.from_padded(wider, counts.tolist(), batch_first), x)
    if lengths:
        assert torch.equal(padded, pad_sequence(x.to_list(), batch_first, padding_value=7))


def _grown(padded: Tensor, dimension: int, size: int) -> list[int]:
    shape = list(padded.shape)
    shape[dimension] = size
    return shape


@pytest.mark.parametrize(
    ("padded", "lengths", "message"),
    [
        (torch.zeros(3), [1], "padded must have at least two dimensions, got shape [3]."),
        (torch.zeros(3, 2), [1, 2], "one number for each of the 3 sequences, got shape [2]. Check batch_first, which"),
        (torch.zeros(3, 2), [1, 3, 0], "lengths[1] = 3 must be from 0 to 2, the longest in padded."),
        (torch.zeros(3, 2), torch.tensor([1, 0, -1]), "lengths[2] = -1 must be from 0 to 2"),
        (torch.zeros(3, 2), [1.0, 2.0, 0.0], "lengths must be whole numbers, got torch.float32."),
    ],
)
def test_padded_refuses(padded: Tensor, lengths: Any, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Ragged.from_padded(padded, lengths)
    assert message in str(caught.value)


# ---- packed

POSITIVE = st.lists(st.integers(1, 6), min_size=1, max_size=8)


def packs_equal(a: PackedSequence, b: PackedSequence) -> None:
    assert torch.equal(a.data, b.data)
    assert a.batch_sizes.tolist() == b.batch_sizes.tolist()
    for mine, theirs in ((a.sorted_indices, b.sorted_indices), (a.unsorted_indices, b.unsorted_indices)):
        assert (mine is None) == (theirs is None)
        assert mine is None or torch.equal(mine, theirs)


def test_packed_by_hand() -> None:
    packed = Ragged.of([[1, 2], [3], [4, 5, 6]]).to_packed()
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [2, 0, 1]
    assert packed.unsorted_indices.tolist() == [1, 2, 0]
    assert [x.tolist() for x in Ragged.from_packed(packed)] == [[1, 2], [3], [4, 5, 6]]


@given(POSITIVE, SHAPES)
def test_packed_round_trip(lengths: list[int], shape: tuple[int, ...]) -> None:
    x = make(lengths, shape)
    same(Ragged.from_packed(x.to_packed()), x)
    theirs = pack_sequence(x.to_list(), enforce_sorted=False)
    same(Ragged.from_packed(theirs), x)
    packs_equal(x.to_packed(like=theirs), theirs)


@given(POSITIVE, SHAPES)
def test_packed_round_trip_sorted(lengths: list[int], shape: tuple[int, ...]) -> None:
    x = make(sorted(lengths, reverse=True), shape)
    theirs = pack_sequence(x.to_list(), enforce_sorted=True)
    same(Ragged.from_packed(theirs), x)
    packs_equal(x.to_packed(enforce_sorted=True), theirs)
    packs_equal(x.to_packed(like=theirs), theirs)
    by_time = x.to_padded(batch_first=False)
    packs_equal(x.to_packed(enforce_sorted=True), pack_padded_sequence(*by_time))


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (HAND, {}, "a PackedSequence cannot hold an empty sequence, but sequence 1 has 0 steps. Keep the others with"),
        (Ragged.of([]), {}, "a PackedSequence cannot hold zero sequences"),
        (
            Ragged.of([[1], [2, 3]]),
            {"enforce_sorted": True},
            "but sequence 1 has 2 steps and comes after sequence 0 with 1. Use enforce_sorted=False.",
        ),
        (Ragged.of([[1], [2]]), {"like": HAND[:1].to_packed()}, "like has 1 sequences, this Ragged has 2."),
        (Ragged.of([[1], [2, 3]]), {"like": FOUR[[0, 2]].to_packed()}, "needs lengths that never increase"),
    ],
)
def test_packed_refuses(x: Ragged, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        x.to_packed(**options)
    assert message in str(caught.value)


# ---- nested


@given(LENGTHS.filter(bool), SHAPES)
@settings(deadline=None)  # the first nested tensor of a process imports for a second
def test_nested_round_trip(lengths: list[int], shape: tuple[int, ...]) -> None:
    x = make(lengths, shape)
    nested = x.to_nested()
    same(Ragged.from_nested(nested), x)
    theirs = torch.nested.nested_tensor(x.to_list(), layout=torch.jagged)
    same(Ragged.from_nested(theirs), x)
    assert nested.shape[0] == len(x)


def test_nested_with_holes() -> None:
    padded = torch.arange(24.0).reshape(3, 4, 2)
    holes = torch.nested.narrow(padded, 1, torch.tensor([0, 1, 2]), torch.tensor([2, 0, 1]), layout=torch.jagged)
    same(Ragged.from_nested(holes), Ragged.of([padded[0, :2], padded[1, 1:1], padded[2, 2:3]]))


def test_nested_over_a_part_of_its_values() -> None:
    values = torch.arange(10.0)
    nested = torch.nested.nested_tensor_from_jagged(values, torch.tensor([1, 3, 3, 4], dtype=torch.int32))
    same(Ragged.from_nested(nested), Ragged.of([values[1:3], [], values[3:4]]))


def test_nested_refuses() -> None:
    jagged = make([2, 1], (3,)).to_nested()
    with pytest.raises(ShapeError, match="differ in dimension 1, got dimension 2"):
        Ragged.from_nested(jagged.transpose(1, 2))
    for foreign in (torch.zeros(2, 3), [torch.zeros(2)]):
        with pytest.raises(ShapeError, match=r"from_nested expects a nested tensor of layout torch\.jagged, got"):
            Ragged.from_nested(foreign)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_of_the_old_layout_is_refused() -> None:
    old = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(1)])
    with pytest.raises(ShapeError, match=r"got a nested tensor of layout torch\.strided"):
        Ragged.from_nested(old)
    with pytest.raises(ShapeError, match=r"See Ragged\.from_nested"):
        Ragged(old, torch.tensor([0, 2]))


# ---- Arrow

ROWS = [[1.0, 2.0], [], [3.0]]
PAIRS = [[[1.0, 2.0], [3.0, 4.0]], [], [[5.0, 6.0]]]
PAIR = pa.list_(pa.float32(), 2)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(ROWS, pa.list_(pa.float32())), ROWS),
        (pa.array(ROWS, pa.large_list(pa.float32())), ROWS),
        (pa.array([[], *ROWS, [9.0]], pa.list_(pa.float32()))[1:4], ROWS),
        (pa.chunked_array([ROWS[:1], [], ROWS[1:]], pa.list_(pa.float32())), ROWS),
        (pa.chunked_array([], pa.list_(pa.float32())), []),
        (pa.array([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]], PAIR)[1:], [[1.0, 2.0], [3.0, 4.0]]),
        (pa.array([], PAIR), []),
        (pa.array(PAIRS, pa.list_(PAIR)), PAIRS),
        (pa.array([None, *PAIRS], pa.large_list(PAIR))[1:], PAIRS),
        (pa.array(PAIRS, pa.list_(pa.list_(pa.float32()))), PAIRS),
        (pa.array([PAIRS[0], PAIRS[0]], pa.list_(PAIR, 2)), [PAIRS[0], PAIRS[0]]),
        (pl.Series(ROWS, dtype=pl.List(pl.Float32)), ROWS),
        (pl.Series([[1.0, 2.0]], dtype=pl.Array(pl.Float32, 2)), [[1.0, 2.0]]),
    ],
)
def test_from_arrow(column: Any, expected: list[Any]) -> None:
    x = Ragged.from_arrow(column)
    assert [part.tolist() for part in x] == expected
    assert x.values.dtype == torch.float32


def test_from_arrow_keeps_width_and_dtype_of_nothing() -> None:
    assert Ragged.from_arrow(pa.array([[], []], pa.list_(PAIR))).values.shape == (0, 2)
    assert Ragged.from_arrow(pa.array([[], []])).values.dtype == torch.float32
    assert Ragged.from_arrow(pa.array([[True], []])).values.dtype == torch.bool


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1], None, [2]]), "row 1 is null. Drop the row, or fill it with an empty list."),
        (pa.chunked_array([[[1]], [None]]), "row 1 is null."),
        (pa.array([[1], [], [2, None]]), "row 2, step 1 is null."),
        (pa.array([[0], [1], [], [2, None]])[1:], "row 2, step 1 is null."),
        (pa.array([[None]]), "row 0, step 0 is null."),
        (pa.array([[[1.0, 2.0]], [None]], pa.list_(PAIR)), "row 1, step 0 is null."),
        (pa.array([[[1.0, 2.0]], [[1.0, 2.0], [1.0, None]]], pa.list_(PAIR)), "row 1, step 1 is null."),
        (
            pa.array([[[1.0, 2.0]], [[1.0]]]),
            "row 1, step 0 has 1 numbers, row 0, step 0 has 2. All steps need as many.",
        ),
        (pa.array([["a"]]), "from_arrow expects lists of numbers, got lists of string."),
        (pa.array([1, 2]), "from_arrow expects a list column, got a column of type int64."),
        (pa.table({"a": [[1]]}), "from_arrow expects one column, got a table with ['a']."),
        ([[1]], "from_arrow expects an Arrow list column, got list."),
    ],
)
def test_from_arrow_refuses(column: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Ragged.from_arrow(column)
    assert message in str(caught.value)


@given(LENGTHS, SHAPES, DTYPES)
def test_arrow_round_trip(lengths: list[int], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = make(lengths, shape, dtype)
    column = x.to_arrow()
    column.validate(full=True)
    assert column.to_pylist() == [part.tolist() for part in x]
    same(Ragged.from_arrow(column), x)


def test_to_arrow_refuses() -> None:
    with pytest.raises(ShapeError, match="width 0"):
        make([2], (0,)).to_arrow()
    with pytest.raises(ShapeError, match=r"Arrow cannot hold values of torch\.bfloat16"):
        make([2], (1,), torch.bfloat16).to_arrow()


# ---- gradients

DIFFERENTIABLE = {
    "number": lambda x: x[2],
    "slice": lambda x: x[1:3].values,
    "list": lambda x: x[[2, 0, 2]].values,
    "with_values": lambda x: x.with_values(x.values * 2).values,
    "to_list": lambda x: torch.cat([part * 2 for part in x.to_list()[1:]]),
    "of": lambda x: Ragged.of([*x.to_list(), torch.zeros(1, 2, dtype=torch.float64)]).values,
    "of rows": lambda x: Ragged.of([list(x[0])]).values,
    "cat": lambda x: Ragged.cat([x, x[:1]]).values,
    "padded": lambda x: x.to_padded(value=1.0)[0],
    "padded there and back": lambda x: Ragged.from_padded(*x.to_padded(batch_first=False), batch_first=False).values,
    "packed": lambda x: x[x.lengths > 0].to_packed().data,
    "packed there and back": lambda x: Ragged.from_packed(x[x.lengths > 0].to_packed()).values,
    "nested there and back": lambda x: Ragged.from_nested(x.to_nested()).values,
    "to": lambda x: x.to(torch.float64, copy=True).values,
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_pass(name: str) -> None:
    offsets = torch.tensor([0, 2, 2, 5])
    values = torch.arange(10, dtype=torch.float64).reshape(5, 2).requires_grad_()
    torch.autograd.gradcheck(lambda v: DIFFERENTIABLE[name](Ragged(v, offsets)), values)
