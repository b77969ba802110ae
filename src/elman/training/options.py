"""Options of training, and how long a training takes where they leave it open.

::

    epochs = 8 (700,000 / steps)^(1/3), from 4 to 20
    batch_steps = 8192 if steps >= 2,000,000 else 4096
    batch_sequences = sequences / 32, from 16 to 256

Film reviews (6 million steps) did best with 4 epochs, short Chinese reviews (0.7 million) with 8; the curve through the
two, and its continuation, keep the number of batches useful in small sets.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from elman.errors import Problem
from elman.training.device import device_problems
from elman.validation.messages import shown
from elman.validation.options import OptionGroup, is_among, is_number, is_whole

_Options = TypeVar("_Options", bound=Any)
_MOST_EPOCHS = 200  # limit where a minimum number of batches raises the number of epochs
_DECAYS = ("cosine", "linear", "none")


@dataclass(kw_only=True)
class TrainingOptions(OptionGroup):
    """Training.

    >>> TrainingOptions(epochs=3).problems()
    []
    >>> print(*TrainingOptions(clip=-1.0, seed=0.5).problems(), sep="\\n")
    clip = -1.0 must be a number of at least 0
    seed = 0.5 must be a whole number from 0 to 2**63 - 1, or None
    """

    epochs: int | None = None  # passes over the sequences, at most; 0 leaves the model as it was built; None: by their
    #   steps, from 4 to 20, more for few data
    learning_rate: float = 3e-3  # the highest rate, reached when the warm-up ends
    batch_steps: int | None = None  # steps in a batch, at most; a longer sequence is a batch of its own; None: 8192
    #   from 2,000,000 training steps, else 4096
    batch_sequences: int | None = None  # sequences in a batch, at most; None: 1/32 of the sequences, 16 to 256
    patience: int | None = 5  # epochs without a better validation metric before training stops; None: never
    validation: float = 0.1  # share of the sequences held out to choose the best epoch, 0 to 0.5; 0: none
    seed: int | None = 0  # makes a run repeatable bit for bit on one machine; None: different every time
    device: str = "cpu"  # where the recurrent layers are trained: "cpu", "cuda", "cuda:1" ..., or "auto": the GPU where
    #   there is one; a trained model is on the CPU
    verbose: bool = True  # what is read and trained, and progress, on stderr; False: nothing
    weight_decay: float = 0.01  # pull towards 0 as a share of learning_rate, not on biases; 0 turns it off
    warmup: float = 0.1  # share of the training, 0 to 1, in which the learning rate rises from 0
    decay: str = "linear"  # how the learning rate falls to 0 after the warm-up: "linear", "cosine", "none"
    clip: float = 1.0  # largest norm of the gradient (Pascanu, Mikolov & Bengio 2013); 0 turns it off
    average: float = 0.0  # decay of a moving average of the weights (Polyak & Juditsky 1992), say 0.99; 0 turns it off
    tbptt: int = 0  # steps over which the gradient reaches back (truncated, state carried on); 0: the whole sequence

    def problems(self) -> list[Problem]:
        """The problems with these options; [] where they can be used."""
        rules = {
            "epochs": (self.epochs is None or is_whole(self.epochs, 0), "a whole number of at least 0, or None"),
            "batch_steps": (_whole_or_none(self.batch_steps), "a whole number of at least 1, or None"),
            "batch_sequences": (_whole_or_none(self.batch_sequences), "a whole number of at least 1, or None"),
            "tbptt": (is_whole(self.tbptt, 0), "a whole number of at least 0"),
            "learning_rate": (_learning_rate_fits(self), "a number greater than 0"),
            "weight_decay": (is_number(self.weight_decay, 0), "a number of at least 0"),
            "warmup": (is_number(self.warmup, 0, 1), "a number from 0 to 1"),
            "decay": (is_among(self.decay, _DECAYS), '"cosine", "linear" or "none"'),
            "clip": (is_number(self.clip, 0), "a number of at least 0"),
            "average": (is_number(self.average, 0) and self.average < 1, "a number of at least 0 and less than 1"),
            "patience": (_whole_or_none(self.patience), "a whole number of at least 1, or None"),
            "validation": (is_number(self.validation, 0, 0.5), "a number from 0 to 0.5"),
            "seed": (self.seed is None or is_whole(self.seed, 0), "a whole number from 0 to 2**63 - 1, or None"),
            "verbose": (isinstance(self.verbose, int | np.bool_), "True or False"),
        }
        return [
            Problem(name, shown(getattr(self, name)), f"must be {rule}")
            for name, (good, rule) in rules.items()
            if not good
        ] + device_problems(self)


def _learning_rate_fits(options: TrainingOptions) -> bool:
    rate: Any = options.learning_rate
    return options.leaves_open("learning_rate") or (is_number(rate, 0) and rate > 0)


def _whole_or_none(value: Any) -> bool:
    return value is None or is_whole(value)


def learning_rate_at(options: TrainingOptions, done: float) -> float:
    """The learning rate when the share `done` (0 to 1) of the planned training lies behind.

    >>> options = TrainingOptions(learning_rate=1.0, warmup=0.2, decay="linear")
    >>> [round(learning_rate_at(options, done), 3) for done in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < options.warmup:
        return options.learning_rate * done / options.warmup
    if options.decay == "none" or options.warmup == 1:
        return options.learning_rate
    rest = min(1.0, (done - options.warmup) / (1 - options.warmup))
    return options.learning_rate * (1 - rest if options.decay == "linear" else (1 + math.cos(math.pi * rest)) / 2)


def epochs_for(steps: int, at_ideal: int = 8, ideal: int = 700_000, least: int = 4, most: int = 20) -> int:
    """How many passes over so many steps: `at_ideal` at `ideal` steps, fewer over more (the power -1/3).

    >>> epochs_for(700_000), epochs_for(6_000_000), epochs_for(1000)
    (8, 4, 20)
    """
    epochs: int = min(most, max(least, round(at_ideal * (ideal / max(1, steps)) ** (1 / 3))))
    return epochs


def batch_steps_for(steps: int) -> int:
    """How many steps a batch has at most, where there are so many in all.

    >>> batch_steps_for(2_000_000), batch_steps_for(1000)
    (8192, 4096)
    """
    return 8192 if steps >= 2_000_000 else 4096


def batch_sequences_for(sequences: int, batches: int = 32, least: int = 16, most: int = 256) -> int:
    """How many sequences a batch has at most: 1 / `batches` of all, from `least` to `most`.

    >>> batch_sequences_for(1000), batch_sequences_for(10)
    (31, 16)
    """
    return min(most, max(least, sequences // batches))


def batches_of_an_epoch(sequences: int, steps: int, batch_sequences: int, batch_steps: int) -> int:
    """At least so many batches hold so many sequences and steps.

    >>> batches_of_an_epoch(100, 5000, 32, 1000)
    5
    """
    return max(-(-sequences // batch_sequences), -(-steps // batch_steps), 1)


def epochs_for_batches(epochs: int, wanted: int, each: int) -> int:
    """`epochs`, or more until there were as many batches as `wanted` with so many in `each` epoch, up to 200 epochs.

    >>> epochs_for_batches(4, wanted=100, each=10), epochs_for_batches(4, wanted=0, each=10)
    (10, 4)
    """
    return max(epochs, min(_MOST_EPOCHS, -(-wanted // each)))


def planned(options: _Options, sequences: int, steps: int) -> _Options:
    """The same options with the lengths of the training chosen, where they are None; `sequences` have `steps` in all.

    >>> options = planned(TrainingOptions(), 1000, 700_000)
    >>> options.epochs, options.batch_steps, options.batch_sequences
    (8, 4096, 31)
    """
    chosen = {
        "epochs": epochs_for(steps),
        "batch_steps": batch_steps_for(steps),
        "batch_sequences": batch_sequences_for(sequences),
    }
    return dataclasses.replace(options, **{k: v for k, v in chosen.items() if getattr(options, k) is None})
