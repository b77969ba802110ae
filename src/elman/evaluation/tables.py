"""What a person sees of a training: a learning curve, tables, and the card that lies in the model's folder."""

import datetime as dt
import io
import math
import platform
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from elman.evaluation.metrics import ClassScore
from elman.training.history import History

__all__ = [
    "class_table",
    "comparison_table",
    "confusion_table",
    "history_table",
    "learning_curve",
    "model_card",
    "show",
    "versions",
]

_WHOLE = (
    "This folder is whole as it stands: config.json holds a hash of every other file, and an altered file is refused "
    "when the model is loaded. Keep notes elsewhere."
)
_LOSS, _METRIC, _INK = "#b3541e", "#1f5f8b", "#333333"  # told apart in every kind of colour blindness and in print


# -------------------------------------------------------------------------------------------------------------- curve


def learning_curve(history: History, title: str = "Learning curve") -> bytes | None:
    """Draw loss and validation metric over the epochs, as the bytes of a PNG. The epoch that was kept is marked.

    None, with a note on stderr, where matplotlib (the extra `plot`) is missing; None where there are no epochs.

    >>> learning_curve(History()) is None
    True
    """
    if not len(history):
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        _note("No learning curve was drawn: matplotlib is missing. pip install 'elman[plot]' brings it.")
        return None
    figure = Figure(figsize=(7.2, 4.2), dpi=130, layout="constrained")  # no pyplot: the caller's figures are not ours
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    lines = _draw_loss(axes, history) + _draw_metric(axes, history)
    if history.best:
        lines.append(axes.axvline(history.best, color=_INK, linestyle=":", linewidth=1.4, label="weights kept"))
    axes.set_title(f"{_literal(title)}\n", loc="left", fontsize=13, color=_INK, fontweight="bold")
    axes.text(0, 1.03, _literal(_summary(history)), transform=axes.transAxes, fontsize=9.5, color="#666666")
    figure.legend(
        handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, handlelength=3, fontsize=9
    )
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a title in Chinese is drawn as boxes
        figure.savefig(buffer, format="png", metadata={"Software": None})  # the same curve gives the same bytes
    return buffer.getvalue()


def _draw_loss(axes: Any, history: History) -> list[Any]:
    epochs, style = [r.epoch for r in history], _style(history)
    lines = axes.plot(epochs, [r.loss for r in history], color=_LOSS, label="training loss", **style)
    held_out = [r.validation.get("loss", math.nan) for r in history]
    if any(map(math.isfinite, held_out)):
        lines += axes.plot(epochs, held_out, color=_LOSS, linestyle="--", label="validation loss", **style)
    axes.set_xlabel("epoch (passes over the training sequences)", color=_INK)
    axes.set_ylabel("loss (mean per sequence)", color=_LOSS)
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.tick_params(axis="y", labelcolor=_LOSS)
    axes.spines[["top", "right"]].set_visible(False)
    return list(lines)


def _draw_metric(axes: Any, history: History) -> list[Any]:
    """The validation metric on an axis of its own, the best value in a ring."""
    values = [r.validation.get(history.metric, math.nan) for r in history]
    if history.metric == "loss" or not any(map(math.isfinite, values)):
        return []
    name = f"validation {_literal(_spaced(history.metric))}"
    right = axes.twinx()
    lines = right.plot([r.epoch for r in history], values, color=_METRIC, label=name, **_style(history))
    if history.best:
        right.plot([history.best], [values[history.best - 1]], "o", markersize=11, fillstyle="none", color=_METRIC)
    right.set_ylabel(name, color=_METRIC)
    right.tick_params(axis="y", labelcolor=_METRIC)
    right.spines[["top", "left"]].set_visible(False)
    return list(lines)


def _style(history: History) -> dict[str, Any]:
    return {"marker": "o" if len(history) <= 40 else "", "markersize": 4.0, "linewidth": 1.8}


def _summary(history: History) -> str:
    best = history.best_epoch
    value = best.validation.get(history.metric) if best else None
    kept = f"epoch {best.epoch} kept" if best else ""
    parts = [kept + (f", validation {_spaced(history.metric)} {value:.4g}" if value is not None else "")]
    parts.append({"patience": "stopped early", "interrupted": "stopped by hand"}.get(history.stopped, ""))
    parts.append(f"{sum(r.seconds for r in history):,.0f} s")
    return " · ".join(filter(None, parts))


