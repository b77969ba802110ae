"""Tab completion shows what a person uses: options, fitted attributes and documented methods."""

import dataclasses
import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

from elman import tasks
from elman.tasks.base.public_names import INTERNAL
from table import TASK_VARIANTS, TASKS, fitted

ROOT = Path(__file__).parents[2]
DOCS = "\n".join(page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DOCUMENTED = set(re.findall(r"(?:`|\.)(\w+)[(`]", DOCS))  # `name`, `name(...)`, `model.name(...)`
CALLED = set(re.findall(r"\b(?:model|clf|tagger|forecaster|generator|translator|transcriber)\.(\w+)\(", DOCS))


def of_scikit_learn(name):
    return hasattr(BaseEstimator, name) or re.fullmatch(r"set_\w+_request|get_metadata_routing", name) is not None


def check(model):
    options = {field.name for field in dataclasses.fields(model)}
    shown = {name for name in dir(model) if not name.startswith("_")}
    assert options <= shown
    assert {name for name in vars(model) if name.endswith("_") and not name.startswith("_")} <= shown
    methods = {name for name in shown - options if not name.endswith("_")}
    assert {"fit", "score", "evaluate", "save", "get_params", "set_params"} <= methods
    for name in sorted(methods):
        assert callable(getattr(model, name)), f"{name} is no method"
        assert getattr(model, name).__doc__, f"{name} has no docstring"
        assert name in DOCUMENTED or of_scikit_learn(name), f"{name}: name it on a page of docs, or in INTERNAL"
    return shown


@pytest.mark.parametrize("name", TASKS)
def test_before_fit_the_options_and_documented_methods(name):
    shown = check(tasks.TASKS[name]())
    assert "network_" not in shown


@pytest.mark.parametrize("name", TASK_VARIANTS)
def test_after_fit_also_what_was_learnt(name):
    shown = check(fitted(name))
    assert {"network_", "history_", "metrics_", "resolved_"} <= shown


def test_each_internal_method_is_one_and_no_page_calls_it():
    known = {name for task in tasks.TASKS.values() for base in task.__mro__ for name in vars(base)}
    assert known >= INTERNAL
    assert not INTERNAL & CALLED
