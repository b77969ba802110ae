"""Learning from a piece of a sequence at a time: a loss at every step, and the state carried from piece to piece."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from elman.training.batching import Piece

__all__ = ["State", "StepLoss", "detached", "goes_on", "mapped", "taken"]

#: Tensors [sequences, ...] in tuples of tuples, as an encoder hands them back.
State = Any


class StepLoss(ABC):
    """The loss of a model that answers at every step, and so can learn from a piece of a sequence at a time.

    `train` cuts sequences into pieces (of `tbptt` steps; of all their steps where that is 0) and hands on the state in
    which each left the piece before, detached. A sequence that begins gets the rows of `initial_state`, through which a
    learnt beginning has its gradient. Several sequences run side by side; where one ends, the next takes its place.

    >>> class NextSymbol(StepLoss):
    ...     def __init__(self, read, encoder, head, inputs, targets):
    ...         self.read, self.encoder, self.head, self.inputs, self.targets = read, encoder, head, inputs, targets
    ...
    ...     def initial_state(self, sequences):
    ...         return self.encoder.initial_state(sequences)
    ...
    ...     def __call__(self, piece, state):
    ...         y, state = self.encoder(self.read(piece.of(self.inputs)), state)
    ...         return torch.nn.functional.cross_entropy(self.head(y.values), piece.of(self.targets).values), state
    """

    @abstractmethod
    def initial_state(self, sequences: int) -> State:
        """The state before the first step of so many sequences: tensors [sequences, ...] in tuples of tuples."""

    @abstractmethod
    def __call__(self, piece: Piece, state: State) -> tuple[Tensor, State]:
        """The mean loss over the steps of the piece, a scalar with gradient, and the state after its last steps."""


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
