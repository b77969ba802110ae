"""Forked processes: the threads of polars stay in the parent, and most of its calls wait for them without an end.

What reads frames in memory (`frame`, `stamps` and `zones` of `elman.tasks.forecast.data`) does without those threads.
What cannot, reading and writing tables, asks `refuse_without_threads` first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from elman.errors import DataError


class _Threads:
    """What is known of the threads of polars at a fork."""

    lost = False  # whether they ran in a process that this one was forked from
    running = False  # whether they, or what they left, are in the process that is about to fork


def refuse_without_threads(what: str) -> None:
    """Raises ``DataError`` in a process whose parent used polars before it was forked."""
    if _Threads.lost:
        raise DataError(
            f"{what} needs the threads of polars, which were lost when this process was forked. Start processes with "
            "multiprocessing.set_start_method('spawn'), or do this before they are started."
        )


def are_running(tasks: Path = Path("/proc/self/task")) -> bool:
    """Whether polars has started its threads; True where nothing tells."""
    try:
        names = [(task / "comm").read_text("utf-8", errors="replace") for task in tasks.iterdir()]
    except OSError:
        return True
    return any(re.match(r"polars-\d", name) for name in names)


def _before_a_fork() -> None:
    _Threads.running = _Threads.lost or are_running()


def _in_the_child() -> None:
    _Threads.lost = _Threads.running


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_a_fork, after_in_child=_in_the_child)
