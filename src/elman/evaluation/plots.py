"""Pictures of what goes on inside a network, as the bytes of a PNG. They need matplotlib, the extra `plot`."""

from __future__ import annotations

import io
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Okabe & Ito's colours, told apart in every kind of colour blindness.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
INK, GREY = "#333333", "#666666"
_FLOOR = 1e-12  # of a logarithmic axis
_MOST = 6  # layers with histograms
_WORDS, _LETTERS = 400, 96  # words of a picture, letters of a line
_FOR, _AGAINST = (0.0, 0.447, 0.698), (0.902, 0.4, 0.0)


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
    figure = new_figure(12.0 if rows else 7.2, max(4.6, 1.9 * rows))
    if figure is None:
        return None
    grid = figure.add_gridspec(max(1, rows), 2 if rows else 1, width_ratios=[3, 2] if rows else [1])
    axes = figure.add_subplot(grid[:, 0])
    _draw_curves(axes, curves)
    for row, (name, bars) in enumerate(list(shown.items())[:rows]):
        beside = figure.add_subplot(grid[row, 1])
        _draw_gates(beside, name, bars)
        if row == rows - 1:
            beside.set_xlabel("value of the gate", color=INK)
    figure.suptitle(literal(title), x=0.01, ha="left", fontsize=13, color=INK, fontweight="bold")
    axes.set_title(literal(_wrapped(words)), loc="left", fontsize=9.5, color=GREY)
    return png(figure)


def _draw_curves(axes: Any, curves: Sequence[Curve]) -> None:
    longest = max((curve.back[-1] for curve in curves if curve.back), default=1)
    for curve, colour in zip(curves, COLOURS * len(curves), strict=False):
        style = {"color": colour, "linewidth": 1.9, "marker": "o" if len(curve.back) < 12 else "", "markersize": 4.0}
        axes.plot(curve.back, _above_floor(curve.carried), label=literal(curve.name), **style)
        axes.plot(curve.back, _above_floor(curve.total), color=colour, linewidth=1.1, linestyle=(0, (4, 2)))
    for level, name in ((1 / math.e, "1/e"), (0.01, "1 %")):
        axes.axhline(level, color="#999999", linewidth=0.9, linestyle=":")
        axes.annotate(name, (1, level), (-4, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", fontsize=8.5, color=GREY)  # fmt: skip
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _FLOOR), max(high, 2.0))
    if longest > 200:
        axes.set_xscale("log")
    axes.set_xlabel("steps back from the end", color=INK)
    axes.set_ylabel("size of the gradient (1: one step back)", color=INK)
    axes.plot([], [], color=GREY, linewidth=1.1, linestyle=(0, (4, 2)), label="of the whole loss")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    plain_axes(axes)


