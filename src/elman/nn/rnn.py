"""Forward passes of ``torch.nn``'s recurrent modules on the compiled core.

The functions take the module as an argument, since they serve the classes of `elman.nn` and those of
`elman.nn.accelerate`.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

from elman.errors import ShapeError
from elman.ops import functional as ops
from elman.ops.compile import constant
from elman.ragged import Ragged

#: What weights may be of.
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


class OnElman:
    """Marks the classes whose call runs on the compiled core."""


def forward(layer: nn.RNNBase, input: Any, hx: Any = None, checkpointing: bool = False) -> Any:
    """Forwards whole sequences through an RNN, LSTM or GRU layer of ``torch.nn``'s form: see `elman.nn.LSTM.forward`.

    `checkpointing` as in `ops.recurrent`.
    """
    if isinstance(input, Ragged):
        _check_input(layer, input.values, hx)
        y, last = _stack(layer, input.values, input.offsets, hx, checkpointing)
        return input.with_values(y), last
    if isinstance(input, PackedSequence):
        _check_input(layer, input.data, hx)
        x = Ragged.from_packed(input)
        uneven = int(input.batch_sizes[0]) != int(input.batch_sizes[-1])  # else torch takes them as a padded tensor
        y, last = _stack(layer, x.values, x.offsets, hx, checkpointing, packed=uneven)
        return x.with_values(y).to_packed(like=input), last
    if not isinstance(input, Tensor):
        raise ShapeError(
            f"input must be a Tensor, PackedSequence, jagged nested tensor or Ragged, got {type(input).__name__}."
        )
    if input.is_nested:
        x = Ragged.from_nested(input)
        _check_input(layer, x.values, hx)
        y, last = _stack(layer, x.values, x.offsets, hx, checkpointing)
        return x.with_values(y).to_nested(), last
    return _padded(layer, input, hx, checkpointing)


def step(cell: nn.RNNCellBase, input: Tensor, hx: Any = None) -> Any:
    """Forwards one step through an RNNCell, LSTMCell or GRUCell of ``torch.nn``'s form: see `elman.nn.LSTMCell`."""
    if input.dim() not in (1, 2):
        raise ShapeError(f"input must have 1 or 2 dimensions, got shape {list(input.shape)}.")
    _check_input(cell, input, hx)
    parts = _parts_of(isinstance(cell, nn.LSTMCell), hx)
    alone, kind = input.dim() == 1, _result_type(cell, input, parts)
    x = input.unsqueeze(0) if alone else input
    for part in parts:
        if list(part.shape) != [*input.shape[:-1], cell.hidden_size]:
            raise ShapeError(f"hx must have shape {[*input.shape[:-1], cell.hidden_size]}, got {list(part.shape)}.")
    if alone:
        parts = [part.unsqueeze(0) for part in parts]
    h0, c0 = [*parts, None, None][:2]
    offsets = torch.arange(x.shape[0] + 1, device="cpu")
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    _, h, c = ops.recurrent(kernel_of(cell), x, offsets, *weights, h0, c0)
    if alone:
        h, c = h.squeeze(0), c[0] if len(c) else c
    h, c = h.to(kind), c.to(kind)
    return (h, c) if isinstance(cell, nn.LSTMCell) else h


def kernel_of(module: nn.RNNBase | nn.RNNCellBase) -> str:
    """The name of a module's cell in `ops.recurrent`.

    >>> kernel_of(nn.RNN(2, 3)), kernel_of(nn.LSTMCell(2, 3))
    ('rnn_tanh', 'lstm')
    """
    if isinstance(module, nn.RNNBase):
        return module.mode.lower()
    if isinstance(module, nn.RNNCell):
        return f"rnn_{module.nonlinearity}"
    return "lstm" if isinstance(module, nn.LSTMCell) else "gru"


