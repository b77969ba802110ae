"""Training and inference speed of the recurrent layers beside ``torch.nn``: padded, packed and in bfloat16.

Every side of a row is a process of its own (workers.py); they compute the same, which is checked, and run in turn,
round after round. Figures are medians, ratios are medians of the ratios of the rounds. Training is forward, backward
and the gradient of the inputs. "useful" counts the arithmetic on real steps only: 3 * 2 N g H (I + H) for training, a
third of it for inference; "of peak" is its share of the best matrix product of the same rounds.

Run it on a quiet machine: python bench/speed.py [--write] [--only REGEX] [--list] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import results
import torch
from workers import Maker, Row, interleaved, peak, peaks

from elman import Ragged
from layers import LAYERS, Layer, ours, packed, padded, ragged_lengths

RAGGED = ragged_lengths()
JOBS = {
    "ragged, H=128": Layer("LSTM", RAGGED, 100, 128),
    "ragged, H=256": Layer("LSTM", RAGGED, 100, 256),
    "ragged, both directions, H=128": Layer("LSTM", RAGGED, 100, 128, bidirectional=True),
    "ragged, both directions, H=256": Layer("LSTM", RAGGED, 100, 256, bidirectional=True),
    "equal, T=200, H=256": Layer("LSTM", (200,) * 32, 128, 256),
    "equal, T=200, H=512": Layer("LSTM", (200,) * 32, 128, 512),
}
BF16 = ("ragged, H=128", "ragged, H=256", "equal, T=200, H=256", "equal, T=200, H=512")
HEAD = ["elman ms", "padded ms", "ratio", "packed ms", "ratio", "useful GF/s", "of peak"]


def rows_of(table: str, threads: int) -> dict[str, Layer]:
    """The jobs of a table by the name of their row."""
    if table in ("training", "inference"):
        named = {f"{job}, {cell}": replace(layer, cell=cell) for job, layer in JOBS.items() for cell in LAYERS}
    elif table.startswith("bf16"):
        named = {f"{job}, {cell}": replace(JOBS[job], cell=cell) for job in BF16 for cell in LAYERS}
    elif table.startswith("few rows"):
        named = {
            f"B={rows}, H={hidden}, {cell}": Layer(cell, (200,) * rows, 128, hidden)
            for cell in ("LSTM", "GRU")
            for hidden in (256, 512)
            for rows in (1, 2, 4)
        }
    else:
        named = {f"{job}, {cell}": replace(JOBS[job], cell=cell) for job in BF16[1:3] for cell in LAYERS}
    training = not table.endswith("inference")
    return {f"{table}: {name}": replace(job, training=training, threads=threads) for name, job in named.items()}


def against_torch(layer: Layer, rounds: int) -> list[str]:
    """fp32: ours, padded, packed. On equal lengths too: packed is the faster of the two there at times."""
    sides: dict[str, Maker] = {
        "elman": partial(ours, layer),
        "padded": partial(padded, layer),
        "packed": partial(packed, layer),
    }
    row = run(sides, layer, rounds)
    against = [part for peer in ("padded", "packed") for part in (row.ms(peer), row.ratio("elman", peer))]
    return [row.ms("elman"), *against, *row.share("elman", layer.work)]


def in_bf16(layer: Layer, rounds: int) -> list[str]:
    """bf16 under autocast: ours, padded torch the same way, padded torch with weights in bf16; and our own fp32."""
    low = replace(layer, bf16=True)
    sides: dict[str, Maker] = {
        "elman": partial(ours, low),
        "fp32": partial(ours, layer),
        "padded": partial(padded, low),
        "whole": partial(padded, low, whole_bf16=True),
    }
    row = run(sides, low, rounds, tolerance=0.1)
    cells = [row.ms("elman")]
    for peer in ("fp32", "padded", "whole"):
        cells += [row.ms(peer), row.ratio("elman", peer)]
    return [*cells, *row.share("elman", layer.work)]


def few_rows(layer: Layer, rounds: int) -> list[str]:
    """One thread beside all of them, ours and torch's."""
    one = replace(layer, threads=1)
    sides: dict[str, Maker] = {
        "elman 1": partial(ours, one),
        "elman": partial(ours, layer),
        "padded 1": partial(padded, one),
        "padded": partial(padded, layer),
    }
    row = run(sides, layer, rounds)
    best = min(("padded 1", "padded"), key=row.median)
    times = [row.ms(name) for name in sides]
    return [*times, row.ratio("elman", "elman 1"), row.ratio("elman", best), *row.share("elman", layer.work)]


