"""Validation on the held-out ends of the series, and the calibration of intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.evaluation.metrics import mase, smape
from elman.tasks.forecast.conformal import Calibration, quantile_levels
from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.sampler import WindowSampler
from elman.tasks.forecast.data.scaling import beyond_rounding
from elman.tasks.forecast.data.windows import WindowedSeries, forecast_origins, values_after
from elman.tasks.forecast.dependence import dependence_of
from elman.tasks.forecast.direct import DirectForecast
from elman.tasks.forecast.recursive import RecursiveForecast

_Floats = NDArray[np.float64]


class Validation:
    """Forecasts of the last `steps` of each series, by the network as it is now.

    `direct`: what the network itself forecasts, which is all of the horizon unless `strategy` rolls it forward.
    """

    def __init__(
        self,
        direct: DirectForecast,
        strategy: DirectForecast | RecursiveForecast,
        panel: Panel,
        windowed: WindowedSeries,
        steps: NDArray[np.int64],
    ) -> None:
        self.direct, self.strategy, self.encoder = direct, strategy, direct.encoder
        self.panel, self.windowed = panel, windowed
        season = windowed.shape.season
        self.origins = forecast_origins(panel.lengths, strategy.horizon, steps, max(1, season))
        series, at = self.origins if strategy is direct else forecast_origins(panel.lengths, 1, steps, 1)
        self.truth = values_after(panel, series, at, windowed.horizon)
        if not np.isfinite(self.truth).any():  # nothing is held out, or all of it is missing
            series = at = torch.zeros(0, dtype=torch.int64)
        self.series, self.at = series, at
        self.naive = _naive_error(panel, season, panel.lengths - steps)

    def __len__(self) -> int:
        return len(self.at)

    @property
    def metric(self) -> str:
        """The metric that selects the epoch: MASE, or the loss where naive forecasts have no error."""
        return "mase" if (self.naive[self.series.numpy()] > 0).any() else "loss"

    def metrics(self, sampler: WindowSampler) -> dict[str, float]:
        """MASE, sMAPE and MAE of the median, and the loss of the training."""
        windowed, series, at, shape = self.windowed, self.series, self.at, self.windowed.shape
        hidden = self.encoder.hidden_in_chunk(windowed, series, at, max(shape.window, 2 * shape.season))
        made = self.direct.forecast_from(windowed, series, at, hidden)
        lowest = windowed.lowest[windowed.steps.offsets[series] + at].numpy()
        median = shape.inverse(made[..., made.shape[-1] // 2], lowest)
        there, truth = ~np.isnan(self.truth), self.truth
        return {
            "mase": mase(truth, median, self.naive[series.numpy()][:, None]),
            "smape": smape(truth[there], median[there]),
            "mae": float(np.abs(truth - median)[there].mean()),
            "loss": sampler.loss_of(torch.from_numpy(made), series, at),
        }

    @torch.no_grad()
    def calibrate(self, levels: Any) -> tuple[Calibration, float]:
        """The factors of the intervals, from forecasts of the whole horizon; the correlation of neighbouring errors."""
        (series, at), horizon = self.origins, self.strategy.horizon
        made = np.zeros((0, horizon, len(quantile_levels(levels))))
        if len(at):
            made = self.strategy.forecast_at(self.panel, self.windowed, series, at)
        place = (self.windowed.steps.offsets[series] + at)[:, None] + torch.arange(1, horizon + 1)
        truth, change = self.windowed.values[place].numpy(), self.windowed.error_scale()[series.numpy(), None]
        return Calibration.fit(levels, truth, made, change), dependence_of(truth, made)


def _naive_error(panel: Panel, season: int, lengths: NDArray[np.int64]) -> _Floats:
    """The mean error of the seasonal naive forecast in the first `lengths` steps of each series; NaN where unknown."""
    found = np.full(len(panel), np.nan)
    for i, (a, n) in enumerate(zip(panel.offsets[:-1], lengths, strict=True)):
        values = panel.values[a : a + n]
        errors = np.abs(values[season:] - values[:-season])
        if np.isfinite(errors).any():
            found[i] = beyond_rounding(np.array(np.nanmean(errors)), np.array(np.nanmean(np.abs(values)))).item()
    return found
