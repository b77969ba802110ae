"""The architecture: imports go down the floors, no room opens another, one level of inheritance, a test each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import elman
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


# ---- a private name stays in its module


def defined(source: str) -> set[str]:
    """What a module gives a name: functions, classes, variables, and attributes of `self`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            names.add(node.attr)
    return names


def private_uses(modules: dict[str, str]) -> list[str]:
    """One sentence for each name with one leading underscore that is used in a module other than its own.

    A name that no module of the package defines is a dependency's, such as ``torch._C``.
    """
    names = {module: {name for name in defined(source) if is_private(name)} for module, source in modules.items()}
    found = []
    for module, source in modules.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                ours = node.level or (node.module or "").split(".")[0] == "elman"
                used = [alias.name for alias in node.names if ours and is_private(alias.name) and alias.name != CORE]
            elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in names[module]:
                used = [node.attr] if any(node.attr in own for own in names.values()) else []
            else:
                continue
            for name in used:
                owner = next((other for other, own in names.items() if name in own), "no module")
                found.append(f"{module}:{node.lineno} uses {name}, private to {owner}: give it a public name")
    return found


def is_private(name: str) -> bool:
    """Whether a name has one leading underscore; those of a NamedTuple's methods are not meant."""
    named_tuple = name in ("_asdict", "_fields", "_make", "_replace")
    return name.startswith("_") and not name.startswith("__") and name != "_" and not named_tuple


def test_private_names_stay_in_their_module() -> None:
    found = private_uses(read_package(ROOT))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("from elman.cells.base import _run", "nn/rnn.py:1 uses _run, private to cells/base.py: give it a public name"),
        ("cell._run(x)", "nn/rnn.py:1 uses _run, private to cells/base.py: give it a public name"),
        ("self._kept", "nn/rnn.py:1 uses _kept, private to cells/base.py: give it a public name"),
    ],
)
def test_rules_see_private_uses(source: str, sentence: str) -> None:
    modules = {
        "cells/base.py": "def _run(): ...\nclass A:\n    def f(self):\n        self._kept = 1",
        "nn/rnn.py": source,
    }
    assert private_uses(modules) == [sentence]


def test_rules_allow_own_and_foreign_private_names() -> None:
    source = "class A:\n    def __init__(self, other):\n        self._x = other._x + torch._C.y + state._fields"
    assert private_uses({"nn/rnn.py": source}) == []


# ---- one level of inheritance


def bases_of(node: ast.ClassDef) -> list[str]:
    """The names of the classes that a class derives from."""
    return [ast.unparse(base).split(".")[-1].split("[")[0] for base in node.bases]


def inheritance(modules: dict[str, str], abstract: str = "Task", options: str = "OptionGroup") -> list[str]:
    """One sentence for each estimator that is not final, is subclassed, or stands on more than `abstract` and options.

    Groups of options are dataclasses of fields, with `problems` as their only method; `options` is their root.
    """
    classes = {
        node.name: (module, node)
        for module, source in modules.items()
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }
    estimators = {name for name, (_, node) in classes.items() if abstract in bases_of(node)}
    found = []
    for name, (module, node) in classes.items():
        found += [
            f"{module}:{node.lineno} {name} subclasses the estimator {base}: estimators are final, take it as a part"
            for base in bases_of(node)
            if base in estimators
        ]
    for name in sorted(estimators):
        module, node = classes[name]
        if "final" not in {ast.unparse(mark) for mark in node.decorator_list}:
            found.append(f"{module}:{node.lineno} {name} is an estimator: decorate it with @final")
        above, seen = bases_of(node), set()
        while above:
            base = above.pop()
            if base in seen or base not in classes or base in (abstract, options):
                continue
            seen.add(base)
            where, group = classes[base]
            above += bases_of(group)
            methods = [part.name for part in group.body if isinstance(part, ast.FunctionDef)]
            if any(method != "problems" for method in methods):
                found.append(f"{where}:{group.lineno} {base}, above {name}, has methods: only {abstract} may")
    return found


def unwritten_hooks(modules: dict[str, str]) -> list[str]:
    """One sentence for each hook that raises NotImplementedError in place of being abstract."""
    return [
        f"{module}:{node.lineno} raises NotImplementedError: make the method an @abstractmethod"
        for module, source in modules.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc)
    ]


