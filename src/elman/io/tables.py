"""Tables on disk: CSV, TSV, JSON lines and Parquet as polars frames; errors name the file and the line.

Text files (also with `.gz` or `.xz` after their suffix) are validated as a whole before polars parses them, so that a
malformed table is never read in part.
"""

import csv
import gzip
import io
import json
import lzma
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import polars as pl

from elman.errors import DataError, MessagePart, OptionError, Place, Wording, option, placed
from elman.io.atomic_write import write_file
from elman.io.conll import answered_conll, read_conll
from elman.io.fasta import read_fasta, read_fastq
from elman.ops.forks import refuse_without_threads
from elman.validation.messages import nearest, shown

KINDS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_CONLL = {".conllu": "conllu", ".conll": "conll", ".bio": "conll", ".iob": "conll"}
_FASTA = dict.fromkeys((".fasta", ".fa", ".fas", ".fna", ".ffn", ".faa"), "fasta")
_FASTA |= {".fastq": "fastq", ".fq": "fastq"}
_READ = {**_CONLL, **_FASTA, ".txt": "txt"}  # not written
_SEPARATORS = {"csv": ",", "tsv": "\t"}
STANDARD = "-"  # in place of a file: standard input or output
_DEPTH = 64  # lists and objects within each other in a JSON line: a table needs two or three, polars ends in a crash
_PACKED = 256 << 20, 100  # bytes that a packed file may always become, and how many times its own size beyond that
_CELLS = 1 << 30  # bytes that the columns of a Parquet file may always take
_DICTIONARY = 1 << 29  # bytes that unpacking .xz may take beside: the largest preset, -9, takes 1 << 26
_EXACT = 1 << 53  # whole numbers up to here are floats too
_MARK = b"\xef\xbb\xbf"  # the byte order mark
_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)  # the second is no Exception
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Table:
    """The result of `read_table`: the frame, and the line of each row in the file."""

    frame: pl.DataFrame
    path: Path
    lines: _Array | None  # for each row the line it begins on, the first line of the file being 1; None for Parquet
    kind: str = "csv"  # csv, tsv, jsonl, parquet, conllu, conll, fasta, fastq or txt
    content: bytes | None = field(default=None, repr=False)  # of a CoNLL file, unpacked
    training: int | None = None  # rows of this file, where those of `validation` follow in the frame
    validation: "Table | None" = None

    def followed_by(self, validation: "Table") -> "Table":
        """The rows of both files, with the columns of this one; those that the other lacks are null there.

        Raises `DataError` where a column has other types in the two.
        """
        names = [name for name in self.frame.columns if name in validation.frame.columns]
        frame, other = self.frame, validation.frame.select(names)
        try:
            both = pl.concat([frame, other], how="diagonal_relaxed")
        except pl.exceptions.PolarsError:
            name = next(name for name in names if frame[name].dtype != other[name].dtype)
            what = f"holds {other[name].dtype}, in {self.path.name} {frame[name].dtype}. Write both alike."
            raise DataError(what, at=validation.place(column=name)) from None
        return replace(self, frame=both, training=frame.height, validation=validation)

    def line(self, row: int) -> int | None:
        """The line on which a row of the frame begins (row 0 is the first); None where a file has no lines."""
        return None if self.lines is None else int(self.lines[row])

    def place(self, row: int | None = None, column: str | None = None) -> Place:
        """The place of a column or row in errors: `line 312 of train.csv`, `row 312 of train.parquet`."""
        if self.validation is not None and self.training is not None and row is not None and row >= self.training:
            return self.validation.place(row - self.training, column)
        return Place(column=column, row=row, file=self.path.name, line=None if row is None else self.line(row))

    def located(self) -> AbstractContextManager[None]:
        """Errors raised in the block name lines of this file in place of sequences and rows.

        Not for arguments, such as weights, that are no columns of a table.
        """
        return placed(self._located)

    def _located(self, place: Place) -> Place:
        row = place.row if place.sequence is None else place.sequence
        if self.training is not None and (place.argument or "").startswith("validation_data"):
            if row is None and place.column is None:
                return replace(place, argument=None, file=self.place(self.training).file)
            place = replace(place, argument="X")
            row = None if row is None else self.training + row
        if place.file is not None or place.argument not in (None, "X", "y", "frame"):
            return place
        if row is None:
            return replace(place, file=self.path.name) if place.argument == "frame" else place
        return replace(self.place(row), argument=place.argument, column=place.column, step=place.step)


