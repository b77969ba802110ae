"""Features: one file for each kind of input, listed in `registry.py`; `infer` chooses one for a column.

`text.py` texts · `tokens.py` lists of tokens · `words.py` words with their letters · `numbers.py` series, signals
`images.py` films · `chords.py` music · `audio.py` sound

Static inputs: `category.py` · `number.py`. Several columns of different kinds: `columns.py`.
"""

from elman.features.audio import Sound
from elman.features.base import Feature, Static
from elman.features.category import Category
from elman.features.chords import Chords
from elman.features.columns import Columns, Inputs
from elman.features.images import Images
from elman.features.infer import infer
from elman.features.number import Number
from elman.features.numbers import Numbers
from elman.features.registry import FEATURES, STATICS
from elman.features.text import Text
from elman.features.tokens import Tokens
from elman.features.words import Words

__all__ = [
    "FEATURES",
    "STATICS",
    "Category",
    "Chords",
    "Columns",
    "Feature",
    "Images",
    "Inputs",
    "Number",
    "Numbers",
    "Sound",
    "Static",
    "Text",
    "Tokens",
    "Words",
    "infer",
]
