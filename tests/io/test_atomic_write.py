"""Whatever the package writes is whole or not there: a full disk costs nobody the file of before."""

from __future__ import annotations

import ast
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from elman.errors import DataError, ElmanError
from elman.io import midi
from elman.io import model_folder as store
from elman.io.atomic_write import write_file
from elman.io.tables import read_table, write_answers, write_table

ROOT = Path(__file__).parents[2] / "src" / "elman"
TABLE = pl.DataFrame({"text": ["a good film " * 20] * 9})


def _answers(path: Path) -> None:
    write_answers(read_table(path.parent.parent / "in.conllu"), "upos", [["NOUN"] * 19], path)


#: Everything that writes a file that the caller names.
WRITERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "bytes": ("x.bin", lambda path: write_file(path, bytes(5000))),
    "midi": ("x.mid", lambda path: midi.write_midi(path, [[60, 64, 67], [62]] * 99)),
    "csv": ("x.csv", lambda path: write_table(TABLE, path)),
    "jsonl": ("x.jsonl", lambda path: write_table(TABLE, path)),
    "parquet": ("x.parquet", lambda path: write_table(TABLE, path)),
    "csv.gz": ("x.csv.gz", lambda path: write_table(pl.DataFrame({"a": range(9999)}), path)),
    "conllu": ("x.conllu", _answers),
}


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_file_of_before(name: str, tmp_path: Path) -> None:
    file, write = WRITERS[name]
    lines = [f"{i}\tword" + 8 * "\t_" for i in range(1, 20)]
    (tmp_path / "in.conllu").write_text("\n".join([*lines, "", ""]), "utf-8")
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / file
    path.write_bytes(b"precious")
    there = sorted(path.parent.iterdir())
    with full_disk(30), pytest.raises(DataError, match="cannot be written: File too large"):
        write(path)
    assert path.read_bytes() == b"precious"
    assert sorted(path.parent.iterdir()) == there
    write(path)
    assert path.read_bytes() != b"precious"
    assert sorted(path.parent.iterdir()) == there


def test_a_full_disk_leaves_the_model_of_before(tmp_path: Path) -> None:
    store.save(tmp_path / "model", {"a": 1}, {"x": torch.ones(3)})
    with full_disk(30), pytest.raises(ElmanError):
        store.save(tmp_path / "model", {"a": 2}, {"x": torch.zeros(3)})
    assert store.load(tmp_path / "model")[0] == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_links_modes_and_devices_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_file(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    write_file("/dev/null", b"gone")
    assert not Path("/dev/null").is_file()
    write_file(tmp_path / ("n" * 255), b"a name as long as names may be")


@pytest.mark.parametrize("path", ["", "no/such/folder/file", ".", "a\0b", "n" * 300])
def test_places_that_cannot_be(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="cannot be written"):
        write_file(path, b"x")
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_in_the_package_writes_files() -> None:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            modes = [a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)]
            opens = name == "open" and any(isinstance(mode, str) and set(mode) & set("wxa+") == set(mode) - set("bt")
                                           and set(mode) <= set("wxa+bt") and mode for mode in modes)  # fmt: skip
            if opens or name in ("write_bytes", "write_text", "tofile", "savez", "save_file"):
                found.append(path.relative_to(ROOT).as_posix())
    assert sorted(set(found)) == ["io/atomic_write.py"]