def read_table(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    header: bool = True,
    format: str | None = None,
) -> Table:
    """Reads a table of the kind of its suffix: `.csv .tsv .jsonl .ndjson .conllu .conll .bio .iob .fasta .fa .fastq
    .fq .txt`, these with `.gz` or `.xz`, and `.parquet`.

    Cells of CSV and TSV stay text, so that a label `01` survives; an empty cell is null, `""` is an empty text. JSON
    and Parquet keep their types. A sentence of a CoNLL file is a row of lists (`elman.io.conll`), a record of FASTA or
    FASTQ a row with `id`, `description`, `sequence` (`elman.io.fasta`); a `.txt` file is one text, in the column
    `text`. With `header=False` the columns are `column_1`, `column_2` ... `columns` picks some, in this order.
    `format` ("csv", "tsv.gz") is in place of the suffix; the path "-" is standard input, which needs it.

    Raises `DataError` if the file is missing, empty, damaged, not UTF-8, holds no rows, has rows of unequal length or
    columns of the same name, or lacks a requested column; `OptionError` for arguments of the wrong type or an unknown
    format. In a process that was forked after polars was used, tables are refused with `DataError` too: its threads
    are gone.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.csv"
    >>> _ = path.write_text('label,text\\n01,"two\\nlines"\\n02,one\\n')
    >>> table = read_table(path)
    >>> table.frame.rows()
    [('01', 'two\\nlines'), ('02', 'one')]
    >>> print(table.place(1))
    line 4 of train.csv
    """
    refuse_without_threads("Reading a table")
    if columns is not None and (isinstance(columns, str) or not all(isinstance(c, str) for c in _items(columns))):
        advice = f"[{columns!r}]" if isinstance(columns, str) else "['text', 'label']"
        raise OptionError(f"columns = {columns!r} must be a list of names, such as {advice}, or None.")
    kind, packing = table_kind(path, format)
    name = path_of(path)
    data = _read_standard() if path == STANDARD else _read(name)
    with about(name):
        return parse_table(_unpacked(data, packing), name, kind, header=header, columns=columns)


def parse_table(
    data: bytes, path: Path, kind: str, *, header: bool = True, columns: Sequence[str] | None = None
) -> Table:
    """The table in the unpacked bytes of a file.

    `kind` is csv, tsv, jsonl, parquet, conllu, conll, fasta, fastq or txt.

    >>> parse_table(b"a\\tb\\n1\\t2\\n", Path("some.tsv"), "tsv").frame.rows()
    [('1', '2')]
    """
    lines: _Array | None
    if kind == "parquet":
        frame, lines = _parquet(data), None
    elif kind == "jsonl":
        frame, lines = _json_lines(_text(data), columns)
    elif kind in _CONLL.values():
        frame, lines = read_conll(_text(data).decode("utf-8"), universal=kind == "conllu")
    elif kind in _FASTA.values():
        frame, lines = (read_fasta if kind == "fasta" else read_fastq)(_text(data).decode("utf-8"))
    elif kind == "txt":
        frame, lines = pl.DataFrame({"text": [_text(data).decode("utf-8")]}), np.array([1])
    else:
        frame, lines = _delimited(_text(data), kind, header)
    header = header or kind not in _SEPARATORS
    if not frame.height:
        raise DataError("has a header and no rows." if header else "has no rows.")
    for column in columns or ():
        if column not in frame.columns:
            _no_column(column, frame.columns, header and kind in _SEPARATORS)
    frame = frame if columns is None else frame.select(list(dict.fromkeys(columns)))
    return Table(frame, path, lines, kind, data if kind in _CONLL.values() else None)


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str] | None = None, *, kind: str | None = None) -> None:
    """Writes a table that `read_table` reads back; None writes to standard output.

    The suffix determines the kind, unless `kind` does (csv, tsv, jsonl or parquet, for standard output one of the
    first three, default csv). The
    file is written under another name and then renamed, so that a crash leaves either the old file or the new one.

    Raises `DataError` for an unknown suffix, a folder that does not exist, or columns that the kind cannot hold;
    `OptionError` for what is no polars frame.

    >>> write_table(pl.DataFrame({"label": ["a"], "text": ["x, y"]}))
    label,text
    a,"x, y"
    """
    if not isinstance(frame, pl.DataFrame):
        raise OptionError(
            f"frame is a {type(frame).__name__}, but write_table writes a polars DataFrame. Make one with "
            "pl.DataFrame(...), and of a lazy frame with .collect()."
        )
    refuse_without_threads("Writing a table")
    if path is None:
        to_stdout(rendered(frame, kind or "csv", "standard output"))
        return
    of_suffix, packing = table_kind(path, kind, writing=True)
    path = _path(path, "written")
    write_file(path, _packed(rendered(frame, of_suffix, path.name), packing))


