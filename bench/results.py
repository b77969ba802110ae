"""Where benchmark tables go: a section of RESULTS.md for each, with machine and versions."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def arguments(description: str) -> argparse.ArgumentParser:
    """The flags every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    return parser


def speed_arguments(description: str, rounds: int = 5) -> argparse.ArgumentParser:
    """The flags of the benchmarks whose rows run several sides in turn."""
    parser = arguments(description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds a row (default {rounds})")
    parser.add_argument("--only", default="", metavar="REGEX", help="rows whose name has this; not with --write")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and leave")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads (default 2)")
    return parser


def chosen(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """The rows that --only names. A table is written whole or not at all."""
    if options.write and options.only:
        raise SystemExit("--write puts whole tables into RESULTS.md: leave --only out.")
    found = [name for name in names if re.search(options.only, name)]
    if options.list or not found:
        print("\n".join(found) or f"no row has {options.only!r} in its name; --list prints them")
        raise SystemExit
    return found


def processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if names:
            return str(names[0])
    return platform.processor() or platform.machine()


def environment(threads: int | None, peers: Sequence[str]) -> str:
    """One paragraph: when, on what, with which versions."""
    import torch  # here, so that a process of another library that imports this file stays free of torch

    from elman import __version__
    from elman.ops import functional as ops

    core = ops.info()
    versions = [f"torch {torch.__version__}", *(f"{peer} {version(peer)}" for peer in peers)]
    return (
        f"{dt.date.today().isoformat()}; {processor()}, {os.cpu_count()} cores, "
        f"{threads or torch.get_num_threads()} threads; "
        f"{platform.system()} {platform.release()}; Python {platform.python_version()}, {', '.join(versions)}, "
        f"elman {__version__} ({core['chosen']}, {core['compiler']}). Command: `python {' '.join(sys.argv)}`."
    ).replace(str(Path.cwd()) + "/", "")


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(section: str, text: str, write: bool, threads: int | None = None, peers: Sequence[str] = ()) -> None:
    """Prints a section and, if asked, puts it between its marks in RESULTS.md."""
    body = f"{text}\n\n{environment(threads, peers)}"
    print(f"\n{body}")
    if not write:
        return
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Measured\n"
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    block = f"{start}\n{body}\n{end}"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else f"{old.rstrip()}\n\n{block}\n"
    RESULTS.write_text(new, encoding="utf-8")
