"""Pictures of attributions: words, series and maps whose steps are shaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.evaluation.plots import COLOURS, GREY, INK, literal, new_figure, plain_axes, png

_WORDS, _LETTERS = 400, 96  # words of a picture, letters of a line
_LINES = 6  # numbers in a step that are drawn as lines
_FOR, _AGAINST = (0.0, 0.447, 0.698), (0.902, 0.4, 0.0)


def shaded_words(words: Sequence[str], saliency: Sequence[float], title: str, below: str) -> bytes | None:
    """Draws a text, each word shaded by how much it spoke for (blue) or against (orange) the answer.

    At most 400 words are drawn. None, with a note on stderr, without matplotlib.

    >>> picture = shaded_words(["a", "good", "film"], [0.0, 0.9, -0.1], "Why 'good'", "score +1")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    lines = _lines(words[:_WORDS])
    figure = new_figure(8.4, 1.2 + 0.3 * max(1, len(lines)), layout=None)
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


def shaded_series(
    values: Any, saliency: Sequence[float], title: str, below: str, step: tuple[float, str] = (1.0, "step")
) -> bytes | None:
    """Draws a series `values` [steps] or [steps, width] over its saliency: lines shaded as words are, a map of many.

    `step` is the length of a step and its unit. None, with a note on stderr, without matplotlib.

    >>> picture = shaded_series([1.0, 3.0, 2.0], [0.0, 0.9, -0.1], "Why 'up'", "score +1")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    figure = new_figure(9.0, 4.4, layout=None)
    if figure is None:
        return None
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    figure.subplots_adjust(left=0.09, right=0.985, top=0.84, bottom=0.11, hspace=0.12)
    length, unit = step
    table = np.asarray(values, dtype=float).reshape(len(saliency), -1 if len(saliency) else 1)
    places = length * np.arange(len(saliency))
    if table.shape[1] > _LINES:
        _draw_map(top, table, length)
    else:
        _draw_lines(top, table, saliency, places, length)
    low.bar(places, list(saliency), width=length, color=[_FOR if s > 0 else _AGAINST for s in saliency])
    low.axhline(0, color=INK, linewidth=0.6)
    low.set_ylabel("saliency", color=INK)
    low.set_xlabel(unit, color=INK)
    if len(saliency):
        low.set_xlim(-length / 2, length * (len(saliency) - 0.5))
    plain_axes(low)
    _headed(figure, title, f"{below}; blue: for, orange: against")
    return png(figure)


def _draw_lines(axes: Any, table: Any, saliency: Sequence[float], places: Any, length: float) -> None:
    for place, colour in zip(places, _shades(saliency)[1], strict=True):
        if colour[3] > 0.01:
            axes.axvspan(place - length / 2, place + length / 2, color=colour, linewidth=0)
    if len(table):
        for column, line in zip(table.T, (INK, *COLOURS), strict=False):
            axes.plot(places, column, color=line, linewidth=1.3)
    axes.set_ylabel("value", color=INK)
    plain_axes(axes)


def _draw_map(axes: Any, table: Any, length: float) -> None:
    """A row for each number of a step, the first at the bottom, the darker the larger."""
    edges = (-length / 2, length * (len(table) - 0.5), -0.5, table.shape[1] - 0.5)
    axes.imshow(table.T, aspect="auto", origin="lower", cmap="Greys", extent=edges, interpolation="nearest")
    axes.set_ylabel("number in the step", color=INK)


def _shades(saliency: Sequence[float]) -> tuple[float, list[tuple[float, ...]]]:
    """The largest saliency, and the colour of each with its opacity."""
    strongest = max(map(abs, saliency), default=0.0) or 1.0
    return strongest, [(*(_FOR if s > 0 else _AGAINST), 0.75 * min(1.0, abs(s) / strongest)) for s in saliency]


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
