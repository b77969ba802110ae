"""Columns of a table as tasks read them: names, missing values, numbers, labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from elman.errors import DataError
from elman.features.kinds import holds_number
from elman.io.tables import Table
from elman.validation.messages import few, nearest

if TYPE_CHECKING:
    import polars as pl


def check_names(table: Table, names: Sequence[str]) -> None:
    """Raises ``DataError``, with the nearest name, unless a table has all these columns, each named once."""
    columns, there = table.frame.columns, set(table.frame.columns)
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise DataError("is named twice. Name each column once.", at=table.place(column=twice))
    for name in names:
        if name in there:
            continue
        near, shown = nearest(name, columns), ", ".join(columns[:20]) + ", ..." * (len(columns) > 20)
        header = is_csv(table) and not near and columns[0] != "column_1"
        advice = " If its first line is no header, set --no-header." if header else ""
        raise DataError(f"has no column {name!r}.{near} Its columns: {shown}.{advice}", at=table.place())


def names_in(table: Table, names: str) -> list[str]:
    """The columns that a flag names, separated by commas, by name or by number (the first is 1).

    Raises ``DataError`` for what is no column, and for one that is named twice.
    """
    chosen = [names] if names in table.frame.columns or "," not in names else [n.strip() for n in names.split(",")]
    chosen = [numbered(table, name) for name in chosen]
    check_names(table, chosen)
    return chosen


def numbered(table: Table, name: str) -> str:
    """The name of the column that a name or a number (the first is 1) stands for. A name goes before a number.

    Raises ``DataError`` for a number above that of the last column.

    >>> from pathlib import Path
    >>> from elman.io.tables import parse_table
    >>> numbered(parse_table(b"text,label\\na,b\\n", Path("some.csv"), "csv"), "2")
    'label'
    """
    columns = table.frame.columns
    if not (name.isascii() and name.isdigit() and int(name) > 0):
        return name
    if name in columns:
        return name
    if int(name) > len(columns):
        listed = f"{len(columns)}: {few(columns)}" if len(columns) > 1 else f"1: {columns[0]!r}"
        raise DataError(f"has no column {name}. The number of its columns is {listed}.", at=table.place())
    return columns[int(name) - 1]


def ambiguous(table: Table, name: str) -> str:
    """What to say of a name that could also be the number of another column; empty for others."""
    columns = table.frame.columns
    if name in columns and name.isascii() and name.isdigit() and 0 < int(name) <= len(columns):
        other = columns[int(name) - 1]
        return "" if other == name else f"{name} is the column of this name, not column number {name}, {other!r}."
    return ""


def refuse_gaps(table: Table, column: pl.Series, advice: str) -> None:
    """Raises ``DataError`` naming the line if a column has an empty cell."""
    if column.null_count():
        row = int(column.is_null().arg_true()[0])
        raise DataError(f"is missing. {advice}", at=table.place(row, column.name))


def check_sequences(table: Table, name: str) -> None:
    """Raises ``DataError`` unless the column exists and holds a text or list in every row."""
    import polars as pl

    check_names(table, [name])
    column = table.frame[name]
    if not isinstance(column.dtype, pl.String | pl.List | pl.Array | pl.Null):
        raise DataError(f"holds {column.dtype}, neither texts nor lists.", at=table.place(column=name))
    refuse_gaps(table, column, 'Drop the row, or write "" for an empty text.')


def floats_of(table: Table, name: str) -> list[float | None]:
    """The numbers of a column, parsed if it is of a CSV file. An empty cell is None.

    Raises ``DataError`` naming the line for what is no number.
    """
    import polars as pl

    check_names(table, [name])
    column = table.frame[name]
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64).to_list()
    if column.dtype == pl.Null:
        return [None] * len(column)
    if column.dtype != pl.String:
        raise DataError(f"holds {column.dtype}, not numbers.", at=table.place(column=name))
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & column.is_not_null()).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(f"is {column[row]!r}, where a number was expected.", at=table.place(row, name))
    return numbers.to_list()


def typed(table: Table, names: Sequence[str], kinds: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Some columns of a table; those of a CSV file that hold only numbers as numbers.

    `kinds` overrides this by column: "number" converts, any other kind does not.
    """
    import polars as pl

    check_names(table, names)
    frame = table.frame.select(names)
    for name in names:
        column, kind = frame[name], (kinds or {}).get(name)
        if column.dtype != pl.String or not (kind is None or holds_number(kind)):
            continue
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        if holds_number(kind):
            frame = frame.with_columns(pl.Series(name, floats_of(table, name), dtype=pl.Float64))
        elif numbers.null_count() == column.null_count() < len(column):
            frame = frame.with_columns(numbers.alias(name))
    return frame


def is_csv(table: Table) -> bool:
    """Whether the cells of a table have no types."""
    return table.kind in ("csv", "tsv")


def written(label: Any) -> str:
    """A label as written in CSV.

    >>> written(True), written("a")
    ('true', 'a')
    """
    return label if isinstance(label, str) else json.dumps(label)


def paths_beside(table: Table, name: str) -> pl.Series:
    """Paths relative to the folder of the table; values that are not texts are unchanged."""
    import polars as pl

    column = table.frame[name]
    if column.dtype != pl.String:
        return column
    folder = table.path.parent
    return pl.Series(name, [str(folder / path) for path in column.to_list()], dtype=pl.String)


def labels_of(table: Table, name: str) -> list[Any]:
    """The labels of a column, None where one is missing. Raises ``DataError`` for what cannot be labels."""
    check_names(table, [name])
    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        what = f"holds {column.dtype}. A label is a word or a number."
        raise DataError(what, at=table.place(column=name))
    return column.to_list()


def among(
    labels: list[Any], known: Sequence[Any], table: Table, name: str, model: str, rows: Sequence[int] | None = None
) -> list[Any]:
    """The labels as the known classes; None is unchanged. `rows` are those of the labels, where each has not its own.

    Raises ``DataError`` with the line of a label that is not a known class.
    """
    if is_csv(table):
        place = {written(label): label for label in known}
        labels = [place.get(label, label) if isinstance(label, str) else label for label in labels]
    classes = {(type(label), label) for label in known}
    for row, label in enumerate(labels) if rows is None else zip(rows, labels, strict=True):
        if label is not None and (type(label), label) not in classes:
            shown = ", ".join(map(repr, known[:8])) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
            raise DataError(f"is {label!r}, which {model} never learnt. It knows {shown}.", at=table.place(row, name))
    return labels
