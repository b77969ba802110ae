"""Defaults of the options of a translator that are None.

::

    epochs = 24 (800,000 / steps)^(1/3), from 8 to 30         steps of both sides together
    batch_sequences = pairs / 64, from 8 to 64

with more epochs for at least 1000 batches, up to 200.
"""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Config, Default, Summary
from elman.training.options import batch_sequences_for, epochs_for, epochs_for_batches

_UPDATES = 1000  # minimum number of training batches


def _epochs(config: Config, summary: Summary) -> int:
    batches = max(1, -(-summary.sequences // int(config.batch_sequences)))
    return epochs_for_batches(epochs_for(summary.steps, 24, 800_000, 8, 30), _UPDATES, batches)


DEFAULTS: dict[str, Default] = {
    **TRAINING,
    "batch_sequences": Default(
        lambda _, s: batch_sequences_for(s.sequences, 64, 8, 64), "pairs in a batch", "bench/translate.py, 2026"
    ),
    "epochs": Default(_epochs, "passes over the pairs", "bench/translate.py, 2026"),
}
