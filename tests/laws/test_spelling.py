"""Explanations show the words of the data, unknown ones too, and the step of a symbol that stands more than once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import elman

TINY: dict[str, Any] = {"hidden": 4, "epochs": 1, "seed": 0, "verbose": False}
TEXTS = ["A good film", "a bad day", "good acting", "bad end"] * 3
LABELS = ["a", "b"] * 6
LISTS = [text.split() for text in TEXTS]

Asked = Callable[[], tuple[Any, Any, list[str]]]
MODELS: dict[str, Asked] = {
    "words": lambda: (
        elman.Classifier(**TINY).fit(TEXTS, LABELS),
        ["GOOD Promoter, <b>day</b>!"],
        ["GOOD", "Promoter", ",", "day", "!"],
    ),
    "characters": lambda: (elman.Classifier(**TINY, unit="characters").fit(TEXTS, LABELS), ["aXg"], ["a", "X", "g"]),
    "mixed": lambda: (elman.Classifier(**TINY, unit="mixed").fit(TEXTS, LABELS), ["猫 day"], ["猫", "day"]),
    "tokens": lambda: (elman.Classifier(**TINY).fit(LISTS, LABELS), [["good", "Zorn"]], ["good", "Zorn"]),
    "columns": lambda: (
        elman.Classifier(**TINY, features={"t": "text"}).fit({"t": TEXTS, "size": [1.0, 2.0] * 6}, LABELS),
        {"t": ["good Zorn"], "size": [1.0]},
        ["t: good", "t: Zorn", "size"],
    ),
    "regress": lambda: (elman.Regressor(**TINY).fit(TEXTS, [1.0, 2.0] * 6), ["good Zorn"], ["good", "Zorn"]),
    "multitask": lambda: (elman.Multitask(**TINY).fit(TEXTS, {"y": LABELS}), ["good Zorn"], ["good", "Zorn"]),
    "tag": lambda: (elman.Tagger(**TINY).fit(LISTS, LISTS), [["good", "Zorn"]], ["good", "Zorn"]),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_words_as_they_stand_in_the_data(make: Asked) -> None:
    model, X, symbols = make()
    found = model.explain(X)[0]
    assert list(found.symbols) == symbols
    assert len(found.steps) == len(symbols)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_letters_and_signs_are_printed_with_their_step() -> None:
    model = elman.Classifier(**TINY, unit="characters").fit(TEXTS, LABELS)
    printed = str(model.explain(["aba d"]))
    for part in ("'a' (step 0)", "b ", "'a' (step 2)", "' ' (step 3)", "d "):
        assert part in printed
