"""A small table, and a model of it, for commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands import ROWS, TINY, write
from elman.cli.main import main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, test.csv and a model."""
    place = tmp_path_factory.mktemp("made")
    write(place / "train.csv", ROWS)
    write(place / "test.csv", ROWS[:10])
    names = ["--input", "review", "--target", "label", "--out", str(place / "model")]
    assert main(["fit", "classify", str(place / "train.csv"), *names, *TINY]) == 0
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """The current folder, with a copy of all that."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return tmp_path
