"""An option of a feature stands once: estimators show the field of its group, with its default and comment."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from elman.cli.flags import field_comments
from elman.features import FEATURES
from elman.features.audio import SoundOptions
from elman.features.numbers import NumberOptions
from elman.features.text import TextOptions
from elman.features.vocabulary import VocabularyOptions
from elman.features.words import LetterOptions
from elman.tasks import TASKS
from elman.tasks.base.options import InputOptions

GROUPS = (VocabularyOptions, TextOptions, LetterOptions, NumberOptions, SoundOptions)
#: Options of an estimator that stand anew, since it chooses otherwise.
ANEW = {
    ("InputOptions", "fill"): "None: decay for a cell that reads it, else what the feature has",
    ("Generator", "unit"): "a language model writes characters",
    ("Translator", "unit"): "that of the sources, maybe sub-words that join back",
    ("Translator", "max_words"): "as few as can be told apart at every step of the decoder",
}
#: Fields of features of one name, and why they are no option of an estimator of that name.
OTHERS = {
    "max_timescale": "of Words: letters of a word that are read; of an estimator: steps that units remember",
    "lower": "texts are lower-cased unless told otherwise, tokens are not",
}


def names(group: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(group)]


def owner(kind: type, name: str) -> type:
    """The class in whose body a field stands, where it counts."""
    return next(base for base in kind.__mro__ if name in inspect.get_annotations(base))


@pytest.mark.parametrize("task", TASKS)
def test_options_of_features_stand_in_their_group(task: str) -> None:
    for group in GROUPS:
        for name in names(group):
            if issubclass(TASKS[task], group):
                found = owner(TASKS[task], name)
                assert found in GROUPS or (found.__name__, name) in ANEW, f"{found.__name__}.{name}"


@pytest.mark.parametrize("task", TASKS)
def test_comments_and_defaults_of_the_flags_are_those_of_the_group(task: str) -> None:
    shown, kind = field_comments(TASKS[task]), TASKS[task]
    for group in GROUPS:
        for name in names(group):
            if issubclass(kind, group) and owner(kind, name) in GROUPS:
                assert shown[name] == field_comments(group)[name]
                assert getattr(kind, name) == getattr(group, name)


def test_the_same_name_means_the_same() -> None:
    """An option of a feature that an estimator has too is its own, from the same group, or another thing by intent."""
    for kind, feature in FEATURES.items():
        for name in names(feature):
            shared = [group for group in GROUPS if name in names(group)]
            if name in names(InputOptions) and name not in OTHERS:
                assert shared, f"{kind}: {name}"
                assert any(issubclass(feature, group) for group in shared) or name == "scale"
                assert feature.__dataclass_fields__[name].default == shared[0].__dataclass_fields__[name].default


def test_groups_are_fields_and_nothing_else() -> None:
    for group in GROUPS:
        own = {name for name in vars(group) if not name.startswith("__")}
        assert own == {*group.__annotations__}
        assert all(field.kw_only for field in dataclasses.fields(group))
