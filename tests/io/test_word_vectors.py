"""Word vectors as text: formats, packings, spellings, and what is malformed."""

import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from elman.errors import DataError, ElmanWarning
from elman.io.word_vectors import read_word_vectors

LINES = ["the 0.5 -1 2", "Berlin 1 2 3", ". . . 7 8 9", "的 0.25 0 0", "cafe\u0301 4 4 4", "the 9 9 9"]
GLOVE = "\n".join(LINES) + "\n"
WORD2VEC = f"{len(LINES)} 3\n{GLOVE}"
FASTTEXT = WORD2VEC.replace("\n", " \n").replace("3 \n", "3\n", 1)


def zipped(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.vec", data)


PACKINGS: dict[str, Callable[[Path, bytes], object]] = {
    ".vec": Path.write_bytes,
    ".txt": Path.write_bytes,
    ".vec.gz": lambda path, data: path.write_bytes(gzip.compress(data)),
    ".vec.xz": lambda path, data: path.write_bytes(lzma.compress(data[:40]) + lzma.compress(data[40:])),
    ".vec.zip": zipped,
}


def written(folder: Path, text: str) -> Path:
    path = folder / "a.vec"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", [GLOVE, WORD2VEC, FASTTEXT, GLOVE.replace(" 0", "\t0"), "\ufeff" + GLOVE])
@pytest.mark.parametrize("suffix", list(PACKINGS))
def test_every_format_in_every_packing(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    PACKINGS[suffix](path, text.encode())
    found = read_word_vectors(path, ["the", "berlin", ". . .", "的", "caf\u00e9", "unheard"])
    assert {word: row.tolist() for word, row in found.rows.items()} == {
        "the": [0.5, -1, 2],
        "berlin": [1, 2, 3],
        ". . .": [7, 8, 9],
        "的": [0.25, 0, 0],
        "caf\u00e9": [4, 4, 4],
    }
    assert (found.width, found.wanted) == (3, 6)
    assert all(row.dtype == np.float32 for row in found.rows.values())


def test_the_nearest_spelling_counts(tmp_path: Path) -> None:
    path = written(tmp_path, "USA 1\nUsa 2\nusa 3\n▁of 4\nof 5\n")
    rows = read_word_vectors(path, ["usa", "USA", "uSA", "▁of", "▁usa"]).rows
    assert {word: row.item() for word, row in rows.items()} == {"usa": 3, "USA": 1, "uSA": 3, "▁of": 4, "▁usa": 3}


def test_one_file_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/2.txt", "the 1 2\n")
        archive.writestr("d/3.txt", "the 1 2 3\n")
    assert read_word_vectors(path / "d" / "3.txt", ["the"]).width == 3
    with pytest.raises(DataError, match=r"glove.zip holds 'd/2.txt', 'd/3.txt'. Name one, as in glove.zip/d/2.txt"):
        read_word_vectors(path, ["the"])


def test_a_file_shorter_than_its_header_is_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path, "3 2\nthe 1 2\n")
    with pytest.warns(ElmanWarning, match="tells of 3 words, but there are 1. Was the file cut short"):
        assert read_word_vectors(path, ["the"]).width == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.vec holds no vectors"),
        ("the 1 2\na 1\n", "line 2 of a.vec has 1 number, expected 2"),
        ("2 2\nthe 1 2\na 1\n", "line 3 of a.vec has 1 number, expected 2"),
        ("a 1 2\nthe 1 x\n", "line 2 of a.vec has 'x' in place of a number"),
        ("a 1 2\nthe 1 nan\n", "line 2 of a.vec has nan, which is no finite number"),
        ("a 1 2\nthe 1 1e99\n", r"line 2 of a.vec has 1e\+99, which is no finite number"),
        ("word\n", "line 1 of a.vec has 0 numbers; word vectors have 1 to 16,384"),
        ("9 99999999999999999999999\n", "line 1 of a.vec tells of 99999999999999999999 numbers a word"),
        ("5 1\n" + "x" * 2_000_000, "line 2 of a.vec is longer than"),
        ("9 2\0\n", "a.vec is binary.*save_word2vec_format"),
        ("dog 1 2\n", "a.vec has a vector for none of the 1 words, such as 'the'. Are they words of its language"),
    ],
)
def test_what_is_malformed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_word_vectors(written(tmp_path, text), ["the"])


@pytest.mark.parametrize("suffix", [".vec.gz", ".vec.xz", ".vec.zip"])
def test_a_damaged_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    PACKINGS[suffix](path, GLOVE.encode() * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a.vec.*(is damaged|cannot be read)"):
        read_word_vectors(path, ["the"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path, GLOVE)
    with pytest.raises(DataError, match=r"^no such file: .*a.vek. Did you mean 'a.vec'"):
        read_word_vectors(tmp_path / "a.vek", ["the"])
    with pytest.raises(DataError, match="cannot be read"):
        read_word_vectors(tmp_path, ["the"])
