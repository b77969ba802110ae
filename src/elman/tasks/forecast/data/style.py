"""The style of a frame, which forecasts reproduce: its library and the format of its time stamps.

The format is the type of the column, the time zone, and for texts patterns with digits set to 0, such as
"0000-00-00T00:00Z".
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.tasks.forecast.data.layout import LONG, Layout
from elman.tasks.forecast.data.zones import is_zone, to_utc, tzinfo_of, wall_clock

_Array = NDArray[Any]
_KINDS = ("integer", "datetime", "date", "text", "period")
UNITS = ("s", "ms", "us", "ns")
FORM = re.compile(r"(0000(?:-00(?:-00(?:[T ]00(?::00(?::00(?:[.,]0{1,9})?)?)?)?)?)?)(Z|\+00(?::?00)?)?")
_TYPE = re.compile(r"[\w\[\], =:/+-]{0,80}")
_LEAST = "0000-01-01T00:00:00.000000"  # what is not written of a date
_POLARS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Boolean")


@dataclass(frozen=True)
class Style:
    """The library of a frame, and the format of its time stamps."""

    library: str = "polars"
    time: str = "datetime"  # "integer", "datetime", "date", "text" or "period"
    zone: str | None = None  # time zone
    inside: str | None = None  # the zone that stamps inside are of; None: UTC
    type: str = ""  # of the column in its library; of Python's objects their class; of periods their length
    unit: str = "us"  # of datetimes
    category: bool = False  # a column of categories
    forms: tuple[str, ...] = ()  # of texts, the shortest first
    series: str = ""  # the type of the column that names the series
    layout: Layout = LONG
    format: str = ""  # of texts that are not ISO 8601, as strftime takes it

    @classmethod
    def restore(cls, config: Sequence[Any]) -> Style:
        """From the values of the fields in their order. Raises ValueError for what cannot be."""
        library, time, zone, inside, kind, unit, category, forms, series = config[:9]
        good = library in _LIBRARIES and time in _KINDS and unit in UNITS and type(category) is bool
        good = good and all(one is None or is_zone(one) for one in (zone, inside))
        good = good and all(isinstance(one, str) and _TYPE.fullmatch(one) for one in (kind, series))
        if not good or not all(isinstance(form, str) and FORM.fullmatch(form) for form in forms):
            raise ValueError("style")
        layout = Layout.restore(config[9]) if len(config) > 9 else LONG  # those saved before have none
        date_format = config[10] if len(config) > 10 else ""
        if type(date_format) is not str or len(date_format) > 80:
            raise ValueError("format")
        return cls(library, time, zone, inside, kind, unit, category, tuple(forms), series, layout, date_format)

    def frame(self, columns: dict[str, Any], series: str, time: Sequence[str]) -> Any:
        """A frame of the library: `series` names the series, the `time` columns are int64 or datetime64[us]."""
        library, layout, made = _LIBRARIES[self.library](), self.layout, dict[Any, Any]()
        if layout.wide and len(time) == 1:
            columns = layout.spread(columns, series, time[0])
        elif layout.one and len(set(columns.get(series, ()))) <= 1:  # several, after an update, keep their names
            columns = {name: values for name, values in columns.items() if name != series}
        for name, values in columns.items():
            column = self._times(values, library) if name in time else library.column(values)
            made[name] = library.cast(column, self.series) if name == series else column
        frame: Any = library.frame(made)
        if layout.index and self.library == "pandas":
            return frame.set_index(list(layout.index)).rename_axis(list(layout.levels))
        return frame

    def _times(self, stamps: _Array, library: _Pandas | _Polars | _Arrow) -> Any:
        if self.time == "integer":
            column = library.cast(library.column(stamps), self.type)
        else:
            utc = stamps if self.inside is None else to_utc(stamps, self.inside)
            if self.time == "text":
                texts = _formatted(utc, self.format) if self.format else _written(utc, self.forms, self.zone)
                column = library.cast(library.column(texts), self.type)
            elif self.time == "date":
                column = library.dates(stamps, self.type)
            elif self.time == "period":
                column = _Pandas().periods(stamps, self.type)
            elif self.type in _OBJECTS:
                column = library.objects(_OBJECTS[self.type](utc, self.zone, self.unit))
            else:
                column = library.datetimes(utc, self._unit(utc), self.zone, self.type)
        return library.categories(column) if self.category else column

    def _unit(self, stamps: _Array) -> str:
        """The unit, or microseconds where it cannot hold the stamps."""
        return self.unit if (_in_unit(stamps, self.unit).astype(stamps.dtype) == stamps).all() else "us"


def _in_unit(stamps: _Array, unit: str) -> _Array:
    made: _Array = stamps.astype(f"datetime64[{unit}]")
    return made


def _datetimes(stamps: _Array, zone: str | None, unit: str) -> list[Any]:
    made = stamps.astype("datetime64[us]").tolist()
    return made if zone is None else [one.replace(tzinfo=UTC).astimezone(tzinfo_of(zone)) for one in made]


#: Columns of objects by their class: of Python, pandas, NumPy.
_OBJECTS: dict[str, Callable[[_Array, str | None, str], list[Any]]] = {
    "datetime": _datetimes,
    "Timestamp": lambda stamps, zone, unit: list(_Pandas().datetimes(stamps, unit, zone, "")),
    "datetime64": lambda stamps, zone, unit: list(_in_unit(stamps, unit)),
}


# How columns are made in each library: `column` and `objects` of values as they are, `cast` to another type where that
# loses nothing, `dates` and `datetimes` of stamps in UTC, `categories` of texts; `frame` of named columns.
# The threads of polars are not used: see `elman.ops.forks`.


class _Pandas:
    def __init__(self) -> None:
        self.pandas: Any = importlib.import_module("pandas")

    def column(self, values: Any) -> Any:
        return self.pandas.Series(values)

    def objects(self, values: list[Any]) -> Any:
        return self.pandas.Series(values, dtype=object)

    def cast(self, column: Any, kind: str) -> Any:
        if not kind or str(column.dtype) == kind:
            return column
        try:
            made = column.astype(kind)
            whole = getattr(column.dtype, "kind", "") != "i" or bool((made.astype("int64") == column).all())
        except (TypeError, ValueError, OverflowError, ArithmeticError):
            return column
        return made if whole else column

    def dates(self, stamps: _Array, kind: str) -> Any:
        return self.cast(self.objects(stamps.astype("datetime64[D]").tolist()), kind)

    def datetimes(self, stamps: _Array, unit: str, zone: str | None, kind: str) -> Any:
        column = self.pandas.Series(_in_unit(stamps, unit))
        if zone is not None:
            there = tzinfo_of(zone) if zone[0] in "+-" else zone
            column = column.dt.tz_localize("UTC").dt.tz_convert(there)
        return self.cast(column, kind) if kind.endswith("[pyarrow]") else column

    def periods(self, stamps: _Array, kind: str) -> Any:
        objects, _, freq = kind.rpartition(" ")
        made = self.pandas.Series(self.pandas.PeriodIndex(stamps, freq=freq))
        return made.astype(object) if objects else made

    def categories(self, column: Any) -> Any:
        return column.astype("category")

    def frame(self, columns: dict[str, Any]) -> Any:
        return self.pandas.DataFrame(columns)


class _Polars:
    def column(self, values: Any) -> pl.Series:
        mixed = isinstance(values, list) and {type(value) for value in values} == {int, float}
        return pl.Series(np.array(values, np.float64) if mixed else values)

    def objects(self, values: list[Any]) -> pl.Series:
        return pl.Series(values, dtype=pl.Object)

    def cast(self, column: pl.Series, kind: str) -> pl.Series:
        if kind == "Categorical":
            return self.categories(column)
        try:
            return column.cast(getattr(pl, kind)) if kind in _POLARS else column
        except pl.exceptions.PolarsError:
            return column

    def dates(self, stamps: _Array, kind: str) -> pl.Series:
        return pl.Series(stamps.astype("datetime64[D]"))

    def datetimes(self, stamps: _Array, unit: str, zone: str | None, kind: str) -> pl.Series:
        return pl.Series(_in_unit(stamps, unit).astype(np.int64)).cast(pl.Datetime(unit, zone))  # type: ignore[arg-type]

    def categories(self, column: pl.Series) -> pl.Series:
        return column.cast(pl.Categorical) if column.dtype == pl.String else column

    def frame(self, columns: dict[str, Any]) -> pl.DataFrame:
        return pl.DataFrame(columns)


class _Arrow:
    def __init__(self) -> None:
        self.arrow: Any = importlib.import_module("pyarrow")

    def column(self, values: Any) -> Any:
        return self.arrow.array(values)

    objects = column

    def cast(self, column: Any, kind: str) -> Any:
        if kind.startswith("dictionary"):
            return self.categories(column)
        try:
            return column.cast(self.arrow.type_for_alias(kind)) if kind else column
        except (ValueError, NotImplementedError):  # Arrow's own errors are among them
            return column

    def dates(self, stamps: _Array, kind: str) -> Any:
        return self.cast(self.arrow.array(stamps.astype("datetime64[D]").tolist()), kind)

    def datetimes(self, stamps: _Array, unit: str, zone: str | None, kind: str) -> Any:
        column = self.arrow.array(_in_unit(stamps, unit).astype(np.int64))
        return column.cast(self.arrow.timestamp(unit, tz=zone))

    def categories(self, column: Any) -> Any:
        return column.dictionary_encode()

    def frame(self, columns: dict[str, Any]) -> Any:
        return self.arrow.table(columns)


_LIBRARIES: dict[str, type[_Pandas | _Polars | _Arrow]] = {"pandas": _Pandas, "polars": _Polars, "pyarrow": _Arrow}


def library_of(table: Any) -> str:
    """The library in which a narwhals frame is answered."""
    library = table.implementation.value
    return library if library in _LIBRARIES else "polars"


def type_of(series: Any, library: str) -> str:
    """The name of the type of a narwhals column in its library."""
    native = series.to_native()
    kind = native.dtype if library == "pandas" else native.type if library == "pyarrow" else type(series.dtype).__name__
    return str(kind).partition("<")[0]


def _formatted(stamps: _Array, date_format: str) -> list[str]:
    return [one.strftime(date_format) for one in stamps.astype("datetime64[us]").tolist()]


def _written(utc: _Array, forms: Sequence[str], zone: str | None) -> list[str]:
    """Dates as texts: each in the shortest of the forms that holds all of it; longer ones where none does.

    >>> _written(np.array(["2024-01-01T05:00", "2024-01-01T05:30"], "datetime64[us]"), ["0000-00-00T00:00Z"], "UTC")
    ['2024-01-01T05:00Z', '2024-01-01T05:30Z']
    """
    there = utc if zone is None else wall_clock(utc, zone)
    whole = np.datetime_as_string(there, "us").tolist()
    given = list(forms) or _usual(whole, zone)
    if not all(any(_holds(text, form) for form in given) for text in whole):
        given = [next(form for form in _longer(given[-1]) if all(_holds(text, form) for text in whole))]
    by = zone if zone and zone[0] in "+-" else "+00:00"
    return [_as(text, next(form for form in given if _holds(text, form)), by) for text in whole]


def _usual(whole: list[str], zone: str | None) -> list[str]:
    """The form where none is known."""
    if zone is not None:
        return ["0000-00-00T00:00:00" + ("+00:00" if zone[0] in "+-" else "Z")]
    return ["0000-00-00" if all(_holds(text, "0000-00-00") for text in whole) else "0000-00-00 00:00:00"]


def _split(form: str) -> tuple[str, str]:
    match = FORM.fullmatch(form)
    assert match is not None
    return match[1], match[2] or ""


def _holds(text: str, form: str) -> bool:
    """Whether a form loses nothing of a date written to the microsecond."""
    count = len(_split(form)[0]) + len(text) - len(_LEAST)
    return text[count:] == _LEAST[len(_LEAST) - len(text[count:]) :]


def _longer(form: str) -> list[str]:
    """The finer forms, down to the microsecond."""
    body, zone = _split(form)
    full = "0000-00-00" + (body[10:11] or ("T" if zone else " ")) + "00:00:00.000000"
    return [full[:count] + zone for count in (7, 10, 16, 19, 26) if count > len(body)]


def _as(text: str, form: str, by: str) -> str:
    """A date in a form; `by` is the offset of its zone from UTC."""
    body, zone = _split(form)
    count = len(body) + len(text) - len(_LEAST)
    made = text[:count].ljust(count, "0")
    if len(body) > 10:
        made = made[: count - len(body) + 10] + body[10] + made[count - len(body) + 11 :]
    if "," in body:
        made = made.replace(".", ",")
    return made + {0: "", 1: "Z", 3: by[:3], 5: by[:3] + by[4:6], 6: by[:6]}[len(zone)]
