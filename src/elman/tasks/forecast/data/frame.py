"""Long frames read as panels: a row for each series and time, as Nixtla's libraries take them; from any library.

unique_id  ds                   y
north      2024-01-01 00:00     12.0
north      2024-01-01 01:00     NaN          a missing value; a row that is left out is one too
south      2024-01-01 00:00      3.5
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, MessagePart, Place, option
from elman.features.base import check_pairs
from elman.tasks.forecast.data.disguise import refuse_disguise
from elman.tasks.forecast.data.panel import MOST_GAP, Columns, Panel
from elman.tasks.forecast.data.stamps import read_stamps
from elman.tasks.forecast.data.style import Style, library_of, type_of
from elman.tasks.forecast.data.time_grid import OFF, Grid
from elman.tasks.forecast.data.zones import wall_clock
from elman.validation.columns import is_frame, is_missing
from elman.validation.messages import shown
from elman.validation.plain_values import plain_value

__all__ = ["Series", "read"]

_Array = NDArray[Any]
_NUMBERS = (int, float, np.number, np.bool_, Decimal)


class Series(NamedTuple):
    """What was read of a frame."""

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
) -> Series:
    """The series of a long frame, the grid that their time stamps stand on, and what the frame looks like.

    Rows of different series may be mixed; those of one must ascend, unless `sort`. Without `target` the values are
    not read. `whole` histories are refused if all rows of a series stand several steps apart. `positive`: why every
    value must be above 0, and what to do where one is not; empty: none must. What was read before is given back as it
    is. Raises ``DataError`` naming column, row (counted from 0) and value.

    >>> import polars as pl
    >>> frame = pl.DataFrame({"unique_id": ["a", "a", "b"], "ds": [1, 3, 1], "y": [1.0, 2.0, 5.0]})
    >>> read(frame, Columns(), freq=("integer", 1))[0].values.tolist()
    [1.0, nan, 2.0, 5.0]
    """
    if isinstance(frame, Series):
        return frame
    table = _opened(frame, name)
    wanted = [columns.id, columns.time, *([columns.target] if target else [])]
    for column in [*wanted, *columns.past, *columns.future, *columns.static]:
        _check_column(table, column, name)
    if not len(table):
        raise DataError("has no rows. Give at least one for each series.", at=Place(name))
    ids, codes = _ids(table, columns.id, name)
    stamps, style = read_stamps(table, columns.time, name)
    style = replace(style, series=type_of(table[columns.id], library_of(table)))
    order = _ordered(codes, stamps, columns, ids, sort, name)
    codes, stamps = codes[order], stamps[order]
    if grid is None:
        if style.time == "integer":
            refuse_disguise(stamps, codes, order, Place(name, column=columns.time))
        grid = Grid.found(stamps, codes, freq) if style.zone is None else Grid.zoned(stamps, codes, freq, style.zone)
    else:
        _check_kind(grid, style, Place(name, column=columns.time))
    if grid.zone is not None and grid.wall:
        stamps, style = wall_clock(stamps, grid.zone), replace(style, inside=grid.zone)
    index = _indices(grid, stamps, order, columns.time, ids, codes, name)
    if whole:
        _check_distances(grid, index, codes, ids, name)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    first, last = index[begins[:-1]], index[begins[1:] - 1]
    lengths = last - first + 1
    if lengths.sum() > MOST_GAP * len(index) + 10_000:
        i = int((lengths - np.diff(begins)).argmax())
        raise DataError(
            f": series {ids[i]!r} has {int(np.diff(begins)[i])} rows, but {lengths[i]} steps of "
            f"{grid.describe()} between its first and its last. Say how far apart steps are with ",
            option("freq"),
            at=Place(name),
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    places = index - first[codes] + offsets[:-1][codes]
    values = np.full(int(offsets[-1]), np.nan)
    if target:
        values[places] = _numbers(table, columns.target, name)[order]
        _check_positive(values[places], order, codes, ids, columns.target, name, positive)
    panel = Panel(ids, offsets, first, values)
    for column in (*columns.past, *columns.future):
        panel.covariates[column] = _spread(_covariate(table, column, name)[order], places, int(offsets[-1]))
    for column in columns.static:
        panel.static[column] = _constant(_covariate(table, column, name), order, codes, ids, column, name)
    return Series(panel, grid, style)


def _check_kind(grid: Grid, style: Style, place: Place) -> None:
    """Raises DataError for stamps of another kind than those that a model learnt from."""
    if (grid.kind == "integer") != (style.time == "integer"):
        what = "whole numbers" if grid.kind == "integer" else "dates"
        raise DataError(f"holds {style.time}s, but the model learnt from {what}.", at=place)
    if (grid.zone is None) != (style.zone is None):
        has, had = ("no time zone", f"those of {grid.zone}") if grid.zone else (f"times of {style.zone}", "none")
        raise DataError(f"has {has}, but the model learnt from {had}. Give such times.", at=place)


def _check_distances(grid: Grid, index: _Array, codes: _Array, ids: list[Any], name: str) -> None:
    """Raises DataError for days where hours are expected: all rows of a series a multiple of several steps apart.

    That happens by chance too, in a series with gaps: about once in d^n for n steps that are all multiples of d.
    """
    steps, owner = np.diff(index)[np.diff(codes) == 0], codes[1:][np.diff(codes) == 0]
    if not len(steps):
        return
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    common, counts = np.gcd.reduceat(steps, begins), np.diff(begins, append=len(steps))
    wrong = np.flatnonzero((common > 1) & (counts > 1) & (counts * np.log(common) > np.log(1000)))
    if len(wrong):
        i = int(wrong[0])
        raise DataError(
            f": series {ids[owner[begins[i]]]!r}: its rows are {common[i]} steps of {grid.describe()} apart, or "
            f"several times that, so that most values would be missing. Give rows {grid.describe()} apart, or a model "
            "with another freq.",
            at=Place(name),
        )


def _opened(frame: Any, name: str) -> Any:
    if isinstance(frame, list | tuple | np.ndarray | str) or not is_frame(frame, name):
        raise DataError(
            f"is a {type(frame).__name__}, not a frame. Pass one of pandas, polars or Arrow with a row for each "
            "series and time: columns unique_id, ds, y.",
            at=Place(name),
        )
    return nw.from_native(frame, eager_only=True)


def _check_column(table: Any, column: str, name: str) -> None:
    names = [str(c) for c in table.columns]
    if column in names:
        return
    close = difflib.get_close_matches(column, names, 1) or [c for c in names if c.lower() == column.lower()]
    hint = f" Did you mean {close[0]!r}?" if close else ""
    index = getattr(table.to_native(), "index", None)
    if column in getattr(index, "names", ()):
        hint = f" {column!r} is its index: give {name}.reset_index()."
    elif getattr(getattr(index, "dtype", None), "kind", "") == "M" and not close:
        hint = f" If the dates are its index, give {name}.reset_index(names={column!r})."
    raise DataError(
        f"has no column {column!r}; it has {', '.join(map(repr, names[:12])) or 'none'}.{hint} The names are options: ",
        option("id"),
        ", ",
        option("time"),
        ", ",
        option("target"),
        at=Place(name),
    )


def _ids(table: Any, column: str, name: str) -> tuple[list[Any], NDArray[np.int64]]:
    """The series in order of their first row, and which of them each row belongs to."""
    listed = table[column].to_list()
    if set(map(type, listed)) != {str}:
        listed = _plain_ids([plain_value(value) for value in listed], column, name)
    place: dict[Any, int] = {}
    codes = np.fromiter((place.setdefault(value, len(place)) for value in listed), np.int64, len(listed))
    for value in place:
        if isinstance(value, str) and not value.isascii():
            check_pairs(value, Place(name, column=column, row=listed.index(value)))
    return list(place), codes


def _plain_ids(values: list[Any], column: str, name: str) -> list[Any]:
    """Names of series as Python's own. Raises DataError unless they are what JSON can keep: all texts, or numbers."""
    made: list[Any] = []
    for row, value in enumerate(values):
        if is_missing(value):
            raise DataError(
                "is missing. Every row needs the name of its series.", at=Place(name, column=column, row=row)
            )
        if isinstance(value, int | float) and abs(value) < 2**63:
            made.append(int(value) if isinstance(value, float) and value.is_integer() else value)
        elif isinstance(value, str):
            made.append(value)
        else:
            raise DataError(
                f"is {shown(value)}, which cannot name a series. Give texts, or whole numbers.",
                at=Place(name, column=column, row=row),
            )
        if isinstance(value, str) != isinstance(made[0], str):
            raise DataError(f"is {shown(value)} among others. Give one kind.", at=Place(name, column=column, row=row))
    return made


