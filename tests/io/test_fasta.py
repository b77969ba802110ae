"""FASTA and FASTQ as tables, and what is malformed."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from elman.cli.main import main
from elman.errors import DataError
from elman.io.tables import read_table

FASTA = ">sp|P53 tumour  protein\r\nMEEP\r\nQSD P*\r\n\r\n;comment\n>empty\n>b\nacgtN-\n"
FASTQ = "@r1 lane 2\nACGT\n+r1 lane 2\n@IF!\n\n@r2\nAC\nGT\n+\nII\nII\n@none\n\n+\n\n@last\nA\n+\n~"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["x.fasta", "x.fa", "x.FNA", "x.faa.gz", "x.fas", "x.ffn"])
def test_fasta(tmp_path: Path, name: str) -> None:
    table = read_table(written(tmp_path, name, FASTA))
    assert table.frame.rows(named=True) == [
        {"id": "sp|P53", "description": "tumour  protein", "sequence": "MEEPQSDP*"},
        {"id": "empty", "description": "", "sequence": ""},
        {"id": "b", "description": "", "sequence": "acgtN-"},
    ]
    assert [table.line(row) for row in range(3)] == [1, 6, 7]


@pytest.mark.parametrize("name", ["x.fastq", "x.fq.gz"])
def test_fastq(tmp_path: Path, name: str) -> None:
    table = read_table(written(tmp_path, name, FASTQ))
    assert table.frame.rows() == [
        ("r1", "lane 2", "ACGT", "@IF!"),
        ("r2", "", "ACGT", "IIII"),
        ("none", "", "", ""),
        ("last", "", "A", "~"),
    ]
    assert [table.line(row) for row in range(4)] == [1, 6, 12, 16]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.fa", "ACGT\n>a\nAC\n", "line 1 of x.fa: 'ACGT' stands before any line with > and a name"),
        ("x.fa", ";only a comment\n", "x.fa holds no sequences"),
        ("x.fq", "@a\nACGT\n+\nIII\n", "line 1 of x.fq: 4 letters and 3 qualities"),
        ("x.fq", "@a\nACGT\n+\nIIIII\n", "line 1 of x.fq: 4 letters and 5 qualities"),
        ("x.fq", "@b\nA\n+\nI\n@a\nACGT\n", r"line 5 of x.fq: the record has no line with \+. Is the file cut short"),
        ("x.fq", ">a\nACGT\n", "line 1 of x.fq: '>a' stands where a record begins, which is @ and a name"),
        ("x.fq", "\n\n", "x.fq is empty"),
    ],
)
def test_what_is_malformed(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, name, text))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f">s{i} {'rich' if i % 2 else 'poor'}", "GC" * (i + 3) if i % 2 else "AT" * (i + 3)) for i in range(12)]
    path = written(tmp_path, "train.fasta", "".join(f"{name}\n{letters}\n" for name, letters in rows))
    options = ["--input", "sequence", "--unit", "characters", "--hidden", "4", "--epochs", "2", "--seed", "0"]
    model, out = str(tmp_path / "m"), str(tmp_path / "answers.csv")
    assert main(["fit", "classify", str(path), "--target", "description", *options, "--out", model]) == 0
    assert main(["predict", model, str(path), "--out", out]) == 0
    found = pl.read_csv(out)
    assert found["id"].to_list() == [f"s{i}" for i in range(12)]
    assert set(found["predicted_description"]) <= {"rich", "poor"}
    assert main(["score", model, str(path)]) == 0
