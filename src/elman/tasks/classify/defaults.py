"""What None stands for in the options of a classifier: see `elman.tasks.base.resolve`."""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Default, epochs_up_to
from elman.tasks.pretrain.defaults import PRETRAINED, SIZES, halved

__all__ = ["DEFAULTS"]

DEFAULTS: dict[str, Default] = {
    **SIZES,
    "channels_of_signals": Default((64, 64), "widths of the convolutions before numbers", "bench/signals.py, 2026"),
    **PRETRAINED,
    **TRAINING,
    "epochs": Default(halved(epochs_up_to(20)), "passes over the sequences", "bench/pretrain.py, 2026"),
}
