"""Imputation, level, scale and network inputs of series.

All is causal, so that a series can be continued step by step (`Tail.advance`), bitwise equal to the whole series
(`Past.of`). With z_t the series (with `log` its logarithm) and S its season:

    f_t = z_t, or f_{t-S} where it is missing, or f_{t-1} in the first season
    l_t = (f_t + ... + f_{t-S+1}) / S                                        level
    d_t = (f_t - l_{t-1})^2
    s_t = max(sqrt((d_t + ... + d_{t-W+1}) / W), s'_t / 20, 1e-14 |l_t|)     scale; W = 7 S, at least 28
    s'_t = sqrt((d_1 + ... + d_t) / t)

with fewer terms at the beginning. 1e-14 |l_t| is the rounding error of a constant series (of logarithms: 1e-14 at
least); a series of zeros has a scale of 1e-30. The network reads, clipped to -10 ... 10,

    (f_t - l_t) / s_t,   (f_t - f_{t-S}) / s_t,   (f_t - f_{t-1}) / s_t,   log(s_t / s'_t),
    1 if z_t was observed else 0,   log(1 + steps since an observation / S),   and of logarithms log s_t
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

_Kind = TypeVar("_Kind", bound=np.generic)
_Floats = NDArray[np.float64]
_BLOCK = 4096  # steps whose windows are copied at once, at most
_BYTES = 1 << 25  # of windows that are copied at once
_DIRECT = 1 << 14  # terms of a sum, beyond which it is made of two running ones; and by which kept ends grow
_LEAST = 1e-30
_FAR = 690.0  # of a logarithm: answers lie between 1e-300 and 1e300
_ROUNDING = 1e-14  # of a level: a smaller scale would be that of rounding
_OBSERVED, _REPEATED = 2, 1  # kinds of a kept value: given; filled with one that was given whole seasons before


@dataclass(frozen=True)
class Shape:
    """Lengths of the look-back in steps."""

    season: int
    window: int  # values that the network reads directly
    log: bool = False  # whether the values are logarithms

    @property
    def spread(self) -> int:
        """W, over which the scale is measured."""
        return max(7 * self.season, 28)

    @property
    def kept(self) -> int:
        """Values of a series that any later step looks back on."""
        return max(self.window, self.season + 1)

    @property
    def width(self) -> int:
        """Numeric inputs of a step."""
        return 7 if self.log else 6

    def inverse(self, values: _Floats, lowest: _Floats) -> _Floats:
        """From logarithms to data; else not below 0 where the `lowest` value of the series was not.

        `values` [rows, ...], `lowest` [rows].

        >>> Shape(1, 1).inverse(np.array([[-1.0, 2.0]]), np.zeros(1)).tolist()
        [[0.0, 2.0]]
        """
        if self.log:
            return np.exp(np.clip(values, -_FAR, _FAR))
        floor = np.where(lowest >= 0, 0.0, -np.inf)
        return np.maximum(values, floor.reshape(-1, *[1] * (values.ndim - 1)))


def filled(values: _Floats, season: int) -> _Floats:
    """Missing values of one series as they were a season before; in the first season as they were last.

    The first value must not be missing.

    >>> nan = float("nan")
    >>> filled(np.array([1.0, 2.0, 3.0, nan, nan, nan, nan]), 3).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]
    """
    made = values.copy()
    missing = np.isnan(made)
    if not missing.any():
        return made
    first = slice(0, len(made) if season == 1 else season)
    last = np.maximum.accumulate(np.where(missing[first], 0, np.arange(len(made[first]))))
    made[first] = made[first][last]
    for begin in range(season, len(made) if season > 1 else 0, season):
        part = slice(begin, begin + season)
        if missing[part].any():
            before = made[begin - season : begin][: len(made[part])]
            made[part] = np.where(missing[part], before, made[part])
    return made


@dataclass
class Past:
    """Everything about the steps of one series: each float64 [steps], `inputs` float32 [steps, width]."""

    fills: _Floats
    level: _Floats
    scale: _Floats
    long: _Floats
    squares: _Floats
    gap: NDArray[np.int64]
    lowest: _Floats  # of the values so far
    kinds: NDArray[np.int8]  # 2: observed, 1: filled with a value observed whole seasons before, 0: filled otherwise
    naive: tuple[float, int]  # sum and number of the differences between observed values a season apart, as given
    inputs: NDArray[np.float32]

    @classmethod
    def of(cls, values: _Floats, shape: Shape) -> Self:
        """From the values of a series, NaN where missing; the first must be there."""
        fills, season, steps = filled(values, shape.season), shape.season, np.arange(len(values))
        level = _sums(fills, season) / np.minimum(steps + 1, season)
        squares = np.concatenate([[0.0], (fills[1:] - level[:-1]) ** 2])
        number = np.maximum(steps, 1)
        long = np.sqrt(np.cumsum(squares) / number)
        scale = _scale(_sums(squares, shape.spread), number, shape, long, level)
        missing = np.isnan(values)
        gap = steps - np.maximum.accumulate(np.where(missing, 0, steps))
        ago = np.concatenate([fills[:season], fills[:-season]])[: len(fills)]
        ago = np.where(steps < season, fills, ago)
        one = np.concatenate([fills[:1], fills[:-1]])
        inputs = _inputs(fills, ago, one, level, scale, long, gap, shape)
        lowest, kinds = np.minimum.accumulate(fills), _kinds(missing, season)
        return cls(fills, level, scale, long, squares, gap, lowest, kinds, _naive(values, shape), inputs)


def _kinds(missing: NDArray[np.bool_], season: int) -> NDArray[np.int8]:
    """Whether each value was observed (2), or one at the same place of an earlier season was (1), or neither (0)."""
    kinds = np.where(missing, 0, _OBSERVED).astype(np.int8)
    if season < len(kinds) and missing.any():
        rows = np.pad(kinds, (0, -len(kinds) % season)).reshape(-1, season)
        seen = np.maximum.accumulate(rows, axis=0).reshape(-1)[: len(kinds)]
        kinds[missing & (seen > 0)] = _REPEATED
    return kinds


def _naive(values: _Floats, shape: Shape) -> tuple[float, int]:
    given = np.exp(values) if shape.log else values
    errors = np.abs(given[shape.season :] - given[: -shape.season])
    errors = errors[~np.isnan(errors)]
    return (float(np.cumsum(errors)[-1]) if len(errors) else 0.0), len(errors)


@dataclass
class Tail:
    """The ends of series, as far as later steps look back on them.

    Ends above 16,384 values are no longer than the longest series, rounded up to a multiple of that.
    """

    fills: _Floats  # [series, window], or a season and one more; zeros before the first step
    kinds: NDArray[np.int8]  # the same, as in `Past`; 0 before the first step
    squares: _Floats  # [series, spread]
    level: _Floats  # [series], as the following
    scale: _Floats
    total: _Floats  # of the squares
    lowest: _Floats
    missed: _Floats  # sum of the differences between observed values a season apart, as given
    pairs: NDArray[np.int64]  # how many these were
    steps: NDArray[np.int64]
    gap: NDArray[np.int64]

    @classmethod
    def of(cls, pasts: list[Past], shape: Shape) -> Self:
        """The ends of series."""
        longest = max(len(past.fills) for past in pasts)
        kept, spread = _width(shape.kept, longest), _width(shape.spread, longest)
        return cls(
            np.stack([_end(past.fills, kept) for past in pasts]),
            np.stack([_end(past.kinds, kept) for past in pasts]),
            np.stack([_end(past.squares, spread) for past in pasts]),
            np.array([past.level[-1] for past in pasts]),
            np.array([past.scale[-1] for past in pasts]),
            np.array([np.cumsum(past.squares)[-1] for past in pasts]),
            np.array([past.lowest[-1] for past in pasts]),
            np.array([past.naive[0] for past in pasts]),
            np.array([past.naive[1] for past in pasts]),
            np.array([len(past.fills) for past in pasts]),
            np.array([past.gap[-1] for past in pasts]),
        )

    @classmethod
    def widths(cls, shape: Shape, longest: int) -> dict[str, tuple[int, ...]]:
        """What each part has for a series, where the longest of all has so many steps."""
        kept, spread = (_width(shape.kept, longest),), (_width(shape.spread, longest),)
        return {f.name: {"fills": kept, "kinds": kept, "squares": spread}.get(f.name, ()) for f in fields(cls)}

    def __getitem__(self, rows: Any) -> Self:
        """Some of the series."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    def joined(self, other: Self) -> Self:
        """The ends of these series and, after them, of others."""
        made = []
        for f in fields(self):
            parts = [getattr(self, f.name), getattr(other, f.name)]
            if parts[0].ndim > 1:
                width = max(part.shape[1] for part in parts)
                parts = [np.pad(part, ((0, 0), (width - part.shape[1], 0))) for part in parts]
            made.append(np.concatenate(parts))
        return type(self)(*made)

    @property
    def bytes_of_one(self) -> int:
        """Of what is kept of a series."""
        return sum(getattr(self, f.name)[:1].nbytes for f in fields(self))

    def advance(self, values: _Floats, rows: NDArray[np.int64], shape: Shape) -> NDArray[np.float32]:
        """Takes one more value of the series `rows`, NaN where missing; what the network reads of it [rows, width]."""
        season, steps = shape.season, self.steps[rows]
        self._widen(shape, int(steps.max(initial=0)) + 1)
        fills, kinds, squares = self.fills[rows], self.kinds[rows], self.squares[rows]
        missing, one, back = np.isnan(values), fills[:, -1], min(season, fills.shape[1])
        round_again = steps >= season
        before = np.where(round_again, fills[:, -back], one)
        new = np.where(missing, before, values)
        ago = np.where(round_again, fills[:, -back], new)
        kind = np.where(missing, np.where(round_again, np.minimum(kinds[:, -back], _REPEATED), 0), _OBSERVED)
        pair = round_again & ~missing & (kinds[:, -back] == _OBSERVED)
        self.missed[rows] += np.where(pair, np.abs(_given(new, shape) - _given(ago, shape)), 0.0)
        self.pairs[rows] += pair
        self.lowest[rows] = np.minimum(self.lowest[rows], new)
        square = (new - self.level[rows]) ** 2
        fills = np.concatenate([fills[:, 1:], new[:, None]], axis=1)
        squares = np.concatenate([squares[:, 1:], square[:, None]], axis=1)
        level = _last_sums(fills, season, steps + 1) / np.minimum(steps + 1, season)
        total, number = self.total[rows] + square, np.maximum(steps, 1)
        long = np.sqrt(total / number)
        scale = _scale(_last_sums(squares, shape.spread, steps + 1), number, shape, long, level)
        gap = np.where(missing, self.gap[rows] + 1, 0)
        self.fills[rows], self.squares[rows], self.level[rows], self.scale[rows] = fills, squares, level, scale
        self.kinds[rows] = np.concatenate([kinds[:, 1:], kind[:, None]], axis=1)
        self.total[rows], self.steps[rows], self.gap[rows] = total, steps + 1, gap
        return _inputs(new, ago, one, level, scale, long, gap, shape)

    def _widen(self, shape: Shape, longest: int) -> None:
        """Makes room at the beginning of the ends, where they are still to grow."""
        for name, width in self.widths(shape, longest).items():
            ends = getattr(self, name)
            if width and width[0] > ends.shape[1]:
                setattr(self, name, np.pad(ends, ((0, 0), (width[0] - ends.shape[1], 0))))

    def windows(self, shape: Shape) -> NDArray[np.float32]:
        """The last `window` values of each series, less the level and in units of the scale; 0 before the first."""
        made = np.zeros((len(self.steps), shape.window), np.float32)
        width = min(shape.window, self.fills.shape[1])
        values = (self.fills[:, -width:] - self.level[:, None]) / self.scale[:, None]
        there = np.arange(width) >= width - self.steps[:, None]
        made[:, -width:] = np.where(there, values, 0.0)
        return made

    def observed(self) -> _Floats:
        """The kept values, NaN where none was observed: [series, kept]."""
        return np.where(self.kinds == _OBSERVED, self.fills, np.nan)

    def last_season(self, season: int, horizon: int) -> _Floats:
        """The latest observed value a whole number of seasons before each step to come, else the last one observed.

        As ``baselines.last_season`` finds it in the whole series: [series, horizon].
        """
        width, step = self.fills.shape[1], np.arange(horizon) % season
        place = np.maximum(width - season + step, 0)
        there = (self.kinds[:, place] > 0) & (self.steps[:, None] >= season - step)
        last = np.take_along_axis(self.fills, (width - 1 - self.gap % season)[:, None], axis=1)
        return np.where(there, self.fills[:, place], last)

    def naive_error(self, shape: Shape) -> _Floats:
        """The mean difference between observed values a season apart, of each series; NaN where there is none."""
        return beyond_rounding(self.missed / np.where(self.pairs, self.pairs, np.nan), _given(self.level, shape))


