"""More threads than free cores: layers with few rows, whose threads share out every step, beside ``torch.nn``.

Three machines: a quiet one with more threads than cores (2, 4, 16); one on which another process keeps every core busy;
and one whose CPU quota is one core, as a container's may be (needs the right to make control groups). Every side is a
process of its own (workers.py), and they run in turn, round after round; figures are medians over the rounds of the
time of one call without gradient, the last column is the median of the ratios of the rounds.

Run it on a quiet machine: python bench/oversubscribed.py [--write] [--only REGEX] [--list] [--rounds 9]
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import results
from workers import Maker, Side, interleaved

from layers import LAYERS, Layer, ours, padded

THREADS = (2, 4, 16)
MACHINES = ("quiet", "busy", "quota of 1 core")
HEAD = ["row", "elman ms", "elman, 1 thread ms", "torch ms", "torch ÷ elman"]


def jobs() -> dict[str, tuple[str, Layer]]:
    """Machine and layer by the name of a row: one sequence of 200 steps."""
    return {
        f"{machine}: {cell}, {threads} threads": (
            machine,
            Layer(cell, (200,), 64, 256, training=False, threads=threads),
        )
        for machine in MACHINES
        for cell in LAYERS
        for threads in THREADS
    }


@contextmanager
def others(kind: str) -> Iterator[None]:
    """Processes that keep every core busy, for the rows of that kind."""
    spin = [sys.executable, "-c", "while True: pass"]
    there = [subprocess.Popen(spin) for _ in range((os.cpu_count() or 1) if kind == "busy" else 0)]
    try:
        yield
    finally:
        for other in there:
            other.kill()
            other.wait()


@contextmanager
def group(kind: str, period: int = 100_000) -> Iterator[Path | None]:
    """A control group that may use one core, for the rows of that kind; raises OSError where none can be made."""
    if not kind.startswith("quota"):
        yield None
        return
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    made = Path("/sys/fs/cgroup", "" if unified else "cpu", f"elman-bench-{os.getpid()}")
    limits = {"cpu.max": f"{period} {period}"} if unified else {"cpu.cfs_period_us": period, "cpu.cfs_quota_us": period}
    made.mkdir()
    try:
        for name, limit in limits.items():
            (made / name).write_text(str(limit))
        yield made
    finally:
        made.rmdir()


def within(place: Path | None, maker: Maker) -> Side:
    """A side whose process is in a control group."""
    if place is not None:
        (place / "cgroup.procs").write_text(str(os.getpid()))
    return maker()


def measured(kind: str, layer: Layer, rounds: int) -> list[str]:
    one = replace(layer, threads=1)
    made = {"elman": partial(ours, layer), "elman 1": partial(ours, one), "padded": partial(padded, layer)}
    with others(kind), group(kind) as place:
        sides: dict[str, Maker] = {name: partial(within, place, maker) for name, maker in made.items()}
        row = interleaved(sides, rounds, layer.threads)
    return [row.ms("elman"), row.ms("elman 1"), row.ms("padded"), row.ratio("elman", "padded")]


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0], rounds=9).parse_args()
    named, lines = jobs(), []
    for name in results.chosen(list(named), options):
        kind, layer = named[name]
        try:
            lines.append([name, *measured(kind, layer, options.rounds)])
        except OSError as error:
            lines.append([name, f"not here ({error.strerror})", "", "", ""])
        print(" | ".join(lines[-1]), flush=True)
    head = "## More threads than cores\n\nOne sequence of 200 steps, I=64, H=256, inference."
    text = f"{head}\n\n{results.table(HEAD, lines)}"
    results.publish("oversubscribed", text, options.write, max(THREADS))


if __name__ == "__main__":
    main()
