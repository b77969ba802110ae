"""`elman inspect`: gradient flow through time of a saved model, on the sequences of a file."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.console import print_json
from elman.cli.flags import Whole
from elman.cli.parameters import Format, Input, Json, Model, NoHeader, check_picture
from elman.errors import OptionError
from elman.io.atomic_write import write_file


def inspect(
    model: Model,
    /,
    *,
    data: Annotated[str, Parameter(help="a table: .csv .tsv .jsonl (also .gz .xz) or .parquet; - for standard input")],
    target: Annotated[
        str | None, Parameter(help="the column with the true answers, or several; default: as in training")
    ] = None,
    input: Input = None,
    format: Format = None,
    no_header: NoHeader = False,
    sequences: Annotated[Whole, Parameter(help="number of sequences to analyse, evenly spaced")] = 100,
    out: Annotated[str | None, Parameter(help="plot the gradient and the gates to this PNG")] = None,
    beside: Annotated[str | None, Parameter(help="another model, whose gradient is plotted on the same axes")] = None,
    json: Json = False,
) -> None:
    """Where the gradient vanishes or explodes, how far back the model remembers, and what to change.

    Without the target column the model's own answers count as true.
    """
    from elman.evaluation import tables as report
    from elman.io.tables import read_table

    check_picture("--out", out)
    if beside is not None and out is None:
        raise OptionError("--beside draws a second model, but --out names no picture. Add --out gradient.png.")
    table = read_table(data, header=not no_header, format=format)
    found = _diagnosed(model, table, target, input, sequences)
    picture = None
    if out is not None:
        others = {} if beside is None else {_name(beside): _diagnosed(beside, table, target, input, sequences)}
        picture = found.picture(_name(model), others)
        if picture is not None:
            write_file(out, picture)
    if json:
        print_json({"model": model, "file": data, **found.to_json()})
        return
    report.show(*found.tables(), str(found))
    if sys.stdout is not None and picture is not None:
        print(f"plotted to {out}")


def _diagnosed(model: str, table: Any, target: str | None, input: str | None, sequences: int) -> Any:
    """The diagnosis of a model on a table, with its true answers where the table has them."""
    from elman.tasks import load, table_of
    from elman.tasks.base.table_adapter import target_names
    from elman.tasks.base.table_columns import names_in

    task = load(model)
    names = target_names(task) if target is None else names_in(table, target)
    truth = names if set(names) <= set(table.frame.columns) else []
    with table.located():
        return task.diagnose(*table_of(task).diagnosis_data(table, truth, model, input), sequences=sequences)


def _name(model: str) -> str:
    return Path(model).resolve().name
