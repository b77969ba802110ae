"""Sizes whose products no memory has, and that 64 bits do not hold: refused by name before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from elman import nn
from elman.errors import OptionError, ShapeError
from elman.layers.encoder import Encoder
from elman.ops import functional as ops
from table import CELLS, TWINS

HUGE = [2**31, 2**40, 2**58 + 1, 2**60, 2**62, 2**63, 2**64, 10**30]


@pytest.mark.parametrize("size", HUGE)
def test_of_a_stepper(size: int) -> None:
    cell = TWINS["lstm"].cell(3, 4)
    stepper = cell.stepper(2)
    for call in (
        lambda: cell.stepper(size, "int8"),
        lambda: Encoder(3, 4, "gru").stepper(size),
        lambda: stepper.twin(size),
    ):
        with pytest.raises(OptionError, match=f"sequences may be at most 2147483647, got {size}"):
            call()
    with pytest.raises(OptionError, match=f"threads may be at most 2147483647, got {size}"):
        cell.stepper(threads=size)
    assert stepper.step(torch.zeros(2, 3)).shape == (2, 4)


@pytest.mark.parametrize("size", [2**31, 2**58 + 1, 2**62, 2**63 - 1])
def test_of_a_stepper_in_the_bindings(size: int) -> None:
    kernel = TWINS["lstm"].cell(3, 4).stepper()._kernel
    with pytest.raises(ShapeError, match="sequences may be at most"):
        kernel.twin(size)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2", None])
def test_a_twin_of_no_number(number: Any) -> None:
    with pytest.raises(OptionError, match="sequences must be a whole number of at least 1"):
        TWINS["gru"].cell(3, 4).stepper().twin(number)


@pytest.mark.parametrize("size", [2**24 + 1, 2**62, 10**30])
@pytest.mark.parametrize("name", CELLS)
def test_of_a_cell(name: str, size: int) -> None:
    with pytest.raises(OptionError, match=f"hidden may be at most 16777216, got {size}"):
        CELLS[name].make(3, size)
    with pytest.raises(OptionError, match=f"inputs m.* got {size}"):
        CELLS[name].make(size, 4)


EMPTY = torch.zeros(1, dtype=torch.int64)
WIDE: dict[str, Callable[[torch.Tensor], Any]] = {
    "recurrent": lambda x: ops.recurrent("lstm", x, EMPTY, x, torch.empty(0, 0)),
    "recurrent_weight_gradient": lambda x: torch.ops.elman.recurrent_weight_gradient(
        "lstm", False, x, EMPTY, None, None, None, torch.empty(0, 0), torch.empty(0, 0)
    ),
    "linear": lambda x: ops.linear(x, x),
    "outer": lambda x: torch.ops.elman.outer(x, torch.empty(0, 0)),
    "collect": lambda x: torch.ops.elman.collect(x, EMPTY[:0], 0),
    "scan": lambda x: ops.scan("min_gru", x, EMPTY),
    "pool": lambda x: ops.pool("mean", x, EMPTY),
}


@pytest.mark.parametrize("width", [2**40 + 2, 2**61, 2**62])
@pytest.mark.parametrize("name", WIDE)
def test_of_a_matrix_without_rows(name: str, width: int) -> None:
    """It takes no memory and may claim any width."""
    with pytest.raises(ShapeError, match=r"may have at most 1099511627776 rows and columns, got shape \[0, "):
        WIDE[name](torch.empty(0, width))


def test_work_space_that_nobody_has() -> None:
    with pytest.raises(MemoryError):
        torch.ops.elman.outer(torch.empty(0, 2**40), torch.empty(0, 0))


def test_a_layer_of_torch_says_it_itself() -> None:
    with pytest.raises((RuntimeError, TypeError)):
        nn.LSTM(3, 2**62)
