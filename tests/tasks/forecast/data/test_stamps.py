"""Time stamps come back as they were given: the library, the type, the zone, and the form of texts."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable
from dataclasses import astuple
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError
from elman.tasks.forecast.data.frame import read
from elman.tasks.forecast.data.panel import Columns
from elman.tasks.forecast.data.style import Style

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")

COUNT, AHEAD = 40, 6
ZONES: list[Any] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Port-au-Prince",
    "America/Argentina/Buenos_Aires",
    "Australia/Lord_Howe",
    "Etc/GMT+5",
    "EST5EDT",
    "UTC+05:30",
    dt.timezone(dt.timedelta(hours=-3, minutes=-30)),
    dt.UTC,
    ZoneInfo("America/New_York"),
]


def zones_of_other_libraries() -> list[Any]:
    made: list[Any] = []
    for library, name, fixed in (("dateutil.tz", "gettz", "tzoffset"), ("pytz", "timezone", "FixedOffset")):
        try:
            module = importlib.import_module(library)
        except ImportError:
            continue
        by = getattr(module, fixed)
        made += [
            getattr(module, name)("America/New_York"),
            by(None, 19800) if library != "pytz" else by(330),
            module.UTC,
        ]
    return made


ZONES += zones_of_other_libraries()


def told(frame: Any, column: str) -> Any:
    """What a column holds, and its type."""
    if isinstance(frame, pl.DataFrame):
        return frame[column].dtype, frame[column].to_list()
    if isinstance(frame, pandas.DataFrame):
        return str(frame[column].dtype), frame[column].tolist(), [type(one) for one in frame[column]]
    return frame[column].type, frame[column].to_pylist()


def answered(frame: Callable[[int, int], Any], freq: tuple[str, int] | None = None) -> tuple[Any, Any]:
    """The steps after the rows 0 to COUNT of a frame, and the rows that are there; after saving and loading too."""
    panel, grid, style = read(frame(0, COUNT), Columns(), freq=freq)
    after = grid.stamps(panel.first[0] + panel.lengths[0] + np.arange(AHEAD))
    restored = Style.restore(astuple(style))
    assert restored == style
    found = restored.frame(
        {"unique_id": [panel.ids[0]] * AHEAD, "ds": after, "y": np.zeros(AHEAD)}, "unique_id", ["ds"]
    )
    return found, frame(COUNT, COUNT + AHEAD)


def check(frame: Callable[[int, int], Any], freq: tuple[str, int] | None = None) -> None:
    found, wanted = answered(frame, freq)
    for column in ("ds", "unique_id"):
        assert told(found, column) == told(wanted, column)
    if isinstance(wanted, pandas.DataFrame):
        assert len(found.merge(wanted, on=["unique_id", "ds"])) == AHEAD
    elif isinstance(wanted, pl.DataFrame):
        assert found.join(wanted, on=["unique_id", "ds"]).height == AHEAD
    elif not pyarrow.types.is_dictionary(wanted["ds"].type):
        assert found.join(wanted.drop(["y"]), keys=["unique_id", "ds"], join_type="inner").num_rows == AHEAD


def pandas_frame(stamps: Any) -> Callable[[int, int], Any]:
    """Some rows of a frame with these stamps."""

    def rows(a: int, b: int) -> Any:
        return pandas.DataFrame({"unique_id": "a", "ds": stamps[a:b], "y": np.arange(b - a)})

    return rows


def texts(freq: str, form: str, start: str = "2024-01-01") -> list[str]:
    return list(pandas.date_range(start, periods=COUNT + AHEAD, freq=freq).strftime(form))


FORMS = {
    "years": texts("YS", "%Y", "1960"),
    "months": texts("MS", "%Y-%m"),
    "days": texts("D", "%Y-%m-%d"),
    "hours": texts("h", "%Y-%m-%dT%H"),
    "minutes": texts("15min", "%Y-%m-%dT%H:%M"),
    "minutes apart": texts("15min", "%Y-%m-%d %H:%M"),
    "seconds": texts("h", "%Y-%m-%d %H:%M:%S"),
    "days with seconds": texts("D", "%Y-%m-%d %H:%M:%S"),
    "days with T": texts("D", "%Y-%m-%dT%H:%M:%S"),
    "fractions": texts("250ms", "%Y-%m-%dT%H:%M:%S.%f"),
    "milliseconds": [text[:-3] for text in texts("250ms", "%Y-%m-%d %H:%M:%S.%f")],
    "nine digits": [text + "000" for text in texts("250ms", "%Y-%m-%dT%H:%M:%S.%f")],
    "str": [str(day) for day in pandas.date_range("2024-01-01", periods=COUNT + AHEAD, freq="250ms").to_pydatetime()],
    "isoformat": [
        day.isoformat() for day in pandas.date_range("2024-01-01", periods=COUNT + AHEAD, freq="500ms").to_pydatetime()
    ],
    "midnights short": [text.removesuffix(" 00:00:00") for text in texts("6h", "%Y-%m-%d %H:%M:%S")],
    "Z": texts("h", "%Y-%m-%dT%H:%M:%SZ"),
    "Z of minutes": texts("h", "%Y-%m-%d %H:%MZ"),
    "Z of fractions": texts("250ms", "%Y-%m-%dT%H:%M:%S.%fZ"),
    "zero": texts("h", "%Y-%m-%dT%H:%M:%S+00:00"),
    "east": texts("h", "%Y-%m-%dT%H:%M:%S+05:30"),
    "east, days": texts("D", "%Y-%m-%d %H:%M:%S+0530"),
    "west": texts("D", "%Y-%m-%dT%H:%M-03"),
    "west, months": texts("MS", "%Y-%m-%dT%H:%M:%S-08:00"),
}


HOLDERS = ["object", "str", "category", "polars", "polars category", "pyarrow", "dictionary"]


@pytest.mark.parametrize(
    ("form", "holder"), [(f, h) for i, f in enumerate(FORMS) for h in (HOLDERS[i % 7], HOLDERS[(i + 3) % 7])]
)
def test_texts(form: str, holder: str) -> None:
    given = FORMS[form]

    def rows(a: int, b: int) -> Any:
        columns: dict[str, Any] = {"unique_id": ["a"] * (b - a), "ds": given[a:b], "y": [1.0] * (b - a)}
        if holder == "polars":
            return pl.DataFrame(columns)
        if holder == "polars category":
            return pl.DataFrame(columns).with_columns(pl.col("ds", "unique_id").cast(pl.Categorical))
        if holder == "pyarrow":
            return pyarrow.table(columns)
        if holder == "dictionary":
            return pyarrow.table(columns | {"ds": pyarrow.array(given[a:b]).dictionary_encode()})
        return pandas.DataFrame(columns).astype({"ds": holder})

    check(rows)


@pytest.mark.parametrize("freq", ["h", "D"])
@pytest.mark.parametrize("zone", ZONES, ids=repr)
def test_zones_of_pandas(zone: Any, freq: str) -> None:
    """Over the nights in which clocks change; every hour is there, and every day begins at midnight."""
    stamps = pandas.date_range("2024-03-08" if freq == "h" else "2024-02-20", periods=COUNT + AHEAD, freq=freq, tz=zone)
    for unit in ("s", "ns"):
        found, wanted = answered(pandas_frame(stamps.as_unit(unit)))
        assert found["ds"].tolist() == wanted["ds"].tolist()
        assert len(found.merge(wanted, on=["unique_id", "ds"])) == AHEAD
        if type(stamps.tz).__module__ in ("zoneinfo", "datetime"):  # a name is kept, not which library reads it
            assert found["ds"].dtype == wanted["ds"].dtype
    for objects in ([one.to_pydatetime() for one in stamps], list(stamps)):
        found, wanted = answered(pandas_frame(pandas.Series(objects, dtype=object)))
        assert found["ds"].tolist() == wanted["ds"].tolist()
        for a, b in zip(found["ds"], wanted["ds"], strict=True):
            assert (type(a), a.utcoffset()) == (type(b), b.utcoffset())


@pytest.mark.parametrize("holder", ["polars", "pyarrow", "arrow in pandas"])
@pytest.mark.parametrize("zone", [zone for zone in ZONES if isinstance(zone, str)] + ["-03:30"])
def test_zones_of_others(zone: str, holder: str) -> None:
    zone = zone.removeprefix("UTC") or "UTC"
    if zone[0] in "+-" and holder == "polars":
        pytest.skip("polars has no zones without a name")
    utc = pandas.date_range("2024-02-20", periods=COUNT + AHEAD, tz=zone).tz_convert(None).to_numpy("datetime64[us]")

    def rows(a: int, b: int) -> Any:
        columns: dict[str, Any] = {"unique_id": ["a"] * (b - a), "y": [1.0] * (b - a)}
        if holder == "polars":
            return pl.DataFrame(columns | {"ds": pl.Series(utc[a:b].astype(int)).cast(pl.Datetime("us", zone))})
        made = pyarrow.array(utc[a:b]).cast(pyarrow.timestamp("ms", tz=zone))
        if holder == "pyarrow":
            return pyarrow.table(columns | {"ds": made})
        return pandas.DataFrame(columns | {"ds": pandas.Series(pandas.arrays.ArrowExtensionArray(made))})

    check(rows)


PERIODS = ["M", "Q", "Q-JAN", "Y", "W", "W-WED", "D", "h", "15min", "s", "2M"]
NUMBERS = ["int8", "uint16", "int32", "int64", "Int32", "Int64", "float64", "float32", "object", "int64[pyarrow]"]


def periods(freq: str) -> Any:
    return pandas.period_range("2020-01", periods=COUNT + AHEAD, freq=freq)


def other_columns() -> dict[str, Any]:
    days = pandas.date_range("2024-01-01", periods=COUNT + AHEAD)
    numbers = np.arange(COUNT + AHEAD)
    dates = pandas.Series([day.date() for day in days], dtype=object)
    return {
        "dates": dates,
        "datetimes": pandas.Series([day.to_pydatetime() for day in days], dtype=object),
        "timestamps": pandas.Series(list(days), dtype=object),
        "timestamps of seconds": pandas.Series(list(days.as_unit("s")), dtype=object),
        "datetime64 objects": pandas.Series(list(days.values), dtype=object),
        "categories of dates": pandas.Categorical(days),
        "ordered categories": pandas.Categorical(days, ordered=True),
        "categories of date objects": pandas.Categorical(dates),
        "categories of numbers": pandas.Categorical(numbers),
        "period objects": pandas.Series(list(periods("M")), dtype=object),
        "date32": dates.astype("date32[day][pyarrow]"),
        "timestamp of Arrow": pandas.Series(days).astype("timestamp[ms][pyarrow]"),
        "text of Arrow": dates.astype(str).astype("string[pyarrow]"),
        **{f"datetime64[{unit}]": days.as_unit(unit) for unit in ("s", "ms", "us", "ns")},
        **{f"periods of {freq}": periods(freq) for freq in PERIODS},
        **{kind: pandas.Series(numbers).astype(kind) for kind in NUMBERS},
    }


@pytest.mark.parametrize("kind", other_columns())
def test_columns_of_pandas(kind: str) -> None:
    column = other_columns()[kind]
    rows = pandas_frame(column)
    if "categor" in kind:
        found, wanted = answered(rows)
        assert found["ds"].tolist() == wanted["ds"].tolist()
        assert found["ds"].dtype == "category"
        return
    check(rows)


@pytest.mark.parametrize("kind", ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt64", "Float32", "Float64", "Date"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_columns_of_polars(kind: str, unit: str) -> None:
    def rows(a: int, b: int) -> pl.DataFrame:
        numbers = pl.Series(range(a, b)).cast(getattr(pl, kind))
        days = pl.Series(np.datetime64("2024-01-01") + np.arange(a, b)).cast(pl.Datetime(unit))  # type: ignore[arg-type]
        ids = pl.Series([7] * (b - a)).cast(pl.Int32)
        return pl.DataFrame({"unique_id": ids, "ds": numbers if unit == "ms" else days, "y": [1.0] * (b - a)})

    check(rows)


@pytest.mark.parametrize("kind", ["int32", "uint64", "date32", "date64", "timestamp[s]", "timestamp[ns]"])
def test_columns_of_arrow(kind: str) -> None:
    def rows(a: int, b: int) -> Any:
        days = np.datetime64("2024-01-01", "D" if kind[0] == "d" else "s") + 3600 * 24 ** (kind[0] != "d") * np.arange(
            a, b
        )
        values = days.tolist() if kind[0] in "dt" else np.arange(a, b)
        ids = pyarrow.array(["a"] * (b - a)).cast("large_string")
        return pyarrow.table({"unique_id": ids, "ds": pyarrow.array(values, kind), "y": [1.0] * (b - a)})

    check(rows)


def test_a_number_beyond_its_type_is_wider() -> None:
    for given in (pandas.Series(np.arange(88, 128, dtype=np.int8)), pl.Series(np.arange(88, 128, dtype=np.int8))):
        frame = type(given.to_frame())({"unique_id": "a", "ds": given, "y": range(40)})
        panel, grid, style = read(frame, Columns())
        after = grid.stamps(panel.first[0] + panel.lengths[0] + np.arange(3))
        assert style.frame({"unique_id": ["a"] * 3, "ds": after}, "unique_id", ["ds"])["ds"].to_list() == [
            128,
            129,
            130,
        ]


REFUSED: dict[str, tuple[Any, str]] = {
    "finer than a microsecond": (
        pandas.date_range("2024-01-01", periods=9, freq="100ns"),
        "row 1 is .* finer than a micro",
    ),
    "finer texts": ([f"2024-01-01T00:00:00.000000{i}" for i in range(1, 9)], "row 0 is .* no date as"),
    "finer objects": (
        list(pandas.date_range("2024-01-01", periods=9, freq="100ns").astype(object)),
        "finer than a micro",
    ),
    "texts among dates": ([dt.date(2024, 1, 1), "2024-01-02"], "row 1 is '2024-01-02' among others"),
    "dates among texts": (["2024-01-02", dt.date(2024, 1, 3)], "row 1 is .* among others"),
    "periods of two kinds": (
        pandas.Series([pandas.Period("2024-01", "M"), pandas.Period("2024-01-01", "D")], dtype=object),
        "periods of several lengths",
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_periods_of_business_days_are_refused() -> None:
    given = pandas.period_range("2024-01-01", periods=9, freq="B")
    with pytest.raises(DataError, match=r"periods of business days.*freq=.B."):
        read(pandas.DataFrame({"unique_id": "a", "ds": given, "y": range(9)}), Columns())


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    given, said = REFUSED[kind]
    if isinstance(given, list):
        given = pandas.Series(given, dtype=object)
    with pytest.raises(DataError, match=said):
        read(pandas.DataFrame({"unique_id": "a", "ds": given, "y": range(len(given))}), Columns())


def test_texts_of_several_zones_come_back_in_utc() -> None:
    berlin = pandas.date_range("2024-03-30", periods=COUNT + AHEAD, freq="h", tz="Europe/Berlin")
    found, wanted = answered(pandas_frame([one.isoformat() for one in berlin]))
    assert found["ds"].tolist()[0] == "2024-03-31T15:00:00+00:00"
    assert pandas.to_datetime(found["ds"], utc=True).tolist() == pandas.to_datetime(wanted["ds"], utc=True).tolist()


@pytest.mark.parametrize(
    ("wrong", "value"),
    [(0, "x"), (1, "week"), (2, "Mars/North"), (3, "../x"), (4, "a\n"), (5, "d"), (6, 1), (7, ["%Y"]), (8, 5)],
)
def test_a_form_that_cannot_be_is_refused(wrong: int, value: Any) -> None:
    config = list(astuple(Style()))
    config[wrong] = value
    with pytest.raises(ValueError, match="style"):
        Style.restore(config)
