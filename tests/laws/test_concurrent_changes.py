"""What another thread changes while a call runs: checked and used as it was at one moment, never read again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from agree import same_bits
from elman.errors import ShapeError
from elman.layers.encoder import Encoder
from table import TWINS

# Each runs in a process of its own: what goes wrong here ends the process.
STEPPERS = """
import sys, threading, torch
from elman.cells import GRU
from elman.errors import ShapeError

sys.setswitchinterval(1e-5)
stepper = GRU(4, 64).stepper(sequences=64)

def work(count):
    for _ in range(200):
        for call in (lambda: stepper.select([0] * count), lambda: stepper.step(torch.zeros(64, 4)),
                     lambda: stepper.step(torch.zeros(1, 4), rows=[count - 1]), stepper.reset):
            try:
                call()
            except ShapeError:
                pass
        assert len({len(part) for part in stepper.state}) == 1

threads = [threading.Thread(target=work, args=(count,)) for count in (1, 64, 1, 64)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
stepper.step(torch.zeros(stepper.sequences, 4))
"""

ADDRESSES = """
import sys, threading, torch
from elman.ops import functional as ops

sys.setswitchinterval(1e-5)
offsets, index = torch.tensor([0, 70, 200]), torch.zeros(200, dtype=torch.int64)
x, w, u = torch.randn(200, 4), torch.randn(16, 4), torch.randn(16, 4)
running = True

def change():
    while running:
        offsets[1], index[100] = 2**62, 2**62
        offsets[1], index[100] = 70, 0

thread = threading.Thread(target=change)
thread.start()
try:
    for _ in range(150):
        for call in (
            lambda: ops.recurrent("lstm", x, offsets, w, u),
            lambda: ops.recurrent("lstm", x[:1], offsets, w, u, index=index),
            lambda: ops.pool("mean", x, offsets),
            lambda: ops.scan("min_gru", x, offsets),
            lambda: torch.ops.elman.collect(x, index, 1),
        ):
            try:
                call()
            except ValueError:
                pass
finally:
    running = False
    thread.join()
"""


@pytest.mark.parametrize("code", [STEPPERS, ADDRESSES], ids=["steppers", "addresses"])
def test_no_memory_is_touched_that_was_not_checked(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


class Restless:
    """A compiled stepper that another thread selects anew as soon as its number of sequences was asked for."""

    def __init__(self, kernel: Any, counts: Iterator[int]) -> None:
        self.kernel, self.counts = kernel, counts

    @property
    def sequences(self) -> int:
        found = int(self.kernel.sequences)
        if (count := next(self.counts, None)) is not None:
            self.kernel.select(np.zeros(count, np.int64))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kernel, name)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("counts", [(1, 64), (64, 1), (1, 64, 1, 64)])
def test_the_room_for_a_result_is_that_of_one_moment(name: str, counts: tuple[int, ...]) -> None:
    stepper = TWINS[name].cell(3, 4).stepper(2)
    stepper._kernel = Restless(stepper._kernel, iter(counts))
    stepper.select([0, 0])
    array, tensor, _, count, shape = stepper._out
    assert len(array) == len(tensor) == count == shape[0]
    assert stepper.step(torch.zeros(stepper.sequences, 3)).shape == (stepper.sequences, 4)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("counts", [(1,), (64,), (1, 64, 5)])
def test_a_state_is_that_of_one_moment(name: str, counts: tuple[int, ...]) -> None:
    stepper = Encoder(3, [4, 5], name).stepper(2)
    stepper._kernel = Restless(stepper._kernel, iter(counts))
    rows = {len(part) for (one,) in stepper.state for part in one}
    assert rows == {counts[-1]}


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    stepper = Encoder(3, [4, 5], "lstm").stepper(2)
    stepper.step(torch.randn(2, 3))
    before = stepper.state
    first, second = before
    wrong = type(second[0])(second[0].hidden, torch.zeros(2, 6))
    with pytest.raises(ShapeError):
        stepper.state = (first[0]._replace(hidden=torch.ones(2, 4)),), (wrong,)
    assert same_bits(stepper.state, before)
