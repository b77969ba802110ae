import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from elman.errors import DataError
from elman.features import FEATURES, Chords, Images, Numbers, Sound, Text, Tokens, Words, infer
from elman.ragged import Ragged


def test_the_table_names_every_feature():
    known = {"text": Text, "tokens": Tokens, "words": Words, "numbers": Numbers, "images": Images, "chords": Chords}
    assert known | {"sound": Sound} == FEATURES


@pytest.mark.parametrize(
    ("column", "feature"),
    [
        (["a", ""], Text),
        (np.array(["a"]), Text),
        (pd.Series(["a"]), Text),
        (pl.Series(["a"]), Text),
        (pa.chunked_array([["a"]]), Text),
        ([["a"], []], Tokens),
        ([[], ("a",)], Tokens),
        (np.array([["a", "b"]]), Tokens),
        (pl.Series([["a"]]), Tokens),
        ([[1, 2], []], Numbers),
        ([[[1.0, 2.0]]], Numbers),
        ([np.zeros((2, 3))], Numbers),
        ([torch.zeros(2)], Numbers),
        (np.zeros((2, 3)), Numbers),
        (np.zeros((2, 3), dtype=object), Numbers),
        (np.zeros(3), Numbers),
        (torch.zeros(2, 3, 4), Numbers),
        (pd.DataFrame({"a": [1]}), Numbers),
        (pd.Series([[1.0]]), Numbers),
        (Ragged.of([[1]]), Numbers),
        ([[None, 1.0], [2.0]], Numbers),
        (np.zeros((2, 3, 4, 5)), Images),
        ([[], np.zeros((3, 4, 5))], Images),
    ],
)
def test_infer(column, feature):
    assert type(infer(column)) is feature


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([], "X holds no sequences"),
        ([[], []], "only empty sequences"),
        ([[None], [None, None]], "nothing but missing values"),
        (["a", ["b"]], "X is mixed: sequence 0 is of the kind text, sequence 1 of the kind tokens"),
        (["a", 3], "sequence 1 is a number, 3"),
        ([1, 2], "sequence 0 is a number, 1"),
        ([{"a": 1}], "sequence 0 is a dict"),
        ([b"a"], "sequence 0 is a bytes"),
        (["a", None], r"sequence 1 is None \(missing\)"),
        ([[{}]], "sequence 0 begins with a dict"),
        ("text", "one text"),
        ({"a": [1]}, "X is a dict"),
        (None, "X is a NoneType"),
        ((x for x in "ab"), "generator"),
    ],
)
def test_infer_says_what_it_saw(column, message):
    with pytest.raises(DataError, match=message):
        infer(column)
