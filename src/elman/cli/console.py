"""Output of the commands: notes on stderr, results on stdout."""

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


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C."""


@dataclasses.dataclass
class Stop:
    """The signal that interrupted a command, if any, and its exit code."""

    name: str = "Ctrl-C"
    code: int = 130


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Turns SIGTERM, which batch systems and `timeout` send, into `Terminated`, so that the model can be saved."""
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
    """Writes a last line to stderr and returns the exit code."""
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
    """The text as one line without terminal control characters."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def silence(stream: Any) -> None:
    """Discards what is still buffered for a closed pipe, so that the interpreter exits without an error message."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # not a real file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def calm_output() -> Iterator[None]:
    """Prints each warning on one line, and escapes characters that the output encoding cannot represent."""
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
    """Prints an object as one line of JSON."""
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    """The value with null for NaN and infinities, which JSON lacks."""
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
