"""Each error is also the builtin a reader would expect, and catching the base catches all."""

import ast
import inspect
import pickle

import pytest

from elman import errors

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


@pytest.mark.parametrize("name", errors.__all__)
def test_error_explains_itself_and_travels(name: str) -> None:
    error = getattr(errors, name)
    assert error.__doc__
    there = pickle.loads(pickle.dumps(error("offsets[0] = 2")))
    assert type(there) is error
    assert str(there) == "offsets[0] = 2"


def test_every_error_is_listed() -> None:
    found = {name for name, thing in vars(errors).items() if inspect.isclass(thing)}
    assert found == set(errors.__all__)
    assert found == set(BUILTINS) | {"ElmanError", "ElmanWarning"}


def test_errors_imports_nothing() -> None:
    tree = ast.parse(inspect.getsource(errors))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
