"""Parameters that several commands take."""

import functools
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.errors import OptionError

File = Annotated[
    str,
    Parameter(
        help="a table: .csv .tsv .jsonl .conllu .conll .fasta .fastq .txt (also .gz .xz) or .parquet; - for standard "
        "input, with --format",
        show_default=False,
    ),
]
Format = Annotated[
    str | None,
    Parameter(
        name="--format",
        help="the format of FILE, where its suffix does not tell: csv, tsv, jsonl, parquet, conllu, conll, txt; "
        "csv.gz and so on",
    ),
]
Model = Annotated[str, Parameter(help="the folder of a model")]
#: Of a switch without a --no- form.
switch = functools.partial(Parameter, negative="", show_default=False)
Json = Annotated[bool, switch(name="--json", help="print JSON for machines instead of text for people")]
Input = Annotated[
    str | None,
    Parameter(
        help="the column to read, or several with commas between them, by name or number; default: as in training"
    ),
]
NoHeader = Annotated[
    bool,
    switch(
        name="--no-header",
        help="the first line of a .csv or .tsv is no header: its columns are column_1, column_2 ...",
    ),
]
Target = Annotated[
    str | None, Parameter(help="the column with the true labels, by name or number; default: as in training")
]


def refuse_inside_model(out: str) -> None:
    """Refuses a path within a model folder, where any extra file would make the model unusable."""
    from elman.io.model_folder import is_model

    for folder in Path(os.path.realpath(out)).parents:
        if is_model(folder):
            raise OptionError(f"{out} lies within the model {folder}. Choose a place outside it.")


def check_picture(flag: str, file: str | None) -> None:
    """Refuses, before any work, a file that no picture can be written to."""
    if file is None:
        return
    if not file.lower().endswith(".png"):
        raise OptionError(f"{flag} {file} is drawn as a PNG. Call it {Path(file).with_suffix('.png')}.")
    folder = Path(file).resolve().parent
    if not folder.is_dir():
        raise OptionError(f"{flag} {file}: there is no folder {folder}. Make it first.")
    refuse_inside_model(file)
