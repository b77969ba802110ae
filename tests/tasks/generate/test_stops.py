"""Where generation ends, how often, and what does not repeat."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman import Generator
from elman.cli.main import main
from elman.errors import OptionError
from elman.tasks.generate.constraints import END
from elman.tasks.generate.stops import Stops

DIALOGUE = ["User: how are you?\n\nBot: well, and you?\n\nUser: well."] * 6


def fitted(texts: list[Any] | None = None, **options: Any) -> Generator:
    base: dict[str, Any] = {"hidden": 16, "embed": 8, "epochs": 8, "dropout": 0.0, "learning_rate": 1e-2, "seed": 0}
    return Generator(**base | options, verbose=False).fit(texts or DIALOGUE)


@pytest.fixture(scope="module")
def model() -> Generator:
    return fitted()


def test_a_text_is_cut_before_the_first_stop_and_nothing_of_it_is_shown_early() -> None:
    read = 0

    def letters() -> Iterator[str]:
        nonlocal read
        for letter in "aabaabaac aab":
            read += 1
            yield letter

    shown = []
    for piece in Stops(texts=("aabaac", "zz")).cut(letters()):
        shown.append(piece)
        assert read - len(shown) <= 5
    assert "".join(shown) == "aab"
    assert "".join(Stops(texts=("ab",)).cut(iter("xababab"), after=2)) == "xab"
    assert "".join(Stops(texts=("ab",)).cut(iter("xxa"))) == "xxa"
    assert list(Stops(texts=("good film",)).cut(iter([" the", " good", " film", " is"]))) == [" the"]
    assert list(Stops(texts=("b c",)).cut(iter(["ab", " cd"]))) == ["a"]


def test_texts_of_several_symbols(model: Generator) -> None:
    free = model.generate("User:", temperature=0.0, length=40)
    assert "\n\n" in free
    for stop in ("\n\n", ["Bot", "\n\n"]):
        assert model.generate("User:", temperature=0.0, length=40, stop=stop) == free[: free.index("\n\n")]
    assert model.generate("\n", length=1, temperature=0.0, stop="\n\n").startswith("\n")  # the prompt is no stop


@pytest.mark.parametrize("unit", ["words", "subwords"])
def test_of_words(unit: str) -> None:
    model = fitted(["the cat sat on the red mat"] * 6, unit=unit)
    free = model.generate("the cat", temperature=0.0, length=8)
    assert " on the red" in free
    assert model.generate("the cat", temperature=0.0, length=8, stop="on the") == free[: free.index(" on the")]


def test_of_lists() -> None:
    model = fitted([["go", "left", "go", "right", "stop"]] * 6)
    made = model.generate(["go"], length=20, stop=["stop"], no_repeat=2, seed=0)
    assert "stop" not in made
    pairs = list(itertools.pairwise(made))
    assert len(pairs) == len(set(pairs))
    numbers = fitted([[1, 2, 1, 3]] * 6, feature="tokens")
    for stop in (3, [3], [np.int64(3)], "3"):
        assert 3 not in numbers.generate([1], length=20, stop=stop, seed=0)
    with pytest.raises(OptionError, match="must be a symbol or a text"):
        numbers.generate(stop=[2.0])
    with pytest.raises(OptionError, match="stop = 'go left' is not in the vocabulary"):
        model.generate(stop="go left")


def test_a_minimum_length(model: Generator) -> None:
    for seed in range(5):
        text = model.generate(length=90, min_length=90, stop=[".", "\n\n"], seed=seed)
        assert len(text) == 90
    assert model.generate(min_length=3, form=lambda said, symbols: {END}) == ""
    ends = {len(model.generate(length=30, min_length=10, stop=[*"aeou "], seed=seed)) for seed in range(5)}
    assert min(ends) >= 10
    assert max(ends) < 30


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_n_symbols_twice(model: Generator, n: int) -> None:
    for temperature in (0.0, 1.0):
        text = model.generate("User", length=60, no_repeat=n, min_length=60, temperature=temperature, seed=0)
        grams = [text[i : i + n] for i in range(len(text) - n + 1)]
        assert len(grams) == len(set(grams))
    assert set(fitted(["ab" * 300]).generate("ab", no_repeat=1, length=9)) == set("ab")  # every symbol would repeat


def test_several_samples(model: Generator) -> None:
    three = model.generate("User", samples=3, length=20, seed=4)
    assert three == [model.generate("User", length=20, seed=seed) for seed in (4, 5, 6)]
    assert len(model.generate(samples=2, length=3)) == 2
    chords = fitted([[[60, 64], [62]]] * 4, feature="chords")
    assert [len(one) for one in chords.generate(samples=2, length=4, min_length=4, no_repeat=0, seed=0)] == [4, 4]


HOW: dict[str, dict[str, Any]] = {
    "samples = 0 must be a whole number from 1 to 10000": {"samples": 0},
    "samples = True must be": {"samples": True},
    "seed = 'a' must be": {"samples": 2, "seed": "a"},
    "no_repeat = 1.5 must be a whole number of at least 0": {"no_repeat": 1.5},
    "min_length = 9 must be a whole number from 0 to length = 5": {"min_length": 9, "length": 5},
    "min_length = -1 must be": {"min_length": -1},
    "stop = 'Zebra' is not in the vocabulary of this model": {"stop": ["User", "Zebra"]},
    "stop = '' is not in the vocabulary": {"stop": ""},
}


@pytest.mark.parametrize("message", HOW)
def test_what_cannot_be(model: Generator, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        model.generate("User", **HOW[message])


def test_command_line(model: Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "model")
    model.save(folder)
    asked = ["generate", folder, "--prompt", "User:", "--length", "30", "--min-length", "5", "--no-repeat", "4"]
    asked += ["--samples", "2", "--seed", "1", "--stop", "\n\n"]
    how: dict[str, Any] = {"length": 30, "min_length": 5, "no_repeat": 4, "stop": ["\n\n"], "seed": 1}
    expected = model.generate("User:", samples=2, **how)
    assert main(asked) == 0
    assert capsys.readouterr().out == "\n\n".join(expected) + "\n"
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"prompt": "User:", "texts": expected}
    assert main(["generate", folder, "--samples", "0"]) == 2
    assert "--samples 0 must be at least 1" in capsys.readouterr().err
    assert main(["generate", folder, "--samples", "2", "--midi", "x.mid"]) == 2
