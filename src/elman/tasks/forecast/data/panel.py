"""Series on a common grid of time, and the names of the columns that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
MOST_GAP = 200  # steps for each row, from which a gap is rather a wrong step


@dataclass(frozen=True)
class Columns:
    """The names of columns, and how rows are read. `past`, `future` and `static` are covariates."""

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    wide: bool = False  # a column for each series
    duplicates: str = ""  # how rows of one time are taken together; "": they are refused
    date_format: str = ""  # of dates written as texts or whole numbers; "": ISO 8601
    beside: tuple[str, ...] = ()  # columns of a wide frame that are no series and are not read

    @property
    def values(self) -> Columns:
        """The same without covariates."""
        return replace(self, past=(), future=(), static=(), beside=(*self.past, *self.future))


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

    def take(
        self,
        rows: NDArray[np.int64],
        lengths: NDArray[np.int64],
        first: NDArray[np.int64],
        ids: list[Any] | None = None,
    ) -> Panel:
        """Some steps, missing where the row is -1, as series of these lengths: the same, or others named `ids`."""
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        covariates = {name: _taken(values, rows) for name, values in self.covariates.items()}
        values, static = _taken(self.values, rows), self.static if ids is None else {}
        return Panel(self.ids if ids is None else ids, offsets, first, values, covariates, static)

    def some(self, series: Sequence[int]) -> Panel:
        """Some of the series."""
        chosen = np.asarray(series, np.int64)
        lengths, ids = self.lengths[chosen], [self.ids[i] for i in series]
        made = self.take(ranges(self.offsets[chosen], lengths), lengths, self.first[chosen], ids)
        made.static = {name: values[chosen] for name, values in self.static.items()}
        return made

    def until(self, lengths: NDArray[np.int64]) -> Panel:
        """The first so many steps of each series."""
        return self.take(ranges(self.offsets[:-1], lengths), lengths, self.first)

    def window(self, ids: list[Any], first: NDArray[np.int64], steps: int) -> Panel:
        """So many steps of some series from an index on, missing where there are none."""
        place, rows = {name: i for i, name in enumerate(self.ids)}, np.full((len(ids), steps), -1)
        for i, name in enumerate(ids):
            if (j := place.get(name)) is not None:
                when = first[i] + np.arange(steps) - self.first[j]
                inside = (when >= 0) & (when < self.lengths[j])
                rows[i, inside] = self.offsets[j] + when[inside]
        return self.take(rows.reshape(-1), np.full(len(ids), steps), first, ids)

    def led(self, starts: NDArray[np.int64]) -> Panel:
        """The same with missing steps before each series, so that it begins at `starts`."""
        lengths = self.first - starts + self.lengths
        rows = np.full(int(lengths.sum()), -1)
        rows[ranges(np.cumsum(lengths) - self.lengths, self.lengths)] = np.arange(len(self.values))
        return self.take(rows, lengths, starts)

    def followed_by(self, later: Panel) -> Panel:
        """The same series with the later steps of some of them behind, missing ones between; no static covariates new.

        >>> first = Panel(["a", "b"], np.array([0, 1, 2]), np.array([5, 5]), np.array([1.0, 2.0]))
        >>> first.followed_by(Panel(["b"], np.array([0, 1]), np.array([7]), np.array([3.0]))).values.tolist()
        [1.0, 2.0, nan, 3.0]
        """
        place = {name: i for i, name in enumerate(self.ids)}
        of = np.array([place[name] for name in later.ids], np.int64)
        lengths = self.lengths
        lengths[of] = later.first + later.lengths - self.first[of]
        begins, rows = np.cumsum(lengths) - lengths, np.full(int(lengths.sum()), -1)
        rows[ranges(begins, self.lengths)] = np.arange(len(self.values))
        rows[ranges(begins[of] + later.first - self.first[of], later.lengths)] = np.arange(len(later.values)) + len(
            self.values
        )
        covariates = {name: np.concatenate([part, later.covariates[name]]) for name, part in self.covariates.items()}
        both = replace(self, values=np.concatenate([self.values, later.values]), covariates=covariates)
        return both.take(rows, lengths, self.first)


def ranges(first: _Array, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The whole numbers from each of `first` on, so many of each.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    return np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(int(np.sum(counts)))


def _taken(values: _Array, rows: NDArray[np.int64]) -> _Array:
    missing: Any = None if values.dtype == object else np.nan
    return np.where(rows >= 0, values[rows], missing)
