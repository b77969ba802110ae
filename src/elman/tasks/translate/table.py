"""A translator on the command line: pairs in a table; baseline: IBM model 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

from elman.errors import DataError, OptionError
from elman.io.tables import Table
from elman.tasks.base.table_adapter import Scored, TableAdapter, target_names
from elman.tasks.base.table_columns import check_names, numbered, refuse_gaps
from elman.tasks.base.top_answers import top_columns
from elman.tasks.translate.estimator import Translator
from elman.tasks.translate.ibm_model1 import IBMModel1
from elman.validation.messages import few

if TYPE_CHECKING:
    import polars as pl


@final
class TranslateTable(TableAdapter):
    """The table adapter of `Translator`."""

    model: Translator
    estimator: ClassVar[type[Translator]] = Translator
    target_help: ClassVar[str] = "the column with the targets"
    keeps_columns: ClassVar[bool] = True
    top: int | None = None  # how many of the best translations answers have; None: the best

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Trains on the pairs of two columns."""
        (name,) = self._one(target)
        source = self._named(table, self.model.input, [*target, *beside.values()])
        X, y = self._texts(table, source), self._texts(table, name)
        self.fit(table, {source: X, name: y}, name, beside, out=out, resume=resume)

    def fit_result(self, rows: int) -> dict[str, Any]:
        """The number of pairs, and the features of both sides."""
        return {"pairs": rows, "input": self.model.feature_.describe(), "target": self.model.target_feature_.describe()}

    def describe_fit(self, rows: int) -> str:
        """The same in words."""
        return f"{rows:,} pairs; from {self.model.feature_.describe()} to {self.model.target_feature_.describe()}"

    def answers_parts(self) -> bool:
        """Whether each translation depends on its row alone."""
        return True

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The table with a column of translations, or with `top` also of the best ones and their scores."""
        import polars as pl

        X = self._texts(table, self._source(table, input, target))
        name = f"predicted_{target[0]}"
        if name in table.frame.columns:
            raise DataError(f"already has a column {name!r}. Rename it or leave it out.", at=table.place())
        with table.located():
            if self.top is None:
                return table.frame.with_columns(pl.Series(name, self.model.predict(X)))
            made = top_columns(self.model.predict_top(X, self.top), target[0], self.top)
        if taken := [column for column in made if column in table.frame.columns]:
            raise DataError(f"already has a column {taken[0]!r}. Rename it or leave it out.", at=table.place())
        return table.frame.with_columns(pl.Series(column, values) for column, values in made.items())

    def score_table(self, table: Table, input: str | None, target: Sequence[str], model: str) -> Scored:
        """BLEU, chrF and the fraction of exact matches; several targets are references of the same source."""
        X, y = self._pairs(table, input, target)
        with table.located():
            return Scored(len(X), self.model.evaluate(X, y), {}, [])

    def score_baselines(
        self, known: Callable[[], Table], table: Table, target: Sequence[str], model: str
    ) -> list[dict[str, Any]]:
        """IBM model 1 on texts normalised as the model reads them."""
        learnt = target if len(target) == 1 else target_names(self.model) or target[:1]
        (before, lessons), (X, y) = self._pairs(known(), None, learnt), self._pairs(table, None, target)
        before, X = (self.model.feature_.normalized(column, name="X") for column in (before, X))
        baseline = IBMModel1().fit(before, self.model.target_feature_.normalized(lessons, name="y"))
        scores = self.model.compared(baseline.predict(X), y)
        return [{"name": baseline.name, **scores, "training_seconds": round(baseline.seconds, 3)}]

    def _pairs(self, table: Table, input: str | None, target: Sequence[str]) -> tuple[list[Any], list[Any]]:
        X = self._texts(table, self._source(table, input, target))
        if len(target) == 1:
            return X, self._texts(table, target[0])
        check_names(table, target)
        return X, [list(row) for row in table.frame.select(target).rows()]  # several references

    def _source(self, table: Table, input: str | None, target: Sequence[str]) -> str:
        return self._named(table, numbered(table, input) if input else getattr(self.model, "input_", None), target)

    def _one(self, target: Sequence[str]) -> Sequence[str]:
        if len(target) != 1:
            raise OptionError(f"a translator learns one column of targets, got {', '.join(target)}. Name one.")
        return target

    def _named(self, table: Table, name: str | None, target: Sequence[str]) -> str:
        others = [column for column in table.frame.columns if column not in target]
        if name is None and len(others) != 1:
            what = f"{table.path.name} has {len(others)} columns beside {few(target)}"
            raise OptionError(f"{what}. Name the sources: --input.")
        name = name or str(others[0])
        check_names(table, [name])
        return name

    def _texts(self, table: Table, name: str) -> list[Any]:
        check_names(table, [name])
        refuse_gaps(table, table.frame[name], 'Each source needs one target: drop the row, or write "" for nothing.')
        return table.frame[name].to_list()