def _literal(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


# ------------------------------------------------------------------------------------------------------------- tables


class Page(Console):
    """A console that lets a closed pipe be an error like any other: rich would end the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Raises the BrokenPipeError again."""
        raise  # noqa: PLE0704 (rich calls this while it handles the error)


def show(*tables: Table | str, stderr: bool = False) -> None:
    """Print tables to stdout or stderr, in colour where that is a terminal, and never narrower than their content."""
    stream = sys.stderr if stderr else sys.stdout
    if stream is None:
        return
    console = Page(file=stream, width=None if stream.isatty() else 160)
    for table in tables:
        console.print(Text(table) if isinstance(table, str) else table)


def history_table(history: History) -> Table:
    """One row for every epoch; the one whose weights were kept is marked.

    >>> history_table(History()).row_count
    0
    """
    metrics = list(dict.fromkeys(key for record in history for key in record.validation))
    table = _table("epoch", "loss", *(f"validation {_spaced(key)}" for key in metrics), "steps/s", "seconds", "")
    for r in history:
        values = [_number(r.validation.get(key)) for key in metrics]
        kept = "kept" if r.epoch == history.best else ""
        _row(table, r.epoch, _number(r.loss), *values, f"{r.steps_per_second:,.0f}", f"{r.seconds:.1f}", kept)
    return table


def comparison_table(rivals: Mapping[str, Mapping[str, float | str]], title: str = "") -> Table:
    """A row for each model and a column for each thing measured; what was not measured is a dash.

    >>> comparison_table({"lstm": {"accuracy": 0.91, "seconds": 60.0}, "TF-IDF": {"accuracy": 0.9}}).row_count
    2
    """
    columns = list(dict.fromkeys(key for values in rivals.values() for key in values))
    table = _table("", *map(_spaced, columns), title=title)
    for name, values in rivals.items():
        _row(table, name, *(_number(values.get(key)) for key in columns))
    return table


def class_table(scores: Sequence[ClassScore], first: str = "class", counted: str = "sequences") -> Table:
    """Precision, recall and F1 of each class, as metrics.per_class gives them."""
    table = _table(first, "precision", "recall", "F1", counted)
    for score in scores:
        _row(table, score.label, *map(_number, score[1:4]), f"{score.sequences:,}")
    return table


def confusion_table(labels: Sequence[Any], table: Any, most: int = 12) -> Table:
    """How many sequences of each true class (rows) got which answer (columns), as metrics.confusion gives them.

    Of more than `most` classes the largest are shown; the others share a row and a column.
    """
    names, counts = [str(label) for label in labels], [[int(n) for n in row] for row in table]
    if len(names) > most:
        size = [sum(counts[i]) for i in range(len(names))]
        shown = sorted(sorted(range(len(names)), key=lambda i: -size[i])[: most - 1])
        groups = [[i] for i in shown] + [[i for i in range(len(names)) if i not in set(shown)]]
        names = [names[i] for i in shown] + [f"{len(groups[-1])} others"]
        counts = [[sum(counts[i][j] for i in rows for j in columns) for columns in groups] for rows in groups]
    result = _table("true \\ answered", *names)
    for i, name in enumerate(names):
        result.add_row(_text(name), *(Text(f"{n:,}", "bold" if i == j else "") for j, n in enumerate(counts[i])))
    return result


def _table(first: str, *others: str, title: str = "") -> Table:
    table = Table(title=_text(title) if title else None, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    table.add_column(_text(first), justify="left")
    for name in others:
        table.add_column(_text(name), justify="right", overflow="fold")
    return table


def _row(table: Table, *cells: object) -> None:
    table.add_row(*map(_text, cells))


def _text(value: object) -> Text:
    """Any text as itself: a class may be named "[red]", or hold what would move a terminal's cursor."""
    return Text("".join(c if c.isprintable() else " " for c in str(value)))


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _number(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "—"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


# --------------------------------------------------------------------------------------------------------------- card


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
    values = {_spaced(key): _number(float(value)) for key, value in metrics.items()}
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
    head = ["epoch", "loss", *(f"validation {_spaced(key)}" for key in keys)]
    rows = [[str(r.epoch), _number(r.loss), *(_number(r.validation.get(k)) for k in keys)] for r in history]
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


def _note(text: str) -> None:
    if sys.stderr is not None:
        print(text, file=sys.stderr)
