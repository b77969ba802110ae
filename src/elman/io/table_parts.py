"""Tables larger than memory: read part by part, written part by part.

A part ends with a record. The first record of the file (the header, or a first object) stands before each part when
that is parsed, so that every part is checked against it as the whole file would be.
"""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from elman.errors import DataError, Place, placed
from elman.io.atomic_write import writing
from elman.io.tables import (
    STANDARD,
    Table,
    about,
    parse_table,
    path_of,
    read_table,
    rendered,
    standard_input,
    table_kind,
    to_stdout,
    well_quoted,
    write_table,
)
from elman.ops.forks import refuse_without_threads

PART = 4 << 20  # bytes of a part; a smaller file is read whole
_PARTED = ("csv", "tsv", "jsonl")


def read_parts(
    path: str | os.PathLike[str], *, header: bool = True, format: str | None = None, size: int | None = None
) -> Iterator[Table]:
    """The parts of a table in their order, each of about `size` bytes (default: `PART`): their rows are its rows.

    CSV, TSV and JSON lines are read as they are needed, other kinds whole, and so is the rest of a file from where
    quotation marks stand that only the whole file explains. Arguments and errors are those of `read_table`, but an
    error is raised when its part is reached.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text("a,b\\n1,2\\n3,4\\n5,6\\n")
    >>> [part.frame.rows() for part in read_parts(path, size=8)]
    [[('1', '2')], [('3', '4'), ('5', '6')]]
    """
    kind, packing = table_kind(path, format)
    if kind not in _PARTED or not (path == STANDARD or path_of(path).is_file()):
        yield read_table(path, header=header, format=format)
        return
    refuse_without_threads("Reading a table")
    name = path_of(path)
    with _opened(path, packing) as file, about(name):
        try:
            yield from _Parts(name, kind, header, size or PART).read(file)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise DataError(f"cannot be read, or is cut short: {error}.") from None


def _opened(path: str | os.PathLike[str], packing: str) -> AbstractContextManager[IO[bytes]]:
    source = standard_input() if path == STANDARD else path
    if packing == ".gz":
        return cast(IO[bytes], gzip.open(source, "rb"))
    if packing == ".xz":
        return cast(IO[bytes], lzma.open(source, "rb"))
    return nullcontext(source) if path == STANDARD else Path(path).open("rb")  # type: ignore[arg-type]


class _Parts:
    """The state between two parts of a file."""

    def __init__(self, path: Path, kind: str, header: bool, size: int) -> None:
        self.path, self.kind, self.header, self.size = path, kind, header, size
        self.first = b""  # the first record, with the empty lines before it
        self.line = 1  # on which the next part begins

    def read(self, file: IO[bytes]) -> Iterator[Table]:
        rest = file.read(self.size)
        if len(rest) < self.size or not self._begin(rest):
            yield parse_table(rest + file.read(), self.path, self.kind, header=self.header)
            return
        while True:
            end = self._end(rest)
            more = file.read(self.size)
            if not more or end is None:
                yield from self._parsed(rest + more + file.read() if more else rest)
                return
            if end:
                yield from self._parsed(rest[:end])
            rest = rest[end:] + more

    def _begin(self, data: bytes) -> bool:
        """Finds the first record; False where none ends in the data."""
        start = len(data) - len(data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))
        end = data.find(b"\n", start)
        while end >= 0 and self.kind == "csv" and data.count(b'"', start, end) % 2:
            end = data.find(b"\n", end + 1)
        if end < 0 or b"\n" not in data or (self.kind == "tsv" and b'"' in data[:end]):
            return False
        self.first = data[: end + 1]
        return True

    def _end(self, data: bytes) -> int | None:
        """Where the last whole record ends, 0 where none does; None where only the whole file tells."""
        if self.kind == "tsv" and b'"' in data:
            return None
        end = data.rfind(b"\n") + 1
        if self.kind == "csv" and b'"' in data:
            while end and data.count(b'"', 0, end) % 2:
                end = data.rfind(b"\n", 0, end - 1) + 1
            if not well_quoted(data[:end].replace(b"\r\n", b"\n"), ","):
                return None
        return end

    def _parsed(self, data: bytes) -> Iterator[Table]:
        """The rows of a part, unless it is of empty lines, with the lines on which they stand in the file."""
        begin, self.line = self.line, self.line + data.count(b"\n")
        if not data.strip(b"\r\n"):
            return
        head = b"" if begin == 1 else self.first
        before = head.count(b"\n")

        def in_file(line: int) -> int:
            return line - before + begin - 1 if line > before else line

        def located(place: Place) -> Place:
            return place if place.line is None else replace(place, line=in_file(place.line))

        with placed(located):
            table = parse_table(head + data, self.path, self.kind, header=self.header)
        repeated = int(bool(head) and not (self.header and self.kind != "jsonl"))
        lines = table.lines[repeated:] if table.lines is not None else None
        if lines is not None and head:
            lines = lines - before + begin - 1
        yield replace(table, frame=table.frame[repeated:], lines=lines)


@contextmanager
def writing_parts(
    path: str | os.PathLike[str] | None, kind: str | None = None
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A function that writes the parts of a table, each as it comes; the first has the header. None: standard output.

    A file is there when the block ends without an error; of Parquet it is written then. `kind` is that of
    `write_table`.

    >>> with writing_parts(None, "csv") as write:
    ...     write(pl.DataFrame({"a": [1]}))
    ...     write(pl.DataFrame({"a": [2]}))
    a
    1
    2
    """
    kind, packing = (kind or "csv", "") if path is None else table_kind(path, kind, writing=True)
    if kind == "parquet":
        frames: list[pl.DataFrame] = []
        yield frames.append
        write_table(pl.concat(frames, how="vertical_relaxed"), path, kind=kind)
        return
    if path is None:
        yield _writer(to_stdout, kind, "standard output")
        return
    try:
        with writing(path) as file, _packing(file, packing) as packed:
            yield _writer(packed.write, kind, Path(path).name)
    except OSError as error:
        raise DataError(f"{os.fspath(path)} cannot be written: {error.strerror or error}.") from None


def _packing(file: Any, packing: str) -> AbstractContextManager[IO[bytes]]:
    if packing == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="wb"))
    return cast(IO[bytes], lzma.LZMAFile(file, "wb")) if packing == ".xz" else nullcontext(file)


def _writer(write: Callable[[bytes], Any], kind: str, target: str) -> Callable[[pl.DataFrame], None]:
    begun = False

    def write_part(frame: pl.DataFrame) -> None:
        nonlocal begun
        data = rendered(frame, kind, target)
        if begun and kind != "jsonl":
            data = data[len(rendered(frame[:0], kind, target)) :]
        write(data)
        begun = True

    return write_part
