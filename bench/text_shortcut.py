"""What it saves that the first layer multiplies each distinct symbol of a batch once, and not at every step.

The network of ``elman.Classifier`` (embedding, encoder, attention, linear layer; default dropout) on batches of real
IMDb reviews with the vocabulary that default options learn, from the data folder, --data (default ../shared/data).
Training is one step without the optimiser, on 8192 steps; inference is on 65536 steps, as `predict` cuts them. Both
sides compute the same bits on the way forward.

Run it on a quiet machine: python bench/text_shortcut.py [--write] [--only REGEX] [--list] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import results
import torch
from quality import imdb
from workers import Array, Side, interleaved

from elman import Classifier
from elman.features import Text, Tokens
from elman.layers import embedding
from elman.layers.losses import cross_entropy
from elman.ragged import Ragged
from elman.tasks.base.network import Network
from elman.training.batching import batches

NEVER, ALWAYS = 2**62, embedding.SHARED  # steps from which to look for symbols that come again


@dataclass(frozen=True)
class Job:
    training: bool
    cell: str
    hidden: int
    bidirectional: bool
    threads: int

    @property
    def steps(self) -> int:
        return 8192 if self.training else 65536


@dataclass(frozen=True)
class Batch:
    """Symbols of some reviews, for another process."""

    values: Array
    offsets: Array
    symbols: int  # of the whole vocabulary


def batch(x: Ragged, steps: int, symbols: int) -> Batch:
    """Reviews as training draws them: at random."""
    drawn = x[batches(x.lengths, steps, torch.Generator().manual_seed(0))[0]]
    return Batch(drawn.values.numpy(), drawn.offsets.numpy(), symbols)


def side(job: Job, given: Batch, shared: bool) -> Side:
    torch.set_num_threads(job.threads)
    embedding.SHARED = ALWAYS if shared else NEVER
    feature = Tokens(max_words=given.symbols).fit([list(range(given.symbols - 1))])  # a vocabulary of that size
    x = Ragged(torch.from_numpy(given.values), torch.from_numpy(given.offsets))
    torch.manual_seed(0)
    options = Classifier(cell=job.cell, hidden=job.hidden, bidirectional=job.bidirectional)
    network = Network(feature, 2, options.config()).train(job.training)
    targets = torch.arange(len(x)) % 2

    def run() -> torch.Tensor:
        with torch.set_grad_enabled(job.training):
            logits = network(x)
            if job.training:
                cross_entropy(logits, targets).backward()
                network.zero_grad()
        return logits.detach()

    def answer() -> Array:
        torch.manual_seed(0)
        return run().numpy()

    return Side(run, answer)


def jobs(threads: int) -> dict[str, Job]:
    shapes = [("lstm", 64, False), ("lstm", 128, False), ("lstm", 256, True), ("gru", 128, False), ("rnn", 128, False)]
    return {
        f"{'training' if training else 'inference'}, {cell}, H={hidden}{', both ways' if both else ''}": Job(
            training, cell, hidden, both, threads
        )
        for training in (True, False)
        for cell, hidden, both in shapes
    }


def main() -> None:
    parser = results.speed_arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    options = parser.parse_args()
    named = jobs(options.threads)
    names = results.chosen(list(named), options)
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    feature = Text()
    reviews = feature.fit_transform(imdb(options.data).texts)
    lines = []
    for name in names:
        job = named[name]
        given = batch(reviews, job.steps, feature.symbols or 0)
        sides = {which: partial(side, job, given, which == "once") for which in ("every", "once")}
        row = interleaved(sides, options.rounds, job.threads)
        share = f"{len(np.unique(given.values))} of {len(given.values)}"
        lines.append([name, share, row.ms("every"), row.ms("once"), row.ratio("once", "every")])
        print(" | ".join(lines[-1]), flush=True)
    table = results.table(["row", "distinct symbols", "every step, ms", "each once, ms", "×"], lines)
    text = "A batch of IMDb reviews, embedding of 64 numbers; the whole network but for the optimiser."
    results.publish(
        "text shortcut",
        f"## Text: each distinct symbol multiplied once\n\n{text}\n\n{table}",
        options.write,
        options.threads,
    )


if __name__ == "__main__":
    main()
