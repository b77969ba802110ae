"""Tiny networks: handing them to several threads would cost more than they do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):  # those of NumPy and SciPy
        yield
    torch.set_num_threads(before)
