import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import DataError, ModelFileError, OptionError
from elman.features.tokens import Tokens
from elman.ragged import Ragged


def test_the_commonest_come_first_and_equal_counts_in_order():
    feature = Tokens().fit([["b", "a", "b"], ["c", 3, 3, 1]])
    assert feature.vocabulary_ == [3, "b", 1, "a", "c"]
    assert feature.transform([["a", "zzz", "3", 3], []]).to_list()[0].tolist() == [4, 0, 0, 1]
    assert feature.words([0, 1, 2]) == ["<unknown>", "3", "b"]


def test_limits_and_lower():
    data = [["A", "a", "b", "c"]]
    assert Tokens(min_count=2).fit(data).symbols == 1
    assert Tokens(min_count=2, lower=True).fit(data).vocabulary_ == ["a"]
    assert Tokens(max_words=2).fit(data).symbols == 3
    assert Tokens(max_words=2).fit(data).describe() == "tokens, 2 of 4 kept"
    with pytest.raises(OptionError, match=r"max_words = 'x'.*lower = None"):
        Tokens(max_words="x", lower=None).fit(data)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="not fitted"):
        Tokens().transform(data)


@pytest.mark.parametrize(
    "column",
    [
        (("a", "b"), ("b",)),
        [np.array(["a", "b"]), np.array(["b"], dtype=object)],
        np.array([["a", "b"], ["b"]], dtype=object),
        pd.Series([["a", "b"], ["b"]]),
        pl.Series([["a", "b"], ["b"]]),
        pa.array([["a", "b"], ["b"]]),
    ],
)
def test_columns_of_every_kind(column):
    assert [s.tolist() for s in Tokens().fit_transform(column)] == [[2, 1], [1]]


@pytest.mark.parametrize(
    "column", [[[5, 9], [9]], [np.array([5, 9]), [9]], [torch.tensor([5, 9]), [9]], Ragged.of([[5, 9], [9]])]
)
def test_ids_may_be_ints(column):
    assert [s.tolist() for s in Tokens().fit_transform(column)] == [[2, 1], [1]]


def test_a_table_of_tokens():
    assert Tokens().fit_transform(np.array([["a", "b"], ["b", "b"]])).values.tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([["a"], None], r"X: sequence 1 is None \(missing\)"),
        ([["a"], ["b", None]], r"X: sequence 1, step 1 is None \(missing\)"),
        ([["a"], ["b", 2.5]], "sequence 1, step 1 is a number, 2.5"),
        ([["a", True]], "sequence 0, step 1 is a number, True"),
        ([["a"], "a text"], "sequence 1 is a text.*use Text"),
        ([["a"], {"b": 1}], "sequence 1 is a dict"),
        ([["a", b"b"]], "sequence 0, step 1 is a bytes"),
        ([["a", ["b"]]], "sequence 0, step 1 is a list"),
        ([], "no sequences"),
    ],
)
def test_refusals_name_the_place(column, message):
    with pytest.raises(DataError, match=message):
        Tokens().fit(column)


def test_step_takes_a_token_or_a_list():
    feature = Tokens().fit([["a", "b", 7]])
    assert feature.step("b").tolist() == feature.step(["b"]).tolist()
    assert feature.step(7).tolist() == feature.step(np.int64(7)).tolist() != [0]
    with pytest.raises(DataError, match="missing"):
        feature.step(None)


@given(st.lists(st.lists(st.text(max_size=3) | st.integers(-5, 5)), min_size=1))
def test_save_and_restore(column):
    feature = Tokens()
    x = feature.fit_transform(column)
    again = Tokens.restore(feature.config(), feature.tensors(), feature.files())
    assert again.vocabulary_ == feature.vocabulary_
    assert torch.equal(again.transform(column).values, x.values)
    assert x.steps == 0 or int(x.values.min()) > 0


@pytest.mark.parametrize(
    ("config", "file"),
    [
        ({"symbols": 9}, None),
        ({"lower": 0}, None),
        ({"min_count": 0}, None),
        ({}, "{"),
        ({}, "{}"),
        ({}, '["a", "a"]'),
        ({}, '["a", 1.5]'),
        ({}, '["a", true]'),
    ],
)
def test_restore_refuses_what_cannot_be_right(config, file):
    feature = Tokens().fit([["a", "b"]])
    files = feature.files() if file is None else {"vocabulary.json": file}
    with pytest.raises(ModelFileError):
        Tokens.restore(feature.config() | config, {}, files)
    with pytest.raises(ModelFileError, match=r"no vocabulary\.json"):
        Tokens.restore(feature.config(), {}, {})
