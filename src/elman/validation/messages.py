"""Values as error messages show them."""

import difflib
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from elman.validation.columns import is_missing


def shown(value: Any, limit: int = 40) -> str:
    """A value for an error message: its repr, cut when long.

    >>> shown("a" * 100, 10)
    "'aaaaaa..."
    """
    try:
        text = " ".join(repr(value[:limit] if isinstance(value, str | bytes) else value).split())
    except ValueError:  # a whole number of thousands of digits
        return f"a whole number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def seen(value: Any) -> str:
    """What a value is, for an error message.

    >>> seen(None), seen({}), seen(2.5)
    ('None (missing)', 'a dict, {}', 'a number, 2.5')
    """
    if is_missing(value):
        return f"{shown(value)} (missing)"
    if isinstance(value, bool | int | float | complex | np.number):
        return f"a number, {shown(value.item() if isinstance(value, np.number) else value)}"
    return f"a {type_name(value)}, {shown(value)}"


def type_name(value: Any) -> str:
    """The kind of a value in a reader's words.

    >>> type_name("a"), type_name(1)
    ('text', 'int')
    """
    if isinstance(value, ModuleType):
        return "module"
    return {"str": "text", "ndarray": "NumPy array", "Series": "column"}.get(type(value).__name__, type(value).__name__)


def grouped(n: int) -> str:
    """A count in groups of three digits: 30,000.

    >>> grouped(30000)
    '30,000'
    """
    return f"{n:,}"


def few(names: Sequence[Any], most: int = 12) -> str:
    """Names for a message: `'a', 'b' and 3 more`.

    >>> few(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def nearest(name: str, names: Iterable[str]) -> str:
    """The suggestion of the nearest name, ignoring case; empty where none is near.

    >>> nearest("Pric", ["price", "shop"])
    " Did you mean 'price'?"
    """
    folded = {other.casefold(): other for other in names}
    close = difflib.get_close_matches(name.casefold(), list(folded), 1)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""
