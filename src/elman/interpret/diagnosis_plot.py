"""The picture of a diagnosis: gradients by steps back, and histograms of gates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from elman.evaluation.plots import COLOURS, GREY, INK, literal, new_figure, plain_axes, png

_FLOOR = 1e-12  # of the logarithmic axis
_MOST = 6  # layers with histograms
_DASHED = (0, (4, 2))


class Curve(NamedTuple):
    """The gradient of one layer by steps back."""

    name: str
    back: Sequence[int]
    carried: Sequence[float]
    total: Sequence[float]
    reached: Sequence[int] = ()  # sequences with so many steps; (): unknown


def through_time(
    curves: Sequence[Curve], gates: Mapping[str, Mapping[str, tuple[str, Sequence[float]]]], title: str, words: str
) -> bytes | None:
    """Draws the gradient of each layer by steps back, and beside it the histograms of each layer's gates.

    `gates` has for each layer the kind and the shares of each gate. A curve is pale where less than a tenth of its
    sequences are so long. None, with a note on stderr, without matplotlib.

    >>> picture = through_time([Curve("layer 1", [1, 2], [1.0, 0.5], [1.0, 0.9])], {}, "A title", "healthy")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    shown = {name: bars for name, bars in gates.items() if bars}
    rows = min(len(shown), _MOST)
    figure = new_figure(12.0 if rows else 7.2, max(4.6, 1.9 * rows))
    if figure is None:
        return None
    grid = figure.add_gridspec(max(1, rows), 2 if rows else 1, width_ratios=[3, 2] if rows else [1])
    axes = figure.add_subplot(grid[:, 0])
    _draw_curves(axes, [visible(curve) for curve in curves])
    for row, (name, bars) in enumerate(list(shown.items())[:rows]):
        beside = figure.add_subplot(grid[row, 1])
        _draw_gates(beside, name, bars)
        if row == rows - 1:
            beside.set_xlabel("value", color=INK)
    figure.suptitle(literal(title), x=0.01, ha="left", fontsize=13, color=INK, fontweight="bold")
    axes.set_title(literal(_wrapped(words)), loc="left", fontsize=9.5, color=GREY)
    return png(figure)


def _draw_curves(axes: Any, curves: Sequence[Curve]) -> None:
    longest = max((curve.back[-1] for curve in curves if curve.back), default=1)
    several = any(any(total != one for one, total in zip(c.carried, c.total, strict=True)) for c in curves)
    few = False
    for curve, colour in zip(curves, COLOURS * len(curves), strict=False):
        style = {"color": colour, "linewidth": 1.9, "marker": "o" if len(curve.back) < 12 else "", "markersize": 4.0}
        dashed = {"color": colour, "linewidth": 1.1, "linestyle": _DASHED}
        end = few_from(curve)
        few = few or end < len(curve.back)
        for part, alpha in ((slice(0, end), 1.0), (slice(max(0, end - 1), None), 0.3)):
            label = literal(curve.name) if alpha == 1.0 else None
            axes.plot(curve.back[part], curve.carried[part], label=label, alpha=alpha, **style)
            if several:
                axes.plot(curve.back[part], curve.total[part], alpha=alpha, **dashed)
    for level, name in ((1 / math.e, "1/e"), (0.01, "1 %")):
        axes.axhline(level, color="#999999", linewidth=0.9, linestyle=":")
        axes.annotate(name, (1, level), (-4, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", fontsize=8.5, color=GREY)  # fmt: skip
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _FLOOR), max(high, 2.0))
    if longest > 200:
        axes.set_xscale("log")
    axes.set_xlim(1 if longest > 200 else 0, max(2, longest))
    axes.set_xlabel("steps back from the end", color=INK)
    axes.set_ylabel("size of the gradient (1: one step back)", color=INK)
    if several:
        name = "the same layer, from the whole loss" if len(curves) == 1 else "the same layers, from the whole loss"
        axes.plot([], [], color=GREY, linewidth=1.1, linestyle=_DASHED, label=name)
    if few:
        axes.plot([], [], color=GREY, linewidth=1.9, alpha=0.3, label="less than a tenth of the sequences is so long")
    axes.legend(frameon=False, fontsize=9, loc="best")
    plain_axes(axes)


def few_from(curve: Curve) -> int:
    """The index from which on less than a tenth of the sequences is so long."""
    least = 0.1 * max(curve.reached, default=0)
    return next((i for i, count in enumerate(curve.reached) if count < least), len(curve.back))


def visible(curve: Curve) -> Curve:
    """What a logarithmic axis can hold: up to the first cut where both gradients have left the picture below."""
    sizes = [max(pair) for pair in zip(curve.carried, curve.total, strict=True)]
    gone = next((i + 1 for i in range(len(sizes)) if max(sizes[i:]) < _FLOOR), len(sizes))
    carried, total = (
        [min(max(one, _FLOOR / 10), 1e30) for one in part[:gone]] for part in (curve.carried, curve.total)
    )
    return Curve(curve.name, curve.back[:gone], carried, total, curve.reached[:gone])


def _draw_gates(axes: Any, name: str, bars: Mapping[str, tuple[str, Sequence[float]]]) -> None:
    for (gate, (kind, shares)), colour in zip(bars.items(), COLOURS, strict=False):
        least = -1.0 if kind == "tanh" else 0.0
        edges = [least + (1 - least) * i / len(shares) for i in range(len(shares) + 1)]
        axes.stairs(shares, edges, color=colour, linewidth=1.6, label=literal(gate), fill=False)
    axes.set_title(literal(f"{name}: values of {', '.join(bars)}"), loc="left", fontsize=9.5, color=GREY)
    axes.set_xlim(-1.02 if any(kind == "tanh" for kind, _ in bars.values()) else -0.01, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("share", color=INK, fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
    plain_axes(axes)


def _wrapped(text: str, width: int = 88) -> str:
    lines = [""]
    for word in text.split():
        lines += [""] if len(lines[-1]) + len(word) > width else []
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
