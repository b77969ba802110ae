"""Tables on a terminal: the history of a training, comparisons of models, classes, confusion."""

import io
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from elman.evaluation import metrics
from elman.evaluation.metrics import ClassScore
from elman.training.history import History


class Page(Console):
    """A console that lets a closed pipe be an error like any other: rich would end the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Raises the BrokenPipeError again."""
        raise  # noqa: PLE0704 (rich calls this while it handles the error)


def show(*tables: Table | str, stderr: bool = False) -> None:
    """Print tables to stdout or stderr, in colour where that is a terminal, and never narrower than their content."""
    stream = sys.stderr if stderr else sys.stdout
    if stream is None:
        return
    console = Page(file=stream, width=None if stream.isatty() else 160)
    for table in tables:
        console.print(Text(table) if isinstance(table, str) else table)


def as_text(*parts: Table | str) -> str:
    """Tables and lines as plain text, without spaces at the ends of lines.

    >>> as_text("accuracy [1]")
    'accuracy [1]'
    """
    console = Console(file=io.StringIO(), width=160)
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def history_table(history: History) -> Table:
    """One row for every epoch; the one whose weights were kept is marked.

    >>> history_table(History()).row_count
    0
    """
    metrics = list(dict.fromkeys(key for record in history for key in record.validation))
    table = _table("epoch", "loss", *(f"validation {spaced(key)}" for key in metrics), "steps/s", "seconds", "")
    for r in history:
        values = [formatted(r.validation.get(key)) for key in metrics]
        kept = "kept" if r.epoch == history.best else ""
        _row(table, r.epoch, formatted(r.loss), *values, f"{r.steps_per_second:,.0f}", f"{r.seconds:.1f}", kept)
    return table


def comparison_table(models: Mapping[str, Mapping[str, float | str]], title: str = "") -> Table:
    """A row for each model and a column for each thing measured; what was not measured is a dash.

    >>> comparison_table({"lstm": {"accuracy": 0.91, "seconds": 60.0}, "TF-IDF": {"accuracy": 0.9}}).row_count
    2
    """
    columns = list(dict.fromkeys(key for values in models.values() for key in values))
    table = _table("", *map(spaced, columns), title=title)
    for name, values in models.items():
        _row(table, name, *(formatted(values.get(key)) for key in columns))
    return table


def listing(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of these columns and rows, as they are.

    >>> listing(["step", "attribution"], [(0, "+0.1")]).row_count
    1
    """
    table = _table(*columns)
    for row in rows:
        _row(table, *row)
    return table


def class_table(
    scores: Sequence[ClassScore],
    first: str = "class",
    counted: str = "sequences",
    more: Mapping[str, Sequence[float]] | None = None,
) -> Table:
    """Precision, recall and F1 of each class, as metrics.per_class gives them; `more` are further columns."""
    columns = more or {}
    table = _table(first, "precision", "recall", "F1", *columns, counted)
    for i, score in enumerate(scores):
        further = (formatted(values[i]) for values in columns.values())
        _row(table, score.label, *map(formatted, score[1:4]), *further, f"{score.sequences:,}")
    return table


def confusion_table(labels: Sequence[Any], table: Any, most: int = 12) -> Table:
    """How many sequences of each true class (rows) got which answer (columns), as metrics.confusion gives them.

    Of more than `most` classes the largest are shown; the others share a row and a column.
    """
    given = np.asarray(table, dtype=np.int64)
    names, place = metrics.largest_classes(labels, given.sum(1), most)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (place[:, None], place[None, :]), given)
    result = _table("true \\ answered", *names)
    for i, name in enumerate(names):
        result.add_row(_text(name), *(Text(f"{n:,}", "bold" if i == j else "") for j, n in enumerate(counts[i])))
    return result


def _table(first: str, *others: str, title: str = "") -> Table:
    table = Table(title=_text(title) if title else None, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    table.add_column(_text(first), justify="left")
    for name in others:
        table.add_column(_text(name), justify="right", overflow="fold")
    return table


def _row(table: Table, *cells: object) -> None:
    table.add_row(*map(_text, cells))


def _text(value: object) -> Text:
    """Any text as itself: a class may be named "[red]", or hold what would move a terminal's cursor."""
    return Text("".join(c if c.isprintable() else " " for c in str(value)))


def spaced(name: str) -> str:
    """A name in words.

    >>> spaced("mean_squared_error")
    'mean squared error'
    """
    return name.replace("_", " ")


def number(value: float) -> float | None:
    """A number that JSON can represent: None for NaN.

    >>> number(0.5), number(math.nan)
    (0.5, None)
    """
    return None if math.isnan(value) else value


def formatted(value: object) -> str:
    """A number for people; a dash where there is none.

    >>> formatted(0.5), formatted(12345), formatted(None)
    ('0.5000', '12,345', '—')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "—"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
