"""What None stands for in the options of a multitask model: see `elman.tasks.base.resolve`."""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Default, epochs_up_to

DEFAULTS: dict[str, Default] = {
    **TRAINING,
    "epochs": Default(epochs_up_to(60), "passes over the sequences", "bench/signals.py, 2026"),
}
