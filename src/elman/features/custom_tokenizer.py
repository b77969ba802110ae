"""A tokeniser of the caller's: a function from a text to a list of words, such as ``jieba.lcut``.

A saved model holds the name of the function and never its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from elman.errors import DataError, OptionError, Place, Wording
from elman.validation.messages import seen, shown

Tokenizer = Callable[[str], Iterable[str]]
SEPARATOR = "\x1f"  # between the words that it returned: the unit separator of ASCII


def name_of_function(function: Any) -> str:
    """The module and the name of a function.

    >>> name_of_function(str.split), name_of_function(name_of_function)
    ('str.split', 'elman.features.custom_tokenizer.name_of_function')
    """
    named = getattr(function, "__qualname__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None)
    return f"{module}.{named}" if isinstance(module, str) and module != "builtins" else str(named)


def cut_texts(function: Tokenizer, texts: Sequence[str], name: str) -> list[str]:
    """The texts with a `SEPARATOR` between their words; words of white space alone are left out.

    Raises ``DataError``, naming the text, where the function returns anything but texts.

    >>> cut_texts(list, ["a b", ""], "X")
    ['a\\x1fb', '']
    """
    return [SEPARATOR.join(_words(function, text, i, name)) for i, text in enumerate(texts)]


def _words(function: Tokenizer, text: str, i: int, name: str) -> list[str]:
    found = function(text)
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise DataError(
            f": the tokenizer {name_of_function(function)} returned {seen(found)} for {shown(text)}. It must return a "
            "list of texts.",
            at=Place(name, sequence=i),
        )
    words: list[Any] = list(found)
    if wrong := [word for word in words if not isinstance(word, str)]:
        raise DataError(
            f": the tokenizer {name_of_function(function)} returned a list with {seen(wrong[0])} for {shown(text)}. "
            "It must return a list of texts.",
            at=Place(name, sequence=i),
        )
    return [word for word in words if word.strip()]


def no_function(name: str, folder: str = "folder") -> OptionError:
    """The error where a model that was trained with a function is loaded without it.

    >>> str(no_function("jieba.lcut"))[-42:]
    "elman.load('folder', tokenizer=jieba.lcut)"
    """
    python = f"Give it again: elman.load({folder!r}, tokenizer={name})"
    shell = "Use the model in Python: elman.load(..., tokenizer=...). For the command line train on texts that are cut "
    shell += "already, with spaces between their words: --unit spaces"
    return OptionError(
        f"the model cuts its texts with a function, {name}, which is not saved with it. ", Wording(python, shell)
    )
