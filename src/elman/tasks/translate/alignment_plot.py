"""The picture of an alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elman.evaluation.plots import INK, literal, new_figure, png


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
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("source", color=INK)
    axes.set_ylabel("target", color=INK)
    axes.set_xticks([place + 0.5 for place in range(len(source))], minor=True)
    axes.set_yticks([place + 0.5 for place in range(len(target))], minor=True)
    axes.grid(which="minor", color="#e3e3e3", linewidth=0.8)
    axes.tick_params(length=0, which="both")
    if title:
        figure.suptitle(literal(title), x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")
    return png(figure)
