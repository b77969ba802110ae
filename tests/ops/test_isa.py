"""Instruction sets: what was built, what was found, how one is forced, and that an impossible wish is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from elman.errors import OptionError
from elman.ops import functional as ops
from table import SETS


@pytest.fixture(autouse=True)
def choice() -> Iterator[None]:
    """Puts the choice back."""
    yield
    ops.choose_set()


def test_the_fastest_set_found_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELMAN_ISA", raising=False)
    ops.choose_set()
    assert ops.info()["chosen"] == SETS[-1]


def test_what_info_tells() -> None:
    info = ops.info()
    assert set(info) == {"version", "processor", "built", "found", "chosen", "lanes", "bfloat16", "threads", "compiler"}
    assert set(info["found"]) <= set(info["built"])
    assert "generic" in info["found"], "plain code runs anywhere"
    assert info["chosen"] in info["found"]
    assert info["lanes"] in (4, 8, 16)


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_chosen_by_name_and_by_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ops.choose_set(name)
    assert ops.info()["chosen"] == name
    monkeypatch.setenv("ELMAN_ISA", name)
    ops.choose_set()
    assert ops.info()["chosen"] == name


def test_an_unknown_name_is_refused_and_changes_nothing() -> None:
    before = ops.info()["chosen"]
    with pytest.raises(OptionError) as error:
        ops.choose_set("mmx")
    built = ", ".join(ops.info()["built"])
    assert str(error.value) == (
        f"ELMAN_ISA=mmx names no instruction set of this build, which has {built}. "
        "Unset ELMAN_ISA or choose one of those."
    )
    assert ops.info()["chosen"] == before


def test_a_set_that_the_processor_lacks_is_refused() -> None:
    missing = [name for name in ops.info()["built"] if name not in SETS]
    if not missing:
        pytest.skip("NOT TESTED: this processor has every instruction set that was built, so none is impossible here")
    with pytest.raises(OptionError) as error:
        ops.choose_set(missing[0])
    assert str(error.value) == (
        f"ELMAN_ISA={missing[0]} is impossible here: this processor has {', '.join(SETS)}. "
        "Unset ELMAN_ISA or choose one of those."
    )


def run(isa: str) -> subprocess.CompletedProcess[str]:
    """A fresh process with ELMAN_ISA set from its beginning."""
    code = (
        "import torch, elman; from elman.ops import functional as ops; "
        "y, _ = elman.LSTM(3, 4)(elman.Ragged.of([torch.ones(5, 3)])); print(ops.info()['chosen'], *y.values.shape)"
    )
    environment = os.environ | {"ELMAN_ISA": isa}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_a_process_obeys_the_variable() -> None:
    assert run("generic").stdout.split() == ["generic", "5", "4"]


def test_a_process_refuses_an_impossible_variable() -> None:
    answer = run("avx1024")
    assert answer.returncode == 1, "an error, not a crash and not another set in silence"
    assert "ELMAN_ISA=avx1024 names no instruction set of this build, which has generic" in answer.stderr