def write_answers(
    table: Table, column: str, answers: Sequence[Sequence[Any]], path: str | os.PathLike[str] | None = None
) -> None:
    """Writes a table that was read from a CoNLL file as that file, with an answer for each word
    (`elman.io.conll.answered_conll`).

    None writes to standard output. Raises `DataError` as `write_table` does.
    """
    raw = table.content or b""
    with about(table.path):
        data = answered_conll(_text(raw).decode("utf-8"), table.kind == "conllu", column, answers).encode("utf-8")
    if (breaks := raw.count(b"\r\n")) and breaks == raw.count(b"\n"):
        data = data.replace(b"\n", b"\r\n")
    data = raw[:3] + data if raw.startswith(_MARK) else data
    if path is None:
        to_stdout(data)
        return
    path = _path(path, "written")
    write_file(path, _packed(data, _suffixes(path)[1]))


def conll_kind(path: str | os.PathLike[str]) -> str | None:
    """Which kind of CoNLL file a name stands for, "conllu" or "conll"; None for every other file.

    >>> conll_kind("train.conllu.xz"), conll_kind("train.csv")
    ('conllu', None)
    """
    return _CONLL.get(_suffixes(path)[0])


def is_text(path: str | os.PathLike[str]) -> bool:
    """Whether a name stands for a file that is one text.

    >>> is_text("notes.TXT.gz"), is_text("notes.txt.csv")
    (True, False)
    """
    return _READ.get(_suffixes(path)[0]) == "txt"


def check_place(path: str | os.PathLike[str], kind: str | None = None) -> None:
    """Raises what `write_table` would for this path, before any answer is computed."""
    table_kind(path, kind, writing=True)
    path = _path(path, "written")
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: No such file or directory.")


def check_columns(frame: pl.DataFrame, path: str | os.PathLike[str] | None, kind: str | None = None) -> None:
    """Raises ``DataError`` for a column that the file cannot hold, as `write_table` would.

    `path` and `kind` are those of `write_table`.

    >>> check_columns(pl.DataFrame({"text": ["a"]}), "answers.csv")
    """
    target = "standard output" if path is None else Path(path).name
    kind = kind or ("csv" if path is None else table_kind(path, writing=True)[0])
    for name, dtype in frame.schema.items():
        other = ""
        if kind == "parquet" and _holds(dtype, lambda part: part == pl.Object or _no_child(part)):
            other = ".jsonl"
        elif kind == "jsonl" and _holds(dtype, lambda part: part in (pl.Binary, pl.Object)):
            other = ".parquet"
        elif kind in _SEPARATORS and (dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Duration)):
            other = ".parquet" if _holds(dtype, lambda part: part in (pl.Binary, pl.Duration)) else ".jsonl"
        if other:
            form = {"parquet": "Parquet", "jsonl": "JSON"}.get(kind, kind.upper())
            raise DataError(
                f"{target}: {form} has no place for the column {name!r} of {dtype}. Use {other}, or leave the column "
                "out."
            )


