"""Columns that are probably not what they are read as."""

from __future__ import annotations

from pathlib import Path

import pytest

from elman.cli.column_hints import misread, say_misread
from elman.io.tables import read_table
from elman.tasks import Classifier
from elman.tasks.classify.table import ClassifyTable


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        (
            ["a.dat", "b.dat"],
            "the cells of 'x' name files that exist, but the names are read, not the files. --feature",
        ),
        (["a.png", "a.png"], "the cells of 'x' name files that exist, but the names are read, not the files. Pictures"),
        (['"[1,2]"', '"[3]"'], "the cells of 'x' look like lists but are read as text: a CSV holds no lists."),
        (["a.dat", "a film"], ""),
        (["a good film", "[sic] bad"], ""),
        (["1", "2"], ""),
    ],
)
def test_hints(tmp_path: Path, cells: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.dat", "b.dat", "a.png"):
        (tmp_path / name).touch()
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,label", *(f"{cell},{i}" for i, cell in enumerate(cells))]) + "\n", "utf-8")
    found = misread(read_table(path), "x")
    assert found.startswith(hint)
    assert bool(found) is bool(hint)
    say_misread(ClassifyTable(Classifier()), read_table(path), ["label"])
    assert capsys.readouterr().err == (f"elman: {found}\n" if hint else "")
