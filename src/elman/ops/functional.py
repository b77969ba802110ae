"""The compiled kernels as differentiable functions.

Every function takes and returns tensors. On the CPU float32, float64 and, where the processor multiplies it, bfloat16
run on the compiled core; a CUDA tensor goes through cuDNN. Where x is bfloat16, or ``torch.autocast("cpu",
torch.bfloat16)`` is on, a recurrent layer has products of bfloat16 with float32 sums and state: y comes back in
bfloat16, states in float32, and weights stay as they are. Where the processor lacks bfloat16, and for modifiers and
projections, it runs in float32. A row of a forward result depends on its own sequence alone,
bit for bit, whatever shares its batch and however many threads run.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

from elman.errors import OptionError, ShapeError
from elman.ops import fallback
from elman.ops.compile import constant, not_compiled
from elman.ops.gradients import is_wrapped, register, way_back
from elman.ops.library import (
    CANDIDATES,
    CELLS,
    GATES,
    POOLS,
    SCANS,
    check_batch,
    check_shapes,
    choose_set,
    info,
    library,
)

__all__ = [
    "CANDIDATES",
    "CELLS",
    "GATES",
    "SCANS",
    "RecurrenceModifiers",
    "autocasts",
    "checked_flag",
    "choose_set",
    "info",
    "layer_norm_lstm",
    "linear",
    "pieces",
    "pool",
    "pool_on",
    "private",
    "recurrent",
    "scan",
    "waves",
]


class RecurrenceModifiers(NamedTuple):
    """Modifications of h and c between one step and the next. Each is optional.

    ::

        h_{t-1} becomes decay_t * h_{t-1}                      everywhere (GRU-D; Che et al. 2018)
        U multiplies    drop * h_{t-1}                         one mask for all steps (Gal & Ghahramani 2016)
        h_t     becomes keep_t * h_{t-1} + (1 - keep_t) * h_t  zoneout (Krueger et al. 2017); `keep_cell` for c

    `decay` [steps, hidden], which alone gets a gradient; `drop` [sequences, hidden]; `keep` and `keep_cell`
    [steps, hidden] in 0 ... 1, or [1, hidden] for the same at every step.
    """

    decay: Tensor | None = None
    drop: Tensor | None = None
    keep: Tensor | None = None
    keep_cell: Tensor | None = None


# ---------------------------------------------------------------------------------------------------------- gradients


class _Layer(NamedTuple):
    """The tensors of one layer, in the order that the operators take them."""

    x: Tensor
    index: Tensor | None  # type: ignore[assignment]  # in place of tuple.index
    offsets: Tensor
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    weight_hr: Tensor | None
    h0: Tensor | None
    c0: Tensor | None
    decay: Tensor | None = None
    drop: Tensor | None = None
    keep: Tensor | None = None
    keep_cell: Tensor | None = None


class _Gradients(NamedTuple):
    """The gradients of a layer, in the order of `_Layer`."""

    x: Tensor | None
    weight_ih: Tensor | None
    weight_hh: Tensor | None
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    weight_hr: Tensor | None
    h0: Tensor
    c0: Tensor
    decay: Tensor

    def wanted(self, wants: list[bool]) -> tuple[Tensor | None, ...]:
        """In the form of autograd: one for each tensor of the layer."""
        given = [self.x, None, None, *self[1:], None, None, None]
        return tuple(d if want else None for d, want in zip(given, wants, strict=True))


def _back(
    cell: str,
    reverse: bool,
    layer: _Layer,
    y: Tensor,
    cell_states: Tensor,
    gates: Tensor,
    d_results: tuple[Tensor | None, Tensor | None, Tensor | None],
    wants_x: bool,
    wants_weights: bool,
) -> _Gradients:
    """Backward through a layer; `gates` is overwritten with d_gates."""
    dh0, dc0, d_decay, unprojected, d_projected = torch.ops.elman.recurrent_backward(
        cell, reverse, layer.offsets, layer.weight_hh, layer.weight_hr, *layer[8:], y, cell_states, gates, *d_results
    )
    d_gates = gates
    x: Tensor | None = layer.x
    of_x = d_gates[:, : len(layer.weight_ih)]
    if layer.index is not None:  # sums the gradients of the steps that share a row of x
        x, of_x = None, torch.ops.elman.collect(of_x, layer.index, layer.x.shape[0])
    dx = d_ih = d_hh = d_bias_ih = d_bias_hh = d_hr = None
    if wants_x:
        dx = _linear(False, of_x, layer.weight_ih.t(), None).to(layer.x.dtype)
    if wants_weights:
        d_ih, d_hh, d_bias_ih, d_bias_hh = torch.ops.elman.recurrent_weight_gradient(
            cell, reverse, x, layer.offsets, layer.h0, layer.decay, layer.drop, y, d_gates
        )
        if x is None:
            d_ih = torch.ops.elman.outer(of_x, layer.x.to(of_x.dtype))
        if layer.weight_hr is not None:
            d_hr = torch.ops.elman.outer(d_projected, unprojected)
    return _Gradients(dx, d_ih, d_hh, d_bias_ih, d_bias_hh, d_hr, dh0, dc0, d_decay)


def _recurrent_setup(ctx: Any, arguments: tuple[Any, ...], results: tuple[Tensor, ...]) -> None:
    cell, reverse, save, *tensors = arguments
    y, _, _, gates, cell_states = results
    ctx.cell, ctx.reverse, ctx.save = cell, reverse, save
    ctx.mark_non_differentiable(gates, cell_states)
    ctx.save_for_backward(*tensors, y, gates, cell_states)
    ctx.set_materialize_grads(False)


@way_back
def _recurrent_backward(
    ctx: Any, kept: tuple[Tensor, ...], last: bool, *d_results: Tensor | None
) -> tuple[Tensor | None, ...]:
    *tensors, y, gates, cell_states = kept
    wants = list(ctx.needs_input_grad[3:])
    if torch.is_grad_enabled():  # create_graph=True
        layer = _Layer(*tensors)
        _check_twice_differentiable(layer)
        answer = _by_torch(ctx.cell, ctx.reverse, layer)
        return None, None, None, *_differentiable(answer, d_results[:3], tensors, wants)
    if not ctx.save:
        _, _, _, gates, cell_states = _recurrent(False, ctx.cell, ctx.reverse, True, *tensors)
    elif not last:
        gates = gates.clone()
    dy, dh, dc = d_results[:3]
    gradients = _back(
        ctx.cell, ctx.reverse, _Layer(*tensors), y, cell_states, gates, (dy, dh, dc), wants[0], any(wants[3:8])
    )
    return None, None, None, *gradients.wanted(wants)


#: `differentiable` and the arguments of the operator; so are those below.
_recurrent = register(library, "recurrent_forward", _recurrent_setup, _recurrent_backward)


class Wave(NamedTuple):
    """The next chunk of every sequence that has not ended: its rows, their offsets and their sequences."""

    rows: Tensor | slice
    offsets: Tensor
    sequences: Tensor


def waves(offsets: Tensor, steps: int, reverse: bool = False) -> Iterator[Wave]:
    """Splits sequences into chunks of up to `steps` steps; yields the first chunk of each, then the second, and so on.

    `reverse` splits from the last step to the first. Empty sequences are in none.

    >>> [(wave.rows, wave.sequences.tolist()) for wave in waves(torch.tensor([0, 3, 3, 5]), 2)]
    [(tensor([0, 1, 3, 4]), [0, 2]), (slice(2, 3, None), [0])]
    """
    lengths = offsets.diff()
    for past in range(0, int(lengths.max()) if len(lengths) else 0, steps):
        sequences = torch.nonzero(lengths > past)[:, 0]
        counts = (lengths[sequences] - past).clamp(max=steps)
        first = offsets[sequences] + past if not reverse else offsets[sequences + 1] - past - counts
        within = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        if len(sequences) == 1:  # nothing to gather
            rows: Tensor | slice = slice(int(first), int(first + counts))
        else:
            rows = torch.repeat_interleave(first - within[:-1], counts) + torch.arange(
                int(within[-1]), device=first.device
            )
        yield Wave(rows, within, sequences)


#: Steps of a wave that is recomputed, all sequences together.
PIECE = 2048


def pieces(offsets: Tensor, reverse: bool) -> list[Wave]:
    """The waves of ``checkpointing=True``: about `PIECE` steps each, all sequences together."""
    return list(waves(offsets, max(32, PIECE // max(1, len(offsets) - 1)), reverse))


class _RecurrentAgain(torch.autograd.Function):
    """Keeps y and the state at the start of every wave, and recomputes the gates of a wave in backward."""

    @staticmethod
    def forward(ctx: Any, cell: str, reverse: bool, *tensors: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        layer = _Layer(*tensors)  # type: ignore[arg-type]
        _check_whole(cell, layer)
        h, c = _initial(cell, layer)
        x = layer.x if layer.index is None else layer.index
        y = layer.x.new_empty(len(x), layer.weight_hh.shape[1])
        starts: list[Tensor | None] = []
        for wave in pieces(layer.offsets, reverse):
            start = h[wave.sequences], c[wave.sequences] if CELLS[cell].has_cell_state else None
            starts += start
            y[wave.rows], h[wave.sequences], c_wave, _, _ = _recurrent(
                False, cell, reverse, False, *_piece(layer, wave, start)
            )
            if CELLS[cell].has_cell_state:
                c[wave.sequences] = c_wave
        ctx.cell, ctx.reverse = cell, reverse
        ctx.save_for_backward(*tensors, *starts)
        ctx.set_materialize_grads(False)
        return y, h, c

    @staticmethod
    @way_back
    def backward(
        ctx: Any, kept: tuple[Tensor, ...], last: bool, *d_results: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise OptionError(_ONE_GRADIENT.format("checkpointing=True"))
        size = len(_Layer._fields)
        layer, cell, reverse = _Layer(*kept[:size]), ctx.cell, ctx.reverse
        starts = list(zip(kept[size::2], kept[size + 1 :: 2], strict=True))
        wants = list(ctx.needs_input_grad[2:])
        dy, *d_last = d_results
        dh, dc = (part if d is None else d.clone() for part, d in zip(_zeros(cell, layer), d_last, strict=True))
        dx = torch.zeros_like(layer.x) if wants[0] else None
        d_decay = None if layer.decay is None else torch.empty_like(layer.decay)
        totals: list[Tensor | None] = [None] * 5
        for wave, start in zip(reversed(pieces(layer.offsets, reverse)), reversed(starts), strict=True):
            piece, at = _piece(layer, wave, start), wave.sequences
            y, _, _, gates, cell_states = _recurrent(False, cell, reverse, True, *piece)
            d_wave = None if dy is None else dy[wave.rows], dh[at], dc[at] if CELLS[cell].has_cell_state else None
            part = _back(cell, reverse, piece, y, cell_states, gates, d_wave, wants[0], any(wants[3:8]))
            dh[at] = part.h0
            if CELLS[cell].has_cell_state:
                dc[at] = part.c0
            if dx is not None and part.x is not None:
                if layer.index is None:
                    dx[wave.rows] = part.x
                else:
                    dx.index_add_(0, layer.index[wave.rows], part.x)
            if d_decay is not None:
                d_decay[wave.rows] = part.decay
            totals = [_sum(old, new) for old, new in zip(totals, part[1:6], strict=True)]
        if any(wants[3:8]) and totals[0] is None:  # not a single step
            totals = [None if w is None else torch.zeros_like(w) for w in layer[3:8]]
        given = [dx, None, None, *totals, dh, dc, d_decay, None, None, None]
        return None, None, *(d if want else None for d, want in zip(given, wants, strict=True))


@not_compiled  # the waves depend on the lengths, which a graph does not know
def _recurrent_again(cell: str, reverse: bool, *tensors: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    answer: tuple[Tensor, Tensor, Tensor] = _RecurrentAgain.apply(cell, reverse, *tensors)  # type: ignore[no-untyped-call]
    return answer


def _check_whole(cell: str, layer: _Layer) -> None:
    """Checks that the kernels cannot make wave by wave. A batch without steps has them check the rest."""
    check_shapes(cell, layer.x, layer.index, layer.offsets, layer.weight_hh, layer.weight_hr)
    steps, sequences = len(layer.x if layer.index is None else layer.index), len(layer.offsets) - 1
    if layer.x.device.type == "cpu":
        check_batch(layer.offsets, steps, layer.index, len(layer.x))
    hidden = (layer.weight_hh if layer.weight_hr is None else layer.weight_hr).shape[1]
    parts: list[Tensor | None] = []
    for name, rows in (("decay", steps), ("drop", sequences), ("keep", steps), ("keep_cell", steps)):
        mask: Tensor | None = getattr(layer, name)
        if mask is not None and mask.dim() == 2:
            if len(mask) != rows and not (name.startswith("keep") and len(mask) == 1):
                width = hidden if name == "keep_cell" else layer.weight_hh.shape[1]
                raise ShapeError(f"{name} must have shape [{rows}, {width}], got {list(mask.shape)}")
            mask = mask if name == "drop" else mask[:0]
        parts.append(mask)
    none = torch.zeros(sequences + 1, dtype=torch.int64, device="cpu")
    _recurrent(False, cell, False, False, layer.x[:0], None, none, *layer[3:10], *parts)


def _sum(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if total is None or part is None else total.add_(part)


def _zeros(cell: str, layer: _Layer) -> tuple[Tensor, Tensor]:
    sequences, hidden = (
        len(layer.offsets) - 1,
        (layer.weight_hh if layer.weight_hr is None else layer.weight_hr).shape[1],
    )
    zeros = layer.weight_hh.new_zeros
    return zeros(sequences, layer.weight_hh.shape[1]), zeros(sequences if CELLS[cell].has_cell_state else 0, hidden)


def _initial(cell: str, layer: _Layer) -> tuple[Tensor, Tensor]:
    h, c = _zeros(cell, layer)
    return h if layer.h0 is None else layer.h0.clone(), c if layer.c0 is None else layer.c0.clone()


def _piece(layer: _Layer, wave: Wave, start: tuple[Tensor, Tensor | None]) -> _Layer:
    """The layer on the steps of one wave."""
    rows = wave.rows
    x = layer.x[rows if layer.index is None else layer.index[rows]]
    keep, keep_cell = (k if k is None or len(k) == 1 else k[rows] for k in (layer.keep, layer.keep_cell))
    return layer._replace(
        x=x, index=None, offsets=wave.offsets, h0=start[0], c0=start[1],
        decay=None if layer.decay is None else layer.decay[rows],
        drop=None if layer.drop is None else layer.drop[wave.sequences], keep=keep, keep_cell=keep_cell,
    )  # fmt: skip


def _linear_setup(ctx: Any, arguments: tuple[Any, ...], result: Tensor) -> None:
    ctx.save_for_backward(*arguments[:2])


@once_differentiable
@way_back
def _linear_backward(ctx: Any, kept: tuple[Tensor, ...], last: bool, d_out: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = kept
    wants = ctx.needs_input_grad
    outer = torch.ops.elman.outer
    return (
        _linear(False, d_out, weight.t(), None) if wants[0] else None,
        outer(d_out, x) if wants[1] else None,
        outer(d_out, d_out.new_ones(len(d_out), 1))[:, 0] if wants[2] else None,
    )


_linear = register(library, "linear", _linear_setup, _linear_backward)


@way_back
def _copy_backward(ctx: Any, kept: tuple[Tensor, ...], last: bool, d_out: Tensor) -> tuple[Tensor | None, ...]:
    return (d_out,)


_copy = register(library, "copy", lambda ctx, arguments, result: None, _copy_backward)


def _scan_setup(ctx: Any, arguments: tuple[Any, ...], results: tuple[Tensor, ...]) -> None:
    cell, candidate, reverse, *tensors = arguments
    ctx.options = (cell, candidate, reverse)
    ctx.save_for_backward(*tensors, results[0])
    ctx.set_materialize_grads(False)


@once_differentiable
@way_back
def _scan_backward(
    ctx: Any, kept: tuple[Tensor, ...], last: bool, *d_results: Tensor | None
) -> tuple[Tensor | None, ...]:
    d_gates, *rest = torch.ops.elman.scan_backward(*ctx.options, *kept, *d_results)
    wants = ctx.needs_input_grad[5:]
    d_rest = [d if want else None for d, want in zip(rest, wants, strict=True)]
    return None, None, None, d_gates, None, *d_rest


_scan = register(library, "scan_forward", _scan_setup, _scan_backward)


def _layer_norm_lstm_setup(ctx: Any, arguments: tuple[Any, ...], results: tuple[Tensor, ...]) -> None:
    reverse, save, *tensors = arguments
    y, _, _, sums, cell_states = results
    ctx.reverse, ctx.save = reverse, save
    ctx.mark_non_differentiable(sums, cell_states)
    ctx.save_for_backward(*tensors, y, sums, cell_states)
    ctx.set_materialize_grads(False)


@once_differentiable
@way_back
def _layer_norm_lstm_backward(
    ctx: Any, kept: tuple[Tensor, ...], last: bool, *d_results: Tensor | None
) -> tuple[Tensor | None, ...]:
    *tensors, h0, c0, y, sums, cell_states = kept
    if not ctx.save:
        _, _, _, sums, cell_states = _layer_norm_lstm(False, ctx.reverse, True, *tensors, h0, c0)
    offsets, hidden = tensors[1], y.shape[1]
    d_gates, d_sums, d_vectors, dh0, dc0 = torch.ops.elman.layer_norm_lstm_backward(
        ctx.reverse, *tensors, c0, sums, cell_states, *d_results[:3]
    )
    wants = ctx.needs_input_grad[2:]
    d_hh = None
    if wants[2]:
        of = ("lstm", ctx.reverse, None, offsets, h0, None, None, y, d_sums)
        d_hh = torch.ops.elman.recurrent_weight_gradient(*of)[1]
    vectors = d_vectors.split([4 * hidden, 4 * hidden, 4 * hidden, hidden, hidden])
    given = [d_gates, None, d_hh, *vectors, dh0, dc0]
    return None, None, *(d if want else None for d, want in zip(given, wants, strict=True))


_layer_norm_lstm = register(library, "layer_norm_lstm_forward", _layer_norm_lstm_setup, _layer_norm_lstm_backward)


def _pool_setup(ctx: Any, arguments: tuple[Any, ...], results: tuple[Tensor, Tensor]) -> None:
    kind, *tensors, initial = arguments
    ctx.kind = kind
    ctx.mark_non_differentiable(*(results if initial is not None else results[1:]))
    ctx.save_for_backward(*tensors, *results)


@way_back
def _pool_backward(ctx: Any, kept: tuple[Any, ...], last: bool, d_out: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    values, offsets, scores, out, state = kept
    if torch.is_grad_enabled():  # create_graph=True
        pooled = fallback.pool(ctx.kind, values, offsets, scores)
        inputs = [None, values, offsets, scores, None]
        return tuple(_differentiable([pooled], [d_out], inputs, list(ctx.needs_input_grad)))
    d_values, d_scores = torch.ops.elman.pool_backward(ctx.kind, values, offsets, scores, state, out, d_out)
    return None, d_values, None, None if scores is None else d_scores, None


_pool = register(library, "pool_forward", _pool_setup, _pool_backward)


_ONE_GRADIENT = (
    "gradients of gradients (create_graph=True) cannot go through a layer with {}. Leave that out, or use torch.nn's "
    "layer."
)


def _check_twice_differentiable(layer: _Layer) -> None:
    if any(part is not None for part in layer[10:]):
        raise OptionError(_ONE_GRADIENT.format("extras"))
    if layer.x.dtype == torch.bfloat16:
        raise OptionError(_ONE_GRADIENT.format("products in bfloat16"))


def _by_torch(cell: str, reverse: bool, layer: _Layer) -> tuple[Tensor, Tensor, Tensor]:
    """The results of a layer through torch's own operators, whose gradients have gradients."""
    x = layer.x if layer.index is None else layer.x[layer.index]
    return fallback.recurrent(cell, x, layer.offsets, *layer[3:10], reverse)


