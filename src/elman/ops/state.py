"""The state of recurrent layers: tensors in tuples of tuples."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

#: Tensors [sequences, ...] in tuples of tuples, as an encoder hands them back.
State = Any


def detached(state: State) -> State:
    """The same state, a constant to every gradient."""
    return mapped(Tensor.detach, state)


def taken(state: State, rows: Tensor) -> State:
    """The state of some of the sequences.

    >>> taken((torch.tensor([1, 2, 3]),), torch.tensor([2, 0]))
    (tensor([3, 1]),)
    """
    return mapped(lambda part: part[rows.to(part.device)], state)


def goes_on(fresh: State, last: State, before: Tensor) -> State:
    """Row by row the last state, where `before` [sequences] says in which of its rows, or a fresh one where it is -1.

    >>> goes_on((torch.zeros(3),), (torch.tensor([5.0, 7.0]),), torch.tensor([1, -1, 0]))
    (tensor([7., 0., 5.]),)
    """

    def one(new: Tensor, old: Tensor) -> Tensor:
        rows = before.to(new.device)
        old = old[rows.clamp(min=0)].to(new.dtype)
        return torch.where((rows >= 0).view(-1, *[1] * (new.ndim - 1)), old, new)

    return mapped(one, fresh, last)


def mapped(act: Callable[..., Tensor], state: State, *others: State) -> State:
    """The same structure with `act` of the tensors that stand in one place."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else act(state, *others)
    parts = [mapped(act, *same) for same in zip(state, *others, strict=True)]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
