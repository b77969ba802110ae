"""Where benchmark tables go: a section of RESULTS.md for each script, with machine and versions."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from elman import __version__, ops

RESULTS = Path(__file__).with_name("RESULTS.md")


def arguments(description: str) -> argparse.ArgumentParser:
    """The flags every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    return parser


def processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if names:
            return str(names[0])
    return platform.processor() or platform.machine()


def environment() -> str:
    """One paragraph: when, on what, with which versions."""
    core = ops.info()
    return (
        f"{dt.date.today().isoformat()}; {processor()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads; "
        f"{platform.system()} {platform.release()}; Python {platform.python_version()}, torch {torch.__version__}, "
        f"elman {__version__} ({core['chosen']}, {core['compiler']}). Command: `python {' '.join(sys.argv)}`."
    ).replace(str(Path.cwd()) + "/", "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(section: str, text: str, write: bool) -> None:
    """Prints a section and, if asked, puts it between its marks in RESULTS.md."""
    body = f"{text}\n\n{environment()}"
    print(f"\n{body}")
    if not write:
        return
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Measured\n"
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    block = f"{start}\n{body}\n{end}"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else f"{old.rstrip()}\n\n{block}\n"
    RESULTS.write_text(new, encoding="utf-8")
