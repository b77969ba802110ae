"""`elman stream MODEL`: the current answer after each line of standard input."""

import itertools
import json as json_
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.console import note, one_line, print_json
from elman.cli.parameters import Json, Model
from elman.errors import DataError, OptionError, Place, placed


def stream(
    model: Model,
    /,
    *,
    static: Annotated[
        str | None, Parameter(help="the static inputs as JSON: '{\"age\": 63}'; those left out are missing")
    ] = None,
    json: Json = False,
) -> None:
    """Read stdin line by line and print the current answer after each.

    A line is a chunk of the sequence: some words of a text, a token (or a JSON list of tokens), the numbers of one
    step. An empty line starts a new sequence. The model must not be bidirectional.
    """
    from elman.tasks import load, table_of

    task = load(model)
    adapter: Any = table_of(task)  # a `LineAdapter` where the task has a stream: others refuse to begin
    known = _read_static(static)
    begin = task.stream if known is None else lambda: task.stream(known)
    if known is not None and task.reader is None:
        raise OptionError(
            f"{model} is a model for the task {task.task!r}, which has no static inputs. Leave --static out."
        )
    session = begin()
    if sys.stdin is None:
        raise DataError("there is no standard input to read. Use elman stream MODEL < live.txt")
    if sys.stdin.isatty():
        note("Type a chunk and press Enter; an empty line starts a new sequence, Ctrl-D ends.")
    number = fed = 0
    for line, raw in enumerate(_lines(), start=1):
        if not raw.strip():
            number, fed = number + bool(fed), 0
            session = begin()
            if not json:
                print(flush=True)
            continue
        chunk = adapter.parse_line(raw, line)  # names the line itself
        with placed(lambda place, line=line: replace(place, file="standard input", line=line)):  # type: ignore[misc]
            answer = session.feed(chunk)
        fed += 1
        text, fields = adapter.format_answer(answer)
        if json:
            print_json({"sequence": number, "line": line, **fields})
        else:
            print("\t".join(one_line(part) for part in text.split("\t")), flush=True)


def _read_static(text: str | None) -> Any:
    if text is None:
        return None
    try:
        static = json_.loads(text)
    except (ValueError, RecursionError):
        static = None
    if not isinstance(static, dict):
        raise OptionError(f"--static {text[:40]!r} is no JSON object. Write --static '{{\"age\": 63}}'")
    return static


def _lines() -> Iterator[str]:
    """The lines of stdin as they come, as UTF-8 whatever the locale."""
    source = getattr(sys.stdin, "buffer", None)
    for number in itertools.count(1):
        raw = source.readline() if source is not None else sys.stdin.readline().encode()
        if not raw:
            return
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            at = f"byte {error.start + 1} of the line, 0x{raw[error.start]:02x}"
            raise DataError(f": {at}, is not UTF-8.", at=Place(file="standard input", line=number)) from None
