"""``elman.Tagger(seed=...)`` with default options on whole test sets, beside the commonest label of each word.

- Universal Dependencies English-EWT, parts of speech (UPOS) of gold words: accuracy over words.
- WNUT-17, names of six kinds in short messages (Derczynski et al. 2017): F1 of spans.
- Secondary structure of proteins (Qian & Sejnowski 1988), three states of a residue: accuracy over residues (Q3).

No vectors from elsewhere. Everything is in the time: reading, training, validation (a tenth of the training part; the
sets' own development parts are not used). The test part is used once, for the figures below. The data folder is --data
(default ../shared/data). Run it: python bench/tag.py [--write] [--seeds 0] [--only ewt wnut protein]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import results

from elman import Tagger
from elman.evaluation.baselines import CommonestTag
from elman.evaluation.metrics import accuracy
from elman.io.tables import read_table
from elman.tasks.tag.spans import span_scores

Lists = list[list[str]]


class Split(NamedTuple):
    words: Lists
    labels: Lists
    test_words: Lists
    test_labels: Lists


def conll(name: str, suffix: str, words: str, labels: str) -> Callable[[Path], Split]:
    """A set in CoNLL files."""

    def load(data: Path) -> Split:
        parts: list[Lists] = []
        for part in ("train", "test"):
            frame = read_table(data / "text" / f"{name}_{part}.{suffix}.xz").frame
            parts += [frame[words].to_list(), frame[labels].to_list()]
        return Split(*parts)

    return load


def proteins(path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The residues of each chain and their states; "<>" begins a chain, "end" ends it."""
    residues: list[str] = []
    states: list[str] = []
    for line in [*path.read_text(encoding="ascii").splitlines(), "end"]:
        cells = line.split()
        if len(cells) == 2 and not line.startswith("#"):
            residues.append(cells[0])
            states.append(cells[1])
        elif cells and cells[0] in ("<>", "end", "<end>") and residues:
            yield residues, states
            residues, states = [], []


def protein(data: Path) -> Split:
    parts: list[Any] = []
    for part in ("train", "test"):
        parts += map(list, zip(*proteins(data / "bio" / f"protein_ss_{part}.txt"), strict=True))
    return Split(*parts)


SETS: dict[str, tuple[str, str, Callable[[Path], Split]]] = {
    "ewt": ("English-EWT, UPOS", "accuracy", conll("ud_en_ewt", "conllu", "form", "upos")),
    "wnut": ("WNUT-17, names", "f1", conll("wnut17", "conll", "token", "tag")),
    "protein": ("proteins, Q3", "accuracy", protein),
}


def measure(key: str, data: Path, seeds: list[int]) -> list[str]:
    name, metric, load = SETS[key]
    start = time.perf_counter()
    split = load(data)
    reading = time.perf_counter() - start
    baseline = CommonestTag().fit(split.words, split.labels).predict(split.test_words)
    flat = [[label for own in labels for label in own] for labels in (split.test_labels, baseline)]
    theirs = span_scores(split.test_labels, baseline).f1 if metric == "f1" else accuracy(*flat)
    scores, seconds = [], []
    for seed in seeds:
        start = time.perf_counter()
        tagger = Tagger(seed=seed).fit(split.words, split.labels)
        seconds.append(reading + time.perf_counter() - start)
        found = tagger.evaluate(split.test_words, split.test_labels)
        scores.append(found[metric])
        print(f"{name}, seed {seed}: {found}, {seconds[-1]:.0f} s, best epoch {tagger.history_.best}", flush=True)
    spread = f" ({100 * min(scores):.2f} to {100 * max(scores):.2f})" if len(scores) > 1 else ""
    return [
        name,
        f"{len(split.words)} + {len(split.test_words)}",
        "F1 of spans" if metric == "f1" else "accuracy",
        f"**{100 * statistics.mean(scores):.2f}**{spread}",
        f"{statistics.median(seconds):.0f} s",
        f"{100 * theirs:.2f}",
    ]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; scores are averaged")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="which sets")
    options = parser.parse_args()
    rows = [measure(key, options.data, options.seeds) for key in options.only]
    head = ["data", "train + test", "score", "%", "time", "commonest label of each word %"]
    text = (
        "## Tagging: `elman.Tagger(seed=...)`, default options, whole test sets\n\n"
        f"Seeds {', '.join(map(str, options.seeds))}; no vectors from elsewhere.\n\n{results.table(head, rows)}"
    )
    results.publish("tag", text, options.write)


if __name__ == "__main__":
    main()
