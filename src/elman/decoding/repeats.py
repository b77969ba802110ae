"""Blocking of repeated n-grams: no n symbols in a row occur twice (Paulus et al. 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from elman.errors import Problem
from elman.validation.messages import shown
from elman.validation.options import is_whole

_Ints = NDArray[np.int64]


def check_no_repeat(no_repeat: Any) -> list[Problem]:
    """What is wrong with the size of the n-grams that may not repeat.

    >>> print(*check_no_repeat(-1))
    no_repeat = -1 must be a whole number of at least 0; 0: repeats are allowed
    """
    rule = "must be a whole number of at least 0; 0: repeats are allowed"
    return [] if is_whole(no_repeat, 0) else [Problem("no_repeat", shown(no_repeat), rule)]


def repeating(symbols: _Ints, n: int) -> tuple[_Ints, _Ints]:
    """The symbols that would repeat an n-gram, after `symbols` [rows, length] of one length: their rows and symbols.

    `n` = 0: none. The same pair may occur several times.

    >>> repeating(np.array([[1, 2, 3, 1, 2], [1, 2, 3, 4, 5]]), 3)
    (array([0]), array([3]))
    """
    rows, length = symbols.shape
    if not n or length < n or not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    windows = sliding_window_view(symbols, n, axis=1)
    row, place = np.nonzero((windows[:, :, :-1] == symbols[:, None, length - n + 1 :]).all(2))
    return row, symbols[row, place + n - 1]
