"""Imputation of missing values, and the time since the last observation.

Arrays are `[steps, width]`, sequences concatenated, float64, scaled, with NaN for missing; `starts` `[steps]` is the
first row of the sequence of each step. Functions work on whole arrays; `Carried` does one step of a stream.
"""

from typing import NamedTuple

import numpy as np

from elman.features.arrays import Array

FILLS = ("mean", "median", "last", "next", "linear", "seasonal", "constant", "decay")
AHEAD = ("next", "linear")  # fills that use later steps
STILL = ("mean", "median", "constant")  # fills that use no other step


def filled(values: Array, starts: Array, times: Array, fill: str, filler: Array, season: int = 1) -> Array:
    """The values with missing ones imputed.

    ```
    mean, median, constant    filler, which is that number of the column, scaled
    last, decay               the last observed
    next                      the next observed; after it, the last observed
    linear                    between the last and the next observed, in proportion to time; at the ends the nearest
    seasonal                  the last observed at the same place in the season; before there is one, the last observed
    ```

    Where a sequence has no observation to use, `filler` `[width]`: the mean, except for median and constant. `times`
    `[steps]`, `season` in steps.

    >>> x = np.array([[np.nan], [1.0], [np.nan], [3.0], [np.nan]])
    >>> one = {"starts": np.zeros(5, int), "times": np.arange(5.0), "filler": np.array([9.0])}
    >>> [filled(x, fill=fill, **one).ravel().tolist() for fill in ("last", "next", "linear")]
    [[9.0, 1.0, 1.0, 3.0, 3.0], [1.0, 1.0, 3.0, 3.0, 3.0], [1.0, 1.0, 2.0, 3.0, 3.0]]
    """
    missing = np.isnan(values)
    if fill in STILL:
        return np.where(missing, filler, values)
    last = _latest(~missing)
    if fill == "seasonal":
        return _seasonal(values, missing, starts, last, filler, season)
    before, after = last >= starts[:, None], None
    if fill in AHEAD:
        following = _following(~missing)
        after = following < _ends(starts)[:, None]
    past = np.take_along_axis(values, np.maximum(last, 0), 0)
    if after is None:
        return np.where(missing, np.where(before, past, filler), values)
    coming = np.take_along_axis(values, np.minimum(following, len(values) - 1), 0)
    if fill == "next":
        return np.where(missing, np.where(after, coming, np.where(before, past, filler)), values)
    since = times[:, None] - times[np.maximum(last, 0)]
    whole = times[np.minimum(following, len(values) - 1)] - times[np.maximum(last, 0)]
    weight = since / np.where(before & after & missing, whole, 1.0)
    between = past * (1 - weight) + coming * weight
    ends = np.where(before, past, np.where(after, coming, filler))
    return np.where(missing, np.where(before & after, between, ends), values)


def ages(observed: Array, starts: Array, times: Array) -> Array:
    """The time since the observation before each step, `[steps, width]`: 0 at the first step of a sequence.

    ```
    d_t = time_t - time of the last observation before t, or of the first step if there is none       Che et al. 2018
    ```

    `observed` is the mask, bool.

    >>> seen = np.array([[True], [False], [True], [True]])
    >>> ages(seen, np.zeros(4, int), np.array([0.0, 1.0, 4.0, 5.0])).ravel().tolist()
    [0.0, 1.0, 4.0, 1.0]
    """
    if not len(observed):
        return np.zeros(observed.shape)
    last = np.vstack([np.full((1, observed.shape[1]), -1), _latest(observed)[:-1]])
    since = np.where(last >= starts[:, None], last, starts[:, None])
    age: Array = times[:, None] - times[since]
    return age


class Carried(NamedTuple):
    """The state of a stream."""

    steps: Array  # number of steps, [1] int64
    time: Array  # of the last step, [1]
    value: Array  # for imputation: the last observed, or the filler, [width]
    observed: Array  # the time of the last observation, or of the first step, [width]
    season: Array  # the last observed at each place of the season, [season, width]
    known: Array  # whether there is one, [season, width] bool

    def step(self, values: Array, time: float, fill: str, filler: Array) -> tuple[Array, Array, "Carried"]:
        """One step `[width]` imputed, its ages, and the next state; bitwise equal to whole sequences."""
        missing = np.isnan(values)
        observed = self.observed if self.steps[0] else np.full(len(values), time)
        stands = filler if fill in STILL else self.value
        season, known = self.season, self.known
        if fill == "seasonal":
            place = int(self.steps[0]) % len(season)
            stands = np.where(known[place], season[place], stands)
            season, known = season.copy(), known.copy()
            season[place] = np.where(missing, season[place], values)
            known[place] |= ~missing
        whole = np.where(missing, stands, values)
        value = np.where(missing, self.value, values)
        now = np.where(missing, observed, time)
        return whole, time - observed, Carried(self.steps + 1, np.array([time]), value, now, season, known)


def _latest(observed: Array) -> Array:
    """The row of the last observation up to each step, of any sequence; -1 before the first."""
    rows = np.where(observed, np.arange(len(observed))[:, None], -1)
    return np.maximum.accumulate(rows, axis=0)


def _following(observed: Array) -> Array:
    """The row of the next observation from each step on, of any sequence; the number of rows after the last."""
    rows = np.where(observed, np.arange(len(observed))[:, None], len(observed))
    return np.minimum.accumulate(rows[::-1], axis=0)[::-1]


def _ends(starts: Array) -> Array:
    """The row after the last of the sequence of each step."""
    first = np.flatnonzero(np.diff(starts, append=len(starts)))  # the last row of each sequence that has steps
    return np.repeat(first + 1, np.diff(first, prepend=-1))


def _seasonal(values: Array, missing: Array, starts: Array, last: Array, filler: Array, season: int) -> Array:
    """The last observation at the same phase of the season in the same sequence."""
    within = np.arange(len(values)) - starts
    order = np.lexsort((within // season, within % season, starts))
    parts = (starts * season + within % season)[order]  # which place of which sequence; equal ones stand together
    first = np.searchsorted(parts, parts)
    found = _latest(~missing[order])
    known, filled = np.empty_like(missing), np.empty_like(values)
    known[order] = found >= first[:, None]
    filled[order] = np.take_along_axis(values[order], np.maximum(found, 0), 0)
    plain = np.where(last >= starts[:, None], np.take_along_axis(values, np.maximum(last, 0), 0), filler)
    return np.where(missing, np.where(known, filled, plain), values)
