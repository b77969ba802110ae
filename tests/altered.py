"""Folders of models and checkpoints changed as an attacker would: every hash and every table made to fit."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from elman.io import model_folder as store

#: What stands in place of a JSON value; a text is written as it is.
WRONG: dict[str, str] = {
    "huge": "1000000000",
    "beyond 64 bits": "1" + "0" * 30,
    "below 0": "-1",
    "a half": "0.5",
    "infinity": "1e999",
    "null": "null",
    "a text": '"x"',
    "half a character": '"\\ud800"',
    "a list": "[]",
    "a long list": "[" + "1, " * 10_000 + "1]",
    "deep": "[" * 100 + "]" * 100,
    "an object": "{}",
}


def altered(
    folder: Path,
    to: Path,
    config: Callable[[dict[str, Any]], None] | None = None,
    tensors: Callable[[dict[str, Tensor]], Mapping[str, Tensor]] | None = None,
    raw: Mapping[str, str] | None = None,
) -> Path:
    """A copy of a folder with its record and its tensors changed; `raw` puts JSON texts in place of strings."""
    shutil.copytree(folder, to)
    record = json.loads((to / store.CONFIG).read_text("utf-8"))
    if tensors is not None:
        made = dict(tensors(safetensors.torch.load((to / store.WEIGHTS).read_bytes())))
        content = safetensors.torch.save({name: value.clone().contiguous() for name, value in made.items()})
        (to / store.WEIGHTS).write_bytes(content)
        record["files"][store.WEIGHTS] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        record["tensors"] = {
            name: {"shape": list(t.shape), "dtype": store._DTYPES[t.dtype][0]} for name, t in made.items()
        }
    if config is not None:
        config(record["config"])
    text = json.dumps(record | {"sha256": ""})
    for name, value in (raw or {}).items():
        text = text.replace(json.dumps(name), value)
    with contextlib.suppress(ValueError):  # infinity: no hash can be made of it
        text = json.dumps(json.loads(text) | {"sha256": store._seal(json.loads(text))})
    for name, value in (raw or {}).items():
        text = text.replace(json.dumps(name), value)
    (to / store.CONFIG).write_text(text, "utf-8")
    return to


def leaves(value: Any, path: tuple[str | int, ...] = (), most: int = 2) -> Iterator[tuple[str | int, ...]]:
    """The place of every value, lists and objects too; of a list only its first `most` entries."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:most]) if isinstance(value, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key), most)


def put(config: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with another value in one place."""
    made = copy.deepcopy(config)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made
