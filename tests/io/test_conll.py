"""CoNLL files: what is read of them, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from elman.errors import DataError
from elman.io.conll import answered_conll
from elman.io.tables import read_table, write_table

UNIVERSAL = """# sent_id = 1
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\tVB\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t_\tSpaceAfter=No
2.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_

# sent_id = 2
1\tNew York\tNew York\tPROPN\t_\t_\t0\troot\t_\t_
"""


def test_universal(tmp_path: Path) -> None:
    file = tmp_path / "a.conllu"
    file.write_text(UNIVERSAL, encoding="utf-8")
    table = read_table(file)
    assert table.frame["form"].to_list() == [["do", "n't"], ["New York"]]
    assert table.frame["upos"].to_list() == [["AUX", "PART"], ["PROPN"]]
    assert [str(table.place(row)) for row in (0, 1)] == ["line 3 of a.conllu", "line 8 of a.conllu"]
    assert read_table(file, columns=["upos"]).frame.columns == ["upos"]
    with pytest.raises(DataError, match="Did you mean 'upos'"):
        read_table(file, columns=["uposs"])


@pytest.mark.parametrize(
    "text", ["a\tB-x\n\n\nb c\tO\n", "\ufeffa B-x\r\n\r\nb O", "-DOCSTART- O\n\na B-x\n\nb O\n\n\n"]
)
def test_columns(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_bytes(text.encode())
    frame = read_table(file).frame
    assert frame.columns == ["token", "tag"]
    assert frame["tag"].to_list() == [["B-x"], ["O"]]


def test_more_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n", encoding="utf-8")
    assert read_table(file).frame.columns == ["token", "column_2", "column_3", "tag"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conllu", "1\tdo\tdo\n", r"line 1 of a.conllu has 3 columns, where CoNLL-U has 10"),
        ("a.conll", "a O\nb\n", r"line 2 of a.conll has 1 column, line 1 has 2"),
        ("a.conll", "a\tO\nb\t\n", r"line 2 of a.conll: 'b\\t' has an empty cell"),
        ("a.conll", "a\tO\n\tO\n", r"line 2 of a.conll: '\\tO' has an empty cell"),
        ("a.conll", "a O\n\nb x O\n", r"line 3 of a.conll has 3 columns, line 1 has 2"),
        ("a.conll", "\n\n", r"a.conll"),
        ("a.conllu", "# only = this\n", r"a.conllu holds no words"),
    ],
)
def test_refused_with_the_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.conllu"):
        write_table(pl.DataFrame({"a": ["b"]}), tmp_path / "a.conllu")


def test_words_without_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("a\n\u00a0\n\nb\u2028c", encoding="utf-8")  # spaces that are none here
    assert read_table(file).frame.to_dict(as_series=False) == {"token": [["a", "\u00a0"], ["b\u2028c"]]}


@pytest.mark.parametrize(
    ("name", "text", "column", "wanted"),
    [
        ("a.conllu", UNIVERSAL, "upos", UNIVERSAL.replace("AUX", "x").replace("PART", "y").replace("PROPN", "z")),
        (
            "a.conllu",
            UNIVERSAL,
            "tag",
            UNIVERSAL.replace("root\t_\t_", "root\t_\ttag=x", 1)
            .replace("SpaceAfter=No", "SpaceAfter=No|tag=y")
            .replace("0\troot\t_\t_", "0\troot\t_\ttag=z"),
        ),
        (
            "a.conll",
            "-DOCSTART- O\n\na\tO\r\nb c\tO\n\n\nd\tO",
            "tag",
            "-DOCSTART- O\n\na\tO\tx\r\nb c\tO\ty\n\n\nd\tO\tz",
        ),
        ("a.conll", "a\nb\n\nc\n", "tag", "a x\nb y\n\nc z\n"),
    ],
)
def test_answers_in_the_file(name: str, text: str, column: str, wanted: str) -> None:
    assert answered_conll(text, name == "a.conllu", column, [["x", "y"], ["z"]]) == wanted
