"""A picture of forecasts: the end of each series, the median and the widest interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.evaluation.plots import INK, literal, plain_axes, png
from elman.tasks.forecast.model import ForecastModel
from elman.training.progress import note

_AHEAD = "#1f5f8b"


def plot(model: ForecastModel, series: Any, future: Any) -> bytes | None:
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
    most = min(state.tail.fills.shape[1], max(4 * horizon, 3 * shape.season))
    panels = []
    for i, name in enumerate(names):
        count = min(most, int(state.tail.steps[i]))
        when = model.grid.shown(state.next[i] + np.arange(-count, horizon))
        panels.append((str(name), when, past[i, -count:], answers[i]))
    widest = max(model.calibration.factors, default=None)
    return _draw(panels, "" if widest is None else f"{widest:g} % interval")


def _draw(panels: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]], band: str = "") -> bytes | None:
    """A PNG with a panel for each series: its name, time stamps, past [steps], answers [horizon, quantiles].

    The median stands in the middle of the quantiles, the interval drawn is the widest; `band` names it. None, with a
    note on stderr, where matplotlib (the extra `plot`) is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError:
        note("No forecast was drawn: matplotlib is missing. pip install 'elman[plot]' brings it.")
        return None
    across = 1 if len(panels) < 3 else 2
    down = -(-len(panels) // across)
    figure = Figure(figsize=(8.0 if across == 1 else 11.0, 2.0 + 2.3 * down), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    lines: list[Any] = []
    for i, (name, when, past, answers) in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        lines = _panel(axes, when, past, answers, band)
        axes.set_title(literal(name), loc="left", fontsize=11, color=INK, fontweight="bold")
        if when.dtype.kind == "M":
            locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, fontsize=9)
    return png(figure)


def _panel(axes: Any, when: Any, past: Any, answers: Any, band: str) -> list[Any]:
    begin = len(past)
    lines = list(axes.plot(when[:begin], past, color=INK, linewidth=1.3, label="series"))
    ahead, middle = when[begin - 1 :], answers.shape[1] // 2
    joined = np.concatenate([np.full((1, answers.shape[1]), past[-1]), answers])
    lines += axes.plot(ahead, joined[:, middle], color=_AHEAD, linewidth=1.8, label="forecast")
    if answers.shape[1] > 1:
        lines.append(axes.fill_between(ahead, joined[:, 0], joined[:, -1], color=_AHEAD, alpha=0.2, lw=0, label=band))
    axes.axvline(when[begin - 1], color=INK, linestyle=":", linewidth=1)
    plain_axes(axes)
    return lines
