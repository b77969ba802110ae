"""What all pictures are drawn with. They need matplotlib, the extra `plot`, and come as the bytes of a PNG."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from typing import Any

from elman.evaluation.fonts import use_installed_fonts

# Okabe & Ito's colours, told apart in every kind of colour blindness.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
INK, GREY = "#333333", "#666666"
_INSTALL = "Install a font with these letters, such as the package fonts-noto-cjk for Chinese, Japanese and Korean."


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
    """The figure as the bytes of a PNG; with a note on stderr if it has letters that no installed font can draw."""
    boxes = use_installed_fonts(figure)
    if boxes and sys.stderr is not None:
        print(f"No installed font has {boxes[:8]!r}: drawn as boxes. {_INSTALL}", file=sys.stderr)
    buffer = io.BytesIO()
    fonts = logging.getLogger("matplotlib.font_manager")  # says that a font has no bold letters, once for each title
    level = fonts.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        try:
            fonts.setLevel(logging.ERROR)
            figure.savefig(buffer, format="png", metadata={"Software": None})  # the same picture gives the same bytes
        finally:
            fonts.setLevel(level)
    return buffer.getvalue()


def plain_axes(axes: Any) -> None:
    """A light grid, no frame at the top and on the right."""
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def literal(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
