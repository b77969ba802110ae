"""The column of time stamps of a frame, read as numbers or dates; dates written as whole numbers are refused."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.errors import DataError, MessagePart, Place, option
from elman.tasks.forecast.data.style import FORM, UNITS, Style, library_of, type_of
from elman.tasks.forecast.data.zones import distance, name_of
from elman.validation.messages import shown

_Array = NDArray[Any]
_LARGEST = 2**53  # of time stamps: beyond it a float is no exact whole number
_DATE = re.compile(r"\d{4}(-\d\d|$)")  # else NumPy takes "20240131" for a year
_ZONE = re.compile(r"\d[T ]\S*?(Z|[+-]\d\d(:?\d\d)?)$")
_TOO_FINE = re.compile(r"[.,]\d{6}0*[1-9]")  # parts of a microsecond
_DIGITS = str.maketrans("123456789", "000000000")


def read_stamps(table: Any, column: str, name: str, date_format: str = "") -> tuple[_Array, Style]:
    """Time stamps of a narwhals frame as int64 or datetime64[us], those of a time zone in UTC; and their style.

    `date_format`: how texts, or whole numbers, are dates, as strptime takes it; "": texts are ISO 8601.
    Raises ``DataError`` naming the row for one that is missing, of another kind, or finer than a microsecond.
    """
    series, library = table[column], library_of(table)
    missing = np.flatnonzero(series.is_null().to_numpy())
    if len(missing):
        raise DataError("is missing. Every row needs a time.", at=Place(name, column=column, row=missing[0]))
    place, category = Place(name, column=column), series.dtype in (nw.Categorical, nw.Enum)
    values = _values_of(series, library) if category else series
    kind = type_of(values, library)
    written = _written_dates(values, date_format)
    made, style = _read(values, library, place) if written is None else _by_format(written, date_format, kind, place)
    return made, replace(style, library=library, category=category and (series.dtype != nw.Enum or library != "polars"))


def _values_of(series: Any, library: str) -> Any:
    """A column of categories as one of their values."""
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
    """A column of datetimes; None for any other. Not by narwhals, which knows few names of zones."""
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
        advice = "Convert it to one such as 'Europe/Berlin', or install tzdata, the database of time zones."
        raise DataError(f"has the time zone {shown(zone)}, which is not known by name here. {advice}", at=place)
    return name


def _exact(values: _Array, place: Place) -> _Array:
    """Datetimes in microseconds. Raises DataError where that loses anything."""
    made = values.astype("datetime64[us]")
    wrong = np.flatnonzero(made.astype(values.dtype) != values)
    if len(wrong):
        what = "finer than a microsecond or too far off. Round it, or give whole numbers."
        raise DataError(f"is {values[wrong[0]]}, {what}", at=replace(place, row=wrong[0]))
    return made


def _periods(values: Any, place: Place, kind: str = "") -> tuple[_Array, Style]:
    """pandas' periods, by their begin."""
    try:
        index = importlib.import_module("pandas").PeriodIndex(values)
    except (ValueError, TypeError):
        raise DataError("has periods of several lengths. Give those of one.", at=place) from None
    if index.freqstr.endswith("B"):
        advice = "Give dates, frame[...].dt.to_timestamp(), and freq='B'."
        raise DataError(f"has periods of business days, which pandas gives up. {advice}", at=place)
    begins = index.to_timestamp(how="start").to_numpy()
    return _exact(begins, place), Style(time="period", type=kind + index.freqstr)


def _whole_numbers(values: Any, place: Place) -> NDArray[np.int64]:
    kinds = (int, np.integer)
    listed = [v if isinstance(v, kinds) and type(v) is not bool else np.nan for v in values]
    numbers = np.array(listed if isinstance(values, list) else values, float)
    wrong = np.flatnonzero(~((np.abs(numbers) < _LARGEST) & (numbers == np.floor(numbers))))
    if len(wrong):
        value = values[wrong[0]]
        value = value.item() if isinstance(value, np.generic) else value
        what = "no date and no whole number between -2^53 and 2^53."
        raise DataError(f"is {shown(value)}, {what}", at=replace(place, row=wrong[0]))
    return numbers.astype(np.int64)


def _of_objects(values: list[Any], kind: str, place: Place) -> tuple[_Array, Style]:
    """Texts, or Python's objects, which must be of one kind."""
    first = values[0]
    if isinstance(first, int | np.integer) and not isinstance(first, bool):
        return _whole_numbers(values, place), Style(time="integer", type=kind)
    one = _class_of(first)
    for row, value in enumerate(values):
        if (other := _class_of(value)) != one and "" not in (one, other):
            what = f"is {shown(value)} among others such as {shown(first)}. Give one kind."
            raise DataError(what, at=replace(place, row=row))
    if one == "Period":
        return _periods(values, place, "object ")
    if one == "date":
        return np.array(values, "datetime64[us]"), Style(time="date", type=kind)
    if one == "datetime64":
        found = np.array(values)
        unit = np.datetime_data(found.dtype)[0]
        return _exact(found, place), Style(type="datetime64", unit=unit if unit in UNITS else "us")
    if one in ("datetime", "Timestamp"):
        return _datetime_objects(values, one, place)
    return _texts(values, kind, place)


