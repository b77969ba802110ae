"""Hints about columns of a training table that are probably not what they are read as."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elman.cli.console import note
from elman.features.references import are_sound_names
from elman.features.registry import FEATURES
from elman.io.tables import Table
from elman.tasks.base.table_adapter import TableAdapter

_SAMPLE = 20  # rows that are looked at
_LIST = re.compile(r"\s*\[.*\]\s*", re.DOTALL)
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


def say_misread(adapter: TableAdapter, table: Table, target: Sequence[str]) -> None:
    """Notes input columns whose texts name files, or look like lists, and would be read as words."""
    chosen = getattr(adapter.model, "input", None) or [name for name in table.frame.columns if name not in target]
    feature = FEATURES.get(getattr(adapter.model, "feature", ""))
    auto = hasattr(adapter.model, "feature") and (feature is None or feature.is_symbolic)
    for name in [chosen] if isinstance(chosen, str) else chosen if auto else ():
        if name in table.frame.columns and (hint := misread(table, name)):
            note(f"elman: {hint}")


def misread(table: Table, name: str) -> str:
    r"""The hint about a column; empty where there is none.

    >>> from pathlib import Path
    >>> from elman.io.tables import parse_table
    >>> misread(parse_table(b'x\n"[1,2]"\n"[3]"\n', Path("some.csv"), "csv"), "x")
    "the cells of 'x' look like lists but are read as text: a CSV holds no lists. Write them to a .jsonl file."
    """
    cells: list[Any] = [cell for cell in table.frame[name][:_SAMPLE].to_list() if cell]
    if not cells or not all(isinstance(cell, str) for cell in cells):
        return ""
    if all(_LIST.fullmatch(cell) for cell in cells):
        form = table.kind.upper() if table.kind in ("csv", "tsv") else "text column"
        what = f"the cells of {name!r} look like lists but are read as text"
        return f"{what}: a {form} holds no lists. Write them to a .jsonl file."
    if are_sound_names(cells):  # read as sound by themselves
        return ""
    if all(len(cell) < 256 and "\n" not in cell and _is_file(table.path.parent / cell) for cell in cells):
        if all(cell.lower().endswith(_PICTURES) for cell in cells):
            what = "Pictures are read from arrays: see docs/features/images.md."
        else:
            what = "--feature sound reads sound files."
        return f"the cells of {name!r} name files that exist, but the names are read, not the files. {what}"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than a name may be
        return False
