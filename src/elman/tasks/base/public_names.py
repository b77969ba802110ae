"""The names that a task shows in tab completion."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

#: Methods that the package itself calls on a task, in other modules. They are no part of what a person uses.
INTERNAL = frozenset(
    {
        "check_fitted",
        "compared",
        "config",
        "described",
        "forget",
        "leaves_open",
        "lm_chunks",
        "options",
        "problems",
        "refuse",
        "remember_resolved",
        "restore",
        "training_run",
        "warm_start",
    }
)


def public_names(task: Any) -> set[str]:
    """The options, the fitted attributes (which end in `_`) and the methods of a task, without those in `INTERNAL`.

    >>> from elman import Regressor
    >>> found = public_names(Regressor())
    >>> "hidden" in found, "predict" in found, "answering" in found, "config" in found
    (True, True, False, False)
    """
    kind = type(task)
    options = {field.name for field in dataclasses.fields(task)}
    own = {name for base in kind.__mro__ for name in vars(base) if not name.startswith("_")}
    learnt = {name for name in own | set(vars(task)) if name.endswith("_")}
    methods = {name for name in own - INTERNAL if inspect.isroutine(getattr(kind, name, None))}
    return {name for name in options | learnt | methods if not name.startswith("_") and hasattr(task, name)}
