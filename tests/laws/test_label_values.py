"""What fit takes for a label, save and load bring back; what they could not is refused with its place."""

from __future__ import annotations

import datetime as dt
import enum
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, cross_val_score

from elman import Classifier, Multitask, Tagger, load
from elman.errors import DataError, OptionError
from elman.tasks.classify.class_weights import class_weights
from elman.validation.plain_values import plain_value

SMALL: dict[str, Any] = {"hidden": 2, "embed": 2, "epochs": 1, "batch_sequences": 8, "verbose": False, "seed": 0}
TEXTS = ["a good film", "a bad film"] * 6
WORDS = [text.split() for text in TEXTS]


class Mood(str, enum.Enum):  # noqa: UP042  # whose str() is its name
    GOOD = "positive"
    BAD = "negative"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Plain(enum.Enum):
    A = "a"
    B = "b"


class _Task:
    """A task with labels: how it learns two of them, and what it then says of them."""

    def __init__(self, made: Callable[..., Any], X: list[Any], y: Callable[[Any, Any], Any], of: str = "") -> None:
        self.made, self.X, self.y, self.of = made, X, y, of

    def fit(self, one: Any, other: Any) -> Any:
        return self.made(**SMALL).fit(self.X, self.y(one, other))

    def told(self, model: Any, one: Any, other: Any) -> tuple[list[Any], list[Any], float]:
        classes, answers = model.classes_, model.predict(self.X)
        if self.of:
            classes, answers = classes[self.of], answers[self.of]
        flat = answers.tolist() if isinstance(answers, np.ndarray) else [label for own in answers for label in own]
        return classes.tolist(), flat, model.score(self.X, self.y(one, other))


def _column(one: Any, other: Any) -> list[Any]:
    return [one, other] * 6


TASKS = {
    "classify": _Task(Classifier, TEXTS, _column),
    "multitask": _Task(
        lambda **k: Multitask(targets={"mood": "label"}, **k), TEXTS, lambda a, b: {"mood": _column(a, b)}, "mood"
    ),
    "tag": _Task(
        lambda **k: Tagger(characters=0, word_shape=0, bidirectional=False, **k), WORDS, lambda a, b: [[a, b, a]] * 12
    ),
}

TAKEN: dict[str, tuple[Any, Any]] = {
    "enumerations": (Mood.GOOD, Mood.BAD),
    "NumPy texts": (np.str_("b"), np.str_("a")),
    "whole enumerations": (Level.LOW, Level.HIGH),
    "NumPy numbers": (np.int64(1), np.int64(0)),
    "NumPy truth values": (np.True_, np.False_),
    "truth values": (True, False),
    "arrays": (np.array("a"), np.array("b")),
    "Decimals": (Decimal("1.0"), Decimal(3)),
    "int and float": (1, 2.0),
    "floats": (-0.0, 1e300),
    "the largest": (2**63 - 1, -(2**63)),
    "a NUL at the end": ("a\0", "a"),
    "NULs within": ("a\0b", "\0"),
    "nothing": ("", "a"),
    "long": ("x" * 3000, "b"),
    "lines and signs": ("a\nb", "😀 e\u0301"),
    "numbers as texts": ("1", "01"),
}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.tasks.base.task.learning_curve", lambda *given, **more: None)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("pair", TAKEN)
def test_what_is_taken_comes_back(task: str, pair: str, tmp_path: Path) -> None:
    one, other = TAKEN[pair]
    model = TASKS[task].fit(one, other)
    classes, answers, score = TASKS[task].told(model, one, other)
    assert classes == sorted({plain_value(one), plain_value(other)})
    assert {type(label) for label in classes} <= {str, int, bool, float}
    assert len({type(label) for label in classes}) == 1
    assert score == np.mean([a == b for a, b in zip(answers, _truth(task, one, other), strict=True)])
    model.save(tmp_path / "model")
    again = TASKS[task].told(load(tmp_path / "model"), one, other)
    assert repr(again) == repr((classes, answers, score))


def _truth(task: str, one: Any, other: Any) -> list[Any]:
    own = [one, other, one] * 12 if task == "tag" else [one, other] * 6
    return [plain_value(label) for label in own]


