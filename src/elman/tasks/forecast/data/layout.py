"""The layout of a frame: what was given is read as a long frame, and forecasts are returned as it was.

::

    long      unique_id, ds, y       a row for each series and time
    one       ds, y                  one series, without a column that names it; or a pandas Series
    wide      ds, north, south       a column for each series, the option `wide`

In pandas the times, the names of the series or both may stand in the index of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from elman.errors import DataError, MessagePart, Place, option
from elman.features.lists import listed
from elman.tasks.forecast.data.panel import Columns
from elman.validation.columns import is_frame
from elman.validation.messages import nearest

_ANSWER = "elman"  # the column of medians


@dataclass(frozen=True)
class Layout:
    """How the rows and columns of a frame hold series."""

    one: bool = False  # one series, without a column of names
    wide: bool = False  # a column for each series
    index: tuple[str, ...] = ()  # columns that stand in the index
    levels: tuple[str | None, ...] = ()  # the names of these in the index

    @classmethod
    def restore(cls, config: Sequence[Any]) -> Layout:
        """From the values of the fields in their order. Raises ValueError for what cannot be."""
        one, wide, index, levels = config
        names = all(isinstance(name, str) for name in index) and all(
            name is None or isinstance(name, str) for name in levels
        )
        if not (type(one) is bool and type(wide) is bool and names and len(index) == len(levels) <= 2):
            raise ValueError("layout")
        return cls(one, wide, tuple(index), tuple(levels))

    def spread(self, columns: dict[str, Any], series: str, time: str) -> dict[Any, Any]:
        """The columns of a long forecast as those of a wide one: north, north-lo-90, north-hi-90, south ...

        A row for each time; missing where a series has none.

        >>> long = {"id": ["a", "b"], "t": np.array([5, 5]), "elman": np.array([1.0, 2.0])}
        >>> Layout(wide=True).spread(long, "id", "t")
        {'t': array([5]), 'a': array([1.]), 'b': array([2.])}
        """
        times, row = np.unique(columns[time], return_inverse=True)
        ids = columns[series]
        place = {name: i for i, name in enumerate(dict.fromkeys(ids))}
        owner = np.array([place[name] for name in ids])
        made: dict[Any, Any] = {time: times}
        for name, i in place.items():
            for answer in (key for key in columns if key not in (series, time)):
                values = np.full(len(times), np.nan)
                values[row[owner == i]] = np.asarray(columns[answer], np.float64)[owner == i]
                end = answer.removeprefix(_ANSWER) if answer.startswith(_ANSWER) else f"-{answer}"
                if (column := f"{name}{end}" if end else name) in made:
                    raise DataError(f"two forecasts are called {column!r}: series {name!r} and another. Rename one.")
                made[column] = values
        return made


LONG = Layout()


@dataclass(frozen=True)
class Arranged:
    """A frame whose columns have the names of the options, and its layout."""

    table: Any  # a narwhals frame
    layout: Layout
    series: tuple[str, ...] = ()  # of a wide frame the columns of its series
    ids: tuple[Any, ...] = ()  # of what has no column of names, the names of the series


def arrange(
    frame: Any, columns: Columns, target: bool = True, name: str = "frame", ids: Sequence[Any] = ()
) -> Arranged:
    """What was given as a frame with named columns, checked to have those of the options.

    Without `target` its values are not read, and a frame without names holds for all the series `ids`. Raises
    ``DataError`` for what is no frame, and for a column that is missing.
    """
    frame, layout = _without_index(_table_of(frame, name), columns, name)
    if isinstance(frame, list | tuple | np.ndarray | str) or not is_frame(frame, name):
        advice = "Pass one of pandas, polars or Arrow, a row for each series and time: columns unique_id, ds, y."
        raise DataError(f"is a {type(frame).__name__}, not a frame. {advice}", at=Place(name))
    table, given = nw.from_native(frame, eager_only=True), [str(column) for column in frame_columns(frame)]
    changing = (*columns.past, *columns.future)
    if twice := [column for column in dict.fromkeys(given) if given.count(column) > 1]:  # 0 and "0"
        raise DataError(f"has two columns named {twice[0]!r}. Rename one.", at=Place(name))
    if columns.wide:
        if target and columns.id in given and columns.target in given:
            what = (
                f"has the columns {columns.id!r} and {columns.target!r} of a long one, not one for each series. Give "
            )
            raise DataError(what, option("wide", False), at=Place(name))
        _check(table, (columns.time, *changing), columns, name)
        other = (columns.time, *changing, *columns.beside)
        series = tuple(column for column in given if column not in other) if target else ()
        if target and not series:
            raise DataError(f"has no column beside {columns.time!r}. Give one for each series.", at=Place(name))
        names = _named(frame, given, series) if target else tuple(ids)
        return Arranged(_text_names(table, given), replace(layout, wide=True), series, names)
    unnamed = columns.id == Columns().id and columns.id not in given and not nearest(columns.id, given)
    wanted = [*(() if unnamed else (columns.id,)), columns.time, *((columns.target,) if target else ())]
    static = tuple(column for column in columns.static if column != columns.id)
    _check(table, (*wanted, *changing, *static), columns, name)
    if not unnamed:
        return Arranged(table, layout)
    return Arranged(table, replace(layout, one=True), ids=tuple(ids) or (columns.target,))


def _table_of(frame: Any, name: str) -> Any:
    """A dict of columns as a polars frame; everything else unchanged."""
    if not isinstance(frame, Mapping):
        return frame
    try:
        return pl.DataFrame({str(key): listed(column, str(key)) for key, column in frame.items()})
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"is a dict that is no table of columns: {error}", at=Place(name)) from None


def frame_columns(frame: Any) -> list[Any]:
    """The names of the columns of a frame of any library, as they are."""
    return list(getattr(frame, "column_names", None) or frame.columns)


def _text_names(table: Any, given: list[str]) -> Any:
    """The frame with texts for the names of its columns, which pandas' may be numbers."""
    native = table.to_native()
    if list(frame_columns(native)) == given:
        return table
    return nw.from_native(native.set_axis(given, axis=1), eager_only=True)


