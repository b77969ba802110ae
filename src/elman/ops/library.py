"""The compiled kernels as torch operators (``torch.ops.elman.*``); the only module that imports the compiled core.

``torch.compile`` sees each as one opaque call instead of breaking its graph. `elman.ops.functional` registers their
gradients.

Each operator is specified once, by the function below that allocates its results: its arguments and their types are
those of the function, its results are named by the decorator. The schema is made from this, the function itself is the
operator's fake kernel, and the compiled kernel of the same name (csrc/bindings.cc) takes the arguments, the number of
threads and the results, in this order; tests/ops/test_library.py compares it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.library import Library
from torch.utils.dlpack import to_dlpack  # type: ignore[attr-defined]
from torch.utils.flop_counter import register_flop_formula

from elman.errors import BuildError, OptionError, ShapeError

try:
    from elman import _kernels
except ImportError as error:  # pragma: no cover - needs a broken installation
    raise BuildError(
        f"the compiled core of elman is missing or unusable ({error}). Build it with 'pip install .' in the project's "
        "folder (it needs a C++17 compiler and the Python headers), or install a wheel for this platform."
    ) from error


class CellTraits(NamedTuple):
    """Properties of a cell whose gates depend on the state: the table of csrc/api.h."""

    gates: int  # blocks of `hidden` rows in the weights
    saved_gates: int  # blocks of `hidden` values that a step keeps for backward
    has_cell_state: bool


class ScanTraits(NamedTuple):
    """Properties of a cell whose gates depend on the inputs only."""

    gates: int
    parts: int  # of the state: 2 where it is complex


CELLS = {name: CellTraits(*traits) for name, traits in _kernels.CELLS.items()}
SCAN_CELLS = {name: ScanTraits(*traits) for name, traits in _kernels.SCANS.items()}
GATES = {name: traits.gates for name, traits in CELLS.items()}
SCANS = {name: traits.gates for name, traits in SCAN_CELLS.items()}
CANDIDATES, POOLS = _kernels.CANDIDATES, _kernels.POOLS

KernelStepper = _kernels.Stepper  # one stream of steps outside torch; see elman.ops.stepper


def info() -> dict[str, Any]:
    """What the compiled core was built with, what this processor has and what is in use.

    >>> sorted(info())[:3]
    ['bfloat16', 'built', 'chosen']
    """
    return dict(_kernels.info())


def choose_set(name: str = "") -> None:
    """Chooses the instruction set by name, as the variable ELMAN_ISA does; an empty name means the automatic choice.

    Raises ``OptionError`` for a set that was not built or that this processor lacks.
    """
    _kernels.choose_set(name)


def check_shapes(
    cell: str, x: Tensor, index: Tensor | None, offsets: Tensor, weight_hh: Tensor, weight_hr: Tensor | None
) -> None:
    """Raises ``OptionError`` and ``ShapeError`` unless the arguments determine the sizes of a layer."""
    if cell not in GATES:
        raise OptionError(f"cell must be one of {', '.join(GATES)}, got {cell!r}.")
    _check_steps("x", x, offsets)
    for name, weight in (("weight_hh", weight_hh), ("weight_hr", weight_hr)):
        if weight is not None and weight.dim() != 2:
            raise ShapeError(f"{name} must be two-dimensional [steps, width], got shape {list(weight.shape)}")
    if index is not None and index.dim() != 1:
        raise ShapeError(f"index must be one-dimensional, got shape {list(index.shape)}.")


def check_batch(offsets: Tensor, steps: int, index: Tensor | None, rows: int) -> None:
    """Raises ``ShapeError`` unless `offsets` cut `steps` steps and `index` [steps] names rows below `rows`."""
    _kernels.check_batch(offsets.contiguous(), steps, None if index is None else index.contiguous(), rows)


def _check_steps(name: str, values: Tensor, offsets: Tensor) -> None:
    if values.dim() != 2:
        raise ShapeError(f"{name} must be two-dimensional [steps, width], got shape {list(values.shape)}.")
    if offsets.dim() != 1 or offsets.shape[0] == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")


# ------------------------------------------------------------------------------------------------------ specification

library = Library("elman", "DEF")

_SCHEMA_TYPES = {"Tensor": "Tensor", "Tensor | None": "Tensor?", "str": "str", "bool": "bool", "int": "SymInt"}
#: Arguments of which only each row must be contiguous, and those that may have any strides; the others are contiguous.
_ROWS, _STRIDED = frozenset(("x", "a", "b", "values", "gates", "dy", "keep", "keep_cell")), frozenset(("weight",))


@dataclass(frozen=True)
class Operator:
    """One operator and its kernel."""

    name: str
    allocate: Callable[..., Any]
    results: tuple[str, ...]
    overwrites: str  # an argument that is a result as well
    work_space: Callable[..., Tensor | None] | None  # the kernel's last argument

    @property
    def arguments(self) -> dict[str, str]:
        """The type of each argument, by name."""
        return {name: parameter.annotation for name, parameter in inspect.signature(self.allocate).parameters.items()}

    @property
    def schema(self) -> str:
        """As torch writes it."""
        types = {name: _SCHEMA_TYPES[type_] for name, type_ in self.arguments.items()}
        given = ", ".join(f"{'Tensor(a!)' if name == self.overwrites else t} {name}" for name, t in types.items())
        return f"{self.name}({given}) -> ({', '.join(f'Tensor {name}' for name in self.results)})"

    def kernel(self) -> Callable[..., Any]:
        """The operator on the CPU."""
        kernel, allocate, work_space = getattr(_kernels, self.name), self.allocate, self.work_space
        convert = [
            _as_is if "Tensor" not in type_ else
            _exported if name in _STRIDED or name == self.overwrites else
            _rows if name in _ROWS else _contiguous
            for name, type_ in self.arguments.items()
        ]  # fmt: skip

        def run(*arguments: Any) -> Any:
            made = allocate(*arguments)
            given: list[Any] = [to(argument) for to, argument in zip(convert, arguments, strict=True)]
            given += [torch.get_num_threads(), *map(to_dlpack, (made,) if isinstance(made, Tensor) else made)]
            if work_space is not None:
                given.append(_exported(work_space(*arguments)))
            kernel(*given)
            return made

        return run


OPERATORS: dict[str, Operator] = {}


def _operator(
    *results: str, overwrites: str = "", work_space: Callable[..., Tensor | None] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes an operator of the function that allocates its results."""

    def define(allocate: Callable[..., Any]) -> Callable[..., Any]:
        operator = Operator(allocate.__name__.lstrip("_"), allocate, results, overwrites, work_space)
        OPERATORS[operator.name] = operator
        library.define(operator.schema)
        library.impl(operator.name, operator.kernel(), "CPU")
        torch.library.register_fake(f"elman::{operator.name}", allocate, lib=library)
        return allocate

    return define


