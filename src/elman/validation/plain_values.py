"""Values as Python's own types: what a subclass or a library put around a text or a number is taken off."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

_PLAIN = (str, int, bool, float, type(None))
_MOST_DIGITS = 30  # of a Decimal that is written out as an int


def plain_text(text: str) -> str:
    """The characters of a text, whatever its class says of itself in `__str__`, `__eq__` or `__hash__`.

    >>> import enum
    >>> class Mood(str, enum.Enum):
    ...     GOOD = "positive"
    >>> str(Mood.GOOD), plain_text(Mood.GOOD)
    ('Mood.GOOD', 'positive')
    """
    return text if type(text) is str else str.__str__(text)


def plain_value(value: Any) -> Any:
    """A text, a number or a truth value as str, int, float or bool; anything else as it is.

    Subclasses of these (members of an enumeration, `numpy.str_`) become what they hold, so do NumPy's scalars, arrays
    and tensors without dimensions, and Arrow's scalars. A Decimal becomes an int where it is whole, else a float; a
    masked value becomes None.

    >>> plain_value(np.int64(3)), plain_value(np.array(True)), plain_value(np.str_("a")), plain_value([1])
    (3, True, 'a', [1])
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, np.generic):
        return _of_numpy(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Decimal):
        return _of_decimal(value)
    if np.ma.isMaskedArray(value) and value.ndim == 0 and bool(np.ma.getmaskarray(value)):
        return None
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return plain_value(value[()] if isinstance(value, np.ndarray) else value.item())
    if callable(getattr(value, "as_py", None)):
        return plain_value(value.as_py())
    return value


def _of_numpy(value: np.generic) -> Any:
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer) and not isinstance(value, np.timedelta64):
        return int(value)
    return float(value) if isinstance(value, np.floating) else value


def _of_decimal(value: Decimal) -> int | float:
    if value.is_nan():  # float() refuses one kind of them
        return float("nan")
    whole = value.is_finite() and value.adjusted() < _MOST_DIGITS and value == value.to_integral_value()
    return int(value) if whole else float(value)


def printable(text: str) -> str:
    """A text with a question mark for each half of a surrogate pair, as in names of files that are no valid Unicode.

    >>> printable("a\\udcff")
    'a?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def broken_at(text: str) -> int | None:
    """Where a text holds half of a surrogate pair, which no file can hold; None for a text that is whole.

    >>> broken_at("ab"), broken_at("a\\ud83d")
    (None, 1)
    """
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None
