"""Progress of a command that answers a table part by part: lines on stderr with the rows that are done."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from elman.cli.console import note

if TYPE_CHECKING:
    from elman.io.tables import Table

EVERY = 10.0  # seconds between two lines, at least


def counted(parts: Iterable["Table"], quiet: bool) -> Iterator["Table"]:
    """The parts unchanged; a line at most every ten seconds says how many rows are done, unless `quiet`.

    >>> list(counted([], quiet=False))
    []
    """
    done, last = 0, time.monotonic()
    for part in parts:
        yield part
        done += part.frame.height
        if not quiet and time.monotonic() - last >= EVERY:
            last = time.monotonic()
            note(f"elman: {done:,} rows answered")
