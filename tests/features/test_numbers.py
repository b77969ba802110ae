import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from elman.errors import DataError, ModelFileError, OptionError
from elman.features.numbers import Numbers
from elman.ragged import Ragged

AS_IS = Numbers(scale="none")


@pytest.mark.parametrize(
    ("column", "lengths", "width"),
    [
        ([[1, 2], [3]], [2, 1], 1),
        ([[1, 2], [], [3.5]], [2, 0, 1], 1),
        ([[[1, 2]], [[3, 4], [5, 6]]], [1, 2], 2),
        ([[[1, 2]], []], [1, 0], 2),
        ([np.zeros((0, 3)), np.ones((2, 3))], [0, 2], 3),
        ([[True, False]], [2], 1),
        ([np.array([1, 2], dtype=np.uint8), np.array([3], dtype=np.float16)], [2, 1], 1),
        ([torch.ones(2), torch.ones(1, dtype=torch.bfloat16, requires_grad=True)], [2, 1], 1),
        (np.zeros((4, 5)), [5] * 4, 1),
        (np.zeros((4, 5), dtype=object), [5] * 4, 1),
        (np.zeros((4, 5, 2)), [5] * 4, 2),
        (torch.zeros(4, 5, 2), [5] * 4, 2),
        (np.zeros((4, 0)), [0] * 4, 1),
        (np.array([np.zeros(2), np.zeros(3)], dtype=object), [2, 3], 1),
        (Ragged.of([[1.0], [2.0, 3.0]]), [1, 2], 1),
        (Ragged.of([[[1.0, 2.0]], []]), [1, 0], 2),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), [2, 2], 1),
        (pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), [2, 2], 1),
        (pd.Series([[1.0], [2.0, 3.0]]), [1, 2], 1),
        (pl.Series([[1.0], [2.0, 3.0]]), [1, 2], 1),
        (pa.array([[1.0], [2.0, 3.0]]), [1, 2], 1),
        (pa.chunked_array([[[[1, 2]]], [[[3, 4], [5, 6]]]]), [1, 2], 2),
    ],
)
def test_columns_of_every_kind(column, lengths, width):
    x = Numbers().fit_transform(column)
    assert x.lengths.tolist() == lengths
    assert x.values.shape == (sum(lengths), width)
    assert x.values.dtype == torch.float32
    assert torch.equal(Numbers().fit(column).transform(column).values, x.values)


def test_each_column_gets_mean_0_and_deviation_1():
    column = [np.random.default_rng(0).normal([5, -1e6, 3], [2, 1e3, 0], (n, 3)) for n in (4, 0, 30)]
    y = Numbers().fit_transform(column).values
    assert y.mean(0).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert y.std(0, correction=0).tolist() == pytest.approx([1, 1, 0], abs=1e-5)
    assert AS_IS.fit_transform(column).values[0].tolist() == pytest.approx(column[0][0].tolist())


@pytest.mark.parametrize("column", [[[1e308, -1e308]], [[1e-320, 0.0]], [[1e9, 1e9 + 1]], [[7, 7]], [[2**70, 1]]])
def test_extreme_columns_stay_finite(column):
    assert Numbers().fit_transform(column).values.abs().max() <= 1.0


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.floats()))
@settings(deadline=None)
def test_any_array_is_finite_or_refused(array):
    for feature in (Numbers(), Numbers(scale="none")):
        try:
            x = feature.fit_transform(array)
        except DataError:
            assert np.isinf(array).any() or feature.scale == "none" or np.nanmax(np.abs(array)) > 1e300
            continue
        assert x.values.isfinite().all()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.array([[0, 1], [2, np.inf]]), r"X: sequence 1, step 1 is infinite \(inf\)"),
        ([[1.0], None], r"X: sequence 1 is None \(missing\)"),
        ([[1.0], [[1.0, 2.0]]], "sequence"),
        ([[[1.0]], [[1.0, 2.0]]], "X: sequence 1 has 2 numbers a step, sequence 0 has 1"),
        ([[[1.0], [1.0, 2.0]]], "X: sequence 0 has steps of unequal sizes"),
        ([1.0, 2.0], "X: sequence 0 is a number, 1.0.*Reshape your data"),
        (np.zeros(3), "1-D array of 3 numbers. Reshape your data"),
        (np.zeros((1, 1, 1, 1)), r"shape \[1, 1, 1, 1\]"),
        ([np.zeros((1, 1, 1))], r"sequence 0 has shape \[1, 1, 1\]"),
        (Ragged(torch.zeros(2, 3, 4), torch.tensor([0, 2])), r"steps of shape \[3, 4\]"),
        ([["1", "2"]], "sequence 0, step 0 is a text, '1', where a number was expected"),
        ([[1.0, 10**400]], "sequence 0, step 1 is a number, 1000"),
        ([[1.0, "2"]], "sequence 0, step 1 is a text, '2', where a number was expected"),
        ([[1.0, {}]], "sequence 0, step 1 is a dict"),
        (["12"], "sequence 0 is a text"),
        ([{1.0}], "sequence 0 is a set"),
        ([[1j]], "Complex data not supported"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), r"holds datetime64\[D\], not numbers"),
        (pd.DataFrame({"a": ["x"]}), "column 'a' of the frame holds"),
        ([], "no sequences"),
        (3.5, "X is a float"),
        ("text", "X is one text"),
    ],
)
def test_refusals_name_the_place(column, message):
    with pytest.raises(DataError, match=message):
        Numbers().fit(column)


