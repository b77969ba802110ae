"""What all gradients of this package share: where they are registered, and what torch may ask of them.

A gradient stands twice over one definition. An eager call goes through an ``autograd.Function`` outside the operator,
which costs a third of a gradient registered at the operator. A compiled graph sees the operator with the registered
gradient: what the operator saves is then known to the compiler, which refuses a graph that overwrites it. (The tensors
that a Function saves are not checked in a graph, and the gradient would be wrong in silence.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import Library

_Gradients = tuple[Tensor | None, ...]


def way_back(function: Callable[..., _Gradients]) -> Any:
    """Makes ``function(ctx, tensors, last, *d_results)`` the backward of an ``autograd.Function``.

    `tensors` are ``ctx.saved_tensors``, looked at once: hooks may read them from a disk or compute them again. `last`
    says that nobody looks at them after this, so that they may be written over. Gradients in a batch
    (``is_grads_batched``, ``jacobian(vectorize=True)``, vmap) go through one after another.
    """

    @functools.wraps(function)
    def backward(ctx: Any, *d_results: Tensor | None) -> _Gradients:
        tensors = ctx.saved_tensors
        # With create_graph=True the gradient is made of torch's own operators, which take a batch as it is.
        if not any(map(_is_batched, d_results)) or torch.is_grad_enabled():
            return function(ctx, tensors, _is_last_look(ctx), *d_results)
        given: list[bool] = []

        def alone(*d_results: Tensor | None) -> tuple[Tensor, ...]:
            gradients = function(ctx, tensors, False, *d_results)
            given[:] = [gradient is not None for gradient in gradients]
            return tuple(gradient for gradient in gradients if gradient is not None)

        found = iter(_one_by_one(alone, d_results))
        return tuple(next(found) if there else None for there in given)

    return backward


_Function = Callable[..., tuple[Tensor, ...]]


def _one_by_one(function: _Function, given: tuple[Tensor | None, ...], level: int | None = None) -> tuple[Tensor, ...]:
    """The results of a function that knows nothing of batches, for tensors of which some are."""
    if not any(map(_is_old_batch, given)):
        results: tuple[Tensor, ...] = _Mapped.apply(function, *given)  # type: ignore[no-untyped-call]
        return results
    if level is None:  # torch.autograd has a vmap of its own, an older one than torch.func's
        level = torch._C._vmapmode_increment_nesting() - 1
        torch._C._vmapmode_decrement_nesting()
    pairs: list[tuple[Tensor | None, int | None]] = [(t, None) for t in given]
    size = 1
    for i, t in enumerate(given):
        if t is not None and _is_old_batch(t):
            whole = torch._remove_batch_dim(t, level, size, 0)
            pairs[i], size = (whole, 0), len(whole)
    found = _stacked(pairs, size, function, level - 1)
    return tuple(torch._add_batch_dim(t, 0, level) for t in found)


class _Mapped(torch.autograd.Function):
    """Such a function under torch.func's vmap."""

    @staticmethod
    def forward(function: _Function, *given: Tensor | None) -> tuple[Tensor, ...]:
        return function(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: gradients of these gradients take another way."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], function: _Function, *given: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        found = _stacked(list(zip(given, in_dims[1:], strict=True)), info.batch_size, function)
        return found, (0,) * len(found)


def _stacked(
    pairs: list[tuple[Tensor | None, int | None]], size: int, function: _Function, level: int | None = None
) -> tuple[Tensor, ...]:
    """The results of a function for each of `size` parts of tensors, which lie along the dimension beside each."""
    parts = []
    for i in range(size):
        part = tuple(t if t is None or dim is None else t.select(dim, i) for t, dim in pairs)
        parts.append(_one_by_one(function, part, level))
    return tuple(map(torch.stack, zip(*parts, strict=True)))


def _is_last_look(ctx: Any) -> bool:
    """True where nobody else sees the saved tensors: the graph is not kept, and no hook of a stranger gave them."""
    return getattr(ctx, "own", False) and not torch._C._autograd._get_current_graph_task_keep_graph()


def _are_own() -> bool:
    """True where what is saved now comes back as it is, or was computed again by ``torch.utils.checkpoint``."""
    hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return hooks is None or hooks[0].__module__ == "torch.utils.checkpoint"


def _is_batched(tensor: Tensor | None) -> bool:
    return tensor is not None and (torch._C._functorch.is_batchedtensor(tensor) or _is_old_batch(tensor))


def _is_old_batch(tensor: Tensor | None) -> bool:
    return tensor is not None and torch._C._functorch.is_legacy_batchedtensor(tensor)


def is_wrapped(tensor: Tensor | None) -> bool:
    """True for a tensor that one of torch.func's transforms has taken hold of."""
    return tensor is not None and torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def register(
    library: Library,
    name: str,
    setup: Callable[[Any, tuple[Any, ...], Any], None],
    backward: Callable[..., _Gradients],
) -> Callable[..., Any]:
    """Gives the operator `name` of `library` a gradient, and returns the operator as callers should call it.

    ``setup(ctx, arguments, results)`` saves what ``backward(ctx, *d_results)`` needs, as in ``torch.library``. The
    function returned takes `differentiable`, whether a gradient is needed, and the arguments.
    """
    operator = getattr(getattr(torch.ops, library.ns), name).default

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.own = _are_own()
        setup(ctx, inputs, output)

    def forward(ctx: Any, *arguments: Any) -> Any:
        results = eager(operator, *arguments)
        setup_context(ctx, arguments, results)
        return results

    torch.library.register_autograd(operator, backward, setup_context=setup_context, lib=library)
    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    function: Any = type(f"elman_{name}", (torch.autograd.Function,), methods)

    def call(differentiable: bool, *arguments: Any) -> Any:
        if torch.compiler.is_compiling():
            return operator(*arguments)
        if torch._C._are_functorch_transforms_active():  # around tensors that are none of these
            with torch._functorch.pyfunctorch.temporarily_clear_interpreter_stack():
                return call(differentiable, *arguments)
        return function.apply(*arguments) if differentiable else eager(operator, *arguments)

    return call


def eager(operator: Callable[..., Any], *arguments: Any) -> Any:
    """An operator without its registered gradient, which costs a third of a small call even where none is needed."""
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*arguments)
