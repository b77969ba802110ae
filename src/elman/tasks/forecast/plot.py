"""A picture of forecasts: the end of each series, the median, the intervals, and true values where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.evaluation.plots import INK, literal, new_figure, plain_axes, png
from elman.tasks.forecast.data.time_grid import readable
from elman.tasks.forecast.model import ForecastModel
from elman.training.progress import note

_AHEAD, _TRUTH = "#1f5f8b", "#d55e00"
_Floats = NDArray[np.float64]


class Panel(NamedTuple):
    """What is drawn of a series: [past] and [horizon] steps one after the other in `when`."""

    name: str
    when: NDArray[Any]
    past: _Floats
    answers: _Floats  # [horizon, quantiles], the median in the middle
    truth: _Floats  # [horizon], NaN where unknown


def plot(model: ForecastModel, series: Any, future: Any, truth: Any = None) -> bytes | None:
    """A PNG of the ends of some `series`, a name or a list of them, and their forecasts; None: of the first six."""
    shape, horizon, ids = model.encoder.shape, model.horizon, model.state.ids
    names = ids[:6] if series is None else series if isinstance(series, list | tuple) else [series]
    place = {name: i for i, name in enumerate(ids)}
    if unknown := [name for name in names if name not in place]:
        raise DataError(f"series {unknown[0]!r} is not known; there are {', '.join(map(repr, list(place)[:8]))}.")
    if not names:
        raise DataError("series = [] names none. Leave it out for the first six.")
    state = model.state.take([place[name] for name in names])
    answers = model.forecast(state, future, horizon)
    past = shape.inverse(state.tail.observed(), state.tail.lowest)
    true = np.full(answers.shape[:2], np.nan)
    if truth is not None:
        true = model.read_truth(truth).window(state.ids, state.next, horizon).values.reshape(true.shape)
        if np.isnan(true).all():
            begin = readable(model.grid.shown(state.next[:1])[0])
            note(f"No true value to draw: the steps to come begin at {begin} for series {names[0]!r}.")
    most = min(state.tail.fills.shape[1], max(4 * horizon, 3 * shape.season))
    panels = []
    for i, name in enumerate(names):
        count = min(most, int(state.tail.steps[i]))
        when = model.grid.shown(state.next[i] + np.arange(-count, horizon))
        panels.append(Panel(str(name), when, past[i, -count:], answers[i], true[i]))
    return _draw(panels, sorted(model.calibration.factors, reverse=True), model.columns.target, model.columns.time)


def _draw(panels: Sequence[Panel], levels: Sequence[float], target: str, time: str) -> bytes | None:
    """A PNG with a panel for each series; `levels` of the intervals, the widest first.

    None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
    """
    across = 1 if len(panels) < 3 else 2
    down = -(-len(panels) // across)
    figure = new_figure(8.0 if across == 1 else 11.0, 2.0 + 2.3 * down)
    if figure is None:
        return None
    lines: dict[str, Any] = {}
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        lines |= {line.get_label(): line for line in _panel(axes, panel, levels)}
        axes.set_title(literal(panel.name), loc="left", fontsize=11, color=INK, fontweight="bold")
        axes.set_ylabel(literal(target), color=INK)
        axes.set_xlim(panel.when[0], panel.when[-1])
        if panel.when.dtype.kind == "M":
            _date_axis(axes)
        else:
            axes.set_xlabel(literal(time), color=INK)
    figure.legend(handles=list(lines.values()), loc="outside lower center", ncols=min(4, len(lines)), frameon=False)
    return png(figure)


def _date_axis(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _panel(axes: Any, panel: Panel, levels: Sequence[float]) -> list[Any]:
    begin, answers, past = len(panel.past), panel.answers, panel.past
    lines = list(axes.plot(panel.when[:begin], past, color=INK, linewidth=1.3, label="observed"))
    ahead, middle = panel.when[begin - 1 :], answers.shape[1] // 2
    joined = np.concatenate([np.full((1, answers.shape[1]), past[-1]), answers])
    for i, level in enumerate(levels):
        band = {"alpha": 0.16 + 0.12 * i, "color": _AHEAD, "lw": 0, "label": f"{level:g} % interval"}
        lines.append(axes.fill_between(ahead, joined[:, i], joined[:, -1 - i], **band))
    lines += axes.plot(ahead, joined[:, middle], color=_AHEAD, linewidth=1.8, label="forecast")
    if not np.isnan(panel.truth).all():
        alone = "." if len(panel.truth) == 1 else ""
        lines += axes.plot(ahead[1:], panel.truth, color=_TRUTH, linewidth=1.3, marker=alone, label="true values")
    axes.axvline(panel.when[begin - 1], color=INK, linestyle=":", linewidth=1)
    plain_axes(axes)
    return lines
