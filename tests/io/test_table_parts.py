"""Parts of tables: whatever their size, their rows and lines are those of the whole file."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.errors import DataError
from elman.io import table_parts
from elman.io.table_parts import read_parts, writing_parts
from elman.io.tables import read_table, table_kind


def written(frames: list[pl.DataFrame], path: Path) -> None:
    with writing_parts(path) as write:
        for frame in frames:
            write(frame)


TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "some.csv": ("text,label\n" + "".join(f"word {i},{i % 3}\n" for i in range(40)), {}),
    "bare.csv": ("".join(f"word {i},{i % 3}\n" for i in range(40)), {"header": False}),
    "quoted.csv": ('"te\nxt",label\n' + "".join(f'"a, ""{i}""\nb",{i}\n' for i in range(30)), {}),
    "inches.csv": ("text,label\n" + "".join(f'{i} 5" wide,{i}\n' if i == 20 else f"w{i},{i}\n" for i in range(40)), {}),
    "windows.csv": ("\ufefftext,label\r\n" + "".join(f"word {i},{i}\r\n\r\n" for i in range(40)), {}),
    "old.csv": ("text,label\r" + "".join(f"word {i},{i}\r" for i in range(40)), {}),
    "some.tsv": ("text\tlabel\n" + "".join(f"{i}\t{i}\n" if i < 20 else f'"a{i}"\t{i}\n' for i in range(40)), {}),
    "some.jsonl": ("\n" + "".join(f'{{"text": ["{i}", "b"], "n": {i}}}\n' for i in range(40)), {}),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size", [1, 7, 64, 300, 1 << 20])
def test_parts_are_the_whole(name: str, size: int, tmp_path: Path) -> None:
    text, options = TABLES[name]
    path = tmp_path / name
    path.write_bytes(text.encode())
    whole = read_table(path, **options)
    parts = list(read_parts(path, size=size, **options))
    assert pl.concat(part.frame for part in parts).equals(whole.frame)
    assert whole.lines is not None
    assert np.concatenate([part.lines for part in parts if part.lines is not None]).tolist() == whole.lines.tolist()
    if size == 300 and name in ("some.csv", "bare.csv", "quoted.csv", "windows.csv", "some.jsonl"):
        assert len(parts) > 1


@pytest.mark.parametrize("name", ["some.csv", "bare.csv", "quoted.csv", "some.jsonl"])
def test_errors_are_those_of_the_whole(name: str, tmp_path: Path) -> None:
    text, options = TABLES[name]
    path = tmp_path / name
    path.write_text(text + ('{"text": 3, "n": 1}\n' if name.endswith("jsonl") else "1,2,3\n"), encoding="utf-8")
    with pytest.raises(DataError) as whole:
        read_table(path, **options)
    with pytest.raises(DataError) as parted:
        list(read_parts(path, size=100, **options))
    assert str(parted.value) == str(whole.value)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files(pack: Any, tmp_path: Path) -> None:
    path = tmp_path / ("some.csv.gz" if pack is gzip.compress else "some.csv.xz")
    path.write_bytes(pack(TABLES["some.csv"][0].encode()))
    parts = list(read_parts(path, size=100))
    assert len(parts) > 1
    assert pl.concat(part.frame for part in parts).equals(read_table(path).frame)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"^some\.csv\.[gx]z cannot be read, or is cut short"):
        list(read_parts(path, size=1 << 20))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TABLES["some.csv"][0].encode())))
    parts = list(read_parts("-", format="csv", size=100))
    assert sum(part.frame.height for part in parts) == 40
    assert str(parts[-1].place(0)).endswith("of standard input")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.jsonl.xz", "a.parquet"])
def test_written_parts_are_one_table(name: str, tmp_path: Path) -> None:
    with writing_parts(tmp_path / name) as write:
        for i in range(3):
            write(pl.DataFrame({"text": [f"a{i}", "b"], "n": [i, i]}))
            assert not (tmp_path / name).exists()
    frame = read_table(tmp_path / name).frame
    assert frame["text"].to_list() == ["a0", "b", "a1", "b", "a2", "b"]


def test_a_table_cut_short_replaces_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(DataError, match="no place for the column 'a'"):
        written([pl.DataFrame({"b": [1]}), pl.DataFrame({"a": [[1]]})], tmp_path / "a.csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_formats(tmp_path: Path) -> None:
    assert table_parts.PART >= 1 << 20
    (tmp_path / "data").write_text("a,b\n1,2\n")
    assert read_table(tmp_path / "data", format="csv").frame.columns == ["a", "b"]
    with pytest.raises(DataError, match=r"the suffix \(none\) is no table .* Name its format: format='csv'"):
        read_table(tmp_path / "data")
    with pytest.raises(ValueError, match=r"'cvs' is no format .* Did you mean 'csv'\?"):
        table_kind("data", "cvs")
    with pytest.raises(ValueError, match="standard input has no suffix"):
        read_table("-")
