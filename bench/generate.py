"""``elman.Generator(seed=...)``: nats per symbol on whole test parts, beside 5-grams.

Default options, but for chorales (`OPTIONS`).

- shakespeare: tiny shakespeare, the last tenth of the text is the test part.
- jueju: Chinese poems of four lines; every tenth by a hash of the poem is the test part. The end of a poem counts as a
  symbol. 100 poems are written, and those that keep the form (four lines of five or of seven characters) are counted.
- chorales: Bach, the usual split (229 to learn from, 77 to test on); the 76 between were only used to choose the
  options below. Nats per step are all nats, ends of chorales included, by the number of chords.

The baseline is interpolated Kneser-Ney over the same symbols (`elman.lm.kneser_ney`). The time includes reading,
training and validation. The test part is used once, for the figures below. The data folder is --data
(default ../shared/data). Run it: python bench/generate.py [--write] [--seeds 0] [--only shakespeare jueju chorales]
"""

from __future__ import annotations

import hashlib
import json
import lzma
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import results

from elman import Generator
from elman.lm.kneser_ney import KneserNey
from elman.tasks.generate.constraints import Verse

POEMS = 100  # that are written
HEAD = [
    "data",
    "nats per symbol",
    "per step",
    "network alone",
    "its n-grams alone",
    "5-grams",
    "better by",
    "time",
    "poems in form",
]
#: What is no default.
OPTIONS: dict[str, dict[str, Any]] = {
    "chorales": {
        "feature": "chords",
        "transpose": 5,
        "hidden": 256,
        "dropout": 0.3,
        "head_dropout": 0.3,
        "epochs": 8,
        "precision": "bfloat16",
    }
}


class Split(NamedTuple):
    texts: list[Any]
    test: list[Any]


def shakespeare(data: Path) -> Split:
    text = lzma.decompress((data / "text" / "tinyshakespeare.txt.xz").read_bytes()).decode()
    cut = len(text) * 9 // 10
    return Split([text[:cut]], [text[cut:]])


def jueju(data: Path) -> Split:
    rows = lzma.decompress((data / "text" / "jueju.tsv.xz").read_bytes()).decode().splitlines()
    poems = [row.split("\t")[2] for row in rows]
    held = [int(hashlib.sha256(poem.encode()).hexdigest(), 16) % 10 == 0 for poem in poems]
    return Split(*[[poem for poem, out in zip(poems, held, strict=True) if out is test] for test in (False, True)])


def chorales(data: Path) -> Split:
    parts = json.loads(lzma.decompress((data / "music" / "jsb_chorales_quarter.json.xz").read_bytes()))
    return Split(parts["train"], parts["test"])


SETS: dict[str, Callable[[Path], Split]] = {"shakespeare": shakespeare, "jueju": jueju, "chorales": chorales}


def in_form(poem: str) -> bool:
    """Four lines of five or of seven characters, with their marks."""
    lines = poem.replace("。", "，").split("，")
    marks = [symbol for symbol in poem if symbol in "，。"]
    return [len(line) for line in lines] in ([5, 5, 5, 5, 0], [7, 7, 7, 7, 0]) and marks == ["，", "。", "，", "。"]


def kept(model: Generator) -> str:
    """Of the poems written how many keep the form, with it demanded and without."""
    demanded = sum(in_form(model.generate(length=60, seed=seed, form=Verse())) for seed in range(POEMS))
    free = sum(in_form(model.generate(length=60, seed=seed)) for seed in range(POEMS))
    return f"{demanded} of {POEMS} ({free} without the demand)"


def baseline_of(model: Generator, split: Split) -> float:
    lessons, test = (model.lm_chunks(model.feature_.transform(texts), None).whole() for texts in split)
    fitted = KneserNey(5, int(model.feature_.symbols or 0) + 1).fit(lessons)
    return fitted.nats(test) / sum(len(text) - 1 for text in test)


def measure(name: str, data: Path, seeds: list[int]) -> list[str]:
    start = time.perf_counter()
    split = SETS[name](data)
    reading = time.perf_counter() - start
    found, steps, parts, seconds, form, theirs = [], [], [], [], "", 0.0
    for seed in seeds:
        start = time.perf_counter()
        model = Generator(seed=seed, **OPTIONS.get(name, {})).fit(split.texts)
        seconds.append(reading + time.perf_counter() - start)
        scores = model.evaluate(split.test)
        found.append(scores["nats"])
        steps.append(scores.get("nats_per_step", scores["nats"]))
        parts.append([scores[f"nats_{part}"] for part in ("recurrent", "ngrams")])
        theirs = theirs or baseline_of(model, split)
        form = form or (kept(model) if name == "jueju" else "")
        print(f"{name}, seed {seed}: {found[-1]:.4f}, {steps[-1]:.4f} per step (5-grams {theirs:.4f}),", end=" ")
        print(f"parts {parts[-1]}, validation {model.metrics_}, epochs {len(model.history_)},", end=" ")
        print(f"{seconds[-1]:.0f} s {form}", flush=True)
        print(model.generate("ROMEO:\n" if name == "shakespeare" else "", length=200, seed=0), flush=True)
    mean = statistics.mean(found)
    spread = f" ({min(found):.3f} to {max(found):.3f})" if len(found) > 1 else ""
    share = f"{100 * (1 - mean / theirs):.1f} %"
    step = f"{statistics.mean(steps):.3f}"
    alone = [f"{statistics.mean(one):.3f}" for one in zip(*parts, strict=True)]
    return [
        name,
        f"**{mean:.3f}**{spread}",
        step,
        *alone,
        f"{theirs:.3f}",
        share,
        f"{statistics.median(seconds):.0f} s",
        form,
    ]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; scores are averaged")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="which sets")
    options = parser.parse_args()
    for name in options.only:
        row = measure(name, options.data, options.seeds)
        given = f"Options {OPTIONS[name]}" if name in OPTIONS else "Default options"
        text = (
            f"## Language models: {name}, whole test part\n\n"
            f"{given}, seeds {', '.join(map(str, options.seeds))}.\n\n{results.table(HEAD, [row])}"
        )
        results.publish(f"generate {name}", text, options.write)


if __name__ == "__main__":
    main()
