"""CoNLL files, a word per line and an empty line after each sentence: CoNLL-U, and columns as in CoNLL-2003.

A sentence becomes a row, whose cells are lists with a value for each word. CoNLL-U has ten columns, of which words
(``form``) and seven more are read; comments, ranges of contracted words (``1-2``) and words that were left out
(``1.1``) are passed over. Other files have columns divided by tabs, or else by spaces: the first is ``token``, the last
``tag``, those between are ``column_2`` and so on; a single column is ``token`` alone, for words to be labelled.

A comment in such a file is a line that begins with ``# ``, ``##``, ``#begin`` or ``#end``, stands where a sentence
begins (first in the file, after an empty line, after ``-DOCSTART-`` or another comment), and cannot be a word: it has
another number of columns than the words; or no word has its last cell, and half of all sentences begin so, or it begins
with ``# `` in a file with tabs. Every other line with a ``#`` is a word.

Source: Nivre et al., "Universal Dependencies v2", 2020; Tjong Kim Sang & De Meulder, CoNLL 2003.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.errors import DataError, Place

#: The columns of CoNLL-U that are read, and where they stand.
_UNIVERSAL = {"form": 1, "lemma": 2, "upos": 3, "xpos": 4, "feats": 5, "head": 6, "deprel": 7, "misc": 9}
_Lines = NDArray[np.int64]
_COMMENT = re.compile(r"# |##|#begin\b|#end\b")
_Row = tuple[int, list[str]]


def read_conll(text: str, universal: bool) -> tuple[pl.DataFrame, _Lines]:
    """The sentences as rows of lists, and the line on which each begins.

    Raises `DataError`, naming the line, for a line with too few or too many columns, and for a file without words.

    >>> frame, lines = read_conll("Rome B-place\\nfell O\\n\\nSo O\\n", universal=False)
    >>> frame.rows(), lines
    ([(['Rome', 'fell'], ['B-place', 'O']), (['So'], ['O'])], array([1, 4]))
    """
    rows = list(_rows(text, universal))
    if not any(rows):
        raise DataError("holds no words: a line each, and an empty line after each sentence.")
    first, width = next((row[0], len(row[1])) for row in rows if row)
    sentences, lines = [], []
    for sentence in ([row for row in group if row] for words, group in itertools.groupby(rows, bool) if words):
        for line, cells in sentence:
            if len(cells) != width:
                raise DataError(
                    f"has {len(cells)} column{'s' * (len(cells) > 1)}, line {first} has "
                    f"{width}. Every word needs the same columns.",
                    at=Place(line=line),
                )
        lines.append(sentence[0][0])
        sentences.append([cells for _, cells in sentence])
    names = ["token", *(f"column_{place}" for place in range(2, width)), "tag"][:width]
    places = _UNIVERSAL if universal else {name: place for place, name in enumerate(names)}
    columns = {name: [[cells[place] for cells in sentence] for sentence in sentences] for name, place in places.items()}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.List(pl.String))), np.array(lines, dtype=np.int64)


def answered_conll(text: str, universal: bool, column: str, answers: Sequence[Sequence[Any]]) -> str:
    """The text of a file with an answer for each word of each sentence; all else as it was.

    In CoNLL-U the answers take the place of the `column`; of a column that it has not, they go to the last one, MISC,
    as ``column=answer``. In other files they are one more column, the last.

    >>> print(answered_conll("Rome O\\nfell O\\n", False, "tag", [["B-place", "O"]]), end="")
    Rome O B-place
    fell O O
    """
    lines = text.split("\n")
    remaining = iter([answer for own in answers for answer in own])
    for row in _rows(text, universal):
        if row is None:
            continue
        number, cells = row
        line, answer = lines[number - 1], str(next(remaining))
        end = "\r" * line.endswith("\r")
        if not universal:
            between = "\t" if "\t" in line else " "
            lines[number - 1] = line.rstrip(" \t\r") + between + answer + end
            continue
        if column in _UNIVERSAL and column != "misc":
            cells[_UNIVERSAL[column]] = answer
        else:
            before = [] if cells[-1] == "_" else [cells[-1]]
            cells[-1] = "|".join([*before, f"{column}={answer}"])
        lines[number - 1] = "\t".join(cells) + end
    return "\n".join(lines)


def _rows(text: str, universal: bool) -> Iterator[_Row | None]:
    """Each word's line and cells; None between sentences."""
    lines = text.split("\n")
    if universal:
        yield from _universal_rows(lines)
        return
    marks = _marked(lines)
    first = next((line for i, line in enumerate(lines) if i not in marks and not _is_separator(line)), "")
    tabs = "\t" in (first or next((line for line in lines if not _is_separator(line)), ""))
    width = len(_cells(first, tabs, 0))
    comments = _comments(lines, marks, tabs, width)
    for number, line in enumerate(lines, start=1):
        if _is_separator(line):
            yield None
        elif number - 1 not in comments:
            cells = _cells(line, tabs, width)
            if not all(cells):
                raise DataError(
                    f": {line[:40]!r} has an empty cell. Write a word and its label with a "
                    "tab between them, and an empty line after each sentence.",
                    at=Place(line=number),
                )
            yield number, cells


def _universal_rows(lines: Sequence[str]) -> Iterator[_Row | None]:
    for number, line in enumerate(lines, start=1):
        if _is_separator(line):
            yield None
        elif not line.startswith("#"):
            cells = _cells(line.rstrip("\r"), True, 10)
            if len(cells) != 10:
                what = f"has {len(cells)} columns, where CoNLL-U has 10, divided by tabs."
                raise DataError(what, at=Place(line=number))
            if cells[0].isdigit():
                yield number, cells


def _is_separator(line: str) -> bool:
    return not line.strip(" \t\r") or line.startswith("-DOCSTART-")


def _cells(line: str, tabs: bool, width: int) -> list[str]:
    """The cells of a line, without spaces around them; between tabs a cell of nothing but spaces is that. Empty cells
    after the last of `width` (0: not known, two at least) are no cells."""
    line = line.rstrip("\r")
    if not tabs:
        return [cell for cell in line.replace("\t", " ").split(" ") if cell]
    cells = [cell.strip(" ") or cell for cell in line.split("\t")]
    while len(cells) > max(2, width) and not cells[-1].strip(" "):
        del cells[-1]
    return cells


def _marked(lines: Sequence[str]) -> set[int]:
    """The lines that look like comments: see the head of this file."""
    found: set[int] = set()
    begins = True
    for i, line in enumerate(lines):
        if begins and _COMMENT.match(line):
            found.add(i)
        else:
            begins = _is_separator(line)
    return found


def _comments(lines: Sequence[str], marks: set[int], tabs: bool, width: int) -> set[int]:
    """Which of the lines that look like comments are, in a file whose words have `width` columns (0: it has none)."""
    if not marks or not width:
        return set()
    words = (line for i, line in enumerate(lines) if i not in marks and not _is_separator(line))
    known = Counter(_cells(line, tabs, width)[-1] for line in words)
    parts = [True, *map(_is_separator, lines)]
    begins = [i for i in range(len(lines)) if parts[i] and not parts[i + 1]]
    usual = 2 * len(marks.intersection(begins)) >= len(begins)

    def is_comment(line: str) -> bool:
        cells = _cells(line, tabs, width)
        return len(cells) != width or ((usual or (tabs and line.startswith("# "))) and cells[-1] not in known)

    return {i for i in marks if is_comment(lines[i])}
