"""Every sequence once, never more steps than allowed, and the same cut from the same seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import OptionError, ShapeError
from elman.ragged import Ragged
from elman.training.batching import batches, pieces


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


# ---- pieces


def test_a_sequence_leaves_its_place_to_the_next():
    found = pieces(torch.tensor([5, 2, 0, 3, 1, 7]), 4, 2, max_sequences=2)
    table = [[(s, f, c, b) for s, f, c, b in zip(*map(torch.Tensor.tolist, piece), strict=True)] for piece in found]
    assert table == [
        [(0, 0, 2, -1), (1, 0, 2, -1)],  # sequence, first step, steps, place in the piece before
        [(0, 2, 2, 0), (2, 0, 0, -1)],
        [(0, 4, 1, 0), (3, 0, 2, -1)],
        [(3, 2, 1, 1), (4, 0, 1, -1)],
        [(5, 0, 2, -1)],
        [(5, 2, 2, 0)],
        [(5, 4, 2, 0)],
        [(5, 6, 1, 0)],
    ]


@given(
    lengths=st.lists(st.integers(0, 20), max_size=30),
    steps=st.integers(1, 30),
    most=st.none() | st.integers(1, 10),
    size=st.integers(1, 25),
    seed=st.none() | st.integers(0, 5),
)
def test_pieces_of_a_sequence_follow_each_other(lengths, steps, most, size, seed):
    def generator():
        return None if seed is None else torch.Generator().manual_seed(seed)

    known, data = torch.tensor(lengths, dtype=torch.int64), Ragged.of([[i] * n for i, n in enumerate(lengths)])
    found, past, last = pieces(known, steps, size, generator(), most), {}, []
    for piece in found:
        assert len(piece.sequences) == 1 or piece.steps <= steps
        assert most is None or len(piece.sequences) <= most
        here = piece.sequences.tolist()
        for i, first, count, before in zip(here, *(part.tolist() for part in piece[1:]), strict=True):
            assert first == past.get(i, 0)
            assert (before < 0) == (i not in past)
            assert before < 0 or last[before] == i
            assert count == min(size, lengths[i] - first)
            past[i] = first + count
        assert [row.unique().tolist() for row in piece.of(data) if len(row)] == [
            [i] for i, n in zip(here, piece.counts.tolist(), strict=True) if n
        ]
        last = here
    assert past == dict(enumerate(lengths))
    if size >= max([1, *lengths]):
        whole = [batch.tolist() for batch in batches(known, steps, generator(), most)]
        assert [piece.sequences.tolist() for piece in found] == whole
    uncut = pieces(known, steps, 0, generator(), most)
    assert [piece.sequences.tolist() for piece in uncut] == [
        batch.tolist() for batch in batches(known, steps, generator(), most)
    ]


@pytest.mark.parametrize(("steps", "size", "most"), [(0, 1, None), (5, -1, None), (5, 1, 0)])
def test_refused_limits_of_pieces(steps, size, most):
    with pytest.raises(OptionError, match="at least 1 and cut of at least 0"):
        pieces(torch.tensor([1]), steps, size, max_sequences=most)
