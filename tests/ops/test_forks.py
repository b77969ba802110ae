"""Forked processes, in which the threads of polars are gone: what works there does not hang, what cannot says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from elman import Classifier, Forecaster
from elman.errors import DataError
from elman.io.tables import read_table, write_table

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
QUICK: dict[str, Any] = {"epochs": 1, "hidden": 4, "verbose": False, "seed": 0}
ROWS: dict[str, list[Any]] = {
    "unique_id": ["a"] * 30 + ["b"] * 30,
    "ds": [f"2024-03-{day:02}T00:00:00+05:30" for day in range(1, 31)] * 2,
    "y": [1.0, 2.0, 3.0] * 20,
    "kind": ["u", "v"] * 30,
}
LATER = {"unique_id": ["a"], "ds": ["2024-03-31T00:00:00+05:30"], "y": [1.0], "kind": ["u"]}


def frame(library: str, rows: dict[str, list[Any]] = ROWS) -> Any:
    made = pl.DataFrame(rows)
    if library != "polars":
        pytest.importorskip(library)
    return made.to_pandas() if library == "pandas" else made.to_arrow() if library == "pyarrow" else made


def forked(work: Callable[[], Any]) -> str:
    """What the work says in a forked process; "hangs" where it does not end. The threads of polars run before."""
    pl.Series(["a"]).str.strip_chars()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            torch.set_num_threads(1)
            said = repr(work())
        except BaseException as error:  # the child must end here
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    return said if os.waitpid(child, 0)[1] == 0 else "hangs"


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster(horizon=3, season=3, past="kind", experts=2, ensemble_size=1, **QUICK).fit(frame("polars"))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_forecasts(library: str, forecaster: Forecaster) -> None:
    given, later = frame(library), frame(library, LATER)
    wanted = repr(forecaster.predict(frame=given))
    assert forked(lambda: forecaster.predict(frame=given)) == wanted
    assert forked(lambda: forecaster.cross_validation(given, refit=False)).count("Error") == 0
    assert forked(lambda: forecaster.update(later).predict()).count("Error") == 0
    assert "mae" in forked(lambda: forecaster.evaluate(later))


def test_learning(forecaster: Forecaster) -> None:
    options = {**QUICK, "experts": 2, "ensemble_size": 1}
    wanted = repr(forecaster.predict())
    again = forked(lambda: Forecaster(horizon=3, season=3, past="kind", **options).fit(frame("polars")).predict())
    assert again == wanted


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_of_texts(library: str) -> None:
    given = frame(library, {"text": ["a film", "bad", "good", "so so"]})
    model = Classifier(**QUICK).fit(given, ["p", "n", "p", "n"])
    assert forked(lambda: model.predict_proba(given)) == repr(model.predict_proba(given))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_tables_are_refused_at_once(name: str, tmp_path: Path) -> None:
    table = pl.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    write_table(table, tmp_path / name)
    for work in (lambda: read_table(tmp_path / name), lambda: write_table(table, tmp_path / f"new-{name}")):
        said = forked(work)
        assert said.startswith("DataError: ")
        assert "multiprocessing.set_start_method('spawn')" in said
    assert not (tmp_path / f"new-{name}").exists()
    assert read_table(tmp_path / name).frame.height == 2


def test_a_child_of_a_process_without_those_threads_may_read(tmp_path: Path) -> None:
    from elman.ops import forks

    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_text("polars-ooc-clea\n")
    assert not forks.are_running(tmp_path)
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "comm").write_text("polars-0\n")
    assert forks.are_running(tmp_path)
    assert forks.are_running(tmp_path / "nothing")


def test_refused_after_a_fork_alone() -> None:
    from elman.ops.forks import refuse_without_threads

    refuse_without_threads("This")
    assert forked(lambda: refuse_without_threads("This")).startswith("DataError: This needs the threads of polars")
    with pytest.raises(DataError, match="no such file"):
        read_table("nothing.csv")
