"""In-sample values: what the model forecasts at every step of a frame from the steps before it; anomalies among them.

    origins t = 0, h, 2 h ...      of each series, from its first value on
    y_{t+j}, j = 1 ... h           forecast from t; with h = 1 each value from the one before

The intervals are calibrated on forecasts of values that training did not see, so that a fraction 1 - level of ordinary
values lies outside; of the values of training somewhat fewer do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.errors import DataError, OptionError, Wording
from elman.tasks.forecast.data.panel import ranges
from elman.tasks.forecast.direct import DirectForecast
from elman.tasks.forecast.model import ForecastModel
from elman.validation.messages import shown
from elman.validation.options import is_whole

_ORIGINS = 1 << 13  # forecasts that are kept at once, at most


def in_sample(model: ForecastModel, frame: Any, horizon: int, level: Any = None) -> Any:
    """A row for each step but the first of each series: id, time, cutoff, the target, elman …

    With a `level` only its interval, and the column `anomaly`: whether the value lies outside; a missing one does
    not, and none within the first season of a series, which the model has no scale for yet.
    """
    if not is_whole(horizon) or horizon > model.horizon:
        what = f"must be a whole number from 1 to {model.horizon}, the horizon of the model."
        raise OptionError(f"horizon = {shown(horizon)} {what}")
    panel, grid, style = model.read_history(frame)
    counts = -(-(panel.lengths - 1) // horizon)
    if not counts.any():
        raise DataError("frame has no series of two steps or more, so nothing can be forecast from its own steps.")
    series = torch.from_numpy(np.repeat(np.arange(len(panel)), counts))
    at = torch.from_numpy(ranges(np.zeros(len(panel), np.int64), counts) * horizon)
    answers = _answers(model, panel, series, at, horizon)
    begin = panel.first[series.numpy()] + at.numpy()
    index = begin[:, None] + np.arange(1, horizon + 1)
    there = (index < (panel.first + panel.lengths)[series.numpy(), None]).reshape(-1)
    owner = np.repeat(series.numpy(), horizon)[there]
    place = (panel.offsets[series.numpy()] - panel.first[series.numpy()])[:, None] + index
    values, made = panel.values[place.reshape(-1)[there]], answers.reshape(index.size, -1)[there]
    columns: dict[str, Any] = {
        model.columns.id: [panel.ids[i] for i in owner.tolist()],
        model.columns.time: grid.stamps(index.reshape(-1)[there]),
        "cutoff": grid.stamps(np.repeat(begin, horizon)[there]),
        model.columns.target: values,
        **model.named(made),
    }
    if level is not None:
        read = np.repeat(at.numpy() + 1, horizon)[there]  # steps before the forecast
        columns = _flagged(model, columns, level, read > model.encoder.shape.season)
    return style.frame(columns, model.columns.id, [model.columns.time, "cutoff"])


def _answers(model: ForecastModel, panel: Any, series: Any, at: Any, horizon: int) -> NDArray[np.float64]:
    """Calibrated quantiles of so many steps after each origin."""
    windowed, strategy = model.encoder.windowed(panel), model.strategy
    lowest = windowed.lowest[windowed.steps.offsets[series] + at].numpy()
    if isinstance(strategy, DirectForecast):
        hidden = model.encoder.hidden_at(windowed, series, at)[0]
        parts = [slice(a, a + _ORIGINS) for a in range(0, len(at), _ORIGINS)]
        found = [
            strategy.forecast_from(windowed, series[part], at[part], [rows[part] for rows in hidden])[:, :horizon]
            for part in parts
        ]
        return model.finish(np.concatenate(found), lowest)
    return model.finish(replace(strategy, horizon=horizon).forecast_at(panel, windowed, series, at), lowest)


def _flagged(model: ForecastModel, columns: dict[str, Any], level: Any, settled: NDArray[np.bool_]) -> dict[str, Any]:
    levels = sorted(model.calibration.factors)
    if level not in levels:
        have = f"those learnt are {', '.join(f'{one:g}' for one in levels)}. Take one of them, or fit" if levels else ""
        what = f"level = {shown(level)}, but {have or 'no levels were learnt. Fit'} with "
        raise OptionError(what, Wording(f"levels=[{shown(level)}]", f"--levels {shown(level)}"))
    low, high, values = f"elman-lo-{level:g}", f"elman-hi-{level:g}", columns[model.columns.target]
    outside = (values < columns[low]) | (values > columns[high])
    others = {f"elman-{end}-{one:g}" for one in levels if one != level for end in ("lo", "hi")}
    return {name: part for name, part in columns.items() if name not in others} | {"anomaly": outside & settled}
