"""Speed and quality of the cells beside an LSTM of as many parameters, on two real tasks.

- Sentiment: IMDb reviews (Maas et al. 2011), some of the official training part, and of the test part: one label for a
  sequence, by ``elman.Classifier`` without its n-grams, at its defaults but for the cell, its width and two layers.
- Characters: the next one of Shakespeare's, first 90 % / last 10 %; two layers, a fixed number of passes over 64
  streams that carry their state, no choice of anything on the way.

Every cell gets the width at which its two layers have almost the parameters of the LSTM's; nothing else is tuned, for
any of them. The data folder is --data (default ../shared/data). The test parts are used once, for the figures. Times
are of the layers alone, at the task's own lengths: processor time on one thread, which other programs distort less than
the time on the clock, rounds of all cells interleaved, medians.

Run it: python bench/cells.py [--write] [--seeds 0 1] [--part speed quality]
"""

from __future__ import annotations

import lzma
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import results
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from elman import Classifier, Encoder, Ragged
from elman.io.tables import read_table

CELLS = ["lstm", "ln_lstm", "min_gru", "min_lstm", "lru"]
LAYERS = 2
REVIEWS = 3000  # of training and of test, each
STREAMS, PIECE = 64, 128  # sequences side by side, and steps before weights change
PASSES = 3


def parameters(cell: str, inputs: int, hidden: int) -> int:
    return sum(p.numel() for p in Encoder(inputs, hidden, cell, layers=LAYERS).parameters())


def width(cell: str, inputs: int, lstm: int) -> int:
    """The hidden units that take almost as many parameters as an LSTM of `lstm` units."""
    wanted, low, high = parameters("lstm", inputs, lstm), 1, 8 * lstm
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(cell, inputs, middle) <= wanted else (low, middle)
    return low


# ------------------------------------------------------------------------------------------------------------- quality


def reviews(data: Path, part: str) -> tuple[list[str], list[str]]:
    """Some reviews, as many good as bad."""
    frame = read_table(data / "text" / f"imdb_{part}.tsv.xz", columns=["text", "label"]).frame
    texts, labels = frame["text"].to_list(), frame["label"].to_list()
    chosen = np.random.default_rng(0).permutation(len(texts))[:REVIEWS]
    return [texts[i] for i in chosen], [labels[i] for i in chosen]


def sentiment(cell: str, hidden: int, seed: int, data: Path) -> float:
    """Accuracy on the test part, in per cent."""
    clf = Classifier(cell=cell, hidden=hidden, layers=LAYERS, embed=64, ngrams=0, seed=seed, verbose=False)
    clf.fit(*reviews(data, "train"))
    return 100 * float(clf.evaluate(*reviews(data, "test"))["accuracy"])


def characters(cell: str, hidden: int, seed: int, data: Path) -> float:
    """Bits a character on the last tenth."""
    text = lzma.decompress((data / "text" / "tinyshakespeare.txt.xz").read_bytes()).decode()
    symbols = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    ids = torch.tensor([symbols[symbol] for symbol in text])
    cut = len(ids) * 9 // 10
    torch.manual_seed(seed)
    model = Model(len(symbols), hidden, cell)
    batches = list(streams(ids[:cut]))
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=PASSES * len(batches), pct_start=0.1)
    for _ in range(PASSES):
        state = None
        for x, target in batches:
            loss, state = model(x, target, state)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            falling.step()
    model.eval()
    with torch.no_grad():
        held = ids[cut:]
        loss, _ = model(held[None, :-1], held[None, 1:], None)
    return float(loss) / float(np.log(2))


