"""Column files beside CoNLL-U: which lines are comments, what a cell is, and what `elman predict` keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from elman.errors import DataError
from elman.io.tables import read_table, write_answers

#: Files, and the words of each sentence.
FILES: dict[str, tuple[str, list[list[str]]]] = {
    "KLUE": (
        "## set-00000\tAnna left 0\na\tB-PS\nn\tI-PS\n\n## set-00001\tAnna left 1\na\tB-PS\n\n",
        [["a", "n"], ["a"]],
    ),
    "one sentence of KLUE": ("## set-00000\tAnna left 0\na\tB-PS\nn\tI-PS\n", [["a", "n"]]),
    "MultiCoNER": ("# id 1\tdomain=en\nanna _ _ B-PER\n\n# id 2\tdomain=en\nin _ _ O\n", [["anna"], ["in"]]),
    "CoNLL-2012": (
        "#begin document (bc/cctv); part 000\na x O\nb y O\n\nc z O\n\n#end document\n#begin document (nw)\nd x O\n",
        [["a", "b"], ["c"], ["d"]],
    ),
    "several": ("# id = 1\n# text = a b\na\tO\nb\tO\n\n# id = 2\n# text = c\nc\tO\n", [["a", "b"], ["c"]]),
    "of the document": ("# newdoc\tid=1\na\tO\n\nb\tO\n\nc\tO\n", [["a"], ["b"], ["c"]]),
    "words alone": ("# a comment\nfoo\nbar\n\n# another\nbaz\n", [["foo", "bar"], ["baz"]]),
    "after DOCSTART": ("-DOCSTART- -X- O\n\n# id\na x O\n-DOCSTART- -X- O\n# id 2\nb x O\n", [["a"], ["b"]]),
    "one with CR and mark": ("\ufeff# id 1\r\na\tO\r\n\r\n# id 2\r\nb\tO\r\n", [["a"], ["b"]]),
    # words
    "hashtags": (
        "#fun\tO\nday\tO\n\n#begin\tO\n#endless\tO\n\n##\tO\n",
        [["#fun", "day"], ["#begin", "#endless"], ["##"]],
    ),
    "a hash": ("# O\nb B\n\nc O\n", [["#", "b"], ["c"]]),
    "a hash and a tab": ("#\tO\nb\tB\n\n#\tB\n", [["#", "b"], ["#"]]),
    "within a sentence": ("a O\n# O\n## O\n#begin O\n", [["a", "#", "##", "#begin"]]),
    "all of them": ("# x\n\n# y\n", [["#"], ["#"]]),
    "a space": ("a\tO\n \tO\n\n", [["a", " "]]),
    "spaces around": (" a \t O \nb\tO  \n", [["a", "b"]]),
    "a tab at the end": ("a\tO\t\nb\tO\n", [["a", "b"]]),
    "a line of tabs": ("a\tO\n\t\nb\tO\n", [["a"], ["b"]]),
}


@pytest.mark.parametrize("name", FILES)
def test_words_and_comments(name: str, tmp_path: Path) -> None:
    text, words = FILES[name]
    (tmp_path / "a.conll").write_bytes(text.encode())
    table = read_table(tmp_path / "a.conll")
    assert table.frame["token"].to_list() == words
    lines = text.splitlines()
    for row, own in enumerate(words):
        assert own[0].strip() in lines[(table.line(row) or 0) - 1]


@pytest.mark.parametrize("name", FILES)
def test_everything_but_the_answers_stays(name: str, tmp_path: Path) -> None:
    text, words = FILES[name]
    (tmp_path / "a.conll").write_bytes(text.encode())
    write_answers(read_table(tmp_path / "a.conll"), "tag", [["new"] * len(own) for own in words], tmp_path / "b.conll")
    before, after = text.split("\n"), (tmp_path / "b.conll").read_bytes().decode().split("\n")
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == sum(map(len, words))
    for a, b in changed:
        assert b.rstrip("\r").endswith("new")
        assert b.startswith(a.rstrip(" \t\r"))
        assert a.endswith("\r") == b.endswith("\r")


def test_comments_and_answers_are_read_again(tmp_path: Path) -> None:
    text, words = FILES["KLUE"]
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    write_answers(read_table(tmp_path / "a.conll"), "tag", [["x"] * len(own) for own in words], tmp_path / "b.conll")
    assert read_table(tmp_path / "b.conll").frame["tag"].to_list() == [["x", "x"], ["x"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\t\n", r"line 2 of a.conll: 'b\\t' has an empty cell"),
        ("a\tO\n\tO\n", r"line 2 of a.conll: '\\tO' has an empty cell"),
        ("a\tO\n# b\n", r"line 2 of a.conll has 1 column, line 1 has 2"),
        ("a O\n#tag\n", r"line 2 of a.conll has 1 column, line 1 has 2"),
    ],
)
def test_refused_with_the_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "a.conll")
