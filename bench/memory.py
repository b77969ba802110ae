"""Peak memory of one training step of a layer: ours and ``torch.nn``'s, padded and packed.

What is printed is the growth of the process over the step: the kernel's own mark of the largest resident size (VmHWM of
/proc/self/status, set back through /proc/self/clear_refs just before), less the resident size at that moment. Before
it stand the library, warmed by a tiny step, the weights, the inputs and the gradient handed in; in it are the outputs,
what is kept for the backward pass, work space, and the gradients of inputs and weights. ru_maxrss would not do: it
cannot be set back, and building the data may have passed the step. Every figure comes from a fresh process.

Run it: python bench/memory.py [--write] [--only REGEX] [--list] [--rounds 1] [--threads 2]
"""

from __future__ import annotations

import gc
import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import results
from workers import Maker, NotThereError, Side, Worker, need

from layers import Layer, ours, packed, padded, ragged_lengths

Builder = Callable[[Layer], Side]
SIDES: dict[str, Builder] = {
    "padded": padded,
    "packed": packed,
    "save": ours,  # the default
    "recompute": partial(ours, checkpointing=True),
}
ONE_LONG = "one sequence of 100,000 steps, I=64, H=128, LSTM"


def jobs(threads: int) -> dict[str, Layer]:
    kinds = {"equal, T=1000": (1000,) * 32, "ragged": ragged_lengths()}
    named = {
        f"{kind}, B=32, I=128, H=256, {cell}": Layer(cell, lengths, 128, 256, threads=threads)
        for kind, lengths in kinds.items()
        for cell in ("LSTM", "GRU", "RNN")
    }
    return named | {ONE_LONG: Layer("LSTM", (100_000,), 64, 128, threads=threads)}


def resident(mark: str) -> int:
    """Bytes of a line of /proc/self/status: VmRSS now, VmHWM at most."""
    found = re.search(rf"^{mark}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise NotThereError("needs Linux")
    return 1024 * int(found[1])


def growth(layer: Layer, build: Builder) -> Side:
    """A side whose answer is the growth of the process over two training steps, in bytes."""
    need("resource")  # not on Windows
    if not Path("/proc/self/clear_refs").exists():
        raise NotThereError("needs Linux")
    tiny = build(replace(layer, lengths=(3,) * min(2, len(layer.lengths))))
    tiny.run()
    del tiny
    side = build(layer)

    def answer() -> np.ndarray:
        gc.collect()
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        side.run()
        side.run()
        return np.array([resident("VmHWM") - before])

    return Side(side.run, answer)


def peak_of(maker: Maker, threads: int, rounds: int) -> tuple[float, float] | str:
    """Bytes (the median of fresh processes) and seconds of a step, or why there are none."""
    found, seconds = [], []
    for _ in range(rounds):
        try:
            worker = Worker(maker, threads, lean=True)
        except NotThereError as reason:
            return str(reason)
        answer = worker.answer()
        assert answer is not None
        found.append(float(answer[0]))
        seconds.append(float(worker.turn(1)[0]))
        worker.close()
    return statistics.median(found), statistics.median(seconds)


def measured(layer: Layer, rounds: int) -> list[str]:
    names = [name for name in SIDES if name != "packed" or len(layer.lengths) > 1]
    peaks = {name: peak_of(partial(growth, layer, SIDES[name]), layer.threads, rounds) for name in names}
    steps = sum(layer.lengths)
    line = []
    for name in SIDES:
        mine, base = peaks.get(name, ""), peaks["padded"]
        if isinstance(mine, str):
            line += [mine, "", "", ""]
            continue
        ratio = "" if isinstance(base, str) else f"{mine[0] / base[0]:.2f}×"
        line += [f"{mine[0] / 2**20:.0f}", f"{mine[0] / steps:.0f}", ratio, f"{1e3 * mine[1]:.0f}"]
    return line[:2] + line[3:]  # padded over itself


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0], rounds=1).parse_args()
    named = jobs(options.threads)
    lines = []
    for name in results.chosen(list(named), options):
        lines.append([name, f"{sum(named[name].lengths)}", *measured(named[name], options.rounds)])
        print(" | ".join(lines[-1]), flush=True)
    heads = [f"{name} {what}" for name in SIDES for what in ("MiB", "bytes a step", "÷ padded", "ms")]
    heads.remove("padded ÷ padded")
    table = results.table(["row", "steps", *heads], lines)
    text = "Growth of the process over a training step, at its peak; a step is a real one, not padding."
    results.publish("memory", f"## Memory of training\n\n{text}\n\n{table}", options.write, options.threads)


if __name__ == "__main__":
    main()
