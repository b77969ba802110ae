"""Switches the recurrent layers of an existing PyTorch model to the compiled core, in place, and back.

    from elman import nn
    print(nn.accelerate(model))
    nn.restore(model)

A layer keeps its identity, parameters, buffers, hooks and every reference to it: only its class changes, to one derived
from the class it had. So an optimizer needs nothing, and ``isinstance(layer, torch.nn.LSTM)`` stays true.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

from elman.errors import OptionError, ShapeError
from elman.nn import rnn as drop_in
from elman.nn.stepping import Stepping

# ------------------------------------------------------------------------------------------------- the classes put in


class _OnCore(drop_in.OnElman):
    """The core under a layer or a cell; torch's own kernels serve the calls that it does not."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Forwards whole sequences, or one step, as torch's class of that name does."""
        module: Any = self
        node = drop_in.traced(module, input, hx)
        if node is not None:
            return node
        if drop_in.is_for_kernels(module, input) and _is_torchs_own(type(self)):
            run = drop_in.step if isinstance(self, nn.RNNCellBase) else drop_in.forward
            return run(module, input, hx)
        return super().forward(input, hx)  # type: ignore[misc]

    def __prepare_scriptable__(self) -> nn.Module:
        raise OptionError(
            "torch.jit.script cannot compile a layer that elman.nn.accelerate swapped. Call elman.nn.restore(model) "
            "first; accelerate(model) may follow."
        )


class RNN(_OnCore, Stepping, nn.RNN):
    """``torch.nn.RNN`` after `accelerate`."""


class LSTM(_OnCore, Stepping, nn.LSTM):
    """``torch.nn.LSTM`` after `accelerate`."""


class GRU(_OnCore, Stepping, nn.GRU):
    """``torch.nn.GRU`` after `accelerate`."""


class RNNCell(_OnCore, nn.RNNCell):
    """``torch.nn.RNNCell`` after `accelerate`."""


class LSTMCell(_OnCore, nn.LSTMCell):
    """``torch.nn.LSTMCell`` after `accelerate`."""


class GRUCell(_OnCore, nn.GRUCell):
    """``torch.nn.GRUCell`` after `accelerate`."""


#: torch's class, and what takes its place.
SWAPS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU, nn.RNNCell: RNNCell, nn.LSTMCell: LSTMCell, nn.GRUCell: GRUCell,
}  # fmt: skip

# Methods of torch's classes that our forward does not go through: a subclass that has its own is left alone.
_INSIDE = (
    "check_input", "check_hidden_size", "check_forward_args", "get_expected_hidden_size", "permute_hidden",
    "_update_flat_weights", "__call__", "_call_impl", "_wrapped_call_impl", "__getattribute__",
)  # fmt: skip


# --------------------------------------------------------------------------------------------------------- the report


class Layer(NamedTuple):
    """One recurrent module of a model: where it stands, what it is, whether it was swapped, and why or why not."""

    name: str
    kind: str
    swapped: bool
    why: str


class Report(tuple[Layer, ...]):
    """What `accelerate` or `restore` did: a list of `Layer`, which prints as a table.

    >>> report = accelerate(nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 4)))
    >>> print(report)
    1 of 1 recurrent modules run on elman; quantize_dynamic leaves those as they are.
    1  GRU(3, 4)  swapped
    """

    @property
    def swapped(self) -> list[Layer]:
        """Those that now run on the compiled core."""
        return [layer for layer in self if layer.swapped]

    @property
    def left(self) -> list[Layer]:
        """Those that run on torch's own kernels."""
        return [layer for layer in self if not layer.swapped]

    def __repr__(self) -> str:
        if not self:
            return "No recurrent modules (RNN, LSTM, GRU and their cells) were found."
        end = "; quantize_dynamic leaves those as they are." if self.swapped else "."
        lines = [f"{len(self.swapped)} of {len(self)} recurrent modules run on elman{end}"]
        name, kind = (max(len(getattr(layer, field)) for layer in self) for field in ("name", "kind"))
        lines += [f"{layer.name:{name}}  {layer.kind:{kind}}  {layer.why}".rstrip() for layer in self]
        return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------ the functions


