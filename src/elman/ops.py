"""The compiled kernels as differentiable functions; the only module that imports the compiled core.

Every function takes and returns tensors. On the CPU float32 and float64 run on the compiled core; a CUDA tensor goes
through cuDNN. A row of a forward result depends on its own sequence alone, bit for bit, whatever shares its batch and
however many threads run.

Kernels are torch operators (``torch.ops.elman.*``), so that ``torch.compile`` sees one opaque call instead of breaking
its graph; their gradients are ``torch.autograd.Function`` classes around the operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.library import Library

from elman.errors import BuildError, OptionError, ShapeError

try:
    from elman import _kernels
except ImportError as error:  # pragma: no cover - needs a broken installation
    raise BuildError(
        f"the compiled core of elman is missing or unusable ({error}). Build it with 'pip install .' in the project's "
        "folder (it needs a C++17 compiler and the Python headers), or install a wheel for this platform."
    ) from error

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
_SAVED = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 4}

_library = Library("elman", "DEF")
_library.define(
    "recur(str cell, bool reverse, bool save, Tensor x, Tensor offsets, Tensor weight_ih, Tensor weight_hh, "
    "Tensor? bias_ih, Tensor? bias_hh, Tensor? h0, Tensor? c0) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_library.define(
    "recur_back(str cell, bool reverse, Tensor x, Tensor offsets, Tensor weight_hh, Tensor? h0, Tensor? c0, Tensor y, "
    "Tensor cells, Tensor(a!) saved, Tensor? dy, Tensor? dh_last, Tensor? dc_last) -> (Tensor, Tensor, Tensor)"
)
_library.define("outer(Tensor a, Tensor b) -> Tensor")
_library.define("linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor")
_library.define("pool(str kind, Tensor values, Tensor offsets, Tensor? scores, Tensor? initial) -> (Tensor, Tensor)")
_library.define(
    "pool_back(str kind, Tensor values, Tensor offsets, Tensor? scores, Tensor state, Tensor out, Tensor dout) "
    "-> (Tensor, Tensor)"
)


def info() -> dict[str, Any]:
    """What the compiled core was built with, what this processor has and what is in use.

    >>> sorted(info())[:3]
    ['built', 'chosen', 'compiler']
    """
    return dict(_kernels.info())


def choose_set(name: str = "") -> None:
    """Chooses the instruction set by name, as the variable ELMAN_ISA does; an empty name means the automatic choice.

    Raises ``OptionError`` for a set that was not built or that this processor lacks.
    """
    _kernels.choose_set(name)


def _rows(x: Tensor) -> Tensor:
    """`x` itself when each row is contiguous, which is all a kernel asks; otherwise a copy."""
    fits = x.shape[1] <= 1 or x.stride(1) == 1
    return x if fits and (x.shape[0] <= 1 or x.stride(0) >= x.shape[1]) else x.contiguous()


def _close(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


# ------------------------------------------------------------------------------------------------ operators, on a CPU


def _recur_cpu(
    cell: str,
    reverse: bool,
    save: bool,
    x: Tensor,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    y, h_last, c_last, saved, cells = _recur_fake(
        cell, reverse, save, x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0
    )
    work = saved if save else x.new_empty(len(x), _SAVED[cell] * weight_hh.shape[-1])
    is_lstm = cell == "lstm"
    _kernels.forward(
        cell, reverse, save, torch.get_num_threads(), _rows(x), offsets.contiguous(), weight_ih.contiguous(),
        weight_hh.contiguous(), _close(bias_ih), _close(bias_hh), _close(h0), _close(c0), y, h_last,
        c_last if is_lstm else None, work, cells if is_lstm and save else None,
    )  # fmt: skip
    return y, h_last, c_last, saved, cells


def _recur_fake(
    cell: str,
    reverse: bool,
    save: bool,
    x: Tensor,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    if cell not in GATES:
        raise OptionError(f"cell must be one of {', '.join(GATES)}, got {cell!r}.")
    if x.dim() != 2:
        raise ShapeError(f"x must be two-dimensional [steps, width], got shape {list(x.shape)}.")
    if offsets.dim() != 1 or len(offsets) == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")
    steps, sequences, hidden = x.shape[0], offsets.shape[0] - 1, weight_hh.shape[-1]
    lstm = cell == "lstm"
    return (
        x.new_empty(steps, hidden),
        x.new_empty(sequences, hidden),
        x.new_empty(sequences if lstm else 0, hidden),
        x.new_empty(steps if save else 0, _SAVED[cell] * hidden),
        x.new_empty(steps if save and lstm else 0, hidden),
    )


def _recur_back_cpu(
    cell: str,
    reverse: bool,
    x: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    y: Tensor,
    cells: Tensor,
    saved: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`saved` becomes the gradients of the pre-activations. Returns x, 1 and h_{t-1} side by side, then dh0 and dc0."""
    operands, dh0, dc0 = _recur_back_fake(
        cell, reverse, x, offsets, weight_hh, h0, c0, y, cells, saved, dy, dh_last, dc_last
    )
    lstm = cell == "lstm"
    _kernels.backward(
        cell, reverse, torch.get_num_threads(), _rows(x), offsets.contiguous(), weight_hh.contiguous(), _close(h0),
        _close(c0), y, cells if lstm else None, None if dy is None else _rows(dy), _close(dh_last),
        _close(dc_last) if lstm else None, saved, operands, dh0, dc0 if lstm else None,
    )  # fmt: skip
    return operands, dh0, dc0