def _differentiable(
    results: Sequence[Tensor],
    d_results: Sequence[Tensor | None],
    inputs: Sequence[Tensor | None],
    wants: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of `results`, computed in torch's own operators, which have gradients themselves."""
    pairs = [(out, d) for out, d in zip(results, d_results, strict=True) if d is not None and out.requires_grad]
    if not pairs:
        return [None] * len(wants)
    of, ahead = zip(*pairs, strict=True)
    leaves = [t for t, want in zip(inputs, wants, strict=True) if want and t is not None]
    found = iter(torch.autograd.grad(of, leaves, ahead, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wants]


def _check_place(names: tuple[str, ...], tensors: tuple[Tensor | None, ...]) -> None:
    """Raises ``ShapeError`` unless all are dense tensors on the device of the first, but `offsets` of other devices.

    Torch itself accepts tensors on the meta device among others, and returns uninitialised memory.
    """
    if torch.compiler.is_compiling():
        return
    first, place = "", None
    for name, tensor in zip(names, tensors, strict=True):
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise ShapeError(f"{name} must be a tensor, got {kind}. Convert it, for example with torch.as_tensor.")
        if tensor.layout != torch.strided:
            raise ShapeError(f"{name} must be a dense tensor, got {tensor.layout}. Call .to_dense() on it.")
        if place is None:
            first, place = name, tensor.device
        elif tensor.device != place and (name != "offsets" or place.type == "cpu"):
            raise ShapeError(f"{name} is on {tensor.device} but {first} on {place}. Move one of them with .to().")


def _refuse_transforms(*tensors: Tensor | None) -> None:
    """Raises ``OptionError`` under torch.func's transforms and for forward-mode gradients, which would be lost here."""
    if torch.compiler.is_compiling():
        return
    if torch._C._are_functorch_transforms_active() and any(map(is_wrapped, tensors)):
        raise OptionError(
            "torch.func's transforms (vmap, grad, vjp, jvp) cannot go through elman's kernels. For gradients use "
            "backward() or torch.autograd.grad; instead of vmap over inputs make the dimension a part of the batch, "
            "whose sequences do not see each other. Instead of vmap over weights (stack_module_state) loop over "
            "the layers, or use torch.nn's."
        )
    if forward_ad._current_level < 0:
        return
    if any(t is not None and forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        raise OptionError(
            "forward-mode gradients (dual tensors) cannot go through elman's kernels. Use reverse mode: backward() "
            "or torch.autograd.grad."
        )


def _needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


# ---------------------------------------------------------------------------------------------------------- functions


def checked_flag(value: bool, name: str) -> bool:
    """The value of an argument that is True or False. Raises ``OptionError`` for any other.

    >>> checked_flag(True, "checkpointing")
    True
    """
    if not isinstance(value, bool):
        raise OptionError(f"{name} must be True or False, got {value!r}.")
    return value


def recurrent(
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
    *,
    weight_hr: Tensor | None = None,
    extras: RecurrenceModifiers | None = None,
    index: Tensor | None = None,
    checkpointing: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """One recurrent layer in one direction over whole sequences.

    - `cell`: rnn_tanh, rnn_relu, lstm or gru.
    - `x` [steps, inputs] and `offsets` [sequences + 1]; or `x` [rows, inputs] and `index` [steps]: step n reads row
      index[n], and what weight_ih makes of a row is computed once (for the distinct symbols of a batch).
    - weights, biases and their rows are those of ``torch.nn`` (i f g o for LSTM, r z n for GRU). `weight_hr`
      [projected, hidden] makes h narrower (LSTM only; Sak et al. 2014).
    - `h0` and `c0` [sequences, hidden], zeros when left out.
    - `reverse` walks each sequence from its last step to its first.
    - `extras`: see `RecurrenceModifiers`.
    - `checkpointing`: keep only y for backward and compute the gates again, for a third more arithmetic; False: keep
      the gates of every step.

    Returns y [steps, hidden], the last h [sequences, hidden] and, for an LSTM, the last c (else an empty tensor). An
    empty sequence ends in its initial state. Raises ``ShapeError`` and ``OptionError``.

    >>> weights = torch.randn(8, 3), torch.randn(8, 2)
    >>> y, h, c = recurrent("lstm", torch.randn(7, 3), torch.tensor([0, 5, 5, 7]), *weights)
    >>> y.shape, h.shape, bool((h[1] == 0).all())
    (torch.Size([7, 2]), torch.Size([3, 2]), True)
    """
    layer = _Layer(x, index, offsets, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, h0, c0, *(extras or ()))
    _check_layer(cell, layer, checkpointing)
    if x.device.type not in ("cpu", "meta"):
        if extras is not None and any(part is not None for part in extras):
            raise OptionError(f"extras run on the CPU only, got x on {x.device}. Move the layer there.")
        return _by_torch(cell, reverse, layer)
    narrow = x.dtype == torch.bfloat16
    if narrow or autocasts(x):
        layer = _with_float32_sums(layer)
    _refuse_transforms(*layer)
    differentiable = _needs_gradient(*layer)
    if differentiable and checkpointing:
        y, h, c = _recurrent_again(cell, reverse, *layer)
    else:
        y, h, c, _, _ = _recurrent(differentiable, cell, reverse, differentiable, *layer)
    return y.to(torch.bfloat16) if narrow else y, h, c


def _check_layer(cell: str, layer: _Layer, checkpointing: bool) -> None:
    if cell not in GATES:
        raise OptionError(f"cell must be one of {', '.join(GATES)}, got {cell!r}.")
    checked_flag(checkpointing, "checkpointing")
    _check_place(_Layer._fields, layer)
    if any(mask is not None and mask.requires_grad for mask in layer[11:]):
        raise OptionError("drop, keep and keep_cell get no gradient: call .detach() on them.")


def _with_float32_sums(layer: _Layer) -> _Layer:
    """x in bfloat16 where the kernels multiply it, else in float32; weights, states and modifiers in float32."""
    plain = layer.weight_hr is None and all(part is None for part in layer[10:])
    x = layer.x.to(torch.bfloat16 if plain and _has_bfloat16() else torch.float32)
    return _Layer(x, layer.index, layer.offsets, *(None if t is None else t.float() for t in layer[3:]))  # type: ignore[arg-type]


def private(tensor: Tensor) -> Tensor:
    """A contiguous copy, with its gradient, that does not change when `tensor` is written to.

    In a compiled graph it is an operator: torch's compiler drops a clone, even one of what the graph writes over later.
    """
    if not torch.compiler.is_compiling():
        return tensor.clone(memory_format=torch.contiguous_format)
    copied: Tensor = _copy(True, tensor)
    return copied


def autocasts(x: Tensor) -> bool:
    """True where ``torch.autocast`` asks for bfloat16 and `x` is float32."""
    if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return False
    return x.dtype == torch.float32


@functools.cache
def _warn_of_float32(isa: str) -> None:
    warnings.warn(
        "bfloat16 was asked for, but needs a processor that multiplies it (AVX512-BF16) and the instruction set "
        f"avx512; in use is {isa}. The recurrent layers run in float32.",
        stacklevel=5,
    )


@constant  # the graph is for this processor
def _has_bfloat16() -> bool:
    core = info()
    if not core["bfloat16"]:
        _warn_of_float32(core["chosen"])
    return bool(core["bfloat16"])


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``out = x weight^T + bias`` for x [rows, inputs] and weight [outputs, inputs], each row's bits its own.

    ``torch.nn.functional.linear`` chooses its order of summation by the number of rows; this does not.

    >>> x, weight = torch.randn(5, 3), torch.randn(2, 3)
    >>> bool((linear(x, weight)[:1] == linear(x[:1], weight)).all())
    True
    """
    _check_place(("x", "weight", "bias"), (x, weight, bias))
    _refuse_transforms(x, weight, bias)
    if x.device.type not in ("cpu", "meta"):
        return torch.nn.functional.linear(x, weight, bias)
    if x.dtype == torch.bfloat16 and weight.dtype == torch.float32:
        x = x.float()  # what leaves a layer in bfloat16 is added up in the type of the weight
    out: Tensor = _linear(_needs_gradient(x, weight, bias), x, weight, bias)
    return out


def scan(
    cell: str,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None = None,
    h0: Tensor | None = None,
    j0: Tensor | None = None,
    reverse: bool = False,
    candidate: str = "linear",
) -> tuple[Tensor, Tensor, Tensor]:
    """The recurrence of a cell whose gates depend on the inputs only: ``h_t = a_t h_{t-1} + b_t``, unit by unit.

    ::

        min_gru     gates z h     h_t = (1 - z) h_{t-1} + z c           z, f, i = sigmoid of their gates
        min_lstm    gates f i h   h_t = (f h_{t-1} + i c) / (f + i)     c = candidate of gate h
        lru         gates b       h_t = decay h_{t-1} + b               complex: real parts, then imaginary parts

    `gates` is [steps, gates * hidden], `offsets` [sequences + 1], `decay` [2 * hidden] (lru only). `h0` is
    [sequences, hidden], for the lru the real part of the initial state, with `j0` its imaginary part; zeros when left
    out. `candidate` is "linear" (the gate itself), "tanh" or "positive" (g + 0.5 where g >= 0, sigmoid(g) below).
    `reverse` walks each sequence from its last step to its first.

    Returns y [steps, hidden] ([steps, 2 * hidden] for the lru), the last h and the last j (empty but for the lru). An
    empty sequence ends in its initial state. float32 or float64. Raises ``ShapeError``, ``OptionError``.

    >>> y, h, _ = scan("min_gru", torch.tensor([[0.0, 4.0], [0.0, 8.0]]), torch.tensor([0, 2]))
    >>> y.tolist(), h.tolist()
    ([[2.0], [5.0]], [[5.0]])
    """
    tensors = (gates, offsets, decay, h0, j0)
    _check_place(("gates", "offsets", "decay", "h0", "j0"), tensors)
    _refuse_transforms(gates, decay, h0, j0)
    if gates.device.type != "cpu":
        return fallback.scan(cell, gates, offsets, decay, h0, j0, reverse, candidate)
    y, h, j = _scan(_needs_gradient(*tensors), cell, candidate, reverse, *tensors)
    return y, h, j


def layer_norm_lstm(
    gates: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    gain_ih: Tensor,
    gain_hh: Tensor,
    bias: Tensor | None,
    gain_cell: Tensor,
    bias_cell: Tensor | None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM whose pre-activations are normalised at every step over all units (Ba et al. 2016).

    ::

        a_t = gain_ih |W x_t| + gain_hh |U h_{t-1}| + bias            |v| = (v - mean(v)) / sqrt(variance(v) + 1e-5)
        c_t = sigmoid(a_f) c_{t-1} + sigmoid(a_i) tanh(a_g)
        h_t = sigmoid(a_o) tanh(gain_cell |c_t| + bias_cell)

    `gates` is W x_t [steps, 4 * hidden], rows i f g o; `weight_hh` [4 * hidden, hidden]; `gain_ih`, `gain_hh`, `bias`
    [4 * hidden]; `gain_cell`, `bias_cell` [hidden]. `offsets`, `h0`, `c0` and `reverse` as in `recurrent`. Returns y
    [steps, hidden], the last h and the last c. float32 or float64. Raises ``ShapeError``.

    >>> vectors = torch.ones(8), torch.ones(8), None, torch.ones(2), None
    >>> y, h, c = layer_norm_lstm(torch.randn(7, 8), torch.tensor([0, 5, 7]), torch.randn(8, 2), *vectors)
    >>> y.shape, h.shape, c.shape
    (torch.Size([7, 2]), torch.Size([2, 2]), torch.Size([2, 2]))
    """
    tensors = (gates, offsets, weight_hh, gain_ih, gain_hh, bias, gain_cell, bias_cell, h0, c0)
    names = ("gates", "offsets", "weight_hh", "gain_ih", "gain_hh", "bias", "gain_cell", "bias_cell", "h0", "c0")
    _check_place(names, tensors)
    _refuse_transforms(*tensors)
    if gates.device.type != "cpu":
        return fallback.layer_norm_lstm(*tensors, reverse)
    differentiable = _needs_gradient(*tensors)
    y, h, c, _, _ = _layer_norm_lstm(differentiable, reverse, differentiable, *tensors)
    return y, h, c


def pool(kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None = None) -> Tensor:
    """One row per sequence from all of its steps: their mean, max, or mean weighted by attention.

    ::

        attention: out = sum_t w_t values_t / sum_t w_t,   w_t = exp(scores_t)

    `values` is [steps, width], `scores` [steps] (attention only; a step of score -infinity has no weight). Returns
    [sequences, width]; a sequence without steps, or without weight, gets zeros. Steps are added in their order, in
    float64, so that a stream (`pool_on`) gets the same bits and a long one does not drift.

    >>> pool("mean", torch.tensor([[1.0], [3.0]]), torch.tensor([0, 2, 2])).tolist()
    [[2.0], [0.0]]
    """
    if kind not in POOLS:
        raise OptionError(f"pool must be one of {', '.join(POOLS)}, got {kind!r}.")
    _check_place(("values", "offsets", "scores"), (values, offsets, scores))
    _refuse_transforms(values, scores)
    if values.device.type not in ("cpu", "meta"):
        return fallback.pool(kind, values, offsets, scores)
    if values.dtype == torch.bfloat16:
        values = values.float()
    out: Tensor = _pool(_needs_gradient(values, scores), kind, values, offsets, scores, None)[0]
    return out


def pool_on(
    kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`pool` with a running state, float64 [sequences, width + 2], that goes in and comes out. No gradient."""
    out, state = _pool(False, kind, values, offsets, scores, None if state is None else state.double())
    return out, state
