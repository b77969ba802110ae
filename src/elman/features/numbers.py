"""Numbers as steps: series and signals of one or several columns, gaps and all, scaled by the training data."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells.base import VALUES_MASK_GAP
from elman.errors import DataError, ModelFileError, OptionError, Place, Problem, option
from elman.features.arrays import Array, place, read, read_one
from elman.features.base import LARGEST_SCALED, SCALES, Feature, checked, saved_array
from elman.features.imputation import AHEAD, FILLS, STILL, Carried, ages, filled
from elman.features.outliers import RULES, beyond, check_finite, hampel, treated
from elman.features.resampling import Clocked, resampled, taken_out
from elman.ragged import Ragged
from elman.validation.options import LARGEST, choice, flag, is_among, is_number, is_whole, require

_MOST = 0.5  # rate of missing values over all columns above which `fades`
_SMALLEST = float(np.finfo(np.float64).tiny)
_SEASON = 1_000_000  # steps of a season, at most: a stream remembers one


class Values(nn.Module):
    """The input layer of numbers: the values as they are.

    >>> Values(3)(Ragged.of([[[1.0, 2.0, 3.0]]])).values
    tensor([[1., 2., 3.]])
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Ragged) -> Ragged:
        """`[steps, width]` → the same."""
        return x

    def step(self, values: Tensor) -> Tensor:
        """`[..., width]` → the same."""
        return values


@dataclass(kw_only=True, eq=False, repr=False)
class NumberOptions:
    """Numbers."""

    scale: str = "standard"  # of numbers: "standard" gives each column mean 0 and deviation 1; "none" as they are
    fill: str = "last"  # in gaps: "mean", "median", "last", "next", "linear", "seasonal", "constant", "decay" (GRU-D)
    mask: bool | None = None  # whether a step says what was observed; None: where the training data have gaps
    gap: bool | None = None  # whether it says how long ago; None: where the training data have gaps or time stamps
    season: int | None = None  # steps of a season, for fill = "seasonal"
    constant: float = 0.0  # for fill = "constant", in the unit of the data
    outliers: str = "keep"  # of numbers: "keep", "clip" (to the limit), "missing" (taken away)
    outlier_limit: float = 5.0  # deviations from the median, estimated by 1.4826 median |x - median| (Hampel 1974)
    times: int | None = None  # which number of a step is its time stamp; None: none, steps are equally long
    every: float | None = None  # length of the steps to resample to, in the unit of the time stamps; None: as they are
    sort: bool = False  # whether to put the steps of a sequence in the order of their time stamps


