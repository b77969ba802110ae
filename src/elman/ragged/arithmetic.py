"""What arithmetic on a Ragged combines with each of its steps."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.errors import ShapeError
from elman.ragged.from_lists import to_tensor


def is_operand(thing: object) -> bool:
    """True for a number, a tensor or an array, of which the last two may have any shape.

    >>> is_operand(2.5), is_operand(torch.ones(3)), is_operand([1.0])
    (True, True, False)
    """
    return isinstance(thing, int | float | complex | Tensor | np.ndarray | np.number | np.bool_)


def for_every_step(other: Any, values: Tensor) -> Any:
    """A number or a tensor as torch combines it with `values` [steps, ...]: with every step alike.

    Raises ``ShapeError`` for a tensor that does not broadcast to the shape of a step.

    >>> for_every_step(torch.ones(3), torch.zeros(5, 3)).shape
    torch.Size([3])
    """
    if isinstance(other, np.ndarray):
        other = to_tensor(other, "the array", None).to(values.device)
    if not isinstance(other, Tensor) or other.dim() == 0:
        return other
    step = values.shape[1:]
    shape = _broadcast((1, *step), tuple(other.shape))
    if shape is None or len(shape) > values.dim() or shape[0] != 1:
        raise ShapeError(
            f"a tensor of shape {list(other.shape)} does not broadcast to a step of shape {list(step)}. For a row per "
            "step use x.with_values(x.values + tensor), for a row per sequence tensor[x.segments] there."
        )
    return other


def check_lengths(left: Tensor, right: Tensor) -> None:
    """Raises ``ShapeError`` unless two Raggeds with these offsets have sequences of the same lengths.

    >>> check_lengths(torch.tensor([0, 2, 5]), torch.tensor([0, 2, 5]))
    """
    if left is right or torch.equal(left, right):
        return
    if len(left) != len(right):
        found = f"there are {len(left) - 1} sequences on the left and {len(right) - 1} on the right"
    else:
        here, there = left.diff(), right.diff()
        i = int(torch.nonzero(here != there)[0])
        found = f"sequence {i} has {int(here[i])} steps on the left and {int(there[i])} on the right"
    raise ShapeError(f"{found}. Arithmetic on two Raggeds goes step by step: both need the same lengths.")


def aligned(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Two `values` [steps, ...] with as many dimensions each, so that torch broadcasts step against step.

    A step that is a bare number has no dimension and is for all numbers of the other step. Raises ``ShapeError`` for
    steps that do not broadcast.

    >>> [part.shape for part in aligned(torch.ones(5), torch.ones(5, 3))]
    [torch.Size([5, 1]), torch.Size([5, 3])]
    """
    ours, theirs = left.shape[1:], right.shape[1:]
    if _broadcast(tuple(ours), tuple(theirs)) is None:
        raise ShapeError(
            f"steps of shape {list(ours)} on the left and {list(theirs)} on the right do not fit together. Both need "
            "the same width, or one of them width 1."
        )
    deep = max(left.dim(), right.dim())
    made = [part.reshape(len(part), *[1] * (deep - part.dim()), *part.shape[1:]) for part in (left, right)]
    return made[0], made[1]


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        return None
