"""Imports point one way: a module imports only from its own floor and the floors below, and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "elman"
DOOR = ("__init__.py", "__main__.py")  # above all floors; nobody imports them
CORE = "_kernels"  # the compiled core, with operators.py as its only importer

# Every module has a floor. A folder stands for the files in it: a new cell, feature or task needs no line here.
FLOORS = {
    0: [
        "errors.py",
        "arrow.py",
        "lists.py",
        "missing.py",
        "ragged.py",
        "indexed.py",
        "compiling.py",
        "gradients.py",
        "scripts.py",
        "atomic.py",
        "forks.py",
        "plain.py",
    ],
    1: ["reference.py", "operators.py", "elsewhere.py", "ops.py"],
    2: [
        "stepper.py",
        "cells/",
        "encoder.py",
        "drop_in.py",
        "accelerate.py",
        "nn.py",
        "heads.py",
        "convolution.py",
        "augment.py",
        "ctc.py",
        "losses.py",
        "sampled.py",
        "chain.py",
        "attention.py",
    ],
    3: [
        "features/",
        "files.py",
        "conll.py",
        "spelled.py",
        "strands.py",
        "sampling.py",
        "backoff.py",
        "mixture.py",
        "waves.py",
        "transcripts.py",
        "phrases.py",
        "verse.py",
        "midi.py",
        "beam.py",
        "sides.py",
        "overlap.py",
        "word_table.py",
        "alignment.py",
        "spans.py",
        "tags.py",
        "batches.py",
        "bundle.py",
        "carry.py",
        "metrics.py",
        "fit_checks.py",
        "history.py",
        "progress.py",
        "train.py",
        "store.py",
        "ngrams.py",
        "patterns.py",
        "blend.py",
        "labels.py",
        "targets.py",
        "options.py",
        "report.py",
        "pictures.py",
        "through_time.py",
        "diagnosis.py",
        "advice.py",
        "diagnose.py",
        "explain.py",
        "zones.py",
        "stamps.py",
        "calendar.py",
        "frames.py",
        "scaling.py",
        "covariates.py",
        "readings.py",
        "experts.py",
        "draws.py",
        "conformal.py",
        "paths.py",
        "forecast_plot.py",
    ],
    4: ["tasks/", "baselines.py", "seasonal.py", "stream.py", "known.py"],
    5: [
        "cli.py",
        "terminal.py",
        "arguments.py",
        "tables.py",
        "command_fit.py",
        "command_score.py",
        "command_stream.py",
        "command_info.py",
        "command_generate.py",
        "flags.py",
        "inspection.py",
        "demo.py",
    ],
}
TABLE = {name: floor for floor, names in FLOORS.items() for name in names}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "base_utils"}


def floor(module: str) -> int | None:
    """The floor of a module given as its path under the package, None where the table has none."""
    folder = module.split("/")[0] + "/"
    return TABLE.get(folder) if "/" in module else TABLE.get(module)


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
        if here is None:
            found.append(f"{module} has no floor: give it a line in FLOORS of tests/test_floors.py")
            continue
        for target in dict.fromkeys(imports(module, modules)):
            there = floor(target)
            if target in ("door", *DOOR):
                found.append(f"{module} imports the package root: import from the module that has the name")
            elif target == CORE:
                if module != "operators.py":
                    found.append(f"{module} imports the compiled core: only operators.py may")
            elif target.endswith("(missing)"):
                found.append(f"{module} imports {target}")
            elif there is not None and there > here:
                found.append(f"{module} (floor {here}) imports {target} (floor {there})")
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


ROOT_IMPORTED = "nn.py imports the package root: import from the module that has the name"


# The rules themselves, on small packages with one fault each.
@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        (
            {"cells/gru.py": "from elman.tasks.base import Task", "tasks/base.py": ""},
            "cells/gru.py (floor 2) imports tasks/base.py (floor 4)",
        ),
        (
            {"cells/gru.py": "def f():\n    from elman.tasks import base", "tasks/base.py": ""},
            "cells/gru.py (floor 2) imports tasks/base.py (floor 4)",
        ),
        (
            {"ragged.py": "from .cells import GRU", "cells/__init__.py": ""},
            "ragged.py (floor 0) imports cells/__init__.py (floor 2)",
        ),
        (
            {"cells/gru.py": "from .. import train", "train.py": ""},
            "cells/gru.py (floor 2) imports train.py (floor 3)",
        ),
        ({"nn.py": "import elman"}, "nn.py imports the package root: import from the module that has the name"),
        (
            {"nn.py": "import elman.ops", "ops.py": ""},
            "nn.py imports the package root: import from the module that has the name",
        ),
        (
            {"nn.py": "from elman import Ragged"},
            "nn.py imports the package root: import from the module that has the name",
        ),
        ({"nn.py": "from elman import _kernels"}, "nn.py imports the compiled core: only operators.py may"),
        ({"nn.py": "from elman._kernels import forward"}, "nn.py imports the compiled core: only operators.py may"),
        ({"sound.py": ""}, "sound.py has no floor: give it a line in FLOORS of tests/test_floors.py"),
        ({"nn.py": "from elman.opps import x"}, "nn.py imports elman.opps (missing)"),
    ],
)
def test_rules(modules: dict[str, str], sentence: str) -> None:
    assert complaints(modules) == [sentence]


@pytest.mark.parametrize(
    "modules",
    [
        {"nn.py": "import elman.ops as ops", "ops.py": "", "operators.py": "from elman import _kernels\nimport torch"},
        {
            "nn.py": "from elman.cells import LSTM",
            "cells/__init__.py": "from elman.cells.lstm import LSTM",
            "cells/lstm.py": "",
        },
        {"__init__.py": "from elman.nn import RNN", "nn.py": ""},
    ],
)
def test_rules_allow(modules: dict[str, str]) -> None:
    assert complaints(modules) == []
    assert circle(modules) == []


def test_rules_see_circles() -> None:
    modules = {
        "nn.py": "from elman import heads",
        "heads.py": "from elman.losses import x",
        "losses.py": "import elman.nn as n",
    }
    assert circle(modules) == ["nn.py", "heads.py", "losses.py", "nn.py"]
