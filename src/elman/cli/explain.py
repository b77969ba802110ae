"""`elman explain` and `elman align`: the steps that made an answer, the words that a translation attends to."""

import dataclasses
import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from elman.cli.console import note, one_line, print_json
from elman.cli.flags import WholeOrNone
from elman.cli.forecast_flags import ExplainFlags, hand_over
from elman.cli.parameters import Format, Input, Json, Model, NoHeader, check_picture
from elman.errors import OptionError
from elman.io.atomic_write import write_file

if TYPE_CHECKING:
    from elman.interpret.attribution import Saliency
    from elman.io.tables import Table
    from elman.tasks.base.table_adapter import TableAdapter

MOST = 10  # rows that are explained without --row, and steps that are printed of each

File = Annotated[str | None, Parameter(help="a table; or give --text")]
Row = Annotated[WholeOrNone, Parameter(help="explain this row alone, the first is 1; default: the first 10")]
Text = Annotated[str | None, Parameter(help="in place of FILE: a text, or a JSON list of tokens or numbers")]
Answer = Annotated[
    str | None,
    Parameter(
        help="explain this and not the model's answer: classifiers: a class; taggers: the label of this step, from 0; "
        "models of several targets: the name of one; forecasters: a series"
    ),
]
Out = Annotated[str | None, Parameter(help="draw it to this PNG; with FILE and without --row: the first row")]


def explain(
    model: Model,
    file: File = None,
    /,
    *,
    row: Row = None,
    text: Text = None,
    answer: Answer = None,
    input: Input = None,
    out: Out = None,
    flags: Annotated[ExplainFlags | None, Parameter(name="*")] = None,
    format: Format = None,
    no_header: NoHeader = False,
    json: Json = False,
) -> None:
    """Print which steps of a sequence speak for and against the model's answer (integrated gradients).

    The attributions of all steps add up to the difference between the score and that of a sequence that says nothing.
    """
    from elman.io.tables import read_table
    from elman.tasks import load, table_of

    check_picture("--out", out)
    if (file is None) == (text is None):
        raise OptionError("elman explain needs a FILE or --text, one of the two.")
    if row is not None and text is not None:
        raise OptionError("--row counts the rows of a FILE. Leave it out.")
    adapter = table_of(load(model))
    hand_over(flags, adapter, model, header=not no_header)
    if not adapter.explains_rows and (row is not None or file is None):
        raise OptionError(f"{model} forecasts series, not rows. Give a FILE with their values, and no --row.")
    if file is None:
        table = _table_of_text(adapter, str(text))
    else:
        table = read_table(file, header=not no_header, format=format)
        table = _rows(table, row) if adapter.explains_rows else table
    places, found = adapter.explain_table(table, input, answer, model)
    places = ["--text"] if file is None else places
    if out is not None and len(found) and (picture := found[0].picture()) is not None:
        write_file(out, picture)
    for place, one in zip(places, found, strict=True):
        if json:
            print_json({"place": place, **_fields(one)})
        else:
            _show(place, one)
    if out is not None and not json and Path(out).exists():
        print(f"drawn to {out}")


def _rows(table: "Table", row: int | None) -> "Table":
    """The rows to explain: the one asked for, or the first ones."""
    height = table.frame.height
    if row is None:
        if height > MOST:
            note(f"elman: the first {MOST} of {height:,} rows are explained. --row N explains another.")
        return dataclasses.replace(table, frame=table.frame[:MOST])
    if not 1 <= row <= height:
        raise OptionError(f"--row {row} must be a number from 1 to {height}, the last row of {table.path.name}")
    lines = None if table.lines is None else table.lines[row - 1 : row]
    return dataclasses.replace(table, frame=table.frame[row - 1 : row], lines=lines)


def _table_of_text(adapter: "TableAdapter", text: str) -> "Table":
    """A table of one row with the text in the column that the model reads."""
    import polars as pl

    from elman.io.tables import Table

    names = adapter.columns_read() or ["text"]
    if len(names) > 1:
        raise OptionError(f"the model reads the columns {', '.join(names)}. Give a FILE with them, not --text.")
    value: Any = text
    if text.startswith("["):
        try:
            value = json_.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"--text {text[:40]!r} is no JSON list. {error}") from None
    return Table(pl.DataFrame({names[0]: [value]}, strict=False), Path("--text"), None, "jsonl")


def _fields(one: "Saliency") -> dict[str, Any]:
    steps = [
        {"step": t, **({} if one.symbols is None else {"symbol": one.symbols[t]}), "attribution": value}
        for t, value in enumerate(one.steps.tolist())
    ]
    columns = {name: float(column.steps.sum()) for name, column in one.columns.items()}
    whole = {"answer": one.answer, "score": one.score, "score_of_nothing": one.nothing}
    return {**whole, **({"columns": columns} if columns else {}), "steps": steps}


def _show(place: str, one: "Saliency") -> None:
    """The score, what each column adds, and the steps that add most with the words that stand there."""
    from elman.evaluation import tables as report

    whole = f"{one.score:+.3f} = {one.nothing:+.3f} of a sequence that says nothing {one.steps.sum():+.3f} of the steps"
    print(one_line(f"{place}: {one.answer}   score {whole}"))
    if one.columns:
        columns = [(name, f"{column.steps.sum():+.3f}") for name, column in one.columns.items()]
        report.show(report.listing(["column", "attribution"], columns))
    strongest = sorted(range(len(one.steps)), key=lambda t: -abs(one.steps[t]))[:MOST]
    symbols = [] if one.symbols is None else ["symbol"]
    rows = [
        (t, *([one.symbols[t]] if one.symbols is not None else []), f"{one.steps[t]:+.3f}") for t in sorted(strongest)
    ]
    more = "" if len(rows) == len(one.steps) else f", the {len(rows)} strongest of {len(one.steps):,}"
    report.show(report.listing([f"step{more}", *symbols, "attribution"], rows))


def align(
    model: Model,
    source: Annotated[str, Parameter(help="a text to translate")],
    target: Annotated[str | None, Parameter(help="its translation; default: the model's")] = None,
    /,
    *,
    out: Annotated[str | None, Parameter(help="draw the weights to this PNG")] = None,
    json: Json = False,
) -> None:
    """Print to which symbol of the source each symbol of a translation attends most."""
    from elman.tasks import load

    check_picture("--out", out)
    task = load(model)
    if not hasattr(task, "align"):
        what = f"{model} is a model for the task {task.task!r}, which aligns nothing"
        raise OptionError(f"{what}. Fit one: elman fit translate. elman explain shows what other models attend to.")
    found = task.align(source, target)
    if out is not None and (picture := found.picture(source)) is not None:
        write_file(out, picture)
    if json:
        print_json({"source": found.source, "target": found.target, "weights": found.weights.tolist()})
        return
    for line in str(found).splitlines():
        print(one_line(line))
    if out is not None and Path(out).exists():
        print(f"drawn to {out}")
