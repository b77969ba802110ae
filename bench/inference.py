"""Inference beside ONNX Runtime and padded ``torch.nn`` under no_grad.

ONNX Runtime gets its own operator with weights packed when the session is made, steps first, and the lengths where they
differ; ours packs its weights in every call. Outputs are equal to 1e-4, which is checked. See speed.py for the rest.

Run it on a quiet machine: python bench/inference.py [--write] [--only REGEX] [--list] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

from functools import partial

import results
from onnx_layer import onnx
from workers import Maker, interleaved, peak, peaks

from layers import LAYERS, Layer, ours, padded, ragged_lengths


def jobs(threads: int) -> dict[str, Layer]:
    kinds = {
        "ragged, B=32": ragged_lengths(32),
        "ragged, B=8": ragged_lengths(8),
        "equal, T=200, B=32": (200,) * 32,
        "equal, T=200, B=8": (200,) * 8,
        "equal, T=200, B=1": (200,),
    }
    return {
        f"{kind}, H={hidden}, {cell}": Layer(cell, lengths, 128, hidden, training=False, threads=threads)
        for kind, lengths in kinds.items()
        for hidden in (256, 128)
        for cell in LAYERS
    }


def measured(layer: Layer, rounds: int) -> list[str]:
    sides: dict[str, Maker] = {
        "elman": partial(ours, layer),
        "onnx": partial(onnx, layer),
        "padded": partial(padded, layer),
    }
    product: dict[str, Maker] = {"peak": partial(peak, layer.threads)}
    row = interleaved(sides | product, rounds, layer.threads)
    against = [part for peer in ("onnx", "padded") for part in (row.ms(peer), row.ratio("elman", peer))]
    return [row.ms("elman"), *against, *row.share("elman", layer.work)]


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0]).parse_args()
    named = jobs(options.threads)
    lines = []
    for name in results.chosen(list(named), options):
        lines.append([name, *measured(named[name], options.rounds)])
        print(" | ".join(lines[-1]), flush=True)
    head = ["row", "elman ms", "ONNX Runtime ms", "ratio", "padded torch ms", "ratio", "useful GF/s", "of peak"]
    text = f"## Inference, I=128, beside ONNX Runtime\n\n{peaks(options.threads)}\n\n{results.table(head, lines)}"
    results.publish("inference", text, options.write, options.threads, ["onnxruntime"])


if __name__ == "__main__":
    main()
