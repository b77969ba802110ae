"""The card that lies in a model's folder."""

import datetime as dt
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, Self

from elman.evaluation.tables import formatted, spaced
from elman.training.history import History, lower_is_better

_HIGHER = frozenset({"accuracy", "f1", "precision", "recall", "r2", "bleu", "chrf", "exact"})
_COUNTS = frozenset({"symbols"})
_WHOLE = (
    "This folder is whole as it stands: config.json holds a hash of every other file, and an altered file is refused "
    "when the model is loaded. Keep notes elsewhere."
)


class CountTable(NamedTuple):
    """Counts of the validation part, such as a confusion matrix.

    >>> CountTable.from_json(CountTable("Counts", "label", ["a"], ["found"], [[3]]).to_json()).counts
    [[3]]
    """

    title: str
    corner: str  # above the names of the rows
    rows: list[str]
    columns: list[str]
    counts: list[list[int]]  # [rows, columns]

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return self._asdict()

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Raises ``ValueError`` for anything else."""
        made = cls(**saved)
        names: list[Any] = [made.title, made.corner, *made.rows, *made.columns]
        counts: list[Any] = [count for row in made.counts for count in row]
        sizes = [len(row) for row in made.counts] == [len(made.columns)] * len(made.rows)
        if not sizes or {*map(type, names)} - {str} or {*map(type, counts)} - {int}:
            raise ValueError("counts")
        return made

    def markdown(self) -> str:
        """A section of a card."""
        rows = [[name, *own] for name, own in zip(self.rows, self.counts, strict=True)]
        return f"### {_markdown(self.title)}\n\n{_markdown_table([self.corner, *self.columns], rows)}"


def table_suffix(file: str) -> str:
    """The suffix of a table, compression included.

    >>> table_suffix("a.b/reviews.csv.gz"), table_suffix("notes.2.tsv")
    ('.csv.gz', '.tsv')
    """
    *_, kind, last = ["", "", *Path(file).suffixes]
    return kind + last if last in (".gz", ".xz") else last


def versions() -> dict[str, str]:
    """The versions a result may depend on: elman, torch, Python and the system.

    >>> sorted(versions())
    ['elman', 'python', 'system', 'torch']
    """

    def of(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:  # used from a source tree
            return "unknown"

    system = f"{platform.system()} {platform.machine()}"
    return {"elman": of("elman"), "torch": of("torch"), "python": platform.python_version(), "system": system}


def model_card(
    *,
    name: str,
    task: str,
    data: Mapping[str, object],
    options: Mapping[str, object],
    metrics: Mapping[str, float],
    validated_by: str = "",
    history: History | None = None,
    python: str = "",
    suffix: str = ".csv",
    curve: str | None = None,
    counts: Sequence[CountTable] = (),
    parameters: int = 0,
    command: str = "",
    date: dt.date | None = None,
) -> str:
    """The README.md of a model folder: what it does, what it learnt from, how good it is, how to use it.

    `task` is a sentence; `data`, `options` and `metrics` become tables; `python` are lines that use the model in
    `name`, with good ones as the default; `suffix` is that of the tables it reads; `curve` is the file name of the
    learning curve, if one was drawn. `options` are those to be shown, of all that config.json holds. `metrics` and
    `counts` are those of the validation part, answered by `validated_by` where that is not how the model answers.
    `parameters` is their number in the network; `command` repeats the fit.

    >>> card = model_card(name="model", task="One label per text.", data={"sequences": 900}, options={"hidden": 64},
    ...                   metrics={"accuracy": 0.9})
    >>> print(card.splitlines()[0])
    # model
    """
    date = date or dt.datetime.now(dt.UTC).date()
    python = python or f"import elman\n\nmodel = elman.load({name!r})\nmodel.predict([...])"
    answer = f"elman predict {_quoted(name)} new{suffix}\nelman score {_quoted(name)} test{suffix} --baseline"
    parts = [
        f"# {_markdown(name)}",
        f"{task}\n\nTrained on {date.isoformat()} with elman.",
        f"## Use\n\n```python\n{python}\n```\n\n```sh\n{answer}\n```",
        _validation(metrics, validated_by),
        *[table.markdown() for table in counts],
        _training(history, curve, parameters, command),
        _section("What it learnt from", "", "", data),
        _options(options),
        _section("Versions", "", "version", versions()),
        _WHOLE,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _validation(metrics: Mapping[str, float], validated_by: str) -> str:
    """The figures of the validation part, and why they promise too much."""
    if not metrics:
        return ""
    twice = {"loss"} if metrics.get("nats") == metrics.get("loss") else set()  # one thing by two names
    shown = {key: value for key, value in metrics.items() if key not in twice}
    rows = [[spaced(key), _metric(key, float(value)), _better(key)] for key, value in shown.items()]
    table = _markdown_table(["metric", "value", "better"], rows)
    how = f" Answers are those of {validated_by}." if validated_by else ""
    note = (
        "Measured on the sequences that were held out of training. They also chose the epoch and other settings, so "
        f"expect less on new data, and measure it with `elman score` on a test set.{how}"
    )
    return f"## Validation part\n\n{note}\n\n{table}"


def _metric(key: str, value: float) -> str:
    return f"{value:,.0f}" if key in _COUNTS else formatted(value)


def _better(key: str) -> str:
    """Which values of a metric are better; of one target of several, or of one path too."""
    words = key.rsplit(".", 1)[-1].split("_")
    lower = any(map(lower_is_better, words)) or not {"nats", "bits"}.isdisjoint(words)
    return "lower" if lower else "higher" if not _HIGHER.isdisjoint(words) else ""


def _options(options: Mapping[str, object]) -> str:
    """The options that say something about this model."""
    note = "Those that differ from the default, or were chosen for the data. config.json has all of them."
    text = _section("Options", "option", "value", options)
    return text and text.replace("\n\n", f"\n\n{note}\n\n", 1)


def _training(history: History | None, curve: str | None, parameters: int, command: str) -> str:
    if history is None or not len(history):
        return ""
    how = {"patience": ", stopped early", "interrupted": ", stopped by hand"}.get(history.stopped, "")
    seconds = sum(record.seconds for record in history)
    text = f"{len(history)} epochs in {seconds:,.0f} s{how}; the weights are those of epoch {history.best}."
    text += f" The network has {parameters:,} parameters." if parameters else ""
    text += (
        f" This command, typed in the folder that holds this one, repeats it:\n\n```sh\n{command}\n```"
        if command
        else ""
    )
    picture = f"\n\n![Loss and validation metric over the epochs]({curve})" if curve else ""
    keys = list(dict.fromkeys(key for record in history for key in record.validation))
    head = ["epoch", "loss", *(f"validation {spaced(key)}" for key in keys)]
    rows = [[str(r.epoch), formatted(r.loss), *(formatted(r.validation.get(k)) for k in keys)] for r in history]
    return f"## How it was trained\n\n{text}{picture}\n\n{_markdown_table(head, rows)}"


def _section(title: str, left: str, right: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    return f"## {title}\n\n{_markdown_table([left, right], [[key, value] for key, value in values.items()])}"


def _markdown_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_markdown(cell) for cell in line)} |" for line in lines)


def _markdown(value: object) -> str:
    """Any value on one line of Markdown, never taken for Markdown or HTML of its own."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    text = text if len(text) <= 300 else text[:299] + "…"
    return "".join(f"\\{c}" if c in "\\`*_[]|<>" else c for c in text)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else "'" + name.replace("'", "'\\''") + "'"
