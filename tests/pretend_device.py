"""A second device for machines without a GPU: tensors that say they are on "lazy", whose numbers lie on the CPU.

As on a GPU an operator that reads tensors of both devices is refused. What it cannot show: speed, memory, cuDNN's own
numbers, and what only a CUDA kernel refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

LAZY = torch.device("lazy:0")
MAY_MIX = ("_to_copy", "copy_", "index", "index_put", "index_put_", "_index_put_impl_")  # as with CUDA: CPU indices


class Away(Tensor):
    """A tensor on the pretended device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Self:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=LAZY
        )
        made.inner = inner
        return made  # type: ignore[no-any-return]

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(function, args, kwargs or {})


class Pretending(TorchDispatchMode):
    """Sends the operators of a block through `call`; counts those on the pretended device."""

    computed = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.computed += any(isinstance(leaf, Away) for leaf in tree_leaves(args))
        return call(function, args, kwargs or {})


def inner(value: Any) -> Any:
    return value.inner if isinstance(value, Away) else value


def call(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operator on the numbers; its results are where its arguments are, or where it is told to put them."""
    name = function.overloadpacket.__name__
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    away = any(isinstance(leaf, Away) for leaf in given)
    if away and name not in MAY_MIX:
        here = [list(leaf.shape) for leaf in given if not isinstance(leaf, Away) and leaf.dim()]
        assert not here, f"{function} reads tensors on the device and on the CPU, these of shapes {here}"
    device = kwargs.get("device")
    if device is not None:
        away, kwargs = device.type == "lazy", {**kwargs, "device": torch.device("cpu")}
    elif name in ("copy_", "index_put_"):
        away = isinstance(given[0], Away)
    made = function(*tree_map(inner, args), **tree_map(inner, kwargs))
    same = {} if device is not None else {id(inner(leaf)): leaf for leaf in given}  # in place: the argument itself

    def outer(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return same.get(id(value), Away(value) if away else value)

    return tree_map(outer, made)


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretending]:
    """``device="cuda"`` is the pretended device in this block."""

    def device_of(name: str) -> torch.device:
        return torch.device("cpu") if name == "cpu" else LAZY

    adamw = torch.optim.AdamW
    with monkeypatch.context() as patch, Pretending() as mode:
        # The fused one knows the devices that torch is built with.
        patch.setattr(torch.optim, "AdamW", lambda *given, fused, **options: adamw(*given, **options, foreach=False))
        for module in (
            "training.device",
            "tasks.base.training_run",
            "tasks.base.fit_notes",
            "tasks.pretrain.pretrainer",
        ):
            patch.setattr(f"elman.{module}.device_of", device_of)
        before = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield mode
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)
