"""A forecaster on the command line: a long table in, the next values of every series out, a naive rival beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from elman.errors import DataError, OptionError
from elman.io.tables import Table
from elman.tasks.base.table_adapter import Scored, told
from elman.tasks.forecast.backtest import Measured
from elman.training.progress import note

if TYPE_CHECKING:
    import polars as pl


__all__ = ["SeriesRows"]


class SeriesRows(Measured):
    """What `elman` asks of a task that reads a long table; which columns it has are fields of the task."""

    target_says: ClassVar[str] = ""
    has_windows: ClassVar[bool] = True
    example: ClassVar[str] = "load.csv --horizon 48 --season 24"

    if TYPE_CHECKING:
        data_: dict[str, Any]

    def fit_table(self, table: Table, target: Sequence[str], *, out: str, resume: bool) -> None:
        """Learns all series of a long table."""
        told(lambda: self.fit(_typed(table.frame, self.target, self.id), out=out, resume=resume), table)

    def outcome(self, rows: int) -> dict[str, Any]:
        """How many series and steps, and how far they are apart."""
        names = ("series", "steps", "missing", "distance of steps")
        return {name.replace(" ", "_"): self.data_[name] for name in names}

    def summary(self, rows: int) -> str:
        """The same in words."""
        found = self.outcome(rows)
        missing = f"{found['missing']:,} missing, {found['distance_of_steps']} apart"
        return f"{found['series']:,} series, {found['steps']:,} steps, {missing}"

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The next values after the end of each series of the table."""
        given = told(lambda: self._history_and_future(_typed(table.frame, self.target, self.id)), table)
        made: pl.DataFrame = told(lambda: self.predict(**given), table)
        return made

    def score_table(
        self,
        table: Table,
        input: str | None,
        target: Sequence[str],
        model: str,
        windows: int | None = None,
        step: int | None = None,
    ) -> Scored:
        """The errors for a table that goes on where the model's series ended, or holds that too.

        Of one horizon, or of so many `windows` that begin `step` apart; what was scored is said beside.
        """
        frame = _typed(table.frame, self.target, self.id)
        scores = told(lambda: self.evaluate(frame, windows=windows, step=step), table)
        seen = told(lambda: self.scored(frame, windows, step), table)
        each = f", {seen['windows']:,} windows" if seen["windows"] > 1 else ""
        said = f"{seen['values']:,} values of {seen['series']:,} series{each}, from {seen['from']} to {seen['to']}"
        if left := seen["rows_not_scored"]:
            advice = f"--windows {seen['windows_possible']} scores as many forecasts, {self.horizon} steps apart"
            note(f"{left:,} values of {table.path.name} after the end of training were not scored: {advice}.")
        if learnt := seen["rows_learnt_from"]:
            note(f"{learnt:,} of the values lie before the end of training: the model learnt from them.")
        return Scored(None, scores, {k: v for k, v in seen.items() if k != "windows_possible"}, [], said)

    def inspected(self, table: Table, target: Sequence[str], model: str, input: str | None = None) -> tuple[Any, Any]:
        """The long table, which holds what is to come as well."""
        return _typed(table.frame, self.target, self.id), None if not target or target[0] == self.target else target[0]

    def rivals_on(
        self,
        known: Callable[[], Table],
        table: Table,
        target: Sequence[str],
        model: str,
        windows: int | None = None,
        step: int | None = None,
    ) -> list[dict[str, Any]]:
        """The season before, once more; and Theta, which reads the training table, or what is kept of the series."""
        frame = _typed(table.frame, self.target, self.id)
        naive = {"name": "seasonal naive", **self.evaluate_naive(frame, windows, step)}
        try:
            history = _typed(known().frame, self.target, self.id)
        except (DataError, OptionError) as error:
            note(f"Theta sees the kept ends of the series only. {error}")
            history = None
        try:
            return [naive, {"name": "Theta", **told(lambda: self.evaluate_theta(frame, history, windows, step), table)}]
        except OptionError as error:
            note(f"Theta is left out: {error}")
            return [naive]

    def _history_and_future(self, frame: pl.DataFrame) -> dict[str, Any]:
        """What to forecast from; where future covariates were learnt, the rows after the last values hold them."""
        import polars as pl

        if not self.covariates_.future or not {self.id, self.time, self.target} <= set(frame.columns):
            return {"frame": frame}
        last = pl.col(self.time).filter(pl.col(self.target).is_not_null()).max().over(self.id)
        return {"frame": frame.filter(pl.col(self.time) <= last), "future": frame}


def _typed(frame: pl.DataFrame, target: str, series: str) -> pl.DataFrame:
    """A table with its texts as the numbers that they spell, column by column; an empty cell is missing.

    Columns with other texts stay as they are, but the `target` is refused. Names of series are numbers only where
    nothing of them is lost: 007 is a text.
    """
    import polars as pl

    columns = []
    for column in frame:
        if column.dtype == pl.String:
            column = column.replace(dict.fromkeys(("", "NA", "NaN", "nan", "null", "None")))
            for kind in (pl.Int64, pl.Float64):
                numbers = column.str.strip_chars().cast(kind, strict=False)
                if numbers.null_count() == column.null_count() < len(column):
                    column = column if column.name == series and (numbers.cast(pl.String) != column).any() else numbers
                    break
            else:
                if column.name == target and (wrong := numbers.is_null() & column.is_not_null()).any():
                    row = int(wrong.arg_max() or 0)
                    raise DataError(
                        f"frame: column {target!r}, row {row} is {column[row]!r}, where a number was expected."
                    )
        columns.append(column)
    return pl.DataFrame(columns)
