"""Which past values and which covariates decide a forecast: integrated gradients (interpret/attribution.py).

F is the median `horizon` steps ahead, or the mean of the medians of all steps, in units of the target, before bounds:

    F(e) = mean_j (l + s q_j)          of logarithms the exponential; l, s: level and scale at the end of the series

e is all that the networks read, the linear forecasters included: the scaled values of each step in the encoder and in
the window, covariates, the calendar, and what is known ahead. b is a complete series that lies at its level, with
covariates at their mean, categories unknown and no calendar; l, s and the ratio of scales stay as they are. So

    sum over all steps and columns = F(e) - F(b)

and what is attributed to a past value is what it changes beside the level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import OptionError
from elman.interpret.attribution import AttributionRequest, Explanation, Part, Saliency, explain
from elman.tasks.forecast.attribution_plot import shaded_past
from elman.tasks.forecast.data.panel import Panel
from elman.tasks.forecast.data.scaling import Shape
from elman.tasks.forecast.data.windows import WindowedSeries
from elman.tasks.forecast.model import ForecastModel
from elman.tasks.forecast.network import CategoryEmbedding
from elman.tasks.forecast.recursive import RecursiveForecast, steps_of
from elman.validation.messages import shown
from elman.validation.options import is_whole

_Units = dict[str, list[int]]
CALENDAR = "calendar"
_OF_VALUES = 3  # units of a step that hold values, before those of scale, missing values and, of logarithms, scale


@dataclass(frozen=True)
class ForecastSaliency(Saliency):
    """The attribution of the forecast of one series (`answer`): `columns` by name, the target's first."""

    target: str = "y"  # the column of values
    what: str = ""  # that is explained, in words

    def picture(self, title: str = "") -> bytes | None:
        """The end of the series shaded, its attributions by lag, and the sum of each column, as the bytes of a PNG.

        None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
        """
        title = title or f"{shown(self.answer)}: {self.what}"
        words = f"{self.target} {self.score:.4g}: {self.nothing:.4g} {self.baseline}"
        own = self.columns[self.target]
        totals = {name: float(column.steps.sum()) for name, column in self.columns.items()}
        return shaded_past(np.asarray(own.values), own.steps, totals, title, f"{words} {self.steps.sum():+.4g}")

    def to_html(self) -> str:
        """The picture."""
        from elman.validation import html

        return f"<p>{html.escape(str(self))}</p>{html.image(self.picture())}"

    @property
    def baseline(self) -> str:
        """The input that `nothing` is the score of, in words."""
        return "of a series at its level, with covariates at their mean"


class _Values(nn.Module):
    """The scaled values of a step, in the place of an input layer."""

    def forward(self, values: Tensor) -> Tensor:
        return values


def explain_forecast(model: ForecastModel, frame: Any, future: Any, horizon: int | None) -> Explanation:
    """The attribution of the forecast after the end of each series of a frame.

    Raises ``OptionError`` for a `horizon` that the networks do not forecast.
    """
    recursive = isinstance(model.strategy, RecursiveForecast)
    most = 1 if recursive else model.horizon
    if horizon is not None and not (is_whole(horizon) and horizon <= most):
        rule = "a recursive forecaster is explained for the next step" if recursive else "the horizon of the model"
        raise OptionError(f"horizon = {shown(horizon)} must be a whole number from 1 to {most}: {rule}.")
    panel = model.read_history(frame).panel
    windowed = model.encoder.windowed(panel)
    state = model.encoder.state(panel, windowed)
    coming = model.read_future(state, future, horizon or most)
    if coming is not None and recursive:
        coming = steps_of(coming, np.arange(len(panel)) * model.horizon)
    ahead = model.encoder.future_inputs(state, coming)
    found = explain(_request(model, panel, windowed, ahead, horizon))
    one_of = "the next step" if most == 1 else f"mean of the next {most} steps"
    what = one_of if horizon is None else f"{horizon} step{'s' * (horizon > 1)} ahead"
    return Explanation([_of_series(panel, i, one, model.columns.target, what) for i, one in enumerate(found)])


def _of_series(panel: Panel, i: int, one: Saliency, target: str, what: str) -> ForecastSaliency:
    """An attribution with the values of the series beside it."""
    steps = slice(panel.offsets[i], panel.offsets[i + 1])
    given = {target: panel.values, **panel.covariates}
    values = {name: column[steps] for name, column in given.items() if column.dtype != object}
    columns = {name: column._replace(values=values.get(name)) for name, column in one.columns.items()}
    kept = {f.name: getattr(one, f.name) for f in fields(one)} | {"columns": columns}
    return ForecastSaliency(**kept, target=target, what=what)


