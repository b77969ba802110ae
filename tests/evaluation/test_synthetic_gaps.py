"""Each pattern makes the holes it promises: as many as the rate says, where it says, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import DataError, OptionError
from elman.evaluation.synthetic_gaps import PATTERNS, holes

RATES = [0.0, 0.05, 0.2, 0.5, 0.8, 1.0]
STEPS, WIDTH, SEASON = 240, 10, 24
VALUES = np.random.default_rng(7).normal(size=(STEPS, WIDTH)).cumsum(axis=0)
DRAWN = [name for name in PATTERNS if name != "repeated"]  # which values repeat is no matter of chance


def runs(lost: Any) -> list[int]:
    """How long each run of lost steps is."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_rate_is_met_and_the_rest_is_untouched(pattern: str, rate: float) -> None:
    made = holes(VALUES, pattern, rate, seed=3, season=SEASON)
    lost = np.isnan(made)
    assert np.array_equal(made[~lost], VALUES[~lost])
    assert np.isfinite(VALUES).all(), "the data of the caller are not touched"
    assert abs(lost.mean() - rate) <= {"channel": 0.5 / WIDTH, "seasonal": 0.5 / SEASON}.get(pattern, 1 / STEPS)
    if pattern not in ("random", "channel"):
        worst = np.abs(lost.mean(axis=0) - rate).max()
        assert worst <= (0.5 / SEASON if pattern == "seasonal" else 1 / STEPS) + 1e-9, "of every column"
    assert np.array_equal(np.isnan(holes(VALUES, pattern, rate, seed=3, season=SEASON)), lost)
    if pattern in DRAWN and 0.1 < rate < 0.9:
        other = [np.isnan(holes(VALUES, pattern, rate, seed=seed, season=SEASON)) for seed in range(5)]
        assert not all(np.array_equal(one, lost) for one in other), "another seed, other holes"


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.8])
def test_where_the_holes_are(rate: float) -> None:
    lost = {name: np.isnan(holes(VALUES, name, rate, season=SEASON)) for name in PATTERNS}
    for column in range(WIDTH):
        assert max(runs(lost["scattered"][:, column] if rate <= 0.5 else ~lost["scattered"][:, column])) == 1
        assert len(runs(lost["block"][:, column])) == 1
        assert len(runs(lost["blocks"][:, column])) == 5
        distances = np.diff(np.flatnonzero(lost["periodic"][:, column]))
        assert distances.max() - distances.min() <= 1
        by_day = lost["seasonal"][:, column].reshape(-1, SEASON)
        assert (by_day == by_day[0]).all()
        change = np.abs(np.diff(VALUES[:, column]))
        gone = lost["repeated"][1:, column]
        assert change[gone].max() <= change[~gone].min()
        assert not lost["repeated"][0, column]
        assert VALUES[lost["value"][:, column], column].mean() > VALUES[~lost["value"][:, column], column].mean()
        assert lost["channel"][:, column].all() or not lost["channel"][:, column].any()
    assert (lost["sparse"] == lost["sparse"][:, :1]).all()
    assert len(np.unique(lost["random"], axis=1).T) == WIDTH, "each column has holes of its own"


@given(st.sampled_from(sorted(PATTERNS)), st.floats(0, 1), st.integers(0, 9), st.integers(0, 4), st.integers(0, 99))
def test_any_size_and_rate(pattern: str, rate: float, steps: int, width: int, seed: int) -> None:
    made = holes(np.ones((steps, width)), pattern, rate, seed, season=3)
    assert made.shape == (steps, width)
    assert abs(np.isnan(made).sum() - rate * steps * width) <= width + steps


def test_one_column() -> None:
    assert np.isnan(holes(np.arange(10.0), "sparse", 0.9)).sum() == 9
    assert holes([1, 2], "random", 0).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pattern": "rando"}, "pattern = 'rando' must be one of random, scattered"),
        ({"rate": 1.5}, "rate = 1.5 must be a number from 0 to 1"),
        ({"rate": "x", "seed": -1}, "rate = 'x' must be a number from 0 to 1; seed = -1 must be a whole number"),
        ({"pattern": ["block"]}, r"pattern = \['block'\] must be one of"),
        ({"season": 0}, "season = 0 must be a whole number of at least 1"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        holes([1.0], **given)


def test_values_that_cannot_be() -> None:
    with pytest.raises(DataError, match="has gaps"):
        holes([1.0, np.nan])
    with pytest.raises(DataError, match=r"shape \[1, 1, 1\]"):
        holes(np.zeros((1, 1, 1)))
    for odd in ("abc", [1, "a"], [10**400], {}):
        with pytest.raises(DataError, match="holds something that is no number"):
            holes(odd)  # type: ignore[arg-type]


def test_numbers_near_the_end_of_float64() -> None:
    assert np.isnan(holes(np.array([1.7e308, 1.0, -1.7e308, 1.6e308]), "value", 0.5)).sum() == 2
