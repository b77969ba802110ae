"""The numbers behind the options of `Forecaster` that are None: chosen for you.

Chosen on M4 hourly and ETTh1 by bench/forecast.py (2026-11-21), but where another date or reason stands.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULTS", "Defaults"]


@dataclass(frozen=True)
class Defaults:
    """Values with their meaning; `resolve` makes a `Config` of them."""

    # training
    batch_sequences: int = 16  # chunks of series in a batch
    batch_steps: int = 1 << 20  # no limit in practice: chunks are short
    steps_per_update: int = 40  # of the training part; the number of updates follows from it
    min_updates: int = 200
    max_updates: int = 800

    # window
    window_seasons: int = 14  # two weeks of hours and more; at least also twice the horizon
    min_window: int = 28
    max_mixture_weights: int = 1 << 25  # of the linear forecasters: 128 MiB (bench/season_memory.py, 2026-11-30)

    # held-out ends
    calibration_forecasts: int = 200  # in all series together: enough for the factor of a 95 % interval


DEFAULTS = Defaults()
