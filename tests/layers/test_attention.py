"""Attention: the equations, the gradient, and bits that depend on nothing but the sequence."""

from __future__ import annotations

import pytest
import torch

from elman.errors import OptionError, ShapeError
from elman.layers.attention import Attention, attend
from elman.ragged import Ragged
from table import ragged

QUERIES, KEYS = [3, 0, 1, 4, 2], [5, 2, 1, 0, 7]


def test_the_equations() -> None:
    q, k = ragged(QUERIES, 6), ragged(KEYS, 6)
    seen, shares = attend(q, k)
    for i, (ours, theirs) in enumerate(zip(q, k, strict=True)):
        share = torch.softmax(ours @ theirs.T, 1)
        torch.testing.assert_close(shares[i], share)
        torch.testing.assert_close(seen[i], share @ theirs)
    assert not seen[3].any(), "nothing is seen where there are no keys"


def test_a_sequence_alone_has_the_bits_it_has_among_others() -> None:
    q, k = ragged(QUERIES, 19), ragged(KEYS, 19)
    seen, _ = attend(q, k)
    for i in range(len(q)):
        alone, _ = attend(q[i : i + 1], k[i : i + 1])
        assert torch.equal(alone.values, seen[i])


def test_a_step_alone_has_the_bits_it_has_in_its_sequence() -> None:
    q, k = ragged([6], 19), ragged([9], 19)
    seen, _ = attend(q, k)
    for t, row in enumerate(q.values):
        alone, _ = attend(Ragged.of([row[None]]), k)
        assert torch.equal(alone.values[0], seen.values[t])


def test_the_gradient() -> None:
    q, k = ragged(QUERIES, 3, torch.float64), ragged(KEYS, 3, torch.float64)

    def seen(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        return attend(q.with_values(queries), k.with_values(keys))[0].values

    assert torch.autograd.gradcheck(seen, (q.values.requires_grad_(), k.values.requires_grad_()))


def test_nothing_at_all() -> None:
    seen, shares = attend(ragged([], 4), ragged([], 4))
    assert seen.values.shape == (0, 4)
    assert shares == []


def test_dot_is_scaled_and_has_no_weights() -> None:
    attention = Attention(4, 4, "dot")
    assert not list(attention.parameters())
    q, k = ragged([2], 4), ragged([3], 4)
    torch.testing.assert_close(attention(q, k)[1][0], torch.softmax(q.values @ k.values.T / 2, 1))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="score must be one of general, dot, got 'add'"):
        Attention(3, 4, "add")
    with pytest.raises(OptionError, match="one width on both sides, but they are 3 and 4 wide"):
        Attention(3, 4, "dot")
    with pytest.raises(ShapeError, match="as many sequences of keys as of queries, got 1 and 2"):
        attend(ragged([1, 1], 3), ragged([1], 3))
    with pytest.raises(ShapeError, match="of one width"):
        attend(ragged([1], 3), ragged([1], 4))
    with pytest.raises(ShapeError, match="queries of width 3"):
        Attention(3, 4)(ragged([1], 5), ragged([1], 4))
