"""The column of time stamps of a frame: read as numbers or dates, and written again in the form in which it was given.

A form is the library, the type of the column in it, the time zone, and for texts what is written of a date: texts with
their digits set to 0, such as "0000-00-00T00:00Z".
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.errors import DataError, Place
from elman.tasks.forecast.data.zones import distance, is_zone, name_of, to_utc, tzinfo_of, wall_clock
from elman.validation.messages import shown

__all__ = ["Style", "library_of", "read_stamps", "refuse_disguise", "type_of"]

_Array = NDArray[Any]
_LIBRARIES = ("pandas", "polars", "pyarrow")
_KINDS = ("integer", "datetime", "date", "text", "period")
_UNITS = ("s", "ms", "us", "ns")
_LARGEST = 2**53  # of time stamps: beyond it a float is no exact whole number
_DATE = re.compile(r"\d{4}(-\d\d|$)")  # else NumPy takes "20240131" for a year
_ZONE = re.compile(r"\d[T ]\S*?(Z|[+-]\d\d(:?\d\d)?)$")
_FORM = re.compile(r"(0000(?:-00(?:-00(?:[T ]00(?::00(?::00(?:[.,]0{1,9})?)?)?)?)?)?)(Z|\+00(?::?00)?)?")
_TYPE = re.compile(r"[\w\[\], =:/+-]{0,80}")
_DIGITS = str.maketrans("123456789", "000000000")
_LEAST = "0000-01-01T00:00:00.000000"  # what is not written of a date
_POLARS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Boolean")


@dataclass(frozen=True)
class Style:
    """What a frame looked like, so that an answer looks alike: its library, and the form of its time stamps."""

    library: str = "polars"
    time: str = "datetime"  # "integer", "datetime", "date", "text" or "period"
    zone: str | None = None  # time zone
    inside: str | None = None  # the zone that stamps inside are of; None: UTC
    type: str = ""  # of the column in its library; of Python's objects their class; of periods their length
    unit: str = "us"  # of datetimes
    category: bool = False  # a column of categories
    forms: tuple[str, ...] = ()  # of texts, the shortest first
    series: str = ""  # the type of the column that names the series

    def config(self) -> list[Any]:
        """The fields in their order, as JSON."""
        return [list(value) if isinstance(value, tuple) else value for value in astuple(self)]

    @classmethod
    def restore(cls, config: Sequence[Any]) -> Style:
        """The inverse of `config`. Raises ValueError for what cannot be."""
        library, time, zone, inside, kind, unit, category, forms, series = config
        good = library in _LIBRARIES and time in _KINDS and unit in _UNITS and type(category) is bool
        good = good and all(one is None or is_zone(one) for one in (zone, inside))
        good = good and all(isinstance(one, str) and _TYPE.fullmatch(one) for one in (kind, series))
        if not good or not all(isinstance(form, str) and _FORM.fullmatch(form) for form in forms):
            raise ValueError("style")
        return cls(library, time, zone, inside, kind, unit, category, tuple(forms), series)

    def frame(self, columns: dict[str, Any], series: str, time: Sequence[str]) -> Any:
        """A frame of the library: `series` names the series, the `time` columns are int64 or datetime64[us]."""
        library = _Library.of(self.library)
        made = {}
        for name, values in columns.items():
            column = self._times(values, library) if name in time else library.column(values)
            made[name] = library.cast(column, self.series) if name == series else column
        return library.frame(made)

    def _times(self, stamps: _Array, library: _Library) -> Any:
        """A column of the library."""
        if self.time == "integer":
            column = library.cast(library.column(stamps), self.type)
        else:
            utc = stamps if self.inside is None else to_utc(stamps, self.inside)
            if self.time == "text":
                column = library.cast(library.column(_written(utc, self.forms, self.zone)), self.type)
            elif self.time == "date":
                column = library.dates(stamps, self.type)
            elif self.time == "period":
                column = library.periods(stamps, self.type)
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
    """Python's own."""
    made = stamps.astype("datetime64[us]").tolist()
    return made if zone is None else [one.replace(tzinfo=UTC).astimezone(tzinfo_of(zone)) for one in made]


def _timestamps(stamps: _Array, zone: str | None, unit: str) -> list[Any]:
    return list(_Pandas().datetimes(stamps, unit, zone, ""))


