"""Flags from fields: comments as they stand in the source, and values that are one or several."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from elman.cli.flags import _holds_several, _metavar, _several, field_comments, field_parameters
from elman.features import Text
from elman.tasks import TASKS, Classifier
from elman.training.options import TrainingOptions


def test_comments_go_on_over_several_lines() -> None:
    assert field_comments(Text)["unit"][1].endswith('"characters" where most words occur only once')
    assert field_comments(TrainingOptions)["epochs"][0] == "training"
    assert field_comments(Classifier)["hidden"][0] == "model"


def test_what_is_for_the_type_checker_is_no_help() -> None:
    notes = [note for task in TASKS.values() for _, note in field_comments(task).values()]
    assert not [note for note in notes if "type: ignore" in note]
    assert field_comments(Classifier)["epochs"][1].startswith("passes over the sequences")


@dataclass
class Small:
    """Two headings."""

    first: int = 1  # one
    # the second heading
    second: str = "a"  # two,
    #                    and more of it
    third: bool = False


def test_headings_and_fields_without_a_comment() -> None:
    assert field_comments(Small) == {
        "first": ("two headings", "one"),
        "second": ("the second heading", "two, and more of it"),
        "third": ("two headings", ""),
    }
    assert field_comments(int) == {}


@pytest.mark.parametrize("task", TASKS.values())
def test_every_field_is_a_parameter(task: type) -> None:
    made = field_parameters(task, ungrouped=["input"])
    functions = {field.name for field in dataclasses.fields(task) if not field.metadata.get("flag", True)}
    options = task().get_params(deep=False)
    assert functions <= {"tokenizer"}
    assert {name: p.default for name, p in made.items()} == {n: v for n, v in options.items() if n not in functions}
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in made.values())


@pytest.mark.parametrize(
    ("hint", "several", "shown"),
    [
        (int | None, False, "INT"),
        (int | Sequence[int], True, "INT|INT,INT,..."),
        (str | dict[Any, float] | None, True, "STR|JSON"),
        (Literal["a", "b"], False, "STR"),
    ],
)
def test_which_flags_hold_several(hint: Any, several: bool, shown: str) -> None:
    assert _holds_several(hint) is several
    if several:
        assert _metavar(hint) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("128", 128),
        ("128,64", [128, 64]),
        ("[128, 64]", [128, 64]),
        ('{"a": 2.0}', {"a": 2.0}),
        ("None", None),
        ("balanced", "balanced"),
        ("{a", "{a"),
    ],
)
def test_one_word_may_be_several_values(text: str, value: Any) -> None:
    assert _several(None, [SimpleNamespace(value=text)]) == value
