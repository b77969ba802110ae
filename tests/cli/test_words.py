"""Refusals on the command line name flags, not Python's arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from elman.cli.main import main

FIT = ["fit", "forecast"]
QUICK = ["--horizon", "2", "--epochs", "1", "--hidden", "4"]
TABLES: dict[str, tuple[str, str]] = {
    "out of order": ("unique_id,ds,y\na,2,1\na,1,2\na,3,1\n", "Sort it, or set --sort."),
    "another name": ("unique_id,when,y\na,1,1\na,2,2\n", "The names are options: --id ..., --time ..., --target ..."),
    "off the grid": ("unique_id,ds,y\na,0,1\na,5,2\na,10,1\na,11,1\n", "or give --freq ..."),
    "one row": ("unique_id,ds,y\na,1,1\n", "give --freq ..."),
}


@pytest.mark.parametrize("kind", TABLES)
def test_series(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, said = TABLES[kind]
    file = tmp_path / "t.csv"
    file.write_text(text)
    assert main([*FIT, str(file), "--out", str(tmp_path / "m"), *QUICK]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert said.lower() in shown.lower()
    assert "=True" not in shown
    assert "=..." not in shown


def test_minutes_or_months(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "t.csv"
    file.write_text("unique_id,ds,y\na,2024-01-01,1\n")
    assert main([*FIT, str(file), "--out", str(tmp_path / "m"), "--freq", "15m", *QUICK]) == 2
    assert "Write '15min' or '15mo'" in capsys.readouterr().err


def test_a_table_without_the_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "t.csv"
    file.write_text("x,y\nu,1\nv,2\n")
    assert main(["fit", "classify", str(file), "--target", "label", "--out", str(tmp_path / "m")]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "If its first line is no header, set --no-header." in shown
    assert "header=False" not in shown
