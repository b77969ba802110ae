"""Threads where they are hard to have: inside another parallel region. Nothing waits forever.

It runs in a process of its own, which a deadlock would not outlive.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

LAYERS = """
import ctypes, torch
from elman import ops

torch.set_num_threads(4)

def layer(cell, lengths, hidden):
    # Results and gradients; of pools too.
    generator = torch.Generator().manual_seed(1)  # not the one that all threads share
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    rows = ops.GATES[cell] * hidden
    shapes = [(sum(lengths), 40), (rows, 40), (rows, hidden)]
    leaves = [torch.randn(shape, generator=generator).div_(8).requires_grad_() for shape in shapes]
    y, h, c = ops.recur(cell, leaves[0], offsets, *leaves[1:])
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


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", LAYERS + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: GCC's OpenMP is called by its name on Linux")
def test_inside_another_parallel_region() -> None:
    """There the kernels get fewer threads than they planned with, and the same bits."""
    done = run(NESTED)
    assert done.returncode == 0, done.stderr
