"""Counts of events."""

from __future__ import annotations

from elman.tasks import TASKS

DATA = ([[1.0, 2.0], [3.0], [1.0, 1.0, 1.0], [2.0]], [1, 2, 0, 3])


def test_rates_are_positive() -> None:
    model = TASKS["events"](hidden=3, epochs=1, verbose=False, seed=0).fit(*DATA)
    assert (model.predict(DATA[0]) > 0).all()
