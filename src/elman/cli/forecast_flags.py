"""Flags that only models of series take, the same in every command that has them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Group, Parameter

from elman.cli.flags import WholeOrNone
from elman.cli.parameters import switch
from elman.errors import OptionError

if TYPE_CHECKING:
    from elman.tasks.base.table_adapter import StateAdapter, TableAdapter

_GROUP = Group("Forecasters", sort_key=50)


@dataclass(kw_only=True)
class FutureFlags:
    """What is known ahead."""

    future: Annotated[
        str | None,
        Parameter(
            group=_GROUP, help="a table of the future covariates; default: the rows of FILE after the last values"
        ),
    ] = None


@dataclass(kw_only=True)
class ForecastFlags(FutureFlags):
    """What a forecast is asked for."""

    horizon: Annotated[WholeOrNone, Parameter(group=_GROUP, help="number of steps; default: that of training")] = None
    quantiles: Annotated[
        str | None,
        Parameter(
            group=_GROUP, help="quantiles in place of intervals, as shares with commas between them: 0.1,0.5,0.9"
        ),
    ] = None
    paths: Annotated[
        WholeOrNone,
        Parameter(group=_GROUP, help="so many sampled paths of each series, in rows, in place of median and intervals"),
    ] = None
    seed: Annotated[
        WholeOrNone, Parameter(group=_GROUP, help="with --paths: the seed they are drawn from; default: 0")
    ] = None
    cold: Annotated[
        bool,
        switch(
            group=_GROUP, help="begin from the rows of FILE alone, not from the ends of series that the model keeps"
        ),
    ] = False
    anomalies: Annotated[
        float | None,
        Parameter(
            group=_GROUP,
            help="flag the values of FILE outside this interval of their forecast from the values before, in per cent: "
            "one of the levels of training",
        ),
    ] = None


@dataclass(kw_only=True)
class ExplainFlags(FutureFlags):
    """Which forecast is explained."""

    horizon: Annotated[
        WholeOrNone,
        Parameter(group=_GROUP, help="explain the forecast so many steps ahead; default: the mean of all steps"),
    ] = None


@dataclass(kw_only=True)
class ScoreFlags(FutureFlags):
    """How forecasts are scored."""

    by_step: Annotated[bool, switch(group=_GROUP, help="also print the errors of each step of the horizon")] = False


def hand_over(flags: FutureFlags | None, adapter: TableAdapter, model: str, *, header: bool) -> None:
    """Tells the adapter what its answers should be. Raises ``OptionError`` for what its task does not have."""
    from elman.io.tables import read_table

    for name in () if flags is None else [field.name for field in fields(flags)]:
        value: Any = getattr(flags, name)
        if value is None or value is False:
            continue
        if not hasattr(adapter, name):
            what = f"{model} is a model for the task {adapter.model.task!r}, which forecasts nothing"
            raise OptionError(f"{what}. Leave --{name.replace('_', '-')} out.")
        if name == "quantiles":
            value = _shares(value)
        setattr(adapter, name, read_table(value, header=header) if name == "future" else value)


def _shares(text: str) -> tuple[float, ...]:
    """The numbers of a flag."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--quantiles {text!r} are no shares. Write --quantiles 0.1,0.5,0.9") from None


def state_adapter(adapter: TableAdapter, model: str, advice: str) -> StateAdapter:
    """The adapter of a model that keeps the ends of series. Raises ``OptionError`` for another."""
    if not adapter.keeps_state:
        what = f"{model} is a model for the task {adapter.model.task!r}, which keeps no ends of series"
        raise OptionError(f"{what}. {advice}")
    return cast("StateAdapter", adapter)
