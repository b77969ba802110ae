"""What a series looks like from each of its steps backwards: gaps filled, level, scale, what a network reads.

Nothing here looks ahead, so that a series can go on step by step (`Tail.advance`) with the same bits as if it had been
there from the beginning (`Past.of`). With z_t the series (its logarithm, where so chosen) and S its season:

    f_t = z_t, or f_{t-S} where it is missing, or f_{t-1} in the first season
    l_t = (f_t + ... + f_{t-S+1}) / S                                        level
    d_t = (f_t - l_{t-1})^2
    s_t = max(sqrt((d_t + ... + d_{t-W+1}) / W), s'_t / 20, 1e-5 |l_t|)      scale; W = 7 S, at least 28
    s'_t = sqrt((d_1 + ... + d_t) / t)

with fewer terms at the beginning. A series of zeros has a scale of 1e-12. The network reads, within -10 ... 10,

    (f_t - l_t) / s_t,   (f_t - f_{t-S}) / s_t,   (f_t - f_{t-1}) / s_t,   log(s_t / s'_t),
    1 if z_t was observed else 0,   log(1 + steps since an observation / S),   and of logarithms log s_t
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Past", "Shape", "Tail", "filled"]

_Floats = NDArray[np.float64]
_BLOCK = 4096  # steps whose windows are copied at once
_LEAST = 1e-12


@dataclass(frozen=True)
class Shape:
    """How far back each thing looks, in steps."""

    season: int
    window: int  # values that the network reads directly
    log: bool = False  # whether the values are logarithms

    @property
    def spread(self) -> int:
        """W, over which the scale is measured."""
        return max(7 * self.season, 28)

    @property
    def width(self) -> int:
        """Numbers that the network reads at a step."""
        return 7 if self.log else 6


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
        return cls(fills, level, scale, long, squares, gap, _inputs(fills, ago, one, level, scale, long, gap, shape))


@dataclass
class Tail:
    """What is kept of series to go on with: as much of their ends as any later step looks back on."""

    fills: _Floats  # [series, window], or a season and one more; zeros before the first step
    squares: _Floats  # [series, spread]
    level: _Floats  # [series], as the following
    scale: _Floats
    total: _Floats  # of the squares
    steps: NDArray[np.int64]
    gap: NDArray[np.int64]

    @classmethod
    def of(cls, pasts: list[Past], shape: Shape) -> Self:
        """The ends of series."""
        kept = max(shape.window, shape.season + 1)
        return cls(
            np.stack([_end(past.fills, kept) for past in pasts]),
            np.stack([_end(past.squares, shape.spread) for past in pasts]),
            np.array([past.level[-1] for past in pasts]),
            np.array([past.scale[-1] for past in pasts]),
            np.array([np.cumsum(past.squares)[-1] for past in pasts]),
            np.array([len(past.fills) for past in pasts]),
            np.array([past.gap[-1] for past in pasts]),
        )

    def advance(self, values: _Floats, rows: NDArray[np.int64], shape: Shape) -> NDArray[np.float32]:
        """Takes one more value of the series `rows`, NaN where missing; what the network reads of it [rows, width]."""
        season, steps = shape.season, self.steps[rows]
        fills, squares = self.fills[rows], self.squares[rows]
        missing, one = np.isnan(values), fills[:, -1]
        before = np.where(steps >= season, fills[:, -season], one)
        new = np.where(missing, before, values)
        ago = np.where(steps < season, new, fills[:, -season])
        square = (new - self.level[rows]) ** 2
        fills = np.concatenate([fills[:, 1:], new[:, None]], axis=1)
        squares = np.concatenate([squares[:, 1:], square[:, None]], axis=1)
        level = np.ascontiguousarray(fills[:, -season:]).sum(1) / np.minimum(steps + 1, season)
        total, number = self.total[rows] + square, np.maximum(steps, 1)
        long = np.sqrt(total / number)
        scale = _scale(squares.sum(1), number, shape, long, level)
        gap = np.where(missing, self.gap[rows] + 1, 0)
        self.fills[rows], self.squares[rows], self.level[rows], self.scale[rows] = fills, squares, level, scale
        self.total[rows], self.steps[rows], self.gap[rows] = total, steps + 1, gap
        return _inputs(new, ago, one, level, scale, long, gap, shape)

    def windows(self, shape: Shape) -> NDArray[np.float32]:
        """The last `window` values of each series, less the level and in units of the scale; 0 before the first."""
        values = (self.fills[:, -shape.window :] - self.level[:, None]) / self.scale[:, None]
        there = np.arange(shape.window) >= shape.window - self.steps[:, None]
        return np.where(there, values, 0.0).astype(np.float32)

    def copy(self) -> Self:
        """One that may be changed."""
        return type(self)(*(getattr(self, f.name).copy() for f in fields(self)))


def _end(values: _Floats, kept: int) -> _Floats:
    return np.concatenate([np.zeros(max(0, kept - len(values))), values[-kept:]])


def _sums(values: _Floats, width: int) -> _Floats:
    """The sum of each value and the `width` - 1 before it. Every sum has its bits by itself: none runs on."""
    padded = np.concatenate([np.zeros(width - 1), values])
    views = np.lib.stride_tricks.sliding_window_view(padded, width)
    parts = [np.ascontiguousarray(views[a : a + _BLOCK]).sum(1) for a in range(0, len(values), _BLOCK)]
    return np.concatenate(parts)


def _scale(sums: _Floats, number: NDArray[np.int64], shape: Shape, long: _Floats, level: _Floats) -> _Floats:
    short = np.sqrt(sums / np.minimum(number, shape.spread))
    # A difference of logarithms is a relative one already, and their size says nothing.
    least = 1e-5 if shape.log else 1e-5 * np.abs(level)
    return np.maximum(np.maximum(short, long / 20), np.maximum(least, _LEAST))


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
