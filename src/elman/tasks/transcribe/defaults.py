"""Defaults of the options of a transcriber that are None, and constants of its ``fit``."""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Default

UPDATES = 4000  # minimum number of training batches

DEFAULTS: dict[str, Default] = {
    "channels_of_signals": Default((128,), "widths of the convolutions for audio", "bench/transcribe.py, 2026"),
    **TRAINING,
}
