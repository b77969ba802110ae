"""A forecaster on the command line: a long table in, the next values of every series out, naive baselines beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, final

from elman.errors import DataError, OptionError, Place
from elman.evaluation.tables import comparison_table
from elman.io.tables import Table
from elman.tasks.base.table_adapter import Scored, TableAdapter
from elman.tasks.forecast.estimator import Forecaster
from elman.tasks.forecast.options import columns_of
from elman.training.progress import note
from elman.validation.messages import few

if TYPE_CHECKING:
    import polars as pl

_EXPLAINED = 10  # series that are explained, unless one is named


@final
class ForecastTable(TableAdapter):
    """The table adapter of `Forecaster`; the names of columns are options of the task."""

    model: Forecaster
    estimator: ClassVar[type[Forecaster]] = Forecaster
    beside_flags: ClassVar[tuple[str, ...]] = ()
    has_windows: ClassVar[bool] = True
    column_options: ClassVar[tuple[str, ...]] = ("id", "time", "target", "past", "future", "static")
    keeps_state: ClassVar[bool] = True
    explains_rows: ClassVar[bool] = False
    horizon: int | None = None  # how many steps answers have; None: those of the model
    future: Table | None = None  # the future covariates; None: in the rows after the last values
    quantiles: tuple[float, ...] | None = None  # of answers, as shares; None: the intervals
    paths: int | None = None  # sampled paths of each series as answers
    seed: int | None = None  # that they are drawn from; None: 0
    cold: bool = False  # whether answers begin from the rows of the table alone
    anomalies: float | None = None  # the level of the interval outside which values of the table are flagged
    by_step: bool = False  # whether scores have a table of the steps of the horizon

    def fit_table(
        self, table: Table, target: Sequence[str], beside: Mapping[str, str], *, out: str, resume: bool
    ) -> None:
        """Trains on all series of a long table."""
        self.fit(table, self._typed(table), None, beside, out=out, resume=resume)

    def fit_result(self, rows: int) -> dict[str, Any]:
        """The number of series and steps, and the distance of steps."""
        names = ("series", "steps", "missing", "distance of steps")
        return {name.replace(" ", "_"): self.model.data_[name] for name in names}

    def describe_fit(self, rows: int) -> str:
        """The same in words."""
        found = self.fit_result(rows)
        missing = f"{found['missing']:,} missing, {found['distance_of_steps']} apart"
        return f"{found['series']:,} series, {found['steps']:,} steps, {missing}"

    def answer_table(self, table: Table, input: str | None, target: Sequence[str]) -> pl.DataFrame:
        """The next values after the end of each series of the table; known ones continue from their kept ends."""
        frame = self._typed(table)
        with table.located():
            return self._forecasts(frame) if self.anomalies is None else self._anomalies(frame)

    def answer_kept(self) -> pl.DataFrame:
        """The next values of every series that the model knows."""
        return self._forecasts(None)

    def _forecasts(self, frame: pl.DataFrame | None) -> pl.DataFrame:
        import narwhals as nw

        if self.seed is not None and self.paths is None:
            raise OptionError("--seed is that of sampled paths. Give --paths too.")
        given: dict[str, Any] = {"future": None if self.future is None else self._typed(self.future)}
        given |= {"quantiles": self.quantiles, "paths": self.paths, "seed": self.seed or 0}
        if frame is not None:
            given |= self._history_and_future(frame)
            if not self.cold:
                self._note_start(frame)
        made: pl.DataFrame = nw.from_native(self.model.predict(self.horizon, **given), eager_only=True).to_polars()
        return made

    def _anomalies(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The values of a table, forecast from those before them, and whether they lie outside the interval."""
        import narwhals as nw

        made: pl.DataFrame = nw.from_native(self.model.anomalies(frame, self.anomalies), eager_only=True).to_polars()
        count, flagged = made[self.model.target].drop_nans().len(), int(made["anomaly"].sum())
        ordinary = f"{100 - float(self.anomalies or 0):g} % of ordinary values are, too"
        note(f"{flagged:,} of {count:,} values ({flagged / max(count, 1):.1%}) are flagged; about {ordinary}.")
        return made

    def _note_start(self, frame: pl.DataFrame) -> None:
        """Says which series continue from their kept ends, and which do not."""
        found = self.model.warm_start(frame)
        if names := found["continued"]:
            read, skipped = f"{found['values_read']:,} newer values", found["values_skipped"]
            rest = f"; {skipped:,} values up to there are skipped" if skipped else ""
            note(f"{_series(names)} from the end of what the model knows, with {read}{rest}.")
        if names := found["known_from_rows"]:
            note(f"{_series(names)} from the rows of the table alone, which hold no newer values than the model knows.")
        if names := found["new"]:
            them = "it" if len(names) == 1 else "them"
            note(f"{_series(names)} from the rows of the table alone: the model does not know {them}.")

    def explain_table(self, table: Table, input: str | None, answer: str | None, model: str) -> tuple[list[str], Any]:
        """What decides the forecast after the end of each series, the first ten, or of the one that a flag names."""
        import polars as pl

        self.cold = True
        given = self._history_and_future(self._typed(table))
        frame = given["frame"]
        if self.future is not None:
            given["future"] = self._typed(self.future)
        if self.model.id in frame.columns and not self.model.wide:
            names = frame[self.model.id].unique(maintain_order=True)
            chosen = names[:_EXPLAINED] if answer is None else names.filter(names.cast(pl.String) == answer)
            if not len(chosen):
                raise OptionError(f"--answer {answer!r} is no series of {table.path.name}.")
            if answer is None and len(names) > _EXPLAINED:
                more = f"the first {_EXPLAINED} of {len(names):,} series are explained"
                note(f"{more}. --answer NAME explains another.")
            given["frame"] = frame.filter(pl.col(self.model.id).is_in(chosen.implode()))
        elif answer is not None:
            raise OptionError("--answer names a series of a long table. Leave it out.")
        with table.located():
            found: Any = self.model.explain(given["frame"], horizon=self.horizon, future=given.get("future"))
        return [f"{table.path.name}: {one.what}" for one in found], found

    def update_table(self, table: Table) -> tuple[dict[str, Any], str]:
        """Appends the rows after the ends of the known series; what was read, as fields and in words."""
        frame = self._typed(table)
        with table.located():
            found = self.model.warm_start(frame)
            self.model.update(frame, newer=True)
        count, skipped = found["values_read"], found["values_skipped"]
        rest = f"; {skipped:,} values up to the known ends are skipped" if skipped else ""
        words = f"{count:,} newer values of {len(found['continued']):,} series"
        if new := found["new"]:
            words = f"{words}, and {found['values_new']:,} values of {len(new):,} new series ({few(new, 5)})"
        fields = {"series": len(found["continued"]), "values_read": count, "values_skipped": skipped, "new": new}
        return fields, words + rest

    def plot_table(self, table: Table | None, series: Sequence[str]) -> bytes | None:
        """The picture of the next values, with true ones where a table holds them."""
        ids = {str(name): name for name in self.model.state_.ids}
        chosen = [ids.get(name, name) for name in series] or None
        truth = None if table is None else self._typed(table)
        future = self._typed(self.future) if self.future is not None else None
        if future is None and self.model.covariates_.future:
            future = truth
        with nullcontext() if table is None else table.located():
            return self.model.plot(series=chosen, future=future, truth=truth)

    def score_table(
        self,
        table: Table,
        input: str | None,
        target: Sequence[str],
        model: str,
        windows: int | None = None,
        step: int | None = None,
    ) -> Scored:
        """The errors on a table that continues the model's series, or contains them.

        Of one horizon, or of so many `windows` that begin `step` apart; the heading describes what was scored.
        """
        frame = self._typed(table)
        with table.located():
            future = None if self.future is None else self._typed(self.future)
            scores = self.model.evaluate(frame, future, windows=windows, step=step)
            seen = self.model.scored_windows(frame, windows, step)
        each = f", {seen['windows']:,} windows" if seen["windows"] > 1 else ""
        heading = f"{seen['values']:,} values of {seen['series']:,} series{each}, from {seen['from']} to {seen['to']}"
        if left := seen["rows_not_scored"]:
            possible, more = seen["windows_possible"], f"{left:,} values of {table.path.name} after the end of training"
            advice = f": --windows {possible} scores as many forecasts, {self.model.horizon} steps apart"
            note(f"{more} were not scored{advice if possible > seen['windows'] else ''}.")
        if learnt := seen["rows_learnt_from"]:
            note(f"{learnt:,} of the values lie before the end of training: the model learnt from them.")
        details: dict[str, Any] = {k: v for k, v in seen.items() if k != "windows_possible"}
        tables = []
        if self.by_step:
            import narwhals as nw

            steps = self.model.evaluate_steps(frame, future, windows=windows, step=step)
            rows = nw.from_native(steps, eager_only=True).to_polars().to_dicts()
            details["steps"] = rows
            tables = [comparison_table({str(row.pop("step")): row for row in map(dict, rows)}, "by step ahead")]
        return Scored(None, scores, details, tables, heading)

    def diagnosis_data(
        self, table: Table, target: Sequence[str], model: str, input: str | None = None
    ) -> tuple[Any, Any]:
        """The long table, which contains the targets."""
        return self._typed(table), None if not target or target[0] == self.model.target else target[0]

    def score_baselines(
        self,
        known: Callable[[], Table],
        table: Table,
        target: Sequence[str],
        model: str,
        windows: int | None = None,
        step: int | None = None,
    ) -> list[dict[str, Any]]:
        """The seasonal naive forecast, and Theta on the training table or on the values in the state."""
        frame = self._typed(table)
        naive = {"name": "seasonal naive", **self.model.evaluate_naive(frame, windows, step)}
        try:
            history = self._typed(known())
        except (DataError, OptionError) as error:
            note(f"Theta reads only the ends of the series in the state. {error.shell}")
            history = None
        try:
            with table.located():
                return [naive, {"name": "Theta", **self.model.evaluate_theta(frame, history, windows, step)}]
        except OptionError as error:
            note(f"Theta is left out: {error.shell}")
            return [naive]

    def _history_and_future(self, frame: pl.DataFrame) -> dict[str, Any]:
        """The arguments of a forecast; future covariates are in the rows after the last values."""
        import polars as pl

        series, time = self.model.id, self.model.time
        known = [name for name in self._targets(frame) if name in frame.columns]
        if not self.model.covariates_.future or time not in frame.columns or not known:
            return {"frame": frame, "warm": not self.cold}
        future = {} if self.future is not None else {"future": frame}
        if not self.cold:
            return {"frame": frame, "warm": True, **future}
        last = pl.col(time).filter(pl.any_horizontal(pl.col(known).is_not_null())).max()
        last = last.over(series) if series in frame.columns and not self.model.wide else last
        return {"frame": frame.filter(pl.col(time) <= last), **future}

    def _targets(self, frame: pl.DataFrame) -> list[str]:
        """The columns of values."""
        columns = columns_of(self.model)
        other = (columns.time, *columns.past, *columns.future)
        return [name for name in frame.columns if name not in other] if columns.wide else [columns.target]

    def _typed(self, table: Table) -> pl.DataFrame:
        """A table with its texts as the numbers that they spell, column by column; an empty cell is missing.

        Columns with other texts stay as they are, but the target is refused. Names of series are numbers only where
        nothing of them is lost: 007 is a text.
        """
        import polars as pl

        targets = self._targets(table.frame)
        with table.located():
            return pl.DataFrame([self._typed_column(column, column.name in targets) for column in table.frame])

    def _typed_column(self, column: pl.Series, is_target: bool) -> pl.Series:
        import polars as pl

        dates = column.name == self.model.time and self.model.date_format is not None
        if column.dtype != pl.String or dates:
            return column
        column = column.replace(dict.fromkeys(("", "NA", "NaN", "nan", "null", "None")))
        for kind in (pl.Int64, pl.Float64):
            numbers = column.str.strip_chars().cast(kind, strict=False)
            if numbers.null_count() == column.null_count() < len(column):
                lossy = column.name == self.model.id and (numbers.cast(pl.String) != column).any()
                return column if lossy else numbers
        if is_target and (wrong := numbers.is_null() & column.is_not_null()).any():
            row = int(wrong.arg_max() or 0)
            what = f"is {column[row]!r}, where a number was expected."
            raise DataError(what, at=Place("frame", column=column.name, row=row))
        return column


def _series(names: Sequence[Any]) -> str:
    """The subject of a sentence about series."""
    if len(names) > 3:
        return f"{len(names):,} series are forecast"
    return f"{', '.join(map(str, names))} {'is' if len(names) == 1 else 'are'} forecast"
