"""A language model on the command line: the negative log-likelihood of the texts of a table; baseline: n-grams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

from elman.errors import OptionError
from elman.io.tables import Table
from elman.lm.kneser_ney import KneserNey
from elman.tasks.base.table_adapter import Scored, TableAdapter, parse_line
from elman.tasks.base.table_columns import check_names, numbered, refuse_gaps
from elman.tasks.generate.estimator import Generator

if TYPE_CHECKING:
    import polars as pl

ORDER = 5  # of the n-gram baseline


@final
class GenerateTable(TableAdapter):
    """The table adapter of `Generator`."""

    model: Generator
    estimator: ClassVar[type[Generator]] = Generator
    beside_flags: ClassVar[tuple[str, ...]] = ("groups",)

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Trains on the texts of a column."""
        name, texts = self._texts(table, self.model.input, list(beside.values()))
        self.fit(table, {name: texts}, None, beside, out=out, resume=resume)

    def fit_result(self, rows: int) -> dict[str, Any]:
        """The number of documents, and the feature."""
        return {"documents": rows, "input": self.model.feature_.describe()}

    def describe_fit(self, rows: int) -> str:
        """The same in words."""
        return f"{rows:,} documents; {self.model.feature_.describe()}"

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with -log p of each text in nats."""
        import polars as pl

        _, texts = self._texts(table, numbered(table, input) if input else self.model.input_)
        with table.located():
            return table.frame.with_columns(pl.Series("nats", self.model.nats(texts)))

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The negative log-likelihood of the texts of a table."""
        _, texts = self._texts(table, numbered(table, input) if input else self.model.input_)
        with table.located():
            return Scored(len(texts), self.model.evaluate(texts), {}, [])

    def score_baselines(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """Kneser-Ney n-grams over the same symbols."""
        columns = (self._texts(part, self.model.input_)[1] for part in (known(), table))
        lessons, texts = (
            self.model.lm_chunks(self.model.feature_.transform(column), None).whole() for column in columns
        )
        baseline = KneserNey(ORDER, int(self.model.feature_.symbols or 0) + 1).fit(lessons)
        count = sum(len(text) - 1 for text in texts)
        nats = baseline.nats(texts) / max(1, count)
        return [{"name": baseline.name, "nats": nats, "training_seconds": round(baseline.seconds, 3)}]

    def parse_line(self, line: str, number: int) -> Any:
        """The steps in a line of standard input."""
        return parse_line(self.model.feature_, line, number)

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The likeliest next symbol and its probability."""
        line = f"{answer.symbol!r}\t{answer.probabilities[answer.symbol]:.4f}"
        return line, {"steps": answer.steps, "nats": answer.nats, "next": answer.probabilities}

    def _texts(self, table: Table, name: str | None, without: Sequence[str] = ()) -> tuple[str, list[Any]]:
        """The column with the texts, if `name` is None the only one beside those `without`."""
        columns = [column for column in table.frame.columns if column not in without]
        if name is None and len(columns) != 1:
            raise OptionError(f"{table.path.name} has several columns. Name the one with the texts: --input.")
        name = name or columns[0]
        check_names(table, [name])
        refuse_gaps(table, table.frame[name], 'Drop the row, or write "" for an empty text.')
        return name, table.frame[name].to_list()
