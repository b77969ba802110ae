"""Columns are taken by their names, whatever the names are, and never by their places."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from elman.errors import DataError
from elman.features.containers import by_name
from elman.tasks import Classifier, Generator, Multitask, Regressor, Tagger, Translator, load

SMALL: dict[str, Any] = {"hidden": 3, "epochs": 1, "verbose": False, "seed": 0}
LABELS = ["u", "v"] * 4
NUMBERS = np.random.default_rng(0).normal(size=(8, 5))
TEXTS = ["a good film", "a bad film", "so fine", "so dull"] * 2
WORDS = [["a", "dog"], ["the", "cat"]] * 4

FRAMES: dict[str, dict[str, Any]] = {
    "table": {name: NUMBERS[:, i] for i, name in enumerate("abcde")},
    "mixed": {"text": [f"{text} {i}" for i, text in enumerate(TEXTS)], "age": list(range(8)), "size": NUMBERS[:, 0]},
    "series": {"x": list(NUMBERS), "z": list(2 * NUMBERS)},
}
MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table, "dict": dict}
#: What each task learns from a frame beside the targets, and its answers.
TASKS: dict[str, Any] = {
    "classify": (lambda X: Classifier(**SMALL).fit(X, LABELS), lambda m, X: m.predict_proba(X)),
    "regress": (lambda X: Regressor(**SMALL).fit(X, np.arange(8.0)), lambda m, X: m.predict(X)),
    "multitask": (lambda X: Multitask(**SMALL).fit(X, {"y": LABELS}), lambda m, X: m.predict_proba(X)["y"]),
}


def plain(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: [v.tolist() if isinstance(v, np.ndarray) else v for v in values] for name, values in columns.items()}


@pytest.mark.parametrize(
    ("task", "kind", "library"),
    [(t, k, m) for t in TASKS for k in FRAMES for m in MAKE if t == "classify" or (m, k) == ("pandas", "table")],
)
def test_by_name(task: str, kind: str, library: str, tmp_path: Path) -> None:
    fit, answer = TASKS[task]
    make, columns = MAKE[library], plain(FRAMES[kind])
    model = fit(make(columns))
    expected = answer(model, make(columns))
    assert model.feature_names_in_.tolist() == model.input_ == list(columns)
    turned = dict(reversed(columns.items()))
    wide = {"more": [1.0] * 8, **turned, "other": TEXTS}
    model.save(tmp_path / "model")
    for one in (model, load(tmp_path / "model")):
        np.testing.assert_array_equal(answer(one, make(turned)), expected)
        np.testing.assert_array_equal(answer(one, make(wide)), expected)
        for other in MAKE.values():
            np.testing.assert_array_equal(answer(one, other(turned)), expected)
        first, *rest = columns
        with pytest.raises(DataError, match=rf"'{first}' is no column of X.* X has '{first}_1', .*mean '{first}_1'\?"):
            answer(one, make({f"{first}_1": columns[first], **{name: columns[name] for name in rest}}))
        with pytest.raises(DataError, match=f"'{first}'.*are no columns of X"):
            answer(one, make({"nothing": [1.0] * 8}))


def test_rows_of_a_frame_and_other_indices() -> None:
    frame = pd.DataFrame(FRAMES["table"], index=range(8, 0, -1))
    model = Classifier(**SMALL).fit(frame, LABELS)
    expected = model.predict_proba(frame)
    np.testing.assert_array_equal(model.predict_proba(frame.iloc[2:5]), expected[2:5])
    np.testing.assert_array_equal(model.predict_proba(frame.iloc[:, ::-1].iloc[[7]]), expected[[7]])
    assert model.n_features_in_ == 5
    with pytest.raises(DataError, match="'e' is no column"):
        model.predict(frame.iloc[:, :4])


def test_targets_by_name() -> None:
    frame = pd.DataFrame(FRAMES["table"]).assign(one=range(8), two=[2.0, 1.0] * 4)
    reg = Regressor(**SMALL).fit(frame, ["one", "two"])
    assert reg.target_ == reg.data_["target"] == ["one", "two"]
    score, X = reg.score(frame, ["one", "two"]), frame[list("abcde")]
    assert reg.score(X, frame[["two", "one"]]) == score == reg.score(frame[frame.columns[::-1]], ["two", "one"])
    assert Regressor(**SMALL).fit(X, frame["one"]).data_["target"] == "one"
    assert Classifier(**SMALL).fit(X, LABELS).target_ is None
    multi = Multitask(**SMALL).fit(frame, ["one", "two"])
    assert multi.score(frame[frame.columns[::-1]], ["two", "one"]) == multi.score(frame, ["one", "two"])


def test_columns_of_a_tagger_and_a_translator() -> None:
    frame = pd.DataFrame({"w": WORDS, "p": [["D", "N"]] * 8, "t": [["x", "y"]] * 8})
    tagger = Tagger(characters=2, word_shape=2, **SMALL).fit(frame, "t")
    expected = tagger.predict_proba(frame)
    np.testing.assert_array_equal(tagger.predict_proba(frame[["t", "p", "w"]]), expected)
    with pytest.raises(DataError, match=r"'p' is no column of X"):
        tagger.predict(frame[["w", "t"]])
    pairs = pd.DataFrame({"en": TEXTS, "fr": [text.upper() for text in TEXTS]})
    model = Translator(embed=4, **SMALL).fit(pairs, "fr")
    assert model.predict(pairs[["fr", "en"]].assign(more=1)) == model.predict(pairs) == model.predict(TEXTS)
    with pytest.raises(DataError, match=r"'en' is no column of X.*mean 'eng'\?"):
        model.predict(pairs.rename(columns={"en": "eng"}))
    generator = Generator(ngrams=2, **SMALL).fit(pairs[["en"]])
    np.testing.assert_array_equal(generator.nats(pairs), generator.nats(TEXTS))


# ---- names that are no texts

NAMES: dict[str, list[Any]] = {
    "whole numbers": [0, 1, 2, 3, 4],
    "of numpy": [np.int64(i) for i in range(5)],
    "dates": [dt.date(2024, 1, i) for i in range(1, 6)],
    "stamps": list(pd.date_range("2024-01-01", periods=5)),
    "tuples": [("a", i) for i in range(5)],
    "two levels": pd.MultiIndex.from_product([["a"], range(5)]),
    "mixed": [None, 1.5, "c", True, float("inf")],
}


@pytest.mark.parametrize(
    ("task", "names"), [(t, n) for t in TASKS for n in NAMES if t == "classify" or n == "whole numbers"]
)
def test_names_that_are_no_texts(task: str, names: str) -> None:
    fit, answer = TASKS[task]
    frame = pd.DataFrame(NUMBERS)
    frame.columns = NAMES[names]
    expected = answer(model := fit(pd.DataFrame(FRAMES["table"])), pd.DataFrame(FRAMES["table"]))
    model = fit(frame)
    np.testing.assert_array_equal(answer(model, frame), expected)
    np.testing.assert_array_equal(answer(model, frame.iloc[:, ::-1]), expected)
    assert all(type(name) is str for name in model.input_)
    with pytest.raises(DataError, match="is no column of X"):
        answer(model, frame.iloc[:, 1:])


@pytest.mark.parametrize("target", ["1", 1, np.int64(1)])
def test_a_target_whose_name_is_a_number(target: Any) -> None:
    frame = pd.DataFrame({0: TEXTS, 1: LABELS})
    expected = Classifier(**SMALL).fit(TEXTS, LABELS).predict_proba(TEXTS)
    for given in ((frame, target), (frame[[0]], frame[1])):
        model = Classifier(**SMALL).fit(*given)
        np.testing.assert_array_equal(model.predict_proba(frame), expected)
        assert (model.input_, model.target_) == ("0", "1")
    assert model.score(frame, target) == model.score(TEXTS, LABELS)
    assert Translator(embed=4, **SMALL).fit(frame[[0]], frame[1]).input_ == "0"
    assert Translator(embed=4, **SMALL).fit(frame, target).target_ == "1"
    assert Multitask(**SMALL).fit(frame, target).target_ == ["1"]
    assert Generator(ngrams=2, **SMALL).fit(frame[[0]]).input_ == "0"
    assert Tagger(**SMALL).fit(pd.DataFrame({0: TEXTS, 1: TEXTS}), target).input_ == "0"


def test_names_that_are_the_same() -> None:
    for frame in (pd.DataFrame({"1": TEXTS, 1: TEXTS}), {"1": TEXTS, 1: TEXTS}):
        with pytest.raises(DataError, match="X has two columns called '1': '1' and 1"):
            Classifier(**SMALL).fit(frame, LABELS)
    twice = pd.DataFrame(NUMBERS[:, :2], columns=["a", "a"])
    for fit, _ in TASKS.values():
        with pytest.raises(DataError, match="'a' 2 times"):
            fit(twice)


def test_columns_that_are_faulty() -> None:
    frame = pd.DataFrame(FRAMES["table"])
    model = Classifier(**SMALL).fit(frame, LABELS)
    for bad, message in (
        (frame.assign(b=TEXTS), "column 'b' of the frame holds a text, 'a good film'"),
        (frame.astype(object).assign(b=[1.0] * 7 + ["x"]), "column 'b', row 7 is a text, 'x'"),
        (frame.assign(b=pd.Timestamp("2024-01-01")), "column 'b' of the frame holds a Timestamp"),
        (frame.assign(b=1j), "Complex data not supported: X: column 'b'"),
        ({**FRAMES["table"], "b": [1.0]}, "column 'b' has 1 rows, 'a' has 8"),
    ):
        with pytest.raises(DataError, match=message):
            model.predict(bad)
    with pytest.raises(DataError, match="X has no column to read"):
        Classifier(**SMALL).fit(pd.DataFrame(index=range(8)), LABELS)


def test_columns_that_are_skipped_leave_a_table() -> None:
    frame = pd.DataFrame(FRAMES["table"]).assign(id=range(8))
    model = Classifier(features={"id": "skip"}, **SMALL).fit(frame, LABELS)
    expected = Classifier(**SMALL).fit(frame.drop(columns="id"), LABELS).predict_proba(frame)
    np.testing.assert_array_equal(model.predict_proba(frame), expected)


def test_by_name_knows_what_has_names() -> None:
    assert by_name(np.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)])) is not None
    assert list(by_name(pa.record_batch({"a": [1], "b": [2]})) or ()) == ["a", "b"]
    assert by_name(np.zeros((2, 2))) is by_name([1]) is by_name("a") is None
    assert by_name({}) == {}
