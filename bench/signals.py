"""Signals: accuracy of ``elman.Classifier(seed=...)`` on series of numbers and on images read row by row.

- JapaneseVowels (12 numbers a step, 7 to 29 steps), BasicMotions (6, 100), ArrowHead (1, 251), GunPoint (1, 150) of the
  UEA and UCR archives, with the archives' own training and test parts; they come with the aeon package, which also
  brings the baseline, MiniRocket (Dempster et al. 2021).
- MNIST, a step for each row of 28 pixels; image/mnist.npz in the data folder, --data (default ../shared/data).

Training, validation and everything else are in the time. The test part is used once, for the figures below. Needs a
Python that has elman and aeon. Run it: python bench/signals.py [--write] [--seeds 0 1 2] [--only GunPoint MNIST]
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import results

from elman import Classifier


@dataclass
class Split:
    x: Any
    labels: Any
    test_x: Any
    test_labels: Any
    options: dict[str, Any] = field(default_factory=dict)  # what is not a default


def archive(name: str) -> Callable[[Path], Split]:
    """A set of the archive, from aeon: each sequence as [length, width]."""

    def load(data: Path) -> Split:
        from aeon import datasets

        loader = {
            "JapaneseVowels": datasets.load_japanese_vowels,
            "BasicMotions": datasets.load_basic_motions,
            "ArrowHead": datasets.load_arrow_head,
            "GunPoint": datasets.load_gunpoint,
        }[name]
        parts: list[Any] = []
        for part in ("train", "test"):
            X, y = loader(split=part)
            parts += [[np.asarray(x).T for x in X], np.asarray(y)]
        return Split(*parts)

    return load


def mnist(data: Path) -> Split:
    with np.load(data / "image" / "mnist.npz") as file:
        parts = [file[f"{kind}_{part}"] for part in ("train", "test") for kind in ("x", "y")]
    return Split(*parts, options=MNIST)


#: What is not a default for MNIST.
MNIST: dict[str, Any] = {}

SETS: dict[str, Callable[[Path], Split]] = {
    **{name: archive(name) for name in ("JapaneseVowels", "BasicMotions", "ArrowHead", "GunPoint")},
    "MNIST": mnist,
}


def baseline_of(name: str, split: Split) -> tuple[str, float, float]:
    """The baseline's name, its accuracy and its time."""
    start = time.perf_counter()
    if name == "MNIST":
        from sklearn.linear_model import LogisticRegression

        flat = [np.reshape(X, (len(X), -1)) / 255.0 for X in (split.x, split.test_x)]
        score = LogisticRegression(max_iter=100).fit(flat[0], split.labels).score(flat[1], split.test_labels)
        return "logistic regression on the pixels", float(score), time.perf_counter() - start
    from aeon.classification.convolution_based import MiniRocketClassifier

    longest = max(len(x) for x in [*split.x, *split.test_x])
    # The baseline's way with unequal lengths: zeros behind each sequence.
    padded = [np.stack([np.pad(x.T, ((0, 0), (0, longest - len(x)))) for x in X]) for X in (split.x, split.test_x)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MiniRocketClassifier(random_state=0).fit(padded[0], split.labels)
        score = model.score(padded[1], split.test_labels)
    return "MiniRocket", float(score), time.perf_counter() - start


def measure(name: str, split: Split, seeds: Sequence[int]) -> list[str]:
    seconds, scores, alone = [], [], []
    for seed in seeds:
        start = time.perf_counter()
        clf = Classifier(seed=seed, verbose=False, **split.options).fit(split.x, split.labels)
        seconds.append(time.perf_counter() - start)
        found = clf.evaluate(split.test_x, split.test_labels)
        scores.append(found["accuracy"])
        alone.append(found.get("accuracy_recurrent", found["accuracy"]))
        print(
            name,
            seed,
            {k: round(v, 4) for k, v in found.items()},
            f"{seconds[-1]:.0f} s",
            len(clf.history_),
            flush=True,
        )
    who, score, time_of_rival = baseline_of(name, split)
    given = ", ".join(f"{key}={value!r}" for key, value in split.options.items())
    return [
        name,
        f"{len(split.x)} + {len(split.test_x)}",
        f"**{100 * statistics.mean(scores):.2f}** ({100 * min(scores):.2f} to {100 * max(scores):.2f})",
        f"{100 * statistics.mean(alone):.2f}",
        given or "defaults",
        f"{statistics.median(seconds):.0f} s",
        f"{100 * score:.2f} ({who})",
        f"{time_of_rival:.0f} s",
    ]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; accuracies are averaged")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="which sets")
    options = parser.parse_args()
    rows = []
    for name in options.only:
        try:
            split = SETS[name](options.data)
        except (ImportError, OSError) as error:
            print(f"{name}: left out ({error}).")
            continue
        rows.append(measure(name, split, options.seeds))
    head = ["data", "train + test", "accuracy %", "recurrent path alone %", "options", "time", "baseline %", "its time"]
    text = (
        "## Signals: accuracy of `elman.Classifier(seed=...)`, whole test sets\n\n"
        f"Seeds {', '.join(map(str, options.seeds))}; in brackets the worst and the best.\n\n"
        f"{results.table(head, rows)}"
    )
    results.publish("signals", text, options.write, peers=["aeon"])


if __name__ == "__main__":
    main()