def test_sparse_matrices_are_refused():
    from scipy.sparse import csr_matrix

    with pytest.raises(DataError, match="sparse matrix, but dense data is required"):
        Numbers().fit(csr_matrix([[1.0]]))


def test_widths_of_fit_and_transform_are_both_named():
    feature = Numbers().fit([[[1, 2, 3]]])
    for column in ([[[1, 2]]], np.zeros((1, 1, 2)), Ragged.of([[[1.0, 2.0]]])):
        with pytest.raises(DataError, match="2 numbers a step, but the feature was fitted on 3"):
            feature.transform(column)
    with pytest.raises(DataError, match="1 numbers a step, but the feature was fitted on 3"):
        feature.transform([[1, 2]])
    assert feature.transform([[]]).values.shape == (0, 3)


def test_numbers_beyond_float32_are_refused():
    with pytest.raises(DataError, match=r"sequence 0, step 0 is 1e\+300, too large for float32"):
        Numbers(scale="none").fit_transform([[1e300]])
    with pytest.raises(DataError, match="far from the training data"):
        Numbers().fit([[0, 1]]).transform([[1e300]])


def test_step():
    one, three = Numbers(scale="none").fit([[1.0]]), Numbers(scale="none").fit([[[1, 2, 3]]])
    assert one.step(5).tolist() == [[5]]
    assert one.step([5, 6]).tolist() == [[5], [6]]
    assert one.step(torch.tensor(5.0)).tolist() == [[5]]
    assert three.step([1, 2, 3]).tolist() == [[1, 2, 3]]
    assert three.step([[1, 2, 3], [4, 5, 6]]).shape == (2, 3)
    assert three.step([]).shape == (0, 3)
    for value in ([1, 2], 7):
        with pytest.raises(DataError, match="but the feature was fitted on 3"):
            three.step(value)
    assert one.step(None).tolist() == one.step(math.nan).tolist() == [[1.0]], "filled with the mean"
    with pytest.raises(DataError):
        one.step("x")


def test_module_and_description():
    feature = Numbers().fit([[[1, 2, 3]]])
    module = feature.module(64, 0.5)
    x = feature.transform([[[1, 2, 3]]])
    assert module.outputs == 3
    assert module(x) is x
    assert feature.describe() == "numbers, 3 columns, scaled to mean 0 and deviation 1"
    assert feature.symbols is None
    with pytest.raises(OptionError, match="scale = 'x'"):
        Numbers(scale="x").fit([[1]])
    with pytest.raises(OptionError, match="not fitted"):
        Numbers().module(1)


def test_save_and_restore():
    column = [[[1.0, 5.0], [2.0, 1e6]]]
    feature = Numbers().fit(column)
    again = Numbers.restore(feature.config(), feature.tensors(), feature.files())
    assert torch.equal(again.transform(column).values, feature.transform(column).values)


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        ({"width": 3}, {}),
        ({"width": "2"}, {}),
        ({"width": -1}, {}),
        ({"scale": "x"}, {}),
        ({}, {"mean": None}),
        ({}, {"mean": torch.zeros(2)}),
        ({}, {"deviation": torch.zeros(2, dtype=torch.float64)}),
        ({}, {"mean": torch.full((2,), math.nan, dtype=torch.float64)}),
    ],
)
def test_restore_refuses_what_cannot_be_right(config, tensors):
    feature = Numbers().fit([[[1.0, 5.0]]])
    with pytest.raises(ModelFileError):
        Numbers.restore(feature.config() | config, feature.tensors() | tensors, {})


@pytest.mark.parametrize(
    "column",
    [
        [np.zeros((3, 0))],
        np.zeros((2, 3, 0)),
        Ragged(torch.zeros(3, 0), torch.tensor([0, 3])),
        [np.zeros((3, 2)), np.zeros((3, 0))],
    ],
)
def test_steps_of_width_0_are_refused(column):
    with pytest.raises(DataError, match="steps without a number"):
        Numbers().fit(column)


def test_an_empty_frame_is_refused():
    with pytest.raises(DataError, match="a frame without columns"):
        Numbers().fit(pl.DataFrame())
    with pytest.raises(DataError, match="holds no sequences"):
        Numbers().fit(pl.DataFrame({"a": []}, schema={"a": pl.Float64}))


def test_flags_are_one_step_or_as_wide_as_a_step():
    one = Numbers(scale="none").fit([[True, False], [True]])
    assert one.step(True).tolist() == one.step(np.bool_(True)).tolist() == [[1.0]]
    two = Numbers(scale="none").fit([[[True, False], [True, True]]])
    assert two.step([True, False]).tolist() == [[1.0, 0.0]]
    assert two.step([[True, False], [False, True]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