def _ordered(
    codes: _Array, stamps: _Array, columns: Columns, ids: list[Any], sort: bool, name: str
) -> NDArray[np.int64]:
    """The rows series by series, each in ascending order of time. Raises DataError for duplicates, and disorder."""
    order = np.lexsort((stamps, codes)) if sort else np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    step = np.diff(stamps[order]).astype(np.int64)
    if sort:
        _refuse_duplicates(order, same & (step == 0), codes, stamps, columns, ids, name)
        return order
    wrong = np.flatnonzero(same & (step <= 0))
    if not len(wrong):
        return order
    by_time = np.lexsort((stamps, codes))
    again = (np.diff(codes[by_time]) == 0) & (np.diff(stamps[by_time]).astype(np.int64) == 0)
    _refuse_duplicates(by_time, again, codes, stamps, columns, ids, name)
    a, b = order[wrong[0]], order[wrong[0] + 1]
    raise DataError(
        f"goes back in series {ids[codes[a]]!r}, from {stamps[a]} in ",
        Place(row=a),
        f" to {stamps[b]} in ",
        Place(row=b),
        f" ({len(wrong)} such places). Sort it, or set ",
        option("sort", True),
        ".",
        at=Place(name, column=columns.time),
    )


def _refuse_duplicates(
    order: _Array, again: _Array, codes: _Array, stamps: _Array, columns: Columns, ids: list[Any], name: str
) -> None:
    places = np.flatnonzero(again)
    if not len(places):
        return
    a, b = order[places[0]], order[places[0] + 1]
    raise DataError(
        f": series {ids[codes[a]]!r} has {columns.time!r} = {stamps[a]} twice, in ",
        Place(row=a),
        " and ",
        Place(row=b),
        f" ({len(places)} such pairs). Keep one row for each time.",
        at=Place(name),
    )


