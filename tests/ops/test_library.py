"""One specification of each operator: its schema, its kernel and the type stub of the kernel agree with it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

import elman
from elman import _kernels
from elman.ops.library import CELLS, OPERATORS, SCAN_CELLS, Operator

STUB = Path(elman.__file__).with_name("_kernels.pyi")
TYPES = {"Tensor": "Tensor", "Optional[Tensor]": "Tensor | None", "str": "str", "bool": "bool", "int": "int"}


def kernel_arguments(operator: Operator) -> dict[str, str]:
    """What the compiled kernel must take: the arguments, the number of threads, the results, and work space."""
    work_space = {"pre_activations": "Tensor | None"} if operator.work_space is not None else {}
    return operator.arguments | {"threads": "int"} | dict.fromkeys(operator.results, "Tensor") | work_space


def test_every_kernel_has_an_operator() -> None:
    kernels = {name for name in dir(_kernels) if callable(getattr(_kernels, name)) and not name.startswith("_")}
    assert kernels - {"Stepper", "check_batch", "choose_set", "info"} == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_schema(name: str) -> None:
    """As torch understands it: names, types, results, and the one argument that is overwritten."""
    operator, schema = OPERATORS[name], getattr(torch.ops.elman, name).default._schema
    assert {argument.name: TYPES[str(argument.type)] for argument in schema.arguments} == operator.arguments
    assert tuple(result.name for result in schema.returns) == operator.results
    written = [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    assert written == ([operator.overwrites] if operator.overwrites else [])


@pytest.mark.parametrize("name", OPERATORS)
def test_compiled_kernel(name: str) -> None:
    """Its signature as nanobind tells it: names, types, where None is allowed, and which arrays it writes."""
    operator = OPERATORS[name]
    ((signature, *_),) = getattr(_kernels, name).__nb_signature__
    given = re.findall(r"(\w+): ((?:\w+|ndarray\[[^]]*\])(?: \| None)?)[,)]", signature)
    types = {name: re.sub(r"ndarray\[.*\]", "Tensor", type_) for name, type_ in given}
    assert list(types.items()) == list(kernel_arguments(operator).items())
    writable = [name for name, type_ in given if "ndarray" in type_ and "writable=False" not in type_]
    assert [name for name in writable if name != "pre_activations"] == [
        *([operator.overwrites] if operator.overwrites else []),
        *operator.results,
    ]


@pytest.mark.parametrize("name", OPERATORS)
def test_type_stub(name: str) -> None:
    (function,) = (
        f for f in ast.parse(STUB.read_text("utf-8")).body if isinstance(f, ast.FunctionDef) and f.name == name
    )
    found = {argument.arg: ast.unparse(argument.annotation or ast.Name("")) for argument in function.args.args}
    assert list(found.items()) == list(kernel_arguments(OPERATORS[name]).items())


def test_tables_of_the_cells() -> None:
    assert CELLS["lstm"] == (4, 4, True)
    assert {name for name, traits in CELLS.items() if traits.has_cell_state} == {"lstm"}
    assert SCAN_CELLS["lru"] == (2, 2)