def test_one_level_of_inheritance() -> None:
    found = inheritance(read_package(ROOT))
    assert not found, "\n" + "\n".join(found)


def test_hooks_are_abstract() -> None:
    found = unwritten_hooks(read_package(ROOT))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("class A(Task): ...", "tasks/x.py:1 A is an estimator: decorate it with @final"),
        (
            "@final\nclass A(Task): ...\nclass B(A): ...",
            "tasks/x.py:3 B subclasses the estimator A: estimators are final, take it as a part",
        ),
        (
            "class Kit:\n    def fit(self): ...\n@final\nclass A(Task, Kit): ...",
            "tasks/x.py:1 Kit, above A, has methods: only Task may",
        ),
    ],
)
def test_rules_see_inheritance(source: str, sentence: str) -> None:
    assert inheritance({"tasks/x.py": source}) == [sentence]


def test_rules_see_unwritten_hooks() -> None:
    modules = {"cells/x.py": "def f():\n    raise NotImplementedError"}
    assert unwritten_hooks(modules) == ["cells/x.py:2 raises NotImplementedError: make the method an @abstractmethod"]


# ---- every module has its test, and nothing grows without being seen

#: Modules without a test at the mirrored path, by the test that covers them: most are parts of what is tested there.
COVERED = {
    "cells/test_conv_lstm.py": "ops/convolution.py",
    "cli/test_main.py": "__main__.py",
    "cli/test_tables.py": "tasks/base/table_adapter.py tasks/base/table_columns.py",
    "decoding/test_beam_search.py": "ops/state.py",
    "evaluation/test_classification.py": "evaluation/classification_plot.py",
    "tasks/classify/test_targets.py": "evaluation/multilabel.py tasks/base/targets/label_sets.py",
    "features/test_base.py": "features/lists.py layers/embedding.py",
    "features/test_columns.py": "features/category.py features/kinds.py features/multi_input.py",  # several kinds
    "features/test_feature_options.py": "features/vocabulary.py tasks/base/options.py",
    "features/test_imputation.py": "features/resampling.py",
    "features/test_numbers.py": "features/arrays.py features/number.py features/outliers.py",
    "features/test_protocol.py": "features/ngrams.py features/references.py features/registry.py",
    "features/test_words.py": "features/word_chars.py features/word_shape.py",
    "interpret/test_attribution.py": "interpret/attribution_plot.py",
    "interpret/test_diagnose.py": "interpret/diagnosis.py interpret/diagnosis_plot.py interpret/recommendations.py",
    "laws/test_names.py": "__init__.py",
    "laws/test_options_after_fit.py": "tasks/base/fitted.py",
    "laws/test_public_names.py": "tasks/base/public_names.py",
    "laws/test_resume_law.py": "tasks/base/training_run.py training/fit_checks.py",
    "laws/test_word_vectors.py": "tasks/base/word_vectors.py",
    "nn/test_rnn.py": "nn/__init__.py",
    "ops/test_functional.py": "ops/fallback.py",
    "ops/test_saved_tensors.py": "ops/gradients.py",
    "ragged/test_ragged.py": "ragged/arrow.py ragged/from_lists.py validation/columns.py",
    "tasks/base/test_task.py": ("tasks/__init__.py tasks/base/network.py tasks/base/resolve.py"),
    "tasks/classify/test_estimator.py": (
        "evaluation/plots.py tasks/classify/class_weights.py tasks/classify/stacking.py tasks/classify/wide.py"
    ),
    "tasks/classify/test_thresholds.py": "tasks/classify/top.py",
    "tasks/multitask/test_estimator.py": "tasks/multitask/heads.py",
    "tasks/forecast/data/test_time_grid.py": "tasks/forecast/data/zones.py",
    "tasks/forecast/test_estimator.py": (
        "tasks/forecast/direct.py tasks/forecast/encoder.py tasks/forecast/validation.py"
    ),
    "tasks/forecast/test_scale.py": (
        "tasks/forecast/data/covariates.py tasks/forecast/data/panel.py "
        "tasks/forecast/data/sampler.py tasks/forecast/data/windows.py"
    ),  # frames of millions of rows
    "tasks/generate/test_estimator.py": (
        "decoding/sampling.py lm/chunks.py lm/interpolation.py lm/kneser_ney.py tasks/generate/constraints.py "
        "tasks/generate/dynamic_evaluation.py tasks/generate/generation.py"
    ),
    "tasks/pretrain/test_pretrainer.py": "tasks/pretrain/defaults.py tasks/pretrain/objective.py",
    "tasks/transcribe/test_estimator.py": "tasks/transcribe/shallow_fusion.py",
    "tasks/translate/test_estimator.py": "tasks/translate/alignment.py tasks/translate/alignment_plot.py",
    "tasks/translate/test_pairs.py": "tasks/translate/ibm_model1.py tasks/translate/mt_metrics.py",
    "training/test_loop.py": "training/checkpoint.py training/options.py",
    "training/test_tbptt.py": "ragged/chunks.py",
    "validation/test_options.py": "validation/messages.py",
    "validation/test_plain_values.py": (
        "tasks/base/targets/labels.py tasks/base/targets/numbers.py tasks/tag/labels.py"
    ),  # what a target may be
    "laws/test_sample_weight.py": "tasks/base/rows.py",
}
#: Folders whose modules one test runs: every cell of tests/table.py, and every command as a person gives it.
FOLDERS = {"cells": "cells/test_cells.py", "cli": "cli/test_main.py"}
#: Parts of a room that its estimator's test covers, since they do nothing alone.
ROOM_PARTS = {"attribution", "defaults", "inputs", "network", "session", "table"}


