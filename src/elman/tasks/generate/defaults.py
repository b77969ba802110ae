"""Defaults of the options of a language model that are None.

::

    epochs = 14 (1,000,000 / steps)^(1/3), from 8 to 30
    batch_sequences = steps / 8192, from 4 to 32
    batch_steps = batch_sequences tbptt

with more epochs for at least 500 batches, up to 200.
"""

from __future__ import annotations

from typing import Any

from elman.tasks.base.resolve import Config, Default, Summary
from elman.training.options import batch_sequences_for, epochs_for, epochs_for_batches

UPDATES = 500  # minimum number of training batches


def side_by_side(options: Any, steps: int) -> int:
    """The number of chunks in a batch."""
    return batch_sequences_for(steps, 8192, 4, 32) if options.batch_sequences is None else int(options.batch_sequences)


def _batch_steps(config: Config, summary: Summary) -> int:
    return max(1, side_by_side(config, summary.steps) * int(config.tbptt or summary.steps))


def _epochs(config: Config, summary: Summary) -> int:
    found = epochs_for(summary.steps, 14, 1_000_000, 8, 30)
    if not summary.updates:
        return found
    steps = _batch_steps(config, summary) if config.batch_steps is None else summary.steps
    batches = max(1, -(-summary.steps // min(steps, max(1, summary.steps))))
    return epochs_for_batches(found, summary.updates, batches)


_BENCH = "bench/generate.py, 2026"

DEFAULTS: dict[str, Default] = {
    "batch_sequences": Default(lambda config, s: side_by_side(config, s.steps), "chunks in a batch", _BENCH),
    "epochs": Default(_epochs, "passes over the training texts", _BENCH),
    "batch_steps": Default(_batch_steps, "steps in a batch", _BENCH),
}