# Kernels get tensors as DLPack capsules, which takes a tenth of the time of an export through Python.


def _as_is(argument: Any) -> Any:
    return argument


def _exported(x: Tensor | None) -> Any:
    return None if x is None else to_dlpack(x)


def _contiguous(x: Tensor | None) -> Any:
    return None if x is None else to_dlpack(x.contiguous())


def _rows(x: Tensor | None) -> Any:
    """`x` itself when each row is contiguous; otherwise a copy. The kernel refuses anything but a matrix."""
    if x is None:
        return None
    if x.dim() != 2:
        return to_dlpack(x)
    fits = x.shape[1] <= 1 or x.stride(1) == 1
    return to_dlpack(x if fits and (x.shape[0] <= 1 or x.stride(0) >= x.shape[1]) else x.contiguous())


def _hidden(weight_hh: Tensor, weight_hr: Tensor | None) -> int:
    return (weight_hh if weight_hr is None else weight_hr).shape[-1]


def _sums(dtype: torch.dtype) -> torch.dtype:
    """The type of sums over numbers of `dtype`."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


# ---------------------------------------------------------------------------------------------------------- operators


def _pre_activations(*arguments: Any) -> Tensor | None:
    """For W x_t + b_ih of every row of x. None where the gates hold it, or a step computes it (bfloat16)."""
    cell, _, save, x, index, _, _, weight_hh, _, _, weight_hr, *_ = arguments  # of `_recurrent_forward`
    if index is None and (save or x.dtype != weight_hh.dtype):
        return None
    made: Tensor = weight_hh.new_empty(len(x), GATES[cell] * _hidden(weight_hh, weight_hr))
    return made


@_operator("y", "h_last", "c_last", "gates", "cell_states", work_space=_pre_activations)
def _recurrent_forward(
    cell: str,
    reverse: bool,
    save: bool,
    x: Tensor,
    index: Tensor | None,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    keep: Tensor | None,
    keep_cell: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    check_shapes(cell, x, index, offsets, weight_hh, weight_hr)
    steps, sequences = (x if index is None else index).shape[0], offsets.shape[0] - 1
    hidden, outputs, traits = _hidden(weight_hh, weight_hr), weight_hh.shape[-1], CELLS[cell]
    return (
        x.new_empty(steps, outputs),
        weight_hh.new_empty(sequences, outputs),
        weight_hh.new_empty(sequences if traits.has_cell_state else 0, hidden),
        x.new_empty(steps if save else 0, traits.saved_gates * hidden),
        weight_hh.new_empty(steps if save and traits.has_cell_state else 0, hidden),
    )


@_operator("dh0", "dc0", "d_decay", "unprojected", "d_projected", overwrites="gates")
def _recurrent_backward(
    cell: str,
    reverse: bool,
    offsets: Tensor,
    weight_hh: Tensor,
    weight_hr: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    keep: Tensor | None,
    keep_cell: Tensor | None,
    y: Tensor,
    cell_states: Tensor,
    gates: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`gates` becomes d_gates, the gradients of the pre-activations."""
    sequences, hidden, outputs = offsets.shape[0] - 1, _hidden(weight_hh, weight_hr), weight_hh.shape[-1]
    steps, projected = y.shape[0], weight_hr is not None
    return (
        weight_hh.new_empty(sequences, outputs),
        weight_hh.new_empty(sequences if CELLS[cell].has_cell_state else 0, hidden),
        weight_hh.new_empty(0 if decay is None else steps, outputs),
        weight_hh.new_empty(steps if projected else 0, hidden),
        weight_hh.new_empty(steps if projected else 0, outputs),
    )


