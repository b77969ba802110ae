"""The table holds everything that exists, and everything that exists has its file, its test and its page."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import elman.cells
from elman.cells import CELLS, Cell
from elman.layers import pooling
from elman.ops import functional as ops
from table import CELLS as ROWS
from table import FEATURES, INFERRED, POOLS, TASKS, VARIANTS, pairwise

ROOT = Path(__file__).parents[1]
#: Features that `infer` takes for themselves or, as INFERRED says, for another; others are chosen by their name.
KNOWN = ("text", "tokens", "words", "numbers", "images", "sound", "chords")


def classes_in(package: object, base: type) -> set[type]:
    """Every public concrete class under a package that derives from `base`, wherever its file."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]  # type: ignore[attr-defined]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]  # type: ignore[attr-defined]
    ensemble_size = {member for module in modules for _, member in inspect.getmembers(module, inspect.isclass)}
    return {
        m
        for m in ensemble_size
        if issubclass(m, base) and not inspect.isabstract(m) and m is not base and m.__name__[0] != "_"
    }


def say(missing: object, where: str) -> str:
    return f"{sorted(map(str, missing))} missing in {where}"  # type: ignore[call-overload]


def test_every_cell_that_exists_is_registered() -> None:
    made = {c for c in classes_in(elman.cells, Cell) if hasattr(c, "state_type")}
    missing = {c.__name__ for c in made - set(CELLS.values())}
    assert not missing, say(missing, "elman.cells.CELLS")


def test_every_cell_has_a_row() -> None:
    assert set(CELLS) == set(ROWS), say(set(CELLS) ^ set(ROWS), "tests/table.py or elman.cells.CELLS")
    assert {name: row.cell for name, row in ROWS.items()} == CELLS


def test_every_kernel_has_a_cell() -> None:
    kernels = {getattr(row.cell, "kernel", name) for name, row in ROWS.items()}
    missing = {*ops.GATES, *ops.SCANS} - kernels
    assert not missing, say(missing, "elman.cells.CELLS")


def test_every_candidate_has_a_row() -> None:
    for name in ("min_gru", "min_lstm"):
        rows = [row for row in VARIANTS.values() if row.cell is CELLS[name]]
        found = {row.options.get("candidate", "linear") for row in rows}
        assert found == set(ops.CANDIDATES), say(found ^ set(ops.CANDIDATES), "tests/table.py")


def test_every_pool_has_a_row() -> None:
    assert set(pooling.POOLS) == set(POOLS), say(
        set(pooling.POOLS) ^ set(POOLS), "tests/table.py or elman.layers.pooling.POOLS"
    )


def test_every_feature_has_a_row_and_takes_its_column() -> None:
    features = importlib.import_module("elman.features")
    found = {f.kind for f in classes_in(features, features.Feature)}
    assert found == set(features.FEATURES), say(found ^ set(features.FEATURES), "elman.features.FEATURES")
    assert found == set(FEATURES), say(found ^ set(FEATURES), "tests/table.py")
    for kind, column in FEATURES.items():
        made = features.FEATURES[kind]().take_options({"rate": 8000})
        assert len(made.fit_transform(column)) == len(column)
    known = {kind: column for kind, column in FEATURES.items() if kind in KNOWN}
    for kind, column in known.items():
        assert features.infer(column).kind == INFERRED.get(kind, kind)


def test_every_task_has_a_row() -> None:
    tasks = importlib.import_module("elman.tasks").TASKS
    assert set(tasks) == set(TASKS), say(set(tasks) ^ set(TASKS), "tests/table.py or elman.tasks.TASKS")


def test_every_cell_has_its_file_and_its_page() -> None:
    for row in ROWS.values():
        file = Path(inspect.getfile(row.cell))
        assert file.parent.name == "cells"
        page = ROOT / "docs" / "cells" / f"{file.stem}.md"
        assert page.exists(), f"{row.cell.__name__} has no page {page.relative_to(ROOT)}"
        assert f"`{row.cell.__name__}" in page.read_text(encoding="utf-8"), f"{page.name} does not name {row.cell}"


def test_every_task_has_its_page() -> None:
    missing = [f"docs/tasks/{verb}.md" for verb in TASKS if not (ROOT / f"docs/tasks/{verb}.md").exists()]
    assert not missing, say(missing, "docs")


def test_every_feature_has_its_page() -> None:
    missing = [f"docs/features/{kind}.md" for kind in FEATURES if not (ROOT / f"docs/features/{kind}.md").exists()]
    assert not missing, say(missing, "docs")


def test_pairwise_covers_every_pair() -> None:
    choices = ([1, 2, 3], "ab", [True, False], "wxyz")
    rows = pairwise(*choices)
    assert len(rows) < 3 * 2 * 2 * 4 / 2
    for i in range(4):
        for j in range(i):
            assert {(row[i], row[j]) for row in rows} == {(a, b) for a in choices[i] for b in choices[j]}
