"""A picture of what decides a forecast: the past shaded, its attribution by lag, and the sum of each column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from elman.evaluation.plots import GREY, INK, literal, new_figure, plain_axes, png

_FOR, _AGAINST = "#0072b2", "#e66600"  # told apart in every kind of colour blindness
_LEAST, _MOST = 24, 400  # steps that are drawn
_LEFT = 0.01  # of the attribution that the steps before those drawn may hold
_COLUMNS = 12
_Floats = NDArray[np.float64]


def shaded_past(
    values: _Floats, saliency: _Floats, totals: Mapping[str, float], title: str, below: str
) -> bytes | None:
    """The end of a series [steps] over its attribution [steps], as a PNG; `totals`: the attribution of each column.

    Steps count back from the first one forecast, which is 0; those before the first that matters are left out. None,
    with a note on stderr, where matplotlib (the extra `plot`) is missing.

    >>> picture = shaded_past(np.array([1.0, 3.0]), np.array([0.1, -0.9]), {"y": -0.8}, "s1", "score 2")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    figure = new_figure(10.0, 5.0)
    if figure is None:
        return None
    size = np.abs(saliency)
    late = np.cumsum(size) > _LEFT * size.sum()
    count = min(max(_LEAST, len(size) - int(late.argmax())), _MOST, len(size))
    lags, own = np.arange(-count, 0), saliency[-count:]
    parts = figure.subplot_mosaic([["past", "sums"], ["lags", "sums"]], width_ratios=[3, 1], height_ratios=[2, 1])
    strongest = float(np.abs(own).max(initial=0.0)) or 1.0
    for lag, value in zip(lags, own, strict=True):
        colour = _FOR if value > 0 else _AGAINST
        parts["past"].axvspan(lag - 0.5, lag + 0.5, color=colour, alpha=0.7 * abs(value) / strongest, linewidth=0)
    parts["past"].plot(lags, values.reshape(-1)[-count:], color=INK, linewidth=1.3, marker=".", markersize=3)
    parts["past"].set_ylabel("value", color=INK)
    parts["past"].sharex(parts["lags"])
    parts["lags"].bar(lags, own, width=1.0, color=np.where(own > 0, _FOR, _AGAINST))
    parts["lags"].axhline(0, color=INK, linewidth=0.6)
    parts["lags"].set_ylabel("attribution", color=INK)
    parts["lags"].set_xlabel("lag: steps before the first one forecast", color=INK)
    parts["lags"].set_xlim(-count - 0.5, 0)
    names = sorted(totals, key=lambda name: -abs(totals[name]))[:_COLUMNS][::-1]
    sums = np.array([totals[name] for name in names])
    parts["sums"].barh([literal(name) for name in names], sums, color=np.where(sums > 0, _FOR, _AGAINST))
    parts["sums"].axvline(0, color=INK, linewidth=0.6)
    parts["sums"].set_xlabel("sum of the column", color=INK)
    for axes in parts.values():
        plain_axes(axes)
    figure.suptitle(literal(title), fontsize=12, color=INK, fontweight="bold", x=0.01, ha="left")
    parts["past"].set_title(f"{literal(below)}; blue: higher, orange: lower", fontsize=9.5, color=GREY, loc="left")
    return png(figure)
