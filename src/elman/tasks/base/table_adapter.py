"""What the command line asks of a task: to learn from a table, to answer its rows, to measure itself on them.

The commands know files, folders and terminals. What a target is, what an answer looks like and who the rival is, the
task says: `OnTables` is the list, and `AnswersRows` fills in most of it for tasks that answer each row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from elman.errors import DataError, OptionError, TrainingError
from elman.features import Category, Columns
from elman.features.containers import few, nearest
from elman.features.references import are_sound_names
from elman.io.tables import Table
from elman.validation.columns import is_missing

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "AnswersRows",
    "OnTables",
    "Scored",
    "among",
    "check_names",
    "floats_of",
    "is_csv",
    "known_rows",
    "labels_of",
    "names_in",
    "refuse_gaps",
    "told",
    "written",
]


class Scored(NamedTuple):
    """What a task measured on the rows of a table."""

    rows: int | None  # that have an answer each; None where the answers are not of rows
    scores: dict[str, float]  # by name; the same names for the model and for its rivals
    details: dict[str, Any]  # what --json says beside
    tables: list[Any]  # what people see below, made by elman.evaluation.tables
    said: str = ""  # and above, where the answers are not of rows


class OnTables:
    """What `elman fit`, `predict`, `score` and `stream` ask of a task; `target` names the columns to be found.

    `input` names the column to read where it has another name than in training, or several with commas between them.
    """

    target_says: ClassVar[str] = "the column with what is to be found"  # the help of --target; "": the task has none
    labels_steps: ClassVar[bool] = False  # whether an answer is a label for each step
    has_windows: ClassVar[bool] = False  # whether `score_table` and `rivals_on` take `windows` and `step`
    keeps_columns: ClassVar[bool] = False  # whether the answers stand beside the columns of the table
    target_flags: ClassVar[tuple[str, ...]] = ("--target",)  # the names of that flag of `elman fit <task>`
    example: ClassVar[str] = "data.csv --target y"  # of `elman fit <task>`

    if TYPE_CHECKING:
        feature_: Any
        feature: str
        data_: dict[str, Any]

    def target_names(self) -> list[str]:
        """The columns that were learnt, where training read them from a table or from a frame; else none."""
        names = self.data_.get("target") or []
        return [names] if isinstance(names, str) else [str(name) for name in names]

    def fit_table(self, table: Table, target: Sequence[str], *, out: str, resume: bool) -> None:
        """Learns from a table. Raises ``DataError``, naming file and line, before what would spoil it begins."""
        raise NotImplementedError

    def summary(self, rows: int) -> str:
        """The first line that `elman fit` prints: what was learnt, from a table of so many rows."""
        return f"{rows:,} rows"

    def outcome(self, rows: int) -> dict[str, Any]:
        """The same for `elman fit --json`."""
        return {}

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """What `elman predict` writes."""
        raise NotImplementedError

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """How good the answers for a table are; `model` is what messages call the model."""
        raise NotImplementedError

    def inspected(self, table: Table, target: Sequence[str], model: str, input: str | None = None) -> tuple[Any, Any]:
        """What `diagnose` takes of a table. `target`: the columns of true answers, where there are any."""
        return table.frame, target[0] if target else None

    def rivals_on(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """The simple rivals, which may learn from the training table `known`: name and scores of each on the table."""
        raise NotImplementedError

    def piece(self, line: str, number: int) -> Any:
        """What one line of standard input feeds: text, a token, a JSON list of tokens or notes, numbers."""
        feature = self.feature_.only() if isinstance(self.feature_, Columns) else self.feature_
        if feature.kind == "text":
            return line
        if feature.kind in ("tokens", "words"):
            return _tokens(line, number)
        if feature.kind == "chords":
            return _json_list(line, number)
        if feature.kind == "sound":
            return _sound(line)
        try:
            return [float(part) for part in line.replace(",", " ").split()]
        except ValueError:
            raise DataError(f"line {number} of standard input: {line[:40]!r} is not numbers. Write 0.5 1.5") from None

    def spoken(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """What `elman stream` prints of an answer: the line for people, and the object for machines."""
        raise NotImplementedError


class AnswersRows(OnTables):
    """Tasks that answer each row of a table. A task says how it reads targets, and what its answers look like."""

    keeps_columns: ClassVar[bool] = True
    by_name: ClassVar[bool] = False  # whether `fit` takes a single target too by its name, in a dict

    if TYPE_CHECKING:  # what the task has; an annotation here would hide that of its field
        input: Any
        features: Any
        input_: Any
        fit: Callable[..., Any]
        _column: Callable[..., Any]
        _reads_table: Callable[[], bool]
        predict: Callable[[Any], Any]

    # ---- what a task says

    def truth_of(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """What is to be found in each row; `model` names the one that is asked, None in training."""
        raise NotImplementedError

    def check_truth(self, table: Table, name: str, truth: list[Any]) -> None:
        """Raises ``DataError`` for targets that nothing could be learnt from."""

    def learnt(self) -> str:
        """What was learnt, in few words."""
        return ""

    def facts(self) -> dict[str, Any]:
        """What was learnt, for machines."""
        return {}

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The columns that `elman predict` adds."""
        raise NotImplementedError

    def measured(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """The scores of answers, by the name of the target."""
        raise NotImplementedError

    def detailed(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """More about the answers: for machines, and as tables for people."""
        return {}, []

    def rivals(self, X: Any, target: str) -> list[Any]:
        """The simple rivals for such sequences and a target, not yet fitted; as many for each target."""
        raise NotImplementedError

    # ---- what the commands ask

    def summary(self, rows: int) -> str:
        """How many sequences, what was learnt, and what each column was taken for."""
        return f"{rows:,} sequences, {self.learnt()}; {self._inputs_in_words()}"

    def hears(self, column: pl.Series) -> bool:
        """Whether the texts of a column, in training, are paths of sound files."""
        named = self.feature == "auto" and are_sound_names([cell for cell in column if isinstance(cell, str)])
        return self.feature == "sound" or named

    def outcome(self, rows: int) -> dict[str, Any]:
        """The same for machines."""
        return {"sequences": rows, "input": self._inputs_in_words(), **self.facts()}

    def _inputs_in_words(self) -> str:
        return str(self.feature_.describe())

    def fit_table(self, table: Table, target: Sequence[str], *, out: str, resume: bool) -> None:
        """Learns the columns `target` from the others, or from those of `input`."""
        names = self._names_to_learn(table, target)
        truth = {name: self.truth_of(table, name) for name in target}
        for name, values in truth.items():
            self.check_truth(table, name, values)
        y = truth[target[0]] if len(target) == 1 and not self.by_name else truth
        several = len(names) > 1 or self.features
        frame = typed(table, names, self.features) if several else table.frame.select(names)
        if not several and self.hears(frame[names[0]]):
            frame = frame.with_columns(_beside(table, names[0]))
        told(lambda: self.fit(frame, y, out=out, resume=resume), table)

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with the answers as further columns."""
        import polars as pl

        X = self.rows_of(table, input)
        added = pl.DataFrame(told(lambda: self.answer_columns(X, target), table))
        if clash := [name for name in added.columns if name in table.frame.columns]:
            raise DataError(f"{table.path.name} already has a column {clash[0]!r}. Rename it or leave it out.")
        return table.frame.hstack(added)

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The scores of the answers for all rows."""
        X = self.rows_of(table, input)
        truth = {name: self.truth_of(table, name, model) for name in target}
        found = told(lambda: self.predict(X), table)
        answers = found if isinstance(found, dict) else {target[0]: found}
        details, tables = self.detailed(truth, answers)
        return Scored(table.frame.height, self.measured(truth, answers), details, tables)

    def rivals_on(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """The simple rivals, one for each target, learnt from the rows that the model learnt from."""
        training = known()
        before, now = self.rows_of(training, None), self.rows_of(table, None)
        lessons = {name: self.truth_of(training, name, model) for name in target}
        truth = {name: self.truth_of(table, name, model) for name in target}
        scored = []
        for others in zip(*(self.rivals(before, name) for name in target), strict=True):
            answers = {}
            for name, other in zip(target, others, strict=True):
                told(lambda other=other, name=name: other.fit(before, lessons[name]), training)  # type: ignore[misc]
                answers[name] = other.predict(now)
            called = ", ".join(dict.fromkeys(other.name for other in others))
            seconds = round(sum(other.seconds for other in others), 3)
            scored.append({"name": called, **self.measured(truth, answers), "training_seconds": seconds})
        return scored

    def inspected(self, table: Table, target: Sequence[str], model: str, input: str | None = None) -> tuple[Any, Any]:
        """The sequences, and the answers as `elman score` reads them."""
        X = self.rows_of(table, input)
        truth = {name: self.truth_of(table, name, model) for name in target}
        return X, (truth or None) if len(truth) != 1 or self.by_name else truth[target[0]]

    # ---- which columns

    def rows_of(self, table: Table, input: str | None) -> Any:
        """The sequences of a table that a trained model reads."""
        names = self._names_to_read(table, input)
        learnt = self._learnt_names() or names
        if isinstance(self.feature_, Columns):
            kinds = {name: self.feature_.kinds[own] for name, own in zip(names, learnt, strict=True)}
            frame = typed(table, names, kinds).rename(dict(zip(names, learnt, strict=True)))
            return self._column(self._as_learnt(table, frame), fitted=True)
        if self._reads_table():
            return typed(table, names, dict.fromkeys(names, "number")).rename(dict(zip(names, learnt, strict=True)))
        (name,) = names
        _check_sequences(table, name)
        heard = self.feature_.kind == "sound"
        return (_beside(table, name) if heard else table.frame[name]).to_list()

    def _learnt_names(self) -> list[str]:
        """The columns that training read; none where its data had no names."""
        if isinstance(self.feature_, Columns):
            return list(self.feature_.names)
        return [self.input_] if isinstance(self.input_, str) else list(self.input_ or [])

    def _names_to_read(self, table: Table, input: str | None) -> list[str]:
        """The columns of a table that stand for those of the training, in their order."""
        learnt, given = self._learnt_names(), names_in(table, input) if input is not None else None
        if not learnt:
            many = int(getattr(self, "n_features_in_", 1))
            rest = [name for name in table.frame.columns if name not in self.target_names()]
            if given is None and len(rest) != many:
                raise OptionError(
                    f"the model learnt from data without names, and {table.path.name} has {len(rest)} columns that "
                    f"could be read: {few(rest)}. Name {'the one' if many == 1 else f'those {many}'} to read: --input."
                )
            learnt, given = rest[:many] if given is None else [""] * many, given or rest
        elif given is None or set(given) == set(learnt):
            check_names(table, learnt)
            return learnt
        strange = [name for name, own in zip(given, learnt, strict=False) if name in learnt and name != own]
        if len(given) != len(learnt) or strange:
            what = f"{few(learnt)}" if any(learnt) else f"{len(learnt)} columns"
            raise OptionError(
                f"--input names {few(given)}, but the model reads {what}. Name as many, in this order, or leave it out."
            )
        return given

    def _as_learnt(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame of a CSV file, which has no types, with its categories as those that they read like."""
        import polars as pl

        for name, static in self.feature_.statics.items() if is_csv(table) else ():
            if isinstance(static, Category) and frame[name].dtype == pl.String:
                place = {written(value): value for value in static.categories_ if not isinstance(value, str)}
                if place and not any(isinstance(value, str) for value in static.categories_):
                    known = [place.get(cell, cell) for cell in frame[name].to_list()]
                    frame = frame.with_columns(pl.Series(name, known, dtype=pl.Object))
        return frame

    def _names_to_learn(self, table: Table, target: Sequence[str]) -> list[str]:
        check_names(table, target)
        given = [self.input] if isinstance(self.input, str) else self.input
        names = list(given) if given is not None else [c for c in table.frame.columns if c not in target]
        if both := [name for name in names if name in target]:
            raise OptionError(f"--input and --target both name the column {both[0]!r}. Name two.")
        check_names(table, names)
        if not names:
            raise DataError(f"{table.path.name} has no column beside {', '.join(target)}. There must be one to read.")
        if len(names) == 1 and not self.features:
            _check_sequences(table, names[0])
        return names


# ---- columns of a table


def check_names(table: Table, names: Sequence[str]) -> None:
    """Raises ``DataError``, with the nearest name, unless a table has all these columns."""
    columns, there = table.frame.columns, set(table.frame.columns)
    for name in names:
        if name in there:
            continue
        near, shown = nearest(name, columns), ", ".join(columns[:20]) + ", ..." * (len(columns) > 20)
        header = is_csv(table) and not near and columns[0] != "column_1"
        advice = " If its first line is no header, say --no-header." if header else ""
        raise DataError(f"{table.path.name} has no column {name!r}.{near} Its columns: {shown}.{advice}")


def names_in(table: Table, names: str) -> list[str]:
    """The columns that a flag names: one, or several with commas between them. Raises ``DataError`` for no column."""
    chosen = [names] if names in table.frame.columns or "," not in names else [n.strip() for n in names.split(",")]
    check_names(table, chosen)
    return chosen


def refuse_gaps(table: Table, column: pl.Series, advice: str) -> None:
    """Raises ``DataError`` naming the line if a column has an empty cell."""
    if column.null_count():
        row = int(column.is_null().arg_true()[0])
        raise DataError(f"{table.where(row)}: {column.name} is missing. {advice}")


def _check_sequences(table: Table, name: str) -> None:
    """The column is there, holds texts or lists, and holds one for every row."""
    import polars as pl

    check_names(table, [name])
    column = table.frame[name]
    if not isinstance(column.dtype, pl.String | pl.List | pl.Array | pl.Null):
        raise DataError(f"{table.path.name}: the column {name!r} holds {column.dtype}, neither texts nor lists.")
    refuse_gaps(table, column, 'Drop the row, or write "" for an empty text.')


def floats_of(table: Table, name: str) -> list[float | None]:
    """The numbers of a column; CSV has no types, so there they are read. An empty cell is None.

    Raises ``DataError`` naming the line for what is no number.
    """
    import polars as pl

    check_names(table, [name])
    column = table.frame[name]
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64).to_list()
    if column.dtype == pl.Null:
        return [None] * len(column)
    if column.dtype != pl.String:
        raise DataError(f"{table.path.name}: the column {name!r} holds {column.dtype}, not numbers.")
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & column.is_not_null()).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(f"{table.where(row)}: {name} is {column[row]!r}, where a number was expected.")
    return numbers.to_list()


def typed(table: Table, names: Sequence[str], kinds: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Some columns of a table; those of a CSV file that hold nothing but numbers as numbers.

    `kinds` says which are to be: "number" makes numbers of a column whatever it looks like, any other leaves it.
    """
    import polars as pl

    check_names(table, names)
    frame = table.frame.select(names)
    for name in names:
        column, kind = frame[name], (kinds or {}).get(name)
        if column.dtype != pl.String or kind not in (None, "number"):
            continue
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        if kind == "number":
            frame = frame.with_columns(pl.Series(name, floats_of(table, name), dtype=pl.Float64))
        elif numbers.null_count() == column.null_count() < len(column):
            frame = frame.with_columns(numbers.alias(name))
    return frame


def told(work: Callable[[], Any], table: Table) -> Any:
    """Do the work; a fault in a sequence is named by its place in the file."""
    try:
        return work()
    except (DataError, TrainingError) as error:
        text = re.sub(r"\b[Xy]: (the label of )?sequence (\d+)", lambda f: table.where(int(f[2])), str(error))
        if text.startswith(("frame", "X: column")):  # of a long table
            text = re.sub(r"\brows (\d+) and (\d+)", r"row \1 and row \2", text.removeprefix("frame: "))
            text = re.sub(r"\brow (\d+)", lambda f: table.where(int(f[1])), text)
            text = re.sub(r"^frame\b", table.path.name, text)
        text = re.sub(r"\bsequence (\d+)", lambda found: f"{found[0]} ({table.where(int(found[1]))})", text)
        raise type(error)(text) from error


def is_csv(table: Table) -> bool:
    """Whether the cells of a table have no types."""
    return not {".csv", ".tsv"}.isdisjoint(suffix.lower() for suffix in table.path.suffixes[-2:])


def written(label: Any) -> str:
    """A label as CSV has it.

    >>> written(True), written("a")
    ('true', 'a')
    """
    return label if isinstance(label, str) else json.dumps(label)


def known_rows(truth: Sequence[Any]) -> list[int]:
    """The places whose target is known.

    >>> known_rows([1.0, None, 2.0])
    [0, 2]
    """
    return [i for i, value in enumerate(truth) if not is_missing(value)]


def _beside(table: Table, name: str) -> pl.Series:
    """Paths as seen from where the table lies; what is no text stays."""
    import polars as pl

    column = table.frame[name]
    if column.dtype != pl.String:
        return column
    folder = table.path.parent
    return pl.Series(name, [str(folder / path) for path in column.to_list()], dtype=pl.String)


def _sound(line: str) -> Any:
    """Samples, or the path of a file."""
    import numpy as np

    try:
        return np.array([float(part) for part in line.replace(",", " ").split()])
    except ValueError:
        return line.strip()


def _tokens(line: str, number: int) -> Any:
    return _json_list(line, number) if line.startswith("[") else line.strip()


def _json_list(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"line {number} of standard input: {line[:40]!r} is no JSON list ({error}).") from None


def labels_of(table: Table, name: str) -> list[Any]:
    """The labels of a column, None where one is missing. Raises ``DataError`` for what cannot be labels."""
    check_names(table, [name])
    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        what = f"holds {column.dtype}. A label is a word or a number."
        raise DataError(f"{table.path.name}: the column {name!r} {what}")
    return column.to_list()


def among(labels: list[Any], known: Sequence[Any], table: Table, name: str, model: str) -> list[Any]:
    """The labels as the classes they are; None stays.

    Raises ``DataError`` with the line of one that was never learnt.
    """
    if is_csv(table):
        place = {written(label): label for label in known}
        labels = [place.get(label, label) if isinstance(label, str) else label for label in labels]
    classes = {(type(label), label) for label in known}
    for row, label in enumerate(labels):
        if label is not None and (type(label), label) not in classes:
            shown = ", ".join(map(repr, known[:8])) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
            raise DataError(f"{table.where(row)}: {name} is {label!r}, which {model} never learnt. It knows {shown}.")
    return labels