def is_for_torch(module: nn.Module, input: Any, hx: Any = None) -> bool:
    """True for a call that torch's own kernels should serve, which give the same result.

    On a GPU that is cuDNN, all layers in one call. What ``torch.jit.trace`` and ``torch.onnx.export`` record is to run
    without this package. And torch.func's gradients see torch's operators only; so do jvp where the layer has no part
    in it (`ops` says no to vmap and jvp, as torch does).
    """
    data = _data(input)
    if data is None:
        return False
    transform = _transform()
    if data.device.type not in ("cpu", "meta") or transform not in ("", "Vmap", "Jvp"):
        return True
    if transform == "Jvp" and not any(map(_has_tangent, [data, *_parts(hx), *module.parameters()])):
        return True
    return torch.jit.is_tracing() or _exports_onnx()  # type: ignore[attr-defined, no-untyped-call]


@constant  # a graph is made for one or the other
def _exports_onnx() -> bool:
    onnx = sys.modules.get("torch.onnx")
    return onnx is not None and bool(onnx.is_in_onnx_export())


def traced(module: nn.Module, input: Any, hx: Any) -> Any:
    """A call as ``torch.fx.symbolic_trace`` records it of torch's layers, a node that calls the module; else None."""
    proxy = next((given for given in (input, hx) if isinstance(given, torch.fx.Proxy)), None)
    if proxy is None:
        return None
    tracer: Any = proxy.tracer
    given = (input,) if hx is None else (input, hx)
    return tracer.create_proxy("call_module", tracer.path_of_module(module), given, {})


def is_for_kernels(module: nn.Module, input: Any) -> bool:
    """True for a call that the kernels can serve as torch would, gradients of every kind included."""
    data = _data(input)
    if data is None:
        return isinstance(input, Ragged)
    return (
        not is_for_torch(module, input)
        and _fits(module, data.dtype, _dtype_of(module))
        and (
            torch.compiler.is_compiling()
            or (not _transform() and forward_ad._current_level < 0 and not has_other_weights(module))
        )
    )


def has_other_weights(module: nn.Module) -> bool:
    """True where torch's forward would compute with tensors that were put into ``_flat_weights`` by hand."""
    flat = zip(*(getattr(module, name, ()) for name in _FLAT), strict=False)
    return any(
        weight is not None and ref is not None and ref() is module._parameters.get(name) and weight is not ref()
        for name, ref, weight in flat
    )


_FLAT = ("_flat_weights_names", "_flat_weight_refs", "_flat_weights")


def _fits(module: nn.Module, data: torch.dtype, weights: torch.dtype | None) -> bool:
    """True where the kernels compute what torch would from data and weights of these types."""
    if torch.is_autocast_enabled("cpu"):
        both = torch.float32, torch.bfloat16
        narrow = torch.get_autocast_dtype("cpu") == torch.bfloat16 and multiplies_bfloat16()
        return narrow and data in both and weights in both and not getattr(module, "proj_size", 0)
    if data != weights:
        return False
    return data in (torch.float32, torch.float64) or (data == torch.bfloat16 and multiplies_bfloat16())


@constant  # the graph is for this processor
def multiplies_bfloat16() -> bool:
    """True where the kernels do."""
    return bool(ops.info()["bfloat16"])


def _data(input: Any) -> Tensor | None:
    """The steps of what torch's layers take: of a Tensor or a PackedSequence."""
    data = input.data if isinstance(input, PackedSequence) else input
    return data if isinstance(data, Tensor) and not data.is_nested else None


def _transform() -> str:
    """The innermost of torch.func's transforms at work: Grad, Vmap, Jvp ...; empty where there is none."""
    if torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active():
        return ""
    return str(torch._C._functorch.peek_interpreter_stack().key().name)


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None


def _dtype_of(module: nn.Module) -> torch.dtype | None:
    """Of the first parameter. A weight is not asked: where it is parametrized, looking at it computes it."""
    own = next(iter(module._parameters.values()), None)  # a tenth of the time that `parameters` takes
    first = next(module.parameters(), None) if own is None else own
    return None if first is None else first.dtype


