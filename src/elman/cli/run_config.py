"""The options of a run as TOML and as a command: `--config`, `--print-config`, and the model card."""

import json
import math
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from elman.errors import DataError, OptionError

SWITCHES = ("resume", "restart", "no_header", "json")  # arguments that are true or false; options check themselves


def read_config(file: str, task: str, known: Iterable[str]) -> dict[str, Any]:
    """The arguments in a TOML file of `elman fit <task>`, by the names in `known`; "none" is None.

    Raises ``DataError`` for what is no TOML, ``OptionError``, with the line, for an unknown name or another task.
    """
    from elman.validation.messages import nearest

    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{file} is no TOML: {error}.") from None
    found: dict[str, Any] = {}
    names = ["task", *known]
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in names:
            what = f"{_line(text, key)}{file}: elman fit {task} has no option {key!r}."
            raise OptionError(f"{what}{nearest(name, names)} --print-config lists all.")
        if name in SWITCHES and not isinstance(value, bool):
            raise OptionError(f"{_line(text, key)}{file}: {key} = {_toml(value)} must be true or false.")
        found[name] = None if value == "none" else value
    if found.pop("task", task) != task:
        at = _line(text, "task")
        raise OptionError(f"{at}{file} is for elman fit {values['task']}, but the command is elman fit {task}.")
    return found


def _line(text: str, key: str) -> str:
    """`line 3 of ` for the line that sets a key, empty where it is not found."""
    setting = re.compile(rf"""\s*(\[\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
    found = [number for number, line in enumerate(text.splitlines(), start=1) if setting.match(line)]
    return f"line {found[0]} of " if found else ""


def config_text(
    task: str, arguments: Mapping[str, Any], options: Mapping[str, Any], defaults: Mapping[str, Any]
) -> str:
    """The TOML that repeats a run: what is given, then the options, those with their default as comments.

    >>> print(config_text("classify", {"file": "a.csv"}, {"epochs": 3, "clip": None}, {"epochs": 20, "clip": None}))
    task = "classify"
    file = "a.csv"
    epochs = 3
    <BLANKLINE>
    # defaults
    # clip = "none"
    """
    lines = [f"{name} = {_toml(value)}" for name, value in {"task": task, **arguments}.items()]
    lines += [f"{name} = {_toml(value)}" for name, value in options.items() if value != defaults[name]]
    rest = [f"# {name} = {_toml(value)}" for name, value in options.items() if value == defaults[name]]
    return "\n".join([*lines, "", "# defaults", *rest])


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def command_line(task: str, file: str, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The command that repeats a run.

    >>> command_line("classify", "a b.csv", {"target": "label", "out": "model"}, {"lower": False, "hidden": [8, 4]})
    "elman fit classify 'a b.csv' --target label --out model --no-lower --hidden 8,4"
    """
    words = ["elman", "fit", task, file]
    for name, value in {**arguments, **options}.items():
        words += _flag(name.replace("_", "-"), value)
    return shlex.join(words)


def _flag(name: str, value: Any) -> Sequence[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    plain = isinstance(value, list | tuple) and value and not any("," in str(part) for part in value)
    if plain and not any(isinstance(part, list | tuple | dict) for part in value):
        return [f"--{name}", ",".join(map(str, value))]
    if isinstance(value, list | tuple | dict):
        return [f"--{name}", json.dumps(value, ensure_ascii=False)]
    return [f"--{name}", "none" if value is None else str(value)]
