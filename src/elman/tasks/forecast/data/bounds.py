"""Bounds of forecasts: least and largest values, and whole numbers.

    y' = min(max(y, minimum), maximum);  of whole numbers the median rounded, lower ends down and upper ends up

Both are monotone, so quantiles keep their order; and true values that keep the bounds are covered as often as before,
or more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """What forecasts are held to.

    >>> Bounds(minimum=0, integer=True).apply(np.array([[-1.3, 0.4, 2.2]])).tolist()
    [[0.0, 0.0, 3.0]]
    """

    minimum: float | None = None
    maximum: float | None = None
    integer: bool = False

    def apply(self, quantiles: _Floats) -> _Floats:
        """Quantiles [..., quantiles], ascending, the median in the middle, within the bounds."""
        if self.integer:
            middle = quantiles.shape[-1] // 2
            low, median, high = np.split(quantiles, [middle, middle + 1], axis=-1)
            quantiles = np.concatenate([np.floor(low), np.rint(median), np.ceil(high)], axis=-1) + 0.0
        return self._clipped(quantiles)

    def hold(self, values: _Floats) -> _Floats:
        """Single values within the bounds, rounded to whole numbers if so chosen."""
        return self._clipped(np.rint(values) + 0.0 if self.integer else values)

    def _clipped(self, values: _Floats) -> _Floats:
        if self.minimum is None and self.maximum is None:
            return values
        return np.clip(values, self.minimum, self.maximum)

    def whole(self, quantiles: _Floats, shares: _Floats) -> _Floats:
        """Quantiles [..., shares] interpolated between those within the bounds: whole numbers again, if asked for.

        >>> Bounds(integer=True).whole(np.array([[9.6, 10.5, 11.2]]), np.array([0.2, 0.5, 0.8])).tolist()
        [[9.0, 10.0, 12.0]]
        """
        if not self.integer:
            return quantiles
        inner = np.where(shares > 0.5, np.ceil(quantiles), np.rint(quantiles))
        return np.where(shares < 0.5, np.floor(quantiles), inner) + 0.0


UNBOUNDED = Bounds()
