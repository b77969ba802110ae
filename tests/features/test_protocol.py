"""What a feature can do is asked of it: the answers of every feature, and that nobody must ask for its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from elman.cells.base import IMAGES, VALUES_MASK_GAP, VECTORS
from elman.errors import DataError, OptionError, Place
from elman.features import FEATURES, STATICS, Chords, Columns, Images, Inputs, Numbers, Text, Tokens
from elman.features.base import Feature, Reader, Written
from elman.features.ngrams import text_ngrams
from table import FEATURES as ROWS

#: A line of standard input for each feature, and what it feeds.
LINES: dict[str, list[tuple[str, Any]]] = {
    "text": [("a good film", "a good film"), ("[1]", "[1]")],
    "tokens": [("film ", "film"), ('["a", "film"]', ["a", "film"])],
    "words": [("film ", "film"), ('["a", "film"]', ["a", "film"])],
    "numbers": [("0.5, 1.5", [0.5, 1.5])],
    "images": [("1 2", [1.0, 2.0])],
    "chords": [("[60, 64]", [60, 64])],
    "sound": [("a.wav ", "a.wav"), ("0.5 1", [0.5, 1.0])],
}


@pytest.mark.parametrize(("kind", "line", "value"), [(k, *pair) for k, pairs in LINES.items() for pair in pairs])
def test_parse_line(kind: str, line: str, value: Any) -> None:
    found = FEATURES[kind]().parse_line(line, Place(line=3))
    assert (found.tolist() if isinstance(found, np.ndarray) else found) == value


@pytest.mark.parametrize(
    ("kind", "line"), [("tokens", "[1"), ("words", "[1"), ("chords", "x"), ("numbers", "a"), ("images", "a")]
)
def test_a_line_that_cannot_be_read_names_its_place(kind: str, line: str) -> None:
    with pytest.raises(DataError, match=r"^line 3 of standard input: '.*' is no"):
        FEATURES[kind]().parse_line(line, Place(file="standard input", line=3))


@pytest.mark.parametrize("kind", FEATURES)
def test_what_steps_are_says_the_feature_before_and_after_fit(kind: str) -> None:
    made = FEATURES[kind]()
    symbolic, signal = made.is_symbolic, made.is_signal
    made.fit(ROWS[kind], name="X") if kind != "sound" else made.take_options({"rate": 8000}).fit(ROWS[kind])
    assert (made.symbols is not None) == symbolic
    assert (made.value_width is not None) == signal
    assert not (symbolic and signal)
    assert made.only() is made
    assert made.feature_groups() == [[made]]
    assert made.card() == {"input": made.describe()}
    (part,) = made.parts(made.transform(ROWS[kind]), ROWS[kind])
    assert part.feature is made
    assert len(part.steps) == len(ROWS[kind])


@pytest.mark.parametrize("kind", [kind for kind, feature in FEATURES.items() if issubclass(feature, Written)])
def test_what_can_be_written_is_read_again(kind: str) -> None:
    made = FEATURES[kind]().fit(ROWS[kind]).writer
    assert made is not None
    for sequence in made.normalized(ROWS[kind]):
        (again,) = made.transform([sequence])
        assert made.join(again.tolist()) == sequence
        pieces = [*made.spelled(again.tolist())]
        assert made.continued(made.check_prompt(type(sequence)()), pieces) == sequence


def test_what_cannot_be_written_has_no_writer() -> None:
    kinds = [kind for kind, feature in FEATURES.items() if feature().writer is None]
    assert kinds[:4] == ["words", "numbers", "images", "sound"]


def test_prompts() -> None:
    assert Text().parse_prompt("[1]") == "[1]"
    assert Tokens().parse_prompt('["a"]') == ["a"]
    with pytest.raises(OptionError, match=r"no JSON list.*\[\[60, 64, 67\]\]"):
        Chords().parse_prompt("60")
    with pytest.raises(OptionError, match=r"prompt = 'abc' must be a list"):
        Tokens().check_prompt("abc")
    with pytest.raises(OptionError, match=r"prompt = \['a'\] must be a text"):
        Text().check_prompt(["a"])


def test_columns_answer_as_a_feature_does() -> None:
    data = {"a": ["x y", "z"], "b": [[1.0, 2.0], [3.0]], "c": [[4.0, 5.0], [6.0]], "d": [1.0, 2.0]}
    inputs = Inputs(data, {"a": "text", "b": "numbers", "c": "numbers", "d": "number"})
    made = Columns(inputs.kinds)
    steps = made.fit_transform(inputs)
    assert [len(group) for group in made.feature_groups()] == [1, 1]
    assert [part.names for part in made.parts(steps, inputs)] == [["a"], ["b", "c"]]
    assert [*made.by_column()] == ["a", "b", "c"]
    assert [*made.statics] == ["d"]
    assert made.path_names == ["a", "b, c"]
    assert made.called == "several columns"
    assert [*made.card()] == ["input 'a'", "input 'b'", "input 'c'", "input 'd'"]
    assert inputs.with_kind("words", ["a"]).kinds == inputs.kinds | {"a": "words"}


def test_outputs_of_columns() -> None:
    plain = Numbers().fit([[[1.0, 2.0, 3.0]]])
    assert plain.outputs_of_columns([1, 2]) == [[0], [1, 2]]
    assert plain.outputs_of_columns([1, 1]) is None
    gaps = Numbers(mask=True).fit([[[1.0, 2.0, 3.0]]])
    assert gaps.outputs_of_columns([2, 1]) == [[0, 1, 3, 4], [2, 5]]


def test_a_feature_suits_the_cell_that_reads_it() -> None:
    film, numbers = Images(), Numbers()
    film.suit(IMAGES)
    assert film.maps
    film.suit(VECTORS)
    assert not film.maps
    numbers.suit(IMAGES)
    assert numbers == Numbers()
    numbers.suit(VALUES_MASK_GAP)
    assert (numbers.fill, numbers.mask, numbers.gap) == ("decay", True, True)


def test_take_options_leaves_what_is_none_or_not_its_own() -> None:
    assert Text(min_count=3).take_options({"min_count": None, "unit": "words", "bands": 7}) == Text(
        unit="words", min_count=3
    )


def test_statics_say_whether_they_are_categories() -> None:
    assert {kind for kind, static in STATICS.items() if static.is_category} == {"category"}


def test_runs_of_sub_words_are_cut_by_the_feature() -> None:
    text = Text(unit="subwords", max_words=50).fit(["low lower lowest"] * 5)
    (analyse,) = text.ngram_options(["low"]).values()
    symbols = text.words(text.pieces("low lower"))
    assert analyse("low lower")[: len(symbols)] == [(symbol,) for symbol in symbols]
    assert text_ngrams(["a" * 10_000_000], "characters", True, str.split)["ngram_range"] == (1, 3)


def test_defaults_are_no() -> None:
    questions = [name for name, value in vars(Reader).items() if value is False]
    assert len(questions) == 6
    assert not any(getattr(Feature, name) for name in questions)
