"""Blocking of n-grams that would occur twice."""

import numpy as np
import pytest

from elman.decoding.repeats import repeating


@pytest.mark.parametrize("n", range(6))
def test_against_a_plain_count(n: int) -> None:
    random = np.random.default_rng(n)
    for length in range(12):
        symbols = random.integers(0, 3, (4, length))
        rows, found = repeating(symbols, n)
        for row, before in enumerate(symbols.tolist()):
            grams = {tuple(before[i : i + n]) for i in range(length - n + 1)} if n else set()
            expected = {s for s in range(3) if n and tuple([*before, s][-n:]) in grams and length >= n - 1}
            assert set(found[rows == row].tolist()) == expected, (before, n)
