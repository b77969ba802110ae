"""Learning curves for tests."""

from __future__ import annotations

from collections.abc import Sequence

from elman.training.history import Epoch, History


def history(
    epochs: int = 3,
    metric: str = "accuracy",
    best: int = 2,
    stopped: str = "finished",
    values: Sequence[float] = (0.7, 0.9, 0.8),
) -> History:
    """The curve of so many epochs, with these validation values in turn."""
    records = [
        Epoch(i + 1, 1 / (i + 1), {metric: values[i % len(values)]} if values else {}, 1.5, 1e5, 1e-3, 0.5, 0.1)
        for i in range(epochs)
    ]
    return History(metric, records, best, stopped)