def _named(frame: Any, given: list[str], series: tuple[str, ...]) -> tuple[Any, ...]:
    """The names of the series of a wide frame: whole numbers where all of its columns are, else texts."""
    place = dict(zip(given, frame_columns(frame), strict=True))
    names = [place[column] for column in series]
    numbers = all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in names)
    return tuple(int(one) for one in names) if numbers else series


def _without_index(frame: Any, columns: Columns, name: str) -> tuple[Any, Layout]:
    """A pandas Series as a frame, and what stands in the index as columns."""
    index: Any = getattr(frame, "index", None)
    series = hasattr(frame, "to_frame") and not hasattr(frame, "columns")
    if not hasattr(index, "names") or not (series or hasattr(frame, "reset_index")):
        return frame, LONG
    if series:
        frame = frame.to_frame(columns.target)
    given = {str(column) for column in frame.columns}
    levels = [None if level is None else str(level) for level in index.names]
    found = {column: column in levels and column not in given for column in (columns.id, columns.time)}
    called = [level if found.get(str(level)) else None for level in levels]
    if (
        not found[columns.time]
        and columns.time not in given
        and (at := _times_level(index, called, series)) is not None
    ):
        called[at] = columns.time
    if not any(called):
        return frame, LONG
    if None in called:
        other = levels[called.index(None)]
        what = f"has an index of {len(levels)} levels, of which {other!r} is neither the names of series nor the times."
        advice = (f" Give {name}.reset_index(), or name the levels: ", option("id"), ", ", option("time"), ".")
        raise DataError(what, *advice, at=Place(name))
    kept = tuple(str(one) for one in called)
    return frame.reset_index(names=list(kept)), Layout(index=kept, levels=tuple(levels))


def _times_level(index: Any, called: list[str | None], series: bool) -> int | None:
    """Which level of an index holds times by its type; of a pandas Series its only one, whatever it holds."""
    if index.nlevels == 1:
        return 0 if called[0] is None and (series or _holds_times(index)) else None
    return next((i for i in range(index.nlevels) if called[i] is None and _holds_times(index.levels[i])), None)


def _holds_times(index: Any) -> bool:
    return getattr(index.dtype, "kind", "") == "M" or str(index.dtype).startswith("period[")


def _check(table: Any, wanted: Sequence[str], columns: Columns, name: str) -> None:
    """Raises DataError for a column that a frame has not."""
    names = [str(column) for column in table.columns]
    missing = next((column for column in wanted if column not in names), None)
    if missing is None:
        return
    has = ", ".join(map(repr, names[:12])) or "none"
    advice: tuple[MessagePart, ...] = (option("id"), ", ", option("time"), ", ", option("target"))
    if missing == columns.target and not nearest(missing, names) and columns.time in names:
        advice = (*advice, "; for a column of each series: ", option("wide", True))
    hint = nearest(missing, names)
    what = f"has no column {missing!r}; it has {has}.{hint} The names are options: "
    raise DataError(what, *advice, at=Place(name))
