"""Chords: their symbols and back, what is refused, half-tones up and down."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError, ModelFileError, OptionError
from elman.features import Chords
from elman.features.chords import below, transposed

PIECES = [[[60, 64, 67], [], [127, 0]], [], [[]]]


def test_there_and_back() -> None:
    feature = Chords().fit(PIECES)
    codes = feature.transform(PIECES)
    assert codes.values.tolist() == [68, 65, 61, 129, 129, 128, 1, 129, 129]
    assert [feature.chords(piece.tolist()) for piece in codes.to_list()] == [[[60, 64, 67], [], [0, 127]], [], [[]]]
    assert feature.words([61, 129, 0]) == ["60", "|", "<unknown>"]
    assert feature.describe() == "chords, notes 0 to 127"
    assert feature.chords([61, 62]) == []


def test_one_order_for_each_chord() -> None:
    feature = Chords().fit(PIECES)
    orders = feature.transform([[[60, 67, 64]], [[67, 64, 60]], [[60, 60, 64, 67]]]).to_list()
    assert all(order.tolist() == [68, 65, 61, 129] for order in orders)


@pytest.mark.parametrize("column", [PIECES, tuple(PIECES), pl.Series(PIECES), [np.array([[60, 64]]), PIECES[0]]])
def test_columns_of_every_kind(column: Any) -> None:
    assert len(Chords().fit(column).transform(column)) == len(column)


def test_pieces_of_a_stream() -> None:
    feature = Chords().fit(PIECES)
    assert feature.step([60, 64]).tolist() == feature.step([[64, 60]]).tolist() == [65, 61, 129]
    assert feature.step([[]]).tolist() == [129]
    assert feature.step([]).tolist() == []


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([[[128]]], "sequence 0, step 0 has a number, 128. A note is a MIDI number"),
        ([[[60], [60.5]]], "sequence 0, step 1 has a number, 60.5"),
        ([[[True]]], "sequence 0, step 0 has a number, True"),
        ([[60, 64]], "sequence 0, step 0 is a number, 60. A chord is a list of notes"),
        ([[[60]], None], "sequence 1 is None"),
        (["C E G"], "sequence 0 is a text"),
        ([], "no sequences"),
    ],
)
def test_refused(column: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Chords().fit(column)


def test_what_is_not_fitted_or_cannot_be_restored() -> None:
    with pytest.raises(OptionError, match="not fitted"):
        Chords().transform(PIECES)
    with pytest.raises(DataError, match="130 is no symbol"):
        Chords().fit(PIECES).words([130])
    for wrong in ({"lowest": 9, "highest": 3}, {"lowest": 0, "highest": 128}, {}, {"lowest": "0"}):
        with pytest.raises(ModelFileError):
            Chords.restore({"highest": 4, **wrong}, {}, {})
    feature = Chords().fit([[[50, 60]]])
    assert Chords.restore(feature.config(), {}, {}).describe() == feature.describe()


def test_half_tones() -> None:
    assert transposed(PIECES, 1) == [[], [[]]]  # 127 cannot go up
    assert transposed([[[60, 64]]], 3) == [[[63, 67]]]


def test_what_may_come_next() -> None:
    symbols = ["<unknown>", "60", "61", "|", ""]
    assert set(below([], symbols)) == {"60", "61", "|", ""}
    assert set(below(["60", "|"], symbols, ends=False)) == {"60", "61", "|"}
    assert set(below(["61"], symbols)) == {"60", "|"}
