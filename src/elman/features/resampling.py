"""Time stamps within steps: extracted, checked, sorted, or resampled to equal steps."""

from dataclasses import dataclass

import numpy as np

from elman.errors import DataError, Place, option
from elman.features.arrays import Array, place

_MOST = 100_000_000  # maximum size of the result: beyond it the unit of time is probably wrong


@dataclass(frozen=True)
class Clocked:
    """Sequences of steps with time stamps."""

    values: Array  # [steps, width], without the time stamps
    offsets: Array  # [sequences + 1]
    times: Array  # [steps]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def starts(self) -> Array:
        """The first row of the sequence of each step."""
        return np.repeat(self.offsets[:-1], np.diff(self.offsets))


def taken_out(values: Array, offsets: Array, column: int, sort: bool, name: str) -> Clocked:
    """Steps without the column that holds their time stamps, which must increase within each sequence.

    `sort` puts steps in the order of their times first. Raises `DataError` naming the steps for a time stamp that is
    missing, repeated or, without `sort`, earlier than the one before.

    >>> steps = np.array([[0.0, 7.0], [2.5, 8.0]])
    >>> taken_out(steps, np.array([0, 2]), 0, False, "X").times.tolist()
    [0.0, 2.5]
    """
    times, rest = stamps(values, offsets, column, name)
    order = np.arange(len(times))
    segments = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    if sort:
        order = np.lexsort((times, segments))
        times, rest = times[order], rest[order]
    late = np.flatnonzero((np.diff(times) <= 0) & (np.diff(segments) == 0))
    if len(late):
        at = int(late[0])
        sequence, start = int(segments[at]), int(offsets[segments[at]])
        steps, where = f", steps {order[at] - start} and {order[at + 1] - start}", Place(name, sequence=sequence)
        if times[at] == times[at + 1]:
            same = f"{steps} have the same time, {times[at]:g}. Drop one, or set "
            raise DataError(same, option("every"), " to average.", at=where)
        late_one = f"{steps} have the times {times[at]:g} and {times[at + 1]:g}, which must increase. Set "
        raise DataError(late_one, option("sort", True), ", or sort them.", at=where)
    return Clocked(rest, offsets, times)


def resampled(values: Array, offsets: Array, column: int, every: float, name: str) -> Clocked:
    """Resamples irregular steps to equal ones by the mean of the observations within each.

    Step k of a sequence covers the times from k * every to before (k + 1) * every, beginning with the step of its first
    time stamp; a step without observations is missing. Times may repeat and be in any order.

    >>> steps = np.array([[0.0, 7.0], [0.5, 9.0], [2.0, 1.0]])
    >>> resampled(steps, np.array([0, 3]), 0, 1.0, "X").values.tolist()
    [[8.0], [nan], [1.0]]
    """
    times, rest = stamps(values, offsets, column, name)
    segments = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    cells = _cells(times, every)
    first = np.full(len(offsets) - 1, np.inf)
    np.minimum.at(first, segments, cells)
    cells -= first[segments]
    lengths = np.zeros(len(offsets) - 1)
    np.maximum.at(lengths, segments, cells + 1)
    if not lengths.sum() * rest.shape[1] <= _MOST:
        longest = int(lengths.argmax())
        raise DataError(
            f"is cut into {lengths[longest]:.3g} steps by every = {every:g}. Check the unit of its time stamps, or "
            "give a longer every.",
            at=Place(name, sequence=longest),
        )
    made = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
    rows = made[segments] + cells.astype(np.int64)
    total, count = np.zeros((made[-1], rest.shape[1])), np.zeros((made[-1], rest.shape[1]))
    np.add.at(total, rows, np.nan_to_num(rest, nan=0.0, posinf=np.inf, neginf=-np.inf))
    np.add.at(count, rows, ~np.isnan(rest))
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    within = np.arange(made[-1]) - np.repeat(made[:-1], np.diff(made))
    return Clocked(mean, made, within * every)


def _cells(times: Array, every: float) -> Array:
    """The step of each time. Times within rounding of a border count as the border: 0.3 / 0.1 is below 3.

    The tolerance is that of float32 where all times are such numbers.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # too many steps are refused later
        places = times / every
        single = times.astype(np.float32)
        if float(every).is_integer() and (times == np.floor(times)).all():
            return np.floor(places)
        rounding = 4 * float(np.finfo(np.float32 if (single == times).all() else np.float64).eps)
        slack = np.clip(rounding * np.abs(places), 1e-9, 0.01)
        border = np.rint(places)
        return np.where(np.abs(places - border) <= slack, border, np.floor(places))


def stamps(values: Array, offsets: Array, column: int, name: str) -> tuple[Array, Array]:
    """The time stamps, and the steps without them. Raises `DataError` for one that is missing or infinite."""
    width = values.shape[1]
    if not -width <= column < width or width < 2:
        raise DataError(
            f"has {width} numbers a step, so that times = {column} leaves no column of values.", at=Place(name)
        )
    times = values[:, column]
    odd = np.flatnonzero(~np.isfinite(times))
    if len(odd):
        at = place(odd[0], 0, offsets, 1, name)
        raise DataError(f"has no time stamp: column {column} is {times[odd[0]]}.", at=at)
    return times, np.delete(values, column, axis=1)