def _class_of(value: Any) -> str:
    """The class of a time stamp; "" for any other object."""
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

    def parse(value: Any) -> np.datetime64:
        if getattr(value, "nanosecond", 0):
            raise ValueError
        return np.datetime64(value if value.tzinfo is None else _in_utc(value), "us")

    return _parsed(values, parse, place, "finer than a microsecond or too far off."), Style(
        zone=zone, type=kind, unit=unit
    )


def _texts(values: list[Any], kind: str, place: Place) -> tuple[_Array, Style]:
    """Dates written as texts (ISO 8601); those of one distance from UTC are of that zone, others of UTC."""
    zoned = [isinstance(value, str) and _ZONE.search(value) is not None for value in values]
    _check_zones(values, zoned, place)
    offsets = set()

    def parse(value: Any) -> np.datetime64:
        if not isinstance(value, str) or not _DATE.match(value) or _TOO_FINE.search(value):
            raise ValueError
        if not _ZONE.search(value):
            return np.datetime64(value, "us")
        when = datetime.fromisoformat(value)
        offsets.add(when.utcoffset())
        return np.datetime64(_in_utc(when), "us")

    written = option("date_format", "%d/%m/%Y")
    made = _parsed(
        values, parse, place, "which is no date as 2024-01-31 or 2024-01-31 18:00:00. For 31/01/2024 fit with ", written
    )
    zone = None
    if any(zoned):
        zone = distance(offsets.pop() or timedelta(0)) if len(offsets) == 1 else "UTC"
    return made, Style(time="text", zone=zone, type=kind, forms=_forms(values))


def _written_dates(series: Any, date_format: str) -> list[str] | None:
    """The texts of a column that a format reads; None for a column of dates, or without a format."""
    if not date_format or not (series.dtype.is_integer() or series.dtype in (nw.String, nw.Object)):
        return None
    values = series.to_list()
    return [str(value) for value in values] if all(isinstance(value, str | int) for value in values) else None


def _by_format(values: list[str], date_format: str, kind: str, place: Place) -> tuple[_Array, Style]:
    def parse(value: str) -> np.datetime64:
        return np.datetime64(datetime.strptime(value.strip(), date_format), "us")

    what = f"which is no date of the format {date_format!r}."
    return _parsed(values, parse, place, what), Style(time="text", type=kind, format=date_format)


def _parsed(values: list[Any], parse: Callable[[Any], np.datetime64], place: Place, *what: MessagePart) -> _Array:
    """Each value parsed; `what` says why one is refused."""
    made = np.empty(len(values), "datetime64[us]")
    for row, value in enumerate(values):
        try:
            made[row] = parse(value)
        except (ValueError, TypeError, OverflowError):
            raise DataError(f"is {shown(value)}, ", *what, at=replace(place, row=row)) from None
    return made


def _forms(values: list[str]) -> tuple[str, ...]:
    """The forms in which texts are written, without those that cannot be written again."""
    found = {re.sub(r"([T ][\d:.,]*)-", r"\1+", form) for form in {value.translate(_DIGITS) for value in values}}
    return tuple(sorted((form for form in found if FORM.fullmatch(form)), key=lambda form: (len(form), form)))


def _check_zones(values: list[Any], zoned: list[bool], place: Place) -> None:
    if any(zoned) and not all(zoned):
        a, b = zoned.index(True), zoned.index(False)
        what = f"is {shown(values[a])}, with a time zone, row {b} is {shown(values[b])}, without. Give one kind."
        raise DataError(what, at=replace(place, row=a))


def _in_utc(value: datetime) -> datetime:
    """A time with a zone as one of UTC without."""
    return value.astimezone(UTC).replace(tzinfo=None)


def refuse_disguised_dates(numbers: NDArray[np.int64], codes: NDArray[np.int64], place: Place) -> None:
    """Raises ``DataError`` at `place` for whole numbers that are dates written without separators.

    `numbers` stand series by series (`codes`), each in ascending order. As whole numbers their months, years or days
    would have gaps between them.
    """
    if what := _disguise(numbers, codes):
        advice = "Write 2024-01-31, or give a column of dates; of plain numbers subtract the first. Or give "
        raise DataError(f"is {numbers[0]}: {what} written as a whole number. {advice}", option("date_format"), at=place)


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
