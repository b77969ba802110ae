"""Two containers one after the other: types and values stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from elman.errors import DataError
from elman.features.concatenation import concatenated, sequence_count

NAMES = ("X", "validation_data[0]")


def test_arrays_keep_their_type() -> None:
    made = concatenated(np.array([1, 2], np.int8), np.array([3], np.int8), NAMES)
    assert made.dtype == np.int8
    assert made.tolist() == [1, 2, 3]
    assert concatenated(np.array([2**63], np.uint64), np.array([-1]), NAMES) == [2**63, -1]  # no float64 between
    assert concatenated(np.array([1, 2]), np.array(["a"]), NAMES) == [1, 2, "a"]


def test_gaps_stay() -> None:
    made = concatenated(np.ma.masked_equal([[1.0, 2.0]], 2), np.ones((1, 2)), NAMES)
    assert made.mask.tolist() == [[False, True], [False, False]]


def test_categories_stay() -> None:
    column = pd.Series(["a", "b"], dtype="category", name="kind")
    made = concatenated(column, column, NAMES)
    assert (str(made.dtype), made.name, made.tolist()) == ("category", "kind", ["a", "b", "a", "b"])


def test_frames_of_one_library_stay_frames() -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"]})
    assert concatenated(frame, frame.select("b", "a"), NAMES).equals(pl.concat([frame, frame]))
    assert concatenated(frame, frame.to_pandas(), NAMES) == {"a": [1, 1], "b": ["x", "x"]}


def test_sparse_matrices() -> None:
    made = concatenated(scipy.sparse.eye(2, 3).tocsr(), scipy.sparse.eye(1, 3).tocsr(), NAMES)
    assert made.toarray().tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    with pytest.raises(DataError, match="has 2 columns, but X has 3"):
        concatenated(scipy.sparse.eye(2, 3).tocsr(), scipy.sparse.eye(1, 2).tocsr(), NAMES)


@pytest.mark.parametrize(
    "X", [["a", "b"], ("a", "b"), np.ones((2, 3)), torch.ones(2), pl.DataFrame({"a": [1, 2]}), {"a": [1, 2]}], ids=repr
)
def test_counts(X: Any) -> None:
    assert sequence_count(X, "X") == 2
