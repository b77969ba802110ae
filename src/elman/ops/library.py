"""The compiled kernels as torch operators (``torch.ops.elman.*``); the only module that imports the compiled core.

``torch.compile`` sees each as one opaque call instead of breaking its graph. `elman.ops.functional` registers their
gradients. Arguments are those of csrc/api.h; results are new tensors, except that `recur_back` writes over
`saved`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

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

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
SCANS = {"min_gru": 2, "min_lstm": 3, "lru": 2}  # gates of the cells whose gates see the inputs alone
CANDIDATES = ("linear", "tanh", "positive")
POOLS = ("mean", "max", "attention")
SAVED = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 4}

KernelStepper = _kernels.Stepper  # one stream of steps outside torch; see elman.ops.stepper

library = Library("elman", "DEF")
_EXTRAS = "Tensor? decay, Tensor? drop, Tensor? keep, Tensor? keep_cell"
library.define(
    "recur(str cell, bool reverse, bool save, Tensor x, Tensor? index, Tensor offsets, Tensor weight_ih, "
    "Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, Tensor? weight_hr, Tensor? h0, Tensor? c0, "
    f"{_EXTRAS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
library.define(
    "recur_back(str cell, bool reverse, Tensor offsets, Tensor weight_hh, Tensor? weight_hr, Tensor? h0, Tensor? c0, "
    f"{_EXTRAS}, Tensor y, Tensor cells, Tensor(a!) saved, Tensor? dy, Tensor? dh_last, Tensor? dc_last) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
library.define(
    "recur_gradient(str cell, bool reverse, Tensor? x, Tensor offsets, Tensor? h0, Tensor? decay, Tensor? drop, "
    "Tensor y, Tensor saved) -> (Tensor, Tensor, Tensor, Tensor)"
)
library.define("copy(Tensor x) -> Tensor")
library.define("outer(Tensor a, Tensor b) -> Tensor")
library.define("collect(Tensor a, Tensor index, SymInt rows) -> Tensor")
library.define("linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor")
library.define("pool(str kind, Tensor values, Tensor offsets, Tensor? scores, Tensor? initial) -> (Tensor, Tensor)")
library.define(
    "pool_back(str kind, Tensor values, Tensor offsets, Tensor? scores, Tensor state, Tensor out, Tensor dout) "
    "-> (Tensor, Tensor)"
)
library.define(
    "scan(str cell, str candidate, bool reverse, Tensor gates, Tensor offsets, Tensor? decay, Tensor? h0, Tensor? j0) "
    "-> (Tensor, Tensor, Tensor)"
)
library.define(
    "scan_back(str cell, str candidate, bool reverse, Tensor gates, Tensor offsets, Tensor? decay, Tensor? h0, "
    "Tensor? j0, Tensor y, Tensor? dy, Tensor? dh_last, Tensor? dj_last) -> (Tensor, Tensor, Tensor, Tensor)"
)
library.define(
    "norm_lstm(bool reverse, bool save, Tensor gates, Tensor offsets, Tensor weight_hh, Tensor gain_ih, "
    "Tensor gain_hh, Tensor? bias, Tensor gain_cell, Tensor? bias_cell, Tensor? h0, Tensor? c0) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
library.define(
    "norm_lstm_back(bool reverse, Tensor gates, Tensor offsets, Tensor weight_hh, Tensor gain_ih, Tensor gain_hh, "
    "Tensor? bias, Tensor gain_cell, Tensor? bias_cell, Tensor? c0, Tensor sums, Tensor cells, Tensor? dy, "
    "Tensor? dh_last, Tensor? dc_last) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)


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


def _run(kernel: Callable[..., None], *arguments: object) -> None:
    """Calls the core with tensors as DLPack capsules, which costs a tenth of asking each for one through Python."""
    kernel(*[to_dlpack(argument) if isinstance(argument, Tensor) else argument for argument in arguments])


def check_shapes(
    cell: str, x: Tensor, index: Tensor | None, offsets: Tensor, weight_hh: Tensor, weight_hr: Tensor | None
) -> None:
    """Raises ``OptionError`` and ``ShapeError`` where the sizes of a layer cannot be told."""
    if cell not in GATES:
        raise OptionError(f"cell must be one of {', '.join(GATES)}, got {cell!r}.")
    if x.dim() != 2:
        raise ShapeError(f"x must be two-dimensional [steps, width], got shape {list(x.shape)}.")
    if offsets.dim() != 1 or offsets.shape[0] == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")
    for name, weight in (("weight_hh", weight_hh), ("weight_hr", weight_hr)):
        if weight is not None and weight.dim() != 2:
            raise ShapeError(f"{name} must be two-dimensional [steps, width], got shape {list(weight.shape)}")
    if index is not None and index.dim() != 1:
        raise ShapeError(f"index must be one-dimensional, got shape {list(index.shape)}.")


def check_batch(offsets: Tensor, steps: int, index: Tensor | None, rows: int) -> None:
    """Raises ``ShapeError`` unless `offsets` cut `steps` steps and `index` [steps] names rows below `rows`."""
    _run(_kernels.check_batch, offsets.contiguous(), steps, _close(index), rows)


def _rows(x: Tensor) -> Tensor:
    """`x` itself when each row is contiguous, which is all a kernel asks; otherwise a copy."""
    if x.dim() != 2:
        return x  # for the kernel to refuse by its name
    fits = x.shape[1] <= 1 or x.stride(1) == 1
    return x if fits and (x.shape[0] <= 1 or x.stride(0) >= x.shape[1]) else x.contiguous()


def _rows_if(x: Tensor | None) -> Tensor | None:
    return None if x is None else _rows(x)


def _close(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


def _hidden(weight_hh: Tensor, weight_hr: Tensor | None) -> int:
    return (weight_hh if weight_hr is None else weight_hr).shape[-1]


def _recur_cpu(
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
    *extras: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    y, h_last, c_last, saved, cells = _recur_fake(
        cell, reverse, save, x, index, offsets, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, h0, c0, *extras
    )
    lstm, table, work = cell == "lstm", None, saved if save else None
    if index is not None:  # what weight_ih makes of every row of x
        table = weight_hh.new_empty(len(x), GATES[cell] * _hidden(weight_hh, weight_hr))
    elif not save and x.dtype == weight_hh.dtype:
        work = x.new_empty(len(x), SAVED[cell] * _hidden(weight_hh, weight_hr))
    decay, drop, keep, keep_cell = extras
    _run(
        _kernels.forward,
        cell, reverse, save, torch.get_num_threads(), _rows(x), _close(index), offsets.contiguous(),
        weight_ih.contiguous(), weight_hh.contiguous(), _close(bias_ih), _close(bias_hh), _close(weight_hr),
        _close(h0), _close(c0), _close(decay), _close(drop), _rows_if(keep), _rows_if(keep_cell), y, h_last,
        c_last if lstm else None, table, work, cells if lstm and save else None,
    )  # fmt: skip
    return y, h_last, c_last, saved, cells


def _recur_fake(
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
    *extras: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    check_shapes(cell, x, index, offsets, weight_hh, weight_hr)
    steps, sequences = (x if index is None else index).shape[0], offsets.shape[0] - 1
    hidden, outputs, lstm = _hidden(weight_hh, weight_hr), weight_hh.shape[-1], cell == "lstm"
    return (
        x.new_empty(steps, outputs),
        weight_hh.new_empty(sequences, outputs),
        weight_hh.new_empty(sequences if lstm else 0, hidden),
        x.new_empty(steps if save else 0, SAVED[cell] * hidden),
        weight_hh.new_empty(steps if save and lstm else 0, hidden),
    )


def _recur_back_cpu(
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
    cells: Tensor,
    saved: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`saved` becomes the gradients of the pre-activations. Returns dh0, dc0, d_decay, full, d_projected."""
    dh0, dc0, d_decay, full, d_projected = _recur_back_fake(
        cell, reverse, offsets, weight_hh, weight_hr, h0, c0, decay, drop, keep, keep_cell, y, cells, saved, dy,
        dh_last, dc_last,
    )  # fmt: skip
    lstm, projected = cell == "lstm", weight_hr is not None
    _run(
        _kernels.backward,
        cell, reverse, torch.get_num_threads(), offsets.contiguous(), weight_hh.contiguous(), _close(weight_hr),
        _close(h0), _close(c0), _close(decay), _close(drop), _rows_if(keep), _rows_if(keep_cell), y,
        cells if lstm else None, _rows_if(dy), _close(dh_last), _close(dc_last) if lstm else None, saved, dh0,
        dc0 if lstm else None, None if decay is None else d_decay, full if projected else None,
        d_projected if projected else None,
    )  # fmt: skip
    return dh0, dc0, d_decay, full, d_projected