def _holds(dtype: Any, test: Callable[[Any], bool]) -> bool:
    """Whether a type, or one of its element types, satisfies `test`."""
    inner = [dtype.inner] if isinstance(dtype, pl.List | pl.Array) else []
    inner = [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else inner
    return test(dtype) or any(_holds(part, test) for part in inner)


def _no_child(dtype: Any) -> bool:
    return isinstance(dtype, pl.Struct) and not dtype.fields


def _suffixes(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The suffix of a name, and how the file is packed (`.gz`, `.xz` or nothing)."""
    suffixes = ["", *(suffix.lower() for suffix in Path(path).suffixes)]
    packing = suffixes.pop() if suffixes[-1] in (".gz", ".xz") else ""
    return suffixes[-1], packing


def _packed(data: bytes, packing: str) -> bytes:
    pack: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    return pack[packing](data) if packing else data


# ---- the file


def about(path: Path) -> AbstractContextManager[None]:
    """Errors raised in the block name the file."""
    return placed(lambda place: replace(place, file=path.name))


def _path(path: str | os.PathLike[str], done: str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"path = {path!r} must be the name of a file, a str or a pathlib.Path.")
    path = Path(path)
    try:
        folder = path.is_dir()
    except OSError as error:  # a text in place of a name, or a folder that may not be entered
        raise DataError(f"{shown(str(path))} cannot be {done}: {error.strerror}. Give the name of a file.") from None
    if folder:
        raise DataError(f"{path} cannot be {done}: it is a folder. Name a file in it.")
    return path


def _items(columns: Any) -> list[Any]:
    return list(columns) if hasattr(columns, "__iter__") else [columns]


def path_of(path: str | os.PathLike[str]) -> Path:
    """The path of a file to be read, for "-" the name that errors give standard input."""
    return Path("standard input") if path == STANDARD else _path(path, "read")


def table_kind(path: str | os.PathLike[str], format: str | None = None, writing: bool = False) -> tuple[str, str]:
    """The kind of a table and how it is packed, by `format` or else by the suffix of its path.

    >>> table_kind("train.ndjson.gz"), table_kind("-", "tsv")
    (('jsonl', '.gz'), ('tsv', ''))
    """
    suffix, packing = _suffixes(f"x.{format.removeprefix('.')}" if format is not None else _named(path, writing))
    packing = packing or _suffixes(path)[1]
    known = KINDS if writing else KINDS | _READ
    kind = known.get(suffix)
    if kind is not None and not (packing and kind == "parquet"):
        return kind, packing
    if format is not None:
        names = [name[1:] for name in known]
        what = f"{format!r} is no format of a table that can be {'written' if writing else 'read'}"
        listed = f"{', '.join(names)}, and all but parquet with .gz or .xz"
        raise OptionError(f"{what}.{nearest(format, names)} Formats are {listed}.")
    advice: list[MessagePart] = [] if suffix or packing else [" Name its format: ", option("format", "csv"), "."]
    raise DataError(
        f"{Path(path).name}: the suffix {suffix + packing or '(none)'} is no table this package knows. "
        f"It reads and writes {', '.join(KINDS)}, and all but the last with .gz or .xz; "
        f"it reads {', '.join(_READ)} too.",
        *advice,
    )


def _named(path: str | os.PathLike[str], writing: bool) -> Path:
    """The path, from whose suffix the kind is seen."""
    if path == STANDARD:
        what = f"standard {'output' if writing else 'input'} has no suffix that names its format. Name it: "
        raise OptionError(what, option("format", "csv"), ".")
    return _path(path, "written" if writing else "read")


def standard_input() -> IO[bytes]:
    """Standard input as bytes. Raises ``DataError`` where there is none."""
    if sys.stdin is None:
        raise DataError("there is no standard input to read. Send it a table: elman ... - < FILE")
    source: IO[bytes] = sys.stdin.buffer
    return source


def _read_standard() -> bytes:
    if data := standard_input().read():
        return data
    raise DataError("standard input is empty.")


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        near = nearest(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"no such file: {path}.{near}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not data:
        raise DataError(f"{path.name} is empty.")
    return data


def _unpacked(data: bytes, packing: str) -> bytes:
    """The content of a packed file; one that grows as no table does is refused before the memory is gone."""
    if not packing:
        return data
    least, times = _PACKED
    most = max(least, times * len(data))
    try:
        parts, size = [], 0
        for part in _gunzipped(data) if packing == ".gz" else _unxzed(data):
            parts.append(part)
            size += len(part)
            if size > most:
                raise DataError(
                    f"holds {len(data):,} bytes and becomes more than {most:,}, over {times} times as "
                    f"many. If that is meant, unpack it first and give the file without {packing}."
                )
        return b"".join(parts)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"is cut short or is no {packing} file: {error}.") from None


def _gunzipped(data: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while part := file.read(1 << 20):
            yield part


def _unxzed(data: bytes) -> Iterator[bytes]:
    """What `lzma.decompress` gives, in parts: streams behind each other, and what follows them is passed over."""
    first = True
    while data:
        unpack = lzma.LZMADecompressor(memlimit=_DICTIONARY)
        try:
            while not unpack.eof:
                part = unpack.decompress(data, 1 << 20)
                data = b""
                if not part and unpack.needs_input:
                    raise EOFError("the end of the stream is missing")
                yield part
        except lzma.LZMAError:
            if first:
                raise
            return
        data, first = unpack.unused_data, False


def _text(data: bytes) -> bytes:
    """UTF-8 without byte order mark, with `\\n` at the end of each line."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("is UTF-16. Save it as UTF-8.")
    data = data.removeprefix(_MARK)
    data = data.replace(b"\r\n", b"\n") if b"\n" in data else data.replace(b"\r", b"\n")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        at = error.start - (data.rfind(b"\n", 0, error.start) + 1)
        raise DataError(
            f": byte {at + 1} of the line, 0x{data[error.start]:02x}, is not UTF-8. Save the file as UTF-8.",
            at=Place(line=line),
        ) from None
    if not data.strip(b"\n"):
        raise DataError("is empty.")
    return data


def _parquet(data: bytes) -> pl.DataFrame:
    if len(data) < 12 or not data.startswith(b"PAR1") or not data.endswith(b"PAR1"):
        raise DataError("is cut short or is no Parquet file.")
    try:
        rows = pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item()
        names = pl.read_parquet_schema(io.BytesIO(data))
        if rows * len(names) * 8 > max(_CELLS, _PACKED[1] * len(data)):
            raise DataError(
                f"holds {len(data):,} bytes and becomes {rows:,} rows of {len(names)} columns, which take "
                f"over {_PACKED[1]} times as many. Give fewer rows at a time."
            )
        frame = pl.read_parquet(io.BytesIO(data))
    except DataError:
        raise
    except (*_POLARS, OSError, ValueError) as error:
        raise DataError(f"is damaged: {_first_line(error)}.") from None
    if not frame.height:
        raise DataError("has no rows.")
    return frame


def _no_column(column: str, names: Sequence[str], headed: bool = False) -> NoReturn:
    """`headed`: by the first line of the file, which may be no header."""
    listed = ", ".join(name if len(name) <= 40 else name[:37] + "..." for name in names[:20])
    listed += ", ..." if len(names) > 20 else ""
    near = nearest(column, names)
    other = Wording("read it with header=False", "write the names of the columns there")
    advice: list[MessagePart] = [" If its first line is no header, ", other, "."] if headed and not near else []
    raise DataError(f"has no column {column!r}.{near} Its columns: {listed}.", *advice)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


# ---- CSV and TSV


def _delimited(data: bytes, kind: str, header: bool) -> tuple[pl.DataFrame, _Array]:
    """CSV as RFC 4180 has it, and as people write it: a quotation mark within an unquoted cell is a character.

    TSV has no quotation marks by its definition, but many programs write them. A TSV file in which every mark can be
    read as in CSV is read so; in any other, and where that would join lines that are rows already, they are characters.
    """
    separator = _SEPARATORS[kind]
    quoted = b'"' in data and well_quoted(data, separator)
    if b'"' in data and not quoted and kind == "csv":
        return _read_slowly(data, header)
    records = _Records.of(data, separator, quoted)
    if kind == "tsv" and quoted:
        plain = _Records.of(data, separator, False)
        if not records.even() or (plain.even() and plain.fields[0] > 1 and len(plain.lines) > len(records.lines)):
            quoted, records = False, plain  # rather keep a quotation mark than lose a row
    begin = int(records.lines[0])
    first = data[records.starts[0] : records.ends[0]].decode("utf-8")
    names = _names(_cells(first, separator, begin) if quoted else first.split(separator), begin, header)
    if (ragged := np.flatnonzero(records.fields != len(names))).size:
        at = int(ragged[0])
        _ragged(int(records.lines[at]), int(records.fields[at]), names, kind, header)
    if header:
        records = records.tail()
    if not len(records.starts):
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String)), records.lines
    body = records.body(data)
    try:
        frame = pl.read_csv(
            _MARK + body if body.startswith(_MARK) else body,  # polars takes the first one away
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            separator=separator,
            quote_char='"' if quoted else None,
        )
    except _POLARS as error:
        raise DataError(f"cannot be read: {_first_line(error)}.") from None
    if frame.height != len(records.lines):
        raise DataError(f"cannot be read: {len(records.lines)} rows were written, {frame.height} found.")
    return frame, records.lines