def accelerate(model: nn.Module) -> Report:
    """Swaps every ``torch.nn`` RNN, LSTM and GRU inside a model, in place, for the same on the compiled core.

    The model itself may be such a layer. Results are torch's within rounding, gradients included; parameters,
    ``state_dict``, hooks and references stay as they are. Left alone are layers on another device than the CPU, in
    float16 or a complex dtype, compiled or scripted, and of a class that changes how the layer computes. Single calls
    that the core does not serve, after ``model.cuda()`` for example, or in bfloat16 on a processor without it, go to
    torch's own kernels. A second call finds everything done. Layers that are not registered in the model (in a plain
    list) are not found. ``torch.ao.quantization.quantize_dynamic`` goes by the very class and leaves swapped layers as
    they are: call `restore` before.

    Returns a report: what was swapped, what was not, and why.

    >>> model = nn.LSTM(3, 4, batch_first=True)
    >>> x = torch.randn(2, 5, 3)
    >>> before = model(x)[0]
    >>> report = accelerate(model)
    >>> isinstance(model, nn.LSTM), bool(torch.allclose(model(x)[0], before, atol=1e-6)), len(report.swapped)
    (True, True, 1)
    """
    _check_model(model, "accelerate")
    return Report([_swap(name, module, within) for name, module, within in _recurrent(model)])


def restore(model: nn.Module) -> Report:
    """Undoes `accelerate`: every swapped layer has its own class again. Returns a report.

    >>> model = nn.GRU(3, 4)
    >>> report = accelerate(model)
    >>> print(restore(model)[0].why, type(model) is nn.GRU)
    restored True
    """
    _check_model(model, "restore")
    layers = []
    for name, module, _ in _recurrent(model):
        why = "was not swapped"
        if is_accelerated(module):
            module.__class__ = _restored(type(module))
            why = "restored"
        own = isinstance(module, drop_in.OnElman)
        layers.append(Layer(name or "(model)", _kind(module), own, "is elman's own" if own else why))
    return Report(layers)


def is_accelerated(module: nn.Module) -> bool:
    """True if `accelerate` swapped this very module.

    >>> is_accelerated(nn.GRU(3, 4))
    False
    """
    return isinstance(module, tuple(SWAPS.values()))


def _check_model(model: Any, call: str) -> None:
    if not isinstance(model, nn.Module):
        raise ShapeError(f"{call} takes a torch.nn.Module, got {type(model).__name__}. Pass the model itself.")


def _swap(name: str, module: nn.Module, within: str) -> Layer:
    def layer(swapped: bool, why: str) -> Layer:
        return Layer(name or "(model)", _kind(module), swapped, why)

    if isinstance(module, drop_in.OnElman):
        return layer(True, "was swapped before" if is_accelerated(module) else "is elman's own")
    obstacle = within or _obstacle(module)
    if obstacle:
        return layer(False, f"left alone: {obstacle}")
    note = "swapped"
    if _overrides(type(module), ("forward",)):
        note += "; its class has a forward of its own, which calls ours through super()"
    module.__class__ = _accelerated(type(module))
    return layer(True, note)


# ------------------------------------------------------------------------------------------------- finding the layers


