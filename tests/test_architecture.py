"""The architecture: imports go down the floors, a task opens no other task, nobody imports in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from elman.cells import CELLS
from elman.features import FEATURES, STATICS, Columns
from elman.tasks import TASKS

ROOT = Path(__file__).parents[1] / "src" / "elman"
DOOR = ("__init__.py", "__main__.py")  # above all floors; nobody imports them
CORE = "_kernels"  # the compiled core, with ops/library.py as its only importer

#: The first folder of a module's path is its floor, lowest first; floors on one line do not import each other.
FLOORS = (
    ("errors.py",),
    ("validation",),
    ("ragged",),
    ("ops",),
    ("cells",),
    ("layers",),
    ("decoding",),
    ("nn", "io"),
    ("features",),
    ("training",),
    ("evaluation",),
    ("lm",),
    ("interpret",),
    ("tasks/base",),
    ("tasks",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
#: Task folders may import each other only here.
DOORS = {("classify", "pretrain"), ("regress", "pretrain"), ("pretrain", "generate"), ("multitask", "classify")}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "base_utils"}


def floor(module: str) -> str:
    """The floor of a module given as its path under the package."""
    parts = module.split("/")
    return "tasks/base" if parts[:2] == ["tasks", "base"] else parts[0]


def room(module: str) -> str:
    """The task whose folder holds the module; "" elsewhere."""
    parts = module.split("/")
    return parts[1] if parts[0] == "tasks" and len(parts) > 2 and parts[1] != "base" else ""


def is_door(here: str, there: str) -> bool:
    """Whether the task `here` may import `there`; "" is no task."""
    return not here or there in ("", here) or (here, there) in DOORS


def read_package(root: Path) -> dict[str, str]:
    """Every module of the package: its path under the root, and its source."""
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in sorted(root.rglob("*.py"))}


def resolve(name: str, modules: dict[str, str]) -> str | None:
    """The module that a dotted name such as elman.cells.gru stands for: its path, "door", CORE, or None."""
    if name == "elman":
        return "door"
    inner = name.removeprefix("elman.").replace(".", "/")
    if inner.split("/")[0] == CORE:
        return CORE
    return next((path for path in (f"{inner}.py", f"{inner}/__init__.py") if path in modules), None)


def imports(module: str, modules: dict[str, str]) -> Iterator[str]:
    """The modules of the package that one module imports, wherever in the file, under `if TYPE_CHECKING` too."""
    package = ["elman", *Path(module).parts[:-1]]
    for node in ast.walk(ast.parse(modules[module], module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "elman":
                    # `import elman.ragged` binds the root; only `import elman.ragged as r` does not.
                    yield resolve(alias.name if alias.asname else "elman", modules) or f"{alias.name} (missing)"
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            if source.split(".")[0] != "elman":
                continue
            for alias in node.names:  # from elman.cells import base: the module base, or a name in cells
                yield resolve(f"{source}.{alias.name}", modules) or resolve(source, modules) or f"{source} (missing)"


def complaints(modules: dict[str, str]) -> list[str]:
    """One sentence for every import that breaks a rule."""
    found = []
    for module in modules:
        if module in DOOR:
            continue
        here = floor(module)
        if here not in LEVEL:
            found.append(f"{module} has no floor: give it a line in FLOORS of tests/test_architecture.py")
            continue
        for target in dict.fromkeys(imports(module, modules)):
            there = floor(target)
            if target in ("door", *DOOR):
                found.append(f"{module} imports the package root: import from the module that has the name")
            elif target == CORE:
                if module != "ops/library.py":
                    found.append(f"{module} imports the compiled core: only ops/library.py may")
            elif target.endswith("(missing)"):
                found.append(f"{module} imports {target}")
            elif there != here and LEVEL.get(there, -1) >= LEVEL[here]:
                found.append(f"{module} imports {target}, which is not below it")
            elif not is_door(room(module), room(target)):
                found.append(f"{module} imports {target}: the task {room(target)} is no part of {room(module)}")
    return found


def circle(modules: dict[str, str]) -> list[str]:
    """The modules of one import circle in order, the first again at the end; empty when there is none."""
    graph = {m: [t for t in dict.fromkeys(imports(m, modules)) if t in modules and t != m] for m in modules}
    finished: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in finished:
            return []
        for target in graph[module]:
            if found := walk(target, [*path, module]):
                return found
        finished.add(module)
        return []

    return next((found for module in graph if (found := walk(module, []))), [])


def test_imports_point_down() -> None:
    found = complaints(read_package(ROOT))
    assert not found, "\n" + "\n".join(found)


def test_no_circles() -> None:
    found = circle(read_package(ROOT))
    assert not found, "modules import each other in a circle: " + " -> ".join(found)


def test_names_say_something() -> None:
    found = [m for m in read_package(ROOT) if FORBIDDEN_NAMES & {Path(part).stem for part in Path(m).parts}]
    assert not found, f"{', '.join(found)}: name a module after what it holds"


# The rules themselves, on small packages with one fault each.
ROOT_IMPORTED = "nn/rnn.py imports the package root: import from the module that has the name"


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        (
            {"cells/gru.py": "from elman.tasks.base.task import Task", "tasks/base/task.py": ""},
            "cells/gru.py imports tasks/base/task.py, which is not below it",
        ),
        (
            {"cells/gru.py": "def f():\n    from elman.tasks.base import task", "tasks/base/task.py": ""},
            "cells/gru.py imports tasks/base/task.py, which is not below it",
        ),
        (
            {"ragged/ragged.py": "from ..cells import GRU", "cells/__init__.py": ""},
            "ragged/ragged.py imports cells/__init__.py, which is not below it",
        ),
        (
            {"nn/rnn.py": "from elman.io import midi", "io/midi.py": ""},
            "nn/rnn.py imports io/midi.py, which is not below it",
        ),
        (
            {"tasks/base/task.py": "from elman.tasks.tag import spans", "tasks/tag/spans.py": ""},
            "tasks/base/task.py imports tasks/tag/spans.py, which is not below it",
        ),
        (
            {"tasks/tag/table.py": "from elman.tasks.classify.table import x", "tasks/classify/table.py": ""},
            "tasks/tag/table.py imports tasks/classify/table.py: the task classify is no part of tag",
        ),
        ({"nn/rnn.py": "import elman"}, ROOT_IMPORTED),
        ({"nn/rnn.py": "import elman.ops.functional", "ops/functional.py": ""}, ROOT_IMPORTED),
        ({"nn/rnn.py": "from elman import Ragged"}, ROOT_IMPORTED),
        ({"nn/rnn.py": "from elman import _kernels"}, "nn/rnn.py imports the compiled core: only ops/library.py may"),
        (
            {"nn/rnn.py": "from elman._kernels import forward"},
            "nn/rnn.py imports the compiled core: only ops/library.py may",
        ),
        ({"sound.py": ""}, "sound.py has no floor: give it a line in FLOORS of tests/test_architecture.py"),
        ({"nn/rnn.py": "from elman.opps import x"}, "nn/rnn.py imports elman.opps (missing)"),
    ],
)
def test_rules(modules: dict[str, str], sentence: str) -> None:
    assert complaints(modules) == [sentence]


@pytest.mark.parametrize(
    "modules",
    [
        {
            "nn/rnn.py": "import elman.ops.functional as ops",
            "ops/functional.py": "",
            "ops/library.py": "from elman import _kernels\nimport torch",
        },
        {
            "nn/rnn.py": "from elman.cells import LSTM",
            "cells/__init__.py": "from elman.cells.lstm import LSTM",
            "cells/lstm.py": "",
        },
        {"__init__.py": "from elman.nn.rnn import RNN", "nn/rnn.py": ""},
        {
            "tasks/classify/estimator.py": "from elman.tasks.pretrain import objective",
            "tasks/pretrain/objective.py": "",
        },
    ],
)
def test_rules_allow(modules: dict[str, str]) -> None:
    assert complaints(modules) == []
    assert circle(modules) == []


def test_rules_see_circles() -> None:
    modules = {
        "nn/rnn.py": "from elman.layers import linear",
        "layers/linear.py": "from elman.layers.losses import x",
        "layers/losses.py": "import elman.nn.rnn as n",
    }
    assert circle(modules) == ["nn/rnn.py", "layers/linear.py", "layers/losses.py", "nn/rnn.py"]


# ---- nobody asks which feature, cell or task it is: what it can do is asked of it

#: The folder of each registry, its classes, and the names that options, the command line and saved models use.
REGISTRIES: dict[str, tuple[set[str], set[str]]] = {
    "cells": ({cell.__name__ for cell in CELLS.values()}, {*CELLS}),
    "features": ({f.__name__ for f in (*FEATURES.values(), *STATICS.values(), Columns)}, {*FEATURES, *STATICS}),
    "tasks": ({task.__name__ for task in TASKS.values()}, {*TASKS}),
}
#: Options and attributes with a word of their own that is a registered name too, and the word.
OWN_WORDS = {("unit", "words"), ("over", "words"), ("time", "text"), ("kinds", "text")}
#: Where it is asked all the same, and why. At most 5.
ALLOWED: dict[str, str] = {
    "tasks/pretrain/pretrainer.py": "the option `pretrain` takes a fitted Generator or its folder, besides texts",
}


def questions(module: str, source: str) -> list[str]:
    """One sentence for each isinstance with a concrete class of a registry, and each comparison with its names."""
    tree, found = ast.parse(source, module), []
    ours = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("elman")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            classes = {ours.get(part.id, "") for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            for folder, (concrete, _) in REGISTRIES.items():
                if (
                    hit := sorted(classes & concrete)
                    if not module.startswith(f"{folder}/") or folder == "tasks"
                    else []
                ):
                    found.append(f"{module}:{node.lineno} asks whether something is a {hit[0]}: ask what it can do")
        if isinstance(node, ast.Compare):
            for folder, (concrete, names) in REGISTRIES.items():
                if not module.startswith(f"{folder}/") and (word := compared(node, names, concrete, ours)):
                    found.append(f"{module}:{node.lineno} compares with {word!r}, of {folder}/: ask what it can do")
    return found


def compared(node: ast.Compare, names: set[str], concrete: set[str], ours: dict[str, str]) -> str:
    """The registered name that is compared with, as a text or as `Text.kind`; "" where none is."""
    sides = [node.left, *node.comparators]
    last = {getattr(side, "attr", getattr(side, "id", "")) for side in sides}
    for part in (part for side in sides for part in ast.walk(side)):
        if (
            isinstance(part, ast.Constant)
            and part.value in names
            and not {(end, part.value) for end in last} & OWN_WORDS
        ):
            return str(part.value)
        attribute = isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
        if attribute and part.attr in ("kind", "task") and ours.get(part.value.id) in concrete:
            return f"{part.value.id}.{part.attr}"
    return ""


def test_nobody_asks_which_one_it_is() -> None:
    found = [said for module, source in read_package(ROOT).items() for said in questions(module, source)]
    found = [said for said in found if said.split(":")[0] not in ALLOWED]
    assert not found, "\n" + "\n".join(found)
    assert len(ALLOWED) <= 5


@pytest.mark.parametrize(
    ("module", "source", "sentence"),
    [
        (
            "io/midi.py",
            "from elman.features import Text as T\nisinstance(x, T | int)",
            "io/midi.py:2 asks whether something is a Text: ask what it can do",
        ),
        ("nn/rnn.py", "cell == 'gru_d'", "nn/rnn.py:1 compares with 'gru_d', of cells/: ask what it can do"),
        ("cli/fit.py", "name in ('tag', 'x')", "cli/fit.py:1 compares with 'tag', of tasks/: ask what it can do"),
        (
            "cli/fit.py",
            "from elman.features import Text\nfeature.kind != Text.kind",
            "cli/fit.py:2 compares with 'Text.kind', of features/: ask what it can do",
        ),
        (
            "cli/fit.py",
            "feature.kind == 'words'",
            "cli/fit.py:1 compares with 'words', of features/: ask what it can do",
        ),
    ],
)
def test_rules_see_questions(module: str, source: str, sentence: str) -> None:
    assert questions(module, source) == [sentence]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cells/gru_d.py", "name == 'gru'"),
        ("nn/rnn.py", "from torch import nn\nisinstance(x, nn.LSTM)"),
        ("evaluation/tables.py", "from rich.text import Text\nisinstance(x, Text)"),
        ("evaluation/tables.py", "unit == 'words'"),
    ],
)
def test_rules_allow_no_question(module: str, source: str) -> None:
    assert questions(module, source) == []