def _indices(
    grid: Grid, stamps: _Array, order: _Array, column: str, ids: list[Any], codes: _Array, name: str
) -> NDArray[np.int64]:
    index = grid.index(stamps)
    wrong = np.flatnonzero(index == OFF)
    if len(wrong):
        at = wrong[0]
        near = grid.stamps(np.array([0])).astype(str)[0] if grid.kind != "integer" else grid.origin
        raise DataError(
            f"(series {ids[codes[at]]!r}) is {stamps[at]}, which is none of "
            f"the grid of {grid.describe()} through {near} ({len(wrong)} such rows). Mend it, or give ",
            option("freq"),
            at=Place(name, column=column, row=order[at]),
        )
    return index


def _numbers(table: Any, column: str, name: str) -> NDArray[np.float64]:
    """A column of numbers as float64, missing ones NaN. Raises DataError for texts and infinities."""
    series = table[column]
    if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
        return _from_objects(series.to_list(), column, name)
    values = series.to_numpy()
    if values.dtype == object:  # pandas keeps its own missing value
        return _from_objects(series.to_list(), column, name)
    values = values.astype(np.float64)
    return _finite(values, column, name)


def _finite(values: NDArray[np.float64], column: str, name: str) -> NDArray[np.float64]:
    if len(bad := np.flatnonzero(np.isinf(values))):
        raise DataError(
            f"is {values[bad[0]]}. Give a number, or leave it missing.", at=Place(name, column=column, row=bad[0])
        )
    if len(bad := np.flatnonzero(np.abs(values) > 1e100)):
        raise DataError(f"is {values[bad[0]]}, beyond 1e100. Divide it.", at=Place(name, column=column, row=bad[0]))
    return values


