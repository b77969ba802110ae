"""The pages do what they say: their Python runs, their commands run, their links and paths lead somewhere.

Examples with >>> are run by test_doctest.py.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from threadpoolctl import threadpool_limits

import elman
from elman.cli.main import main
from elman.tasks import TASKS

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
PAGES = {page.relative_to(ROOT).as_posix(): page for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks: handing them to several threads would cost more than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def blocks(page: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Each fenced block of these languages, with the line it begins in."""
    text = page.read_text("utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if found[1] in languages:
            yield text.count("\n", 0, found.start()) + 2, found[2]


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------- Python


def learning() -> dict[str, Any]:
    """What docs/training.md takes for granted: a model, data, a loss and a measure."""
    x, y = elman.Ragged.of([torch.randn(length, 3) for length in (4, 1, 3, 2)]), torch.tensor([0, 1, 0, 1])

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = elman.GRU(3, 2)

        def forward(self, x: elman.Ragged) -> torch.Tensor:
            return self.cell(x)[1].hidden

    return {
        "x": x,
        "y": y,
        "model": Last(),
        "loss_of": torch.nn.functional.cross_entropy,
        "measure": lambda model: float((model(x).argmax(1) == y).double().mean()),
    }


def sequences() -> dict[str, Any]:
    """What docs/encoder.md takes for granted."""
    x = elman.Ragged.of([torch.randn(length, 100) for length in (3, 0, 5)])
    return {"x": x, "more": x}


GIVEN = {"docs/training.md": learning, "docs/encoder.md": sequences}
SHOWN = re.compile(r"  # ((tensor|Ragged)\(|\[tensor|\[')")  # a comment that shows a value, not one that explains
CODE = [name for name, page in PAGES.items() if any(">>>" not in code for _, code in blocks(page, "python"))]


@pytest.mark.parametrize("name", CODE)
def test_python(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other, and a value shown in a comment is the value."""
    monkeypatch.chdir(tmp_path)
    names = GIVEN.get(name, dict)()
    for first, code in blocks(PAGES[name], "python"):
        if ">>>" in code:
            continue
        lines = code.splitlines()
        for statement in ast.parse(code).body:
            source = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
            place = f"line {first + statement.lineno - 1} of {name}"
            shown = SHOWN.search(source)
            if isinstance(statement, ast.Expr) and shown:
                value = repr(eval(source, names))  # noqa: S307 (our own page)
                said = source[shown.start() + 4 :]
                assert f"{said}  ".startswith(f"{value}  "), f"{place} shows {said}, but the value is {value}"
            else:
                exec(compile(source, place, "exec"), names)  # noqa: S102


def test_values_are_compared() -> None:
    assert sum(len(SHOWN.findall(PAGES[name].read_text("utf-8"))) for name in CODE) >= 5


def test_rows_of_the_readme() -> None:
    """The Python of the table of tasks, with what a reader would have at hand."""
    texts, labels = ["a good film", "a fine film", "a bad film", "a poor film"] * 5, ["+", "+", "-", "-"] * 5
    quick = elman.Classifier(hidden=4, embed=4, epochs=1, verbose=False)
    names = {
        "elman": elman,
        "texts": texts,
        "labels": labels,
        "topics": [["film", "music"], [], ["film"], ["music"]] * 5,
        "clf": quick.fit(texts, labels),
        "model": torch.nn.LSTM(3, 4),
        "sequences": [np.zeros((length, 100), np.float32) for length in (3, 0, 5)],
        "numbers": [1.0, 2.0, 3.0],
        "words": [["a", "dog"], ["dogs", "bark"]],
        "tags": [["DET", "NOUN"], ["NOUN", "VERB"]],
        "english": ["one cat", "two cats"],
        "chinese": ["一只猫", "两只猫"],
        "transcripts": ["a", "", "b"],
        "frame": pl.DataFrame({"unique_id": "a", "ds": range(60), "y": [1.0, 2.0, 3.0] * 20}),
        "table": {"text": [f"{text} {i}" for i, text in enumerate(texts)], "price": list(range(20)), "label": labels},
    }
    rows = re.findall(r"^\| [^|]+ \| `([^`]*elman\.[^`]*|clf[^`]*)` \|", PAGES["README.md"].read_text("utf-8"), re.M)
    assert len(rows) >= 5
    for row in rows:
        tasks = "Classifier|Regressor|Multitask|Generator|Translator"
        quick_row = re.sub(rf"({tasks})\(\)", r"\1(hidden=4, embed=4, epochs=1)", row)
        quick_row = re.sub(r"(Tagger|Transcriber)\(\)", r"\1(hidden=4, channels=4, epochs=1)", quick_row)
        quick_row = quick_row.replace("Forecaster()", "Forecaster(hidden=4, epochs=1)")
        exec(compile(quick_row, row, "exec"), names)  # noqa: S102
    assert names["y"].steps == 8


# ----------------------------------------------------------------------------------------------------------- commands


def commands(name: str) -> list[str]:
    """Lines of shell and untagged blocks that can be typed as they are: without capitals, which stand for a name."""
    lines = [line for _, block in blocks(PAGES[name], "", "sh") for line in block.splitlines()]
    bare = [re.split(r"\s{3,}", line)[0] for line in lines if line.startswith("elman ")]
    return [line for line in bare if not re.search(r"(?<!\S)[A-Z]{3,}(?!\S)", line)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages talk about."""
    rows = [f"a {word} film number {i % 9},{label}" for i in range(40) for word, label in (("good", "+"), ("bad", "-"))]
    for file in ("reviews.csv", "test.csv"):
        (tmp_path / file).write_text("\n".join(["review,label", *rows[: 80 if file == "reviews.csv" else 20]]), "utf-8")
    (tmp_path / "new.csv").write_text("review\na good film\nbad\n", "utf-8")
    (tmp_path / "live.txt").write_text("a\nbad\nfilm\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["README.md", "docs/command-line.md", "docs/demo.md"])
def test_commands(name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed = commands(name)
    assert typed
    if any("demo" in line for line in typed):
        pytest.importorskip("snownlp")
    for line in typed:
        argv, _, file = line.partition(" < ")
        words = shlex.split(argv)[1:]
        words += ["--limit", "200", "--epochs", "1"] if words == ["demo"] else []
        content = Path(file).read_bytes() if file else b""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        code = main(words)
        out, err = capsys.readouterr()
        assert code == 0, f"{line}: {err}"
        assert out or "--out" in line, f"{line} prints nothing"
        if "stream" in line:
            assert len(out.splitlines()) == 3


def test_targets_of_make() -> None:
    """Every `make something` on a page is a target."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name, page in PAGES.items():
        text = page.read_text("utf-8")
        asked = set(re.findall(r"`make ([a-z]+)[^`]*`|^make ([a-z]+)", text, re.MULTILINE))
        named = {a or b for a, b in asked}
        assert named <= targets, f"{name} speaks of make {named - targets}"


def test_flags() -> None:
    """A flag of elman that a page names is one that some command has."""
    files = (ROOT / "src/elman/cli").glob("*.py")
    known = set(re.findall(r"\b\w+\b", "".join(file.read_text("utf-8") for file in files)))
    known |= {option.replace("_", "-") for task in TASKS.values() for option in task().get_params()}
    for name in ("README.md", "docs/command-line.md", "docs/demo.md", "docs/training.md", "docs/tasks/classify.md"):
        for flag in re.findall(r"(?<![\w-])--([a-z][a-z-]+)", PAGES[name].read_text("utf-8")):
            plain = flag.removeprefix("no-")
            assert plain in known or plain.replace("-", "_") in known, f"{name} names --{flag}, which no command has"


# -------------------------------------------------------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The names that headings have on the web: lower case, words joined by hyphens."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_links(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[name])):
        if re.match(r"https?:|mailto:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (PAGES[name].parent / file).resolve() if file else PAGES[name]
        assert target.is_relative_to(ROOT), f"{name}: {link} leads out of the project"
        assert target.exists(), f"{name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{name}: {file} has no heading for #{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_paths(name: str) -> None:
    """A path in backquotes, such as `src/elman/ragged.py`, is there."""
    for path in re.findall(r"`((?:src|csrc|tests|bench|docs|examples)/[\w./-]*)`", PAGES[name].read_text("utf-8")):
        assert (ROOT / path).exists(), f"{name} speaks of {path}, which is not there"


def test_every_page_is_linked() -> None:
    reached, todo = set(), [PAGES["README.md"]]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))]
        found = [(page.parent / link).resolve() for link in links if link.endswith((".md", "/")) and "://" not in link]
        targets = [page for target in found for page in (sorted(target.glob("*.md")) if target.is_dir() else [target])]
        todo += [target for target in targets if target.exists()]
    alone = {name for name, page in PAGES.items() if page not in reached} - {"CHANGELOG.md"}
    assert not alone, f"no link from README.md leads to {sorted(alone)}"


@pytest.mark.parametrize("page", READMES)
def test_tree_of_the_readme(page: str) -> None:
    """The annotated tree names only what is there, and leaves out no folder in which people put files."""
    (tree,) = (block for _, block in blocks(PAGES[page], "") if "src/elman/" in block)
    folder, named = ROOT, set()
    for line in tree.splitlines():
        inside = line.startswith(" ")
        head = re.split(r"\s{2,}", line.strip())[0].split()
        for name in head:
            path = (folder if inside else ROOT) / name
            assert path.exists(), f"the tree of {page} names {name}, which is not in {path.parent.name}/"
            named.add(path)
        if not inside:
            folder = ROOT / head[0]
    folders = ["csrc", *(f"src/elman/{name}" for name in ("cells", "features", "tasks"))]
    missing = [name for name in [*folders, "tests", "bench", "docs", "examples"] if ROOT / name not in named]
    assert not missing, f"the tree of {page} leaves out {missing}"


# ----------------------------------------------------------------------------------------------- the compiled cells

CELLS_OF_THE_CORE = (ROOT / "csrc/cells.h").read_text("utf-8")


def test_notation_of_the_core() -> None:
    """The symbols at the top of csrc/cells.h mean what docs/notation.md says, which leaves none of them out."""
    block = CELLS_OF_THE_CORE.partition("docs/notation.md):\n")[2].partition("\n// d*")[0]
    table: dict[str, str] = {}
    for line in PAGES["docs/notation.md"].read_text("utf-8").splitlines():
        if not line.startswith("| "):
            continue
        row = line.strip("| ").split(" | ")
        symbols = row[0].split(", ")
        names = re.findall(r"`(\w+)`", row[-1]) if len(symbols) > 1 else [row[1].partition(",")[0]]
        table |= dict(zip(symbols, names, strict=False))
    found = re.findall(r"(\w+) {2,}(\w[\w -]*?)(?= {2}|$)", block, re.MULTILINE)
    assert [symbol for symbol, _ in found] == ["x_t", "W", "b_ih", "h_t", "U", "b_hh", "c_t", "a_i"]
    for symbol, meaning in found:
        assert table[symbol].startswith(meaning), f"{symbol} is {meaning} in csrc/cells.h, {table[symbol]} in the docs"


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_equations_of_the_core(cell: str) -> None:
    """A cell's equations in csrc/cells.h are those of its page, line by line."""
    (_, block), *_ = blocks(PAGES[f"docs/cells/{cell}.md"], "")
    equations = [re.split(r" {4,}", line)[0].strip() for line in block.splitlines()]
    lines = re.findall(r"^// (\w_t = .*?)(?: {4,}.*)?$", CELLS_OF_THE_CORE, re.MULTILINE)
    missing = [line for line in equations if line not in ("y_t = h_t", *lines)]
    assert len(equations) > 2
    assert not missing, f"csrc/cells.h has no {missing}"


# ------------------------------------------------------------------------------------------------------ two languages


def asked(code: str) -> list[str]:
    """What a block does, in whatever language its words and comments are: commands as typed, Python by its calls."""
    lines = [line.split("#")[0].strip() for line in code.splitlines()]
    if "import elman" not in code and "elman." not in code and "=" not in code:
        return [line for line in lines if line]
    return re.findall(r"\b[a-z_]+=[\w.\"]+|\b[\w.]+\(|^from .*|^import .*", "\n".join(lines), re.MULTILINE)


ALIKE = {
    "headings": lambda text: re.findall(r"^(#+) ", text, re.MULTILINE),
    "blocks": lambda text: re.findall(r"^```(\w+)$", text, re.MULTILINE),
    "bullets": lambda text: re.findall(r"^- \*\*", text, re.MULTILINE),
    "rows of tables": lambda text: [
        (re.findall(r"`[^`]+`|\*\*[^*]+\*\*", line), sorted(re.findall(r"\d+(?:\.\d+)?", line)), line.count("|"))
        for line in text.splitlines()
        if line.startswith("|")
    ],
    "links": lambda text: sorted(
        link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "README." not in link
    ),
    "figures that were measured": lambda text: sorted(
        re.findall(r"\d+(?:\.\d+)?", text.partition("<!-- measured -->")[2].partition("<!-- /measured -->")[0])
    ),
}


@pytest.mark.parametrize("what", ALIKE)
def test_the_readmes_are_in_step(what: str) -> None:
    """What is in README.md is in README.zh-CN.md, in the same order, with the same figures."""
    english, chinese = (PAGES[name].read_text("utf-8") for name in READMES)
    assert ALIKE[what](english) == ALIKE[what](chinese), f"README.md and README.zh-CN.md differ in their {what}"


def test_the_programs_of_the_readmes_are_in_step() -> None:
    """The same commands and the same calls; texts, labels and comments are each page's own."""
    pairs = zip(*(blocks(PAGES[name], "python", "sh", "bash") for name in READMES), strict=True)
    for (line, english), (_, chinese) in pairs:
        assert asked(english) == asked(chinese), f"the block at line {line} of README.md is another in README.zh-CN.md"


def test_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    """The accuracies in bold under "Language and sound" stand in bench/RESULTS.md."""
    measured = (ROOT / "bench/RESULTS.md").read_text("utf-8")
    data = "English-EWT|WNUT|proteins|tiny shakespeare|jueju|JSB|Multi30k|Tatoeba|AN4|FSDD|IMDb, after"
    for row in re.findall(rf"^\| (?:{data}).*", PAGES["README.md"].read_text("utf-8"), re.MULTILINE):
        (figure,) = re.findall(r"\*\*([\d.]+)\*\*", row)
        assert f"**{figure}**" in measured or f"| {figure} |" in measured, f"bench/RESULTS.md has no {figure}: {row}"
