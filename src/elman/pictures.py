"""Pictures of what goes on inside a network, as the bytes of a PNG. They need matplotlib, the extra `plot`."""

from __future__ import annotations

import io
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Curve", "through_time"]

# Okabe & Ito's colours, told apart in every kind of colour blindness.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
_INK, _GREY = "#333333", "#666666"
_FLOOR = 1e-12  # of a logarithmic axis
_MOST = 6  # layers with histograms


class Curve(NamedTuple):
    """The gradient of one layer by steps back."""

    name: str
    back: Sequence[int]
    carried: Sequence[float]
    total: Sequence[float]


def through_time(
    curves: Sequence[Curve], gates: Mapping[str, Mapping[str, tuple[str, Sequence[float]]]], title: str, words: str
) -> bytes | None:
    """Draws the gradient of each layer by steps back, and beside it the histograms of each layer's gates.

    `gates` has for each layer the kind and the shares of each gate. None, with a note on stderr, without matplotlib.

    >>> picture = through_time([Curve("layer 1", [1, 2], [1.0, 0.5], [1.0, 0.9])], {}, "A title", "healthy")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    shown = {name: bars for name, bars in gates.items() if bars}
    rows = min(len(shown), _MOST)
    figure = _figure(12.0 if rows else 7.2, max(4.6, 1.9 * rows))
    if figure is None:
        return None
    grid = figure.add_gridspec(max(1, rows), 2 if rows else 1, width_ratios=[3, 2] if rows else [1])
    axes = figure.add_subplot(grid[:, 0])
    _draw_curves(axes, curves)
    for row, (name, bars) in enumerate(list(shown.items())[:rows]):
        beside = figure.add_subplot(grid[row, 1])
        _draw_gates(beside, name, bars)
        if row == rows - 1:
            beside.set_xlabel("value of the gate", color=_INK)
    figure.suptitle(_literal(title), x=0.01, ha="left", fontsize=13, color=_INK, fontweight="bold")
    axes.set_title(_literal(_wrapped(words)), loc="left", fontsize=9.5, color=_GREY)
    return _png(figure)


def _draw_curves(axes: Any, curves: Sequence[Curve]) -> None:
    longest = max((curve.back[-1] for curve in curves if curve.back), default=1)
    for curve, colour in zip(curves, _COLOURS * len(curves), strict=False):
        style = {"color": colour, "linewidth": 1.9, "marker": "o" if len(curve.back) < 12 else "", "markersize": 4.0}
        axes.plot(curve.back, _above_floor(curve.carried), label=_literal(curve.name), **style)
        axes.plot(curve.back, _above_floor(curve.total), color=colour, linewidth=1.1, linestyle=(0, (4, 2)))
    for level, name in ((1 / math.e, "1/e"), (0.01, "1 %")):
        axes.axhline(level, color="#999999", linewidth=0.9, linestyle=":")
        axes.annotate(name, (1, level), (-4, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", fontsize=8.5, color=_GREY)  # fmt: skip
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _FLOOR), max(high, 2.0))
    if longest > 200:
        axes.set_xscale("log")
    axes.set_xlabel("steps back from the end", color=_INK)
    axes.set_ylabel("size of the gradient (1: one step back)", color=_INK)
    axes.plot([], [], color=_GREY, linewidth=1.1, linestyle=(0, (4, 2)), label="of the whole loss")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    _plain(axes)


def _draw_gates(axes: Any, name: str, bars: Mapping[str, tuple[str, Sequence[float]]]) -> None:
    for (gate, (kind, shares)), colour in zip(bars.items(), _COLOURS, strict=False):
        least = -1.0 if kind == "tanh" else 0.0
        edges = [least + (1 - least) * i / len(shares) for i in range(len(shares) + 1)]
        axes.stairs(shares, edges, color=colour, linewidth=1.6, label=_literal(gate), fill=False)
    axes.set_title(_literal(name), loc="left", fontsize=9.5, color=_GREY)
    axes.set_xlim(-1.02 if any(kind == "tanh" for kind, _ in bars.values()) else -0.01, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("share", color=_INK, fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
    _plain(axes)


def _above_floor(sizes: Sequence[float]) -> list[float]:
    """Sizes that a logarithmic axis can hold: what is smaller leaves the picture at its lower edge."""
    return [min(max(size, _FLOOR / 10), 1e30) for size in sizes]


# -------------------------------------------------------------------------------------------------------------- paper


def _figure(width: float, height: float) -> Any:
    """An empty figure of so many inches; None, with a note, where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        if sys.stderr is not None:
            print("Nothing was drawn: matplotlib is missing. pip install 'elman[plot]' brings it.", file=sys.stderr)
        return None
    figure = Figure(
        figsize=(width, height), dpi=130, layout="constrained"
    )  # no pyplot: the caller's figures are not ours
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # Chinese is drawn as boxes
        figure.savefig(buffer, format="png", metadata={"Software": None})  # the same picture gives the same bytes
    return buffer.getvalue()


def _plain(axes: Any) -> None:
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _literal(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def _wrapped(text: str, width: int = 88) -> str:
    lines = [""]
    for word in text.split():
        lines += [""] if len(lines[-1]) + len(word) > width else []
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
