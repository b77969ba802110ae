"""What can go wrong, one class for each thing you would do next.

Every class is also the builtin a reader would expect, so that `except ValueError` keeps working. A message is composed
when it is shown: the `Place` it is about, then its parts, in the words of Python or of the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

__all__ = [
    "BuildError",
    "DataError",
    "ElmanError",
    "ElmanWarning",
    "MessagePart",
    "ModelFileError",
    "OptionError",
    "Place",
    "Problem",
    "ShapeError",
    "TrainingError",
    "Wording",
    "option",
    "placed",
    "within",
]


# ------------------------------------------------------------------------------------------------ what a message is of


@dataclass(frozen=True)
class Place:
    """Where in the data a fault is. Whoever knows more of it adds that: `placed`.

    Sequences, steps and rows count from 0, as in Python; in a file, lines and rows count from 1.

    >>> print(Place("X", sequence=3, step=4))
    X: sequence 3, step 4
    >>> print(Place("X", sequence=3, step=4, column="tags", file="train.jsonl", line=312))
    line 312 of train.jsonl, column 'tags', step 4
    """

    argument: str | None = None
    sequence: int | None = None
    step: int | None = None
    column: str | int | None = None  # its name, or its number within a step
    row: int | None = None  # of a frame
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        named = isinstance(self.column, str)
        inner = [
            ("column", repr(self.column) if named else None),
            ("step", self.step),
            ("column", None if named else self.column),
        ]
        if self.file is not None:
            number = f"line {self.line} of " if self.line is not None else ""
            head = number or ("" if self.row is None else f"row {self.row + 1} of ")
            return ", ".join([head + self.file, *_said(inner)])
        words = ", ".join(_said([("sequence", self.sequence), *inner, ("row", self.row)]))
        return ": ".join(part for part in (self.argument, words) if part)


@dataclass(frozen=True)
class Wording:
    """A part of a message that the command line says in its own words.

    >>> print(Wording("predict(frame=...)", "elman predict"))
    predict(frame=...)
    """

    python: str
    shell: str

    def __str__(self) -> str:
        return self.python


def option(name: str, value: Any = ...) -> Wording:
    """Advice to set an option; `...` stands for a value that the reader has to find.

    >>> [(advice.python, advice.shell) for advice in (option("sort", True), option("freq"))]
    [('sort=True', '--sort'), ('freq=...', '--freq ...')]
    >>> print(option("features", {"id": "skip"}).shell)
    --features '{"id": "skip"}'
    """
    if value is ...:
        return Wording(f"{name}=...", f"{_flag(name)} ...")
    if isinstance(value, bool):
        return Wording(f"{name}={value}", _flag(name if value else f"no_{name}"))
    shown = f"'{json.dumps(value, ensure_ascii=False)}'" if isinstance(value, dict | list) else str(value)
    return Wording(f"{name}={value!r}", f"{_flag(name)} {shown}")


@dataclass(frozen=True)
class Problem:
    """What is wrong with an option: its name, its value as messages show it, and what it must be.

    >>> problem = Problem("batch_steps", "0", "must be a whole number of at least 1")
    >>> print(problem, problem.shell, sep="\\n")
    batch_steps = 0 must be a whole number of at least 1
    --batch-steps 0 must be a whole number of at least 1
    """

    option: str
    value: str
    text: str

    def __str__(self) -> str:
        return f"{self.option} = {self.value}{_joint(self.text)}{self.text}"

    @property
    def shell(self) -> str:
        """The same with the option as a flag."""
        return f"{_flag(self.option)} {self.value}{_joint(self.text)}{self.text}"


def _said(parts: Sequence[tuple[str, Any]]) -> list[str]:
    return [f"{word} {at}" for word, at in parts if at is not None]


MessagePart = str | Place | Wording | Problem


def _joint(text: str) -> str:
    """What stands between a place, or the value of an option, and what is said about it."""
    return "" if text.startswith((":", ",")) else ": " if text[:1].isupper() else " "


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


# ------------------------------------------------------------------------------------------------------- the exceptions


class ElmanError(Exception):
    """Anything that this package refuses. Catch it to catch all the others.

    The message goes on where `at` ends: "is missing. Drop it." One that begins with a capital stands behind a colon.
    """

    def __init__(self, *message: MessagePart, at: Place | None = None) -> None:
        self.message, self.at = message, at
        super().__init__(str(self))

    def __str__(self) -> str:
        return self._composed(str)

    @property
    def shell(self) -> str:
        """The message in the words of the command line: options are flags."""
        return self._composed(lambda part: getattr(part, "shell", None) or str(part))

    @property
    def parts(self) -> tuple[MessagePart, ...]:
        """Place and message one after the other, for an error that says them within its own."""
        if not str(self.at or ""):
            return self.message
        return (self.at or "", _joint("".join(map(str, self.message[:1]))), *self.message)

    def _composed(self, words: Callable[[MessagePart], str]) -> str:
        return "".join(map(words, self.parts))

    def place(self, where: Callable[[Place], Place]) -> None:
        """Say more about the places that the message names."""
        self.at = where(self.at or Place())
        self.message = tuple(where(part) if isinstance(part, Place) else part for part in self.message)


class DataError(ElmanError, ValueError):
    """Your data or your file holds something that cannot be used. Mend the place that the message names.

    >>> at = Place("X", file="train.jsonl", line=312)
    >>> raise DataError(": tags has 7 labels, tokens has 8. Each token needs one label.", at=at)
    Traceback (most recent call last):
    elman.errors.DataError: line 312 of train.jsonl: tags has 7 labels, tokens has 8. Each token needs one label.
    """


class ShapeError(ElmanError, ValueError, RuntimeError):
    """The shapes or dtypes of a call do not fit together. Mend the call. A RuntimeError too, as torch's layers raise.

    >>> raise ShapeError("GRU expects inputs of width 64, got values of shape [1200, 40]. Build it with inputs=40.")
    Traceback (most recent call last):
    elman.errors.ShapeError: GRU expects inputs of width 64, got values of shape [1200, 40]. Build it with inputs=40.
    """


class OptionError(ElmanError, ValueError):
    """One or more options have values that cannot be used. All problems of one object come together.

    >>> raise OptionError.of([Problem("hidden", "0", "must be at least 1"), Problem("dropout", "2", "must be below 1")])
    Traceback (most recent call last):
    elman.errors.OptionError: hidden = 0 must be at least 1; dropout = 2 must be below 1
    """

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """The error that says all these problems."""
        return cls(*[part for problem in problems for part in ("; ", problem)][1:])

    @property
    def problems(self) -> list[Problem]:
        """The options at fault, where the error is about values of options."""
        return [part for part in self.message if isinstance(part, Problem)]


class ModelFileError(ElmanError, OSError):
    """The model folder cannot be used: missing, altered, cut short, or written by a newer version. Save it again.

    >>> issubclass(ModelFileError, OSError)
    True
    """


class BuildError(ElmanError, ImportError):
    """The compiled core is missing or does not fit this machine. Build or install the package again.

    >>> issubclass(BuildError, ImportError)
    True
    """


class TrainingError(ElmanError, ArithmeticError):
    """The loss became NaN or infinite. Look at the sequences that the message names, or lower the learning rate.

    >>> issubclass(TrainingError, ArithmeticError)
    True
    """


class ElmanWarning(UserWarning):
    """The call succeeds, but its result rests on little: most symbols are unknown, or all answers are the same.

    Turn it into an error with ``warnings.simplefilter("error", ElmanWarning)``.

    >>> issubclass(ElmanWarning, UserWarning)
    True
    """


# ----------------------------------------------------------------------------------------------- what adds to a place


@contextmanager
def placed(where: Callable[[Place], Place]) -> Iterator[None]:
    """What is raised in the block names its places as `where` knows them.

    >>> with placed(lambda place: replace(place, file="t.csv", line=4)):
    ...     raise DataError("is None. Drop it.", at=Place("X", sequence=2))
    Traceback (most recent call last):
    elman.errors.DataError: line 4 of t.csv is None. Drop it.
    """
    try:
        yield
    except ElmanError as error:
        error.place(where)
        raise


def within(**known: Any) -> AbstractContextManager[None]:
    """What is raised in the block is about this argument, column ...

    >>> with within(argument="y", column="price"):
    ...     raise DataError("is None. Drop it.", at=Place("y", sequence=2))
    Traceback (most recent call last):
    elman.errors.DataError: y: sequence 2, column 'price' is None. Drop it.
    """
    return placed(lambda place: replace(place, **known) if place.argument or place == Place() else place)
