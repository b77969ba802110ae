"""The diagnosis request of a forecaster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from elman.errors import DataError
from elman.interpret.diagnose import DiagnosisRequest
from elman.layers.losses import pinball
from elman.tasks.forecast.data.sampler import quantiles_within
from elman.tasks.forecast.data.windows import observed_lengths, trimmed
from elman.tasks.forecast.model import ForecastModel


def diagnosis_request(
    model: ForecastModel, frame: Any, levels: list[float], options: Mapping[str, Any]
) -> DiagnosisRequest:
    """The networks, each series read up to its last step that a horizon follows, and the quantile loss there.

    The horizon ends with the last value of the series; what comes after it may be rows of future covariates. A series
    that is not longer than the horizon is left out.
    """
    encoder = model.encoder
    panel = trimmed(model.read(frame, "X", whole=False).panel, "X", model.columns.target)
    ends, quantiles = torch.from_numpy(observed_lengths(panel)), torch.tensor(levels)
    at = ends - encoder.horizon - 1
    if int(at.max()) < 0:
        i = int(ends.argmax())
        raise DataError(
            f"X: no series is longer than the {encoder.horizon} steps that are forecast; the longest, "
            f"{panel.ids[i]!r}, has {ends[i]} up to its last value. Give longer series."
        )
    windowed = encoder.windowed(panel)

    def loss(series: Tensor) -> Tensor:
        here, begin, rows = at[series], torch.zeros_like(series), torch.arange(len(series))
        targets = windowed.targets(series, here, ends)
        forecasts = quantiles_within(encoder.network, windowed, series, begin, here + 1, rows, here)
        losses = [
            pinball(one, truth, quantiles) for made in forecasts for one, truth in zip(made, targets, strict=True)
        ]
        return torch.stack(losses).view(-1, len(series)).sum(0)

    return DiagnosisRequest(encoder.network, (at + 1).clamp(min=0), loss, options)
