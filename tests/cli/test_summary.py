"""`elman summary` prints what `summary()` holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elman.cli.main import main
from elman.tasks import load
from table import fitted


def test_as_in_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted("classify").save(tmp_path / "m")
    found = load(tmp_path / "m").summary()
    assert main(["summary", str(tmp_path / "m")]) == 0
    assert capsys.readouterr().out == f"{found}\n"
    assert main(["summary", str(tmp_path / "m"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == found.parameters
    assert main(["summary", str(tmp_path / "none")]) == 2
