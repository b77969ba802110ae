"""What None stands for in the options of a regressor: see `elman.tasks.base.resolve`."""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Default, epochs_up_to
from elman.tasks.pretrain.defaults import PRETRAINED, SIZES, halved

DEFAULTS: dict[str, Default] = {
    **SIZES,
    **PRETRAINED,
    **TRAINING,
    "epochs": Default(halved(epochs_up_to(60)), "passes over the sequences", "bench/signals.py, 2026"),
}
