"""The command line in tests: a small table of reviews, and commands that must answer or be refused."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from elman.cli.main import main

TINY = ["--hidden", "4", "--embed", "4", "--epochs", "1", "--no-verbose"]
GOOD, BAD = ["good", "great", "fine", "lovely"], ["bad", "poor", "awful", "dull"]
ROWS = [(f"{words[i % 4]} film {i % 7}", label) for i in range(60) for words, label in ((GOOD, "pos"), (BAD, "neg"))]


def write(path: Path, rows: list[tuple[str, str]], header: str = "review,label") -> Path:
    path.write_text("\n".join([header, *(f"{a},{b}" for a, b in rows)]) + "\n", "utf-8")
    return path


def refused(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 2) -> str:
    """The line on stderr of a command that must be refused, without its beginning."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    progress = re.compile(r"elman: .* for training, .*|elman: (fitting|training) .*|epoch .*")
    err = "".join(line for line in err.splitlines(keepends=True) if not progress.fullmatch(line.rstrip()))
    assert err.count("\n") == 1, err
    assert err.startswith("elman: "), err
    return err.removeprefix("elman: ").removeprefix("error: ").rstrip("\n")


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def typed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
