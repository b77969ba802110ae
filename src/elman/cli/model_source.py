"""Tables as the commands read them: the training file of a model and the columns that flags name."""

import hashlib
import os
from pathlib import Path
from typing import Any

from elman.errors import DataError, OptionError
from elman.io.tables import Table, read_table
from elman.tasks.base.table_adapter import TableAdapter, target_names
from elman.tasks.base.table_columns import names_in
from elman.validation.plain_values import printable


def source(task: TableAdapter, model: str, given: str | None, table: Table) -> list[str]:
    """The target columns: those given, or those of training."""
    if not task.target_help:
        return []
    if given is not None:
        return names_in(table, given)
    if not (names := target_names(task.model)):
        raise OptionError(f"{model} was trained on targets without a name. Name their column: --target.")
    return names


def kind_to_print(table: Table) -> str:
    """The format in which such a table is printed."""
    suffixes = {suffix.lower() for suffix in table.path.suffixes[-2:]}
    return "csv" if ".csv" in suffixes else "tsv" if ".tsv" in suffixes else "jsonl"


def relative(file: str, folder: str) -> str:
    """The path relative to a folder, so that the two can move together and no absolute path is saved.

    Bytes of the name that are not valid text become question marks.
    """
    try:
        return printable(os.path.relpath(os.path.realpath(file), os.path.realpath(folder)))
    except ValueError:  # another drive
        return printable(str(Path(file).resolve()))


def sha256(file: str) -> str:
    """The SHA-256 of a file."""
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def training_table(task: Any, model: str, file: str | None, *, header: bool = True) -> Table:
    """The training table of a model: unchanged since, or the file that the caller names."""
    if file is None:
        path, digest = task.data_.get("file"), task.data_.get("file SHA-256")
        if not isinstance(path, str) or not isinstance(digest, str):
            raise OptionError(f"{model} does not record its training file. Name it with --train FILE.")
        file = os.path.relpath(Path(os.path.realpath(model)) / path)
        advice = "The baseline must be trained on the same rows: name the file with --train FILE."
        if not Path(file).is_file():
            raise DataError(f"{file}, the training file of {model}, does not exist. {advice}")
        if sha256(file) != digest:
            raise DataError(f"{file} has changed since {model} was trained on it. {advice}")
    return read_table(file, header=header)
