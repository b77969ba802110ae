"""A language model on the command line: the negative log-likelihood of the texts of a table; baseline: n-grams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

from elman.errors import OptionError
from elman.io.tables import Table
from elman.lm.kneser_ney import KneserNey
from elman.tasks.base.table_adapter import Scored, parse_line
from elman.tasks.base.table_columns import (
    check_names,
    refuse_gaps,
)
from elman.tasks.generate.estimator import Generator

if TYPE_CHECKING:
    import polars as pl

ORDER = 5  # of the n-gram baseline


@final
class GenerateTable:
    """The table adapter of `Generator`."""

    estimator: ClassVar[type[Generator]] = Generator
    target_help: ClassVar[str] = ""
    labels_steps: ClassVar[bool] = False
    has_windows: ClassVar[bool] = False
    keeps_columns: ClassVar[bool] = False
    target_flags: ClassVar[tuple[str, ...]] = ("--target",)

    def __init__(self, model: Generator) -> None:
        self.model = model

    def fit_table(self, table: Table, target: Sequence[str], *, out: str, resume: bool) -> None:
        """Trains on the texts of a column."""
        name = self._named(table, self.model.input)
        texts = self._texts(table, name)
        with table.located():
            self.model.fit({name: texts}, out=out, resume=resume)

    def fit_result(self, rows: int) -> dict[str, Any]:
        """The number of documents, and the feature."""
        return {"documents": rows, "input": self.model.feature_.describe()}

    def describe_fit(self, rows: int) -> str:
        """The same in words."""
        return f"{rows:,} documents; {self.model.feature_.describe()}"

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with -log p of each text in nats."""
        import polars as pl

        texts = self._texts(table, self._named(table, input or self._learnt_column()))
        with table.located():
            return table.frame.with_columns(pl.Series("nats", self.model.nats(texts)))

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """The negative log-likelihood of the texts of a table."""
        texts = self._texts(table, self._named(table, input or self._learnt_column()))
        with table.located():
            return Scored(len(texts), self.model.evaluate(texts), {}, [])

    def score_baselines(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """Kneser-Ney n-grams over the same symbols."""
        name = self._learnt_column()
        lessons, texts = (self._symbols_of(self._texts(part, self._named(part, name))) for part in (known(), table))
        baseline = KneserNey(ORDER, int(self.model.feature_.symbols or 0) + 1).fit(lessons)
        count = sum(len(text) - 1 for text in texts)
        return [
            {
                "name": baseline.name,
                "nats": baseline.nats(texts) / max(1, count),
                "training_seconds": round(baseline.seconds, 3),
            }
        ]

    def diagnosis_data(
        self, table: Table, target: Sequence[str], model: str, input: str | None = None
    ) -> tuple[Any, Any]:
        """The table itself, and the name of the target."""
        return table.frame, target[0] if target else None

    def parse_line(self, line: str, number: int) -> Any:
        """The steps in a line of standard input."""
        return parse_line(self.model.feature_, line, number)

    def format_answer(self, answer: Any) -> tuple[str, dict[str, Any]]:
        """The likeliest next symbol and its probability."""
        line = f"{answer.symbol!r}\t{answer.probabilities[answer.symbol]:.4f}"
        return line, {"steps": answer.steps, "nats": answer.nats, "next": answer.probabilities}

    def _symbols_of(self, texts: list[Any]) -> list[list[int]]:
        """The codes of each text with its boundaries."""
        whole: list[list[int]] = self.model.lm_chunks(self.model.feature_.transform(texts), None).whole()
        return whole

    def _learnt_column(self) -> str | None:
        return getattr(self.model, "input_", None)

    def _named(self, table: Table, name: str | None) -> str:
        if name is None and len(table.frame.columns) > 1:
            raise OptionError(f"{table.path.name} has several columns. Name the one with the texts: --input.")
        name = name or str(table.frame.columns[0])
        check_names(table, [name])
        return name

    def _texts(self, table: Table, name: str) -> list[Any]:
        refuse_gaps(table, table.frame[name], 'Drop the row, or write "" for an empty text.')
        return table.frame[name].to_list()


def parse_prompt(model: Generator, prompt: str) -> Any:
    """The prompt of the command line: a text, or a JSON list for tokens and chords."""
    return model.feature_.parse_prompt(prompt)
