"""`elman update` and `elman plot`: newer values for a forecaster, and the picture of its forecast."""

import os
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.console import print_json
from elman.cli.forecast_flags import FutureFlags, hand_over, state_adapter
from elman.cli.parameters import File, Format, Json, Model, NoHeader, check_picture, refuse_inside_model
from elman.io.atomic_write import write_file


def update(
    model: Model,
    file: File,
    /,
    *,
    out: Annotated[str | None, Parameter(help="save the model to this folder; default: where it is")] = None,
    format: Format = None,
    no_header: NoHeader = False,
    json: Json = False,
) -> None:
    """Append newer values to the series that a forecaster knows, and save it, without training.

    Rows up to the end of what is known of a series are skipped, so the file may hold the whole series.
    """
    from elman.cli.model_source import relative
    from elman.io import model_folder as store
    from elman.io.tables import read_table
    from elman.tasks import load, table_of

    target = model if out is None else out
    refuse_inside_model(target)
    store.check_replaceable(Path(os.path.realpath(target)))
    task = load(model)
    adapter = state_adapter(table_of(task), model, "Fit it anew on all rows: elman fit")
    fields, words = adapter.update_table(read_table(file, header=not no_header, format=format))
    if isinstance(source := task.data_.get("file"), str):
        task.data_["file"] = relative(str(Path(os.path.realpath(model)) / source), target)
    task.save(target)
    if json:
        print_json({"model": target, "file": file, **fields})
    else:
        print(f"{words}\nsaved in {target}\nnext: elman predict {shlex.quote(target)}")


def plot(
    model: Model,
    file: Annotated[
        str | None, Parameter(help="a table of the true values of the steps to come, drawn beside the forecast")
    ] = None,
    /,
    *,
    out: Annotated[str, Parameter(help="write the picture to this PNG")],
    series: Annotated[
        str | None, Parameter(help="the series to draw, with commas between them; default: the first six")
    ] = None,
    flags: Annotated[FutureFlags | None, Parameter(name="*")] = None,
    format: Format = None,
    no_header: NoHeader = False,
    json: Json = False,
) -> None:
    """Draw the end of each series, the forecast with all its intervals, and the true values of FILE."""
    from elman.io.tables import read_table
    from elman.tasks import load, table_of

    check_picture("--out", out)
    adapter = table_of(load(model))
    drawing = state_adapter(adapter, model, "elman score --picture draws the scores of a classifier.")
    hand_over(flags, adapter, model, header=not no_header)
    table = None if file is None else read_table(file, header=not no_header, format=format)
    names = [] if series is None else [name.strip() for name in series.split(",")]
    if (drawn := drawing.plot_table(table, names)) is None:
        return
    write_file(out, drawn)
    if json:
        print_json({"model": model, "file": file, "picture": out})
    else:
        print(f"plotted to {out}")
