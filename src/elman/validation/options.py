"""Checks of options; each returns a list of problems, empty for a valid value."""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np

from elman.errors import Problem
from elman.validation.messages import shown

LARGEST = (1 << 63) - 1  # of int64
SIZE = 1 << 20  # maximum width of a layer
LAYERS = 1000  # maximum number of layers


class OptionGroup(ABC):
    """A group of options: a dataclass of fields with defaults, and `problems`; no other behaviour."""

    @abstractmethod
    def problems(self) -> list[Problem]:
        """What is wrong with the options."""

    def leaves_open(self, name: str) -> bool:
        """Whether an option is None, and its default is None, so that it is resolved."""
        return getattr(self, name) is None and getattr(type(self), name) is None


def require(good: object, options: object, name: str, rule: str) -> list[Problem]:
    """A problem unless an option is `good`; `rule` says what it must be.

    >>> from types import SimpleNamespace
    >>> print(*require(False, SimpleNamespace(layers=0), "layers", "must be above 0"))
    layers = 0 must be above 0
    """
    return [] if good else [Problem(name, shown(getattr(options, name)), rule)]


def flag(options: object, name: str) -> list[Problem]:
    """A problem unless an option is True or False."""
    return require(isinstance(getattr(options, name), bool), options, name, "must be True or False")


def whole(options: object, name: str, least: int = 1, most: int = LARGEST) -> list[Problem]:
    """A problem unless an option is a whole number from `least` to `most`.

    >>> from types import SimpleNamespace
    >>> print(*whole(SimpleNamespace(layers=0), "layers"))
    layers = 0 must be a whole number of at least 1
    """
    value = getattr(options, name)
    rule = f"must be a whole number of at least {least}"
    if is_whole(value, most + 1, value if isinstance(value, int) else most):
        rule = "must be below 2**63" if most == LARGEST else f"must be at most {most}"
    return require(is_whole(value, least, most), options, name, rule)


def widths(options: object, name: str) -> list[Problem]:
    """A problem unless an option is the width of a layer, or lists one for each of up to 1000 layers.

    >>> from types import SimpleNamespace
    >>> print(*widths(SimpleNamespace(hidden=[4, 0]), "hidden"))
    hidden = [4, 0] must be a whole number of at least 1, or one for each layer
    """
    value = getattr(options, name)
    is_list = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)
    listed = value if is_list else [value]
    if len(listed) > LAYERS:
        return [Problem(name, shown(value), f"lists {len(listed)} widths, and a network has at most {LAYERS} layers")]
    if large := [width for width in listed if isinstance(width, int | np.integer) and width > SIZE]:
        return [Problem(name, shown(large[0]), f"must be at most {SIZE}")]
    good = len(listed) and all(is_whole(width) for width in listed)
    return require(good, options, name, "must be a whole number of at least 1, or one for each layer")


def fraction(options: object, name: str) -> list[Problem]:
    """A problem unless an option is a number of at least 0 and below 1.

    >>> from types import SimpleNamespace
    >>> print(*fraction(SimpleNamespace(dropout=1), "dropout"))
    dropout = 1 must be a number of at least 0 and below 1
    """
    value = getattr(options, name)
    return require(is_number(value, 0, 1) and value < 1, options, name, "must be a number of at least 0 and below 1")


def choice(options: object, name: str, choices: tuple[str, ...]) -> list[Problem]:
    """A problem unless an option is one of some words.

    >>> from types import SimpleNamespace
    >>> print(*choice(SimpleNamespace(cell="gruu"), "cell", ("gru", "lstm")))
    cell = 'gruu' must be one of gru, lstm (did you mean 'gru'?)
    """
    value = getattr(options, name)
    close = difflib.get_close_matches(value, choices, 1) if isinstance(value, str) else []
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return require(is_among(value, choices), options, name, f"must be one of {', '.join(choices)}{hint}")


def is_whole(value: Any, least: int = 1, most: int = LARGEST) -> bool:
    """Whether it is a whole number from `least` to `most`; True and False are not.

    >>> is_whole(1), is_whole(0), is_whole(True), is_whole(1.0)
    (True, False, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(least <= value <= most)


def is_among(value: Any, words: Collection[str]) -> bool:
    """Whether it is a text and one of these.

    >>> is_among("gru", {"gru": 1}), is_among(["gru"], {"gru": 1})
    (True, False)
    """
    return isinstance(value, str) and value in words


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether it is a finite number from `least` to `most`; True and False are none.

    >>> is_number(1.5), is_number(-1, 0), is_number(10**400), is_number("1")
    (True, False, False, False)
    """
    if isinstance(value, bool | np.bool_ | complex | np.complexfloating) or not isinstance(
        value, int | float | np.number
    ):
        return False
    try:
        return math.isfinite(float(value)) and bool(least <= value <= most)
    except OverflowError:  # a whole number beyond every float
        return False
