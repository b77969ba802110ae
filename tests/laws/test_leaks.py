"""Two thousand calls, right ones and refused ones, take no more memory than the first five hundred."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops

CALLS, WARM = 2_000, 500
#: Bytes, and objects of Python, that may be left after the warming up: less than one a call. Measured: 6 KB and 800
#: objects after training, whose graph torch frees a little later; nothing after anything else.
BYTES, BLOCKS = 16 * 1024, 1_200

OFFSETS = torch.tensor([0, 3, 3, 8])
X, WEIGHT_IH, WEIGHT_HH = torch.randn(8, 3), torch.randn(16, 3), torch.randn(16, 4)
LEAVES = [t.clone().requires_grad_() for t in (X, WEIGHT_IH, WEIGHT_HH, torch.randn(2, 4))]


def train() -> None:
    """A step through every operator that has a way back."""
    x, weight_ih, weight_hh, weight = LEAVES
    y, h, c = ops.recurrent("lstm", x, OFFSETS, weight_ih, weight_hh)
    pooled = ops.pool("attention", y, OFFSETS, y[:, 0])
    torch.autograd.grad(ops.linear(pooled, weight).sum() + h.sum() + c.sum(), LEAVES)


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], None]:
    def attempt() -> None:
        with contextlib.suppress(ShapeError, OptionError):
            call(*arguments, **options)
            raise AssertionError("this call should be refused")

    return attempt


CASES: dict[str, Callable[[], Any]] = {
    "forward": lambda: ops.recurrent("gru", X, OFFSETS, WEIGHT_IH[:12], WEIGHT_HH[:12]),
    "training": train,
    "refused in Python": refused(ops.recurrent, "rnn", X, OFFSETS, WEIGHT_IH, WEIGHT_HH),
    "refused offsets": refused(ops.recurrent, "lstm", X, OFFSETS + 1, WEIGHT_IH, WEIGHT_HH),
    "refused type": refused(ops.recurrent, "lstm", X.double(), OFFSETS, WEIGHT_IH, WEIGHT_HH),
    "refused set": refused(ops.choose_set, "mmx"),
    "refused pool": refused(ops.pool, "median", X, OFFSETS),
}


class Mallinfo(ctypes.Structure):
    """What glibc's allocator tells of itself: ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def in_use() -> tuple[int, int]:
    """Bytes that were asked of the allocator and not given back, and objects of Python: no matter what it keeps."""
    gc.collect()
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Mallinfo
    told = ask()
    return told.uordblks + told.hblkhd, sys.getallocatedblocks()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="NOT TESTED: glibc before 2.33, or none")
@pytest.mark.parametrize("name", CASES)
def test_memory_is_flat(name: str) -> None:
    call = CASES[name]
    for _ in range(WARM):
        call()
    before = in_use()
    for _ in range(CALLS - WARM):
        call()
    grown = [after - old for after, old in zip(in_use(), before, strict=True)]
    assert grown[0] < BYTES
    assert grown[1] < BLOCKS
