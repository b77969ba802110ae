"""A transcriber on the command line: paths and transcripts in a table, and the best constant answer beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from elman.errors import DataError
from elman.evaluation.baselines import Constant
from elman.evaluation.metrics import error_rates
from elman.io.tables import Table
from elman.tasks.base.table_adapter import AnswersRows, check_names, is_csv, refuse_gaps

if TYPE_CHECKING:
    import polars as pl

    from elman.tasks.transcribe.vocabulary import Script

__all__ = ["TranscribeRows"]


class TranscribeRows(AnswersRows):
    """What `elman` asks of a task whose answers are transcripts."""

    target_says: ClassVar[str] = "the column with what is said"
    example: ClassVar[str] = "speech.csv --input wav --target text"

    if TYPE_CHECKING:
        script_: Script
        evaluate: Callable[..., dict[str, float]]

    def hears(self, column: pl.Series) -> bool:
        """Whether the texts of a column, in training, are paths of sound files: all texts are."""
        return self.feature in ("sound", "auto")

    def truth_of(self, table: Table, name: str, model: str | None = None) -> list[Any]:
        """The transcripts of all rows; an empty text is silence."""
        import polars as pl

        check_names(table, [name])
        column = table.frame[name]
        refuse_gaps(table, column, 'Every row needs a transcript: write "" where nothing is said, or drop the row.')
        if not isinstance(column.dtype, pl.String | pl.List):
            raise DataError(f"{table.path.name}: the column {name!r} holds {column.dtype}. A transcript is a text.")
        found = column.to_list()
        if model is not None and self.script_.kind == "lists" and column.dtype == pl.String:
            return [text.split() for text in found]
        return found

    def fit_table(self, table: Table, target: Sequence[str], *, out: str, resume: bool) -> None:
        """Learns the transcripts of a column from the sound of another."""
        if len(target) > 1:
            raise DataError(f"a transcriber learns one column of transcripts, got {', '.join(target)}. Name one.")
        super().fit_table(table, target, out=out, resume=resume)

    def facts(self) -> dict[str, Any]:
        """The symbols."""
        return {"symbols": self.script_.symbols}

    def learnt(self) -> str:
        """How many symbols."""
        what = {"characters": "characters", "words": "words", "lists": "symbols"}[self.script_.kind]
        return f"{len(self.script_.symbols)} {what}"

    def answer_columns(self, X: Any, target: Sequence[str]) -> dict[str, Any]:
        """The transcript of each row."""
        return {f"predicted_{target[0]}": self.predict(X)}

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with the transcripts beside it; in a CSV file lists are texts with spaces."""
        import polars as pl

        made = super().answer_table(table, input, target)
        name = f"predicted_{target[0]}"
        if self.script_.kind == "lists" and is_csv(table):
            made = made.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(" "))
        return made

    def measured(self, truth: Mapping[str, list[Any]], answers: Mapping[str, Any]) -> dict[str, float]:
        """Word and character error rate."""
        (name,) = truth
        return error_rates(truth[name], answers[name])

    def rivals(self, X: Any, target: str) -> list[Constant]:
        """The one transcript that is the least wrong for all."""
        return [Constant()]

    def spoken(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """What was said so far."""
        said = answer.transcript
        line = said if isinstance(said, str) else " ".join(said)
        return line, {"steps": answer.steps, "transcript": said}
