"""Words: symbols of a vocabulary and letters beside them, wherever the sequences go."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
import torch

from elman.errors import DataError, ModelFileError, OptionError, ShapeError
from elman.features import Words
from elman.features.word_chars import WordsWithChars
from elman.ragged import Ragged

DATA = [["The", "cat", "sat"], [], ["the", "dog"]]


def test_words_and_their_letters() -> None:
    words = Words().fit(DATA)
    assert words.words([1]) == ["the"]  # lower-case in the vocabulary
    found = words.transform([["The", "sat", "zebra"], ["sat"]])
    assert found.values.tolist()[2] == 0
    assert found.spelled(0).tolist() != words.transform([["the"]]).spelled(0).tolist()  # but not in its letters
    assert found.spelled(1).tolist() == found.spelled(3).tolist()
    assert len(found.spellings) == 3
    assert words.transform([["cats" * 99]]).spellings.lengths.tolist() == [40]


@pytest.mark.parametrize("index", [slice(1, 3), [2, 0], slice(None, None, -1), torch.tensor([True, False, True])])
def test_letters_go_where_the_words_go(index: Any) -> None:
    words = Words().fit(DATA)
    whole, part = words.transform(DATA), words.transform(DATA)[index]
    assert isinstance(part, WordsWithChars)
    kept = range(3)[index] if isinstance(index, slice) else list(index if isinstance(index, list) else [0, 2])
    wanted = [whole.spelled(step) for i in kept for step in range(int(whole.offsets[i]), int(whole.offsets[i + 1]))]
    assert [part.spelled(step).tolist() for step in range(part.steps)] == [w.tolist() for w in wanted]
    again = pickle.loads(pickle.dumps(part))
    assert again.place.tolist() == part.place.tolist()


def test_a_word_reads_the_same_alone_and_in_a_batch() -> None:
    words = Words(characters=5, word_shape=2).fit(DATA)
    reader = words.module(4).eval()
    together = reader(words.transform([["sat", "catdog", "x"], ["the"]])).values
    for step, word in enumerate(["sat", "catdog", "x", "the"]):
        assert torch.equal(reader(words.transform([[word]])).values[0], together[step])
    assert reader.outputs == 4 + 2 * 5 + 8 * 2
    assert reader(words.transform([[]])).values.shape == (0, 30)


def test_without_letters() -> None:
    words = Words(characters=0, word_shape=0).fit(DATA)
    assert words.module(4)(words.transform(DATA)).values.shape == (5, 4)


def test_refused() -> None:
    with pytest.raises(OptionError, match=r"characters = -1.*longest = 0"):
        Words(characters=-1, longest=0).fit(DATA)
    words = Words(characters=3).fit(DATA)
    with pytest.raises(DataError, match="with their characters"):
        words.module(4)(Ragged.of([[1, 2]]))
    with pytest.raises(OptionError, match="not fitted"):
        Words().transform(DATA)
    with pytest.raises(ShapeError, match="one place a step"):
        WordsWithChars(Ragged.of([[1, 2]]), torch.tensor([0]), Ragged.of([[1]]))


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"letters": 3}, {}),
        ({"characters": -1}, {}),
        ({"longest": None}, {}),
        ({"characters": "8"}, {}),
        ({"word_shape": -1}, {}),
        ({"known_looks": 9}, {}),
        ({"spelling_dropout": 1.5}, {}),
        ({}, {"looks.json": None}),
        ({}, {"looks.json": "[]"}),
        ({}, {"looks.json": json.dumps([["a"], [1], *[[]] * 6])}),
        ({}, {"looks.json": json.dumps([["a", "a"], *[[]] * 7])}),
        ({}, {"characters.json": '["ab"]'}),
        ({}, {"characters.json": "{"}),
        ({}, {"characters.json": None}),
    ],
)
def test_a_changed_folder_is_refused(change: dict[str, Any], files: dict[str, Any]) -> None:
    words = Words().fit(DATA)
    again = Words.restore(words.config(), {}, words.files())
    assert again.transform(DATA).spellings.to_list()[0].tolist() == words.transform(DATA).spellings[0].tolist()
    with pytest.raises(ModelFileError):
        Words.restore(words.config() | change, {}, words.files() | files)
