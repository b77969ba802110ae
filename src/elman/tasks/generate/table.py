"""A language model on the command line: texts of a table in, the surprise at them out, n-grams beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from elman.errors import OptionError
from elman.io.tables import Table
from elman.lm.kneser_ney import BackOff
from elman.tasks.base.table_adapter import OnTables, Scored, check_names, refuse_gaps, told

if TYPE_CHECKING:
    import polars as pl

__all__ = ["GenerateRows"]

ORDER = 5  # symbols of the longest n-gram of the rival


class GenerateRows(OnTables):
    """What `elman` asks of a language model."""

    target_says: ClassVar[str] = ""
    example: ClassVar[str] = "poems.tsv --input poem"

    if TYPE_CHECKING:
        input: str | None
        ends_: bool
        fit: Callable[..., Any]
        nats: Callable[[Any], Any]
        evaluate: Callable[..., dict[str, float]]
        _strands: Callable[..., Any]

    def fit_table(self, table: Table, target: Sequence[str], *, out: str, resume: bool) -> None:
        """Learns the texts of a column."""
        name = self._named(table, self.input)
        texts = self._texts(table, name)
        told(lambda: self.fit({name: texts}, out=out, resume=resume), table)

    def outcome(self, rows: int) -> dict[str, Any]:
        """How many documents there were, and what a step is."""
        return {"documents": rows, "input": self.feature_.describe()}

    def summary(self, rows: int) -> str:
        """The same in words."""
        return f"{rows:,} documents; {self.feature_.describe()}"

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with the surprise at each text, in nats."""
        import polars as pl

        texts = self._texts(table, self._named(table, input or self._learnt_column()))
        return table.frame.with_columns(pl.Series("nats", told(lambda: self.nats(texts), table)))

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The surprise at the texts of a table."""
        texts = self._texts(table, self._named(table, input or self._learnt_column()))
        return Scored(len(texts), told(lambda: self.evaluate(texts), table), {}, [])

    def rivals_on(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """n-grams that back off, over the same symbols."""
        name = self._learnt_column()
        lessons, texts = (self._symbols_of(self._texts(part, self._named(part, name))) for part in (known(), table))
        rival = BackOff(ORDER, int(self.feature_.symbols or 0) + 1).fit(lessons)
        count = sum(len(text) - 1 for text in texts)
        return [
            {"name": rival.name, "nats": rival.nats(texts) / max(1, count), "training_seconds": round(rival.seconds, 3)}
        ]

    def spoken(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The likeliest next symbol and its chance."""
        line = f"{answer.symbol!r}\t{answer.probabilities[answer.symbol]:.4f}"
        return line, {"steps": answer.steps, "nats": answer.nats, "next": answer.probabilities}

    def _symbols_of(self, texts: list[Any]) -> list[list[int]]:
        """Each text with its boundaries, as the model reads it."""
        whole: list[list[int]] = self._strands(self.feature_.transform(texts), None).whole()
        return whole

    def _learnt_column(self) -> str | None:
        return getattr(self, "input_", None)

    def _named(self, table: Table, name: str | None) -> str:
        if name is None and len(table.frame.columns) > 1:
            raise OptionError(f"{table.path.name} has several columns. Name the one with the texts: --input.")
        name = name or str(table.frame.columns[0])
        check_names(table, [name])
        return name

    def _texts(self, table: Table, name: str) -> list[Any]:
        refuse_gaps(table, table.frame[name], 'Drop the row, or write "" for an empty text.')
        return table.frame[name].to_list()
