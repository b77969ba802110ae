"""Unicode: scripts without spaces between words, and normalisation.

    composed(text)  = NFC
    canonical(text) = the same without invisible characters, such as soft hyphens
    plain(text)     = the same with runs of white space as one space, stripped

Source: The Unicode Consortium. Unicode Standard Annexes 14 (line breaking, class SA) and 15 (normalisation forms).
"""

from __future__ import annotations

import re
import unicodedata

#: Scripts that set no spaces between words, as the inside of a character class: Thai, Lao, Tibetan, Myanmar, Khmer, Tai
#: Le, New Tai Lue, Tai Tham, Balinese, radicals, Kana, Bopomofo, Han, Yi, Javanese, Tai Viet, Ahom, Tangut.
UNSPACED_RANGES = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u19e0-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f"
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    "\ua980-\ua9ff\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f\U00011700-\U0001174f\U00016fe0-\U00018dff"
    "\U0001aff0-\U0001b2ff\U00020000-\U0003ffff"
)
UNSPACED = re.compile(f"[{UNSPACED_RANGES}]")
#: White space between two characters of such scripts.
GAP = re.compile(rf"(?<=[{UNSPACED_RANGES}])\s+(?=[{UNSPACED_RANGES}])")

#: Signs that nobody sees and that divide no word, as the inside of a character class: control characters but for white
#: space, soft hyphen, direction marks, word joiner, invisible operators, byte order mark. Not: zero-width space, which
#: divides words, the zero-width joiners, which shape letters and emoji, and the controls from U+0080 to U+009F, which
#: are dashes, quotes and dots of Windows-1252 that were decoded as Latin-1.
HIDDEN = (
    "\x00-\x08\x0e-\x1f\x7f\xad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
)
_HIDDEN = re.compile(f"[{HIDDEN}]")


def composed(text: str) -> str:
    """The text in Unicode normalisation form C: canonically equivalent texts become equal.

    >>> composed("cafe\\u0301") == "café"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def canonical(text: str) -> str:
    """The text composed and without invisible characters.

    >>> canonical("trans\\u00adlation")
    'translation'
    """
    return text if text.isascii() and text.isprintable() else unicodedata.normalize("NFC", _HIDDEN.sub("", text))


def plain(text: str) -> str:
    """The text normalised for comparison: composed, without invisible characters, with single spaces.

    >>> plain("un\\u00a0 cafe\\u0301\\n")
    'un café'
    """
    return " ".join(canonical(text).split())
