"""The lines of a fit; what each task prints is in laws/test_printed.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from elman.tasks.base.fit_notes import FitNotes


def test_many_columns_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    task = SimpleNamespace(described=lambda: {f"input {i}": "a number" for i in range(30)})
    FitNotes(verbose=True).data(task, torch.tensor([3, 4, 9]), 0, "2 classes")
    line = capsys.readouterr().err
    assert "3 sequences for training, no validation set; 3 to 9 steps each, median 4; input 0: a number; " in line
    assert "input 5: a number; …: 30 in all; 2 classes\n" in line
    assert "input 6" not in line


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    notes = FitNotes(verbose=False)
    notes.data(None, torch.tensor([3]), 0)
    notes.network(torch.nn.Linear(1, 1), 3)
    notes.stage("something long")
    assert capsys.readouterr() == ("", "")
