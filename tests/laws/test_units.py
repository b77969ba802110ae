"""The unit of a text is chosen by evidence and said; a model that has learned nothing says so; so does its baseline."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.cli.main import main
from elman.errors import ElmanWarning
from elman.evaluation import baselines
from elman.features import Text, Tokens

TINY: dict[str, Any] = {"hidden": 4, "epochs": 1, "seed": 0, "verbose": False}


SOME_WORDS = ["the", "a", "film", "was", "is", "good", "bad", "long", "plot", "and", "of", "actor", "scene", "ends"]


def drawn(make: Callable[[random.Random], str], count: int = 80) -> list[str]:
    """Texts that are made at random, the same at each call."""
    generator = random.Random(0)
    return [make(generator) for _ in range(count)]


def letters(alphabet: str, least: int, most: int) -> Callable[[random.Random], str]:
    return lambda r: "".join(r.choices(alphabet, k=r.randint(least, most)))


def sentence(r: random.Random) -> str:
    return " ".join(r.choices(SOME_WORDS, k=r.randint(4, 12)))


ONE_WORD = {
    "names": letters("abcdefghiklmnorstuvy", 4, 9),
    "DNA": letters("ACGT", 30, 60),
    "RNA in small letters": letters("acgu", 30, 60),
    "proteins": letters("ACDEFGHIKLMNPQRSTVWY", 20, 40),
    "codes": lambda r: f"{letters('ABCDEF', 3, 3)(r)}{r.randint(1000, 9999)}",
    "codes with signs": lambda r: f"{r.randint(1000, 9999)}-{letters('ABCDEF', 5, 5)(r)}",
    "passwords": letters("abcdefgXYZ0123456789!?#", 8, 14),
    "first and last names": lambda r: " ".join(letters("abcdefghiklmnorstuvy", 5, 9)(r) for _ in range(2)),
    "Cyrillic names": letters("абвгдежзиклмнопрсту", 5, 9),
}
WORDS = {
    "sentences": sentence,
    "colours": lambda r: r.choice(["red", "green", "blue"]),
    "repeated codes": lambda r: f"K{r.randint(1, 9)}",
    "signs": lambda r: r.choice(["!", "?", "..."]),
    "nothing": lambda r: "",
}


@pytest.mark.parametrize("make", ONE_WORD.values(), ids=ONE_WORD)
def test_words_that_never_come_again_are_read_as_characters(make: Callable[[random.Random], str]) -> None:
    text = Text().fit(drawn(make))
    assert text.unit_ == "characters"
    assert re.search(r"text as characters, .* \(\d+ % of \d+ words occur only once\)", text.describe())
    again = Text.restore(text.config(), text.tensors(), text.files())
    assert again.describe() == text.describe()


@pytest.mark.parametrize("make", WORDS.values(), ids=WORDS)
def test_words_that_come_again_are_words(make: Callable[[random.Random], str]) -> None:
    assert Text().fit(drawn(make)).unit_ == "words"


def test_little_evidence_and_a_single_long_text_change_nothing() -> None:
    assert Text().fit(["fine", "poor", "good"]).unit_ == "words"
    assert Text().fit([" ".join(drawn(sentence, 20))]).unit_ == "words"
    assert Text().fit(["我很喜欢猫咪", "他不喜欢狗狗"] * 20).unit_ == "mixed"


def test_a_unit_that_is_given_stays() -> None:
    text = Text(unit="words").fit(drawn(ONE_WORD["DNA"]))
    assert text.unit_ == "words"
    assert text.describe() == "text as words, 80 of 80 kept"


DNA = drawn(ONE_WORD["DNA"])
MOTIF = [text if i % 2 else f"{text[:12]}TATAATTATA{text[12:]}" for i, text in enumerate(DNA)]
HAS = ["no" if i % 2 else "yes" for i in range(len(DNA))]
NUMBERS = [float(i % 2) for i in range(len(DNA))]


TASKS: dict[str, Callable[..., Any]] = {
    "classify": lambda **o: elman.Classifier(**TINY | o).fit(DNA, HAS),
    "regress": lambda **o: elman.Regressor(**TINY | o).fit(DNA, NUMBERS),
    "multitask": lambda **o: elman.Multitask(**TINY | o).fit(DNA, {"has": HAS, "number": NUMBERS}),
    "columns": lambda **o: elman.Classifier(**TINY | o).fit(
        pl.DataFrame({"dna": DNA, "size": NUMBERS, "has": HAS}), "has"
    ),
}


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_said_before_training_and_kept_in_the_card(
    make: Callable[..., Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = make(verbose=True)
    said = "text as characters, 4 of 4 kept (100 % of 72 words occur only once)"
    first, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("elman: ")
    assert said in first
    model.save(tmp_path / "model")
    assert said in (tmp_path / "model" / "README.md").read_text()
    make(verbose=False)
    assert capsys.readouterr().err == ""


# ---- unknown symbols

UNHEARD = ["xylophone quartz", "jumbled vexing"]
TEXTS = drawn(sentence, 24)
LISTS = [text.split() for text in TEXTS]
OF_TEXTS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "classify": lambda: (elman.Classifier(**TINY).fit(TEXTS, ["a", "b"] * 12), UNHEARD),
    "classify, tokens": lambda: (elman.Classifier(**TINY).fit(LISTS, ["a", "b"] * 12), [["xylophone"]] * 2),
    "classify, columns": lambda: (
        elman.Classifier(**TINY).fit({"text": TEXTS, "size": [1.0, 2.0] * 12}, ["a", "b"] * 12),
        {"text": UNHEARD, "size": [1.0, 2.0]},
    ),
    "regress": lambda: (elman.Regressor(**TINY).fit(TEXTS, [1.0, 2.0] * 12), UNHEARD),
    "multitask": lambda: (elman.Multitask(**TINY).fit(TEXTS, {"y": ["a", "b"] * 12}), UNHEARD),
    "translate": lambda: (elman.Translator(**TINY, unit="words").fit(TEXTS, TEXTS), UNHEARD),
}


@pytest.mark.parametrize("make", OF_TEXTS.values(), ids=OF_TEXTS)
def test_most_symbols_unknown(make: Callable[[], tuple[Any, Any]]) -> None:
    model, unheard = make()
    with pytest.warns(ElmanWarning, match=r"\d of \d symbols are unknown"):
        model.predict(unheard)


def test_unknown_symbols_of_the_validation_part_and_of_a_stream() -> None:
    with pytest.warns(ElmanWarning, match="X: 5 of 5 symbols are unknown"):
        elman.Classifier(**TINY, unit="words").fit(drawn(ONE_WORD["names"], 50), ["a", "b"] * 25)
    session = elman.Classifier(**TINY).fit(TEXTS, ["a", "b"] * 12).stream()
    session.feed("xylophone")  # each piece is small: a warning for each would be noise
    text, tokens = Text().fit(TEXTS), Tokens().fit(LISTS)
    assert text.step("xylophone").tolist() == tokens.step("xylophone").tolist() == [0]


# ---- models that learned nothing


def test_one_answer_for_all() -> None:
    texts, labels = drawn(sentence, 250), (["a"] * 9 + ["b"]) * 25
    with pytest.warns(ElmanWarning, match="the model gives the same answer, 'a', for all 25 validation sequences"):
        elman.Classifier(**TINY).fit(texts, labels)
    with pytest.warns(ElmanWarning, match="the target 'y' gives the same answer"):
        elman.Multitask(**TINY).fit(texts, {"y": labels})
    with pytest.warns(ElmanWarning, match="the model gives the same answer, 'O'"):
        elman.Tagger(**TINY).fit([t.split() for t in texts], [["O"] * (len(t.split()) - 1) + ["X"] for t in texts])


def test_a_network_that_learned_nothing_beside_its_n_grams() -> None:
    texts = [f"{text} {'fine' if i % 3 else 'dull'}" for i, text in enumerate(drawn(sentence, 250))]
    labels = ["good" if i % 3 else "bad" for i in range(250)]
    with pytest.warns(ElmanWarning, match="recurrent network learned nothing: .* The n-grams answer in its place"):
        elman.Classifier(**TINY, learning_rate=100.0).fit(texts, labels)


def test_a_regression_no_better_than_the_mean() -> None:
    texts, noise = drawn(sentence, 250), np.random.default_rng(0).normal(size=250)
    with pytest.warns(ElmanWarning, match=r"the model is no better than the mean: R2 = -"):
        elman.Regressor(**TINY).fit(texts, noise)
    with pytest.warns(ElmanWarning, match=r"the target 'y' is no better than the mean: R2 = -"):
        elman.Multitask(**TINY).fit(texts, {"y": noise})


# ---- the baseline reads what the model reads


@pytest.mark.parametrize("unit", ["auto", "characters"])
def test_the_baseline_reads_the_same_units(unit: str) -> None:
    fitted = elman.Classifier(**TINY, unit=unit).fit(MOTIF[:60], HAS[:60])
    assert (
        baselines.linear_baseline(MOTIF, feature=fitted.feature_).fit(MOTIF[:60], HAS[:60]).score(MOTIF[60:], HAS[60:])
        > 0.8
    )
    words = elman.Classifier(**TINY, unit="words").fit(MOTIF[:60], HAS[:60])
    assert (
        baselines.linear_baseline(MOTIF, feature=words.feature_).fit(MOTIF[:60], HAS[:60]).score(MOTIF[60:], HAS[60:])
        <= 0.5
    )


@pytest.mark.parametrize(
    ("verb", "flags", "scores"),
    [
        ("classify", ["--target", "has"], ("accuracy", 0.8)),
        ("classify", ["--target", "has", "--input", "dna", "--input", "size"], ("accuracy", 0.8)),
        ("regress", ["--target", "number", "--input", "dna"], ("r2", 0.3)),
        ("multitask", ["--target", "has,number", "--input", "dna"], ("has.accuracy", 0.8)),
    ],
)
def test_score_with_a_baseline(
    verb: str,
    flags: list[str],
    scores: tuple[str, float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table = pl.DataFrame({"dna": MOTIF, "size": [1.0] * 80, "has": HAS, "number": NUMBERS})
    if verb == "classify" and "--input" not in flags:
        table = table.select("dna", "has")
    flags = [*flags[:2], "--input", "dna,size"] if "size" in flags else flags
    table[:60].write_csv("train.csv")
    table[60:].write_csv("test.csv")
    tiny = ["--hidden", "4", "--epochs", "1"]
    assert main(["fit", verb, "train.csv", *flags, "--out", "model", *tiny]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "validation, used to choose the epoch: " in out
    card = Path("model/README.md").read_text()
    assert "## Validation part\n\nMeasured on the sequences that were held out of training. They also chose" in card
    assert main(["score", "model", "test.csv", "--baseline", "--json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)["baselines"][0]
    assert found[scores[0]] > scores[1], found