def _draw_gates(axes: Any, name: str, bars: Mapping[str, tuple[str, Sequence[float]]]) -> None:
    for (gate, (kind, shares)), colour in zip(bars.items(), COLOURS, strict=False):
        least = -1.0 if kind == "tanh" else 0.0
        edges = [least + (1 - least) * i / len(shares) for i in range(len(shares) + 1)]
        axes.stairs(shares, edges, color=colour, linewidth=1.6, label=literal(gate), fill=False)
    axes.set_title(literal(name), loc="left", fontsize=9.5, color=GREY)
    axes.set_xlim(-1.02 if any(kind == "tanh" for kind, _ in bars.values()) else -0.01, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("share", color=INK, fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
    plain_axes(axes)


def shaded_words(words: Sequence[str], saliency: Sequence[float], title: str, below: str) -> bytes | None:
    """Draws a text, each word shaded by how much it spoke for (blue) or against (orange) the answer.

    At most 400 words are drawn. None, with a note on stderr, without matplotlib.

    >>> picture = shaded_words(["a", "good", "film"], [0.0, 0.9, -0.1], "Why 'good'", "score +1")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    lines = _lines(words[:_WORDS])
    figure = new_figure(8.4, 1.5 + 0.3 * max(1, len(lines)), layout=None)
    if figure is None:
        return None
    axes = figure.add_axes((0.02, 0.05, 0.96, 0.95 - 0.85 / figure.get_figheight()))
    axes.set_xlim(0, _LETTERS)
    axes.set_ylim(max(1, len(lines)) + 0.6, -0.6)
    axes.axis("off")
    strongest, colours = _shades(saliency)
    for row, line in enumerate(lines):
        for place, index in line:
            box = {"facecolor": colours[index], "edgecolor": "none", "pad": 2.2}
            axes.text(
                place, row, literal(words[index]), fontsize=9.5, family="monospace", color=INK, bbox=box, va="center"
            )
    more = f", {len(words) - _WORDS} more words" if len(words) > _WORDS else ""
    axes.text(
        0,
        max(1, len(lines)) + 0.3,
        f"blue: for, orange: against; strongest {strongest:.3g}{more}",
        fontsize=8.5,
        color=GREY,
    )
    _headed(figure, title, below)
    return png(figure)


def shaded_series(values: Any, saliency: Sequence[float], title: str, below: str) -> bytes | None:
    """Draws a series `values` [steps] or [steps, width], each step shaded as `shaded_words` shades words.

    None, with a note on stderr, without matplotlib.

    >>> picture = shaded_series([1.0, 3.0, 2.0], [0.0, 0.9, -0.1], "Why 'up'", "score +1")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    figure = new_figure(9.0, 4.4, layout=None)
    if figure is None:
        return None
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    figure.subplots_adjust(left=0.09, right=0.985, top=0.84, bottom=0.11, hspace=0.12)
    steps = range(len(saliency))
    for step, colour in zip(steps, _shades(saliency)[1], strict=True):
        if colour[3] > 0.01:
            top.axvspan(step - 0.5, step + 0.5, color=colour, linewidth=0)
    if len(saliency):
        top.plot(list(steps), values, color=INK if _flat(values) else None, linewidth=1.3)
    low.bar(list(steps), list(saliency), width=1.0, color=[_FOR if s > 0 else _AGAINST for s in saliency])
    top.set_ylabel("value", color=INK)
    low.set_ylabel("saliency", color=INK)
    low.set_xlabel("step", color=INK)
    for axes in (top, low):
        plain_axes(axes)
    _headed(figure, title, f"{below}; blue: for, orange: against")
    return png(figure)


def aligned(source: Sequence[str], target: Sequence[str], shares: Any, title: str) -> bytes | None:
    """Draws `shares` [target, source] as a grid, the darker the more, the symbols beside it.

    None, with a note on stderr, without matplotlib.

    >>> picture = aligned(["a", "cat"], ["un", "chat"], [[0.9, 0.1], [0.2, 0.8]], "A cat")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    figure = new_figure(1.8 + 0.36 * max(4, len(source)), 1.4 + 0.3 * max(3, len(target)))
    if figure is None:
        return None
    axes = figure.add_subplot()
    if len(source) and len(target):
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(len(source)), [literal(word) for word in source], rotation=60, ha="left", fontsize=9)
    axes.set_yticks(range(len(target)), [literal(word) for word in target], fontsize=9)
    axes.xaxis.tick_top()
    axes.set_xticks([place + 0.5 for place in range(len(source))], minor=True)
    axes.set_yticks([place + 0.5 for place in range(len(target))], minor=True)
    axes.grid(which="minor", color="#e3e3e3", linewidth=0.8)
    axes.tick_params(length=0, which="both")
    if title:
        figure.suptitle(literal(title), x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")
    return png(figure)


def _shades(saliency: Sequence[float]) -> tuple[float, list[tuple[float, ...]]]:
    """The largest saliency, and the colour of each with its opacity."""
    strongest = max(map(abs, saliency), default=0.0) or 1.0
    return strongest, [(*(_FOR if s > 0 else _AGAINST), 0.75 * min(1.0, abs(s) / strongest)) for s in saliency]


def _flat(values: Any) -> bool:
    shape: tuple[int, ...] = getattr(values, "shape", (len(values),))
    return len(shape) == 1 or shape[1] == 1


def _lines(words: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Where each word stands: lines of (column, index of the word). A letter of Chinese takes two columns."""
    lines: list[list[tuple[int, int]]] = [[]]
    column = 0
    for index, word in enumerate(words):
        width = sum(2 if ord(letter) > 0x2E80 else 1 for letter in word) + 1
        if column + width > _LETTERS and lines[-1]:
            lines.append([])
            column = 0
        lines[-1].append((column, index))
        column += width
    return lines


def _headed(figure: Any, title: str, below: str) -> None:
    height = figure.get_figheight()
    figure.text(0.02, 1 - 0.14 / height, literal(title), fontsize=12, color=INK, fontweight="bold", va="top")
    figure.text(0.02, 1 - 0.42 / height, literal(below), fontsize=9.5, color=GREY, va="top")


def _above_floor(sizes: Sequence[float]) -> list[float]:
    """Sizes that a logarithmic axis can hold: what is smaller leaves the picture at its lower edge."""
    return [min(max(size, _FLOOR / 10), 1e30) for size in sizes]


# -------------------------------------------------------------------------------------------------------------- paper


def new_figure(width: float, height: float, layout: Any = "constrained") -> Any:
    """An empty figure of so many inches; None, with a note on stderr, without matplotlib (the extra `plot`)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        if sys.stderr is not None:
            print("Nothing was drawn: matplotlib is missing. pip install 'elman[plot]' brings it.", file=sys.stderr)
        return None
    figure = Figure(figsize=(width, height), dpi=130, layout=layout)  # no pyplot: the caller's figures are not ours
    FigureCanvasAgg(figure)
    return figure


def png(figure: Any) -> bytes:
    """The figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # Chinese is drawn as boxes
        figure.savefig(buffer, format="png", metadata={"Software": None})  # the same picture gives the same bytes
    return buffer.getvalue()


def plain_axes(axes: Any) -> None:
    """A light grid, no frame at the top and on the right."""
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def literal(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def _wrapped(text: str, width: int = 88) -> str:
    lines = [""]
    for word in text.split():
        lines += [""] if len(lines[-1]) + len(word) > width else []
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
