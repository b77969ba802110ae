"""Bytes as steps."""

from __future__ import annotations

import pytest
from elman.features.bits import Bits

from elman.errors import DataError

COLUMN = [[1, 255], [], [7]]


def test_bits() -> None:
    assert Bits().fit(COLUMN).transform([[128]]).values.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]


def test_what_is_no_byte() -> None:
    with pytest.raises(DataError, match="X: sequence 1, step 0 is 256"):
        Bits().fit([[1], [256]])
