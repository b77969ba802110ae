"""Long frames read as panels: a row for each series and time, as Nixtla's libraries take them; from any library.

unique_id  ds                   y
north      2024-01-01 00:00     12.0
north      2024-01-01 01:00     NaN          a missing value; a row that is left out is one too
south      2024-01-01 00:00      3.5
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, MessagePart, Place, option
from elman.features.base import check_pairs
from elman.tasks.forecast.data.business_days import BusinessDays
from elman.tasks.forecast.data.duplicates import aggregated
from elman.tasks.forecast.data.layout import Arranged, arrange
from elman.tasks.forecast.data.panel import MOST_GAP, Columns, Panel
from elman.tasks.forecast.data.stamps import read_stamps, refuse_disguised_dates
from elman.tasks.forecast.data.style import Style, library_of, type_of
from elman.tasks.forecast.data.time_grid import MONDAY_TO_FRIDAY, OFF, Grid, readable
from elman.tasks.forecast.data.zones import wall_clock
from elman.validation.columns import is_missing
from elman.validation.messages import shown
from elman.validation.plain_values import plain_value

_Array = NDArray[Any]
_NUMBERS = (int, float, np.number, np.bool_, Decimal)


class Series(NamedTuple):
    """The contents of a frame."""

    panel: Panel
    grid: Grid
    style: Style


def read(
    frame: Any,
    columns: Columns,
    grid: Grid | None = None,
    freq: tuple[str, int] | None = None,
    sort: bool = False,
    target: bool = True,
    name: str = "frame",
    whole: bool = False,
    positive: tuple[MessagePart, ...] = (),
    ids: Sequence[Any] = (),
    days: BusinessDays = MONDAY_TO_FRIDAY,
) -> Series:
    """The series of a long frame, the grid of their time stamps, and the style of the frame.

    Rows of different series may be mixed; those of one must ascend, unless `sort`. Without `target` the values are
    not read, and a frame without names of series holds for all of `ids`. `whole` histories are refused if all rows of a
    series stand several steps apart. `positive`: why every value must be above 0, and what to do where one is not;
    empty: none must. `days`: those that a grid of business days has. A `Series` is returned unchanged. Raises
    ``DataError`` naming column, row (counted from 0) and value.

    >>> import polars as pl
    >>> frame = pl.DataFrame({"unique_id": ["a", "a", "b"], "ds": [1, 3, 1], "y": [1.0, 2.0, 5.0]})
    >>> read(frame, Columns(), freq=("integer", 1))[0].values.tolist()
    [1.0, nan, 2.0, 5.0]
    """
    if isinstance(frame, Series):
        return frame
    rows = _Rows(arrange(frame, columns, target, name, ids), columns, target, sort, name)
    grid = rows.find_grid(freq, days) if grid is None else rows.check_grid(grid)
    panel, places = rows.empty_panel(grid, whole)
    if target:
        panel.values[places] = rows.values(positive)
    for column in (*columns.past, *columns.future):
        values = rows.changing(column)
        texts = values.dtype == object
        panel.covariates[column] = np.full(len(panel.values), None if texts else np.nan, object if texts else float)
        panel.covariates[column][places] = values
    for column in columns.static:
        panel.static[column] = rows.constant(column)
    return Series(panel, grid, rows.style)


class _Rows:
    """The rows of a frame. `order` sorts them series by series and by time, as `codes` and `stamps` are sorted.

    Where rows of one time are taken together, `begins` is the first of each in that order.
    """

    def __init__(self, given: Arranged, columns: Columns, target: bool, sort: bool, name: str) -> None:
        self.columns, self.name, self.given, self.table = columns, name, given, given.table
        self.height = len(self.table)
        if not self.height:
            raise self._error("has no rows. Give at least one for each series.")
        self.ids, codes = self._read_ids()
        self.repeats = len(codes) // self.height  # the rows hold for so many series
        stamps, style = read_stamps(self.table, columns.time, name, columns.date_format)
        stamps = np.tile(stamps, self.repeats)
        named = "" if given.ids else type_of(self.table[columns.id], library_of(self.table))
        self.style = replace(style, series=named, layout=given.layout)
        self.order = self._sorted(codes, stamps, sort)
        self.row_codes = self.codes = codes[self.order]
        self.stamps = stamps[self.order]
        self.begins = self._begins() if columns.duplicates else None
        self.rows = self.order if self.begins is None else self.order[self.begins]  # the first of each series and time
        if self.begins is not None:
            self.codes, self.stamps = self.codes[self.begins], self.stamps[self.begins]

    def _error(self, *message: MessagePart, column: str | None = None, row: Any = None) -> DataError:
        return DataError(*message, at=self._place(row, column))

    def _place(self, row: Any, column: str | None = None) -> Place:
        """Of a row of the series, in the frame as it was given."""
        if row is None:
            return Place(self.name, column=column)
        if self.given.series and column == self.columns.target:
            column = self.given.series[row // self.height]
        return Place(self.name, column=column, row=row % self.height)

    def _read_ids(self) -> tuple[list[Any], NDArray[np.int64]]:
        """The series in order of their first row, and the index of each row's series."""
        if names := self.given.ids:
            return list(names), np.repeat(np.arange(len(names)), self.height)
        column = self.columns.id
        listed = self.table[column].to_list()
        if set(map(type, listed)) != {str}:
            listed = self._plain_ids([plain_value(value) for value in listed])
        place: dict[Any, int] = {}
        codes = np.fromiter((place.setdefault(value, len(place)) for value in listed), np.int64, len(listed))
        for value in place:
            if isinstance(value, str) and not value.isascii():
                check_pairs(value, Place(self.name, column=column, row=listed.index(value)))
        return list(place), codes

    def _plain_ids(self, values: list[Any]) -> list[Any]:
        """The names of series as JSON can hold them: all texts, or all numbers."""
        column, made = self.columns.id, list[Any]()
        for row, value in enumerate(values):
            if is_missing(value):
                raise self._error("is missing. Every row needs the name of its series.", column=column, row=row)
            if isinstance(value, int | float) and abs(value) < 2**63:
                made.append(int(value) if isinstance(value, float) and value.is_integer() else value)
            elif isinstance(value, str):
                made.append(value)
            else:
                what = "which cannot name a series. Give texts, or whole numbers."
                raise self._error(f"is {shown(value)}, {what}", column=column, row=row)
            if isinstance(value, str) != isinstance(made[0], str):
                raise self._error(f"is {shown(value)} among others. Give one kind.", column=column, row=row)
        return made

    def _sorted(self, codes: _Array, stamps: _Array, sort: bool) -> NDArray[np.int64]:
        """The rows series by series, each in ascending order of time. Raises DataError for duplicates, and disorder."""
        order = np.lexsort((stamps, codes)) if sort else np.argsort(codes, kind="stable")
        same, steps = np.diff(codes[order]) == 0, np.diff(stamps[order]).astype(np.int64)
        wrong = np.flatnonzero(same & (steps < 0 if self.columns.duplicates else steps <= 0))
        if not len(wrong):
            return order
        by_time = np.lexsort((stamps, codes))
        again = np.flatnonzero((np.diff(codes[by_time]) == 0) & (np.diff(stamps[by_time]).astype(np.int64) == 0))
        if len(again) and not self.columns.duplicates:
            a, b = by_time[again[0]], by_time[again[0] + 1]
            what = f": series {self.ids[codes[a]]!r} has {self.columns.time!r} = {readable(stamps[a])} twice, in "
            rows = Place(row=a % self.height), " and ", Place(row=b % self.height)
            rule = f" ({len(again)} such pairs). Keep one row for each time, or take them together: "
            raise self._error(what, *rows, rule, option("duplicates", "mean"), ".", *self._unnamed)
        a, b = order[wrong[0]], order[wrong[0] + 1]
        what = f"goes back in series {self.ids[codes[a]]!r}, from {readable(stamps[a])} in "
        advice = f" ({len(wrong)} such places). Sort it, or set ", option("sort", True), "."
        places = Place(row=a % self.height), f" to {readable(stamps[b])} in ", Place(row=b % self.height)
        raise self._error(what, *places, *advice, *self._unnamed, column=self.columns.time)

    def _begins(self) -> NDArray[np.int64]:
        """Where the rows of each series and time begin, in order."""
        new = (np.diff(self.codes, prepend=-1) != 0) | np.append(True, np.diff(self.stamps).astype(np.int64) != 0)
        return np.flatnonzero(new)

    def _in_order(self, values: _Array, how: str | None = None) -> _Array:
        """Values of all rows in order, those of one time taken together."""
        values = values[self.order]
        return values if self.begins is None else aggregated(values, self.begins, how or self.columns.duplicates)

    @property
    def _unnamed(self) -> tuple[MessagePart, ...]:
        """Advice where several series may have been taken for one."""
        if not self.given.layout.one:
            return ()
        return f" It has no column {self.columns.id!r}, so its rows are one series; name that of several: ", option(
            "id"
        )

    # ---- the grid

    def find_grid(self, freq: tuple[str, int] | None, days: BusinessDays) -> Grid:
        """The grid of the time stamps."""
        if self.style.time == "integer":
            refuse_disguised_dates(self.stamps, self.codes, self._place(self.rows[0], self.columns.time))
        if self.style.zone is None:
            return Grid.found(self.stamps, self.codes, freq, days)
        return Grid.zoned(self.stamps, self.codes, freq, self.style.zone, days)

    def check_grid(self, grid: Grid) -> Grid:
        """The grid of training. Raises DataError for stamps of another kind."""
        style, column = self.style, self.columns.time
        if (grid.kind == "integer") != (style.time == "integer"):
            what = "whole numbers" if grid.kind == "integer" else "dates"
            raise self._error(f"holds {style.time}s, but the model learnt from {what}.", column=column)
        if (grid.zone is None) != (style.zone is None):
            has, had = ("no time zone", f"those of {grid.zone}") if grid.zone else (f"times of {style.zone}", "none")
            raise self._error(f"has {has}, but the model learnt from {had}. Give such times.", column=column)
        return grid

    def empty_panel(self, grid: Grid, whole: bool) -> tuple[Panel, NDArray[np.int64]]:
        """A panel of missing values with a step for each place of the grid, and the step of each row."""
        if grid.zone is not None and grid.wall:
            self.stamps, self.style = wall_clock(self.stamps, grid.zone), replace(self.style, inside=grid.zone)
        index, codes = self._indices(grid), self.codes
        if whole:
            self._check_distances(grid, index)
        begins = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
        first, lengths = index[begins[:-1]], index[begins[1:] - 1] - index[begins[:-1]] + 1
        if lengths.sum() > MOST_GAP * len(index) + 10_000:
            rows = np.diff(begins)
            i = int((lengths - rows).argmax())
            what = f"has {rows[i]} rows, but {lengths[i]} steps of {grid.describe()} between its first and its last"
            raise self._error(f": series {self.ids[i]!r} {what}. Set the distance of steps: ", option("freq"))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        panel = Panel(self.ids, offsets, first, np.full(int(offsets[-1]), np.nan))
        return panel, index - first[codes] + offsets[:-1][codes]

    def _indices(self, grid: Grid) -> NDArray[np.int64]:
        index = grid.index(self.stamps)
        wrong = np.flatnonzero(index == OFF)
        if len(wrong):
            at, stamp = wrong[0], self.stamps[wrong[0]]
            series = f"(series {self.ids[self.codes[at]]!r}) is {readable(stamp)}, "
            if grid.days is not None:
                advice = ", or take the day out of " if grid.days.are_off(stamp) else ", or give "
                named = option("holidays") if grid.days.are_off(stamp) else option("freq")
                what = f"not on the grid of {grid.describe()} {_rows(len(wrong))}. Leave them out"
                raise self._error(series, what, advice, named, column=self.columns.time, row=self.rows[at])
            near = readable(grid.stamps(np.array([0]))[0])
            what = f"not on the grid of {grid.describe()} through {near} {_rows(len(wrong))}. Mend it, or give "
            raise self._error(series, what, option("freq"), column=self.columns.time, row=self.rows[at])
        return index

    def _check_distances(self, grid: Grid, index: _Array) -> None:
        """Raises DataError for days where hours are expected: all rows of a series a multiple of several steps apart.

        That happens by chance too, in a series with gaps: about once in d^n for n steps that are all multiples of d.
        """
        same = np.diff(self.codes) == 0
        steps, owner = np.diff(index)[same], self.codes[1:][same]
        if not len(steps):
            return
        begins = np.flatnonzero(np.diff(owner, prepend=-1))
        common, counts = np.gcd.reduceat(steps, begins), np.diff(begins, append=len(steps))
        wrong = np.flatnonzero((common > 1) & (counts > 1) & (counts * np.log(common) > np.log(1000)))
        if len(wrong):
            i, step = int(wrong[0]), grid.describe()
            what = f"its rows are {common[i]} steps of {step} apart, or multiples of that: most values would be missing"
            advice = f"Give rows {step} apart, or a model with another freq."
            raise self._error(f": series {self.ids[owner[begins[i]]]!r}: {what}. {advice}")

    # ---- values and covariates

    def values(self, positive: tuple[MessagePart, ...]) -> NDArray[np.float64]:
        """The sorted values of the target."""
        column = self.columns.target
        series = self.given.series or (column,)
        values = self._in_order(np.concatenate([self._numbers(one) for one in series]))
        low = np.flatnonzero(values <= 0)
        if positive and len(low):
            what = f"(series {self.ids[self.codes[low[0]]]!r}) is {values[low[0]]:g}, "
            rows = f" {_rows(len(low))}."
            raise self._error(what, *positive, rows, column=column, row=self.rows[low[0]])
        return values

    def _numbers(self, column: str) -> NDArray[np.float64]:
        """A column of numbers as float64, missing ones NaN. Raises DataError for texts and infinities."""
        series = self.table[column]
        values = series.to_numpy() if series.dtype.is_numeric() or series.dtype == nw.Boolean else None
        if values is None or values.dtype == object:  # pandas keeps its own missing value
            return self._parsed(series.to_list(), column)
        return self._finite(values.astype(np.float64), column)

    def _parsed(self, values: list[Any], column: str) -> NDArray[np.float64]:
        made = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if is_missing(value):
                continue
            try:
                if isinstance(value, str | bytes):
                    raise ValueError
                made[row] = float(value)
            except (ValueError, TypeError):
                what = f"is {shown(value)}, where a number was expected."
                raise self._error(what, column=column, row=row) from None
            except OverflowError:
                made[row] = 1e300
        return self._finite(made, column)

    def _finite(self, values: NDArray[np.float64], column: str) -> NDArray[np.float64]:
        refused = (
            (np.isinf(values), ". Give a number, or leave it missing."),
            (abs(values) > 1e100, ", beyond 1e100. Divide it."),
        )
        for bad, advice in refused:
            if bad.any():
                row = int(bad.argmax())
                raise self._error(f"is {values[row]}{advice}", column=column, row=row)
        return values

    def changing(self, column: str) -> _Array:
        """A past or future covariate in order; of several rows with one time the last, or with "first" the first."""
        return self._in_order(self.covariate(column), "first" if self.columns.duplicates == "first" else "last")

    def covariate(self, column: str) -> _Array:
        """Numbers as float64 with NaN; texts, dates and whatever has a type of categories as texts with None."""
        return np.tile(self._covariate(column), self.repeats)

    def _covariate(self, column: str) -> _Array:
        dtype = self.table[column].dtype
        if dtype.is_numeric() or dtype == nw.Boolean:
            return self._numbers(column)
        category = dtype in (nw.Categorical, nw.Enum)
        plain = (date, np.datetime64, *(_NUMBERS if category else ()))
        values = [None if is_missing(value) else plain_value(value) for value in self.table[column].to_list()]
        kinds = {type(value) for value in values if value is not None}
        if kinds and not category and all(issubclass(kind, _NUMBERS) for kind in kinds):
            return self._parsed(values, column)
        for row, value in enumerate(values):
            if isinstance(value, str):
                check_pairs(value, Place(self.name, column=column, row=row))
            elif not (value is None or isinstance(value, plain)):
                among = " among texts. Give one kind." if str in kinds else ". Give numbers or texts."
                raise self._error(f"is {shown(value)}{among}", column=column, row=row)
        return np.array([None if value is None else str(value) for value in values], dtype=object)

    def constant(self, column: str) -> _Array:
        """The value of a static covariate in each series. Raises DataError where it is missing or changes.

        The names of series are categories, also where they are numbers.
        """
        if column == self.columns.id:
            return np.array([str(name) for name in self.ids], dtype=object)
        values = self.covariate(column)
        missing = np.array([v is None for v in values]) if values.dtype == object else np.isnan(values)
        if missing.any():
            row = int(missing.argmax())
            raise self._error("is missing. Every row needs it, for it is static.", column=column, row=row)
        values, codes = values[self.order], self.row_codes
        constant = values[np.searchsorted(codes, np.arange(len(self.ids)))]
        differs = np.flatnonzero(values != constant[codes])
        if len(differs):
            at, series = differs[0], codes[differs[0]]
            changes = f"{shown(constant[series])}, then {shown(values[at])} in row {self.order[at]}"
            what = f": static column {column!r} changes in series {self.ids[series]!r}: {changes}"
            raise self._error(f"{what}. Name it under past or future instead.")
        return constant


def _rows(count: int) -> str:
    return f"({count:,} such row{'s' * (count > 1)})"