def _numpy_datetimes(stamps: _Array, zone: str | None, unit: str) -> list[Any]:
    return list(_in_unit(stamps, unit))


_OBJECTS = {"datetime": _datetimes, "Timestamp": _timestamps, "datetime64": _numpy_datetimes}


# --------------------------------------------------------------------------------------------------------- libraries


class _Library:
    """How columns of time stamps are made in a library. The threads of polars are not used: see `elman.ops.forks`."""

    @staticmethod
    def of(name: str) -> _Library:
        return {"pandas": _Pandas, "polars": _Polars, "pyarrow": _Arrow}[name]()

    def column(self, values: Any) -> Any:
        """Numbers, texts ... as they are."""
        raise NotImplementedError

    def objects(self, values: list[Any]) -> Any:
        """Python's objects as they are."""
        raise NotImplementedError

    def cast(self, column: Any, kind: str) -> Any:
        """In another type, where that loses nothing."""
        raise NotImplementedError

    def dates(self, stamps: _Array, kind: str) -> Any:
        raise NotImplementedError

    def datetimes(self, stamps: _Array, unit: str, zone: str | None, kind: str) -> Any:
        """Stamps of UTC, shown in a zone."""
        raise NotImplementedError

    def periods(self, stamps: _Array, kind: str) -> Any:
        """Periods by their begin, which pandas alone has."""
        return _Pandas().periods(stamps, kind)

    def categories(self, column: Any) -> Any:
        raise NotImplementedError

    def frame(self, columns: dict[str, Any]) -> Any:
        raise NotImplementedError


class _Pandas(_Library):
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


class _Polars(_Library):
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


class _Arrow(_Library):
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


def library_of(table: Any) -> str:
    """The library that an answer to a narwhals frame is of."""
    library = table.implementation.value
    return library if library in _LIBRARIES else "polars"


def type_of(series: Any, library: str) -> str:
    """What the type of a narwhals column is called in its library."""
    native = series.to_native()
    kind = native.dtype if library == "pandas" else native.type if library == "pyarrow" else type(series.dtype).__name__
    return str(kind).partition("<")[0]


# -------------------------------------------------------------------------------------------------------------- reading


def read_stamps(table: Any, column: str, name: str) -> tuple[_Array, Style]:
    """Time stamps of a narwhals frame as int64 or datetime64[us], those of a time zone in UTC; and their form.

    Raises ``DataError`` naming the row for one that is missing, of another kind, or finer than a microsecond.
    """
    series, library = table[column], library_of(table)
    missing = np.flatnonzero(series.is_null().to_numpy())
    if len(missing):
        raise DataError("is missing. Every row needs a time.", at=Place(name, column=column, row=missing[0]))
    place, category = Place(name, column=column), series.dtype in (nw.Categorical, nw.Enum)
    made, style = _read(_values_of(series, library) if category else series, library, place)
    return made, replace(style, library=library, category=category and (series.dtype != nw.Enum or library != "polars"))


def _values_of(series: Any, library: str) -> Any:
    """A column of categories as one of what they are."""
    native = series.to_native()
    if library == "pandas" and hasattr(native, "cat"):
        native = native.astype(native.cat.categories.dtype)
    elif library == "pyarrow" and hasattr(native.type, "value_type"):
        native = native.cast(native.type.value_type)
    else:
        native = pl.Series(series.to_list())
    return nw.from_native(native, series_only=True)


def _read(series: Any, library: str, place: Place) -> tuple[_Array, Style]:
    native, kind = series.to_native(), type_of(series, library)
    if series.dtype == nw.Date:
        return np.array(series.to_list(), "datetime64[us]"), Style(time="date", type=kind)
    if (found := _instants(series, library, place)) is not None:
        return found
    if library == "pandas" and kind.startswith("period["):
        return _periods(native.array, place)
    if series.dtype.is_integer() or series.dtype.is_float():
        return _whole_numbers(series.to_numpy(), place), Style(time="integer", type=kind)
    return _of_objects(series.to_list(), kind, place)