def _padded(layer: nn.RNNBase, input: Tensor, hx: Any, checkpointing: bool) -> tuple[Tensor, Any]:
    """Sequences of equal length. No Ragged is made here: its checks look at numbers, which torch.compile cannot."""
    if input.dim() not in (2, 3):
        raise ShapeError(f"input must have 2 or 3 dimensions, got shape {list(input.shape)}.")
    _check_input(layer, input, hx)
    alone = input.dim() == 2
    if alone:
        _check_states(layer, _parts_of(layer.mode == "LSTM", hx), [])
        input = input.unsqueeze(0 if layer.batch_first else 1)
        hx = None if hx is None else _like(hx, [part.unsqueeze(1) for part in _parts(hx)])
    by_sequence = input if layer.batch_first else input.transpose(0, 1)
    sequences, length, width = by_sequence.shape
    offsets = torch.arange(sequences + 1, device="cpu") * length
    values = _own(by_sequence, torch.is_grad_enabled()).reshape(sequences * length, width)
    y, last = _stack(layer, values, offsets, hx, checkpointing)
    y = y.reshape(sequences, length, y.shape[1])
    output = y if layer.batch_first else y.transpose(0, 1)
    # Contiguous as torch's is: callers go on with .view(). Of two directions y was joined, and nobody else has it.
    output = _own(output, y.requires_grad and not layer.bidirectional).contiguous()
    if alone:
        return output.squeeze(0 if layer.batch_first else 1), _like(last, [part.squeeze(1) for part in _parts(last)])
    return output, last


def _own(tensor: Tensor, needed: bool) -> Tensor:
    """A copy where one is needed: the way back reads what goes in and comes out, and callers may write in both.

    As in torch's layers, whose results ReLU(inplace=True), ``y += x`` and ``y[~mask] = 0`` change.
    """
    return ops.private(tensor) if needed and not torch.compiler.is_exporting() else tensor


def _stack(
    layer: nn.RNNBase, values: Tensor, offsets: Tensor, hx: Any, checkpointing: bool, packed: bool = False
) -> tuple[Tensor, Any]:
    """All layers and directions: [steps, inputs] to [steps, directions * hidden], and the last state."""
    parts, ways = _initial(layer, hx, offsets.shape[0] - 1), 2 if layer.bidirectional else 1
    kind = _result_type(layer, values, parts, packed)
    h0, c0 = [*parts, None, None][:2]
    h_last, c_last = [], []
    for index in range(layer.num_layers):
        if index > 0 and layer.dropout > 0:
            values = nn.functional.dropout(values, layer.dropout, layer.training)
        sides = []
        for way in range(ways):
            at = index * ways + way
            end = f"_l{index}{'_reverse' if way else ''}"
            y, h, c = ops.recurrent(
                kernel_of(layer), values, offsets, getattr(layer, "weight_ih" + end),
                getattr(layer, "weight_hh" + end), getattr(layer, "bias_ih" + end, None),
                getattr(layer, "bias_hh" + end, None), None if h0 is None else h0[at],
                None if c0 is None else c0[at], way == 1,
                weight_hr=getattr(layer, "weight_hr" + end) if layer.proj_size else None, checkpointing=checkpointing,
            )  # fmt: skip
            sides.append(y)
            h_last.append(h)
            c_last.append(c)
        values = sides[0] if ways == 1 else torch.cat(sides, dim=1)
    h = torch.stack(h_last).to(kind)
    return values.to(kind), (h, torch.stack(c_last).to(kind)) if layer.mode == "LSTM" else h


