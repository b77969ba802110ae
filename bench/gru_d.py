"""Training speed of GRU-D beside PyPOTS's: the same data, layers, batches and optimiser, epochs in turn.

PyPOTS (Du 2023) trains its classifier ``GRUD`` with its own settings, batches of 32 and Adam; ours is an
``elman.Encoder(..., "gru_d")`` with a linear layer on the last state, in the same batches, under ``torch.optim.Adam``.
The data are made here, of the size of PhysioNet 2012: 48 steps of 37 columns, four fifths of them missing. Times are
of a whole epoch of each side, after one to warm up, loading of batches included.

Needs pypots. Run it: python bench/gru_d.py [--write] [--rounds 5] [--threads 2] [--sequences 640] [--hidden 64]
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import results
import torch
from numpy.typing import NDArray
from torch import nn

from elman import Encoder, Ragged
from elman.features import Numbers
from elman.layers.linear import Linear
from elman.layers.pooling import Pool

STEPS, COLUMNS, CLASSES, BATCH = 48, 37, 2, 32

Array = NDArray[Any]


def made(sequences: int, seed: int = 0) -> tuple[Array, Array]:
    """Noise with a trend that tells the class, most of it not observed."""
    random = np.random.default_rng(seed)
    y = random.integers(CLASSES, size=sequences)
    x = random.normal(size=(sequences, STEPS, COLUMNS)) + np.linspace(0, 1, STEPS)[None, :, None] * y[:, None, None]
    x[random.random(x.shape) < 0.8] = np.nan
    return x.astype(np.float32), y


class Ours:
    """An epoch of our training, batch by batch."""

    def __init__(self, x: Array, y: Array, hidden: int) -> None:
        torch.manual_seed(0)
        self.data, self.targets = Numbers(fill="decay").fit_transform(x), torch.from_numpy(y)
        parts = [Encoder(3 * COLUMNS, hidden, "gru_d"), Pool("last", hidden), Linear(hidden, CLASSES)]
        self.encoder, self.pool, self.head = parts
        self.optimiser = torch.optim.Adam(nn.ModuleList(parts).parameters())

    def epoch(self) -> float:
        start = time.perf_counter()
        for chosen in torch.randperm(len(self.targets)).split(BATCH):
            batch: Ragged = self.data[chosen]
            logits = self.head(self.pool(self.encoder(batch)[0]))
            loss = nn.functional.cross_entropy(logits, self.targets[chosen])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        return time.perf_counter() - start


class Theirs:
    """An epoch of PyPOTS's own training loop."""

    def __init__(self, x: Array, y: Array, hidden: int) -> None:
        from pypots.classification import GRUD

        options = {"n_steps": STEPS, "n_features": COLUMNS, "n_classes": CLASSES, "rnn_hidden_size": hidden}
        self.model: Any = GRUD(**options, batch_size=BATCH, epochs=1, device="cpu", verbose=False)
        self.data = {"X": x, "y": y}

    def epoch(self) -> float:
        start = time.perf_counter()
        self.model.fit(self.data)
        return time.perf_counter() - start


def main() -> None:
    parser = results.speed_arguments(__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=640, help="sequences in an epoch")
    parser.add_argument("--hidden", type=int, default=64, help="units")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x, y = made(options.sequences)
    sides = {"elman": Ours(x, y, options.hidden), "PyPOTS": Theirs(x, y, options.hidden)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(options.rounds + 1):
        for name, side in sides.items():
            seconds = side.epoch()
            times[name] += [seconds] if turn else []
            print(f"round {turn}, {name}: {seconds:.2f} s", flush=True)
    ours, theirs = statistics.median(times["elman"]), statistics.median(times["PyPOTS"])
    ratios = [b / a for a, b in zip(times["elman"], times["PyPOTS"], strict=True)]
    row = [
        f"{ours:.3f} s",
        f"{theirs:.2f} s",
        f"**{statistics.median(ratios):.1f}×**",
        f"{min(ratios):.1f}–{max(ratios):.1f}",
    ]
    text = (
        "## Training of GRU-D, one epoch\n\n"
        f"{options.sequences} sequences of {STEPS} steps and {COLUMNS} columns, batches of {BATCH}, {options.hidden} "
        f"units; {options.rounds} rounds in turn, medians; {options.threads} thread(s).\n\n"
        + results.table(["elman", "PyPOTS", "ratio", "of single rounds"], [row])
    )
    results.publish("gru_d", text, options.write, options.threads, ["pypots"])


if __name__ == "__main__":
    main()