def _check_positive(
    values: NDArray[np.float64],
    order: _Array,
    codes: _Array,
    ids: list[Any],
    column: str,
    name: str,
    why: tuple[MessagePart, ...],
) -> None:
    low = np.flatnonzero(values <= 0)
    if why and len(low):
        row, series = order[low[0]], ids[codes[low[0]]]
        raise DataError(
            f"(series {series!r}) is {values[low[0]]:g}, ",
            *why,
            f" ({len(low)} such rows).",
            at=Place(name, column=column, row=row),
        )


def _from_objects(values: list[Any], column: str, name: str) -> NDArray[np.float64]:
    made = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if is_missing(value):
            continue
        try:
            if isinstance(value, str | bytes):
                raise ValueError
            made[row] = float(value)
        except (ValueError, TypeError):
            raise DataError(
                f"is {shown(value)}, where a number was expected.", at=Place(name, column=column, row=row)
            ) from None
        except OverflowError:
            made[row] = 1e300
    return _finite(made, column, name)


def _covariate(table: Any, column: str, name: str) -> _Array:
    """Numbers as float64 with NaN; texts, dates and whatever has a type of categories as texts with None."""
    dtype = table[column].dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return _numbers(table, column, name)
    category = dtype in (nw.Categorical, nw.Enum)
    plain = (date, np.datetime64, *(_NUMBERS if category else ()))
    values = [None if is_missing(value) else plain_value(value) for value in table[column].to_list()]
    kinds = {type(value) for value in values if value is not None}
    if kinds and not category and all(issubclass(kind, _NUMBERS) for kind in kinds):
        return _from_objects(values, column, name)
    for row, value in enumerate(values):
        if isinstance(value, str):
            check_pairs(value, Place(name, column=column, row=row))
        elif not (value is None or isinstance(value, plain)):
            among = " among texts. Give one kind." if str in kinds else ". Give numbers or texts."
            raise DataError(f"is {shown(value)}{among}", at=Place(name, column=column, row=row))
    made = np.empty(len(values), dtype=object)
    made[:] = [None if value is None else str(value) for value in values]
    return made


def _spread(values: _Array, places: _Array, steps: int) -> _Array:
    made: _Array = np.full(steps, np.nan) if values.dtype != object else np.full(steps, None, dtype=object)
    made[places] = values
    return made


def _constant(values: _Array, order: _Array, codes: _Array, ids: list[Any], column: str, name: str) -> _Array:
    """The one value of a static covariate in each series. Raises DataError where it is missing or changes."""
    missing = np.array([v is None for v in values]) if values.dtype == object else np.isnan(values)
    if missing.any():
        row = int(missing.argmax())
        at = Place(name, column=column, row=row)
        raise DataError("is missing. Every row needs it, for it is static.", at=at)
    sorted_, first = values[order], np.searchsorted(codes, np.arange(len(ids)))
    differs = np.flatnonzero(sorted_ != sorted_[first][codes])
    if len(differs):
        at = differs[0]
        raise DataError(
            f": static column {column!r} changes in series {ids[codes[at]]!r}: {shown(sorted_[first][codes[at]])}"
            f", then {shown(sorted_[at])} in row {order[at]}. Name it under past or future instead.",
            at=Place(name),
        )
    return sorted_[first]
