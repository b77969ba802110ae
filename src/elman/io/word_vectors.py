"""Pre-trained word vectors as text: word2vec, GloVe and fastText (`.vec`), plain or as `.gz`, `.xz` or `.zip`.

    2000000 300                          word2vec and fastText: words and numbers a word; GloVe has no such line
    the -0.0517 0.0740 -0.0131 ...

The file is read line by line, and of its vectors only those of the words asked for are kept.
"""

import lzma
import os
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from gzip import GzipFile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError, ElmanWarning, Place, placed
from elman.validation.messages import few, grouped, nearest, shown

WIDEST = 1 << 14  # numbers a word: published vectors have 25 to 1024
_BLOCK = 1 << 20
_DICTIONARY = 1 << 29  # bytes that unpacking .xz may take
_WORD = 1 << 16  # bytes of the longest word
_NUMBER = 40  # bytes of the longest number
_Row = NDArray[np.float32]


@dataclass(frozen=True)
class WordVectors:
    """The vectors of some words: a row of `width` numbers each, by word."""

    name: str
    width: int
    rows: dict[str, _Row]
    wanted: int  # words asked for

    def describe(self) -> str:
        """One line: `cc.de.300.vec.gz, 300 numbers each, 5,020 of 6,000 words found (84 %)`.

        >>> WordVectors("a.vec", 3, {"a": np.zeros(3, np.float32)}, 4).describe()
        'a.vec, 3 numbers each, 1 of 4 words found (25 %)'
        """
        share = 100 * len(self.rows) / max(1, self.wanted)
        found = f"{grouped(len(self.rows))} of {grouped(self.wanted)} words found ({share:.0f} %)"
        return f"{self.name}, {self.width} numbers each, {found}"


def read_word_vectors(path: str | os.PathLike[str], words: Iterable[str]) -> WordVectors:
    """The vectors of `words` in a file; of a `.zip` with several files, name one: `glove.6B.zip/glove.6B.300d.txt`.

    A word that the file does not have is looked up in lower case, capitalised, and in upper case. `▁the`, a subword
    at the beginning of a word, is also found as `the`. Every line must have as many numbers as the first.

    Raises ``DataError``, naming file and line, for a file that is missing, damaged, binary or malformed, and where
    it has none of the words.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mini.vec"
    >>> _ = path.write_text("2 3\\nBerlin 1 2 3\\nthe 0.5 0 -1\\n")
    >>> read_word_vectors(path, ["the", "berlin", "unheard"]).rows["berlin"]
    array([1., 2., 3.], dtype=float32)
    """
    wanted = list(dict.fromkeys(words))
    file, member = _file_and_member(path)
    with placed(lambda place: replace(place, file=member or file.name)):
        reader = _Reader(wanted)
        for number, line in enumerate(_lines(_blocks(file, member)), 1):
            reader.read(line, number)
        reader.finish(member or file.name)
    if wanted and not reader.rows:
        raise DataError(
            f"{file.name} has a vector for none of the {grouped(len(wanted))} words, such as {few(wanted[:5])}. "
            "Are they words of its language?"
        )
    rows = {wanted[place]: row for place, row in sorted(reader.rows.items())}
    return WordVectors(member or file.name, reader.width, rows, len(wanted))


def spellings(word: str) -> list[str]:
    """The spellings under which a word is looked up, the best first.

    >>> spellings("▁berlin")
    ['▁berlin', 'berlin', 'Berlin', 'BERLIN']
    """
    plain = word.removeprefix("▁")
    return [one for one in dict.fromkeys((word, plain, plain.lower(), plain.capitalize(), plain.upper())) if one]


