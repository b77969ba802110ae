"""Per-series forecasting state. Appending one observation takes constant time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.ops.state import mapped
from elman.tasks.base.session import flat, nested
from elman.tasks.forecast.data.covariates import Covariates, Table
from elman.tasks.forecast.data.scaling import Shape, Tail
from elman.tasks.forecast.network import Ensemble

_LARGEST = 1e150  # of a kept value: what frames may hold, and far beyond


@dataclass
class SeriesState:
    """The ends of some series: their place in time, their last values, the states of the networks."""

    ids: list[Any]
    next: NDArray[np.int64]  # the index on the grid of the step after the last
    tail: Tail
    states: list[Any]  # of each network's encoder, rows as `ids`
    hidden: list[Tensor]  # the output of each encoder at the last step: [series, hidden]
    last: Table  # changing covariates at the last step
    constant: Table  # static covariates

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the series."""
        chosen = np.asarray(rows, np.int64)
        at = torch.from_numpy(chosen)
        states = [mapped(lambda part: part[at], state) for state in self.states]
        ids = [self.ids[i] for i in chosen.tolist()]
        hidden = [part[at] for part in self.hidden]
        last, constant = self.last[chosen], self.constant[chosen]
        return type(self)(ids, self.next[chosen], self.tail[chosen], states, hidden, last, constant)

    def extend(self, other: Self) -> None:
        """Takes in the states of further series."""
        self.ids = [*self.ids, *other.ids]
        self.next, self.tail = np.concatenate([self.next, other.next]), self.tail.joined(other.tail)
        pairs = zip(self.states, other.states, strict=True)
        self.states = [mapped(lambda a, b: torch.cat([a, b]), mine, new) for mine, new in pairs]
        self.hidden = [torch.cat(pair) for pair in zip(self.hidden, other.hidden, strict=True)]
        self.last, self.constant = self.last.followed_by(other.last), self.constant.followed_by(other.constant)

    def tensors(self) -> dict[str, Tensor]:
        """All but the names of the series, by name."""
        made = {f"tail.{f.name}": torch.from_numpy(getattr(self.tail, f.name)) for f in fields(self.tail)}
        made |= {"next": torch.from_numpy(self.next)}
        for name, table in (("last", self.last), ("constant", self.constant)):
            made[f"{name}.numbers"], made[f"{name}.codes"] = map(torch.from_numpy, (table.numbers, table.codes))
        for i, (state, hidden) in enumerate(zip(self.states, self.hidden, strict=True)):
            made |= {**flat(f"encoder.{i}", state), f"hidden.{i}": hidden}
        return {key: value.contiguous() for key, value in made.items()}

    @classmethod
    def restore(
        cls, ids: list[Any], tensors: Mapping[str, Tensor], shape: Shape, network: Ensemble, covariates: Covariates
    ) -> Self:
        """The states of series from `tensors`. Raises ValueError for what cannot be."""
        count = len(ids)
        tail = _tail(tensors, count, shape)
        kinds_of_ids = {isinstance(name, str) if isinstance(name, str | int | float) else None for name in ids}
        if len(set(map(repr, ids))) != count or len(kinds_of_ids) != 1 or None in kinds_of_ids:
            raise ValueError("series")
        after = tensors["next"].numpy()
        if after.shape != (count,) or after.dtype != np.int64 or (np.abs(after) > 2**53).any():
            raise ValueError("next")
        last, constant = (
            Table(tensors[f"{name}.numbers"].numpy(), tensors[f"{name}.codes"].numpy()) for name in ("last", "constant")
        )
        covariates.check(last, count, covariates.past, covariates.future)
        covariates.check(constant, count, covariates.static)
        states, hidden = [], []
        for i, one in enumerate(network):
            like = one.initial_state(count)
            states.append(mapped(_check_same, nested(f"encoder.{i}", tensors, like), like))
            hidden.append(_check_same(tensors[f"hidden.{i}"], torch.zeros(count, one.encoder.outputs)))
        return cls(ids, after, tail, states, hidden, last, constant)


def _tail(tensors: Mapping[str, Tensor], count: int, shape: Shape) -> Tail:
    """The ends of so many series. Raises ValueError for numbers that no series has."""
    dtypes = {"kinds": np.int8, "pairs": np.int64, "steps": np.int64, "gap": np.int64}
    tail = Tail(*(tensors[f"tail.{f.name}"].numpy() for f in fields(Tail)))
    if not ((tail.steps > 0).all() and (tail.steps < 2**53).all()):
        raise ValueError("tail")
    for name, width in Tail.widths(shape, int(tail.steps.max(initial=1))).items():
        part = getattr(tail, name)
        if part.shape != (count, *width) or part.dtype != dtypes.get(name, np.float64) or not np.isfinite(part).all():
            raise ValueError("tail")
    most = 1000.0 if shape.log else _LARGEST
    small = all((np.abs(part) <= most).all() for part in (tail.fills, tail.level, tail.scale, tail.lowest))
    positive = all((part >= 0).all() for part in (tail.squares, tail.total, tail.missed, tail.pairs, tail.gap))
    squares = (tail.squares <= most**2).all() and (tail.total / tail.steps <= most**2).all()
    kinds = (tail.kinds >= 0).all() and (tail.kinds <= 2).all() and (tail.gap < tail.steps).all()
    if not (small and positive and squares and kinds and (tail.scale > 0).all()):
        raise ValueError("tail")
    return tail


def _check_same(part: Tensor, like: Tensor) -> Tensor:
    if part.shape != like.shape or part.dtype != like.dtype or not part.isfinite().all():
        raise ValueError("state")
    return part
