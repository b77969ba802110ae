"""Letters that matplotlib's own font lacks: drawn with an installed font, else said on stderr."""

import pytest

pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib (the extra plot) is missing")

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from elman.evaluation import plots
from elman.evaluation.fonts import use_installed_fonts

LACKING = "⌒"  # in STIX, which matplotlib brings, and not in DejaVu Sans
NOWHERE = "\U0002a6d6"  # the last letter of a block of rare Chinese, which no font here has


def figure(text):
    made = plots.new_figure(3.0, 2.0)
    made.suptitle(text)
    return made


def has_letter(path):
    return font_manager.get_font(path).get_char_index(ord(LACKING)) != 0


@pytest.fixture
def own_fonts(monkeypatch):
    """Only the fonts that matplotlib brings."""
    brought = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", brought)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)


@pytest.mark.parametrize("place", ["title", "tick", "legend", "text"])
def test_a_font_with_the_letter_is_found(own_fonts, place):
    made = plots.new_figure(3.0, 2.0)
    axes = made.add_subplot()
    axes.plot([0, 1], label=f"a {LACKING}" if place == "legend" else "a")
    if place == "title":
        axes.set_title(LACKING)
    if place == "tick":
        axes.set_xticks([0], [LACKING])
    if place == "text":
        axes.text(0, 0, LACKING, family="monospace")
    axes.legend()
    assert use_installed_fonts(made) == ""
    texts = made.findobj(lambda artist: isinstance(artist, Text) and LACKING in artist.get_text())
    assert texts
    for text in texts:
        families = text.get_fontfamily()
        assert families[0] in ("sans-serif", "monospace")
        assert any(has_letter(font_manager.findfont(font_manager.FontProperties(family=[one]))) for one in families)


def test_letters_that_no_font_has(own_fonts, capsys):
    assert use_installed_fonts(figure(f"a {NOWHERE}")) == NOWHERE
    assert plots.png(figure(f"a {NOWHERE} {LACKING}")).startswith(b"\x89PNG")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert repr(NOWHERE) in said
    assert "fonts-noto-cjk" in said
    plots.png(figure("naïve ± 3 µs"))
    assert capsys.readouterr().err == ""


def test_a_font_installed_later_is_found(own_fonts, monkeypatch):
    having = [entry for entry in font_manager.fontManager.ttflist if has_letter(entry.fname)]
    others = [entry for entry in font_manager.fontManager.ttflist if entry not in having]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", others)
    assert use_installed_fonts(figure(LACKING)) == LACKING
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [having[0].fname, "/no/such/font.ttf"])
    assert use_installed_fonts(figure(LACKING)) == ""


def test_text_without_special_letters_keeps_its_font():
    made = Figure()
    title = made.suptitle("a good film")
    use_installed_fonts(made)
    assert title.get_fontfamily() == ["sans-serif"]
