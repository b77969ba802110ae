"""Every sequence once, never more steps than allowed, and the same cut from the same seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.batches import batches
from elman.errors import OptionError, ShapeError


def cut(lengths, *arguments, **options):
    return [batch.tolist() for batch in batches(torch.tensor(lengths, dtype=torch.int64), *arguments, **options)]


@pytest.mark.parametrize(
    ("lengths", "steps", "most", "expected"),
    [
        ([], 5, None, []),
        ([0], 5, None, [[0]]),
        ([0, 0, 0], 5, None, [[0, 1, 2]]),
        ([0, 0, 0], 5, 2, [[0, 1], [2]]),
        ([5, 5, 5], 5, None, [[0], [1], [2]]),
        ([9, 1, 9], 5, None, [[0], [1], [2]]),
        ([2, 3, 1, 4, 0], 5, None, [[0, 1], [2, 3, 4]]),
        ([1, 1, 1, 1], 100, 3, [[0, 1, 2], [3]]),
        ([9, 0, 0, 1], 5, None, [[0], [1, 2, 3]]),
    ],
)
def test_literal_cuts(lengths, steps, most, expected):
    assert cut(lengths, steps, max_sequences=most) == expected


@given(
    lengths=st.lists(st.integers(0, 20), max_size=50),
    steps=st.integers(1, 30),
    most=st.none() | st.integers(1, 10),
    seed=st.none() | st.integers(0, 5),
)
def test_every_sequence_once_and_no_limit_passed(lengths, steps, most, seed):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    result = cut(lengths, steps, generator, most)
    assert sorted(index for batch in result for index in batch) == list(range(len(lengths)))
    for batch in result:
        assert batch
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= steps
        assert most is None or len(batch) <= most


def test_a_seed_decides_the_order():
    lengths = [3] * 100
    one = cut(lengths, 9, torch.Generator().manual_seed(1))
    assert one == cut(lengths, 9, torch.Generator().manual_seed(1))
    assert one != cut(lengths, 9, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(1)
    assert cut(lengths, 9, generator) != cut(lengths, 9, generator)  # the next epoch has another order


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([1.0]), "whole numbers, got shape \\[1\\] of torch.float32"),
        (torch.tensor([[1]]), "shape \\[1, 1\\]"),
        (torch.tensor([True]), "torch.bool"),
        (torch.tensor([1, -2]), "lengths\\[1\\] = -2"),
    ],
)
def test_refused_lengths(lengths, message):
    with pytest.raises(ShapeError, match=message):
        batches(lengths, 5)


@pytest.mark.parametrize(("steps", "most"), [(0, None), (5, 0), (-1, None)])
def test_refused_limits(steps, most):
    with pytest.raises(OptionError, match="at least 1"):
        batches(torch.tensor([1]), steps, max_sequences=most)