def streams(ids: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Inputs and targets [STREAMS, PIECE], piece after piece."""
    each = (len(ids) - 1) // STREAMS // PIECE * PIECE
    x, target = (part[: STREAMS * each].view(STREAMS, each).split(PIECE, dim=1) for part in (ids, ids[1:]))
    return list(zip(x, target, strict=True))


class Model(nn.Module):
    """Characters in, the next ones out."""

    def __init__(self, symbols: int, hidden: int, cell: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols, 64)
        self.encoder = Encoder(64, hidden, cell, layers=LAYERS)
        self.head = nn.Linear(hidden, symbols)

    def forward(self, x: Tensor, target: Tensor, state: object) -> tuple[Tensor, object]:
        """The mean loss, and the state to go on from, detached."""
        offsets = torch.arange(len(x) + 1) * x.shape[1]
        y, last = self.encoder(Ragged(self.embed(x.flatten()), offsets), state)
        detached = tuple(tuple(type(one)(*[part.detach() for part in one]) for one in layer) for layer in last)
        return F.cross_entropy(self.head(y.values), target.flatten()), detached


QUALITY: dict[str, Callable[[str, int, int, Path], float]] = {"sentiment": sentiment, "characters": characters}
LSTM = {"sentiment": 64, "characters": 128}  # units of the LSTM that all others are as large as


def lengths(task: str, data: Path) -> list[int]:
    """Of one batch of the task, in steps."""
    if task == "characters":
        return [PIECE] * STREAMS
    return [len(text.split()) for text in reviews(data, "train")[0][:32]]


# --------------------------------------------------------------------------------------------------------------- speed


def speed(counts: list[int], widths: dict[str, int], rounds: int) -> dict[str, tuple[float, float]]:
    """Nanoseconds that a step of one sequence takes, in training and at inference."""
    x = Ragged(torch.randn(sum(counts), 64), torch.tensor([0, *counts]).cumsum(0))
    layers = {cell: Encoder(64, hidden, cell, layers=LAYERS) for cell, hidden in widths.items()}
    seen: dict[str, tuple[list[float], list[float]]] = {cell: ([], []) for cell in layers}
    for _ in range(rounds + 1):  # the first is to warm up
        for cell, encoder in layers.items():
            for taken, times in zip((_train, _infer), seen[cell], strict=True):
                start = time.process_time()
                taken(encoder, x)
                times.append((time.process_time() - start) / len(x.values) * 1e9)
    return {cell: (statistics.median(a[1:]), statistics.median(b[1:])) for cell, (a, b) in seen.items()}


def _train(encoder: Encoder, x: Ragged) -> None:
    encoder.zero_grad()
    encoder(x.with_values(x.values.detach().requires_grad_()))[0].values.sum().backward()


def _infer(encoder: Encoder, x: Ragged) -> None:
    with torch.no_grad():
        encoder(x)


def rows(task: str, options: Namespace) -> list[list[str]]:
    widths = {cell: width(cell, 64, LSTM[task]) for cell in CELLS}
    torch.set_num_threads(1)
    times = speed(lengths(task, options.data), widths, options.rounds) if "speed" in options.part else {}
    torch.set_num_threads(options.threads)
    made = []
    for cell, hidden in widths.items():
        faster = [f"{a:.0f} ({b / a:.1f}×)" for a, b in zip(times[cell], times["lstm"], strict=True)] if times else []
        scores = []
        for seed in options.seeds if "quality" in options.part else []:
            start = time.perf_counter()
            scores.append(QUALITY[task](cell, hidden, seed, options.data))
            print(f"{task}, {cell}, seed {seed}: {scores[-1]:.3f}, {time.perf_counter() - start:.0f} s", flush=True)
        size = f"{parameters(cell, 64, hidden):,}"
        made.append([cell, str(hidden), size, *(faster or ["", ""]), spread(scores, 3 if task == "characters" else 1)])
    return made


def spread(scores: Sequence[float], digits: int) -> str:
    """The mean, and from where to where."""
    if not scores:
        return ""
    mean = f"{statistics.mean(scores):.{digits}f}"
    return mean if len(scores) == 1 else f"{mean} ({min(scores):.{digits}f} to {max(scores):.{digits}f})"


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; scores are averaged")
    parser.add_argument("--part", nargs="+", choices=["speed", "quality"], default=["speed", "quality"], help="what")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the times (default 15)")
    parser.add_argument("--threads", type=int, default=2, help="threads of training (default 2)")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    texts = []
    for task, score in (("sentiment", "test accuracy %"), ("characters", "test bits a character")):
        head = ["cell", "hidden", "parameters", "ns a step, training", "inference", score]
        texts.append(f"### {task.capitalize()}\n\n{results.table(head, rows(task, options))}")
    intro = (
        "## Cells beside an LSTM of as many parameters\n\nTwo layers of each, nothing tuned for any. Times are of the "
        f"layers alone, on one thread. Seeds {', '.join(map(str, options.seeds))}; {REVIEWS} reviews of training and "
        f"{REVIEWS} of test; {PASSES} passes over the characters."
    )
    results.publish("cells", "\n\n".join([intro, *texts]), options.write, options.threads)


if __name__ == "__main__":
    main()
