"""Fitted models answer with the options of their fit; options set later count from the next `fit` on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from elman.errors import OptionError
from elman.features.lists import opened

_Task = TypeVar("_Task", bound=Any)
_Method = TypeVar("_Method", bound=Callable[..., Any])


def by_learnt_options(method: _Method) -> _Method:
    """Decorates a method of a fitted task so that it sees the options of `fit`, whatever was set since.

    Iterators and data sets among the arguments are opened first: they are read several times. The options in
    ``answering`` keep their current values. Raises ``OptionError`` if these are invalid, and
    ``NotFittedError`` before `fit`.
    """

    @functools.wraps(method)
    def answers(task: Any, *given: Any, **named: Any) -> Any:
        task.check_fitted()
        given = tuple(map(opened, given))
        return method(as_learnt(task), *given, **{name: opened(value, name) for name, value in named.items()})

    return cast(_Method, answers)


def as_learnt(task: _Task) -> _Task:
    """The task, or if options were changed since `fit`, a copy with those of `fit` and the same fitted attributes."""
    learnt = getattr(task, "learnt_with_", None)
    if learnt is None:
        return task
    values = saved_options(learnt)
    changed = [name for name in learnt if not _same(vars(task).get(name), values[name])]
    if not changed:
        return task
    made = object.__new__(type(task))
    vars(made).update(vars(task) | {name: values[name] for name in changed if name not in task.answering})
    if any(name in task.answering for name in changed) and (problems := made.problems()):
        raise OptionError.of(problems)
    return made


def _same(now: Any, learnt: Any) -> bool:
    """Whether an option is unchanged; if that cannot be decided, it counts as changed."""
    if now is learnt:
        return True
    try:
        return type(now) is type(learnt) and bool(now == learnt)
    except (TypeError, ValueError):
        return False


def saved_options(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the constructor takes them; a dict was saved as pairs.

    >>> saved_options({"hidden": 8, "class_weight": {"pairs": [[0, 1.0]]}})
    {'hidden': 8, 'class_weight': {0: 1.0}}
    """
    return {k: dict(value["pairs"]) if isinstance(value, Mapping) else value for k, value in saved.items()}
