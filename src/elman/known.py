"""What a forecaster keeps of each series, so that new points cost the same however long the series is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.carry import mapped
from elman.covariates import Covariates, Table
from elman.experts import Members
from elman.scaling import Shape, Tail
from elman.stream import flat, nested

__all__ = ["Known"]

_FIELDS = ("fills", "squares", "level", "scale", "total", "steps", "gap")


@dataclass
class Known:
    """The ends of some series: where they stand in time, what they look like from there, what the networks remember."""

    ids: list[Any]
    next: NDArray[np.int64]  # the index on the grid of the step after the last
    tail: Tail
    states: list[Any]  # of the encoder of each member, rows as `ids`
    memory: list[Tensor]  # what each encoder gave at the last step: [series, hidden]
    last: Table  # changing covariates at the last step
    constant: Table  # static covariates

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the series."""
        chosen = np.asarray(rows, np.int64)
        tail = Tail(*(getattr(self.tail, name)[chosen] for name in _FIELDS))
        at = torch.from_numpy(chosen)
        states = [mapped(lambda part: part[at], state) for state in self.states]
        ids = [self.ids[i] for i in chosen.tolist()]
        memory = [part[at] for part in self.memory]
        return type(self)(ids, self.next[chosen], tail, states, memory, self.last[chosen], self.constant[chosen])

    def config(self) -> dict[str, Any]:
        """What is no tensor."""
        return {"ids": self.ids}

    def tensors(self) -> dict[str, Tensor]:
        """Everything else, by name."""
        made = {f"tail.{name}": torch.from_numpy(getattr(self.tail, name)) for name in _FIELDS}
        made |= {"next": torch.from_numpy(self.next)}
        for name, table in (("last", self.last), ("constant", self.constant)):
            made[f"{name}.numbers"], made[f"{name}.codes"] = map(torch.from_numpy, (table.numbers, table.codes))
        for i, (state, memory) in enumerate(zip(self.states, self.memory, strict=True)):
            made |= {**flat(f"state.{i}", state), f"memory.{i}": memory}
        return {key: value.contiguous() for key, value in made.items()}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        shape: Shape,
        network: Members,
        covariates: Covariates,
    ) -> Self:
        """The inverse of the two above. Raises ValueError for what cannot be."""
        like = [member.initial_state(1) for member in network]
        ids, count = list(config["ids"]), len(config["ids"])
        parts = [tensors[f"tail.{name}"].numpy() for name in _FIELDS]
        widths = [(max(shape.window, shape.season + 1),), (shape.spread,), (), (), (), (), ()]
        kinds = [np.float64] * 5 + [np.int64] * 2
        for part, width, kind in zip(parts, widths, kinds, strict=True):
            if part.shape != (count, *width) or part.dtype != kind or not np.isfinite(part).all():
                raise ValueError("tail")
        tail = Tail(*parts)
        kinds_of_ids = {isinstance(name, str) if isinstance(name, str | int | float) else None for name in ids}
        if len(set(map(repr, ids))) != count or len(kinds_of_ids) != 1 or None in kinds_of_ids:
            raise ValueError("series")
        if not ((tail.scale > 0).all() and (tail.steps > 0).all() and (tail.gap >= 0).all()):
            raise ValueError("tail")
        after = tensors["next"].numpy()
        if after.shape != (count,) or after.dtype != np.int64 or (np.abs(after) > 2**53).any():
            raise ValueError("next")
        tables = [
            Table(tensors[f"{name}.numbers"].numpy(), tensors[f"{name}.codes"].numpy()) for name in ("last", "constant")
        ]
        covariates.check(tables[0], count, covariates.past, covariates.future)
        covariates.check(tables[1], count, covariates.static)
        states = [nested(f"state.{i}", tensors, one) for i, one in enumerate(like)]
        for state, one in zip(states, like, strict=True):
            mapped(_check_same, state, mapped(lambda part: part.new_zeros(count, *part.shape[1:]), one))
        memory = [tensors[f"memory.{i}"] for i in range(len(like))]
        for kept, member in zip(memory, network, strict=True):
            _check_same(kept, torch.zeros(count, member.encoder.outputs))
        return cls(ids, after, tail, states, memory, *tables)


def _check_same(part: Tensor, like: Tensor) -> Tensor:
    if part.shape != like.shape or part.dtype != like.dtype or not part.isfinite().all():
        raise ValueError("state")
    return part