def _cells(record: str, separator: str, line: int) -> list[str]:
    """The cells of one record with quotation marks."""
    try:
        return next(csv.reader([record], delimiter=separator))
    except csv.Error as error:
        raise DataError(
            f": {_first_line(error)}. A cell with a carriage return in it stands in quotation marks.",
            at=Place(line=line),
        ) from None


def well_quoted(data: bytes, separator: str) -> bool:
    """Whether each quotation mark opens a cell, closes one, or is one of a pair within one."""
    array = np.frombuffer(data, dtype=np.uint8)
    marks = np.flatnonzero(array == ord('"'))
    if len(marks) % 2:
        return False
    edges = np.array([ord(separator), ord("\n"), ord('"')], dtype=np.uint8)
    opening, closing = marks[::2], marks[1::2]
    before = array[opening[opening > 0] - 1]
    after = array[closing[closing < len(array) - 1] + 1]
    return bool(np.isin(before, edges).all() and np.isin(after, edges).all())


@dataclass(frozen=True)
class _Records:
    """Where each record of a file stands: `data[start:end]`, the line it begins on, how many cells it has."""

    starts: _Array
    ends: _Array
    lines: _Array
    fields: _Array

    @classmethod
    def of(cls, data: bytes, separator: str, quoted: bool) -> "_Records":
        """All records but empty lines."""
        array = np.frombuffer(data, dtype=np.uint8)
        newlines = np.flatnonzero(array == ord("\n"))
        cuts = np.flatnonzero(array == ord(separator))
        ends = newlines
        if quoted:
            marks = np.flatnonzero(array == ord('"'))
            ends = newlines[np.searchsorted(marks, newlines) % 2 == 0]
            cuts = cuts[np.searchsorted(marks, cuts) % 2 == 0]
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.concatenate([[0], ends[:-1] + 1])
        starts, ends = starts[starts < ends], ends[starts < ends]
        lines = np.searchsorted(newlines, starts) + 1
        return cls(starts, ends, lines, np.searchsorted(cuts, ends) - np.searchsorted(cuts, starts) + 1)

    def even(self) -> bool:
        """Whether all have equally many cells."""
        return bool((self.fields == self.fields[0]).all())

    def tail(self) -> "_Records":
        """All but the first."""
        return _Records(self.starts[1:], self.ends[1:], self.lines[1:], self.fields[1:])

    def body(self, data: bytes) -> bytes:
        """The bytes of these records, without empty lines between them."""
        first, last = int(self.starts[0]), int(self.ends[-1])
        if int((self.ends - self.starts).sum()) + len(self.starts) - 1 == last - first:
            return data[first:last] + b"\n"
        return b"".join(data[a:b] + b"\n" for a, b in zip(self.starts.tolist(), self.ends.tolist(), strict=True))


