"""A transcriber on the command line: paths and transcripts in a table; baseline: the best constant transcript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

from elman.errors import DataError
from elman.evaluation.baselines import Constant
from elman.evaluation.metrics import error_rates
from elman.features.registry import FEATURES
from elman.io.tables import Table
from elman.tasks.base.table_adapter import RowAdapter
from elman.tasks.base.table_columns import check_names, is_csv, refuse_gaps
from elman.tasks.base.top_answers import top_columns
from elman.tasks.transcribe.estimator import Transcriber

if TYPE_CHECKING:
    import polars as pl


@final
class TranscribeTable(RowAdapter):
    """The table adapter of `Transcriber`."""

    model: Transcriber
    estimator: ClassVar[type[Transcriber]] = Transcriber
    target_help: ClassVar[str] = "the column with the transcripts"
    top: int | None = None  # how many of the best transcripts answers have; None: the best
    times: bool = False  # whether answers have a column with the times of words
    one_target: ClassVar[str] = "a transcriber learns one column of transcripts"

    def hears(self, column: pl.Series) -> bool:
        """Whether the texts of a column are paths of sound files in training: always."""
        return self.model.feature not in FEATURES or FEATURES[self.model.feature].reads_files

    def read_targets(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The transcripts of all rows; an empty text is silence."""
        import polars as pl

        check_names(table, [name])
        column = table.frame[name]
        refuse_gaps(table, column, 'Every row needs a transcript: write "" for silence, or drop the row.')
        if not isinstance(column.dtype, pl.String | pl.List):
            raise DataError(f"holds {column.dtype}. A transcript is a text.", at=table.place(column=name))
        found = column.to_list()
        if model is not None and self.model.vocabulary_.kind == "lists" and column.dtype == pl.String:
            return [text.split() for text in found]
        return found

    def metadata(self) -> dict[str, Any]:
        """The symbols."""
        return {"symbols": self.model.vocabulary_.symbols}

    def describe_learnt(self) -> str:
        """The number of symbols."""
        return self.model.vocabulary_.in_words()

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The transcript of each row, and if wanted the best ones, their scores, and the times of words."""
        if self.top is None:
            found: dict[str, Any] = {f"predicted_{target[0]}": self.model.predict(X)}
        else:
            found = dict(top_columns(self.model.predict_top(X, self.top), target[0], self.top))
        if self.times:
            answers = self.model.align(X, found[f"predicted_{target[0]}"])
            found[f"times_{target[0]}"] = [[word._asdict() for word in own] for own in answers]
        return found

    def answer_type(self, table: Table, column: pl.Series) -> pl.Series:
        """Transcripts; in a CSV file lists are texts with spaces."""
        import polars as pl

        if not column.name.startswith("predicted_"):
            return column
        lists = self.model.vocabulary_.kind == "lists" and is_csv(table)
        return column.cast(pl.List(pl.String)).list.join(" ") if lists else column

    def score(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Word and character error rate."""
        (name,) = truth
        return error_rates(truth[name], answers[name])

    def baselines(self, X: Any, target: str) -> list[Constant]:
        """The constant transcript with the lowest error rate."""
        return [Constant()]

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The transcript so far."""
        transcript = answer.transcript
        line = transcript if isinstance(transcript, str) else " ".join(transcript)
        return line, {"steps": answer.steps, "transcript": transcript}
