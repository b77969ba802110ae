"""Numbers too small to be normal: does training slow down when they come?

- A real run: ``elman.Classifier`` on 6000 IMDb reviews of the data folder (--data), eight epochs without patience; the
  slowest epoch over the fastest, by steps a second of training, so that validation and set-up do not count.
- Made for it: one layer whose gradient vanishes. The gradient handed in is 1e-36, so that going back through a long
  sequence it is denormal most of the way; beside it the same layer with a gradient of 1. Ours, and padded torch.

Run it on a quiet machine: python bench/denormals.py [--write] [--only REGEX] [--list] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import results
import torch
from workers import Maker, Side, interleaved

from elman import Classifier
from elman.io.tables import read_table
from layers import LAYERS, PEERS

REAL = "IMDb, eight epochs"
REVIEWS, EPOCHS = 6000, 8
LENGTH, ROWS, INPUTS, HIDDEN = 400, 16, 64, 128


@dataclass(frozen=True)
class Vanishing:
    cell: str
    mine: bool
    scale: float  # of the gradient handed in at the last step
    threads: int


def layer(job: Vanishing) -> Side:
    """Training of a layer whose recurrent weights shrink what goes through them, the loss on the last step."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    made = (LAYERS if job.mine else PEERS)[job.cell](INPUTS, HIDDEN, batch_first=True)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.mul_(0.1 if "weight" in name else 0.0)
        gates = {"LSTM": (1, 3.5), "GRU": (1, 3.5)}  # a forget or update gate near 0.97: the gradient dies slowly
        if job.cell in gates:
            gate, open_at = gates[job.cell]
            made.bias_ih_l0[gate * HIDDEN : (gate + 1) * HIDDEN] = open_at
        else:
            made.weight_hh_l0.copy_(0.97 * torch.eye(HIDDEN))
    x = (0.1 * torch.randn(ROWS, LENGTH, INPUTS)).requires_grad_()
    dy = torch.full((ROWS, HIDDEN), job.scale)

    def run() -> None:
        made(x)[0][:, -1].backward(dy)
        x.grad = None
        for weight in made.parameters():
            weight.grad = None

    return Side(run)


def constructed(cell: str, threads: int, rounds: int) -> list[str]:
    sides: dict[str, Maker] = {
        f"{'elman' if mine else 'padded'}, {scale:g}": partial(layer, Vanishing(cell, mine, scale, threads))
        for mine in (True, False)
        for scale in (1.0, 1e-36)
    }
    row = interleaved(sides, rounds, threads)
    line = []
    for who in ("elman", "padded"):
        line += [row.ms(f"{who}, 1"), row.ms(f"{who}, 1e-36"), row.ratio(f"{who}, 1", f"{who}, 1e-36")]
    return line


def real(data: Path) -> str:
    """A sentence on the epochs of a real training run."""
    path = data / "text" / "imdb_train.tsv.xz"
    if not path.exists():
        return f"The real run is left out: there is no {path.name} in the data folder; name yours with --data."
    frame = read_table(path, columns=["text", "label"]).frame.sample(REVIEWS, seed=0)
    texts, labels = frame["text"].to_list(), frame["label"].to_list()
    clf = Classifier(epochs=EPOCHS, patience=None, ngrams=0, verbose=False).fit(texts, labels)
    rates = [epoch.steps_per_second for epoch in clf.history_]
    listed = ", ".join(f"{rate / 1e3:.0f}" for rate in rates)
    return (
        f"`Classifier` on {len(texts)} IMDb reviews, thousand steps a second in each of {EPOCHS} epochs: {listed}. "
        f"Slowest epoch over fastest: **{max(rates) / min(rates):.2f}×**."
    )


def main() -> None:
    parser = results.speed_arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    options = parser.parse_args()
    names = [REAL, *[f"vanishing gradient, {cell}" for cell in LAYERS]]
    wanted = results.chosen(names, options)
    torch.set_num_threads(options.threads)
    parts, lines = [], []
    if REAL in wanted:
        parts.append(real(options.data))
        print(parts[-1], flush=True)
    for cell, name in zip(LAYERS, names[1:], strict=True):
        if name in wanted:
            lines.append([name, *constructed(cell, options.threads, options.rounds)])
            print(" | ".join(lines[-1]), flush=True)
    heads = [f"{who} {what}" for who in ("elman", "padded torch") for what in ("ms", "vanishing ms", "ratio")]
    if lines:
        parts.append(results.table(["row", *heads], lines))
    results.publish("denormals", "\n\n".join(["## Denormal numbers", *parts]), options.write, options.threads)


if __name__ == "__main__":
    main()