def two_threads(layer: Layer, rounds: int) -> list[str]:
    """Ours and padded torch at one thread and at all."""
    cells = []
    for maker in (ours, padded):
        sides: dict[str, Maker] = {
            "one": partial(maker, replace(layer, threads=1)),
            "all": partial(maker, layer),
        }
        row = run(sides, layer, rounds)
        cells += [row.ms("one"), row.ms("all"), row.ratio("all", "one")]
    return cells


def run(sides: dict[str, Maker], layer: Layer, rounds: int, tolerance: float = 1e-4) -> Row:
    product: dict[str, Maker] = {"peak": partial(peak, layer.threads, layer.bf16)}
    return interleaved(sides | product, rounds, layer.threads, tolerance)


FEW = ["elman, 1 thread ms", "elman ms", "padded, 1 thread ms", "padded ms", "elman 1 ÷ all", "best padded ÷ elman"]
LOW = ["elman bf16 ms", "elman fp32 ms", "ratio", "padded autocast ms", "ratio", "padded, bf16 weights ms", "ratio"]
THREADS = ["elman, 1 thread ms", "elman ms", "speed-up", "padded, 1 thread ms", "padded ms", "speed-up"]
USEFUL = ["useful GF/s", "of peak"]
TABLES = {
    "training": ("Training, B=32", HEAD, against_torch),
    "inference": ("Inference, B=32", HEAD, against_torch),
    "bf16 training": ("bfloat16, training, B=32", LOW + USEFUL, in_bf16),
    "bf16 inference": ("bfloat16, inference, B=32", LOW + USEFUL, in_bf16),
    "few rows, training": ("Few rows, training, T=200, I=128", FEW + USEFUL, few_rows),
    "few rows, inference": ("Few rows, inference, T=200, I=128", FEW + USEFUL, few_rows),
    "threads": ("All threads over one, training, B=32", THREADS, two_threads),
}


def measure(options: argparse.Namespace) -> list[str]:
    """The tables that have a chosen row."""
    jobs = {table: rows_of(table, options.threads) for table in TABLES}
    wanted = set(results.chosen([name for rows in jobs.values() for name in rows], options))
    parts = []
    for table, (title, head, measured) in TABLES.items():
        lines = []
        for name, layer in jobs[table].items():
            if name in wanted:
                lines.append([name.removeprefix(table + ": "), *measured(layer, options.rounds)])
                print(" | ".join([table, *lines[-1]]), flush=True)
        if lines:
            parts.append(f"### {title}\n\n{results.table(['row', *head], lines)}")
    return parts


def timed_import(module: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def import_ratio(rounds: int) -> str:
    timed_import("torch"), timed_import("elman")
    pairs = [(timed_import("elman"), timed_import("torch")) for _ in range(rounds)]
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return f"`import elman` {mine:.2f} s, `import torch` {theirs:.2f} s: {ratio:.2f}×."


def same_bits(threads: int) -> str:
    """How many results of a sequence alone differ from those in a batch, at one thread and at all."""
    differing, compared = 0, 0
    for cell in LAYERS:
        layer = LAYERS[cell](100, 128, bidirectional=True)
        x = Ragged.of([torch.randn(length, 100) for length in RAGGED])
        for count in (1, threads):
            torch.set_num_threads(count)
            with torch.no_grad():
                whole = layer(x)[0]
                for i in range(len(x)):
                    compared += 1
                    differing += not torch.equal(layer(x[i : i + 1])[0].values, whole[i])
    return (
        f"A sequence alone against the same in a batch of 32, at 1 and {threads} threads: {differing} of {compared} "
        "differ in any bit."
    )


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0]).parse_args()
    parts = measure(options)
    top = f"## Speed of the layers\n\n{peaks(options.threads)}"
    if not options.only:
        parts += [same_bits(options.threads), import_ratio(options.rounds)]
    results.publish("speed", "\n\n".join([top, *parts]), options.write, options.threads)


if __name__ == "__main__":
    main()
