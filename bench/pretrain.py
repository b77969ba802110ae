"""``elman.Classifier(pretrain=...)`` on film reviews: what 50,000 texts without labels add to 25,000 labels.

IMDb reviews (Maas et al. 2011), official split, the whole test set, in English; from the data folder, --data (default
../shared/data). Each row is one call of `fit`, its options named. Everything is in the time: reading all files,
tokenising, the texts without labels, both paths, validation (a tenth of the labelled reviews). The test part is used
once, for the figures below. Run it: python bench/pretrain.py [--write] [--seeds 0] [--only plain pretrained]
"""

from __future__ import annotations

import json
import lzma
import statistics
import time
from pathlib import Path
from typing import Any

import results
from quality import Split, imdb

from elman import Classifier

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("labels alone", {}),
    "pretrained": ("texts first", {"precision": "bfloat16"}),
}


def unlabelled(data: Path) -> list[str]:
    with lzma.open(data / "text" / "imdb_unsup.txt.xz", "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def measure(key: str, split: Split, data: Path, reading: float, seeds: list[int], more: dict[str, Any]) -> list[str]:
    name, options = ROWS[key]
    start = time.perf_counter()
    if key == "pretrained":
        options = {**options, **more, "pretrain": unlabelled(data)}
    reading += time.perf_counter() - start
    seconds, scores = [], []
    for seed in seeds:
        start = time.perf_counter()
        clf = Classifier(seed=seed, **options).fit(split.texts, split.labels)
        seconds.append(reading + time.perf_counter() - start)
        print(f"{name}, seed {seed}: validation {clf.metrics_}, {clf.data_}, {seconds[-1]:.0f} s", flush=True)
        found = clf.evaluate(split.test_texts, split.test_labels)
        scores.append([found[path] for path in ("accuracy", "accuracy_recurrent", "accuracy_ngrams")])
        print(f"{name}, seed {seed}: test {found}", flush=True)
    both, recurrent, wide = (statistics.mean(path) for path in zip(*scores, strict=True))
    every = [score[0] for score in scores]
    spread = f" ({100 * min(every):.2f} to {100 * max(every):.2f})" if len(every) > 1 else ""
    told = ", ".join(f"{option}={value!r}" for option, value in options.items() if option != "pretrain")
    return [
        name,
        ", ".join(filter(None, ["pretrain=50,000 texts" if "pretrain" in options else "", told])) or "default",
        f"**{100 * both:.2f}**{spread}",
        f"{100 * recurrent:.2f}",
        f"{100 * wide:.2f}",
        f"{statistics.median(seconds):.0f} s",
    ]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; accuracies are averaged")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), help="which rows")
    parser.add_argument("--options", type=json.loads, default={}, help="further options of the second row, as JSON")
    options = parser.parse_args()
    start = time.perf_counter()
    split = imdb(options.data)
    reading = time.perf_counter() - start
    rows = [measure(key, split, options.data, reading, options.seeds, options.options) for key in options.only]
    head = ["learns from", "options", "accuracy %", "recurrent alone", "n-grams alone", "time"]
    text = (
        "## Pre-training: IMDb reviews, 25,000 with labels, 50,000 without, 25,000 for the test\n\n"
        f"Seeds {', '.join(map(str, options.seeds))}; what no option names is default.\n\n{results.table(head, rows)}"
    )
    results.publish("pretrain", text, options.write)


if __name__ == "__main__":
    main()
