"""Five thousand calls, right ones and refused ones, take no more memory than the first fifteen hundred."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from elman import ops
from elman.errors import OptionError, ShapeError

CALLS, WARM = 5_000, 1_500
#: Bytes that memory may grow by after the warming up: 37 a call, so that no object may be left behind in each. The
#: allocator's own unrest was 60 KiB at most.
BOUND = 128 * 1024

OFFSETS = torch.tensor([0, 3, 3, 8])
X, WEIGHT_IH, WEIGHT_HH = torch.randn(8, 3), torch.randn(16, 3), torch.randn(16, 4)
LEAVES = [t.clone().requires_grad_() for t in (X, WEIGHT_IH, WEIGHT_HH, torch.randn(2, 4))]


def train() -> None:
    """A step through every operator that has a way back."""
    x, weight_ih, weight_hh, weight = LEAVES
    y, h, c = ops.recur("lstm", x, OFFSETS, weight_ih, weight_hh)
    pooled = ops.pool("attention", y, OFFSETS, y[:, 0])
    torch.autograd.grad(ops.linear(pooled, weight).sum() + h.sum() + c.sum(), LEAVES)


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], None]:
    def attempt() -> None:
        with contextlib.suppress(ShapeError, OptionError):
            call(*arguments, **options)
            raise AssertionError("this call should be refused")

    return attempt


CASES: dict[str, Callable[[], Any]] = {
    "forward": lambda: ops.recur("gru", X, OFFSETS, WEIGHT_IH[:12], WEIGHT_HH[:12]),
    "training": train,
    "refused in Python": refused(ops.recur, "rnn", X, OFFSETS, WEIGHT_IH, WEIGHT_HH),
    "refused offsets": refused(ops.recur, "lstm", X, OFFSETS + 1, WEIGHT_IH, WEIGHT_HH),
    "refused type": refused(ops.recur, "lstm", X.double(), OFFSETS, WEIGHT_IH, WEIGHT_HH),
    "refused set": refused(ops.choose_set, "mmx"),
    "refused pool": refused(ops.pool, "median", X, OFFSETS),
}


def resident() -> int:
    """Bytes of this process in memory, what the allocator could give back apart."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: the size of a process is read as Linux tells it")
@pytest.mark.parametrize("name", CASES)
def test_memory_is_flat(name: str) -> None:
    call = CASES[name]
    for _ in range(WARM):
        call()
    before = resident()
    for _ in range(CALLS - WARM):
        call()
    assert resident() - before < BOUND
