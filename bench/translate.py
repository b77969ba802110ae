"""``elman.Translator(seed=...)`` with default options: BLEU and chrF on whole test sets, beside word for word.

- multi30k: German to English, 29,000 pairs to learn from, the 1,000 of test 2016; lower-cased BLEU, greedy and with the
  beam.
- tatoeba: English to Chinese; every tenth by a hash of the English side is the test part, so that equal sources stay
  together; chrF.

The baseline says for each word what it most likely becomes (IBM model 1, `elman.tasks.translate.ibm_model1`).
Everything is in the time: reading, training, validation. The test part is used once, for the figures below; options
were chosen on Multi30k's own validation part (--part val). The data folder is --data (default ../shared/data).
Run it: python bench/translate.py [--write] [--seeds 0] [--only multi30k tatoeba]
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import lzma
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import results

from elman import Translator
from elman.tasks.translate.ibm_model1 import IBMModel1
from elman.tasks.translate.mt_metrics import compared


class Split(NamedTuple):
    sources: list[str]
    targets: list[str]
    test_sources: list[str]
    test_targets: list[str]


def multi30k(data: Path, part: str) -> Split:
    def read(name: str) -> list[str]:
        return gzip.decompress((data / "text" / f"multi30k_{name}.gz").read_bytes()).decode().splitlines()

    held = {"test": "test_2016_flickr", "val": "val"}[part]
    return Split(*[read(f"{name}.{side}") for name in ("train", held) for side in ("de", "en")])


def tatoeba(data: Path, part: str) -> Split:
    """The tenth with hash 0 is the test part; that with hash 1 serves to choose options, else learnt from."""
    text = lzma.decompress((data / "text" / "tatoeba_en_zh.tsv.xz").read_bytes()).decode("utf-8-sig")
    pairs = [row.split("\t")[:2] for row in text.splitlines() if row]
    tenth = [int(hashlib.sha256(english.encode()).hexdigest(), 16) % 10 for english, _ in pairs]
    held = {"test": 0, "val": 1}[part]
    known = [pair for pair, place in zip(pairs, tenth, strict=True) if place not in (0, held)]
    asked = [pair for pair, place in zip(pairs, tenth, strict=True) if place == held]
    return Split(*[[pair[side] for pair in part] for part in (known, asked) for side in (0, 1)])


SETS: dict[str, Callable[[Path, str], Split]] = {"multi30k": multi30k, "tatoeba": tatoeba}


def measure(name: str, data: Path, seeds: list[int], part: str, given: dict[str, Any]) -> list[str]:
    start = time.perf_counter()
    split = SETS[name](data, part)
    reading = time.perf_counter() - start
    lower = name == "multi30k"
    greedy, beam, seconds = [], [], []
    baseline = IBMModel1().fit(split.sources, split.targets)
    theirs = compared(baseline.predict(split.test_sources), split.test_targets, lower)
    print(f"{name}: {baseline.name}: BLEU {theirs['bleu']:.2f}, chrF {theirs['chrf']:.2f}", flush=True)
    for seed in seeds:
        start = time.perf_counter()
        model = Translator(**{"seed": seed, **given}).fit(split.sources, split.targets)
        seconds.append(reading + time.perf_counter() - start)
        for found, width in ((greedy, 1), (beam, None)):
            found.append(model.evaluate(split.test_sources, split.test_targets, beam=width, lower=lower))
        print(f"{name}, seed {seed}, {seconds[-1]:.0f} s: greedy {greedy[-1]}, beam {beam[-1]}", flush=True)
        print([f"{e.loss:.2f} {e.validation.get('bleu', 0):.1f}" for e in model.history_], flush=True)
        for source, answer in zip(split.test_sources[:4], model.predict(split.test_sources[:4]), strict=True):
            print(f"  {source} -> {answer}", flush=True)
    metric = "bleu" if name == "multi30k" else "chrf"
    means = [statistics.mean(one[metric] for one in found) for found in (greedy, beam)]
    shown = [f"{means[0]:.1f}", f"**{means[1]:.1f}**", f"{theirs[metric]:.1f}"]
    return [name, {"bleu": "BLEU, lower-cased", "chrf": "chrF"}[metric], *shown, f"{statistics.median(seconds):.0f} s"]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; scores are averaged")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="which sets")
    parser.add_argument(
        "--part", choices=["test", "val"], default="test", help="val: for choosing options, not written"
    )
    parser.add_argument("--options", default="{}", help="options of the translator as a dict; with --part val only")
    options = parser.parse_args()
    given = ast.literal_eval(options.options)
    if options.part == "val" and options.write:
        raise SystemExit("--part val chooses options; only the test part is written.")
    if given and options.part != "val":
        raise SystemExit("the test part is for default options: give --part val with --options.")
    head = ["data", "score", "greedy", "beam", "word for word", "time"]
    for name in options.only:
        row = measure(name, options.data, options.seeds, options.part, given)
        text = (
            f"## Translation: {name}, `elman.Translator(seed=...)`, default options, whole test part\n\n"
            f"Seeds {', '.join(map(str, options.seeds))}.\n\n{results.table(head, [row])}"
        )
        results.publish(f"translate {name}", text, options.write)


if __name__ == "__main__":
    main()
