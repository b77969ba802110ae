"""Threads where they are hard to have: inside another parallel region, in a child after fork. Nothing waits forever.

Each runs in a process of its own, which a deadlock would not outlive.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LAYERS = """
import ctypes, os, sys, torch
from elman.ops import functional as ops

torch.set_num_threads(4)

def layer(cell, lengths, hidden):
    # Results and gradients; of pools too.
    generator = torch.Generator().manual_seed(1)  # not the one that all threads share
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    rows = ops.GATES[cell] * hidden
    shapes = [(sum(lengths), 40), (rows, 40), (rows, hidden)]
    leaves = [torch.randn(shape, generator=generator).div_(8).requires_grad_() for shape in shapes]
    y, h, c = ops.recurrent(cell, leaves[0], offsets, *leaves[1:])
    pooled = ops.linear(ops.pool("attention", y, offsets, y[:, 0]), leaves[2])
    gradients = torch.autograd.grad(pooled.sum() + h.sum() + c.sum(), leaves)
    return [part.detach().clone() for part in (y, h, c, pooled, *gradients)]

CASES = [("lstm", [30] * 20, 64), ("gru", [9, 5], 150), ("lstm", [40], 200)]  # many rows; teams that share columns

def same(answers, others):
    return all(torch.equal(a, b) for one, other in zip(answers, others) for a, b in zip(one, other))
"""

NESTED = """
parallel = ctypes.CDLL("libgomp.so.1").GOMP_parallel  # the runtime that torch and the kernels share
torch.set_num_threads(4)
outside = [layer(*case) for case in CASES]
inside = {}

@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def body(_):
    torch.set_num_threads(4)
    inside[len(inside)] = [layer(*case) for case in CASES]

parallel(body, None, 3, 0)
assert len(inside) == 3, inside.keys()
assert all(same(answers, outside) for answers in inside.values())
"""

FORKED = """
outside = [layer(*case) for case in CASES]  # the threads exist by now
child = os.fork()
if child == 0:
    grandchild = os.fork()
    good = same([layer(*case) for case in CASES], outside)
    if grandchild:
        good = good and os.waitpid(grandchild, 0)[1] == 0
    os._exit(0 if good else 1)
assert os.waitpid(child, 0)[1] == 0
assert same([layer(*case) for case in CASES], outside)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", LAYERS + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: GCC's OpenMP is called by its name on Linux")
def test_inside_another_parallel_region() -> None:
    """There the kernels get fewer threads than they planned with, and the same bits."""
    done = run(NESTED)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT TESTED: no fork on this system")
def test_in_a_child_after_fork() -> None:
    """Where GCC's OpenMP would wait for the threads of the parent."""
    done = run(FORKED)
    assert done.returncode == 0, done.stderr
