"""A tokeniser of the caller's: in features, tasks, saved models and on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman import load, tasks
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.features import Text
from elman.features.custom_tokenizer import cut_texts
from table import NUMBERS, TEXTS, TINY, WORDS

LABELS = ["u", "v"] * 6


def halves(text: str) -> list[str]:
    """Pairs of characters, as a segmenter of Chinese might cut."""
    return [text[i : i + 2] for i in range(0, len(text), 2)]


def test_steps_are_what_the_function_returns() -> None:
    text = Text(tokenizer=halves).fit(["我爱北京", "我爱猫", "AB  ab"])
    assert text.vocabulary_[1:] == ["ab", "我爱", "北京", "猫"]
    assert [steps.tolist() for steps in text.transform(["北京我爱", "", "Ab狗"])] == [[3, 2], [], [1, 0]]
    assert text.split_units(["AB  我爱狗"]) == [["AB", "我爱", "狗"]]
    assert text.join([2, 3, 1]) == "我爱北京 ab"
    assert text.normalized(["我爱北京AB"]) == ["我爱北京 ab"]
    assert text.describe() == f"text cut by {__name__}.halves, 4 of 4 words kept"
    assert text.pieces("我爱") == [2]


def test_spaces_cut_at_white_space_alone() -> None:
    text = Text(unit="spaces").fit(["U.S. don't <br> U.S.", "a\tb\u3000c"])
    assert text.split_units(["U.S. don't <br>\tc"]) == [["U.S.", "don't", "<br>", "c"]]
    assert text.transform(["u.s. x"]).to_list()[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("ab", r"X: sequence 1: the tokenizer .* returned .*'ab' for 'b c'. It must return a list of texts"),
        (7, "returned a number, 7 for 'b c'"),
        ([b"x"], "returned a list with .*b'x' for 'b c'"),
        (["a", None], r"returned a list with None \(missing\)"),
    ],
)
def test_what_a_function_may_return(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Text(tokenizer=lambda text: text.split() if text == "a" else returned).fit(["a", "b c"])


def test_a_generator_and_a_tuple_will_do() -> None:
    assert cut_texts(lambda text: (word for word in text.split()), ["a b"], "X") == ["a\x1fb"]
    assert cut_texts(lambda text: tuple(text.split()), ["a b"], "X") == ["a\x1fb"]


def fitted(**options: Any) -> Any:
    return tasks.Classifier(**TINY, tokenizer=halves, **options).fit(TEXTS, LABELS)


def test_a_saved_model_needs_the_function_again(tmp_path: Path) -> None:
    model = fitted()
    model.save(tmp_path / "m")
    assert f"elman.load('m', tokenizer={__name__}.halves)" in (tmp_path / "m" / "README.md").read_text("utf-8")
    assert model.learnt_with_["tokenizer"] is None
    again = load(tmp_path / "m", tokenizer=halves)
    assert np.array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert again.get_params()["tokenizer"] is halves
    again.save(tmp_path / "n")
    with pytest.raises(OptionError, match=r"a function, .*halves, which is not saved with it. Give"):
        load(tmp_path / "n")
    with pytest.raises(OptionError, match="tokenizer = 7 must be a function"):
        load(tmp_path / "m", tokenizer=7)
    tasks.Classifier(**TINY).fit(TEXTS, LABELS).save(tmp_path / "plain")
    with pytest.raises(OptionError, match=r"plain was trained without a tokenizer. Load it without one"):
        load(tmp_path / "plain", tokenizer=halves)


def test_the_command_line_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted().save(tmp_path / "m")
    pl.DataFrame({"text": TEXTS}).write_csv(tmp_path / "x.csv")
    assert main(["predict", str(tmp_path / "m"), str(tmp_path / "x.csv")]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "which is not saved with it. Use the model in Python" in told
    assert "--unit spaces" in told
    assert main(["fit", "classify", "x.csv", "--target", "y", "--tokenizer", "jieba.lcut", "--out", "y"]) == 2
    assert "--tokenizer" in capsys.readouterr().err


def test_streams_explanations_and_baselines_read_the_same_words() -> None:
    model = fitted()
    session = model.stream()
    for piece in ("a good", " film"):
        session.feed(piece)
    assert np.allclose(list(session.answer.probabilities.values()), model.predict_proba(["a good film"])[0], atol=1e-6)
    assert list(model.explain(["a good film"])[0].symbols) == halves("a good film")
    assert model.feature_.ngram_options(TEXTS)["analyzer"]("good")[0] == ("go",)


def test_every_text_column_is_cut(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": TEXTS, "b": TEXTS[::-1], "y": LABELS})
    options = {**TINY, "tokenizer": str.split, "features": {"a": "text", "b": "text"}}
    model = tasks.Classifier(**options).fit(frame, "y")
    model.save(tmp_path / "m")
    again = load(tmp_path / "m", tokenizer=str.split)
    assert np.array_equal(again.predict_proba(frame), model.predict_proba(frame))
    with pytest.raises(OptionError, match="cuts its texts with a function"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("make", "data", "message"),
    [
        (
            lambda: tasks.Classifier(**TINY, tokenizer="jieba"),
            (TEXTS, LABELS),
            "tokenizer = 'jieba' must be a function",
        ),
        (
            lambda: tasks.Classifier(**TINY, tokenizer=halves, unit="words"),
            (TEXTS, LABELS),
            "unit = 'words' has no mean",
        ),
        (lambda: tasks.Regressor(**TINY, tokenizer=halves), (NUMBERS, range(12)), "has no meaning for numbers"),
        (lambda: tasks.Tagger(**TINY, tokenizer=halves), (WORDS, WORDS), "has no meaning for words"),
    ],
)
def test_where_it_has_no_meaning(make: Any, data: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make().fit(*data)


def test_a_folder_that_claims_a_function_without_a_name(tmp_path: Path) -> None:
    text = Text(tokenizer=halves).fit(TEXTS)
    config = text.config() | {"tokenizer": ""}
    with pytest.raises(OSError, match=re.escape("chosen_unit = 'tokenizer', but unit = 'auto'")):
        Text.restore(config, {}, text.files())
    old = Text().fit(TEXTS)
    saved = {key: value for key, value in old.config().items() if key != "tokenizer"}
    assert Text.restore(saved, {}, old.files()).vocabulary_ == old.vocabulary_
