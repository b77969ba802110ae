"""What every test can count on: fixed seeds, no network, no window, no folder but its own."""

from __future__ import annotations

import gc
import os
import signal

# Before anything imports the libraries that read these.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pytest
import torch
from hypothesis import settings

collect_ignore = ["recipes"]  # what tests/test_recipes.py adds to a copy of the project

# The same examples at every run, so that a run says something about the code and not about the draw; new examples with
# HYPOTHESIS_PROFILE=random. No deadline: two busy cores can be slow.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# A shell starts what runs in the background with Ctrl-C ignored, and what the tests start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Makes a test independent of the tests before it."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (scikit-learn's checks draw from the global state)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file begins first, so that no worker waits for it; tests marked gpu are skipped without a device."""
    items.sort(key=lambda item: "test_recipes.py" not in item.nodeid)
    gc.collect()
    gc.freeze()  # what the tests collect is what they made, not the tests themselves
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="NOT TESTED: no CUDA device on this machine"))