def _recur_back_fake(
    cell: str,
    reverse: bool,
    x: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    y: Tensor,
    cells: Tensor,
    saved: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    sequences, hidden = offsets.shape[0] - 1, weight_hh.shape[-1]
    return (
        y.new_empty(y.shape[0], x.shape[1] + 1 + hidden),
        y.new_empty(sequences, hidden),
        y.new_empty(sequences if cell == "lstm" else 0, hidden),
    )


def _linear_cpu(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out = _linear_fake(x, weight, bias)
    _kernels.linear(torch.get_num_threads(), _rows(x), weight.contiguous(), _close(bias), out)
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
    _kernels.outer(torch.get_num_threads(), _rows(a), _rows(b), out)
    return out


def _outer_fake(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[1], b.shape[1])


def _pool_cpu(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, initial: Tensor | None
) -> tuple[Tensor, Tensor]:
    out, state = _pool_fake(kind, values, offsets, scores, initial)
    _kernels.pool_forward(
        kind, torch.get_num_threads(), _rows(values), offsets.contiguous(), _close(scores), _close(initial), state, out
    )
    return out, state


def _pool_fake(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, initial: Tensor | None
) -> tuple[Tensor, Tensor]:
    if values.dim() != 2:
        raise ShapeError(f"values must be two-dimensional [steps, width], got shape {list(values.shape)}.")
    if offsets.dim() != 1 or len(offsets) == 0:
        raise ShapeError(f"offsets must be one-dimensional with at least one element, got shape {list(offsets.shape)}.")
    sequences, hidden = offsets.shape[0] - 1, values.shape[1]
    return values.new_empty(sequences, hidden), values.new_empty(sequences, hidden + 2)


def _pool_back_cpu(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor, out: Tensor, dout: Tensor
) -> tuple[Tensor, Tensor]:
    d_values, d_scores = _pool_back_fake(kind, values, offsets, scores, state, out, dout)
    _kernels.pool_backward(
        kind, torch.get_num_threads(), _rows(values), offsets.contiguous(), _close(scores), state, out,
        dout.contiguous(), d_values, d_scores if kind == "attention" else None,
    )  # fmt: skip
    return d_values, d_scores


def _pool_back_fake(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor, out: Tensor, dout: Tensor
) -> tuple[Tensor, Tensor]:
    return values.new_empty(values.shape), values.new_empty(values.shape[0] if kind == "attention" else 0)


_OPERATORS: list[tuple[str, Callable[..., Any], Callable[..., Any]]] = [
    ("recur", _recur_cpu, _recur_fake),
    ("recur_back", _recur_back_cpu, _recur_back_fake),
    ("linear", _linear_cpu, _linear_fake),
    ("outer", _outer_cpu, _outer_fake),
    ("pool", _pool_cpu, _pool_fake),
    ("pool_back", _pool_back_cpu, _pool_back_fake),
]
for _name, _cpu, _fake in _OPERATORS:
    _library.impl(_name, _cpu, "CPU")
    torch.library.register_fake(f"elman::{_name}", _fake, lib=_library)


# ---------------------------------------------------------------------------------------------------------- gradients


class _Recur(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        reverse: bool,
        x: Tensor,
        offsets: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
        h0: Tensor | None,
        c0: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, h_last, c_last, saved, cells = torch.ops.elman.recur(
            cell, reverse, True, x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0
        )
        ctx.cell, ctx.reverse, ctx.saved = cell, reverse, saved
        ctx.save_for_backward(x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, y, cells)
        ctx.set_materialize_grads(False)
        return y, h_last, c_last

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dy: Tensor | None, dh_last: Tensor | None, dc_last: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, y, cells = ctx.saved_tensors
        cell, reverse, wants = ctx.cell, ctx.reverse, ctx.needs_input_grad
        saved = ctx.saved
        if saved is None:  # a second time (retain_graph): the first wrote its gradients over it
            saved = torch.ops.elman.recur(
                cell, reverse, True, x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0
            )[3]
        ctx.saved = None
        operands, dh0, dc0 = torch.ops.elman.recur_back(
            cell, reverse, x, offsets, weight_hh, h0, c0, y, cells, saved, dy, dh_last, dc_last
        )
        dx = torch.ops.elman.linear(saved[:, : len(weight_ih)], weight_ih.t(), None) if wants[2] else None
        d_weights: tuple[Tensor | None, ...] = (None, None, None, None)
        if any(wants[4:8]):
            d_weights = _weight_gradients(cell, operands, saved, x.shape[1])
        d_state = (dh0 if wants[8] else None, dc0 if wants[9] else None)
        return (
            None,
            None,
            dx,
            None,
            *(d if want else None for d, want in zip(d_weights, wants[4:8], strict=True)),
            *d_state,
        )


def _weight_gradients(cell: str, operands: Tensor, da: Tensor, inputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of weight_ih, weight_hh, bias_ih, bias_hh, as sums over all steps: as few large products as there can be.

    `operands` is [x, 1, h_{t-1}]; `da` holds i f g o, one block, or r z n q, where n belongs to x and q to h.
    """
    straight = da.shape[1] // 2 if cell == "gru" else da.shape[1]
    outer = torch.ops.elman.outer
    both = outer(operands, da[:, :straight])
    of_x, of_h = both[: inputs + 1], both[inputs:]
    if cell == "gru":
        hidden = straight // 2
        of_x = torch.cat([of_x, outer(operands[:, : inputs + 1], da[:, straight : straight + hidden])], dim=1)
        of_h = torch.cat([of_h, outer(operands[:, inputs:], da[:, straight + hidden :])], dim=1)
    return of_x[:inputs].t(), of_h[1:].t(), of_x[inputs], of_h[0]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        out: Tensor = torch.ops.elman.linear(x, weight, bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants = ctx.needs_input_grad
        return (
            d_out @ weight if wants[0] else None,
            d_out.t() @ x if wants[1] else None,
            d_out.sum(0) if wants[2] else None,
        )


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None) -> Tensor:
        out, state = torch.ops.elman.pool(kind, values, offsets, scores, None)
        ctx.kind = kind
        ctx.save_for_backward(values, offsets, scores, state, out)
        return out  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        values, offsets, scores, state, out = ctx.saved_tensors
        d_values, d_scores = torch.ops.elman.pool_back(ctx.kind, values, offsets, scores, state, out, d_out)
        return None, d_values, None, None if scores is None else d_scores


def _needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


# ---------------------------------------------------------------------------------------------------------- functions


def recur(
    cell: str,
    x: Tensor,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """One recurrent layer in one direction over whole sequences.

    `cell` is one of rnn_tanh, rnn_relu, lstm, gru; `x` is [steps, inputs] and `offsets` [sequences + 1]; weights,
    biases and their rows are those of ``torch.nn`` (i f g o for LSTM, r z n for GRU). `h0` and `c0` are
    [sequences, hidden], zeros when left out. `reverse` walks each sequence from its last step to its first.

    Returns y [steps, hidden], the last h [sequences, hidden] and, for an LSTM, the last c (else an empty tensor). An
    empty sequence ends in its initial state. float32 or float64. Raises ``ShapeError``.

    >>> weights = torch.randn(8, 3), torch.randn(8, 2)
    >>> y, h, c = recur("lstm", torch.randn(7, 3), torch.tensor([0, 5, 5, 7]), *weights)
    >>> y.shape, h.shape, bool((h[1] == 0).all())
    (torch.Size([7, 2]), torch.Size([3, 2]), True)
    """
    if x.device.type != "cpu":
        return _recur_cudnn(cell, x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, reverse)
    if _needs_gradient(x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0):
        answer = _Recur.apply(cell, reverse, x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)  # type: ignore[no-untyped-call]
    else:
        answer = torch.ops.elman.recur(cell, reverse, False, x, offsets, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)
    return answer[0], answer[1], answer[2]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``out = x weight^T + bias`` for x [rows, inputs] and weight [outputs, inputs], each row's bits its own.

    ``torch.nn.functional.linear`` chooses its order of summation by the number of rows; this does not.

    >>> x, weight = torch.randn(5, 3), torch.randn(2, 3)
    >>> bool((linear(x, weight)[:1] == linear(x[:1], weight)).all())
    True
    """
    if x.device.type != "cpu":
        return torch.nn.functional.linear(x, weight, bias)
    if _needs_gradient(x, weight, bias):
        out: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    return torch.ops.elman.linear(x, weight, bias)  # type: ignore[no-any-return]


def pool(kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None = None) -> Tensor:
    """One row per sequence from all of its steps: their mean, max, or mean weighted by attention.

    ::

        attention: out = sum_t w_t values_t / sum_t w_t,   w_t = exp(scores_t)

    `values` is [steps, width], `scores` [steps] (attention only). Returns [sequences, width]; a sequence without steps
    gets zeros. Steps are added in their order, so that a stream (`pool_on`) gets the same bits.

    >>> pool("mean", torch.tensor([[1.0], [3.0]]), torch.tensor([0, 2, 2])).tolist()
    [[2.0], [0.0]]
    """
    if values.device.type != "cpu":
        return _pool_anywhere(kind, values, offsets, scores)
    if _needs_gradient(values, scores):
        out: Tensor = _Pool.apply(kind, values, offsets, scores)  # type: ignore[no-untyped-call]
        return out
    return torch.ops.elman.pool(kind, values, offsets, scores, None)[0]  # type: ignore[no-any-return]


def pool_on(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`pool` with a running state [sequences, width + 2] that goes in and comes out. No gradient."""
    out, state = torch.ops.elman.pool(kind, values, offsets, scores, state)
    return out, state


# ------------------------------------------------------------------------------------------------------ other devices


def _recur_cudnn(
    cell: str,
    x: Tensor,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same layer through torch's own kernels (cuDNN), which take steps in order of time and no empty sequence."""
    order, batch_sizes, sequences = _by_time(offsets, reverse)
    hidden, everyone = weight_hh.shape[1], len(offsets) - 1
    h_last = x.new_zeros(everyone, hidden) if h0 is None else h0
    c_last = x.new_zeros(everyone if cell == "lstm" else 0, hidden) if c0 is None else c0
    weights = [w for w in (weight_ih, weight_hh, bias_ih, bias_hh) if w is not None]
    if len(order) == 0:  # the sums of nothing keep everything in the graph, with gradients of zero, as on the CPU
        nothing = x.sum() + torch.stack([w[:0].sum() for w in weights]).sum()
        return x.new_zeros(0, hidden) + nothing, h_last, c_last
    order, sequences = order.to(x.device), sequences.to(x.device)
    if len(weights) == 3:
        weights = [weight_ih, weight_hh] + [
            weight_ih.new_zeros(len(weight_ih)) if bias is None else bias for bias in (bias_ih, bias_hh)
        ]
    start = h_last[sequences][None]
    training = _needs_gradient(x, *weights, h0, c0)  # cuDNN keeps what backward needs only when told to
    arguments = (weights, len(weights) == 4, 1, 0.0, training, False)
    if cell == "lstm":
        data, h, c = torch.lstm(x[order], batch_sizes, (start, c_last[sequences][None]), *arguments)
        c_last = c_last.index_copy(0, sequences, c[0])
    else:
        data, h = getattr(torch, cell)(x[order], batch_sizes, start, *arguments)
    y = torch.empty_like(data).index_copy(0, order, data)
    return y, h_last.index_copy(0, sequences, h[0]), c_last


def _by_time(offsets: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rows ordered by step, longest sequence first; how many rows each step has; which sequences."""
    lengths = offsets.diff()
    longest_first = torch.argsort(lengths, descending=True, stable=True)
    sequences = longest_first[lengths[longest_first] > 0]
    lengths = lengths[sequences]
    longest = int(lengths[0]) if len(lengths) else 0
    step = torch.arange(longest)
    batch_sizes = (lengths[None, :] > step[:, None]).sum(1)
    exists = lengths[None, :] > step[:, None]
    first = offsets[sequences]
    rows = first + lengths - 1 - step[:, None] if reverse else first + step[:, None]
    return rows[exists], batch_sizes, sequences


def _pool_anywhere(kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None) -> Tensor:
    lengths = offsets.diff().to(values.device)
    index = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
    zeros = values.new_zeros(len(lengths), values.shape[1])
    if kind == "max":
        return zeros.scatter_reduce(0, index[:, None].expand_as(values), values, "amax", include_self=False)
    if kind == "mean":
        return zeros.index_add(0, index, values) / lengths.clamp(min=1)[:, None]
    if scores is None:
        raise ShapeError("scores are needed for attention and were not given.")
    peak = scores.new_zeros(len(lengths)).scatter_reduce(0, index, scores.detach(), "amax", include_self=False)
    weights = torch.exp(scores - peak[index])
    total = scores.new_zeros(len(lengths)).index_add(0, index, weights)
    weighted = zeros.index_add(0, index, weights[:, None] * values)
    return weighted / torch.where(lengths > 0, total, torch.ones_like(total))[:, None]
