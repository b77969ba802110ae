"""Accuracy of ``elman.Classifier`` in float32 and in bfloat16, seed by seed: is the difference more than noise?

IMDb reviews (Maas et al. 2011), official split, the whole test set, default options otherwise; from the data folder,
--data (default ../shared/data). A seed decides the validation part, the first weights, the order and the dropout, so
that the two fits of a seed differ by rounding alone. The recurrent path is the one that bfloat16 concerns; what it says
together with the n-grams is what a user sees; --ngrams 0 leaves these out, which takes half the time.

Run it: python bench/precision.py [--write] [--seeds 0 1 2] [--threads 2] [--ngrams 0]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import results
import torch
from quality import Split, imdb

from elman import Classifier
from elman.layers.encoder import PRECISIONS
from elman.ops import functional as ops

MEASURES = {"both paths": "accuracy", "recurrent path alone": "accuracy_recurrent"}


def measure(
    split: Split, seeds: Sequence[int], ngrams: int | None = None
) -> tuple[dict[str, dict[str, list[float]]], dict[str, list[float]]]:
    """Percent right by measure and precision, and seconds of an epoch by precision, a number for each seed."""
    names = {"recurrent path alone": "accuracy"} if ngrams == 0 else MEASURES
    right: dict[str, dict[str, list[float]]] = {name: {p: [] for p in PRECISIONS} for name in names}
    seconds: dict[str, list[float]] = {p: [] for p in PRECISIONS}
    for seed in seeds:
        for precision in PRECISIONS:
            begin = time.perf_counter()
            clf = Classifier(seed=seed, precision=precision, ngrams=ngrams).fit(split.texts, split.labels)
            found = clf.evaluate(split.test_texts, split.test_labels)
            for name, key in names.items():
                right[name][precision].append(100 * found[key])
            seconds[precision].append(statistics.median(record.seconds for record in clf.history_))
            print(f"seed {seed}, {precision}: {found}, {time.perf_counter() - begin:.0f} s", flush=True)
    return right, seconds


def row(name: str, plain: Sequence[float], narrow: Sequence[float]) -> list[str]:
    """Accuracies, the mean difference, and how much accuracies differ from seed to seed."""
    gaps = [b - a for a, b in zip(plain, narrow, strict=True)]
    noise = statistics.stdev(plain) if len(plain) > 1 else float("nan")
    return [
        name,
        " ".join(f"{value:.2f}" for value in plain),
        " ".join(f"{value:.2f}" for value in narrow),
        f"{statistics.mean(gaps):+.2f} ({min(gaps):+.2f} to {max(gaps):+.2f})",
        f"{noise:.2f}",
    ]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds, each fitted in both precisions")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--ngrams", type=int, choices=[0], help="0: the recurrent path alone")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    if not ops.info()["bfloat16"]:
        raise SystemExit("this processor has no bfloat16 products: both sides would be float32.")
    torch.set_num_threads(options.threads)
    right, seconds = measure(imdb(options.data), options.seeds, options.ngrams)
    rows = [row(name, *(sides[p] for p in PRECISIONS)) for name, sides in right.items()]
    head = [
        "accuracy %",
        "float32, seed by seed",
        "bfloat16",
        "mean difference (range)",
        "deviation over seeds, float32",
    ]
    times = ", ".join(f"{p} {statistics.median(seconds[p]):.1f} s" for p in PRECISIONS)
    text = (
        "## bfloat16 beside float32: accuracy of `elman.Classifier(seed=..., precision=...)`\n\n"
        f"IMDb reviews, 25,000 for training, 25,000 for the test; seeds {', '.join(map(str, options.seeds))}. "
        f"An epoch, its validation included: {times} (median).\n\n{results.table(head, rows)}"
    )
    results.publish("precision", text, options.write, options.threads)


if __name__ == "__main__":
    main()
