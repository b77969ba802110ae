"""Forecasts of all steps at once: the quantiles of the network as they are."""

from __future__ import annotations

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
        encoder, network = self.encoder, self.encoder.network
        made, rows_at_once = self._empty(len(state.ids)), self._rows_at_once
        beyond = encoder.future_inputs(state, future)
        for a in range(0, len(made), rows_at_once):
            part = slice(a, a + rows_at_once)
            hidden, tail = [rows[part] for rows in state.hidden], state.tail[part]
            ahead = None if beyond is None else (beyond[0][part], beyond[1][part])
            windows = torch.from_numpy(tail.windows(encoder.shape))
            made[part] = network.quantiles(windows, hidden, ahead, tail.level, tail.scale)
        return made[:, :count]

    def forecast_at(self, panel: Panel, windowed: WindowedSeries, series: Tensor, at: Tensor) -> _Floats:
        """Of the horizon after steps `at` of some series of a panel: [rows, horizon, quantiles]."""
        return self.forecast_from(windowed, series, at, self.encoder.hidden_at(windowed, series, at)[0])

    def forecast_from(self, windowed: WindowedSeries, series: Tensor, at: Tensor, hidden: list[Tensor]) -> _Floats:
        """The same from given hidden states."""
        made, rows_at_once = self._empty(len(at)), self._rows_at_once
        for a in range(0, len(at), rows_at_once):
            part = slice(a, a + rows_at_once)
            s, t = series[part], at[part]
            place = windowed.steps.offsets[s] + t
            level, scale = windowed.level[place].numpy(), windowed.scale[place].numpy()
            windows, ahead = windowed.windows(s, t), windowed.future_inputs(s, t)
            made[part] = self.encoder.network.quantiles(windows, [rows[part] for rows in hidden], ahead, level, scale)
        return made

    def _empty(self, rows: int) -> _Floats:
        sizes = self.encoder.network.sizes
        return np.zeros((rows, sizes.horizon, sizes.quantiles))

    @property
    def _rows_at_once(self) -> int:
        return max(1, min(_ROWS, MOST_BYTES // (8 * self.encoder.shape.window)))