def _result_type(module: nn.Module, x: Tensor, state: list[Tensor], packed: bool = False) -> torch.dtype:
    """Of y and the state, which under autocast depends on the layer and the kind of input: here as in torch.

    Raises ``ShapeError`` where torch refuses too: without autocast nothing is converted in silence.
    """
    if not (torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16):
        if x.dtype == torch.bfloat16:
            _check_bfloat16(module, state)
        return x.dtype
    narrow = isinstance(module, nn.RNNCell) or (isinstance(module, nn.RNNBase) and module.mode.startswith("RNN"))
    if isinstance(module, nn.RNNBase) and module.mode == "LSTM":
        narrow = not packed and not module.proj_size
    if narrow and x.dtype == torch.float32:
        return torch.bfloat16
    return x.dtype if narrow or not state else state[-1].dtype  # the last part is what the others are added to


def _check_bfloat16(module: nn.Module, state: list[Tensor]) -> None:
    for what, dtype in [("the weights are", _dtype_of(module)), *(("hx is", part.dtype) for part in state)]:
        if dtype != torch.bfloat16:
            raise ShapeError(
                f"input is bfloat16, but {what} {str(dtype).removeprefix('torch.')}. Convert one of them, or use "
                'torch.autocast("cpu", torch.bfloat16).'
            )


def checked_state(layer: nn.RNNBase, hx: Any, sequences: int) -> list[Tensor]:
    """A state as a list, each [layers * directions, sequences, width]: none, h, or h and c. Raises ``ShapeError``."""
    parts = _parts_of(layer.mode == "LSTM", hx)
    _check_states(layer, parts, [sequences])
    return parts


def _initial(layer: nn.RNNBase, hx: Any, sequences: int) -> list[Tensor]:
    parts = checked_state(layer, hx, sequences)
    return [_own(part, torch.is_grad_enabled()) for part in parts]


def _check_input(module: nn.RNNBase | nn.RNNCellBase, input: Tensor, hx: Any) -> None:
    """Raises ``ShapeError`` in the words of the caller, before the kernels would in theirs."""
    states = _parts_of(ops.CELLS[kernel_of(module)].has_cell_state, hx)
    if input.shape[-1] != module.input_size:
        raise ShapeError(
            f"input must be input_size={module.input_size} wide, got shape {list(input.shape)}. Build the layer with "
            f"input_size={input.shape[-1]}, or check what feeds it."
        )
    if input.dtype not in DTYPES:
        raise ShapeError(
            f"input must be float32, float64 or bfloat16, got {input.dtype}. Convert it first, for example with "
            ".float()."
        )
    if input.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu"):
        return
    for name, dtype in [("the weights", _dtype_of(module)), *(("hx", part.dtype) for part in states)]:
        if dtype not in (None, input.dtype):
            raise ShapeError(
                f"input is {input.dtype} but {name} {'is' if name == 'hx' else 'are'} {dtype}. Convert one of them: no "
                "type is converted in silence."
            )


def _check_states(layer: nn.RNNBase, parts: list[Tensor], batch: list[int]) -> None:
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    for part, width in zip(parts, (layer.proj_size or layer.hidden_size, layer.hidden_size), strict=False):
        expected = [rows, *batch, width]
        if list(part.shape) != expected:
            raise ShapeError(f"hx must have shape {expected}, got {list(part.shape)}.")


def _parts_of(lstm: bool, hx: Any) -> list[Tensor]:
    """A state as a list: none, h, or h and c."""
    several = isinstance(hx, (tuple, list))
    given = [] if hx is None else list(hx) if several else [hx]
    fits = len(given) == 2 and several if lstm else not several
    if hx is not None and not (fits and all(isinstance(part, Tensor) for part in given)):
        kinds = ", ".join(type(part).__name__ for part in given)
        wanted = "a pair of tensors (h, c)" if lstm else "a tensor"
        raise ShapeError(f"hx must be {wanted}, got {f'({kinds})' if several else kinds}.")
    return given


def _parts(hx: Any) -> list[Tensor]:
    return [] if hx is None else [hx] if isinstance(hx, Tensor) else list(hx)


def _like(hx: Any, parts: list[Tensor]) -> Any:
    return parts[0] if isinstance(hx, Tensor) else tuple(parts)
