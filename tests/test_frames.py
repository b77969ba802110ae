"""Long frames: what is read from strange ones, and what is said of those that cannot be."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError
from elman.frames import Columns, read

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