def _names(cells: Sequence[str], line: int, header: bool) -> list[str]:
    """The names of the columns; one without a name is called by its place."""
    names = [cell if header and cell else f"column_{i}" for i, cell in enumerate(cells, start=1)]
    if header and len(names) == 1 and ";" in names[0]:
        raise DataError(
            f": the header {shown(names[0])} is one cell. Write commas instead of "
            "semicolons, and points instead of decimal commas.",
            at=Place(line=line),
        )
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise DataError(f": the column {twice!r} stands there twice. Rename one.", at=Place(line=line))
    return names


def _ragged(line: int, fields: int, names: Sequence[str], kind: str, header: bool) -> NoReturn:
    what = "the header" if header else "the first line"
    many = "1 cell" if fields == 1 else f"{fields} cells"
    advice = {
        "csv": "A cell with a comma in it stands in quotation marks.",
        "tsv": "A cell cannot hold a tab or a line break.",
    }[kind]
    raise DataError(f": {many}, but {what} has {len(names)}. {advice}", at=Place(line=line))


def _read_slowly(data: bytes, header: bool) -> tuple[pl.DataFrame, _Array]:
    """CSV in which quotation marks also stand within cells: Python's reader takes these as characters."""
    rows, lines = [], []
    for line, row in _python_rows(data):
        if row:
            rows.append(row)
            lines.append(line)
    names = _names(rows[0], lines[0], header)
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            _ragged(line, len(row), names, "csv", header)
    body = rows[1:] if header else rows
    columns = [[cell or None for cell in column] for column in zip(*body, strict=True)] or [[] for _ in names]
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)), schema=dict.fromkeys(names, pl.String))
    return frame, np.array(lines[1:] if header else lines, dtype=np.int64)


