"""What a person or a program sees of a command: notes on stderr, results on stdout."""

import contextlib
import dataclasses
import io
import json
import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Stop", "Terminated", "calm_output", "end", "note", "one_line", "print_json", "silence", "stopping"]


class Terminated(KeyboardInterrupt):
    """SIGTERM, where it ends a command as Ctrl-C does."""


@dataclasses.dataclass
class Stop:
    """What ended a command, if anything did, and the exit code that tells it."""

    name: str = "Ctrl-C"
    code: int = 130


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """In here SIGTERM, which batch systems and `timeout` send, is `Terminated`: what was learnt can still be saved."""
    stop = Stop()

    def terminated(*_: Any) -> None:
        stop.name, stop.code = "SIGTERM", 143
        raise Terminated

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, terminated)
    try:
        yield stop
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end(text: str, code: int) -> int:
    """A last line on stderr; the exit code."""
    note(f"elman: {text}")
    return code


def note(text: str) -> None:
    """One line on stderr."""
    if sys.stderr is not None:
        try:
            print(one_line(text), file=sys.stderr, flush=True)
        except BrokenPipeError:
            silence(sys.stderr)


def one_line(text: str) -> str:
    """Any text as one line that cannot move a terminal's cursor."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def silence(stream: Any) -> None:
    """What is still in the buffer of a closed pipe goes nowhere, so that the interpreter ends without a complaint."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # not a real file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def calm_output() -> Iterator[None]:
    """Warnings as one line each, and escapes where the output's encoding lacks a character, or a name is no text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: note(f"elman: warning: {message}")
    try:
        yield
    finally:
        warnings.showwarning = before


def print_json(value: Any) -> None:
    """One object on stdout, on one line."""
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    """NaN and the infinities, which JSON lacks, as null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
