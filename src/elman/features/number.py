"""Numeric static inputs: an age, a price, the size of a shop; they may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, Place
from elman.features.arrays import center_and_spread
from elman.features.base import LARGEST_SCALED, Static, checked
from elman.features.lists import listed
from elman.features.numbers import Values
from elman.validation.columns import is_missing
from elman.validation.messages import seen


class Number(Static):
    """One number per sequence, standardised over the training data; missing ones become the mean.

    ```
    row = (x - mean) / deviation, 1          where x is known
          0, 0                               where it is missing
    ```

    The second number exists only if values were missing in training. A number that was constant in training stays 0.
    Raises `DataError` naming the place for texts and infinities.

    >>> Number().fit([1, 3, None]).transform([5, None])
    tensor([[3., 1.],
            [0., 0.]])
    """

    kind: ClassVar[str] = "number"

    def fit(self, column: Any, *, name: str = "X") -> Self:
        """Learns mean and deviation of the known values; 0 and 1 without any."""
        values = _values(column, name)
        self.missing_ = bool(np.isnan(values).any())
        self.mean_, self.deviation_ = center_and_spread(values)
        known = values[~np.isnan(values)]
        self.unchanged_ = len(known) > 1 and bool(known.min() == known.max())
        return self

    def transform(self, column: Any, *, name: str = "X") -> Tensor:
        """A row for each sequence: float32 [sequences, 1], or 2 if values were missing in training."""
        values = _values(column, name)
        known = ~np.isnan(values)
        with np.errstate(over="ignore"):  # refused in the next line
            varies = known & (not self.unchanged_)
            scaled = np.where(varies, (values * 0.5 - self.mean_ * 0.5) / (self.deviation_ * 0.5), 0.0)
        if (far := np.flatnonzero(~(np.abs(scaled) <= LARGEST_SCALED))).size:
            raise DataError(f"is {values[far[0]]:g}, too far from the training data.", at=Place(name, sequence=far[0]))
        rows = np.stack([scaled, known], axis=1) if self.missing_ else scaled[:, None]
        return torch.from_numpy(rows.astype(np.float32))

    def module(self) -> nn.Module:
        """The rows as they are."""
        return Values(2 if self.missing_ else 1)

    def config(self) -> dict[str, Any]:
        """Mean, deviation, whether any was missing, and whether all were equal."""
        learnt = {"mean": self.mean_, "deviation": self.deviation_}
        return learnt | {"missing": self.missing_, "unchanged": self.unchanged_}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The saved feature."""
        made = cls()
        made.mean_, made.deviation_ = (float(checked(config, k, (float, int), cls.kind)) for k in ("mean", "deviation"))
        made.missing_, made.unchanged_ = (checked(config, key, bool, cls.kind) for key in ("missing", "unchanged"))
        if not (np.isfinite([made.mean_, made.deviation_]).all() and made.deviation_ > 0):
            raise ModelFileError("the saved number feature must have a finite mean, and a deviation above 0.")
        return made

    def describe(self) -> str:
        """One line: `number, 35.2 ± 9.1, some missing`, or `number, 5, never changed`."""
        spread = ", never changed" if self.unchanged_ else f" ± {self.deviation_:.4g}"
        return f"number, {self.mean_:.4g}{spread}" + (", some missing" if self.missing_ else "")


def _values(column: Any, name: str) -> NDArray[np.float64]:
    """The numbers as float64, NaN where missing."""
    return np.array([_value(value, i, name) for i, value in enumerate(listed(column, name))], dtype=np.float64)


def _value(value: Any, i: int, name: str) -> float:
    if is_missing(value) or value is np.ma.masked:
        return float("nan")
    if isinstance(value, str | bytes) or not hasattr(value, "__float__") or isinstance(value, complex):
        raise DataError(f"is {seen(value)}, where a number was expected.", at=Place(name, sequence=i))
    if not np.isfinite(number := float(value)):
        raise DataError(f"is {number}. Write NaN if it is unknown.", at=Place(name, sequence=i))
    return number
