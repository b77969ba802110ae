"""Indexed: a Ragged whose steps are rows of a table, most used more than once, such as the vectors of symbols."""

from typing import Any, Self

from torch import Tensor

from elman.errors import ShapeError
from elman.ragged import Ragged


class Indexed(Ragged):
    """Sequences whose step n is ``rows[index[n]]``: a `Ragged` in every respect, but `values` are made when asked for.

    A layer that reads `rows` and `index` instead computes what its weights make of a row once, and not at every step
    that uses it. `rows` is [distinct, width], `index` a `Ragged` of int64 row numbers, whose sequences these are.
    Whatever selects or joins steps gives a plain `Ragged`.

    >>> import torch
    >>> x = Indexed(torch.tensor([[0.0], [7.0]]), Ragged.of([[1, 0], [1]]))
    >>> x.steps, x.values[:, 0].tolist(), x[1].tolist()
    (3, [7.0, 0.0, 7.0], [[7.0]])
    """

    __slots__ = ("index", "rows")

    rows: Tensor
    index: Tensor

    def __init__(self, rows: Tensor, index: Ragged) -> None:
        if rows.dim() != 2 or index.values.dim() != 1:
            raise ShapeError(
                f"Indexed expects rows [distinct, width] and one row number a step, got shapes {list(rows.shape)} and "
                f"{list(index.values.shape)}."
            )
        self.rows, self.index, self.offsets = rows, index.values, index.offsets

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        """All steps, [steps, width]: a copy, made anew at every call."""
        return self.rows[self.index]

    @property
    def steps(self) -> int:
        """How many steps in all sequences together."""
        return self.index.shape[0]

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self.rows, Ragged(self.index, self.offsets))