def _instants(series: Any, library: str, place: Place) -> tuple[_Array, Style] | None:
    """A column of datetimes; None for any other. What narwhals makes of a zone is not asked: it knows few names."""
    native = series.to_native()
    if library == "pandas":
        if getattr(native.dtype, "kind", "") != "M":
            return None
        zone, unit = native.dt.tz, native.dt.unit
        values = (native if zone is None else native.dt.tz_convert(None)).to_numpy(f"datetime64[{unit}]")
    elif not isinstance(series.dtype, nw.Datetime):
        return None
    elif library == "polars" and isinstance(native, pl.Series):
        dtype: Any = native.dtype
        zone, unit = dtype.time_zone, dtype.time_unit
        values = native.cast(pl.Int64).to_numpy().astype(f"datetime64[{unit}]")
    elif library == "pyarrow":
        zone, unit = native.type.tz, native.type.unit
        values = np.asarray(native.cast("int64")).astype(f"datetime64[{unit}]")
    else:
        zone, unit = series.dtype.time_zone, series.dtype.time_unit
        there = series if zone is None else series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        values = there.to_numpy().astype(f"datetime64[{unit}]")
    called = None if zone is None else _called(zone, series.to_list, place)
    kind = type_of(series, library)
    return _exact(values, place), Style(zone=called, type=kind if kind.endswith("[pyarrow]") else "", unit=unit)


def _called(zone: Any, values: Any, place: Place) -> str:
    """The name of a zone; of one without a name its distance from UTC, where that is always the same."""
    name = name_of(zone)
    if name is None and not isinstance(zone, str):
        distances = {value.utcoffset() for value in values()}
        name = distance(distances.pop()) if len(distances) == 1 else None
    if name is None:
        raise DataError(
            f"has the time zone {shown(zone)}, which is not known by name here. Convert it to one such as "
            "'Europe/Berlin', or install tzdata, the database of time zones.",
            at=place,
        )
    return name


def _exact(values: _Array, place: Place) -> _Array:
    """The same in microseconds. Raises DataError where that is not the same."""
    made = values.astype("datetime64[us]")
    wrong = np.flatnonzero(made.astype(values.dtype) != values)
    if len(wrong):
        raise DataError(
            f"is {values[wrong[0]]}, finer than a microsecond or too far off. Round it, or give whole numbers.",
            at=replace(place, row=wrong[0]),
        )
    return made


def _periods(values: Any, place: Place, kind: str = "") -> tuple[_Array, Style]:
    """pandas' periods, by their begin."""
    try:
        index = _Pandas().pandas.PeriodIndex(values)
    except (ValueError, TypeError):
        raise DataError("has periods of several lengths. Give those of one.", at=place) from None
    if index.freqstr.endswith("B"):
        raise DataError(
            "has periods of business days, which are no equal steps. Give dates, and the days between as "
            "missing: frame[...].dt.to_timestamp().",
            at=place,
        )
    begins = index.to_timestamp(how="start").to_numpy()
    return _exact(begins, place), Style(time="period", type=kind + index.freqstr)


def _whole_numbers(values: Any, place: Place) -> NDArray[np.int64]:
    """Time stamps that are whole numbers."""
    kinds = (int, np.integer)
    listed = [v if isinstance(v, kinds) and type(v) is not bool else np.nan for v in values]
    numbers = np.array(listed if isinstance(values, list) else values, float)
    wrong = np.flatnonzero(~((np.abs(numbers) < _LARGEST) & (numbers == np.floor(numbers))))
    if len(wrong):
        value = values[wrong[0]]
        value = value.item() if isinstance(value, np.generic) else value
        raise DataError(
            f"is {shown(value)}, no date and no whole number between -2^53 and 2^53.", at=replace(place, row=wrong[0])
        )
    return numbers.astype(np.int64)


def _of_objects(values: list[Any], kind: str, place: Place) -> tuple[_Array, Style]:
    """Texts, or Python's objects, which must be of one kind."""
    first = values[0]
    if isinstance(first, int | np.integer) and not isinstance(first, bool):
        return _whole_numbers(values, place), Style(time="integer", type=kind)
    one = _class_of(first)
    for row, value in enumerate(values):
        if (other := _class_of(value)) != one and "" not in (one, other):
            raise DataError(
                f"is {shown(value)} among others such as {shown(first)}. Give one kind.", at=replace(place, row=row)
            )
    if one == "Period":
        return _periods(values, place, "object ")
    if one == "date":
        return np.array(values, "datetime64[us]"), Style(time="date", type=kind)
    if one == "datetime64":
        found = np.array(values)
        unit = np.datetime_data(found.dtype)[0]
        return _exact(found, place), Style(type="datetime64", unit=unit if unit in _UNITS else "us")
    if one in ("datetime", "Timestamp"):
        return _datetime_objects(values, one, place)
    return _texts(values, kind, place)