@_operator("d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh")
def _recurrent_weight_gradient(
    cell: str,
    reverse: bool,
    x: Tensor | None,
    offsets: Tensor,
    h0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    y: Tensor,
    d_gates: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of weight_ih is empty without `x`."""
    rows = GATES[cell] * (d_gates.shape[1] // CELLS[cell].saved_gates)
    made = y.new_empty(0, dtype=_sums(y.dtype))
    return (
        made.new_empty(0, 0) if x is None else made.new_empty(rows, x.shape[1]),
        made.new_empty(rows, y.shape[1]),
        made.new_empty(rows),
        made.new_empty(rows),
    )


@_operator("out")
def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.dim() != 2 or weight.dim() != 2 or x.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"linear expects x [rows, {weight.shape[-1]}] for a weight of shape {list(weight.shape)}, got x of shape "
            f"{list(x.shape)}."
        )
    return x.new_empty(x.shape[0], weight.shape[0])


@_operator("out")
def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[1], b.shape[1], dtype=_sums(a.dtype))


@_operator("out")
def _collect(a: Tensor, index: Tensor, rows: int) -> Tensor:
    return a.new_empty(rows, a.shape[1], dtype=_sums(a.dtype))


@_operator("out", "state")
def _pool_forward(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, initial: Tensor | None
) -> tuple[Tensor, Tensor]:
    _check_steps("values", values, offsets)
    sequences, hidden = offsets.shape[0] - 1, values.shape[1]
    return values.new_empty(sequences, hidden), values.new_empty(sequences, hidden + 2, dtype=torch.float64)


@_operator("d_values", "d_scores")
def _pool_backward(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor, out: Tensor, d_out: Tensor
) -> tuple[Tensor, Tensor]:
    return values.new_empty(values.shape), values.new_empty(values.shape[0] if kind == "attention" else 0)


@_operator("y", "h_last", "j_last")
def _scan_forward(
    cell: str,
    candidate: str,
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    if cell not in SCANS:
        raise OptionError(f"cell must be one of {', '.join(SCANS)}, got {cell!r}.")
    if candidate not in CANDIDATES:
        raise OptionError(f"candidate must be one of {', '.join(CANDIDATES)}, got {candidate!r}.")
    _check_steps("gates", gates, offsets)
    sequences, hidden, parts = offsets.shape[0] - 1, gates.shape[1] // SCANS[cell], SCAN_CELLS[cell].parts
    return (
        gates.new_empty(gates.shape[0], parts * hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences if parts == 2 else 0, hidden),
    )


@_operator("d_gates", "d_decay", "dh0", "dj0")
def _scan_backward(
    cell: str,
    candidate: str,
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
    y: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dj_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sequences, hidden = offsets.shape[0] - 1, gates.shape[1] // SCANS[cell]
    is_complex = SCAN_CELLS[cell].parts == 2
    return (
        gates.new_empty(gates.shape),
        gates.new_empty(2 * hidden if is_complex else 0),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences if is_complex else 0, hidden),
    )


@_operator("y", "h_last", "c_last", "sums", "cell_states")
def _layer_norm_lstm_forward(
    reverse: bool,
    save: bool,
    gates: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    gain_ih: Tensor,
    gain_hh: Tensor,
    bias: Tensor | None,
    gain_cell: Tensor,
    bias_cell: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    _check_steps("gates", gates, offsets)
    steps, sequences, hidden = gates.shape[0], offsets.shape[0] - 1, weight_hh.shape[-1]
    return (
        gates.new_empty(steps, hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(steps if save else 0, 4 * hidden),
        gates.new_empty(steps if save else 0, hidden),
    )


@_operator("d_gates", "d_sums", "d_vectors", "dh0", "dc0")
def _layer_norm_lstm_backward(
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    gain_ih: Tensor,
    gain_hh: Tensor,
    bias: Tensor | None,
    gain_cell: Tensor,
    bias_cell: Tensor | None,
    c0: Tensor | None,
    sums: Tensor,
    cell_states: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`d_vectors` holds the gradients of gain_ih, gain_hh, bias, gain_cell and bias_cell, in this order."""
    sequences, hidden = offsets.shape[0] - 1, weight_hh.shape[-1]
    return (
        gates.new_empty(gates.shape),
        gates.new_empty(sums.shape),
        gates.new_empty(14 * hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences, hidden),
    )


# An operator without a kernel.
library.define("copy(Tensor x) -> Tensor")
library.impl("copy", lambda x: x.clone(memory_format=torch.contiguous_format), "CPU")
torch.library.register_fake("elman::copy", lambda x: x.new_empty(x.shape), lib=library)


# ------------------------------------------------------------------------------------------------ counting operations

_Shapes = dict[str, Any]  # of the tensors among an operator's arguments, by name


def _recurrent_forward_flops(of: _Shapes) -> int:
    steps: int = (of["x"] if of["index"] is None else of["index"])[0]
    rows: int = of["x"][0]
    return 2 * (rows * math.prod(of["weight_ih"]) + steps * _recurrent_size(of))


def _recurrent_backward_flops(of: _Shapes) -> int:
    steps: int = of["y"][0]
    return 2 * steps * _recurrent_size(of)


def _recurrent_size(of: _Shapes) -> int:
    size: int = math.prod(of["weight_hh"]) + (0 if of["weight_hr"] is None else math.prod(of["weight_hr"]))
    return size


def _recurrent_weight_gradient_flops(of: _Shapes) -> int:
    (steps, outputs), inputs = of["y"], 0 if of["x"] is None else of["x"][1]
    hidden = of["d_gates"][1] // CELLS[of["cell"]].saved_gates
    flops: int = 2 * steps * GATES[of["cell"]] * hidden * (outputs + inputs)
    return flops


def _linear_flops(of: _Shapes) -> int:
    rows: int = of["x"][0]
    return 2 * rows * math.prod(of["weight"])


def _outer_flops(of: _Shapes) -> int:
    return 2 * math.prod(of["a"]) * int(of["b"][1])


def _layer_norm_lstm_flops(of: _Shapes) -> int:
    steps: int = of["gates"][0]
    return 2 * steps * math.prod(of["weight_hh"])


#: Matrix products only, as torch counts; the other operators count 0.
_FLOPS: dict[str, Callable[[_Shapes], int]] = {
    "recurrent_forward": _recurrent_forward_flops,
    "recurrent_backward": _recurrent_backward_flops,
    "recurrent_weight_gradient": _recurrent_weight_gradient_flops,
    "linear": _linear_flops,
    "outer": _outer_flops,
    "layer_norm_lstm_forward": _layer_norm_lstm_flops,
    "layer_norm_lstm_backward": _layer_norm_lstm_flops,
}


def _count_flops(operator: Operator, formula: Callable[[_Shapes], int]) -> None:
    def flops(*arguments: Any, out_shape: Any = None, **named: Any) -> int:
        return formula(dict(zip(operator.arguments, arguments, strict=False)) | named)

    register_flop_formula(getattr(torch.ops.elman, operator.name))(flops)


for _name, _formula in _FLOPS.items():
    _count_flops(OPERATORS[_name], _formula)
