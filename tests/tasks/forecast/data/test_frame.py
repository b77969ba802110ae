"""Long frames: what is read from strange ones, and what is said of those that cannot be."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError
from elman.tasks.forecast.data.frame import read
from elman.tasks.forecast.data.panel import Columns
from elman.tasks.forecast.data.time_grid import Grid

DAYS = [dt.datetime(2024, 1, 1) + dt.timedelta(days=i) for i in range(4)]
ROWS: dict[str, list[Any]] = {"unique_id": ["a", "a", "a", "a"], "ds": [1, 2, 3, 4], "y": [1.0, 2.0, 3.0, 4.0]}
COVARIATE = Columns(past=("c",))


def pandas_frame(**changed: Any) -> Any:
    """Columns of Python objects, as pandas holds whatever it is given."""
    pandas = pytest.importorskip("pandas")
    rows = ROWS | changed
    return pandas.DataFrame({name: pandas.Series(column, dtype=object) for name, column in rows.items()})


REFUSED: list[tuple[dict[str, list[Any]], str]] = [
    ({"unique_id": ["a", float("nan"), "a", "a"]}, "column 'unique_id', row 1 is missing"),
    ({"unique_id": ["a", 1, "a", "a"]}, "column 'unique_id', row 1 is 1 among others. Give one kind"),
    ({"unique_id": [dt.date(2024, 1, 1)] * 4}, r"row 0 is datetime.date\(2024, 1, 1\), which cannot name a series"),
    ({"unique_id": [(1, 2)] * 4}, r"row 0 is \(1, 2\), which cannot name a series"),
    ({"unique_id": [2**64] * 4}, "row 0 is 18446744073709551616, which cannot name a series"),
    ({"unique_id": [b"a"] * 4}, "row 0 is b'a', which cannot name a series"),
    ({"unique_id": [10**400] * 4}, "row 0 is 1000.* which cannot name a series"),
    ({"unique_id": [1j] * 4}, "row 0 is 1j, which cannot name a series"),
    ({"unique_id": [1, 2.5, "b", 3]}, "row 2 is 'b' among others. Give one kind"),
    ({"unique_id": ["a", "a", "b\ud800", "b"]}, "character 1 is '.ud800', one half of a surrogate pair"),
    ({"c": ["x", "y", "\udfff", None]}, "column 'c', row 2, character 0 is '.udfff', one half of a surrogate pair"),
    ({"y": [1.0, 10**400, 3.0, 4.0]}, "column 'y', row 1 is 1e[+]300, beyond 1e100"),
    ({"y": [1.0, Decimal("sNaN"), 3.0, 4.0]}, "column 'y', row 1 is .*sNaN.*, where a number was expected"),
    ({"ds": [1, 2, 3, 2**60]}, "column 'ds', row 3 is 1152921504606846976, no date and no whole number between"),
    ({"ds": [1, 2, True, 4]}, "column 'ds', row 2 is True, no date"),
    ({"ds": [False, True, False, True]}, "column 'ds', row 0 is False, which is no date"),
    ({"ds": ["20240101", "20240102", "20240103", "20240104"]}, "column 'ds', row 0 is '20240101', which is no date"),
    ({"ds": [20240130, 20240131, 20240201, 20240202]}, "row 0 is 20240130: a date written as a whole number"),
    ({"ds": ["2024-01-01T00:00Z", *map(str, DAYS[1:])]}, "row 0 is '2024-01-01T00:00Z', with a time zone, row 1"),
    ({"c": [[1.0]] * 4}, r"column 'c', row 0 is \[1.0\]. Give numbers or texts"),
    ({"c": ["x", 1, "x", "x"]}, "column 'c', row 1 is 1 among texts. Give one kind"),
]


@pytest.mark.parametrize(("changed", "said"), REFUSED)
def test_what_cannot_be_used_is_named(changed: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(pandas_frame(**changed), COVARIATE if "c" in changed else Columns())


@pytest.mark.parametrize("ids", [[1, 2.5, 1, 2.5], [1, 1.0, np.float32(1), True], [np.int8(3), 3, 0.5, 0.5]])
def test_numbers_of_any_type_name_series(ids: list[Any]) -> None:
    panel, _, style = read(pandas_frame(unique_id=ids), Columns(), freq=("integer", 1))
    assert panel.ids == list(dict.fromkeys(ids))
    assert all(type(one) in (int, float) for one in panel.ids)
    columns = {"unique_id": panel.ids, "ds": panel.first}
    for library in ("pandas", "polars"):
        assert list(replace(style, library=library).frame(columns, "unique_id", ["ds"])["unique_id"]) == panel.ids


MONTHS = [202001 + i % 12 + 100 * (i // 12) for i in range(36)]
DISGUISED: dict[str, list[int]] = {
    "months": MONTHS,
    "months of one year": MONTHS[:10],
    "months with gaps": MONTHS[::5],
    "weeks": [202040 + i if i < 13 else 202101 + i - 13 for i in range(40)],
    "quarters": [20201 + i % 4 + 10 * (i // 4) for i in range(12)],
    "days of a year": [2020360 + i if i < 7 else 2021001 + i - 7 for i in range(30)],
    "days": [20240130, 20240131, 20240201, 20240202],
    "days of a short year": [240130, 240131, 240201, 240202],
    "hours": [2024013100 + i if i < 24 else 2024020100 + i - 24 for i in range(40)],
    "hours of one day": [2024013100 + i for i in range(20)],
    "minutes": [202401312330 + i if i < 30 else 202402010000 + i - 30 for i in range(50)],
    "seconds": [20240131235950 + i if i < 10 else 20240201000000 + i - 10 for i in range(30)],
    "months of a short year": [2401 + i % 12 + 100 * (i // 12) for i in range(24)],
    "hours and minutes": [i % 60 + 100 * (i // 60) for i in range(130)],
}
PLAIN: dict[str, list[int]] = {
    "from 0": list(range(40)),
    "years": list(range(1990, 2030)),
    "years with a gap": [*range(1990, 2000), *range(2003, 2030)],
    "every tenth": list(range(20201, 20601, 10)),
    "every tenth with a gap": [*range(20201, 20301, 10), *range(20321, 20401, 10)],
    "seconds since 1970": list(range(1_700_000_000, 1_700_000_040)),
    "days of spreadsheets": list(range(45_000, 45_040)),
    "working days": [i for i in range(60) if i % 7 < 5],
    "past a round number": list(range(202_090, 202_130)),
    "with gaps": sorted(np.random.default_rng(0).choice(200, 60, replace=False).tolist()),
}


@pytest.mark.parametrize("kind", DISGUISED)
@pytest.mark.parametrize("holder", ["int64", "float64", "object", "Int64"])
def test_dates_written_as_whole_numbers_are_refused(kind: str, holder: str) -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.Series(DISGUISED[kind]).astype(holder)
    frame = pandas.DataFrame({"unique_id": "a", "ds": given, "y": range(len(given))})
    with pytest.raises(DataError, match=r"column 'ds', row 0 is \d+: .* written as a whole number"):
        read(frame, Columns())


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_numbers_are_not(kind: str) -> None:
    given = PLAIN[kind]
    panel, grid, _ = read(pl.DataFrame({"unique_id": "a", "ds": given, "y": [1.0] * len(given)}), Columns())
    assert grid.stamps(panel.first)[0] == given[0]
    read(pl.DataFrame({"unique_id": "a", "ds": MONTHS[:3], "y": [1.0] * 3}), Columns(), Grid("integer", 1))


def test_a_category_of_numbers_is_a_category() -> None:
    pandas = pytest.importorskip("pandas")
    for kind in ([100, 101, 100, 102], [1.5, 2.5, 1.5, 1.5], [True, False, True, True]):
        frame = pandas.DataFrame(ROWS | {"c": pandas.Categorical(kind)})
        assert read(frame, COVARIATE)[0].covariates["c"].tolist() == list(map(str, kind))
        number = frame.astype({"c": float})
        assert read(number, COVARIATE)[0].covariates["c"].tolist() == list(map(float, kind))
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(ROWS | {"c": arrow.array([7, 8, 7, 9]).dictionary_encode()})
    assert read(table, COVARIATE)[0].covariates["c"].tolist() == ["7", "8", "7", "9"]
    table = table.set_column(3, "c", arrow.array([7, None, 7, 9]).dictionary_encode())
    assert read(table, COVARIATE)[0].covariates["c"].tolist() == ["7", None, "7", "9"]


def hourly(days: int, name: str = "d", every: int = 24, rows: int = 300) -> pl.DataFrame:
    begin = np.datetime64("2024-01-01", "us")
    hours = begin + np.arange(rows) * np.timedelta64(1, "h")
    others = begin + np.arange(days) * np.timedelta64(every, "h")
    ids = ["h"] * rows + [name] * days
    return pl.DataFrame({"unique_id": ids, "ds": np.concatenate([hours, others]), "y": np.arange(rows + days) + 1.0})


@pytest.mark.parametrize(("days", "every"), [(30, 24), (5, 24), (4, 24), (30, 2), (12, 2), (6, 7)])
def test_a_series_of_days_among_those_of_hours(days: int, every: int) -> None:
    frame = hourly(days, every=every)
    said = rf"series 'd': its rows are {every} steps of 1 h apart"
    with pytest.raises(DataError, match=said):
        read(frame, Columns(), whole=True)
    _, grid, _ = read(frame.filter(pl.col("unique_id") == "h"), Columns())
    for given in (frame, frame.filter(pl.col("unique_id") == "d")):
        with pytest.raises(DataError, match=said):
            read(given, Columns(), grid, whole=True)
    thinned = frame.filter((pl.col("unique_id") == "h") | (pl.int_range(pl.len()) % 3 != 0))
    if days >= 30:
        with pytest.raises(DataError, match=said):
            read(thinned, Columns(), whole=True)


def test_a_series_with_gaps_is_none_of_days() -> None:
    keep = np.random.default_rng(0).random(300) < 0.6
    frame = hourly(2).filter(pl.Series([*keep.tolist(), True, True]))
    read(frame, Columns(), whole=True)


def test_infinite_and_doubled() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="column 'ds', row 3 is inf, no date"):
        read(pl.DataFrame(ROWS | {"ds": [1.0, 2.0, 3.0, np.inf]}), Columns())
    plain = pandas.DataFrame(ROWS)
    with pytest.raises(DataError, match=r"^frame is a frame that cannot be read. .*'y' 2 times"):
        read(pandas.concat([plain, plain[["y"]]], axis=1), Columns())
    with pytest.raises(DataError, match="it has none"):
        read(pl.DataFrame(), Columns())


def test_missing_of_every_kind() -> None:
    pandas = pytest.importorskip("pandas")
    panel, _, _ = read(pandas_frame(y=[1, pandas.NA, None, Decimal("NaN")]), Columns())
    assert np.isnan(panel.values).tolist() == [False, True, True, True]
    panel, _, _ = read(pandas_frame(c=["x", pandas.NA, None, float("nan")]), COVARIATE)
    assert panel.covariates["c"].tolist() == ["x", None, None, None]
    panel, _, _ = read(pandas_frame(c=[Decimal("1.5"), pandas.NA, 2, True]), COVARIATE)
    assert panel.covariates["c"][[0, 2, 3]].tolist() == [1.5, 2.0, 1.0]