def _class_of(value: Any) -> str:
    """Of what class an object is that can be a time; "" of any other."""
    if isinstance(value, str):
        return "text"
    if type(value).__name__ in ("Period", "Timestamp"):
        return type(value).__name__
    if isinstance(value, datetime):
        return "datetime"
    return "date" if isinstance(value, date) else "datetime64" if isinstance(value, np.datetime64) else ""


def _datetime_objects(values: list[Any], kind: str, place: Place) -> tuple[_Array, Style]:
    zoned = [value.tzinfo is not None for value in values]
    _check_zones(values, zoned, place)
    unit, zone = getattr(values[0], "unit", "us"), None
    if all(zoned):
        names = {name_of(value.tzinfo) for value in values}
        zone = names.pop() if len(names) == 1 else "UTC"
        zone = zone or _called(values[0].tzinfo, lambda: values, place)
    made = np.empty(len(values), "datetime64[us]")
    for row, value in enumerate(values):
        try:
            if getattr(value, "nanosecond", 0):
                raise ValueError
            made[row] = np.datetime64(_in_utc(value) if zoned[row] else value, "us")
        except (ValueError, TypeError, OverflowError):
            raise DataError(
                f"is {shown(value)}, finer than a microsecond or too far off.", at=replace(place, row=row)
            ) from None
    return made, Style(zone=zone, type=kind, unit=unit)


def _texts(values: list[Any], kind: str, place: Place) -> tuple[_Array, Style]:
    """Dates written as texts (ISO 8601); those of one distance from UTC are of that zone, others of UTC."""
    zoned = [isinstance(value, str) and _ZONE.search(value) is not None for value in values]
    _check_zones(values, zoned, place)
    made = np.empty(len(values), "datetime64[us]")
    offsets = set()
    for row, value in enumerate(values):
        try:
            if not isinstance(value, str) or not _DATE.match(value) or _too_fine(value):
                raise ValueError
            when = datetime.fromisoformat(value) if zoned[row] else value
            if isinstance(when, datetime):
                offsets.add(when.utcoffset())
            made[row] = np.datetime64(_in_utc(when) if isinstance(when, datetime) else when, "us")
            good = not np.isnat(made[row])
        except (ValueError, TypeError, OverflowError):
            good = False
        if not good:
            raise DataError(
                f"is {shown(value)}, which is no date as 2024-01-31 or 2024-01-31 18:00:00.", at=replace(place, row=row)
            )
    zone = None
    if any(zoned):
        zone = distance(offsets.pop() or timedelta(0)) if len(offsets) == 1 else "UTC"
    return made, Style(time="text", zone=zone, type=kind, forms=_forms(values))


def _too_fine(text: str) -> bool:
    """Whether a text tells parts of a microsecond."""
    return re.search(r"[.,]\d{6}0*[1-9]", text) is not None


def _forms(values: list[str]) -> tuple[str, ...]:
    """In which forms texts are written. Those that cannot be written are left out."""
    found = {re.sub(r"([T ][\d:.,]*)-", r"\1+", form) for form in {value.translate(_DIGITS) for value in values}}
    return tuple(sorted((form for form in found if _FORM.fullmatch(form)), key=lambda form: (len(form), form)))


def _check_zones(values: list[Any], zoned: list[bool], place: Place) -> None:
    if any(zoned) and not all(zoned):
        a, b = zoned.index(True), zoned.index(False)
        raise DataError(
            f"is {shown(values[a])}, with a time zone, row {b} is {shown(values[b])}, without. Give one kind.",
            at=replace(place, row=a),
        )


def _in_utc(value: datetime) -> datetime:
    """A time that tells its zone, as one of UTC that tells none."""
    return value.astimezone(UTC).replace(tzinfo=None)


# -------------------------------------------------------------------------------------------------------------- writing


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
    match = _FORM.fullmatch(form)
    assert match is not None
    return match[1], match[2] or ""


def _holds(text: str, form: str) -> bool:
    """Whether all of a date, written to the microsecond, stands in a form."""
    count = len(_split(form)[0]) + len(text) - len(_LEAST)
    return text[count:] == _LEAST[len(_LEAST) - len(text[count:]) :]


