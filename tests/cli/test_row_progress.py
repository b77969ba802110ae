"""`elman predict` says how many rows are done, on stderr."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from elman.cli import row_progress
from elman.cli.row_progress import counted


def test_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    parts: list[Any] = [SimpleNamespace(frame=SimpleNamespace(height=1000)) for _ in range(3)]
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr(row_progress.time, "monotonic", lambda: next(now))
    assert list(counted(parts, quiet=False)) == parts
    assert capsys.readouterr().err == "elman: 2,000 rows answered\n"
    assert list(counted(parts, quiet=True)) == parts
    assert capsys.readouterr().err == ""
