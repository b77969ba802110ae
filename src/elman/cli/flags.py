"""Flags from a dataclass: names, types, defaults and comments (read from the source) of its fields.

A flag may hold one value or several, `--hidden 128` or `--hidden 128,64`.
"""

import ast
import dataclasses
import functools
import inspect
import io
import json
import re
import textwrap
import tokenize
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Group, Parameter

_GROUPS = (
    "data",
    "texts and tokens",
    "numbers",
    "sound files",
    "model",
    "training",
    "pre-training",
    "output",
)  # of options, in the order of --help


def parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """A keyword parameter, required without a `default`.

    >>> print(parameter("limit", int, 10))
    limit: int = 10
    """
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def field_parameters(kind: type, ungrouped: Sequence[str] = ()) -> dict[str, inspect.Parameter]:
    """A parameter for each field of a dataclass: the field's name, type, default and comment, under its heading.

    Every field has a default. Those named in `ungrouped` have no heading; those whose metadata say ``flag=False`` are
    left out: functions.

    >>> from elman.training.options import TrainingOptions
    >>> print(field_parameters(TrainingOptions)["clip"].default)
    1.0
    """
    hints, notes, groups = typing.get_type_hints(kind), field_comments(kind), dict[str, Group]()
    defaults, made = kind(), {}
    for place, field in enumerate(dataclasses.fields(kind)):
        if not field.metadata.get("flag", True):
            continue
        heading, comment = notes.get(field.name, ("options", ""))
        rank = _GROUPS.index(heading) if heading in _GROUPS else len(_GROUPS) + place
        group = groups.setdefault(heading, Group(heading[:1].upper() + heading[1:], sort_key=100 + rank))
        hint = hints[field.name]
        more = _several_at_once(hint) if _holds_several(hint) else {}
        if hint in (int, int | None):
            more["converter"] = _whole if hint is int else _whole_or_none
        if field.name not in ungrouped:
            more["group"] = group
        annotation: Any = Annotated[hint, Parameter(help=comment, **more)]
        made[field.name] = parameter(field.name, annotation, getattr(defaults, field.name))
    return made


def _whole(hint: Any, tokens: Sequence[Any]) -> int:
    """Parses a whole number; 1.5 is refused, which cyclopts would round.

    >>> from types import SimpleNamespace
    >>> _whole(int, [SimpleNamespace(value="3")])
    3
    """
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is no whole number.") from None


def _whole_or_none(hint: Any, tokens: Sequence[Any]) -> int | None:
    return None if tokens[0].value.strip().lower() in ("none", "null") else _whole(hint, tokens)


Whole = Annotated[int, Parameter(converter=_whole)]
WholeOrNone = Annotated[int | None, Parameter(converter=_whole_or_none)]


def _several_at_once(hint: Any) -> dict[str, Any]:
    """Parser settings for a flag whose one word may hold several values."""
    return {
        "converter": _words if _holds_words(hint) else _several,
        "n_tokens": 1,
        "accepts_keys": False,
        "negative": "",
        "json_list": False,
        "json_dict": False,
        "metavar": _metavar(hint),
    }


def _holds_words(hint: Any) -> bool:
    """Whether all values are texts: a column called 1 is no number."""
    kinds = [part for part in _parts(hint) if part not in (str, types.NoneType)]
    return all(not issubclass(typing.get_origin(p) or p, Mapping) and typing.get_args(p) == (str,) for p in kinds)


def _parts(hint: Any) -> list[Any]:
    return list(typing.get_args(hint)) if typing.get_origin(hint) in (typing.Union, types.UnionType) else [hint]


def _holds_several(hint: Any) -> bool:
    return any(typing.get_origin(part) not in (None, typing.Literal) for part in _parts(hint))