def _longer(form: str) -> list[str]:
    """The forms that tell more, down to the microsecond."""
    body, zone = _split(form)
    full = "0000-00-00" + (body[10:11] or ("T" if zone else " ")) + "00:00:00.000000"
    return [full[:count] + zone for count in (7, 10, 16, 19, 26) if count > len(body)]


def _as(text: str, form: str, by: str) -> str:
    """A date in a form; `by` is how far its zone is from UTC."""
    body, zone = _split(form)
    count = len(body) + len(text) - len(_LEAST)
    made = text[:count].ljust(count, "0")
    if len(body) > 10:
        made = made[: count - len(body) + 10] + body[10] + made[count - len(body) + 11 :]
    if "," in body:
        made = made.replace(".", ",")
    return made + {0: "", 1: "Z", 3: by[:3], 5: by[:3] + by[4:6], 6: by[:6]}[len(zone)]


# ------------------------------------------------------------------------------------------------------------- disguise


def refuse_disguise(numbers: NDArray[np.int64], codes: NDArray[np.int64], order: _Array, place: Place) -> None:
    """Raises ``DataError`` for whole numbers that are dates written without separators.

    `numbers` stand series by series (`codes`), each in ascending order; `order` tells their rows. As whole numbers
    their months, years or days would have gaps between them.
    """
    what = _disguise(numbers, codes)
    if what:
        raise DataError(
            f"is {numbers[0]}: {what} written as a whole number, and as such there would be "
            "gaps between them. Write 2024-01-31, or give a column of dates; of plain numbers subtract the first.",
            at=replace(place, row=order[0]),
        )


def _disguise(numbers: NDArray[np.int64], codes: NDArray[np.int64]) -> str:
    """What numbers are, by their digits; "" for plain ones."""
    digits = {len(str(abs(n))) for n in (int(numbers.min()), int(numbers.max()))}
    count = digits.pop() if len(digits) == 1 and numbers.min() > 0 else 0
    if count in (6, 8, 10, 12, 14) and _are_dates(numbers, count):
        return "a month" if count == 6 else "a date"
    same = np.diff(codes) == 0
    steps = np.diff(numbers)[same]
    if not len(steps) or (steps == steps[0]).all():
        return ""
    for name, places, most in (("a quarter", 1, 4), ("a week", 2, 53), ("a day of a year", 3, 366)):
        year, part = np.divmod(numbers, 10**places)
        if _between(year, 1900, 2199) and _between(part, 1, most) and _carries(year, part, same):
            return name
    year, rest = np.divmod(numbers, 10_000)
    month, day = np.divmod(rest, 100)
    if _between(year, 0, 99) and _between(month, 1, 12) and _between(day, 1, 31) and _carries(month, day, same):
        return "a date"
    return _counted(numbers, steps, same)


def _are_dates(numbers: NDArray[np.int64], count: int) -> bool:
    """Whether all are a year, a month, and as many further parts as there are digits."""
    rest = numbers
    for least, most in reversed([(1, 12), (1, 31), (0, 23), (0, 59), (0, 59)][: (count - 4) // 2]):
        rest, part = np.divmod(rest, 100)
        if not _between(part, least, most):
            return False
    return _between(rest, 1900, 2199)


def _between(values: _Array, least: int, most: int) -> bool:
    return bool((values >= least).all() and (values <= most).all())


def _carries(high: _Array, low: _Array, same: _Array) -> bool:
    """Whether the higher part goes on within a series where the lower one begins again."""
    return bool((same & (np.diff(high) > 0) & (np.diff(low) < 0)).any())


def _counted(numbers: NDArray[np.int64], steps: _Array, same: _Array) -> str:
    """Numbers whose last digits run from one value to another and then begin again, the digits before going on by 1."""
    short = int(steps.min())
    for places in (1, 2, 3, 4):
        high, low = np.divmod(numbers, 10**places)
        least, most = int(low.min()), int(low.max())
        carry = same & (np.diff(numbers) != short)
        regular = (np.diff(high) == 1) & (low[:-1] == most) & (low[1:] == least)
        known = places > 1 and (least, most) in ((1, 12), (1, 31), (1, 52), (1, 53), (0, 23), (0, 59))
        whole = most - least + short < 10**places and short < 10**places and most > least
        if whole and regular[carry].all() and carry.sum() >= (1 if known else 2):
            return f"something of which the last {places} digits run from {least} to {most}"
    return ""