def _python_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(data)))
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        why = (
            "a quotation mark is opened and never closed"
            if "end of data" in str(error)
            else "quotation marks: " + str(error)
        )
        raise DataError(f": {why}. Within a quoted cell write a quotation mark twice.", at=Place(line=line)) from None
    finally:
        csv.field_size_limit(limit)


# ---- JSON lines


def _json_lines(data: bytes, columns: Sequence[str] | None) -> tuple[pl.DataFrame, _Array]:
    """One object a line, all with the same keys and the same kind of value under each."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    kinds: dict[str, tuple[str, int]] = {}
    with placed(lambda place: replace(place, line=line)):
        for line, raw in enumerate(data.split(b"\n"), start=1):
            if not raw.strip():
                continue
            row = _object(raw)
            if rows:
                _check_keys(row, rows[0], columns, lines[0])
            elif missing := [column for column in columns or () if column not in row]:
                _no_column(missing[0], list(row))
            if columns is not None:
                row = {column: row[column] for column in columns}
            _check_kinds(row, kinds, line)
            rows.append({key: _evened(value, key) for key, value in row.items()})
            lines.append(line)
    try:
        frame = pl.DataFrame(rows, infer_schema_length=None, orient="row")
    except (*_POLARS, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"cannot be read as a table: {_first_line(error)}.") from None
    for name, dtype in frame.schema.items():
        if _holds(dtype, lambda part: part.is_float()):
            for line, row in zip(lines, rows, strict=True):
                _check_exact(name, row[name], Place(line=line))
    return frame, np.array(lines, dtype=np.int64)


def _check_exact(name: str, value: Any, at: Place | None = None) -> None:
    """Refuses whole numbers that would be rounded, since numbers with a point stand under the same name."""
    if (large := _rounded(value)) is not None:
        raise DataError(
            f": {name} holds {shown(large)}, which would be rounded, since numbers with "
            "a point stand under this name too. Write it as text, or all of them as whole numbers.",
            at=at,
        )


def _rounded(value: Any) -> int | None:
    """A whole number that no float is equal to, in a value or in what it holds."""
    if _has_parts(value):
        parts = map(_rounded, value.values() if isinstance(value, dict) else value)
        return next((part for part in parts if part is not None), None)
    if type(value) is not int or abs(value) <= _EXACT:
        return None
    return value if value > sys.float_info.max or value < -sys.float_info.max or float(value) != value else None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        row = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_unique)
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DataError(f": {error.msg} at character {error.colno}.") from None
    except UnicodeEncodeError:
        raise DataError(": holds one half of a surrogate pair.") from None
    except RecursionError:
        _too_deep()
    except ValueError as error:
        raise DataError(f": {_first_line(error)}.") from None
    if raw.count(b"[") + raw.count(b"{") > _DEPTH and _deeper(row, _DEPTH):
        _too_deep()
    if not isinstance(row, dict):
        raise DataError(f": expected an object {{...}}, got {raw[:40].decode(errors='replace')}.")
    if not row:
        raise DataError(": the object is empty.")
    return row


def _deeper(value: Any, depth: int) -> bool:
    """Whether lists and objects stand more than `depth` deep within each other."""
    level = [value] if _has_parts(value) else []
    for _ in range(depth):
        level = [inner for v in level for inner in (v.values() if isinstance(v, dict) else v) if _has_parts(inner)]
        if not level:
            return False
    return True


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list)


def _too_deep() -> NoReturn:
    raise DataError(
        f": lists and objects stand more than {_DEPTH} deep within each other. "
        "Write a table: a value, or a list of values, under each name."
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a name that stands twice in it, one value would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"{twice!r} stands twice in an object. Rename one")
    return made


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON. Write null")


def _check_keys(row: dict[str, Any], first: dict[str, Any], columns: Sequence[str] | None, begin: int) -> None:
    if missing := [key for key in first if key not in row]:
        raise DataError(f": has no {missing[0]!r}, but line {begin} has. Write null for a gap.")
    if columns is None and (more := [key for key in row if key not in first]):
        raise DataError(f": has {more[0]!r}, but line {begin} has not. Write null for a gap.")


def _has_float(value: Any) -> bool:
    return any(map(_has_float, value)) if isinstance(value, list) else isinstance(value, float)


def _evened(value: Any, key: str) -> Any:
    """The same with whole numbers beside floats as floats: [1, 2.5] is one list of numbers, but not to polars."""
    if not (isinstance(value, list) and _has_float(value)):
        return value
    _check_exact(key, value)
    return _as_floats(value)


def _as_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_floats(part) for part in value]
    return float(value) if type(value) is int else value


_KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", dict: "an object"}


def _kind_of(value: Any) -> str:
    """What a JSON value is, in words; of a list also what it holds."""
    if not isinstance(value, list):
        return _KINDS[type(value)]
    kinds = {_kind_of(item) for item in value if item is not None} - {"a list"}
    if not kinds:
        return "a list"
    return f"a list of {kinds.pop()}" if len(kinds) == 1 else "a mixed list"


def _check_kinds(row: dict[str, Any], kinds: dict[str, tuple[str, int]], line: int) -> None:
    for key, value in row.items():
        if value is None:
            continue
        kind = _kind_of(value)
        known, begin = kinds.setdefault(key, (kind, line))
        if known == "a list" and kind.startswith("a list"):  # the lists before were empty
            kinds[key] = (kind, line)
        elif kind == "a mixed list":
            raise DataError(f": {key} is a list of different kinds of values.")
        elif kind != known and not (kind == "a list" and known.startswith("a list")):
            raise DataError(f": {key} is {kind}, but on line {begin} it is {known}.")


# ---- writing


def rendered(frame: pl.DataFrame, kind: str, target: str) -> bytes:
    """A table as the bytes of a file of this kind; `target` is the name of the file in errors.

    >>> rendered(pl.DataFrame({"a": [1]}), "tsv", "some.tsv")
    b'a\\n1\\n'
    """
    if kind not in set(KINDS.values()) or (kind == "parquet" and target == "standard output"):
        raise DataError(f"{target}: {kind!r} is no kind of table that can be written there.")
    check_columns(frame, None if target == "standard output" else target, kind)
    try:
        if kind in _SEPARATORS:
            if frame.width == 1:  # a lone null would be an empty line
                frame = frame.with_columns(pl.all().cast(pl.String).fill_null(""))
            return frame.write_csv(separator=_SEPARATORS[kind]).encode("utf-8")
        if kind == "jsonl":
            return frame.write_ndjson().encode("utf-8")
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        return buffer.getvalue()
    except _POLARS as error:
        raise DataError(f"{target} cannot be written: {_first_line(error)}.") from None


def to_stdout(data: bytes) -> None:
    """Prints bytes of UTF-8."""
    text = data.decode("utf-8")
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a terminal that is not UTF-8
        sys.stdout.buffer.write(data)
    sys.stdout.flush()
