"""Each error is also the builtin a reader would expect, and catching the base catches all."""

import ast
import inspect
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elman import errors
from elman.errors import DataError, OptionError, Place, Problem, TrainingError, option, placed

BUILTINS = {
    "DataError": ValueError,
    "ShapeError": ValueError,
    "OptionError": ValueError,
    "ModelFileError": OSError,
    "BuildError": ImportError,
    "TrainingError": ArithmeticError,
}


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_error_is_also_a_builtin(name: str, builtin: type[Exception]) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.ElmanError)
    assert issubclass(error, builtin)
    with pytest.raises(builtin, match="line 3"):
        raise error("line 3 of a.csv")
    with pytest.raises(errors.ElmanError, match="line 3"):
        raise error("line 3 of a.csv")


@pytest.mark.parametrize("name", [*BUILTINS, "ElmanError", "ElmanWarning"])
def test_error_explains_itself_and_travels(name: str) -> None:
    error = getattr(errors, name)
    assert error.__doc__
    there = pickle.loads(pickle.dumps(error("offsets[0] = 2")))
    assert type(there) is error
    assert str(there) == "offsets[0] = 2"


def test_every_error_is_listed() -> None:
    own = {name for name, thing in vars(errors).items() if getattr(thing, "__module__", "") == errors.__name__}
    assert {name for name in own if name[0] != "_"} | {"MessagePart"} == set(errors.__all__)
    assert {name for name in own if name.endswith(("Error", "Warning"))} == {*BUILTINS, "ElmanError", "ElmanWarning"}


@pytest.mark.parametrize("name", BUILTINS)
def test_place_travels_and_is_filled_in(name: str) -> None:
    error = getattr(errors, name)("has 3 steps, ", Place(sequence=0), " has 2.", at=Place("X", sequence=7, step=1))
    assert str(error) == "X: sequence 7, step 1 has 3 steps, sequence 0 has 2."
    there = pickle.loads(pickle.dumps(error))
    assert (str(there), there.at, there.message) == (str(error), error.at, error.message)
    with (
        pytest.raises(type(error)) as caught,
        placed(lambda at: replace(at, file="a.csv", line=(at.sequence or 0) + 2)),
    ):
        raise there
    assert caught.value is there
    assert str(there) == "line 9 of a.csv, step 1 has 3 steps, line 2 of a.csv has 2."


def test_words_of_python_and_of_the_command_line() -> None:
    error = DataError("are unsorted. Set ", option("sort", True), " or give ", option("time"), ".", at=Place("frame"))
    assert str(error) == "frame are unsorted. Set sort=True or give time=...."
    assert error.shell == "frame are unsorted. Set --sort or give --time ...."
    wrong = OptionError.of([Problem("batch_steps", "0", "must be 1"), Problem("clip", "-1", "must be 0")])
    assert str(wrong) == "batch_steps = 0 must be 1; clip = -1 must be 0"
    assert wrong.shell == "--batch-steps 0 must be 1; --clip -1 must be 0"
    assert [problem.option for problem in wrong.problems] == ["batch_steps", "clip"]
    assert wrong.at is None


def test_an_error_within_another_keeps_its_parts() -> None:
    inner = DataError("is NaN. Set ", option("fill"), ".", at=Place("y", row=2))
    outer = TrainingError(*inner.parts, " Saved.")
    assert str(outer) == "y: row 2 is NaN. Set fill=.... Saved."
    assert outer.shell == "y: row 2 is NaN. Set --fill .... Saved."


def test_errors_needs_the_standard_library_only() -> None:
    tree = ast.parse(inspect.getsource(errors))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(name).partition(".")[0] for name in named} <= sys.stdlib_module_names


CHANGES = {"sub", "subn", "split", "match", "search", "fullmatch", "findall", "finditer"}
CHANGES |= {"replace", "removeprefix", "removesuffix", "strip", "lstrip", "rstrip", "partition", "rpartition"}


def _rewritten(source: Path) -> Iterator[str]:
    """Places where the text of an error of ours, just caught, is taken apart: a call of `CHANGES` on it or with it."""
    for handler in ast.walk(ast.parse(source.read_text("utf-8"))):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        if not OURS & {node.id for node in ast.walk(handler.type or handler) if isinstance(node, ast.Name)}:
            continue
        for call in ast.walk(handler):
            method = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
            if method in CHANGES and handler.name in {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}:
                yield f"{source} rewrites a message by {method}. Give its parts, or its Place, and compose anew."


OURS = {*BUILTINS, "ElmanError"}


def test_nobody_rewrites_messages() -> None:
    assert not [found for source in Path(errors.__file__).parent.rglob("*.py") for found in _rewritten(source)]


def test_a_rewritten_message_would_be_found(tmp_path: Path) -> None:
    text = "try:\n    f()\nexcept DataError as error:\n    raise DataError(re.sub('a', 'b', str(error)))\n"
    (tmp_path / "bad.py").write_text(text, "utf-8")
    assert len(list(_rewritten(tmp_path / "bad.py"))) == 1
