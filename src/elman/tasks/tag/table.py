"""A tagger on the command line: CoNLL files and lists in a table; the baseline is the commonest label of each word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, final

from elman.errors import OptionError
from elman.evaluation.baselines import CommonestTag
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter, Scored
from elman.tasks.base.table_columns import check_names, refuse_gaps
from elman.tasks.tag.estimator import Tagger
from elman.tasks.tag.spans import step_scores

if TYPE_CHECKING:
    import polars as pl

_WORDS = ("form", "token")  # the first column of a CoNLL file


@final
class TagTable(RowAdapter):
    """The table adapter of `Tagger`."""

    model: Tagger
    estimator: ClassVar[type[Tagger]] = Tagger
    target_help: ClassVar[str] = "the column with the labels of each word"
    one_target: ClassVar[str] = "a tagger learns one column of labels"
    draws_scores: ClassVar[bool] = True
    entities: bool = False  # whether answers have a column of entities
    labels_steps: ClassVar[bool] = True
    target_flags: ClassVar[tuple[str, ...]] = ("--target", "--column")

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The labels of all rows as lists; a text is split at spaces, or into characters if it has none."""
        check_names(table, [name])
        column = table.frame[name]
        refuse_gaps(table, column, "Every row needs labels: write them or drop the row.")
        return _divided(column, model is not None and self._reads_words())

    def rows_of(self, table: Table, input: str | None) -> Any:
        """The sequences of a table; texts with spaces are split into words. For a CoNLL file, its words."""
        if input is None and not self.learnt_names() and (first := table.frame.columns[0]) in _WORDS:
            input = first
        found = super().rows_of(table, input)
        return _divided(found, self._reads_words()) if isinstance(found, list) else found

    def parse_line(self, line: str, number: int) -> Any:
        """Words with spaces between them, or a JSON list of words."""
        words = self._reads_words() and not line.startswith("[")
        return line.split() if words else super().parse_line(line, number)

    def answers_parts(self) -> bool:
        """Whether each row is divided into steps without regard to the others."""
        return self._reads_words()

    def _reads_words(self) -> bool:
        return bool(self.model.feature_.reads_letters)

    def default_input(self, table: Table) -> str | None:
        """The words of a CoNLL file."""
        import polars as pl

        words = isinstance(table.frame.dtypes[0], pl.List) and table.frame.columns[0] in _WORDS
        return table.frame.columns[0] if words else None

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Trains on a column of labels and one of words, the first of a CoNLL file."""
        super().fit_table(
            self._in_words(table, target[0], list(beside.values())), target, beside, out=out, resume=resume
        )

    def _in_words(self, table: Table, target: str, without: Sequence[str]) -> Table:
        """The table with texts split into words, where its labels are texts with spaces."""
        import polars as pl

        check_names(table, [target])
        texts = [c.name for c in table.frame if c.dtype == pl.String and c.name not in without]
        columns = [pl.Series(c.name, _divided(c)) if c.name in texts else c for c in table.frame]
        return replace(table, frame=pl.DataFrame(columns))

    def answer_to_explain(self, table: Table, answer: str, model: str) -> Any:
        """The step whose label is explained, the same of every row."""
        if not answer.removeprefix("-").isdecimal():
            raise OptionError(f"--answer {answer} must be the number of a step, from 0, or from the end, -1.")
        return [int(answer)] * table.frame.height

    def metadata(self) -> dict[str, Any]:
        """The labels, and the scheme of their spans or None."""
        return {"labels": self.model.classes_.tolist(), "scheme": self.model.scheme_}

    def describe_learnt(self) -> str:
        """The number of labels, and the scheme of their spans."""
        return f"{len(self.model.classes_)} labels" + (
            f" of spans ({self.model.scheme_})" if self.model.scheme_ else ""
        )

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The labels of each row, and if wanted the entities."""
        found: dict[str, Any] = {f"predicted_{target[0]}": self.model.predict(X)}
        if self.entities:
            answers = self.model.entities(X)
            found[f"entities_{target[0]}"] = [[entity._asdict() for entity in own] for own in answers]
        return found

    def answer_type(self, table: Table, column: pl.Series) -> pl.Series:
        """Lists, in a CSV file texts with spaces; entities as they are."""
        import polars as pl

        if column.name.startswith("entities_"):
            return column
        text = table.frame[table.frame.columns[0]].dtype == pl.String
        return column.cast(pl.List(pl.String)).list.join(" ") if text else column

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy over the steps, and for spans precision, recall and F1."""
        (name,) = truth
        return step_scores(truth[name], answers[name], self.model.spans_)

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The scores, and the report on every label and every kind of span."""
        X, truth = self.rows_of(table, input), self.read_targets(table, target[0], model)
        with table.located():
            report = self.model.report(X, truth)
        details = {name: value for name, value in report.to_json().items() if name not in report.scores}
        return Scored(table.frame.height, report.scores, details, report.tables(), picture=report.picture)

    def baselines(self, X: Any, target: str) -> list[CommonestTag]:
        """The commonest label of each word."""
        return [CommonestTag()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The label of the last step as text; all labels as fields."""
        return str(answer.label), {"steps": answer.steps, "label": answer.label, "labels": answer.labels}


def _divided(column: Any, words: bool = False) -> list[Any]:
    """Texts split at spaces if any text has one, or with `words`; else unchanged."""
    values = column.to_list() if hasattr(column, "to_list") else list(column)
    texts = [value for value in values if isinstance(value, str)]
    if texts and len(texts) == len(values) and (words or any(" " in text for text in texts)):
        return [text.split() for text in texts]
    return values
