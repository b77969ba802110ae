"""Table adapters: the interface between the command line and the tasks.

Files, folders and terminals belong to the commands; reading targets, formatting answers and baselines to the adapter in
a task's ``table.py``. `TableAdapter` is the protocol that the commands call; `RowAdapter` implements most of it for
tasks that answer each row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from elman.errors import DataError, OptionError, Place
from elman.features.references import are_sound_names
from elman.features.registry import FEATURES
from elman.io.tables import Table
from elman.tasks.base.table_columns import (
    check_names,
    check_sequences,
    floats_of,
    is_csv,
    names_in,
    paths_beside,
    typed,
    written,
)
from elman.validation.messages import few

if TYPE_CHECKING:
    import polars as pl


class Scored(NamedTuple):
    """The scores of a model on a table."""

    rows: int | None  # number of rows scored; None where answers do not belong to rows
    scores: dict[str, float]  # by name; the same names for the model and for its baselines
    details: Mapping[str, Any] = {}  # further entries of --json
    tables: Sequence[Any] = ()  # printed below, made by elman.evaluation.tables
    heading: str = ""  # printed above, where answers do not belong to rows
    picture: Callable[[str], bytes | None] = lambda title: None  # the scores under a title, as a PNG


class TableAdapter(Protocol):
    """The interface of a task for `elman fit`, `predict`, `score`, `stream` and `inspect`.

    `target` names the target columns. `input` names the input column if its name differs from that of training, or
    several separated by commas.
    """

    model: Any
    estimator: ClassVar[type[Any]]  # the task whose models it adapts
    target_help: ClassVar[str] = ""  # the help of --target; "": the task has none
    labels_steps: ClassVar[bool] = False  # whether an answer is a label for each step
    has_windows: ClassVar[bool] = False  # whether `score_table` and `score_baselines` take `windows` and `step`
    draws_scores: ClassVar[bool] = False  # whether `Scored` has a picture
    keeps_state: ClassVar[bool] = False  # whether the model keeps the ends of series: see `StateAdapter`
    keeps_columns: ClassVar[bool] = False  # whether the answers are added to the columns of the table
    beside_flags: ClassVar[tuple[str, ...]] = ("groups", "sample_weight")  # arguments of `fit` that name columns
    target_flags: ClassVar[tuple[str, ...]] = ("--target",)  # the names of the target flag of `elman fit <task>`
    column_options: ClassVar[tuple[str, ...]] = ("input",)  # the options that name columns
    explains_rows: ClassVar[bool] = True  # whether what `explain` attributes belongs to rows

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Fits the model to a table. Raises ``DataError``, naming file and line, before training begins.

        `beside`: columns that are neither input nor target, by the argument of `fit` that takes them.
        """

    def fit(self, table: Table, X: Any, y: Any, beside: Mapping[str, str], **how: Any) -> None:
        """Fits the model to what was read of a table; the rows of a second file are the validation set.

        `beside` as in `fit_table`.
        """
        for argument, name in beside.items():
            column = floats_of(table, name) if argument == "sample_weight" else table.frame[name].to_list()
            X = {**X, name: column} if isinstance(X, Mapping) else _with_column(X, name, column)
            how[argument] = name
        if (rows := table.training) is not None:
            beyond = slice(rows, None)
            y_beyond = _rows(y, beyond)
            how["validation_data"] = _rows(X, beyond) if y is None else (_rows(X, beyond), y_beyond)
            X, y = _rows(X, slice(rows)), _rows(y, slice(rows))
        with table.located():
            self.model.fit(X, *(() if y is None else (y,)), **how)

    def describe_fit(self, rows: int) -> str:
        """The first line that `elman fit` prints, for a table of so many rows."""

    def fit_result(self, rows: int) -> dict[str, Any]:
        """The same for `elman fit --json`."""

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The output of `elman predict`."""

    def columns_read(self) -> list[str]:
        """The input columns of a trained model; none where training had no names."""
        return []

    def answer_to_explain(self, table: Table, answer: str, model: str) -> Any:
        """The argument `y` of `explain` for the answer that a flag names."""
        return answer

    def explain_table(self, table: Table, input: str | None, answer: str | None, model: str) -> tuple[list[str], Any]:
        """The attribution of the answer of each row, or of the one that a flag names, and the place of each."""
        X, _ = self.diagnosis_data(table, [], model, input)
        about = None if answer is None else self.answer_to_explain(table, answer, model)
        with table.located():
            found = self.model.explain(X, about)
        return [str(table.place(i)) for i in range(len(found))], found

    def answers_parts(self) -> bool:
        """Whether the answers for the parts of a table are those for the whole: each depends on its row alone."""
        return False

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The scores on a table; `model` is the name of the model in messages."""

    def score_baselines(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """Name and scores of each baseline on the table; `known` gives the training table."""

    def diagnosis_data(
        self, table: Table, target: Sequence[str], model: str, input: str | None = None
    ) -> tuple[Any, Any]:
        """The arguments of `diagnose` from a table. `target`: the target columns, if any."""
        return table.frame, target[0] if target else None


class StateAdapter(Protocol):
    """The interface for `elman update`, `elman plot` and predictions without a table, of a task that keeps states."""

    def answer_kept(self) -> pl.DataFrame:
        """The output of `elman predict` without a table."""

    def update_table(self, table: Table) -> tuple[dict[str, Any], str]:
        """Appends the observations of a table; what was read, as fields and in words."""

    def plot_table(self, table: Table | None, series: Sequence[str]) -> bytes | None:
        """The picture of `elman plot`; None without matplotlib."""


class LineAdapter(Protocol):
    """The interface for `elman stream` of a task that has a stream."""

    def parse_line(self, line: str, number: int) -> Any:
        """The steps in a line of standard input."""

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The output of `elman stream` for an answer: a line of text, and a JSON object."""


def _with_column(frame: pl.DataFrame, name: str, column: list[Any]) -> pl.DataFrame:
    import polars as pl

    return frame.with_columns(pl.Series(name, column))


def _rows(part: Any, rows: slice) -> Any:
    """Some rows of a frame, of a list or of several; a name is left as it is."""
    if isinstance(part, Mapping):
        return {name: column[rows] for name, column in part.items()}
    return part if part is None or isinstance(part, str) else part[rows]


def target_names(model: Any) -> list[str]:
    """The target columns of training; none where they had no names."""
    names = model.data_.get("target") or []
    return [names] if isinstance(names, str) else [str(name) for name in names]


def parse_line(feature: Any, line: str, number: int) -> Any:
    """The steps in a line of standard input: text, a token, a JSON list of tokens or notes, numbers."""
    return feature.only().parse_line(line, Place(file="standard input", line=number))


class RowAdapter(TableAdapter, ABC):
    """The adapter of tasks that answer each row of a table; subclasses read targets and format answers."""

    keeps_columns: ClassVar[bool] = True
    by_name: ClassVar[bool] = False  # whether `fit` takes a single target as a dict by name, too
    one_target: ClassVar[str] = ""  # what the task learns, in messages, where that is one column

    # ---- what an adapter brings

    @abstractmethod
    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The targets of all rows; `model` is the name of the model in messages, None in training."""

    def check_targets(self, table: Table, name: str, truth: list[Any]) -> None:
        """Raises ``DataError`` for targets that cannot be used for training; the default accepts all."""

    @abstractmethod
    def describe_learnt(self) -> str:
        """A summary of the fitted targets as text."""

    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """The same as fields."""

    @abstractmethod
    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The columns that `elman predict` adds."""

    @abstractmethod
    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """The scores of answers, by the name of the target."""

    @abstractmethod
    def baselines(self, X: Any, target: str) -> list[Any]:
        """The unfitted baselines for such sequences and a target; the same number for each target."""

    @abstractmethod
    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The output of `elman stream` for an answer: a line of text, and a JSON object."""

    def parse_line(self, line: str, number: int) -> Any:
        """The steps in a line of standard input."""
        return parse_line(self.model.feature_, line, number)

    def default_input(self, table: Table) -> str | None:
        """The default input column of a table; None: all but the target."""
        return None

    def answer_type(self, table: Table, column: pl.Series) -> pl.Series:
        """A column of answers in the type in which it is added to such a table."""
        return column

    # ---- what the commands call

    def answers_parts(self) -> bool:
        """Whether each answer depends on its row alone."""
        return True

    def describe_fit(self, rows: int) -> str:
        """The number of sequences, the targets, and the kind of each input column."""
        return f"{rows:,} sequences, {self.describe_learnt()}; {self.model.feature_.describe()}"

    def hears(self, column: pl.Series) -> bool:
        """Whether the texts of a column, in training, are paths of sound files."""
        named = self.model.feature == "auto" and are_sound_names([cell for cell in column if isinstance(cell, str)])
        return named or (self.model.feature in FEATURES and FEATURES[self.model.feature].reads_files)

    def fit_result(self, rows: int) -> dict[str, Any]:
        """The same as fields."""
        return {"sequences": rows, "input": self.model.feature_.describe(), **self.metadata()}

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Fits the model to predict the columns `target` from the others, or from those of `input`."""
        if self.one_target and len(target) > 1:
            raise DataError(f"{self.one_target}, got {', '.join(target)}. Name one.")
        names = self._names_to_learn(table, target, list(beside.values()))
        truth = {name: self.read_targets(table, name) for name in target}
        for name, values in truth.items():
            self.check_targets(table, name, values)
        y = truth[target[0]] if len(target) == 1 and not self.by_name else truth
        several = len(names) > 1 or self.model.features
        frame = typed(table, names, self.model.features) if several else table.frame.select(names)
        if not several and self.hears(frame[names[0]]):
            frame = frame.with_columns(paths_beside(table, names[0]))
        self.fit(table, frame, y, beside, out=out, resume=resume)

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with the answers as further columns."""
        import polars as pl

        X = self.rows_of(table, input)
        with table.located():
            columns = self.answer_columns(X, target)
        added = pl.DataFrame([self.answer_type(table, pl.Series(name, values)) for name, values in columns.items()])
        if clash := [name for name in added.columns if name in table.frame.columns]:
            raise DataError(f"already has a column {clash[0]!r}. Rename it or leave it out.", at=table.place())
        return table.frame.hstack(added)

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The scores of the answers for all rows."""
        X = self.rows_of(table, input)
        truth = {name: self.read_targets(table, name, model) for name in target}
        with table.located():
            found = self.model.predict(X)
        answers = found if isinstance(found, dict) else {target[0]: found}
        return Scored(table.frame.height, self.score(truth, answers))

    def score_baselines(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """The baselines, one for each target, trained on the training table."""
        training = known()
        before, now = self.rows_of(training, None), self.rows_of(table, None)
        lessons = {name: self.read_targets(training, name, model) for name in target}
        truth = {name: self.read_targets(table, name, model) for name in target}
        scored = []
        for others in zip(*(self.baselines(before, name) for name in target), strict=True):
            answers = {}
            for name, other in zip(target, others, strict=True):
                with training.located():
                    other.fit(before, lessons[name])
                answers[name] = other.predict(now)
            called = ", ".join(dict.fromkeys(other.name for other in others))
            seconds = round(sum(other.seconds for other in others), 3)
            scored.append({"name": called, **self.score(truth, answers), "training_seconds": seconds})
        return scored

    def diagnosis_data(
        self, table: Table, target: Sequence[str], model: str, input: str | None = None
    ) -> tuple[Any, Any]:
        """The sequences and the targets."""
        X = self.rows_of(table, input)
        truth = {name: self.read_targets(table, name, model) for name in target}
        return X, (truth or None) if len(truth) != 1 or self.by_name else truth[target[0]]

    # ---- which columns

    def columns_read(self) -> list[str]:
        """The input columns of a trained model; none where training had no names."""
        return self.learnt_names()

    def rows_of(self, table: Table, input: str | None) -> Any:
        """The sequences of a table that a trained model reads."""
        names = self._names_to_read(table, input)
        learnt = self.learnt_names() or names
        if self.model.feature_.kinds:
            kinds = {name: self.model.feature_.kinds[own] for name, own in zip(names, learnt, strict=True)}
            frame = typed(table, names, kinds).rename(dict(zip(names, learnt, strict=True)))
            return self.model.reader.read(self._as_learnt(table, frame))
        if self.model.reader.reads_table():
            return typed(table, names, dict.fromkeys(names, "number")).rename(dict(zip(names, learnt, strict=True)))
        (name,) = names
        check_sequences(table, name)
        return (paths_beside(table, name) if self.model.feature_.reads_files else table.frame[name]).to_list()

    def learnt_names(self) -> list[str]:
        """The input columns of training; none where its data had no names."""
        if self.model.feature_.kinds:
            return list(self.model.feature_.kinds)
        return [self.model.input_] if isinstance(self.model.input_, str) else list(self.model.input_ or [])

    def _names_to_read(self, table: Table, input: str | None) -> list[str]:
        """The columns of a table that correspond to those of training, in their order."""
        learnt, given = self.learnt_names(), names_in(table, input) if input is not None else None
        if not learnt:
            many = int(getattr(self.model, "n_features_in_", 1))
            names = [name for name in table.frame.columns if name not in target_names(self.model)]
            if given is None and len(names) != many:
                raise OptionError(
                    f"the model learnt from data without names, and {table.path.name} has {len(names)} columns that "
                    f"could be read: {few(names)}. Name {'the one' if many == 1 else f'those {many}'} to read: --input."
                )
            learnt, given = names[:many] if given is None else [""] * many, given or names
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
        """The frame of a CSV file, which has no types, with categories in the types of training."""
        import polars as pl

        for name, static in self.model.feature_.statics.items() if is_csv(table) else ():
            if static.is_category and frame[name].dtype == pl.String:
                place = {written(value): value for value in static.categories_ if not isinstance(value, str)}
                if place and not any(isinstance(value, str) for value in static.categories_):
                    known = [place.get(cell, cell) for cell in frame[name].to_list()]
                    frame = frame.with_columns(pl.Series(name, known, dtype=pl.Object))
        return frame

    def _names_to_learn(self, table: Table, target: Sequence[str], beside: Sequence[str]) -> list[str]:
        check_names(table, target)
        chosen = self.model.input or self.default_input(table)
        given = [chosen] if isinstance(chosen, str) else chosen
        names = list(given) if given is not None else [c for c in table.frame.columns if c not in (*target, *beside)]
        if both := [name for name in names if name in target]:
            raise OptionError(f"--input and --target both name the column {both[0]!r}. Name two.")
        check_names(table, names)
        if not names:
            raise DataError(f"has no column beside {', '.join(target)}. There must be one to read.", at=table.place())
        if len(names) == 1 and not self.model.features:
            check_sequences(table, names[0])
        return names
