"""Resolves options that are None: `resolve(options, summary, defaults)`.

Each task's ``defaults.py`` has a table with a value for each option, or a function of the options resolved so far and
of a summary of the data. `TRAINING` holds the defaults of all tasks, `PATH` those that depend on the input of one path
of a network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from elman.cells.base import VALUES_MASK_GAP
from elman.cells.compatibility import reads
from elman.features import Columns, Feature
from elman.training.options import (
    TrainingOptions,
    batch_sequences_for,
    batch_steps_for,
    batches_of_an_epoch,
    epochs_for,
    epochs_for_batches,
)


@dataclass(frozen=True)
class Summary:
    """A summary of the data, on which default values depend."""

    feature: Feature | Columns | None = None  # fitted, of all inputs
    features: Sequence[Feature] = ()  # those of one path of the network
    sequences: int = 0  # in the training set
    steps: int = 0  # in them
    held_out: int = 0  # sequences in the validation set
    updates: int = 0  # minimum number of training batches
    generator: Any = None  # a fitted language model that determines sizes


class Config(SimpleNamespace):
    """The resolved options of one fit as attributes."""


Rule = Callable[[Config, Summary], Any]


@dataclass(frozen=True)
class Default:
    """The default of one option that is None."""

    value: Any  # or a function (options so far, summary) -> value; None leaves the option None
    meaning: str
    source: str = ""  # the benchmark behind it and its date


def resolve(options: Any, summary: Summary, defaults: Mapping[str, Default]) -> Config:
    """The options with each None replaced by its default, in the order of the table.

    `options` is a dataclass or a `Config`; neither is changed.

    >>> from types import SimpleNamespace
    >>> config = resolve(Config(hidden=None, layers=2), Summary(steps=9), {"hidden": Default(64, "units of a layer")})
    >>> config.hidden, config.layers
    (64, 2)
    """
    fields = dataclasses.fields(options) if dataclasses.is_dataclass(options) else ()
    config = Config(**({f.name: getattr(options, f.name) for f in fields} if fields else vars(options)))
    config.updates = getattr(config, "updates", 0) or summary.updates
    for name, default in defaults.items():
        if getattr(config, name, None) is None:
            value = default.value(config, summary) if callable(default.value) else default.value
            setattr(config, name, value)
    return config


def training_options(config: Config) -> TrainingOptions:
    """The training options. With a minimum number of batches, patience is at least a quarter of it."""
    made = TrainingOptions(**{f.name: getattr(config, f.name) for f in dataclasses.fields(TrainingOptions)})
    if config.updates and made.patience is not None:
        made.patience = max(made.patience, int(config.epochs) // 4)
    return made


def epochs_up_to(most: int) -> Rule:
    """Epochs by the number of training steps, from 4 to `most`, or more for ``summary.updates`` batches, up to 200."""

    def rule(config: Config, summary: Summary) -> int:
        each = batches_of_an_epoch(summary.sequences, summary.steps, config.batch_sequences, config.batch_steps)
        return epochs_for_batches(epochs_for(summary.steps, most=most), summary.updates, each)

    return rule


TRAINING: dict[str, Default] = {
    "batch_steps": Default(lambda _, s: batch_steps_for(s.steps), "steps in a batch"),
    "batch_sequences": Default(lambda _, s: batch_sequences_for(s.sequences), "sequences in a batch"),
    "epochs": Default(epochs_up_to(20), "passes over the sequences", "bench/quality.py, 2026"),
}


def chosen_cell(config: Config, summary: Summary) -> str:
    """GRU-D for one series of which more than half is missing, unless an option excludes it; else LSTM."""
    features = summary.features
    if len(features) != 1 or not features[0].fades:
        return "lstm"
    free = config.max_timescale is None and config.precision == "float32" and not np.any(config.channels or 0)
    return "gru_d" if free else "lstm"


def _pool(config: Config, summary: Summary) -> str:
    sparse = config.cell is None and reads(chosen_cell(config, summary)) == VALUES_MASK_GAP
    return "mean+max+last" if sparse else "attention"


#: For one path of a network, once ``Summary.features`` are known. The pool depends on whether the cell was None.
PATH: dict[str, Default] = {
    "channels_of_signals": Default(
        (), "widths of the convolutions for numbers without missing values, where channels is None"
    ),
    "pool": Default(_pool, "pooling", "bench/physionet.py, 2026"),
    "cell": Default(chosen_cell, "the cell", "bench/physionet.py, 2026"),
}
