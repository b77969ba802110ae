"""Texts that are paths of files, or lists written into a cell."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elman.errors import DataError, Place, Wording, option
from elman.io.audio import shown_path
from elman.validation.messages import shown

_SOUND = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".opus", ".m4a")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
_NUMBERS = re.compile(r"\[[\s\d.,+\-eEnaif\[\]]*\]")  # as JSON or NumPy writes them
_LONGEST = 4096  # characters of a path
_TEXTS = "of names that are texts say "


def are_sound_names(column: Sequence[Any]) -> bool:
    """Whether every non-empty text has the suffix of a sound file.

    >>> are_sound_names(["a/1.wav", "2.FLAC"]), are_sound_names(["a.wav", "hear a.wav now"])
    (True, False)
    """
    return _all_end(column, _SOUND)


def kind_of_texts(column: Sequence[Any], name: str, lists: bool = False) -> str:
    """The kind of texts: "sound" where all name sound files, else "text".

    Raises ``DataError`` for sound files that do not exist, for paths of images, which are not read from files, and,
    unless `lists` are allowed, for lists written into cells.

    >>> kind_of_texts(["a good film", "bad"], "X")
    'text'
    """
    if are_sound_names(column):
        for i, path in enumerate(column):
            if not _exists(path):
                raise DataError(
                    f", {shown_path(path)!r}, cannot be read: there is no such file, though all "
                    f"end as sound files do. Give paths that lead there from here; {_TEXTS}",
                    option("feature", "text"),
                    ".",
                    at=Place(name, sequence=i),
                )
        return "sound"
    if _all_end(column, _PICTURES) and all(map(_exists, column)):
        raise DataError(
            f", {shown_path(column[0])!r}, is the path of a picture, as are all others. Read them "
            f"into arrays [time, height, width] first; {_TEXTS}",
            option("feature", "text"),
            ".",
            at=Place(name, sequence=0),
        )
    if not lists:
        check_no_lists(column, Place(name, sequence=0), option("feature", "text"))
    return "text"


def check_no_lists(column: Sequence[Any], place: Place, advice: Wording) -> None:
    """Raises ``DataError`` where each text is a list written into a cell, such as "[1, 2]".

    >>> check_no_lists(["[1, 2]", "[3]"], Place("X", sequence=0), option("feature", "text"))
    Traceback (most recent call last):
    elman.errors.DataError: X: sequence 0 is the text '[1, 2]', a list that was written into a cell, as are all ...
    """
    full = [text for text in column if not isinstance(text, str) or text.strip()]
    if full and all(map(_is_list, full)):
        raise DataError(
            f"is the text {shown(full[0])}, a list that was written into a cell, as are all others. Give "
            "lists: json.loads(cell), or a table in JSON lines (.jsonl) or Parquet. Of what is a text say ",
            advice,
            ".",
            at=place,
        )


def _is_list(text: Any) -> bool:
    stripped = text.strip() if isinstance(text, str) else ""
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return False
    if _NUMBERS.fullmatch(stripped):
        return True
    try:
        return isinstance(json.loads(stripped), list)
    except (ValueError, RecursionError):
        return False


def _all_end(column: Sequence[Any], suffixes: tuple[str, ...]) -> bool:
    paths = [path for path in column if isinstance(path, os.PathLike) or path]
    return bool(paths) and all(_ends(path, suffixes) for path in paths)


def _ends(path: Any, suffixes: tuple[str, ...]) -> bool:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    return isinstance(text, str) and len(text) <= _LONGEST and text.lower().endswith(suffixes) and "\n" not in text


def _exists(path: Any) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a NUL, or a name that is too long
        return False