@dataclass(kw_only=True, repr=False)
class Numbers(NumberOptions, Feature):
    """Numbers as steps: float32 `[steps, outputs]`, each column standardised over the observed training values, with
    missing values imputed and, on request, mask and gaps.

    ```
    y_t = (x_t - mean) / deviation        0 in a column that never changed in training
    m_t = 1 if x_t was observed, else 0
    d_t = time since the observation before t (since the first step if there was none), over its mean in training
    ```

    A step holds y, then m, then d, `width_` numbers each, whichever of m and d there are.

    A column of the data is a list of arrays `[length]` or `[length, width]`, a 3-D array, a 2-D array `[sequences,
    length]` of one number a step, a frame of numbers (the same), a `Ragged`, or a list column of a frame. Integers and
    booleans are numbers too. NaN, None, NA and masked values are missing: a first value, a whole sequence and a whole
    column may be. A column without observations in training is 0, with its mask and gap; so is, with scale "standard",
    a column that was constant in training.

    Learnt: ``width_``, ``mean_``, ``deviation_``, ``unchanged_`` (1 for each constant column), ``missing_``
    (rate in each column), ``outliers_`` (count in each column), ``has_mask_``, ``has_gap_``. Raises `DataError` naming
    sequence, step and column for infinities, for a width that differs from that of the training data, for time stamps
    that do not increase, and for a number that leaves the range of float32.

    >>> numbers = Numbers().fit([[1, 2, 3], [], [4, 5]])
    >>> numbers.transform([[3], [1, None, 5]]).values.flatten()
    tensor([ 0.0000, -1.4142, -1.4142,  1.4142])
    >>> Numbers().fit_transform([[1.0, float("nan"), 3.0]]).values
    tensor([[-1.,  1.,  0.],
            [-1.,  0.,  1.],
            [ 1.,  1.,  2.]])
    """

    kind: ClassVar[str] = "numbers"
    is_signal: ClassVar[bool] = True
    is_series: ClassVar[bool] = True
    is_column: ClassVar[bool] = True
    arrays: ClassVar[tuple[str, ...]] = (
        *("mean", "deviation", "unchanged", "filler", "rate", "missing", "outliers"),  # [width]
        "limits",  # of outliers, [2, width]
    )

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)
        given = [
            (f.name, getattr(self, f.name)) for f in fields if f.name == "scale" or getattr(self, f.name) != f.default
        ]
        return f"Numbers({', '.join(f'{name}={value!r}' for name, value in given)})"

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = choice(self, "scale", SCALES) + choice(self, "fill", FILLS) + choice(self, "outliers", RULES)
        for name in ("mask", "gap"):
            found += require(isinstance(getattr(self, name), bool | None), self, name, "must be True, False or None")
        found += flag(self, "sort") + require(is_number(self.constant), self, "constant", "must be a finite number")
        limit = is_number(self.outlier_limit) and self.outlier_limit > 0
        found += require(limit, self, "outlier_limit", "must be a number above 0")
        season = self.season is None or is_whole(self.season, most=_SEASON)
        found += require(season, self, "season", f"must be a whole number from 1 to {_SEASON}, or None")
        times = self.times is None or is_whole(self.times, -LARGEST)
        found += require(times, self, "times", "must be the place of a number in a step, or None")
        every = self.every is None or (is_number(self.every) and self.every > 0)
        return found + require(every, self, "every", "must be a number above 0, or None") + self._pairs()

    def _pairs(self) -> list[Problem]:
        """What is wrong with options that need each other."""
        found = []
        if is_among(self.fill, ["seasonal"]) and self.season is None:
            found.append(Problem("fill", '"seasonal"', "needs season = ..., the steps of a season"))
        if self.times is None and (self.every is not None or self.sort is True):
            found.append(Problem("times", "None", "must be the place of the time stamp in a step, for every and sort"))
        if is_among(self.fill, ["decay"]) and (self.mask is False or self.gap is False):
            found.append(Problem("fill", '"decay"', "needs the mask and the gap. Leave both at None"))
        return found

    # ---- learning

    def read(self, column: Any, name: str, fitted: bool) -> Clocked:
        """The steps and their times, by default the number of the step."""
        values, lengths = read(column, name, self._read if fitted else None)
        return self._clocked(values, lengths, name)

    def learn(self, sequences: Clocked, name: str) -> Ragged:
        """Learns width, mean and deviation of the columns, and whether they have gaps."""
        self.width_ = sequences.values.shape[1]
        self.limits_ = hampel(sequences.values, self.outlier_limit)
        self.outliers_ = beyond(sequences.values, self.limits_).sum(axis=0)
        steps = self._ruled(sequences, name)
        missing = np.isnan(steps.values)
        self.missing_ = missing.mean(axis=0) if len(missing) else np.zeros(self.width_)
        gaps, learnt = bool(missing.any()), self.fill == "decay"
        self.has_mask_ = gaps or learnt if self.mask is None else self.mask
        self.has_gap_ = gaps or learnt or self.times is not None if self.gap is None else self.gap
        self._learn_scale(steps, missing)
        return self._steps(steps, name)

    def _learn_scale(self, steps: Clocked, missing: Array) -> None:
        """Learns scale, imputation value and mean gap from the observed values."""
        self.mean_, self.deviation_ = np.zeros(self.width_), np.ones(self.width_)
        self.unchanged_ = np.zeros(self.width_)
        mean = self.mean_
        if len(missing):
            mean, deviation, unchanged = _statistics(steps.values, missing)
            if self.scale == "standard":
                self.mean_, self.deviation_, self.unchanged_ = mean, deviation, unchanged
        middle = {"median": _medians(steps.values, missing), "constant": np.full(self.width_, self.constant)}
        self.filler_ = self._scaled(middle.get(self.fill, mean)[None])[0]
        self.filler_[self.missing_ == 1] = 0.0
        if self.fill == "constant" and not (np.abs(self.filler_) <= LARGEST_SCALED).all():
            raise OptionError(f"constant = {self.constant:g} is too large for float32 once scaled.")
        self.filler_ = np.clip(
            self.filler_, -LARGEST_SCALED, LARGEST_SCALED
        )  # the mean of what is refused, or rounds beyond
        self.rate_ = np.zeros(self.width_)
        if self.has_gap_ and len(missing):
            mean = np.minimum(ages(~missing, steps.starts, steps.times).mean(axis=0), LARGEST_SCALED)
            self.rate_ = np.where(self.missing_ == 1, 0.0, 1 / np.where(mean > 0, mean, 1.0))

    # ---- steps

    def encode(self, sequences: Clocked, name: str) -> Ragged:
        """The steps of each sequence: float32 values `[steps, outputs]`."""
        return self._steps(self._ruled(sequences, name), name)

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The steps `[steps, outputs]` of one step (a number, or `width` numbers) or of several (`[steps, width]`), as
        if nothing came before: `advance` goes on from what did."""
        return self.transform([self._rows(value, name)], name=name).values

    def initial_state(self) -> dict[str, Tensor]:
        """The initial state of a stream. Raises `OptionError` for imputation from later steps."""
        if self.fill in AHEAD or self.every is not None:
            what = f'fill = "{self.fill}"' if self.fill in AHEAD else f"every = {self.every:g}"
            raise OptionError(
                f"{what} cannot stream: it reads later steps. Train with ",
                option("fill", "last"),
                " and ",
                option("every", None),
                ".",
            )
        return {name: torch.from_numpy(getattr(self._start(), name)) for name in self._kept()}

    def _start(self) -> Carried:
        season, width = int(self.season or 0) if self.fill == "seasonal" else 0, self.width_
        return Carried(
            steps=np.zeros(1, np.int64),
            time=np.zeros(1),
            value=self.filler_.copy(),
            observed=np.zeros(width),
            season=np.zeros((season, width)),
            known=np.zeros((season, width), bool),
        )

    def advance(self, value: Any, state: dict[str, Tensor], *, name: str = "X") -> tuple[Tensor, dict[str, Tensor]]:
        """The steps of the next chunk of a stream, and the next state; bitwise equal to those of the whole sequence."""
        sequences = self.read([self._rows(value, name)], name, fitted=True)
        if not len(sequences.values):
            return torch.zeros(0, self.outputs), state
        before = self._start()._replace(**{key: tensor.numpy() for key, tensor in state.items()})
        steps = self._ruled(sequences, name)
        times = steps.times
        if self.times is None:
            times = times + before.steps[0]
        elif before.steps[0] and times[0] <= before.time[0]:
            raise DataError(
                f": the time {times[0]:g} does not come after {before.time[0]:g}, the last one.", at=Place(name)
            )
        scaled = self._in_range(steps, name)
        made = []
        for row, time in zip(scaled, times, strict=True):
            whole, age, before = before.step(row, float(time), self.fill, self.filler_)
            made.append(self._joined(whole, np.isnan(row), age))
        return torch.from_numpy(np.stack(made)), {key: torch.from_numpy(getattr(before, key)) for key in self._kept()}

    @property
    def fades(self) -> bool:
        """Whether most numbers are missing, and steps are values, mask and gap for a cell with decay (GRU-D)."""
        most = bool(self.missing_.mean() > _MOST)
        return most and self.fill in ("last", "decay") and self.has_mask_ and self.has_gap_

    @property
    def value_width(self) -> int:
        """The columns, without mask and gaps."""
        return int(self.width_)

    def outputs_of_columns(self, widths: Sequence[int]) -> list[list[int]] | None:
        """The indices of each column's values, mask and gap; None where the widths differ from training."""
        if sum(widths) != self.width_:
            return None
        starts, blocks = np.cumsum([0, *widths]).tolist(), range(0, self.outputs, self.width_)
        return [[b + u for b in blocks for u in range(s, s + w)] for s, w in zip(starts, widths, strict=False)]

    def suit(self, reads: str) -> None:
        """For a cell with decay, steps have mask and gap, and the cell does the imputation."""
        if reads == VALUES_MASK_GAP:
            self.fill, self.mask, self.gap = "decay", True, True

    @property
    def outputs(self) -> int:
        """The width of a step: values, mask and gaps."""
        outputs: int = self.width_ * (1 + self.has_mask_ + self.has_gap_)
        return outputs

    def module(self, width: int, dropout: float = 0.0) -> Values:
        """The values unchanged; `width` and `dropout` are not used."""
        return Values(self.outputs)

    # ---- on disk

    def learnt(self) -> dict[str, Any]:
        """The number of columns, and what stands beside the values."""
        return {"width": self.width_, "has_mask": self.has_mask_, "has_gap": self.has_gap_}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes what was learnt of each column. Raises `ModelFileError` for what is invalid."""
        self.width_ = checked(config, "width", int, self.kind)
        self.has_mask_, self.has_gap_ = (checked(config, key, bool, self.kind) for key in ("has_mask", "has_gap"))
        if self.width_ < 1:
            raise ModelFileError(f"the saved numbers feature has width = {self.width_}.")
        for name in self.arrays:
            shape = (2, self.width_) if name == "limits" else (self.width_,)
            dtype = torch.int64 if name == "outliers" else torch.float64
            setattr(self, f"{name}_", saved_array(tensors, name, shape, dtype))
        if not (self.deviation_ > 0).all():
            raise ModelFileError("the saved mean and deviation must be finite, and the deviation above 0.")
        valid = (self.missing_ >= 0) & (self.missing_ <= 1) & (self.rate_ >= 0) & (self.outliers_ >= 0)
        valid &= np.isin(self.unchanged_, (0, 1))
        if not (valid.all() and (self.limits_[0] <= self.limits_[1]).all()):
            raise ModelFileError(
                "the saved gaps and outliers of the numbers feature are invalid. Save the model again."
            )

    def describe(self) -> str:
        """One line: `numbers, 3 columns, scaled to mean 0 and deviation 1`, and what was missing or beyond limits."""
        columns = "1 column" if self.width_ == 1 else f"{self.width_} columns"
        parts = [f"numbers, {columns}", "scaled to mean 0 and deviation 1" if self.scale == "standard" else "as is"]
        if self.missing_.any():
            beside = [word for word, has in (("mask", self.has_mask_), ("gap", self.has_gap_)) if has]
            parts.append(f"{100 * self.missing_.mean():.3g} % missing, filled: {' + '.join([self.fill, *beside])}")
        if never := int((self.missing_ == 1).sum()):
            parts.append(f"{never} never observed")
        if unchanged := int(self.unchanged_.sum()):
            parts.append(f"{unchanged} never changed")
        if self.outliers != "keep" and self.outliers_.any():
            done = "clipped" if self.outliers == "clip" else "taken as missing"
            parts.append(f"{self.outliers_.sum()} outliers {done}")
        return ", ".join(parts)

    # ---- inside

    @property
    def _read(self) -> int:
        """The width of a step of the data, with the time stamp."""
        width: int = self.width_ + (self.times is not None)
        return width

    def _rows(self, value: Any, name: str) -> Array:
        """A chunk of a stream as a sequence."""
        array = read_one(value, Place(name, sequence=0))
        if array.ndim == 0 or (array.ndim == 1 and self._read > 1 and len(array)):
            return array.reshape(1, -1)
        return array

    def _clocked(self, values: Array, lengths: Array, name: str) -> Clocked:
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        if self.times is None:
            return Clocked(values, offsets, np.arange(len(values), dtype=np.float64) - np.repeat(offsets[:-1], lengths))
        if self.every is not None:
            return resampled(values, offsets, self.times, self.every, name)
        return taken_out(values, offsets, self.times, self.sort, name)

    def _ruled(self, steps: Clocked, name: str) -> Clocked:
        """Steps after the treatment of outliers, all values finite or missing."""
        values = treated(steps.values, self.limits_, self.outliers)
        check_finite(values, steps.offsets, name)
        return dataclasses.replace(steps, values=values)

    def _steps(self, steps: Clocked, name: str) -> Ragged:
        """The input of the network from steps that are finite or missing."""
        scaled, starts = self._in_range(steps, name), steps.starts
        missing, whole = np.isnan(scaled), scaled
        if missing.any():
            whole = filled(scaled, starts, steps.times, self.fill, self.filler_, int(self.season or 1))
        age = ages(~missing, starts, steps.times) if self.has_gap_ else missing
        return Ragged(torch.from_numpy(self._joined(whole, missing, age)), torch.from_numpy(steps.offsets))

    def _joined(self, whole: Array, missing: Array, age: Array) -> Array:
        """Values, mask and gaps concatenated, of one step or of many."""
        blocks = [whole.astype(np.float32)]
        if self.has_mask_:
            blocks.append((~missing).astype(np.float32))
        if self.has_gap_:
            blocks.append(np.minimum(age * self.rate_, LARGEST_SCALED).astype(np.float32))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=-1)

    def _in_range(self, steps: Clocked, name: str) -> Array:
        """The scaled numbers, NaN where missing and in columns without observations in training."""
        scaled = self._scaled(steps.values)
        if (self.missing_ == 1).any():
            scaled = np.where(self.missing_ == 1, np.nan, scaled)
        if self.unchanged_.any():
            scaled = np.where((self.unchanged_ == 1) & ~np.isnan(scaled), 0.0, scaled)
        if (large := np.argwhere(np.abs(scaled) > LARGEST_SCALED)).size:
            at, column = large[0]
            where = place(at, column, steps.offsets, self.width_, name)
            value = steps.values[at, column]
            what = f"is {value:g}, too large for float32 once scaled. "
            if self.scale == "none":
                raise DataError(what, "Use ", option("scale", "standard"), ", or divide.", at=where)
            raise DataError(what, "It is far from the training data.", at=where)
        return scaled

    def _scaled(self, values: Array) -> Array:
        if self.scale == "none":
            return values.copy()
        with np.errstate(over="ignore"):  # infinite results are refused, with their place
            # Halves, because the difference of two numbers near the limit of float64 would overflow.
            scaled: Array = (values * 0.5 - self.mean_ * 0.5) / (self.deviation_ * 0.5)
        return scaled

    def _kept(self) -> list[str]:
        """The names of the state of a stream."""
        kept = ["steps", "observed"] if self.has_gap_ or self.times is not None else []
        kept += ["time"] if self.times is not None else []
        kept += [] if self.fill in STILL else ["value"]
        return kept + (["season", "known"] + ["steps"] * ("steps" not in kept) if self.fill == "seasonal" else [])


def _statistics(values: Array, missing: Array) -> tuple[Array, Array, Array]:
    """Mean and deviation of the observed values of each column, without overflow; 0 and 1 without observations.

    Third, 1 where at least two values were observed and all are equal; else 0.
    """
    counts = len(values) - missing.sum(axis=0)
    low, high = np.where(missing, np.inf, values).min(axis=0), np.where(missing, -np.inf, values).max(axis=0)
    low, high = np.where(counts, low, 0.0), np.where(counts, high, 0.0)
    largest = np.maximum(np.maximum(np.abs(low), np.abs(high)), _SMALLEST)
    ratio = np.where(missing, 0.0, values / largest)
    average = ratio.sum(axis=0) / np.maximum(counts, 1)
    away = np.where(missing, 0.0, ratio - average)
    mean, deviation = average * largest, np.sqrt((away * away).sum(axis=0) / np.maximum(counts, 1)) * largest
    constant = (low == high) | (deviation < _SMALLEST)
    unchanged = ((low == high) & (counts > 1)).astype(np.float64)
    return np.where(constant, low, mean), np.where(constant, 1.0, deviation), unchanged


def _medians(values: Array, missing: Array) -> Array:
    """The median of the observed values of each column; 0 without observations."""
    columns = [column[~gone] * 0.5 for column, gone in zip(values.T, missing.T, strict=True)]
    return np.array([np.median(column) * 2.0 if len(column) else 0.0 for column in columns])
