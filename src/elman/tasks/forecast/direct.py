"""Forecasts of all steps at once: the quantiles of the network as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.windows import MOST_BYTES, WindowedSeries
from elman.tasks.forecast.encoder import SeriesEncoder
from elman.tasks.forecast.state import SeriesState

_Floats = NDArray[np.float64]
_ROWS = 2048  # forecasts in a batch, at most


@dataclass(frozen=True)
class DirectForecast:
    """Quantiles of the next steps, logarithms where the network learnt them, before calibration."""

    encoder: SeriesEncoder

    @property
    def horizon(self) -> int:
        """How many steps ahead are forecast."""
        return self.encoder.horizon

    def forecast(self, state: SeriesState, future: Panel | None, count: int) -> _Floats:
        """Of `count` steps after the end of each series: [series, count, quantiles].

        `future` holds the future covariates of the network's horizon, series by series.
        """
        beyond = self.encoder.future_inputs(state, future)

        def quantiles(part: slice) -> _Floats:
            hidden, tail = [rows[part] for rows in state.hidden], state.tail[part]
            ahead = None if beyond is None else (beyond[0][part], beyond[1][part])
            windows = torch.from_numpy(tail.windows(self.encoder.shape))
            return self.encoder.network.quantiles(windows, hidden, ahead, tail.level, tail.scale)

        return self._in_batches(len(state.ids), quantiles)[:, :count]

    def forecast_at(self, panel: Panel, windowed: WindowedSeries, series: Tensor, at: Tensor) -> _Floats:
        """Of the horizon after steps `at` of some series of a panel: [rows, horizon, quantiles]."""
        return self.forecast_from(windowed, series, at, self.encoder.hidden_at(windowed, series, at)[0])

    def forecast_from(self, windowed: WindowedSeries, series: Tensor, at: Tensor, hidden: list[Tensor]) -> _Floats:
        """The same from given hidden states."""

        def quantiles(part: slice) -> _Floats:
            s, t = series[part], at[part]
            place = windowed.steps.offsets[s] + t
            level, scale = windowed.level[place].numpy(), windowed.scale[place].numpy()
            windows, ahead = windowed.windows(s, t), windowed.future_inputs(s, t)
            return self.encoder.network.quantiles(windows, [rows[part] for rows in hidden], ahead, level, scale)

        return self._in_batches(len(at), quantiles)

    def _in_batches(self, rows: int, quantiles: Callable[[slice], _Floats]) -> _Floats:
        """The quantiles of so many rows, of some at a time."""
        sizes = self.encoder.network.sizes
        made = np.zeros((rows, sizes.horizon, sizes.quantiles))
        each = max(1, min(_ROWS, MOST_BYTES // (8 * sizes.window)))
        for a in range(0, rows, each):
            made[a : a + each] = quantiles(slice(a, a + each))
        return made