def _given(values: _Floats, shape: Shape) -> _Floats:
    return np.exp(values) if shape.log else values


def _width(wanted: int, longest: int) -> int:
    """How much is kept of the ends of series: all that is wanted, or of much no more than has been."""
    return wanted if wanted <= _DIRECT else min(wanted, -(-longest // _DIRECT) * _DIRECT)


def _end(values: NDArray[_Kind], kept: int) -> NDArray[_Kind]:
    return np.concatenate([np.zeros(max(0, kept - len(values)), values.dtype), values[-kept:]])


def _sums(values: _Floats, width: int) -> _Floats:
    """The sum of each value and the `width` - 1 before it. Every sum has its bits by itself: none runs on.

    A wide one is the sum of what is left of one block of `width` values, from its end, and of what has come of the
    next, from its beginning, so that it costs no more than a narrow one.
    """
    if width > _DIRECT:
        return _wide_sums(values, width)
    padded = np.concatenate([np.zeros(width - 1), values])
    views = np.lib.stride_tricks.sliding_window_view(padded, width)
    rows = max(1, min(_BLOCK, _BYTES // (8 * width)))
    parts = [np.ascontiguousarray(views[a : a + rows]).sum(1) for a in range(0, len(values), rows)]
    return np.concatenate(parts)


def _wide_sums(values: _Floats, width: int) -> _Floats:
    made = np.empty(len(values))
    for a in range(0, len(values), width):
        b = min(a + width, len(values))
        made[a:b] = np.cumsum(values[a:b])
        if a:
            left = np.append(np.cumsum(values[a - width : a][::-1])[::-1], 0.0)
            made[a:b] += left[1 : b - a + 1]
    return made


def _last_sums(ends: _Floats, width: int, steps: NDArray[np.int64]) -> _Floats:
    """The last of these sums for series of so many `steps`, by their ends: [series]."""
    if width <= _DIRECT:
        sums: _Floats = np.ascontiguousarray(ends[:, -width:]).sum(1)
        return sums
    made = np.empty(len(ends))
    for i, (row, count) in enumerate(zip(ends, steps.tolist(), strict=True)):
        new = (count - 1) % width + 1
        made[i] = np.cumsum(row[len(row) - new :])[-1]
        if new < count and new < width:
            made[i] += np.cumsum(row[len(row) - width : len(row) - new][::-1])[-1]
    return made


def beyond_rounding(errors: Any, level: Any) -> _Floats:
    """Errors of values of some level, 0 where rounding alone may have made them."""
    made: _Floats = np.where(errors <= 100 * _ROUNDING * np.abs(level), 0.0, errors)
    return made


def least_scale(level: _Floats, log: bool) -> _Floats:
    """What a series of this level has for a scale if it never changes."""
    made: _Floats = np.maximum(_ROUNDING * np.maximum(np.abs(level), float(log)), _LEAST)
    return made


def _scale(sums: _Floats, number: NDArray[np.int64], shape: Shape, long: _Floats, level: _Floats) -> _Floats:
    short = np.sqrt(sums / np.minimum(number, shape.spread))
    return np.maximum(np.maximum(short, long / 20), least_scale(level, shape.log))


def _inputs(
    fills: _Floats,
    ago: _Floats,
    one: _Floats,
    level: _Floats,
    scale: _Floats,
    long: _Floats,
    gap: NDArray[np.int64],
    shape: Shape,
) -> NDArray[np.float32]:
    columns = [
        (fills - level) / scale,
        (fills - ago) / scale,
        (fills - one) / scale,
        np.log(scale / np.maximum(long, _LEAST)),
        (gap == 0).astype(np.float64),
        np.log1p(gap / shape.season),
        *([np.log(scale)] if shape.log else []),
    ]
    made: NDArray[np.float32] = np.clip(np.stack(columns, axis=1), -10, 10).astype(np.float32)
    return made
