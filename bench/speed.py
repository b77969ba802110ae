"""Training and inference speed of the recurrent layers beside ``torch.nn``, padded and packed.

Every row runs its sides in turn, round after round, in a process of its own; figures are medians, ratios are medians of
the ratios of the rounds. Training is forward, backward and the gradient of the inputs. "useful" counts the arithmetic
on real steps only: 3 * 2 N g H (I + H) for training, a third of it for inference.

Run it on a quiet machine: python bench/speed.py [--write]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import results
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

import elman
from elman import Ragged, ops

PEERS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
LAYERS = {"LSTM": elman.nn.LSTM, "GRU": elman.nn.GRU, "RNN": elman.nn.RNN}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass
class Setting:
    name: str
    lengths: list[int]
    inputs: int
    hidden: int
    bidirectional: bool = False
    packed: bool = True


def ragged_lengths() -> list[int]:
    """32 lengths, log-normal, mean 215: exp(0.6 randn + 5.2), clipped to 10 ... 1000, seed 0."""
    generator = torch.Generator().manual_seed(0)
    return torch.exp(0.6 * torch.randn(32, generator=generator) + 5.2).clamp(10, 1000).long().tolist()


def settings() -> list[Setting]:
    ragged = ragged_lengths()
    return [
        Setting("ragged", ragged, 100, 128),
        Setting("ragged", ragged, 100, 256),
        Setting("ragged, both directions", ragged, 100, 128, bidirectional=True),
        Setting("ragged, both directions", ragged, 100, 256, bidirectional=True),
        Setting("equal, T=200", [200] * 32, 128, 256, packed=False),
        Setting("equal, T=200", [200] * 32, 128, 512, packed=False),
    ]


def timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleave(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    for call in sides.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            seconds[name].append(timed(call))
    return seconds


def backward_of(run: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], None]:
    def call() -> None:
        y = run()
        y.backward(torch.ones_like(y))
        for leaf in leaves:
            leaf.grad = None

    return call


def without_gradient(run: Callable[[], Tensor]) -> Callable[[], None]:
    def call() -> None:
        with torch.no_grad():
            run()

    return call


def sides_of(cell: str, setting: Setting, training: bool) -> dict[str, Callable[[], None]]:
    torch.manual_seed(0)
    options = {"batch_first": True, "bidirectional": setting.bidirectional}
    peer = PEERS[cell](setting.inputs, setting.hidden, **options)
    ours = LAYERS[cell](setting.inputs, setting.hidden, **options)
    ours.load_state_dict(peer.state_dict())
    x = Ragged.of([torch.randn(length, setting.inputs) for length in setting.lengths])
    values = x.values.requires_grad_(training)
    padded = pad_sequence(list(values.detach().split(setting.lengths)), batch_first=True).requires_grad_(training)

    def elman_run() -> Tensor:
        return ours(x.with_values(values))[0].values

    def padded_run() -> Tensor:
        return peer(padded)[0]

    def packed_run() -> Tensor:
        pack = pack_padded_sequence(padded, torch.tensor(setting.lengths), batch_first=True, enforce_sorted=False)
        return peer(pack)[0].data

    runs = {"elman": elman_run, "padded": padded_run}
    if setting.packed:
        runs["packed"] = packed_run
    if not training:
        return {name: without_gradient(run) for name, run in runs.items()}
    leaves = [values, padded, *peer.parameters(), *ours.parameters()]
    return {name: backward_of(run, leaves) for name, run in runs.items()}


def peak() -> float:
    """This machine's own fp32 matrix product, in GF/s: the best of ten products of 2048 x 2048."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    a @ b
    best = min(timed(lambda: a @ b) for _ in range(10))
    return 2 * 2048**3 / best / 1e9


def measured(setting: Setting, cell: str, training: bool, rounds: int) -> list[str]:
    """One row of the table."""
    top = peak()
    seconds = interleave(sides_of(cell, setting, training), rounds)
    ours = statistics.median(seconds["elman"])
    ways = 2 if setting.bidirectional else 1
    products = (3 if training else 1) * ways * GATES[cell] * setting.hidden
    useful = products * 2 * sum(setting.lengths) * (setting.inputs + setting.hidden) / ours / 1e9
    row = [setting.name, cell, str(setting.hidden), f"{1e3 * ours:.1f}"]
    for peer in ("padded", "packed"):
        if peer not in seconds:
            row += ["", ""]
            continue
        ratios = [theirs / mine for mine, theirs in zip(seconds["elman"], seconds[peer], strict=True)]
        row += [f"{1e3 * statistics.median(seconds[peer]):.1f}", f"{statistics.median(ratios):.2f}×"]
    return [*row, f"{useful:.0f}", f"{100 * useful / top:.0f} %"]


def measure(training: bool, rounds: int) -> list[list[str]]:
    """Every row in a process of its own: what an earlier row left in the memory allocator changes torch's figures."""
    rows = []
    for index in range(len(settings())):
        for cell in LAYERS:
            command = [sys.executable, __file__, "--rounds", str(rounds), "--row", str(index), cell, str(int(training))]
            row = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(row, flush=True)
            rows.append(row.split(" | "))
    return rows


def import_ratio(rounds: int) -> str:
    def load(module: str) -> float:
        return timed(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))

    load("torch"), load("elman")
    pairs = [(load("elman"), load("torch")) for _ in range(rounds)]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return f"`import elman` {ours:.2f} s, `import torch` {theirs:.2f} s: {ratio:.2f}×."


def same_bits() -> str:
    """How many results of a sequence alone differ from those in a batch, at one thread and at two."""
    threads, differing, compared = torch.get_num_threads(), 0, 0
    for cell in LAYERS:
        layer = LAYERS[cell](100, 128, bidirectional=True)
        x = Ragged.of([torch.randn(length, 100) for length in ragged_lengths()])
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.no_grad():
                whole = layer(x)[0]
                for i in range(len(x)):
                    compared += 1
                    differing += not torch.equal(layer(x[i : i + 1])[0].values, whole[i])
    torch.set_num_threads(threads)
    return (
        f"A sequence alone against the same in a batch of 32, at 1 and 2 threads: {differing} of {compared} differ in "
        "any bit."
    )


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds a row (default 7)")
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    if options.row is not None:
        setting, cell, training = options.row
        print(" | ".join(measured(settings()[int(setting)], cell, training == "1", options.rounds)))
        return
    head = ["lengths", "cell", "H", "elman ms", "padded ms", "ratio", "packed ms", "ratio", "useful GF/s", "of peak"]
    parts = [f"## Speed of the layers\n\nfp32 matrix product of this machine: {peak():.0f} GF/s (2048 × 2048, torch)."]
    for title, training in (("Training", True), ("Inference", False)):
        parts.append(f"### {title}, B=32\n\n" + results.table(head, measure(training, options.rounds)))
    parts += [same_bits(), import_ratio(options.rounds)]
    assert ops.info()["threads"] == "openmp" or torch.get_num_threads() == 1
    results.publish("speed", "\n\n".join(parts), options.write)


if __name__ == "__main__":
    main()
