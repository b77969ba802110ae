"""The card that lies in a model's folder."""

import datetime as dt
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

from elman.evaluation.tables import formatted, spaced
from elman.training.history import History

_WHOLE = (
    "This folder is whole as it stands: config.json holds a hash of every other file, and an altered file is refused "
    "when the model is loaded. Keep notes elsewhere."
)


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
    date: dt.date | None = None,
) -> str:
    """The README.md of a model folder: what it does, what it learnt from, how good it is, how to use it.

    `task` is a sentence; `data`, `options` and `metrics` become tables; `python` are lines that use the model in
    `name`, with good ones as the default; `suffix` is that of the tables it reads; `curve` is the file name of the
    learning curve, if one was drawn. `metrics` are those of the validation part, answered by `validated_by` where that
    is not how the model answers.

    >>> card = model_card(name="model", task="One label per text.", data={"sequences": 900}, options={"hidden": 64},
    ...                   metrics={"accuracy": 0.9})
    >>> print(card.splitlines()[0])
    # model
    """
    date = date or dt.datetime.now(dt.UTC).date()
    python = python or f"import elman\n\nmodel = elman.load({name!r})\nmodel.predict([...])"
    command = f"elman predict {_quoted(name)} new{suffix}\nelman score {_quoted(name)} test{suffix} --baseline"
    parts = [
        f"# {_markdown(name)}",
        f"{task}\n\nTrained on {date.isoformat()} with elman.",
        f"## Use\n\n```python\n{python}\n```\n\n```sh\n{command}\n```",
        _validation(metrics, validated_by),
        _training(history, curve),
        _section("What it learnt from", "", "", data),
        _section("Options", "option", "value", options),
        _section("Versions", "", "version", versions()),
        _WHOLE,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _validation(metrics: Mapping[str, float], validated_by: str) -> str:
    """The figures of the validation part, and why they promise too much."""
    values = {spaced(key): formatted(float(value)) for key, value in metrics.items()}
    text = _section("Validation part", "metric", "value", values)
    how = f" Answers are those of {validated_by}." if validated_by else ""
    note = (
        "Measured on the sequences that were held out of training. They also chose the epoch and other settings, so "
        f"expect less on new data, and measure it with `elman score` on a test set.{how}"
    )
    return text and text.replace("\n\n", f"\n\n{note}\n\n", 1)


def _training(history: History | None, curve: str | None) -> str:
    if history is None or not len(history):
        return ""
    how = {"patience": ", stopped early", "interrupted": ", stopped by hand"}.get(history.stopped, "")
    seconds = sum(record.seconds for record in history)
    text = f"{len(history)} epochs in {seconds:,.0f} s{how}; the weights are those of epoch {history.best}."
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
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    text = text if len(text) <= 300 else text[:299] + "…"
    return "".join(f"\\{c}" if c in "\\`*_[]|<>" else c for c in text)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else "'" + name.replace("'", "'\\''") + "'"
