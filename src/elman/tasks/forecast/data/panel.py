"""Series on a common grid of time, and the names of the columns that they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_GAP", "Columns", "Panel"]

_Array = NDArray[Any]
MOST_GAP = 200  # steps for each row, from which a gap is rather a wrong step


@dataclass(frozen=True)
class Columns:
    """The names of columns. `past`, `future` and `static` are covariates."""

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


@dataclass
class Panel:
    """Series on a common grid, one after the other, with a step for every place of the grid from first to last row.

    `values` float64 [steps] has NaN where nothing was observed; `covariates` by name are float64 with NaN, or texts
    with None; `static` the same, one for each series.
    """

    ids: list[Any]
    offsets: NDArray[np.int64]
    first: NDArray[np.int64]  # the index on the grid of each series' first step
    values: NDArray[np.float64]
    covariates: dict[str, _Array] = field(default_factory=dict)
    static: dict[str, _Array] = field(default_factory=dict)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each series."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.ids)

    def until(self, lengths: NDArray[np.int64]) -> Panel:
        """The first so many steps of each series."""
        keep = np.concatenate([np.arange(a, a + n) for a, n in zip(self.offsets[:-1], lengths, strict=True)])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        covariates = {name: values[keep] for name, values in self.covariates.items()}
        return Panel(self.ids, offsets, self.first, self.values[keep], covariates, self.static)

    def window(self, ids: list[Any], first: NDArray[np.int64], steps: int) -> Panel:
        """So many steps of some series from an index on, missing where there are none."""
        place, rows = {name: i for i, name in enumerate(self.ids)}, np.full((len(ids), steps), -1)
        for i, name in enumerate(ids):
            if (j := place.get(name)) is not None:
                when = first[i] + np.arange(steps) - self.first[j]
                inside = (when >= 0) & (when < self.lengths[j])
                rows[i, inside] = self.offsets[j] + when[inside]
        flat, offsets = rows.reshape(-1), np.arange(len(ids) + 1) * steps
        covariates = {name: _taken(values, flat) for name, values in self.covariates.items()}
        return Panel(ids, offsets, first, _taken(self.values, flat), covariates)

    def led(self, starts: NDArray[np.int64]) -> Panel:
        """The same with missing steps before each series, so that it begins at `starts`."""
        lead = self.first - starts
        if not lead.any():
            return self
        offsets = np.concatenate([[0], np.cumsum(self.lengths + lead)])
        flat = np.full(int(offsets[-1]), -1)
        flat[np.concatenate([np.arange(b - n, b) for b, n in zip(offsets[1:], self.lengths, strict=True)])] = np.arange(
            len(self.values)
        )
        covariates = {name: _taken(values, flat) for name, values in self.covariates.items()}
        return Panel(self.ids, offsets, starts, _taken(self.values, flat), covariates, self.static)


def _taken(values: _Array, rows: NDArray[np.int64]) -> _Array:
    """Some of the values; missing where the row is -1."""
    missing: Any = None if values.dtype == object else np.nan
    return np.where(rows >= 0, values[rows], missing)