def untested(modules: dict[str, str], tests: set[str], covered: dict[str, str]) -> list[str]:
    """One sentence for each module with code of its own and without a test, and for each line of `covered` too many."""
    listed = {module: test for test, names in covered.items() for module in names.split()}
    found = [f"{test} is no test: correct COVERED" for test in covered if test not in tests]
    found += [f"{module} is no module: take it out of COVERED" for module in listed if module not in modules]
    for module, source in modules.items():
        path = Path(module)
        mirrored = path.with_name(f"test_{path.stem}.py").as_posix()
        covering = {FOLDERS.get(path.parts[0], "")}
        if path.stem in ROOM_PARTS:
            covering.add(f"tasks/{room(module)}/test_estimator.py")
        if mirrored in tests and module in listed:
            found.append(f"{module} has a test of its own, {mirrored}: take it out of COVERED")
        elif has_code(source) and not ({mirrored, *covering} & tests or module in listed):
            found.append(f"{module} has no test: write {mirrored}, or say in COVERED which test covers it")
    return found


def has_code(source: str) -> bool:
    """Whether a module holds more than imports, ``__all__`` and its docstring."""
    return any(
        not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
        for node in ast.parse(source).body
    )


def long_functions(modules: dict[str, str], most: int = 60) -> dict[str, int]:
    """The functions of more lines than that, and their lines."""
    return {
        f"{module} {node.name}": node.end_lineno - node.lineno + 1
        for module, source in modules.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.end_lineno and node.end_lineno - node.lineno >= most
    }


def test_every_module_has_a_test() -> None:
    here = Path(__file__).parent
    found = untested(
        read_package(ROOT), {path.relative_to(here).as_posix() for path in here.rglob("test_*.py")}, COVERED
    )
    assert not found, "\n" + "\n".join(found)


def test_rules_see_untested_modules() -> None:
    modules = {"nn/rnn.py": "x = 1", "nn/__init__.py": "from elman.nn.rnn import x", "io/midi.py": "x = 1"}
    assert untested(modules, {"nn/test_rnn.py"}, {"nn/test_rnn.py": "nn/rnn.py io/wave.py", "nn/test_x.py": ""}) == [
        "nn/test_x.py is no test: correct COVERED",
        "io/wave.py is no module: take it out of COVERED",
        "nn/rnn.py has a test of its own, nn/test_rnn.py: take it out of COVERED",
        "io/midi.py has no test: write io/test_midi.py, or say in COVERED which test covers it",
    ]


def test_functions_are_short() -> None:
    found = long_functions(read_package(ROOT))
    assert not found, f"functions of more than 60 lines: {found}"


def test_the_door_and_the_root_are_narrow() -> None:
    assert len(elman.__all__) <= 26, f"elman has {len(elman.__all__)} public names: at most 26"
    flat = [module for module in read_package(ROOT) if "/" not in module]
    assert len(flat) <= 6, f"{', '.join(flat)} lie flat in src/elman: at most 6"
