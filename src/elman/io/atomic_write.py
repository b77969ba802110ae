"""Files that are written whole or not at all: beside the old one first, then in its place."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import zlib
from pathlib import Path

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
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            _replace(target, data)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{os.fspath(path)} cannot be written: {reason}.") from None


def _replace(target: Path, data: bytes) -> None:
    stem = f".{target.name[:24]}-{zlib.crc32(os.fsencode(target.name)):08x}"
    beside = target.with_name(f"{stem}.{os.getpid()}-{next(_count)}.part")
    try:
        write_synced(beside, data)
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file to the disk: a rename that outlives a power cut must not name an empty one."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
