"""The names at the door: few, real, and cheap to reach."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

import pytest

import elman

# Imported only by the modules that need them: none by `import elman`, and little more than torch by its layers.
HEAVY = ("matplotlib", "narwhals", "pandas", "polars", "rich", "sklearn", "sympy", "tokenizers", "torch._dynamo")
LIGHT = {
    "import elman": ("torch", "numpy", *HEAVY),
    "import elman.cli.main": ("torch", "numpy", *HEAVY),
    "import elman; elman.nn, elman.GRU, elman.Encoder, elman.Ragged, elman.missing": HEAVY,
}


def test_all_names_resolve() -> None:
    missing = [name for name in elman.__all__ if not hasattr(elman, name)]
    assert not missing, f"elman.__all__ promises {missing}, which elman does not have"


def test_all_names_are_listed_by_dir() -> None:
    assert set(elman.__all__) <= set(dir(elman))


def test_names_are_few() -> None:
    assert len(set(elman.__all__)) == len(elman.__all__), "a name stands twice in elman.__all__"
    assert len(elman.__all__) <= 25, "about twenty names at the door; reach the others by their module"


def test_names_are_public_and_documented() -> None:
    for name in elman.__all__:
        assert not name.startswith("_"), f"{name} is private"
        assert getattr(elman, name).__doc__, f"elman.{name} has no docstring"


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(elman, "no_such_name")


def test_version_is_the_one_in_pyproject() -> None:
    assert elman.__version__ == importlib.metadata.version("elman")


@pytest.mark.parametrize("statement", LIGHT)
def test_import_is_light(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(*[name for name in {LIGHT[statement]!r} if name in sys.modules])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.split() == [], f"`{statement}` also imports {result.stdout.split()}"
