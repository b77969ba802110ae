"""Files that are written whole or not at all: beside the old one first, then in its place."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from elman.errors import DataError

_count = itertools.count()


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file, or replaces one, so that an error or a crash at any moment leaves the old content or the new one.

    A link stays one: the file behind it is replaced. Devices and pipes are written as they are. Raises ``DataError``,
    with what the system said, where the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_file(f"{place}/notes.txt", b"new")
    ...     Path(f"{place}/notes.txt").read_bytes()
    b'new'
    """
    try:
        with writing(path) as file:
            file.write(data)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{os.fspath(path)} cannot be written: {reason}.") from None


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, part by part, which takes the place of the old one when the block ends without an error.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with writing(f"{place}/notes.txt") as file:
    ...         _ = file.write(b"one "), file.write(b"two")
    ...     Path(f"{place}/notes.txt").read_bytes()
    b'one two'
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    stem = f".{target.name[:24]}-{zlib.crc32(os.fsencode(target.name)):08x}"
    beside = target.with_name(f"{stem}.{os.getpid()}-{next(_count)}.part")
    try:
        with _synced(beside) as file:
            yield file
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file to the disk: a rename that outlives a power cut must not name an empty one."""
    with _synced(path) as file:
        file.write(data)


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
