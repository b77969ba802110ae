"""What None stands for in the options of a transcriber, and the numbers that its ``fit`` uses."""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Default

__all__ = ["DEFAULTS", "UPDATES"]

UPDATES = 4000  # batches that are learnt from, at least

DEFAULTS: dict[str, Default] = {
    "channels_of_signals": Default((128,), "widths of the convolutions before sound", "bench/transcribe.py, 2026"),
    **TRAINING,
}
