"""Unknown words of an answer are those of the source."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from elman.errors import OptionError
from elman.tasks import Translator, load

SMALL: dict[str, Any] = {"hidden": 24, "embed": 24, "verbose": False, "seed": 0, "learning_rate": 0.01, "epochs": 14,
                         "input_dropout": 0.0, "head_dropout": 0.0, "dropout": 0.0, "validation": 0.0}  # fmt: skip
WORDS = {"sees": "voit", "the": "le", "cat": "chat", "dog": "chien", "hears": "entend"}


def pairs(count: int) -> tuple[list[str], list[str]]:
    """A name that occurs once, and what it does."""
    draw = random.Random(0)
    sources, targets = [], []
    for i in range(count):
        words = [f"Name{i}", draw.choice(["sees", "hears"]), "the", draw.choice(["cat", "dog"])]
        sources.append(" ".join(words))
        targets.append(" ".join(WORDS.get(word, word) for word in words))
    return sources, targets


@pytest.mark.parametrize("lists", [False, True])
def test_names_are_copied(lists: bool, tmp_path: Path) -> None:
    X: Any
    y: Any
    X, y = pairs(60)
    new: Any = ["Zoe sees the cat", "Ümit hears the dog"]
    if lists:
        X, y, new = ([text.split() for text in column] for column in (X, y, new))
    options = {} if lists else {"unit": "words", "target_unit": "words"}
    model = Translator(**SMALL, **options, min_count=2, copy_unknown=True).fit(X, y)
    expected: Any = ["Zoe voit le chat", "Ümit entend le chien"]
    assert model.predict(new) == ([text.split() for text in expected] if lists else expected)
    assert model.predict(new[:1]) == model.predict(new)[:1]
    assert model.predict_top(new, k=2)[0][0][0] == model.predict(new)[0]
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").predict(new) == model.predict(new)
    plain = Translator(**SMALL | {"epochs": 2}, **options, min_count=2).fit(X, y)
    assert "Zoe" not in plain.predict(new)[0]


def test_what_is_no_flag() -> None:
    with pytest.raises(OptionError, match="copy_unknown = 'yes'"):
        Translator(copy_unknown="yes").fit(["a"], ["b"])  # type: ignore[arg-type]
