"""One step at a time from Python: the delay of a step of one sequence.

Each side carries its state. In turn, 1000 steps a turn and each timed, 10,000 in all; median and 99th percentile.

Run it on a quiet machine: python bench/latency.py [--write] [--only REGEX] [--list] [--rounds 10] [--threads 2]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import results
import torch
from onnx_layer import session
from torch import Tensor, nn
from workers import PAUSE, Maker, NotThereError, Side, compare, peaks, workers

import elman
from layers import LAYERS, PEERS, Layer, parts

STEPS = 1000  # a turn
Stepper = Callable[[Tensor, Any], tuple[Tensor, Any]]


def _carried(step: Stepper, x: Tensor, state: Any, layer: Layer) -> Side:
    """A side that keeps the state between its steps; what it computes: five steps from the initial state."""
    now = state

    def run() -> None:
        nonlocal now
        with torch.no_grad():
            now = step(x, now)[1]

    def answer() -> Any:
        with torch.no_grad():
            y, after = step(x, state)
            for _ in range(4):
                y, after = step(x, after)
        return y.reshape(-1)[: layer.hidden].float().numpy().copy()

    return Side(run, answer)


def whole_layer(layer: Layer, mine: bool) -> Side:
    """torch.nn's layer, or elman.nn's, called with one step."""
    peer, (x,) = parts(layer)
    module = peer
    if mine:
        module = LAYERS[layer.cell](layer.inputs, layer.hidden, batch_first=True)
        module.load_state_dict(peer.state_dict())
    return _carried(module, x[None], None, layer)


def torch_cell(layer: Layer) -> Side:
    """torch.nn.LSTMCell and its like."""
    peer, (x,) = parts(layer)
    cell = getattr(nn, type(peer).__name__ + "Cell")(layer.inputs, layer.hidden)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in peer.state_dict().items()})

    def step(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        after = cell(x, state)
        return (after[0] if isinstance(after, tuple) else after), after

    return _carried(step, x, None, layer)


def our_cell(layer: Layer) -> Side:
    """elman.LSTM.step and its like."""
    peer, (x,) = parts(layer)
    cell = getattr(elman, layer.cell).from_torch(peer)
    return _carried(cell.step, x, cell.initial_state(1), layer)


def our_stepper(layer: Layer, weights: str = "float32") -> Side:
    """The compiled stepper: weights packed once, state inside, no dispatcher."""
    peer, (x,) = parts(layer)
    cell = getattr(elman, layer.cell).from_torch(peer)
    if not hasattr(cell, "stepper"):
        raise NotThereError("not built yet")
    made = cell.stepper(weights=weights)

    def answer() -> Any:
        fresh = cell.stepper(weights=weights)
        return np.array([fresh.step(x).numpy().copy() for _ in range(5)][-1]).reshape(-1)

    return Side(lambda: made.step(x), answer if weights == "float32" else None)


def onnx(layer: Layer) -> Side:
    """ONNX Runtime, a step a run, state in and out."""
    peer, (x,) = parts(layer)
    made = session(peer, layer.cell, layer.threads, ragged=False, state=True)
    names = ["h0", "c0"][: 2 if layer.cell == "LSTM" else 1]
    outs = ["h", "c"][: len(names)]
    feed = {"x": x[None].numpy()} | {name: np.zeros((1, 1, layer.hidden), np.float32) for name in names}

    def step(now: dict[str, Any]) -> Any:
        after = made.run(outs, now)
        now.update(zip(names, after, strict=True))
        return after[0]

    def answer() -> Any:
        fresh = dict(feed)
        return [step(fresh) for _ in range(5)][-1].reshape(-1)

    kept = dict(feed)
    return Side(lambda: step(kept), answer)


SIDES: dict[str, Callable[[Layer], Side]] = {
    "elman stepper": our_stepper,
    "elman stepper, bf16 weights": partial(our_stepper, weights="bfloat16"),
    "elman stepper, int8 weights": partial(our_stepper, weights="int8"),
    "elman.{cell}.step": our_cell,
    "elman.nn.{cell}, T=1": partial(whole_layer, mine=True),
    "nn.{cell}Cell": torch_cell,
    "nn.{cell}, T=1": partial(whole_layer, mine=False),
    "ONNX Runtime, T=1": onnx,
}


def measured(layer: Layer, rounds: int) -> list[list[str]]:
    """A line for each side: median and 99th percentile in microseconds."""
    sides: dict[str, Maker] = {name.format(cell=layer.cell): partial(side, layer) for name, side in SIDES.items()}
    with workers(sides, layer.threads) as (there, missing):
        compare(there, 1e-4)
        for worker in there.values():
            worker.turn(STEPS)
        seconds: dict[str, list[float]] = {name: [] for name in there}
        for _ in range(rounds):
            for name, worker in there.items():
                time.sleep(PAUSE)
                seconds[name] += worker.turn(STEPS).tolist()
    lines = []
    for name in sides:
        if name in missing:
            lines.append([name, missing[name], ""])
        else:
            middle, late = np.percentile(seconds[name], [50, 99]) * 1e6
            lines.append([name, f"{middle:.1f}", f"{late:.1f}"])
    return lines


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0], rounds=10).parse_args()
    named = {
        f"{cell}, I=128, H={hidden}": Layer(cell, (1,), 128, hidden, training=False, threads=options.threads)
        for hidden in (256, 128)
        for cell in PEERS
    }
    lines = []
    for name in results.chosen(list(named), options):
        for line in measured(named[name], options.rounds):
            lines.append([name, *line])
            print(" | ".join(lines[-1]), flush=True)
    head = ["cell", "called as", "median µs", "99th percentile µs"]
    text = f"## One step of one sequence\n\n{peaks(options.threads)}\n\n{results.table(head, lines)}"
    results.publish("latency", text, options.write, options.threads, ["onnxruntime"])


if __name__ == "__main__":
    main()
