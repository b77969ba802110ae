"""Marks for torch.compile, without loading the compiler, which takes longer than all of torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

_Function = TypeVar("_Function", bound=Callable[..., Any])


def constant(function: _Function) -> _Function:
    """``torch.compiler.assume_constant_result``: a graph holds what `function` returned when it was made.

    >>> @constant
    ... def answer():
    ...     return 42
    >>> answer()
    42
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def not_compiled(function: _Function) -> _Function:
    """``torch.compiler.disable``: a graph breaks where `function` is called.

    >>> not_compiled(lambda: 42)()
    42
    """
    disabled = torch._disable_dynamo(function)  # type: ignore[attr-defined]

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # else the compiler would be loaded for nothing
            return disabled(*args, **kwargs)
        return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]
