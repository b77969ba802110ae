"""Synthetic missing values in complete data, to evaluate models where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elman.errors import DataError, OptionError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCKS = 5  # how many holes "blocks" makes in a column, if it has room for them


def holes(values: ArrayLike, pattern: str = "random", rate: float = 0.2, seed: int = 0, season: int = 24) -> Floats:
    """A copy of one sequence, `[steps]` or `[steps, width]`, with NaN in about `rate` of its places.

    ============  ==================================================================================================
    random        any number, each alone (missing completely at random)
    scattered     single steps of a column, never two in a row; beyond one half it is the observed that stand alone
    block         one run of steps of a column
    blocks        five runs of a column, of random lengths
    sparse        whole steps, all columns at once: what is left are the few times at which someone looked
    repeated      what differs least from the step before: a sensor that reports on change
    periodic      steps at equal distances
    seasonal      the same part of every season, `season` steps long: nights, weekends
    value         the higher, the likelier (missing not at random)
    channel       whole columns
    ============  ==================================================================================================

    `rate` is from 0 to 1, and met up to rounding: to one step of a column, for "channel" to one column, for "seasonal"
    to a step a season and the last part of one. The same `seed` makes the same holes. "repeated" keeps the first step.

    Raises ``OptionError`` for a pattern, rate, seed or season that cannot be, ``DataError`` for values that are not
    complete.

    >>> holes([1.0, 2.0, 3.0, 4.0], "block", rate=0.5, seed=1)
    array([ 1., nan, nan,  4.])
    """
    _check(pattern, rate, seed, season)
    try:
        whole = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"values holds something that is no number: {error}.") from None
    if whole.ndim not in (1, 2):
        raise DataError(f"values has shape {list(whole.shape)}. One sequence is [steps] or [steps, width].")
    if not np.isfinite(whole).all():
        raise DataError("values has gaps, or infinite numbers, already. Holes are made in complete data.")
    columns = whole[:, None] if whole.ndim == 1 else whole
    made = PATTERNS[pattern](columns, float(rate), np.random.default_rng(seed), season)
    whole[made.reshape(whole.shape)] = np.nan
    return whole


def _check(pattern: Any, rate: Any, seed: Any, season: Any) -> None:
    found = []
    if not isinstance(pattern, str) or pattern not in PATTERNS:
        found.append(f"pattern = {pattern!r} must be one of {', '.join(PATTERNS)}")
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not 0 <= rate <= 1:
        found.append(f"rate = {rate!r} must be a number from 0 to 1")
    for name, number, least in (("seed", seed, 0), ("season", season, 1)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
            found.append(f"{name} = {number!r} must be a whole number of at least {least}")
    if found:
        raise OptionError("; ".join(found))


Pattern = Callable[[Floats, float, np.random.Generator, int], Mask]


def _by_column(lose: Pattern) -> Pattern:
    """A pattern that makes the holes of one column after another, each with its own."""

    def made(values: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
        lost = np.zeros(values.shape, bool)
        for index in range(values.shape[1]):
            lost[:, index] = lose(values[:, index], rate, random, season)
        return lost

    return made


def _random(values: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    return _drawn(values.size, round(rate * values.size), random).reshape(values.shape)


@_by_column
def _scattered(column: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    """Single steps, no two in a row; beyond one half, of what is left."""
    steps, count = len(column), round(rate * len(column))
    inside = count > steps // 2
    few = steps - count if inside else count
    # Of so many fewer steps draw any, then put one step back after each of them but the last.
    places = np.sort(random.permutation(steps - max(few - 1, 0))[:few]) + np.arange(few)
    made = np.full(steps, inside)
    made[places] = not inside
    return made


def _runs(most: int) -> Pattern:
    """At most so many runs of lost steps in a column, at least one step apart."""

    @_by_column
    def made(column: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
        steps, count = len(column), round(rate * len(column))
        runs = min(most, count, steps - count + 1)
        lost = np.zeros(steps, bool)
        if not runs:
            return lost
        lengths = _parts(count - runs, runs, random) + 1
        between = _parts(steps - count - (runs - 1), runs + 1, random)
        between[1:-1] += 1
        starts = np.cumsum(between[:-1]) + np.concatenate([[0], np.cumsum(lengths)[:-1]])
        for start, length in zip(starts, lengths, strict=True):
            lost[start : start + length] = True
        return lost

    return made


def _sparse(values: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    steps = _drawn(len(values), round(rate * len(values)), random)
    return np.repeat(steps[:, None], values.shape[1], axis=1)


@_by_column
def _repeated(column: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    change = np.abs(np.diff(column, prepend=np.nan))
    change[:1] = np.inf
    return _first(np.argsort(change, kind="stable"), min(round(rate * len(column)), max(0, len(column) - 1)))


@_by_column
def _periodic(column: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    reached = np.floor((np.arange(len(column) + 1) + random.uniform(0, 1 / max(rate, 1e-9))) * rate)
    lost: Mask = np.diff(reached) > 0
    return lost


@_by_column
def _seasonal(column: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    place = (np.arange(len(column)) + random.integers(season)) % season
    lost: Mask = place < round(rate * season)
    return lost


@_by_column
def _value(column: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    largest = np.abs(column).max(initial=0.0)
    column = column / largest if largest > 1e100 else column  # numbers near the end of float64 have no square in it
    height = (column - column.mean()) / _spread(column) if len(column) else column
    # The k greatest of log weight + Gumbel noise are a draw without replacement by weight (Efraimidis 2006).
    order = np.argsort(-(2 * height + random.gumbel(size=len(column))), kind="stable")
    return _first(order, round(rate * len(column)))


def _channel(values: Floats, rate: float, random: np.random.Generator, season: int) -> Mask:
    columns = _drawn(values.shape[1], round(rate * values.shape[1]), random)
    return np.repeat(columns[None], len(values), axis=0)


#: Every pattern by its name: which places `[steps, width]` of the values are lost.
PATTERNS: dict[str, Pattern] = {
    "random": _random,
    "scattered": _scattered,
    "block": _runs(1),
    "blocks": _runs(BLOCKS),
    "sparse": _sparse,
    "repeated": _repeated,
    "periodic": _periodic,
    "seasonal": _seasonal,
    "value": _value,
    "channel": _channel,
}


def _spread(column: Floats) -> float:
    """The deviation, 1 of what never changes."""
    return float(column.std()) if column.min() < column.max() else 1.0


def _drawn(places: int, count: int, random: np.random.Generator) -> Mask:
    return _first(random.permutation(places), count)


def _first(order: NDArray[np.int64], count: int) -> Mask:
    """The first `count` of the places in this order."""
    made = np.zeros(len(order), bool)
    made[order[:count]] = True
    return made


def _parts(total: int, parts: int, random: np.random.Generator) -> NDArray[np.int64]:
    """A whole number as a sum of so many whole numbers of at least 0, at random."""
    cuts = np.sort(random.integers(0, total + 1, size=parts - 1))
    return np.diff(np.concatenate([[0], cuts, [total]])).astype(np.int64)
