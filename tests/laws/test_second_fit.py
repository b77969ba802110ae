"""`fit` after `fit` is `fit`: nothing that was learnt before may count, whatever it was learnt from."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from elman.errors import DataError, OptionError
from elman.tasks import TASKS, Classifier, Forecaster, load
from table import DATA

SMALL: dict[str, Any] = {"hidden": 2, "epochs": 1, "verbose": False, "seed": 0}
TEXTS = ["a good film", "a bad film", "fine", "so dull"]
WORDS = [["a", "dog"], ["the", "cat"], ["a", "cat"], ["one", "cow"]]
SERIES = [[1.0, 2.0], [3.0, 4.0, 5.0], [0.5], [2.5, 2.0]]
LABELS, NUMBERS = ["u", "v"] * 2, [1.0, 2.0, 3.0, 4.0]
TABLE = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.5, 2.0]})
MIXED = {"text": TEXTS, "age": [3, 1, 4, 1]}

#: What sequences come in: each pair of them is tried one after the other.
INPUTS: dict[str, Any] = {
    "texts": TEXTS,
    "text frame": pd.DataFrame({"text": TEXTS}),
    "other frame": pd.DataFrame({"review": TEXTS}),
    "words": WORDS,
    "series": SERIES,
    "mixed": MIXED,
    "table": TABLE,
    "renamed": TABLE.rename(columns={"a": "x", "b": "y"}),
    "array": TABLE.to_numpy(),
}
FEW = ("text frame", "words", "table", "mixed")


def column(name: str, y: Any) -> tuple[Any, Any]:
    """A frame with the targets in it, or the input beside them."""
    X = INPUTS[name]
    return (X.assign(y=y), "y") if isinstance(X, pd.DataFrame) else (X, y)


def steps(name: str) -> list[list[str]]:
    lengths = [len(TEXTS[i]) if name == "texts" else 2 for i in range(4)]
    return [["u", "v"] * (n // 2) + ["u"] * (n % 2) for n in lengths]


def long(target: str, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": "a", "ds": range(30), target: np.arange(30.0) % 3, **more})


PAIRS = {
    "a": pd.DataFrame({"en": TEXTS, "zh": ["一", "二", "三", "四"]}),
    "b": pd.DataFrame({"de": ["eins", "zwei", "drei", "vier"], "fr": ["un", "deux", "trois", "quatre"]}),
}
WIDE = pd.DataFrame({"w": WORDS, "t": [["D", "N"]] * 4})
#: For each task the inputs of some fits, by name, and what an answer is.
FITS: dict[str, tuple[dict[str, tuple[Any, Any]], str]] = {
    "classify": ({name: column(name, LABELS) for name in INPUTS}, "predict_proba"),
    "regress": (
        {name: column(name, NUMBERS) for name in FEW} | {"two": (TABLE, {"a": NUMBERS, "b": NUMBERS})},
        "predict",
    ),
    "multitask": ({name: (INPUTS[name], {"kind": LABELS}) for name in FEW} | {"frame": (TABLE, ["a"])}, "predict"),
    "tag": (
        {
            "texts": (TEXTS, steps("texts")),
            "words": (WORDS, [["D", "N"]] * 4),
            "one": (WIDE, "t"),
            "two": (WIDE.assign(p=[["x", "y"]] * 4), "t"),
        },
        "predict",
    ),
    "generate": (
        {"texts": (TEXTS, None), "one": (INPUTS["text frame"], None), "other": (INPUTS["other frame"], None)},
        "nats",
    ),
    "translate": ({"a": (PAIRS["a"], "zh"), "b": (PAIRS["b"], "fr"), "lists": (TEXTS, TEXTS)}, "predict"),
    "transcribe": (
        {
            "series": ([np.ones((30, 2))] * 4, ["a", "b", "c", "a b"]),
            "frame": (pd.DataFrame({"wave": [np.ones(40)] * 4, "said": ["a", "b", "c", "a"]}), "said"),
        },
        "predict",
    ),
    "forecast": (
        {
            "plain": (long("y"), None),
            "price": (long("y", price=1.0), None),
        },
        "predict",
    ),
}
FITS |= {
    task: ({"own": given, "again": tuple(part[::-1] for part in given)}, "predict") for task, given in DATA.items()
}
MORE: dict[str, dict[str, Any]] = {
    "tag": {"characters": 2, "word_shape": 2, "ensemble_size": 1, "bidirectional": False},
    "translate": {"embed": 4},
    "transcribe": {"channels": 0, "layers": 1, "bidirectional": False},
    "forecast": {"horizon": 2, "season": 3},
    "generate": {"ngrams": 2},
}
#: Each input after the one before it in its row.
CASES = [(task, list(fits)[i - 1], name) for task, (fits, _) in FITS.items() for i, name in enumerate(fits)]


def made(task: str) -> Any:
    return TASKS[task](**SMALL, **MORE.get(task, {}))


def answer(task: str, model: Any, given: tuple[Any, Any]) -> Any:
    found = getattr(model, FITS[task][1])(*([] if task == "forecast" else [given[0]]))
    if isinstance(found, dict):
        return {key: np.asarray(values).tolist() for key, values in found.items()}
    return found.to_dict() if isinstance(found, pd.DataFrame) else np.asarray(found, dtype=object).tolist()


def learnt(model: Any) -> dict[str, Any]:
    """All that is known of a model by its name, besides tensors and objects."""
    plain = (str, int, float, list, dict, type(None))
    skipped = ("metrics_", "history_", "data_", "targets_")
    return {k: v for k, v in vars(model).items() if k.endswith("_") and k not in skipped and isinstance(v, plain)}


@functools.cache
def fresh(task: str, name: str) -> Any:
    """A task fitted to one of its inputs."""
    return made(task).fit(*FITS[task][0][name])


def test_every_task_is_here() -> None:
    assert set(FITS) == set(TASKS)


@pytest.mark.parametrize(("task", "one", "two"), CASES)
def test_a_second_fit_is_a_first_one(task: str, one: str, two: str) -> None:
    fits, _ = FITS[task]
    again, expected = made(task).fit(*fits[one]).fit(*fits[two]), fresh(task, two)
    assert learnt(again) == learnt(expected)
    assert sorted(vars(again)) == sorted(vars(expected))
    assert answer(task, again, fits[two]) == answer(task, expected, fits[two])


@pytest.mark.parametrize("task", FITS)
def test_saved_and_cloned(task: str, tmp_path: Path) -> None:
    fits, _ = FITS[task]
    *_, one, two = fits
    again = made(task).fit(*fits[one]).fit(*fits[two])
    again.save(tmp_path / "model")
    expected = answer(task, fresh(task, two), fits[two])
    assert answer(task, load(tmp_path / "model"), fits[two]) == expected
    copy = clone(again)
    assert not [name for name in vars(copy) if name.endswith("_") and not name.startswith("_")]
    assert answer(task, copy.fit(*fits[two]), fits[two]) == expected


def test_a_stream_after_a_second_fit() -> None:
    fits, _ = FITS["classify"]
    expected = made("classify").fit(*fits["series"]).stream().feed(1.0)
    assert made("classify").fit(*fits["mixed"]).fit(*fits["series"]).stream().feed(1.0) == expected


def test_a_fit_that_fails() -> None:
    clf = made("classify").fit(TEXTS, LABELS)
    expected = clf.predict_proba(TEXTS).tolist()
    clf.set_params(layers=0)
    with pytest.raises(OptionError, match="layers = 0"):  # before anything is read
        clf.fit(WORDS, LABELS)
    assert clf.predict_proba(TEXTS).tolist() == expected
    clf.set_params(layers=1)
    with pytest.raises(DataError, match="y has only one class"):
        clf.fit(TABLE, ["u"] * 4)
    for ask in (clf.predict, lambda X: clf.score(X, LABELS), lambda X: clf.save("x")):
        with pytest.raises(NotFittedError):
            ask(TEXTS)
    with pytest.raises(NotFittedError):
        check_is_fitted(clf)
    check_is_fitted(clf.fit(TEXTS, LABELS))


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, (fits, _) in FITS.items() for name in fits])
def test_answers_leave_the_model_as_it_was(task: str, name: str) -> None:
    model = fresh(task, name)
    before = sorted(vars(model)), learnt(model)
    answer(task, model, FITS[task][0][name])
    assert (sorted(vars(model)), learnt(model)) == before
    assert not hasattr(Classifier(), "input_")


def test_a_target_that_is_named_in_fit_is_no_option() -> None:
    frame = pl.DataFrame({"unique_id": "a", "ds": range(40), "y": range(40), "sales": range(100, 140)})
    model = Forecaster(horizon=2, season=1, hidden=2, epochs=1, verbose=False).fit(frame, "sales")
    assert model.target == "y"
    assert model.learnt_with_["target"] == "sales"
    assert model.predict(frame.drop("y"))["elman"][0] > 90
    assert model.fit(frame.drop("sales")).predict()["elman"][0] < 90