def _recurrent(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Every recurrent module once, with its name, and an obstacle where something around it is one."""
    seen: set[int] = set()

    def walk(module: nn.Module, name: str, within: str) -> Iterator[tuple[str, nn.Module, str]]:
        if id(module) in seen:
            return
        seen.add(id(module))
        if isinstance(module, torch.jit.ScriptModule):
            within = "it is compiled by torch.jit; accelerate the model before it is"
        elif _is_compiled(module):
            within = "it is compiled by torch.compile; accelerate the model before it is"
        if _is_recurrent(module):
            yield name, module, within
        for child_name, child in module.named_children():
            yield from walk(child, f"{name}.{child_name}" if name else child_name, within)

    return walk(model, "", "")


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None


def _is_recurrent(module: nn.Module) -> bool:
    """True for anything a reader of the report would ask about: quantised and scripted layers too."""
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return True
    if isinstance(module, torch.jit.ScriptModule):
        return getattr(module, "original_name", "") in {kind.__name__ for kind in SWAPS}
    return type(module).__module__.startswith("torch.ao.nn") and type(module).__name__ in {k.__name__ for k in SWAPS}


def _kind(module: nn.Module) -> str:
    """``LSTM(100, 128, num_layers=2)``, as it prints itself."""
    name = str(getattr(module, "original_name", "")) or type(module).__name__
    inside = "" if isinstance(module, torch.jit.ScriptModule) else module.extra_repr()
    return f"{name}({inside})"


# ------------------------------------------------------------------------------------------------------ what prevents


def _obstacle(module: nn.Module) -> str:
    """Why a module cannot be swapped; empty where it can."""
    cls = type(module)
    base = _torch_class(cls)
    if base is None:
        return f"{cls.__module__}.{cls.__qualname__} is not derived from torch.nn's RNN, LSTM, GRU or their cells"
    if "forward" in vars(module):
        return "its forward was replaced on the instance"
    for own in _overrides(cls, _INSIDE):
        return f"its class {own.__qualname__} changes how torch's layer computes"
    for own in _overrides(cls, ("forward",)):
        code = getattr(inspect.unwrap(vars(own)["forward"]), "__code__", None)
        if code is None or not _calls_super_forward(code):
            return f"its class {own.__qualname__} has a forward of its own"
    if not _is_torchs_own(cls):
        return f"torch.nn.{base.__name__}.forward was replaced"
    if isinstance(module, nn.RNNBase) and drop_in.has_other_weights(module):
        return "its _flat_weights were set by hand"
    if any(c.__module__.startswith("torch.distributed") for c in cls.__mro__):
        return "its parameters are sharded"
    if _overrides(cls, ("__init_subclass__",)) or type(cls).__call__ is not type.__call__:
        return f"its class {cls.__qualname__} keeps track of its subclasses"
    return _obstacle_of_weights(module)


def _is_torchs_own(cls: type) -> bool:
    """False where somebody put a function of their own into torch's class, for all layers of its kind."""
    base = _torch_class(cls)
    return getattr(getattr(base, "forward", None), "__globals__", None) is vars(nn.modules.rnn)


def _calls_super_forward(code: types.CodeType) -> bool:
    """True where a function, or one inside it, looks up ``super().forward`` or ``super(Cls, self).forward``."""
    after_super = False
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "LOAD_SUPER_ATTR":  # Python 3.12 and later
            if instruction.argval == "forward":
                return True
        elif name in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.argval == "super":
            after_super = True
        elif name in ("LOAD_METHOD", "LOAD_ATTR"):
            if after_super and instruction.argval == "forward":
                return True
            after_super = False
    return any(_calls_super_forward(part) for part in code.co_consts if isinstance(part, types.CodeType))


def _obstacle_of_weights(module: nn.Module) -> str:
    weights = [*module.parameters(), *module.buffers()]
    for device in {weight.device.type for weight in weights}:
        if device != "cpu":
            return f"its weights are on {device}; elman's kernels are for the CPU"
    for dtype in {weight.dtype for weight in weights if weight.is_floating_point() or weight.is_complex()}:
        if dtype not in drop_in.DTYPES:
            return (
                f"its weights are {str(dtype).removeprefix('torch.')}; elman computes in float32, float64 and bfloat16"
            )
    return ""


def _torch_class(cls: type) -> type[nn.Module] | None:
    return next((base for base in cls.__mro__ if base in SWAPS), None)


def _overrides(cls: type, names: Sequence[str]) -> list[type]:
    """The classes below torch's own that define one of these names themselves."""
    base = _torch_class(cls)
    below = cls.__mro__[: cls.__mro__.index(base)] if base else ()
    return [c for c in below if any(name in vars(c) for name in names) and not c.__module__.startswith("torch.nn.")]


# -------------------------------------------------------------------------------------------------- changing the class

#: The classes put in, and the ones whose place they take.
_ORIGINALS: dict[type, type] = {ours: torchs for torchs, ours in SWAPS.items()}


def _accelerated(cls: type) -> type:
    """The class that takes the place of `cls`.

    A parametrized module has a class of its own, which torch takes away again by going to its first base: ours goes
    under it.
    """
    if cls.__module__ == parametrize.__name__ and cls.__name__.startswith("Parametrized"):
        return _rebuilt(cls, _accelerated)
    return _over(cls)


def _restored(cls: type) -> type:
    """What `_accelerated` was given; also where torch has meanwhile put a class of its own over ours."""
    if cls in _ORIGINALS:
        return _ORIGINALS[cls]
    return _rebuilt(cls, _restored) if issubclass(cls, tuple(_ORIGINALS)) else cls


def _rebuilt(cls: type, change: Callable[[type], type]) -> type:
    inside = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    bases = tuple(map(change, cls.__bases__))
    return types.new_class(cls.__name__, bases, exec_body=lambda names: names.update(inside))


@cache
def _over(cls: type) -> type:
    """Ours for torch's own class. For a subclass one in which ours stands between it and torch's class, so that it
    keeps its methods and its super() finds ours."""
    base = _torch_class(cls)
    assert base is not None
    if cls is base:
        return SWAPS[base]

    def reduce(self: Any, protocol: Any) -> Any:
        """The class has no importable name: it is made again from the one that has."""
        make, arguments, *rest = super(made, self).__reduce_ex__(protocol)  # type: ignore[arg-type]
        if arguments[:1] != (made,):
            return make, arguments, *rest
        return _revive, (cls, make, arguments[1:]), *rest

    inside = {"__reduce_ex__": reduce, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    made = types.new_class(cls.__name__, (cls, SWAPS[base]), exec_body=lambda names: names.update(inside))
    _ORIGINALS[made] = cls
    return made


def _revive(cls: type, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return make(_over(cls), *arguments)
