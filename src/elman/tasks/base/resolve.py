"""Options that are None become values here, and only here: `resolve(options, summary, defaults)`.

A table of defaults stands in each task's ``defaults.py``: for an option the value that None stands for, or a function
of what is resolved so far and of a summary of the data. `TRAINING` holds those of all tasks, `PATH` those that depend
on the steps that one path of a network reads.
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
)

__all__ = [
    "PATH",
    "TRAINING",
    "Config",
    "Default",
    "Summary",
    "chosen_cell",
    "epochs_up_to",
    "epochs_with_updates",
    "resolve",
    "training_options",
]

_MOST_EPOCHS = 200  # where so many batches are asked for that small sets need more


@dataclass(frozen=True)
class Summary:
    """What the values of options may depend on."""

    feature: Feature | Columns | None = None  # fitted, of all that is read
    features: Sequence[Feature] = ()  # those of one path of the network
    sequences: int = 0  # learnt from
    steps: int = 0  # in them
    held_out: int = 0  # sequences of the validation part
    updates: int = 0  # batches that are to be learnt from, at least
    generator: Any = None  # a fitted language model that brings sizes of its own


class Config(SimpleNamespace):
    """The options of one fit as attributes, with a value wherever one could be resolved."""


Rule = Callable[[Config, Summary], Any]


@dataclass(frozen=True)
class Default:
    """What None stands for in one option."""

    value: Any  # or a function (options so far, summary) -> value; None leaves the option open
    meaning: str
    source: str = ""  # the script in bench/ that chose it, and when


def resolve(options: Any, summary: Summary, defaults: Mapping[str, Default]) -> Config:
    """The options with a value for each None that `defaults` know, in the order of that table.

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
    """How the training loop is to learn. Where a number of batches is asked for, patience lasts a quarter of it."""
    made = TrainingOptions(**{f.name: getattr(config, f.name) for f in dataclasses.fields(TrainingOptions)})
    if config.updates and made.patience is not None:
        made.patience = max(made.patience, int(config.epochs) // 4)
    return made


def epochs_with_updates(config: Config, summary: Summary, epochs: int) -> int:
    """So many epochs, or more until there were ``summary.updates`` batches, in up to 200 epochs."""
    if not summary.updates:
        return epochs
    each = batches_of_an_epoch(summary.sequences, summary.steps, config.batch_sequences, config.batch_steps)
    return max(epochs, min(_MOST_EPOCHS, -(-summary.updates // each)))


def epochs_up_to(most: int) -> Rule:
    """Epochs by the steps that are learnt from, from 4 to `most`."""
    return lambda config, summary: epochs_with_updates(config, summary, epochs_for(summary.steps, most=most))


TRAINING: dict[str, Default] = {
    "batch_steps": Default(lambda _, s: batch_steps_for(s.steps), "steps in a batch"),
    "batch_sequences": Default(lambda _, s: batch_sequences_for(s.sequences), "sequences in a batch"),
    "epochs": Default(epochs_up_to(20), "passes over the sequences", "bench/quality.py, 2026"),
}


def chosen_cell(config: Config, summary: Summary) -> str:
    """GRU-D for one series of which more than half is missing, where no option speaks against it; else LSTM."""
    features = summary.features
    if len(features) != 1 or not features[0].fades:
        return "lstm"
    free = config.max_timescale is None and config.precision == "float32" and not np.any(config.channels or 0)
    return "gru_d" if free else "lstm"


def _pool(config: Config, summary: Summary) -> str:
    sparse = config.cell is None and reads(chosen_cell(config, summary)) == VALUES_MASK_GAP
    return "mean+max+last" if sparse else "attention"


#: Of one path of a network, once ``Summary.features`` are known. The pool depends on whether the cell was left open.
PATH: dict[str, Default] = {
    "channels_of_signals": Default((), "widths of the convolutions before complete numbers, where channels is None"),
    "pool": Default(_pool, "one row from all steps", "bench/physionet.py, 2026"),
    "cell": Default(chosen_cell, "the cell", "bench/physionet.py, 2026"),
}