def _metavar(hint: Any) -> str:
    names = {int: "INT", float: "FLOAT", str: "STR"}
    shown = []
    for part in _parts(hint):
        inner = [names.get(a, "STR") for a in typing.get_args(part)]
        if issubclass(typing.get_origin(part) or object, Mapping):
            shown.append("JSON")
        elif inner:
            shown.append(f"{inner[0]},{inner[0]},...")
        elif part is not types.NoneType:
            shown.append(names.get(part, "STR"))
    return "|".join(shown)


def _several(hint: Any, tokens: Sequence[Any]) -> Any:
    """Parses one value or several: 128, 128,64, a JSON list or object, none, or a word.

    >>> from types import SimpleNamespace
    >>> [_several(None, [SimpleNamespace(value=text)]) for text in ("128", "128,64", "none", "balanced")]
    [128, [128, 64], None, 'balanced']
    """
    if len(tokens) > 1:
        raise ValueError(f"{tokens[0].keyword} was given twice. Separate several values by commas.")
    return value_of(tokens[0].value)


def _words(hint: Any, tokens: Sequence[Any]) -> Any:
    """The same where the values are texts, such as names of columns.

    >>> from types import SimpleNamespace
    >>> [_words(None, [SimpleNamespace(value=text)]) for text in ("1", "a,2", '["a,b"]', "none")]
    ['1', ['a', '2'], ['a,b'], None]
    """
    text = tokens[0].value.strip()
    if len(tokens) > 1 or text.startswith("[") or text.lower() in ("none", "null"):
        return _several(hint, tokens)
    return [part.strip() for part in text.split(",")] if "," in text else text


def value_of(word: str) -> Any:
    """What a word of the command line stands for.

    >>> value_of("0.5"), value_of('{"a": 1}'), value_of("none"), value_of("f1")
    (0.5, {'a': 1}, None, 'f1')
    """
    text = word.strip()
    if text.lower() in ("none", "null"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if "," in text and text[:1] not in "[{":
        return [value_of(part) for part in text.split(",")]
    return text


def field_comments(kind: type) -> dict[str, tuple[str, str]]:
    """For each field of a dataclass, inherited ones included, its heading and its comment.

    A comment starts on the field's line and continues on following comment lines that are indented deeper. A comment on
    a line of its own is the heading of the fields below; the default is the first line of the class's docstring. Empty
    where the source is not available.
    """
    found: dict[str, tuple[str, str]] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base) and inspect.get_annotations(base):
            try:
                own = _own_comments(base)
            except (OSError, TypeError, SyntaxError):
                continue
            # A field whose default a task overrides stays in the group that declares it.
            found |= {name: (found.get(name, (heading, ""))[0], note) for name, (heading, note) in own.items()}
    return found


@functools.cache  # tasks have most bases in common, and reading source is slow
def _own_comments(kind: type) -> dict[str, tuple[str, str]]:
    source = textwrap.dedent(inspect.getsource(kind))
    body = typing.cast(ast.ClassDef, ast.parse(source).body[0]).body
    fields = [node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    if not fields:
        return {}
    last = {node.end_lineno: typing.cast(ast.Name, node.target).id for node in fields}
    column = fields[0].col_offset
    lines = source.splitlines()
    until = next((node.lineno for node in body if node.lineno > fields[-1].lineno), len(lines) + 1)
    title = (inspect.getdoc(kind) or kind.__name__).splitlines()[0].rstrip(".").lower()
    heading, field = title, ""
    found: dict[str, tuple[str, str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (line, start), text = token.start, re.sub(r"^# type: ignore\[[^]]*\] *#?|^#+", "", token.string)
        if token.type != tokenize.COMMENT or not fields[0].lineno - 3 <= line < until:
            continue
        if line in last:
            field = last[line]
            found[field] = (heading, text.strip())
        elif not lines[line - 1][:start].strip() and field and (start > column or text.startswith("  ")):
            found[field] = (found[field][0], f"{found[field][1]} {text.strip()}")
        elif start == column:
            heading, field = text.strip(), ""
    for node in fields:  # a field without a comment has the heading of its neighbours
        found.setdefault(typing.cast(ast.Name, node.target).id, (title, ""))
    return found
