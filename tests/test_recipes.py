"""The recipes of CONTRIBUTING, followed: a cell, a feature and a task are added to a copy of the project.

What each of them adds lies in tests/recipes/, at the paths that it has in the project; lines added to files that exist
stand in `LINES`. The files touched must be those that CONTRIBUTING names, and the laws must hold for what was
added.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "tests" / "recipes"
#: What `<cell>`, `<feature>` and `<task>` of CONTRIBUTING are here.
NAMES = {"cell": "leaky", "feature": "bits", "task": "events"}
#: Lines that are added to files that exist: file, the line that they stand before, and what they are.
LINES: dict[str, list[tuple[str, str, str]]] = {
    "cell": [
        ("src/elman/cells/__init__.py", "from elman.cells.ln_lstm ", "from elman.cells.leaky import Leaky\n"),
        ("src/elman/cells/__init__.py", '    "rnn": RNN,', '    "leaky": Leaky,\n'),
    ],
    "feature": [
        ("src/elman/features/registry.py", "from elman.features.category ", "from elman.features.bits import Bits\n"),
        ("src/elman/features/registry.py", "        Text,\n", "        Bits,\n"),
    ],
    "task": [
        (
            "src/elman/tasks/__init__.py",
            "from elman.tasks.forecast.est",
            "from elman.tasks.events.table import EventTable\n",
        ),
        ("src/elman/tasks/__init__.py", "        ClassifyTable,\n", "        EventTable,\n"),
    ],
}
#: The most files that each may touch.
MOST = {"cell": 3, "compiled cell": 9, "feature": 4, "task": 5}
#: The laws that are run on the copy: files of tests, and which of their tests.
LAWS = {
    "cell": (["tests/test_table.py", "tests/cells/test_cells.py"], "leaky or test_every_cell"),
    "feature": (
        ["tests/test_table.py", "tests/features/test_bits.py", "tests/features/test_protocol.py"],
        "bits or test_every_feature",
    ),
    "task": (
        [
            "tests/test_table.py", "tests/tasks/events", "tests/laws/test_second_fit.py",
            "tests/laws/test_resume_law.py",
        ],
        "events or test_every_task",
    ),
}  # fmt: skip
#: What a user does with it, in a folder of its own; prints "done".
USES = {
    "cell": """
from elman.tasks import Classifier, load
Classifier(cell="leaky", hidden=4, epochs=1, verbose=False).fit([[1.0, 2.0], [3.0]] * 4, ["a", "b"] * 4).save("model")
assert type(load("model").network_.encoder.layers[0][0]).__name__ == "Leaky"
""",
    "feature": """
from elman.tasks import Regressor, load
reg = Regressor(feature="bits", hidden=4, epochs=1, verbose=False).fit([[1, 255], [7], []] * 3, list(range(9)))
reg.save("model")
assert load("model").predict([[1], [2, 3]]).tolist() == reg.predict([[1], [2, 3]]).tolist()
assert load("model").feature_.describe() == "bits, 9 steps"
""",
    "task": """
import json, elman
from elman.cli.main import main
rows = [{"x": [1.0] * n, "n": n} for n in range(1, 9)]
open("data.jsonl", "w").write("\\n".join(map(json.dumps, rows)))
assert main(["fit", "events", "data.jsonl", "--target", "n", "--epochs", "1", "--out", "model"]) in (0, None)
assert main(["score", "model", "data.jsonl", "--baseline"]) in (0, None)
assert elman.EventCounter.task == "events"
assert type(elman.load("model")).__name__ == "EventCounter"
""",
}
#: Runs what follows on the copy, also where the installed package would be found before it.
RUN = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__]
sys.path.insert(0, sys.argv.pop(1))
import elman
assert elman.__file__.startswith(sys.path[0]), elman.__file__
"""


def named_files(what: str) -> list[str]:
    """The files that CONTRIBUTING names under "Add a ...", in their order."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition(f"\n## Add a {what}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, but for what Python and the tests leave behind."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".so"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    """A copy in which the recipes were followed one after the other, and the files that each of them changed."""
    copy = tmp_path_factory.mktemp("project")
    leave = shutil.ignore_patterns("__pycache__", "*.so", "recipes", ".*")
    for name in ("src", "tests", "docs", "csrc"):
        shutil.copytree(ROOT / name, copy / name, ignore=leave)
    for path in [*ROOT.glob("*.md"), ROOT / "pyproject.toml"]:
        shutil.copy(path, copy)
    import elman._kernels as kernels

    shutil.copy(str(kernels.__file__), copy / "src" / "elman")
    touched = {}
    for recipe in NAMES:
        before = contents(copy)
        shutil.copytree(RECIPES / recipe, copy, dirs_exist_ok=True, ignore=leave)
        for name, place, line in LINES[recipe]:
            text = (copy / name).read_text("utf-8")
            assert text.count(place) == 1, f"{name} has not one {place!r}"
            (copy / name).write_text(text.replace(place, line + place), encoding="utf-8")
        after = contents(copy)
        touched[recipe] = {name for name in after if after[name] != before.get(name)}
    return copy, touched


def python(copy: Path, code: str, *arguments: str) -> str:
    """What a program prints that is run on the copy; it must end well."""
    run = [sys.executable, "-c", RUN + code, str(copy / "src"), *arguments]
    done = subprocess.run(run, cwd=copy, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("recipe", NAMES)
def test_a_recipe_touches_the_files_it_names(recipe: str, followed: tuple[Path, dict[str, set[str]]]) -> None:
    named = [name.replace(f"<{recipe}>", NAMES[recipe]) for name in named_files(recipe)]
    assert followed[1][recipe] == {*named}
    assert len(named) <= MOST[recipe]


def test_what_the_recipes_bring_is_used(followed: tuple[Path, dict[str, set[str]]]) -> None:
    assert "done" in python(followed[0], "".join(USES.values()) + "print('done')")


def test_the_laws_hold_for_what_the_recipes_bring(followed: tuple[Path, dict[str, set[str]]]) -> None:
    files = dict.fromkeys(file for files, _ in LAWS.values() for file in files)
    chosen = " or ".join(f"({name})" for _, name in LAWS.values())
    laws = ["-q", "-p", "no:cacheprovider", "-k", chosen]
    found = python(followed[0], "import pytest; sys.exit(pytest.main(sys.argv[1:]))", *files, *laws, "-rA")
    for recipe, name in NAMES.items():
        assert re.search(rf"PASSED .*{name}", found), f"no law was run for the {recipe}"


def test_the_recipe_of_a_compiled_cell_names_the_files_that_know_one() -> None:
    """GRU is a compiled cell: the files in which it is listed as such are those of the recipe, and no other."""
    named = named_files("compiled cell")
    core = {path for path in named if path.startswith("csrc/")}
    listing = re.compile(r'CellKind::gru|"gru", \d|\bCellKind : int')
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "csrc").iterdir()
        if listing.search(path.read_text("utf-8"))
    }
    assert found == core
    assert all((ROOT / path.replace("<cell>", "gru")).exists() for path in named)
    assert all("gru" in (ROOT / path.replace("<cell>", "gru")).read_text("utf-8").lower() for path in named)
    assert len(named) <= MOST["compiled cell"]
