"""Covariates of series: numbers standardised, categories as whole numbers, gaps filled with the last value.

number      (x - mean) / deviation        both of the training data; before the first one seen: 0, and always 0 where
                                          it never changed in training: no weight has learnt what another value means
category    1, 2, 3 ... by the alphabet   0: missing until now, or not among those of the training data
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.tasks.forecast.data.panel import Columns, Panel

_Array = NDArray[Any]


@dataclass
class Table:
    """Numbers float32 [rows, columns], and categories int64 [rows, columns]."""

    numbers: NDArray[np.float32]
    codes: NDArray[np.int64]

    def __getitem__(self, rows: Any) -> Table:
        return Table(self.numbers[rows], self.codes[rows])

    def followed_by(self, other: Table) -> Table:
        """Another's rows below these."""
        return Table(np.concatenate([self.numbers, other.numbers]), np.concatenate([self.codes, other.codes]))

    def joined(self, other: Table) -> Table:
        """Another's columns beside these."""
        numbers = np.concatenate([self.numbers, other.numbers], axis=1)
        return Table(numbers, np.concatenate([self.codes, other.codes], axis=1))


@dataclass
class Covariates:
    """Learns means, deviations and categories of the columns, and reads them.

    >>> panel = Panel(["a"], np.array([0, 3]), np.zeros(1, int), np.zeros(3), {"t": np.array([1.0, np.nan, 3.0])})
    >>> covariates = Covariates().fit(panel, Columns(past=("t",)))
    >>> covariates.changing(panel).numbers.tolist()
    [[-1.0], [-1.0], [1.0]]
    """

    scales: dict[str, tuple[float, float]] = field(default_factory=dict)  # of numbers; deviation 0: never changed
    kinds: dict[str, list[str]] = field(default_factory=dict)  # of categorical ones
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    def fit(self, panel: Panel, columns: Columns) -> Self:
        """Learns from all steps of a panel."""
        self.past, self.future, self.static = columns.past, columns.future, columns.static
        for name, values in {**panel.covariates, **panel.static}.items():
            if values.dtype == object:
                self.kinds[name] = sorted({value for value in values if value is not None})
                continue
            seen = values[~np.isnan(values)]
            mean, deviation = (float(seen.mean()), float(seen.std())) if len(seen) else (0.0, 0.0)
            changes = len(seen) > 0 and float(seen.min()) < float(seen.max()) and deviation > 0
            self.scales[name] = (mean, deviation if changes else 0.0)
        return self

    def names(self, *groups: tuple[str, ...]) -> tuple[list[str], list[str]]:
        """The numeric and the categorical columns of some groups."""
        names = [name for group in groups for name in group]
        return [n for n in names if n in self.scales], [n for n in names if n in self.kinds]

    def sizes(self, *groups: tuple[str, ...]) -> tuple[int, ...]:
        """How many categories each categorical column has, the unknown one included."""
        return tuple(len(self.kinds[name]) + 1 for name in self.names(*groups)[1])

    def changing(self, panel: Panel, before: Table | None = None) -> Table:
        """Past and future covariates of every step; `before`: what was last known of each series."""
        made = self._table(panel.covariates, len(panel.values), self.past, self.future)
        missing = np.isnan(made.numbers), made.codes < 0
        if any(part.any() for part in missing):
            owner = np.repeat(np.arange(len(panel)), panel.lengths)
            begins = panel.offsets[owner, None]
            known = Table(np.zeros_like(made.numbers), np.zeros_like(made.codes)) if before is None else before[owner]
            made.numbers = _carried(made.numbers, missing[0], begins, known.numbers)
            made.codes = _carried(made.codes, missing[1], begins, known.codes)
        return made

    def ahead(self, table: Table) -> Table:
        """The future covariates of what `changing` gave."""
        (past, past_kinds), (future, future_kinds) = self.names(self.past), self.names(self.future)
        numbers = table.numbers[:, len(past) : len(past) + len(future)]
        return Table(numbers, table.codes[:, len(past_kinds) : len(past_kinds) + len(future_kinds)])

    def constant(self, panel: Panel) -> Table:
        """Static covariates, a row for each series."""
        return self._table(panel.static, len(panel), self.static)

    def _table(self, columns: Mapping[str, _Array], rows: int, *groups: tuple[str, ...]) -> Table:
        names, kinds = self.names(*groups)
        numbers = [self._number(name, columns[name]) for name in names]
        codes = [self._code(name, columns[name]) for name in kinds]
        return Table(_stacked(numbers, rows, np.float32), _stacked(codes, rows, np.int64))

    def _number(self, name: str, values: _Array) -> NDArray[np.float32]:
        if values.dtype == object:
            raise DataError(f"column {name!r} held numbers in training and holds texts now. Give numbers.")
        mean, deviation = self.scales[name]
        if not deviation:
            return np.where(np.isnan(values), np.nan, 0.0).astype(np.float32)
        return np.clip((values - mean) / deviation, -1e4, 1e4).astype(np.float32)

    def _code(self, name: str, values: _Array) -> NDArray[np.int64]:
        """-1 where missing."""
        place = {kind: code for code, kind in enumerate(self.kinds[name], start=1)}
        if values.dtype != object and not np.isnan(values).all():
            raise DataError(f"column {name!r} held texts in training and holds numbers now. Give texts.")
        listed = values.tolist()
        return np.array([-1 if v is None or v != v else place.get(v, 0) for v in listed], np.int64)

    def config(self) -> dict[str, Any]:
        """What was learnt, as JSON."""
        scales = {name: list(pair) for name, pair in self.scales.items()}
        groups = {"past": list(self.past), "future": list(self.future), "static": list(self.static)}
        return {"scales": scales, "kinds": self.kinds, **groups}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The inverse of `config`. Raises ValueError for numbers that cannot be."""
        scales = {str(name): (float(mean), float(deviation)) for name, (mean, deviation) in config["scales"].items()}
        if not all(np.isfinite(pair).all() and pair[1] >= 0 for pair in scales.values()):
            raise ValueError("scales")
        kinds = {str(name): [str(kind) for kind in found] for name, found in config["kinds"].items()}
        groups = [tuple(str(name) for name in config[key]) for key in ("past", "future", "static")]
        if sorted([*scales, *kinds]) != sorted(name for group in groups for name in group):
            raise ValueError("covariates")
        return cls(scales, kinds, *groups)

    def check(self, table: Table, rows: int, *groups: tuple[str, ...]) -> None:
        """Raises ValueError unless a table has what some groups of columns need, and so many rows."""
        sizes, numbers = np.array(self.sizes(*groups), np.int64), table.numbers
        shapes = [(rows, len(self.names(*groups)[0])), (rows, len(sizes))]
        if [numbers.shape, table.codes.shape] != shapes or [numbers.dtype, table.codes.dtype] != [np.float32, np.int64]:
            raise ValueError("covariates")
        if not (np.isfinite(numbers).all() and (table.codes >= 0).all() and (table.codes < sizes).all()):
            raise ValueError("covariates")


def _stacked(columns: list[_Array], rows: int, dtype: Any) -> _Array:
    return np.stack(columns, axis=1).astype(dtype) if columns else np.zeros((rows, 0), dtype)


def _carried(values: _Array, missing: NDArray[np.bool_], begins: _Array, before: _Array) -> _Array:
    """Each column with its last known value where there is none; `begins`: the first step of each step's series."""
    rows = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))[:, None]), axis=0)
    return np.where(rows < begins, before, np.take_along_axis(values, np.maximum(rows, 0), axis=0))