class _Reader:
    """Takes the lines of a file; keeps the row of the best spelling of each word."""

    def __init__(self, words: list[str]) -> None:
        self.width = self.lines = 0
        self.rows: dict[int, _Row] = {}
        self._declared: int | None = None
        self._ranks: dict[int, int] = {}
        self._wanted: dict[bytes, list[tuple[int, int]]] = {}
        for place, word in enumerate(words):
            for rank, spelling in enumerate(spellings(word)):
                self._wanted.setdefault(spelling.encode(), []).append((place, rank))

    def read(self, line: bytes, number: int) -> None:
        """One line, without its end."""
        line = line.replace(b"\t", b" ").rstrip(b" \r")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if self._begin(line):
                return
        if not line:
            return
        self.lines += 1
        spaces = line.count(b" ")
        if spaces == self.width:
            word, _, numbers = line.partition(b" ")
        elif spaces > self.width:  # a word with spaces in it
            word = line.rsplit(b" ", self.width)[0]
            numbers = line[len(word) + 1 :]
            word = word.strip(b" ")
        else:
            _malformed(number, f"has {_numbers(spaces)}, expected {self.width}")
        if places := self._places(word):
            row = None
            for place, rank in places:
                if rank < self._ranks.get(place, len(self._wanted) + 9):  # of equal ones the first counts
                    row = _parsed(numbers, number) if row is None else row
                    self.rows[place], self._ranks[place] = row, rank

    def finish(self, name: str) -> None:
        """After the last line."""
        if not self.lines:
            raise DataError("holds no vectors.")
        if self._declared is not None and self.lines < self._declared:
            warnings.warn(
                f"{name}: the first line tells of {grouped(self._declared)} words, but there are "
                f"{grouped(self.lines)}. Was the file cut short?",
                ElmanWarning,
                stacklevel=2,
            )

    def _begin(self, line: bytes) -> bool:
        """Takes the width from the first line; whether that is a header."""
        if b"\0" in line or not _is_text(line):
            raise DataError(
                "is binary. Word vectors are read as text: the .vec file of fastText, or for word2vec "
                "KeyedVectors.load_word2vec_format(file, binary=True).save_word2vec_format(text)."
            )
        fields = line.split(b" ")
        header = len(fields) == 2 and all(field.isdigit() for field in fields)
        self.width = int(fields[1][:20]) if header else len(fields) - 1
        if header:
            self._declared = int(fields[0][:20])
        if not 1 <= self.width <= WIDEST:
            what = f"tells of {fields[1][:20].decode()} numbers a word" if header else f"has {_numbers(self.width)}"
            _malformed(1, f"{what}; word vectors have 1 to {grouped(WIDEST)}")
        return header

    def _places(self, word: bytes) -> list[tuple[int, int]] | None:
        found = self._wanted.get(word)
        if found is None and not word.isascii() and _is_text(word):
            found = self._wanted.get(unicodedata.normalize("NFC", word.decode()).encode())
        return found


def _parsed(numbers: bytes, line: int) -> _Row:
    fields = numbers.split(b" ")
    try:
        row = np.array([float(field) for field in fields], dtype=np.float64)
    except ValueError:
        bad = next(field for field in fields if not _is_number(field))
        _malformed(line, f"has {shown(bad.decode(errors='replace'))} in place of a number")
    with np.errstate(over="ignore"):
        found: _Row = row.astype(np.float32)
    if not np.isfinite(found).all():
        _malformed(line, f"has {row[~np.isfinite(found)][0]}, which is no finite number")
    return found


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _numbers(many: int) -> str:
    return "1 number" if many == 1 else f"{grouped(many)} numbers"


def _malformed(line: int, what: str) -> NoReturn:
    raise DataError(f"{what}. A line is a word and its numbers, with spaces between.", at=Place(line=line))


# ---- the file


def _file_and_member(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """The file, and the file within it that follows a `.zip` in the path."""
    file = Path(path)
    for folder in file.parents:
        if folder.suffix.lower() == ".zip" and folder.is_file():
            return folder, file.relative_to(folder).as_posix()
    if not file.exists():
        folder = file.parent
        near = nearest(file.name, [one.name for one in folder.iterdir()] if folder.is_dir() else [])
        raise DataError(f"no such file: {file}.{near}")
    return file, ""


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a file that comes in blocks; one that never ends is refused."""
    rest, number, longest = b"", 1, _WORD + _NUMBER * WIDEST
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        number += len(whole)
        if len(rest) > longest:
            _malformed(number, f"is longer than {grouped(longest)} bytes")
    if rest:
        yield rest


def _blocks(file: Path, member: str) -> Iterator[bytes]:
    """The unpacked content in blocks of bounded size."""
    suffix = file.suffix.lower()
    try:
        if suffix == ".zip":
            yield from _unzipped(file, member)
            return
        with file.open("rb") as raw:
            if suffix == ".xz":
                yield from _unxzed(raw)
                return
            stream: Any = GzipFile(fileobj=raw) if suffix == ".gz" else raw
            while block := stream.read(_BLOCK):
                yield block
    except DataError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"is damaged: {error}.") from None


def _unzipped(file: Path, member: str) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir()]
        chosen = member or (names[0] if len(names) == 1 else "")
        if chosen not in names:
            raise DataError(
                f"holds {few(names) or 'nothing'}. Name one, as in {file.name}/{(names or ['file.vec'])[0]}"
            )
        with archive.open(chosen) as stream:
            while block := stream.read(_BLOCK):
                yield block


def _unxzed(raw: Any) -> Iterator[bytes]:
    """The content of one stream, or of several behind each other."""
    unpack, data = lzma.LZMADecompressor(memlimit=_DICTIONARY), b""
    while True:
        data = data or (raw.read(_BLOCK) if unpack.needs_input else b"")
        if unpack.needs_input and not data:
            raise EOFError("the end of the stream is missing")
        yield unpack.decompress(data, _BLOCK)
        data = b""
        if unpack.eof:
            if not (data := unpack.unused_data or raw.read(_BLOCK)):
                return
            unpack = lzma.LZMADecompressor(memlimit=_DICTIONARY)