REFUSED: dict[str, tuple[Any, Any]] = {
    "half a character": ("a", "\ud83d"),
    "too large": (1, 2**70),
    "text and number": (1, "1"),
    "truth value and number": (True, 1),
    "too large a float beside ints": (1, 1e300),
    "bytes": ("a", b"b"),
    "a fraction": (1, 1.5),
    "infinity": (1, float("inf")),
    "complex": (1, 1j),
    "a date": ("a", dt.date(2020, 1, 1)),
    "a NumPy date": ("a", np.datetime64("2020", "ns")),
    "a time stamp": ("a", pd.Timestamp("2020")),
    "an enumeration of its own": (Plain.A, Plain.B),
    "lists": ("a", ["b"]),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("pair", REFUSED)
def test_what_is_refused_has_its_place(task: str, pair: str) -> None:
    place = {"tag": r"sequence 0, step \d"}.get(task, r"sequence \d") if "float" not in pair else "mixed"
    with pytest.raises(DataError, match=place):
        TASKS[task].fit(*REFUSED[pair])


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, np.ma.masked, np.float32("nan")])
def test_missing_labels(missing: Any) -> None:
    for task, place in (("classify", "sequence 1"), ("tag", "sequence 0, step 1")):
        with pytest.raises(DataError, match=place):
            TASKS[task].fit("a", missing)
    model = Multitask(**SMALL).fit(TEXTS, {"mood": ["a", "b", missing] * 4})  # there it is unknown
    assert model.classes_["mood"].tolist() == ["a", "b"]


def test_missing_truth_is_refused_with_its_place() -> None:
    model = TASKS["classify"].fit("a", "b")
    for missing in (None, float("nan"), pd.NA, np.ma.masked):
        with pytest.raises(DataError, match="sequence 2 has no label"):
            model.score(TEXTS[:3], ["a", "b", missing])


def test_dates_in_arrays_are_no_numbers() -> None:
    dates = np.array(["2020-01-01", "2020-01-02"] * 6, dtype="datetime64[ns]")
    with pytest.raises(DataError, match="sequence 0 has as label a datetime64"):
        Classifier(**SMALL).fit(TEXTS, dates)
    with pytest.raises(DataError, match="sequence 0, step 0 has as label a datetime64"):
        Tagger(**SMALL).fit([["a", "b"]] * 6, dates.reshape(6, 2))


def test_classes_keep_the_type_of_an_array() -> None:
    for dtype in (np.int8, np.uint16, np.float32, np.bool_, np.longdouble):
        y = np.array([1, 0] * 6, dtype=dtype)
        classes = Classifier(**SMALL).fit(TEXTS, y).classes_
        assert classes.dtype == (np.float64 if dtype is np.longdouble else dtype)


# ---- weights


def test_weights_by_labels_of_any_class() -> None:
    for weights in ({Mood.GOOD: 3.0}, {"positive": 3.0}, {np.str_("positive"): 3.0}):
        clf = Classifier(class_weight=weights, **SMALL).fit(TEXTS, _column(Mood.GOOD, Mood.BAD))
        assert class_weights(weights, clf.classes_, np.array([0, 1])).tolist() == [0.5, 1.5]


def test_a_fold_that_lacks_a_class() -> None:
    X, y = [*TEXTS, "so so"], [*_column("+", "-"), "0"]
    found = cross_val_score(Classifier(class_weight={"+": 1, "-": 1, "0": 5}, **SMALL), X, y, cv=KFold(3))
    assert np.isfinite(found).all()
    with pytest.warns(UserWarning, match="class_weight names '0', which is none of the classes in y"):
        found = cross_val_score(Classifier(class_weight={"0": 5}, **SMALL), X, y, cv=KFold(3))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("weights", [{"Good": 2}, {"good ": 2}, {1: 2}])
def test_a_weight_that_was_meant_for_another_class(weights: dict[Any, float]) -> None:
    y = _column("1", "2") if 1 in weights else _column("good", "bad")
    with pytest.raises(OptionError, match="Did you mean"):
        Classifier(class_weight=weights, **SMALL).fit(TEXTS, y)


# ---- labels that look alike


@pytest.mark.parametrize("pair", [("+", "+ "), ("Spam", "spam"), ("é", "e\u0301"), ("a b", "a  b")])
@pytest.mark.parametrize("task", TASKS)
def test_labels_that_differ_by_white_space_or_case(task: str, pair: tuple[str, str]) -> None:
    with pytest.warns(UserWarning, match="differ by white space or case only") as caught:
        TASKS[task].fit(*pair)
    assert len(caught) == 1


def test_labels_that_differ_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TASKS["classify"].fit("a", "á")


# ---- names that are no text


@pytest.mark.parametrize("name", ["\udcff", "sub\udcff/model"])
def test_a_folder_whose_name_is_no_unicode(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    model = TASKS["classify"].fit("a", "b")
    model.save(tmp_path / name)
    assert load(tmp_path / name).predict(TEXTS).tolist() == model.predict(TEXTS).tolist()