def _recur_back_fake(
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
    cells: Tensor,
    saved: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    sequences, hidden, outputs = offsets.shape[0] - 1, _hidden(weight_hh, weight_hr), weight_hh.shape[-1]
    steps, projected = y.shape[0], weight_hr is not None
    return (
        weight_hh.new_empty(sequences, outputs),
        weight_hh.new_empty(sequences if cell == "lstm" else 0, hidden),
        weight_hh.new_empty(0 if decay is None else steps, outputs),
        weight_hh.new_empty(steps if projected else 0, hidden),
        weight_hh.new_empty(steps if projected else 0, outputs),
    )


def _recur_gradient_cpu(
    cell: str,
    reverse: bool,
    x: Tensor | None,
    offsets: Tensor,
    h0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    y: Tensor,
    saved: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of weight_ih (empty without `x`), weight_hh, bias_ih and bias_hh; `saved` is what `recur_back` left."""
    d_ih, d_hh, d_bias_ih, d_bias_hh = _recur_gradient_fake(cell, reverse, x, offsets, h0, decay, drop, y, saved)
    _run(
        _kernels.gradient,
        cell, reverse, torch.get_num_threads(), _rows_if(x), offsets.contiguous(), _close(h0), _close(decay),
        _close(drop), y, saved, None if x is None else d_ih, d_hh, d_bias_ih, d_bias_hh,
    )  # fmt: skip
    return d_ih, d_hh, d_bias_ih, d_bias_hh


def _recur_gradient_fake(
    cell: str,
    reverse: bool,
    x: Tensor | None,
    offsets: Tensor,
    h0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    y: Tensor,
    saved: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = GATES[cell] * (saved.shape[1] // SAVED[cell])
    made = y.new_empty(0, dtype=_sums(y.dtype))
    return (
        made.new_empty(0, 0) if x is None else made.new_empty(rows, x.shape[1]),
        made.new_empty(rows, y.shape[1]),
        made.new_empty(rows),
        made.new_empty(rows),
    )


def _sums(dtype: torch.dtype) -> torch.dtype:
    """The type that numbers of `dtype` are added up in."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def _copy_cpu(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.contiguous_format)


def _copy_fake(x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _linear_cpu(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out = _linear_fake(x, weight, bias)
    _run(_kernels.linear, torch.get_num_threads(), _rows(x), weight, _close(bias), out)
    return out


def _linear_fake(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.dim() != 2 or weight.dim() != 2 or x.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"linear expects x [rows, {weight.shape[-1]}] for a weight of shape {list(weight.shape)}, got x of shape "
            f"{list(x.shape)}."
        )
    return x.new_empty(x.shape[0], weight.shape[0])


def _outer_cpu(a: Tensor, b: Tensor) -> Tensor:
    out = _outer_fake(a, b)
    _run(_kernels.outer, torch.get_num_threads(), _rows(a), _rows(b), out)
    return out


def _outer_fake(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[1], b.shape[1], dtype=_sums(a.dtype))


def _collect_cpu(a: Tensor, index: Tensor, rows: int) -> Tensor:
    out = _collect_fake(a, index, rows)
    _run(_kernels.collect, torch.get_num_threads(), _rows(a), index.contiguous(), out)
    return out


def _collect_fake(a: Tensor, index: Tensor, rows: int) -> Tensor:
    return a.new_empty(rows, a.shape[1], dtype=_sums(a.dtype))


def _pool_cpu(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, initial: Tensor | None
) -> tuple[Tensor, Tensor]:
    out, state = _pool_fake(kind, values, offsets, scores, initial)
    _run(
        _kernels.pool_forward,
        kind, torch.get_num_threads(), _rows(values), offsets.contiguous(), _close(scores), _close(initial), state, out,
    )  # fmt: skip
    return out, state


def _pool_fake(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, initial: Tensor | None
) -> tuple[Tensor, Tensor]:
    if values.dim() != 2:
        raise ShapeError(f"values must be two-dimensional [steps, width], got shape {list(values.shape)}.")
    if offsets.dim() != 1 or offsets.shape[0] == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")
    sequences, hidden = offsets.shape[0] - 1, values.shape[1]
    return values.new_empty(sequences, hidden), values.new_empty(sequences, hidden + 2, dtype=torch.float64)


def _pool_back_cpu(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor, out: Tensor, dout: Tensor
) -> tuple[Tensor, Tensor]:
    d_values, d_scores = _pool_back_fake(kind, values, offsets, scores, state, out, dout)
    _run(
        _kernels.pool_backward,
        kind, torch.get_num_threads(), _rows(values), offsets.contiguous(), _close(scores), state, out,
        dout.contiguous(), d_values, d_scores if kind == "attention" else None,
    )  # fmt: skip
    return d_values, d_scores


def _pool_back_fake(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor, out: Tensor, dout: Tensor
) -> tuple[Tensor, Tensor]:
    return values.new_empty(values.shape), values.new_empty(values.shape[0] if kind == "attention" else 0)


def _scan_cpu(
    cell: str,
    candidate: str,
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    y, h_last, j_last = _scan_fake(cell, candidate, reverse, gates, offsets, decay, h0, j0)
    _run(
        _kernels.scan_forward,
        cell, candidate, reverse, torch.get_num_threads(), _rows(gates), offsets.contiguous(), _close(decay),
        _close(h0), _close(j0), y, h_last, j_last if cell == "lru" else None,
    )  # fmt: skip
    return y, h_last, j_last


def _scan_fake(
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
    if gates.dim() != 2:
        raise ShapeError(f"gates must be two-dimensional [steps, width], got shape {list(gates.shape)}.")
    if offsets.dim() != 1 or len(offsets) == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")
    sequences, hidden, lru = offsets.shape[0] - 1, gates.shape[1] // SCANS[cell], cell == "lru"
    return (
        gates.new_empty(gates.shape[0], (2 if lru else 1) * hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences if lru else 0, hidden),
    )


def _scan_back_cpu(
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
    d_gates, d_decay, dh0, dj0 = _scan_back_fake(
        cell, candidate, reverse, gates, offsets, decay, h0, j0, y, dy, dh_last, dj_last
    )
    lru = cell == "lru"
    _run(
        _kernels.scan_backward,
        cell, candidate, reverse, torch.get_num_threads(), _rows(gates), offsets.contiguous(), _close(decay),
        _close(h0), _close(j0), y, _rows_if(dy), _close(dh_last), _close(dj_last) if lru else None,
        d_gates, d_decay if lru else None, dh0, dj0 if lru else None,
    )  # fmt: skip
    return d_gates, d_decay, dh0, dj0


def _scan_back_fake(
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
    sequences, hidden, lru = offsets.shape[0] - 1, gates.shape[1] // SCANS[cell], cell == "lru"
    return (
        gates.new_empty(gates.shape),
        gates.new_empty(2 * hidden if lru else 0),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences if lru else 0, hidden),
    )


def _norm_lstm_cpu(
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
    given = (weight_hh, gain_ih, gain_hh, bias, gain_cell, bias_cell, h0, c0)
    y, h_last, c_last, sums, cells = _norm_lstm_fake(reverse, save, gates, offsets, *given)
    _run(
        _kernels.norm_forward,
        reverse, torch.get_num_threads(), _rows(gates), offsets.contiguous(), weight_hh.contiguous(),
        gain_ih.contiguous(), gain_hh.contiguous(), _close(bias), gain_cell.contiguous(), _close(bias_cell), _close(h0),
        _close(c0), y, h_last, c_last, sums if save else None, cells if save else None,
    )  # fmt: skip
    return y, h_last, c_last, sums, cells


def _norm_lstm_fake(
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
    if gates.dim() != 2:
        raise ShapeError(f"gates must be two-dimensional [steps, width], got shape {list(gates.shape)}.")
    if offsets.dim() != 1 or len(offsets) == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")
    steps, sequences, hidden = gates.shape[0], offsets.shape[0] - 1, weight_hh.shape[-1]
    return (
        gates.new_empty(steps, hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(steps if save else 0, 4 * hidden),
        gates.new_empty(steps if save else 0, hidden),
    )


def _norm_lstm_back_cpu(
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
    cells: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `gates`, of `sums`, of the vectors one behind the other, of h0 and of c0."""
    given = (weight_hh, gain_ih, gain_hh, bias, gain_cell, bias_cell, c0, sums, cells, dy, dh_last, dc_last)
    made = _norm_lstm_back_fake(reverse, gates, offsets, *given)
    _run(
        _kernels.norm_backward,
        reverse, torch.get_num_threads(), _rows(gates), offsets.contiguous(), weight_hh.contiguous(),
        gain_ih.contiguous(), gain_hh.contiguous(), _close(bias), gain_cell.contiguous(), _close(bias_cell), _close(c0),
        sums, cells, _rows_if(dy), _close(dh_last), _close(dc_last), *made,
    )  # fmt: skip
    return made


def _norm_lstm_back_fake(
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
    cells: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    sequences, hidden = offsets.shape[0] - 1, weight_hh.shape[-1]
    return (
        gates.new_empty(gates.shape),
        gates.new_empty(sums.shape),
        gates.new_empty(14 * hidden),
        gates.new_empty(sequences, hidden),
        gates.new_empty(sequences, hidden),
    )


_OPERATORS: list[tuple[str, Callable[..., Any], Callable[..., Any]]] = [
    ("recur", _recur_cpu, _recur_fake),
    ("recur_back", _recur_back_cpu, _recur_back_fake),
    ("recur_gradient", _recur_gradient_cpu, _recur_gradient_fake),
    ("copy", _copy_cpu, _copy_fake),
    ("linear", _linear_cpu, _linear_fake),
    ("outer", _outer_cpu, _outer_fake),
    ("collect", _collect_cpu, _collect_fake),
    ("pool", _pool_cpu, _pool_fake),
    ("pool_back", _pool_back_cpu, _pool_back_fake),
    ("scan", _scan_cpu, _scan_fake),
    ("scan_back", _scan_back_cpu, _scan_back_fake),
    ("norm_lstm", _norm_lstm_cpu, _norm_lstm_fake),
    ("norm_lstm_back", _norm_lstm_back_cpu, _norm_lstm_back_fake),
]
for _name, _cpu, _fake in _OPERATORS:
    library.impl(_name, _cpu, "CPU")
    torch.library.register_fake(f"elman::{_name}", _fake, lib=library)


# ------------------------------------------------------------------------------------------------ counting operations

_Shape = Sequence[int]


def _recur_flops(
    cell: str,
    reverse: bool,
    save: bool,
    x: _Shape,
    index: _Shape | None,
    offsets: _Shape,
    weight_ih: _Shape,
    weight_hh: _Shape,
    bias_ih: _Shape | None,
    bias_hh: _Shape | None,
    weight_hr: _Shape | None,
    *rest: Any,
    **named: Any,
) -> int:
    steps = (x if index is None else index)[0]
    return 2 * (x[0] * math.prod(weight_ih) + steps * _recurrent_size(weight_hh, weight_hr))


def _recur_back_flops(
    cell: str, reverse: bool, offsets: _Shape, weight_hh: _Shape, weight_hr: _Shape | None, *rest: Any, **named: Any
) -> int:
    steps: int = rest[6][0]  # of y, after h0, c0 and the extras
    return 2 * steps * _recurrent_size(weight_hh, weight_hr)


def _recurrent_size(weight_hh: _Shape, weight_hr: _Shape | None) -> int:
    return math.prod(weight_hh) + (0 if weight_hr is None else math.prod(weight_hr))


def _recur_gradient_flops(
    cell: str, reverse: bool, x: _Shape | None, *rest: Any, out_shape: Any = None, **named: Any
) -> int:
    (steps, outputs), (_, width) = rest[-2:]
    flops: int = 2 * steps * GATES[cell] * (width // SAVED[cell]) * (outputs + (0 if x is None else x[1]))
    return flops


def _linear_flops(x: _Shape, weight: _Shape, bias: _Shape | None, **named: Any) -> int:
    return 2 * x[0] * math.prod(weight)


def _outer_flops(a: _Shape, b: _Shape, **named: Any) -> int:
    return 2 * a[0] * a[1] * b[1]


def _norm_lstm_flops(
    reverse: bool, save: bool, gates: _Shape, offsets: _Shape, weight_hh: _Shape, *_: Any, **n: Any
) -> int:
    return 2 * gates[0] * math.prod(weight_hh)


def _norm_lstm_back_flops(reverse: bool, gates: _Shape, offsets: _Shape, weight_hh: _Shape, *_: Any, **n: Any) -> int:
    return 2 * gates[0] * math.prod(weight_hh)


#: Of products of matrices, as torch counts; the formulas of the other operators are 0.
_FLOPS: dict[str, Callable[..., int]] = {
    "recur": _recur_flops,
    "recur_back": _recur_back_flops,
    "recur_gradient": _recur_gradient_flops,
    "linear": _linear_flops,
    "outer": _outer_flops,
    "norm_lstm": _norm_lstm_flops,
    "norm_lstm_back": _norm_lstm_back_flops,
}
for _name, _formula in _FLOPS.items():
    register_flop_formula(getattr(torch.ops.elman, _name))(_formula)
