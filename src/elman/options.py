"""What is wrong with an option, as sentences without a full stop: none where it is right."""

import difflib
from typing import Any

import numpy as np

from elman.cells import CELLS
from elman.features.base import shown

__all__ = ["choice", "is_whole", "reads_symbols", "share", "whole"]

_TOO_LARGE = 1 << 63


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether it is a whole number of at least `least`, and one that 64 bits hold; True and False are none.

    >>> is_whole(1), is_whole(0), is_whole(True), is_whole(1.0)
    (True, False, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(least <= value < _TOO_LARGE)


def whole(options: object, name: str, least: int = 1) -> list[str]:
    """A sentence unless an option is a whole number of at least `least`.

    >>> from types import SimpleNamespace
    >>> whole(SimpleNamespace(layers=0), "layers")
    ['layers = 0 must be a whole number of at least 1']
    """
    value = getattr(options, name)
    if is_whole(value, least):
        return []
    if isinstance(value, int) and value >= _TOO_LARGE:
        return [f"{name} = {shown(value)} must be below 2**63"]
    return [f"{name} = {shown(value)} must be a whole number of at least {least}"]


def reads_symbols(options: Any) -> list[str]:
    """A sentence unless the cell reads vectors of any numbers, as symbols have; for tasks that read nothing else.

    >>> from types import SimpleNamespace
    >>> reads_symbols(SimpleNamespace(cell="conv_lstm"))
    ["cell = 'conv_lstm' reads no symbols but images; take lstm, gru, rnn, min_gru ..."]
    """
    cell = CELLS.get(str(options.cell))
    if cell is None or cell.reads == "vectors":
        return []
    return [f"cell = {options.cell!r} reads no symbols but {cell.reads}; take lstm, gru, rnn, min_gru ..."]


def share(options: object, name: str) -> list[str]:
    """A sentence unless an option is a number of at least 0 and below 1.

    >>> from types import SimpleNamespace
    >>> share(SimpleNamespace(dropout=1), "dropout")
    ['dropout = 1 must be a number of at least 0 and below 1']
    """
    value = getattr(options, name)
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool) and 0 <= value < 1
    return [] if good else [f"{name} = {shown(value)} must be a number of at least 0 and below 1"]


def choice(options: object, name: str, choices: tuple[str, ...]) -> list[str]:
    """A sentence unless an option is one of some words.

    >>> from types import SimpleNamespace
    >>> choice(SimpleNamespace(cell="gruu"), "cell", ("gru", "lstm"))
    ["cell = 'gruu' must be one of gru, lstm (did you mean 'gru'?)"]
    """
    value = getattr(options, name)
    if isinstance(value, str) and value in choices:
        return []
    close = difflib.get_close_matches(value, choices, 1) if isinstance(value, str) else []
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return [f"{name} = {shown(value)} must be one of {', '.join(choices)}{hint}"]
