"""Tables as the commands read them: the training file of a model and the columns that flags name."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elman.cli.console import note
from elman.errors import DataError, OptionError
from elman.io.tables import Table, read_table
from elman.tasks.base.table_adapter import TableAdapter, target_names
from elman.tasks.base.table_columns import ambiguous, names_in
from elman.validation.plain_values import printable


def say_ambiguous(table: Table, *flags: str | Sequence[str] | None) -> None:
    """Notes which columns flags mean where a name is a number too."""
    for flag in flags:
        names = [] if flag is None else [flag, *flag.split(",")] if isinstance(flag, str) else flag
        for what in dict.fromkeys(ambiguous(table, name.strip()) for name in names):
            if what:
                note(f"elman: {what}")


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
    return table.kind if table.kind in ("csv", "tsv") else "jsonl"


def relative(file: str, folder: str) -> str:
    """The path relative to a folder, so that the two can move together and no absolute path is saved.

    Bytes of the name that are not valid text become question marks.
    """
    try:
        return printable(os.path.relpath(os.path.realpath(file), os.path.realpath(folder)))
    except ValueError:  # another drive
        return printable(str(Path(file).resolve()))


def file_source(file: str, out: str) -> dict[str, str]:
    """Where a model learnt from, as saved in the folder `out`; nothing of a stream, which cannot be read again."""
    if not Path(file).is_file():
        return {}
    return {"file": relative(file, out), "file SHA-256": sha256(file)}


def sha256(file: str) -> str:
    """The SHA-256 of a file."""
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def training_table(task: Any, model: str, file: str | None, *, header: bool = True, format: str | None = None) -> Table:
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
    return read_table(file, header=header, format=format)
