"""Fonts for the text of a picture: an installed font for each script that matplotlib's own font lacks.

matplotlib draws with DejaVu Sans, which has no Chinese, Japanese, Korean or Indian letters, and shows each as a box.
Its texts take a list of fonts, of which each letter is drawn with the first that has it.
"""

from __future__ import annotations

from typing import Any

# Taken before others that have as many of the letters: fonts for screens, of one weight and both Chinese scripts.
_PREFERRED = ("noto sans", "source han sans", "wenquanyi", "microsoft yahei", "pingfang", "hiragino", "simhei")
_NO_FONT = ("last resort", "lastresort", "noto color emoji", "apple color emoji")  # boxes, and what Agg cannot draw


def use_installed_fonts(figure: Any) -> str:
    """Gives every text of the figure the fonts that its letters need; the letters that no installed font has.

    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> _ = figure.suptitle("naïve")
    >>> use_installed_fonts(figure)
    ''
    """
    from matplotlib.text import Text

    for axes in figure.axes:  # labels of ticks get their text when they are drawn, or here
        axes.get_xticklabels(), axes.get_yticklabels()
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and not artist.get_text().isascii())
    if any(map(_complete, texts)):
        _find_new_fonts()
    return "".join(sorted(set().union(*map(_complete, texts))))


def _complete(text: Any) -> set[str]:
    """Adds the fonts that a text needs to its own; the letters that none has."""
    from matplotlib.font_manager import FontProperties, findfont

    families = text.get_fontfamily()
    own = [findfont(FontProperties(family=[family])) for family in families]
    letters = {letter for letter in text.get_text() if letter.isprintable() and not letter.isspace()}
    missing = {letter for letter in letters if not any(_has(font, letter) for font in own)}
    while missing and (best := _best_font(missing)) is not None:
        families = [*families, best.name]
        missing = {letter for letter in missing if not _has(best.fname, letter)}
    text.set_fontfamily(families)
    return missing


def _best_font(letters: set[str]) -> Any:
    """The installed font with the most of the letters; None: no font has any."""
    from matplotlib.font_manager import fontManager

    def rank(entry: Any) -> tuple[int, bool, bool, int]:
        has = sum(_has(entry.fname, letter) for letter in letters)
        regular = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular")
        return has, entry.name.lower().startswith(_PREFERRED), regular, -len(entry.name)

    usable = [entry for entry in fontManager.ttflist if not entry.name.lower().startswith(_NO_FONT)]
    best = max(usable, key=rank, default=None)
    return best if best is not None and rank(best)[0] else None


def _find_new_fonts() -> None:
    """Adds the fonts that were installed since matplotlib wrote its list of them, which it keeps in a cache."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError, NotImplementedError):  # not a font that matplotlib can draw with
            continue


def _has(path: str, letter: str) -> bool:
    from matplotlib.font_manager import get_font

    try:
        return get_font(path).get_char_index(ord(letter)) != 0
    except (OSError, RuntimeError):  # in matplotlib's list, but deleted or damaged since
        return False
