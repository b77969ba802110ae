"""Tables as the commands read them: which file a model learnt from, which columns a flag names."""

import hashlib
import os
from pathlib import Path
from typing import Any

from elman.errors import DataError, OptionError
from elman.io.tables import Table, read_table
from elman.tasks.base.table_adapter import TableAdapter, target_names
from elman.tasks.base.table_columns import names_in
from elman.validation.plain_values import printable

__all__ = ["kind_to_print", "read", "relative", "sha256", "source", "training_table"]


def read(file: str, *, header: bool = True) -> Table:
    """A table from a file; without a `header` its columns are column_1, column_2 ..."""
    return read_table(file, header=header)


def source(task: TableAdapter, model: str, given: str | None, table: Table) -> list[str]:
    """The columns with what is to be found: those that are given, or those that training read."""
    if not task.target_help:
        return []
    if given is not None:
        return names_in(table, given)
    if not (names := target_names(task.model)):
        raise OptionError(f"{model} learnt from answers without a name. Name their column: --target.")
    return names


def kind_to_print(table: Table) -> str:
    """What a table like this one is printed as."""
    suffixes = {suffix.lower() for suffix in table.path.suffixes[-2:]}
    return "csv" if ".csv" in suffixes else "tsv" if ".tsv" in suffixes else "jsonl"


def relative(file: str, folder: str) -> str:
    """A file as seen from a folder, so that the two can move together and a model tells nothing of who made it.

    What is no text in its name, which a saved model has no place for, is a question mark.
    """
    try:
        return printable(os.path.relpath(os.path.realpath(file), os.path.realpath(folder)))
    except ValueError:  # another drive
        return printable(str(Path(file).resolve()))


def sha256(file: str) -> str:
    """What a file holds, as a hash."""
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def training_table(task: Any, model: str, file: str | None, *, header: bool = True) -> Table:
    """The file the model learnt from: as it was then, or the one the caller names."""
    if file is None:
        path, digest = task.data_.get("file"), task.data_.get("file SHA-256")
        if not isinstance(path, str) or not isinstance(digest, str):
            raise OptionError(f"{model} does not say which file it learnt from. Name it with --train FILE.")
        file = os.path.relpath(Path(os.path.realpath(model)) / path)
        advice = "The simple rival must learn from the same rows: name them with --train FILE."
        if not Path(file).is_file():
            raise DataError(f"{file}, which {model} learnt from, is not there any more. {advice}")
        if sha256(file) != digest:
            raise DataError(f"{file} was changed since {model} learnt from it. {advice}")
    return read(file, header=header)
