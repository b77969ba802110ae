"""FASTA and FASTQ: sequences of nucleotides or amino acids.

    >P53_HUMAN tumour protein        @read_1 lane 2
    MEEPQSDPSV                       ACGT
    EPPLSQETFS                       +
                                     IIHF

The first word of the line before a sequence is its ``id``, the rest the ``description``; the lines of a ``sequence``
are joined. FASTQ has a ``quality`` too, a character for each letter. Source: Pearson & Lipman, "Improved tools for
biological sequence comparison", 1988; Cock et al., "The Sanger FASTQ file format", 2010.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.errors import DataError, Place
from elman.validation.messages import shown

_Record = tuple[int, str, str, str]  # the line it begins on, what stands there, the sequence, the quality


def read_fasta(text: str) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The records as rows ``id``, ``description``, ``sequence``, and the line on which each begins.

    White space within a sequence is left out, and so are lines that begin with ``;``. Raises `DataError`, naming the
    line, for a sequence without a line that names it.

    >>> frame, lines = read_fasta(">a one\\nAC\\nGT\\n>b\\nTT\\n")
    >>> frame.rows(), lines
    ([('a', 'one', 'ACGT'), ('b', '', 'TT')], array([1, 4]))
    """
    records: list[_Record] = []
    parts: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(">"):
            if records:
                records[-1] = (*records[-1][:2], "".join(parts), "")
            records.append((number, line[1:], "", ""))
            parts = []
        elif line.strip() and not line.startswith(";"):
            if not records:
                _wrong(number, f": {shown(line)} stands before any line with > and a name.")
            parts.append("".join(line.split()))
    if records:
        records[-1] = (*records[-1][:2], "".join(parts), "")
    return _framed(records, quality=False)


def read_fastq(text: str) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The same of FASTQ, with the column ``quality``.

    Raises `DataError`, naming the line, for a record that is cut short or has more or fewer qualities than letters.

    >>> read_fastq("@a one\\nACGT\\n+\\nII@F\\n")[0].rows()
    [('a', 'one', 'ACGT', 'II@F')]
    """
    lines = text.split("\n")
    records: list[_Record] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        begin = at
        if not lines[at].startswith("@"):
            _wrong(at + 1, f": {shown(lines[at])} stands where a record begins, which is @ and a name.")
        sequence, at = _until_plus(lines, at + 1, begin)
        quality, at = _qualities(lines, at + 1, len(sequence), begin)
        records.append((begin + 1, lines[begin][1:], sequence, quality))
    return _framed(records, quality=True)


def _until_plus(lines: Sequence[str], at: int, begin: int) -> tuple[str, int]:
    """The letters of a record, and the place of its line with +."""
    parts = []
    while at < len(lines) and not lines[at].startswith("+"):
        parts.append("".join(lines[at].split()))
        at += 1
    if at == len(lines):
        _wrong(begin + 1, ": the record has no line with +. Is the file cut short?")
    return "".join(parts), at


def _qualities(lines: Sequence[str], at: int, letters: int, begin: int) -> tuple[str, int]:
    """The qualities of a record, which may begin with @ as well, and the place after them."""
    quality = ""
    if not letters:
        return quality, at + (at < len(lines) and not lines[at].strip())
    while at < len(lines) and len(quality) < letters and lines[at].strip():
        quality += lines[at].strip()
        at += 1
    if len(quality) != letters:
        _wrong(begin + 1, f": {letters} letters and {len(quality)} qualities. Each letter needs one.")
    return quality, at


def _framed(records: list[_Record], quality: bool) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    if not records:
        raise DataError("holds no sequences.")
    names = [[*heading.split(maxsplit=1), "", ""][:2] for _, heading, _, _ in records]
    columns = {
        "id": [name for name, _ in names],
        "description": [description.strip() for _, description in names],
        "sequence": [sequence for _, _, sequence, _ in records],
    }
    if quality:
        columns["quality"] = [one for *_, one in records]
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return frame, np.array([line for line, *_ in records], dtype=np.int64)


def _wrong(line: int, what: str) -> NoReturn:
    raise DataError(what, at=Place(line=line))
