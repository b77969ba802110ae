"""``elman.Transcriber(seed=...)`` and ``elman.Classifier(feature="sound")`` with default options on whole test sets.

- AN4 (Acero 1993): 948 + 130 utterances as 13 cepstra a hundredth of a second, speakers apart: word error rate, by
  the likeliest symbol of each step and by beam search with the n-grams of the training transcripts.
- FSDD: 3000 spoken digits at 8 kHz, six speakers, official test: takes 0 to 4 of each: accuracy.

Everything is in the time: reading, training, validation (a tenth of the training part). The test part is used once, for
the figures below. The data folder is --data (default ../shared/data). Run it:
python bench/transcribe.py [--write] [--seeds 0] [--only an4 fsdd]
"""

from __future__ import annotations

import io
import re
import statistics
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import results

import elman
from elman.evaluation.baselines import Constant, linear_baseline
from elman.evaluation.metrics import error_rates


def an4(data: Path) -> dict[str, tuple[list[Any], list[str]]]:
    """Cepstra and transcripts of both parts."""
    found: dict[str, tuple[list[Any], list[str]]] = {"train": ([], []), "test": ([], [])}
    with tarfile.open(data / "audio" / "an4_mfcc.tar.xz") as archive:
        held = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    root = next(name for name in held if name.endswith("etc/an4_test.fileids")).removesuffix("etc/an4_test.fileids")
    for part, (X, y) in found.items():
        names = held[f"{root}etc/an4_{part}.fileids"].decode().split()
        lines = held[f"{root}etc/an4_{part}.transcription"].decode().splitlines()
        for name, line in zip(names, lines, strict=True):
            said = re.fullmatch(r"(?:<s> )?(.*?)(?: </s>)? *\((.*)\)", line.strip())
            assert said is not None
            assert said[2] == Path(name).name
            raw = io.BytesIO(held[f"{root}feat/{name}.mfc"])
            count = int.from_bytes(raw.read(4), "big")
            numbers = np.frombuffer(raw.read(), ">f4").astype(np.float32)
            assert len(numbers) == count
            X.append(numbers.reshape(-1, 13))
            y.append(said[1].strip())
    return found


def measure_an4(data: Path, seeds: list[int]) -> list[list[str]]:
    start = time.perf_counter()
    sets = an4(data)
    reading = time.perf_counter() - start
    (X, y), (test, truth) = sets["train"], sets["test"]
    constant = error_rates(truth, Constant().fit(X, y).predict(test))["wer"]
    plain, helped, seconds = [], [], []
    for seed in seeds:
        start = time.perf_counter()
        model = elman.Transcriber(seed=seed).fit(X, y)
        seconds.append(reading + time.perf_counter() - start)
        plain.append(model.evaluate(test, truth, beam=1)["wer"])
        start = time.perf_counter()
        found = model.evaluate(test, truth)
        beam = time.perf_counter() - start
        helped.append(found["wer"])
        print(
            f"AN4, seed {seed}: greedy {plain[-1]:.4f}, {found}, {seconds[-1]:.0f} s, answers {beam:.0f} s", flush=True
        )
        print(f"    validation {model.metrics_}, best epoch {model.history_.best} of {len(model.history_)}", flush=True)
    size, time_ = f"{len(X)} + {len(test)}", f"{statistics.median(seconds):.0f} s"
    baseline = f"{100 * constant:.1f} (the least wrong constant)"
    return [
        ["AN4, greedy", size, "word error rate", _percent(plain), time_, baseline],
        ["AN4, beam and n-grams", size, "word error rate", _percent(helped), time_, baseline],
    ]


def measure_fsdd(data: Path, seeds: list[int]) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with tarfile.open(data / "audio" / "fsdd.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        files = sorted(Path(folder).rglob("*.wav"))
        unpacking = time.perf_counter() - start
        is_test = [int(file.stem.split("_")[2]) < 5 for file in files]
        train, test = ([f for f, t in zip(files, is_test, strict=True) if t is part] for part in (False, True))
        labels, truth = ([int(file.name[0]) for file in part] for part in (train, test))
        scores, seconds = [], []
        for seed in seeds:
            start = time.perf_counter()
            clf = elman.Classifier(feature="sound", seed=seed).fit(train, labels)
            seconds.append(unpacking + time.perf_counter() - start)
            scores.append(clf.score(test, truth))
            print(f"FSDD, seed {seed}: {scores[-1]:.4f}, {seconds[-1]:.0f} s, validation {clf.metrics_}", flush=True)
        baseline = linear_baseline(train, feature=clf.feature_).fit(train, labels).score(test, truth)
    size, time_ = f"{len(train)} + {len(test)}", f"{statistics.median(seconds):.0f} s"
    name = "FSDD, Classifier of sound"
    return [[name, size, "accuracy", _percent(scores), time_, f"{100 * baseline:.1f} (statistics of the bands)"]]


def _percent(values: list[float]) -> str:
    spread = f" ({100 * min(values):.2f} to {100 * max(values):.2f})" if len(values) > 1 else ""
    return f"**{100 * statistics.mean(values):.2f}**{spread}"


SETS = {"an4": measure_an4, "fsdd": measure_fsdd}


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds; scores are averaged")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS), help="which sets")
    options = parser.parse_args()
    rows = [row for key in options.only for row in SETS[key](options.data, options.seeds)]
    head = ["data", "train + test", "score", "%", "time", "baseline %"]
    text = (
        '## Sound: `elman.Transcriber(seed=...)` and `elman.Classifier(feature="sound")`, default options, whole test '
        f"sets\n\nSeeds {', '.join(map(str, options.seeds))}.\n\n{results.table(head, rows)}"
    )
    results.publish("transcribe", text, options.write)


if __name__ == "__main__":
    main()