def _request(
    model: ForecastModel,
    panel: Panel,
    windowed: WindowedSeries,
    ahead: tuple[Tensor, Tensor] | None,
    horizon: int | None,
) -> AttributionRequest:
    networks, shape = list(model.encoder.network), model.encoder.shape
    readers = [_Values() for _ in networks]
    inputs: list[nn.Module] = []
    for network, reader in zip(networks, readers, strict=True):
        inputs += [network.embedding, reader, *([] if ahead is None else [network.embedding_ahead])]
    lengths = torch.from_numpy(panel.lengths.copy())
    last = windowed.steps.offsets[1:] - 1
    level, scale = windowed.level[last], windowed.scale[last]

    def score(series: Tensor) -> Tensor:
        steps, codes = windowed.cut(series, torch.zeros_like(series), lengths[series])
        values = _cut(windowed.fills, windowed.steps.offsets, series)
        values = ((values - _spread(level, series, lengths)) / _spread(scale, series, lengths)).float()
        known = None if ahead is None else (ahead[0][series], ahead[1][series])
        made = []
        for network, reader in zip(networks, readers, strict=True):
            hidden = network.encode(steps, codes)[0].values[steps.offsets[1:] - 1]
            windows = _windows(reader(values[:, None])[:, 0], steps.offsets, shape.window)
            made.append(network(windows, hidden, known).double())
        quantiles = torch.stack(made).mean(0).sort(-1).values
        median = level[series, None] + scale[series, None] * quantiles[..., quantiles.shape[-1] // 2]
        median = median.exp() if shape.log else median
        return median.mean(1) if horizon is None else median[:, horizon - 1]

    return AttributionRequest(
        inputs,
        lengths,
        score,
        list(_parts(model, panel, ahead is not None)),
        panel.ids,
        ensemble_size=len(networks),
        nothing=lambda layer, e: _nothing(layer, e, networks[0].embedding_ahead if ahead else None, shape, inputs),
    )


def _parts(model: ForecastModel, panel: Panel, has_ahead: bool) -> Iterator[Part]:
    """The target, then each covariate, the calendar, and both again as they are known ahead."""
    encoder, network = model.encoder, next(iter(model.encoder.network))
    covariates, width = encoder.covariates, encoder.shape.width
    groups = (covariates.past, covariates.future, covariates.static)
    lengths = torch.from_numpy(panel.lengths.copy())
    when = _stamps(model, panel.first, panel.lengths)
    yield Part(lengths, model.columns.target, 0, list(range(width)), when, beside=((1, slice(None)),))
    units = _units(*covariates.names(*groups), network.embedding, width, network.sizes.inputs)
    for name, own in units.items():
        if name in covariates.static:
            yield Part(torch.ones(len(panel), dtype=torch.int64), name, 0, own, [[name]] * len(panel), is_static=True)
            continue
        yield Part(lengths, name, 0, own, when)
    if has_ahead:
        horizon, numbers = encoder.horizon, network.sizes.inputs_ahead
        counts = torch.full((len(panel),), horizon)
        when = _stamps(model, panel.first + panel.lengths, counts.numpy())
        for name, own in _units(*covariates.names(covariates.future), network.embedding_ahead, 0, numbers).items():
            yield Part(counts, f"{name} ahead", 2, own, when)


def _units(names: Sequence[str], kinds: Sequence[str], layer: CategoryEmbedding, first: int, numbers: int) -> _Units:
    """The outputs of an input layer by column; those before `first` are the target's, what is left is the calendar."""
    made: _Units = {name: [first + i] for i, name in enumerate(names)}
    if calendar := list(range(first + len(names), numbers)):
        made[CALENDAR] = calendar
    ends = np.cumsum([numbers, *(len(unknown) for unknown in layer.unknown())]).tolist()
    return made | {name: list(range(a, b)) for name, (a, b) in zip(kinds, pairwise(ends), strict=True)}


def _nothing(layer: nn.Module, e: Tensor, ahead: nn.Module | None, shape: Shape, inputs: Sequence[nn.Module]) -> Tensor:
    """The baseline of an input layer: values at the level and not missing, categories unknown, 0 else."""
    made = torch.zeros_like(e)
    if not isinstance(layer, CategoryEmbedding):
        return made
    if layer in inputs[:: 2 if ahead is None else 3]:  # reads the steps of the series
        kept = [unit for unit in range(_OF_VALUES, shape.width) if unit not in (4, 5)]  # of scale
        made[..., kept] = e[..., kept]
        made[..., 4] = 1.0  # observed
    unknown = torch.cat([e.new_zeros(0), *layer.unknown()])
    made[..., e.shape[-1] - len(unknown) :] = unknown
    return made


def _stamps(model: ForecastModel, first: NDArray[np.int64], counts: NDArray[np.int64]) -> list[list[str]]:
    """The times of so many steps of each series, in words."""
    each = (map(str, model.grid.shown(np.arange(a, a + n))) for a, n in zip(first, counts, strict=True))
    return [[one.removesuffix(".000000").removesuffix(":00").removesuffix("T00:00") for one in some] for some in each]


def _cut(values: Tensor, offsets: Tensor, series: Tensor) -> Tensor:
    """The steps of some series one after the other."""
    return torch.cat([values[offsets[i] : offsets[i + 1]] for i in series.tolist()])


def _spread(of_series: Tensor, series: Tensor, lengths: Tensor) -> Tensor:
    return torch.repeat_interleave(of_series[series], lengths[series])


def _windows(values: Tensor, offsets: Tensor, window: int) -> Tensor:
    """The last values of each series, 0 before the first: [series, window]."""
    place = offsets[1:, None] + torch.arange(-window, 0)
    there = place >= offsets[:-1, None]
    return torch.where(there, values[place.clamp(min=0)], 0.0)
