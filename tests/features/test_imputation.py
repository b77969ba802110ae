"""Gaps: each fill against a loop anyone can read, the mask and the age, streams, and what is missing altogether."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import DataError, ModelFileError, OptionError
from elman.features import infer
from elman.features.imputation import AHEAD, FILLS
from elman.features.numbers import Numbers

NAN = math.nan
WITH_GAPS = [[[NAN, 1.0], [2.0, NAN], [NAN, NAN], [4.0, 3.0]], [[NAN, NAN]] * 3, [], [[5.0, NAN], [NAN, 8.0]]]


def options(fill: str) -> dict[str, Any]:
    return {"fill": fill, "scale": "none"} | ({"season": 2} if fill == "seasonal" else {})


def by_hand(column: list[float], fill: str, filler: float, season: int, times: list[float]) -> list[float]:
    """One column of one sequence, filled step by step."""
    made = []
    for t, value in enumerate(column):
        before = [i for i in range(t) if not math.isnan(column[i])]
        after = [i for i in range(t, len(column)) if not math.isnan(column[i])]
        same = [i for i in before if (t - i) % season == 0]
        if not math.isnan(value):
            made.append(value)
        elif fill in ("mean", "median", "constant") or not (before or (after and fill in AHEAD)):
            made.append(filler)
        elif fill == "next":
            made.append(column[after[0]] if after else column[before[-1]])
        elif fill == "linear" and before and after:
            share = (times[t] - times[before[-1]]) / (times[after[0]] - times[before[-1]])
            made.append(column[before[-1]] * (1 - share) + column[after[0]] * share)
        elif fill == "linear":
            made.append(column[before[-1]] if before else column[after[0]])
        else:
            made.append(column[same[-1]] if fill == "seasonal" and same else column[before[-1]])
    return made


def ages_by_hand(column: list[float], times: list[float]) -> list[float]:
    seen = [[i for i in range(t) if not math.isnan(column[i])] for t in range(len(column))]
    return [times[t] - (times[before[-1]] if before else times[0]) for t, before in enumerate(seen)]


numbers = st.one_of(st.just(NAN), st.just(NAN), st.integers(-9, 9).map(float))
columns = st.lists(st.lists(numbers, max_size=9), min_size=1, max_size=5)


@given(columns, st.sampled_from(FILLS), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_every_fill_equals_the_loop(column: list[list[float]], fill: str, season: int, timed: bool) -> None:
    random = np.random.default_rng(len(column))
    times = [random.uniform(0.5, 3.0, len(s)).cumsum().tolist() for s in column]
    given = [np.stack([t, s], axis=1) if s else np.zeros((0, 2)) for t, s in zip(times, column, strict=True)]
    made = {"fill": fill, "scale": "none", "season": season, "constant": 7.0, "mask": True, "gap": True}
    feature = Numbers(**made, times=0).fit(given) if timed else Numbers(**made).fit(column)
    x = feature.transform(given if timed else column)
    assert x.values.isfinite().all()
    if all(math.isnan(value) for s in column for value in s):
        assert not x.values.any(), "a column that was never observed says nothing"
        return
    filler, rate = float(feature.filler_[0]), float(feature.rate_[0])
    for sequence, rows, clock in zip(column, x, times, strict=True):
        at = clock if timed else list(range(len(sequence)))
        expected = by_hand(sequence, fill, filler, season, at)  # type: ignore[arg-type]
        assert rows[:, 0].tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert rows[:, 1].tolist() == [float(not math.isnan(value)) for value in sequence]
        age = [rate * a for a in ages_by_hand(sequence, at)]  # type: ignore[arg-type]
        assert rows[:, 2].tolist() == pytest.approx(age, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("fill", "filler"),
    [("mean", 3.0), ("median", 2.0), ("last", 3.0), ("next", 3.0), ("constant", 0.0), ("decay", 3.0)],
)
def test_what_stands_where_there_is_nothing(fill: str, filler: float) -> None:
    feature = Numbers(**options(fill)).fit([[1.0, 2.0, 6.0, NAN]])
    assert feature.transform([[NAN, NAN]]).values[:, 0].tolist() == pytest.approx([filler, filler])
    scaled = Numbers(fill=fill).fit([[1.0, 2.0, 6.0, NAN]])
    expected = (filler - 3.0) / math.sqrt(14 / 3)
    assert scaled.transform([[NAN]]).values[0, 0].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "column",
    [
        [[1.0, None], [3]],
        [[1.0, NAN], [3]],
        [np.ma.masked_array([1.0, 2.0], [False, True]), [3]],
        [np.array([1, None], dtype=object), [3]],
        [torch.tensor([1.0, NAN]), [3]],
        [pd.array([1, pd.NA], dtype="Int64"), [3]],
        pd.Series([[1.0, None], [3.0]]),
        pl.Series([[1.0, None], [3.0]]),
        pa.array([[1.0, None], [3.0]]),
    ],
)
def test_missing_comes_in_many_shapes(column: Any) -> None:
    feature = infer(column)
    assert isinstance(feature, Numbers)
    assert feature.fit_transform(column).values.tolist() == [[-1, 1, 0], [-1, 0, 3], [1, 1, 0]]
    assert feature.missing_.tolist() == pytest.approx([1 / 3])


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"a": [1.0, 3], "b": [NAN, 3]}), pl.DataFrame({"a": [1, 3], "b": [None, 3]})]
)
def test_frames_with_gaps(frame: Any) -> None:
    assert Numbers(mask=False, gap=False, scale="none").fit_transform(frame).values.tolist() == [[1], [1], [3], [3]]


def test_masked_tables_and_sequences_that_begin_with_gaps() -> None:
    table = np.ma.masked_array(np.array([[1.0, 2.0], [3.0, 4.0]]), [[True, False], [False, False]])
    assert Numbers().fit(table).missing_.tolist() == [0.25]
    for column in ([[None, 1.0], [NAN]], [[NAN], [NAN]], [[None, [1.0, 2.0]][1:]]):
        assert isinstance(infer(column), Numbers)


def test_complete_data_stay_as_they_were() -> None:
    feature = Numbers().fit([[1.0, 3.0], [5.0]])
    assert (feature.outputs, feature.has_mask_, feature.has_gap_) == (1, False, False)
    assert feature.transform([[NAN, 3.0, NAN]]).values.flatten().tolist() == [0, 0, 0], "gaps come later: filled"
    assert "missing" not in feature.describe()
    both = Numbers(mask=True, gap=True).fit([[1.0, 3.0], [5.0]])
    assert both.transform([[3.0, NAN]]).values.tolist() == [[0, 1, 0], [0, 0, 3]]
    assert Numbers(mask=False, gap=False).fit([[1.0, NAN]]).outputs == 1
    assert Numbers(gap=False).fit([[1.0, NAN]]).outputs == 2


def test_a_column_that_was_never_observed_is_0_whatever_comes() -> None:
    feature = Numbers().fit([[[1.0, NAN], [3.0, NAN]]])
    x = feature.transform([[[1.0, 1e9], [NAN, NAN]]]).values
    assert x.tolist() == [[-1, 0, 1, 0, 0, 0], [-1, 0, 0, 0, 2, 0]]
    assert feature.describe().endswith("50 % missing, filled: last + mask + gap, 1 never observed")
    assert not Numbers().fit([[NAN, NAN], [NAN]]).transform([[5.0]]).values.any(), "nor one alone"


def test_a_constant_column_with_gaps() -> None:
    assert Numbers().fit_transform([[7.0, NAN, 7.0]]).values[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [1e308, 1e-300, 1.0])
def test_statistics_of_what_was_observed(size: float) -> None:
    feature = Numbers().fit([[[size, 5.0], [NAN, NAN], [-size, 7.0]]])
    assert feature.mean_.tolist() == pytest.approx([0.0, 6.0])
    assert feature.deviation_.tolist() == pytest.approx([size, 1.0])


# ---- outliers


def test_outliers() -> None:
    column = [[1.0, 2.0, 3.0, 4.0, 5.0, 1000.0, NAN, -math.inf]]
    with pytest.raises(DataError, match=r"X: sequence 0, step 7 is infinite \(-inf\). Replace it, or set outliers="):
        Numbers().fit(column)
    clip = Numbers(outliers="clip", outlier_limit=3.0, scale="none").fit(column)
    spread = 3 * 1.4826 * 1.5  # of 1 2 3 4 5 1000: median 3.5, median distance 1.5
    x = clip.transform(column).values[:, 0].tolist()
    assert x[5:] == pytest.approx([3.5 + spread, 3.5 + spread, 3.5 - spread], rel=1e-6)
    assert clip.outliers_.tolist() == [2]
    assert clip.describe().endswith("2 outliers clipped")
    gone = Numbers(outliers="missing", outlier_limit=3.0, scale="none").fit(column)
    assert gone.transform(column).values[:, :2].tolist()[5:] == [[5.0, 0.0]] * 3
    assert gone.describe().endswith("2 outliers taken as missing")
    assert Numbers(outliers="keep").fit([column[0][:7]]).outliers_.tolist() == [1]
    with pytest.raises(DataError, match="sequence 1, step 0, column 1 is infinite"):
        Numbers().fit([[[1.0, 2.0]], [[1.0, math.inf]]])


def test_a_column_of_mostly_one_number_has_no_outliers() -> None:
    assert Numbers().fit([[0.0] * 9 + [1.0]]).outliers_.tolist() == [0]
    clip = Numbers(outliers="clip", scale="none").fit([[0.0] * 9 + [1.0]])
    assert clip.transform([[math.inf]]).values.tolist() == [[1.0]]


# ---- time stamps


def test_time_stamps_are_taken_out_and_their_distance_is_the_gap() -> None:
    feature = Numbers(times=0).fit([[[10.0, 1.0], [11.0, 3.0], [15.0, 5.0]]])
    x = feature.transform([[[0.0, 3.0], [5.0, 3.0]]]).values
    assert (feature.width_, feature.has_mask_, feature.has_gap_) == (1, False, True)
    assert x.tolist() == [[0, 0], [0, 3]]  # the mean gap was 5 / 3
    last = Numbers(times=-1).fit([[[1.0, 10.0], [3.0, 11.0], [5.0, 15.0]]])
    assert torch.equal(last.transform([[[3.0, 0.0], [3.0, 5.0]]]).values, x)


@pytest.mark.parametrize(
    ("column", "given", "message"),
    [
        (
            [[[2, 1], [1, 1]]],
            {},
            "sequence 0, steps 0 and 1 have the times 2 and 1, which must increase. Set sort=True",
        ),
        (
            [[], [[1, 1], [2, 1], [2, 3]]],
            {},
            "sequence 1, steps 1 and 2 have the same time, 2. Drop one, or set every=",
        ),
        ([[[2, 1], [1, 1], [2, 5]]], {"sort": True}, "sequence 0, steps 0 and 2 have the same time, 2"),
        ([[[NAN, 1]]], {}, "sequence 0, step 0 has no time stamp: column 0 is nan"),
        ([[1.0]], {}, "X has 1 numbers a step, so that times = 0 leaves no column of values"),
        ([[[0.0, 1], [1e12, 1]]], {"every": 1.0}, r"sequence 0 is cut into 1e\+12 steps by every = 1. Check the unit"),
    ],
)
def test_time_stamps_that_cannot_be(column: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Numbers(times=0, **given).fit(column)


def test_sorted_and_resampled() -> None:
    column = [[[3.0, 30.0], [1.0, 10.0], [1.5, 20.0]], [], [[7.25, NAN], [7.5, 5.0]]]
    made = Numbers(times=0, sort=True, scale="none", gap=False, mask=False).fit_transform(column)
    assert made.to_list()[0].flatten().tolist() == [10, 20, 30]
    made = Numbers(times=0, every=1.0, scale="none", gap=False, mask=False).fit_transform(column)
    assert made.lengths.tolist() == [3, 0, 1]
    assert made.values.flatten().tolist() == [15, 15, 30, 5]


# ---- streams


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("fill", [fill for fill in FILLS if fill not in AHEAD])
@pytest.mark.parametrize("beside", [None, True, False])
def test_a_stream_has_the_bits_of_the_whole(fill: str, beside: bool | None, timed: bool) -> None:
    if fill == "decay" and beside is False:
        return
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 2))
    values[random.random((60, 2)) < 0.6] = NAN
    if timed:
        values = np.concatenate([random.uniform(0.1, 3, 60).cumsum()[:, None], values], axis=1)
    given = {"fill": fill, "mask": beside, "gap": beside, "times": 0 if timed else None}
    feature = Numbers(**given, season=5, outliers="clip", outlier_limit=1.0).fit([values[:30], values[30:]])
    feature = Numbers.restore(feature.config(), feature.tensors(), {})
    whole = feature.transform([values]).values
    state, made, at = feature.initial_state(), [], 0
    for size in (1, 0, 2, 1, 10, 46):
        steps, state = feature.advance(values[at : at + size], state)
        made.append(steps)
        at += size
    assert torch.equal(torch.cat(made), whole)
    if timed:
        with pytest.raises(DataError, match="does not come after"):
            feature.advance(values[3], state)


@pytest.mark.parametrize("given", [{"fill": "next"}, {"fill": "linear"}, {"times": 0, "every": 1.0}])
def test_what_looks_ahead_does_not_stream(given: dict[str, Any]) -> None:
    feature = Numbers(**given).fit([[[1.0, 2.0]]])
    with pytest.raises(OptionError, match="cannot stream: it reads later steps"):
        feature.initial_state()


# ---- options, and on disk


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fill": "x"}, "fill = 'x' must be one of mean, median, last"),
        ({"fill": "seasonal"}, 'fill = "seasonal" needs season'),
        ({"fill": "decay", "mask": False}, 'fill = "decay" needs the mask and the gap'),
        ({"mask": 1, "gap": "x"}, "mask = 1 must be True, False or None; gap = 'x'"),
        ({"season": 0}, "season = 0"),
        ({"constant": NAN}, "constant = nan"),
        (
            {"outliers": "drop", "outlier_limit": 0},
            "outliers = 'drop' must be one of keep, clip, missing; outlier_limit",
        ),
        ({"every": 1.0}, "times = None must be .* for every and sort"),
        ({"times": 0, "every": -1.0}, "every = -1.0"),
        ({"times": 0.5}, "times = 0.5"),
        ({"sort": 1}, "sort = 1"),
        ({"scale": "none", "fill": "constant", "constant": 1e300}, "constant = 1e\\+300 is too large"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Numbers(**given).fit([[1.0, NAN]])


@pytest.mark.parametrize("fill", FILLS)
def test_saved_and_restored(fill: str) -> None:
    feature = Numbers(**options(fill)).fit(WITH_GAPS)
    again = Numbers.restore(feature.config(), feature.tensors(), {})
    assert torch.equal(again.transform(WITH_GAPS).values, feature.transform(WITH_GAPS).values)
    assert again.describe() == feature.describe()
    assert repr(again) == repr(feature)


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        ({"fill": "x"}, {}),
        ({"has_mask": 1}, {}),
        ({"season": "x"}, {}),
        ({}, {"filler": None}),
        ({}, {"rate": torch.full((2,), -1.0, dtype=torch.float64)}),
        ({}, {"missing": torch.full((2,), 1.5, dtype=torch.float64)}),
        ({}, {"limits": torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)}),
        ({}, {"outliers": torch.tensor([-1, 0])}),
    ],
)
def test_restore_refuses_what_cannot_be(config: dict[str, Any], tensors: dict[str, Any]) -> None:
    feature = Numbers().fit(WITH_GAPS)
    with pytest.raises(ModelFileError):
        Numbers.restore(feature.config() | config, feature.tensors() | tensors, {})
