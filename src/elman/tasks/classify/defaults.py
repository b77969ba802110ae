"""What None stands for in the options of a classifier (see `elman.tasks.base.resolve`), and numbers from bench/."""

from __future__ import annotations

from elman.tasks.base.resolve import TRAINING, Config, Default, Summary, epochs_up_to
from elman.tasks.pretrain.defaults import PRETRAINED, SIZES, halved

START = (0.3, 0.65)  # stacking weights of the network and the n-gram model without evidence: bench/quality.py, 2026
START_OF_NUMBERS = (0.1, 0.65)  # the same with MiniRocket: a network that learnt from dozens of signals is too sure
STRENGTHS = (30.0, 10.0, 100.0)  # of the n-gram model; where the validation part is too small to choose, the first
CHOOSERS = 200  # validation sequences from which the strength is chosen
LEAST_SIGNALS = 200  # sequences of numbers; with fewer nothing is held out: sets of signals are small, each one counts
UPDATES = 500  # batches that signals are learnt from, at least


def _longest_ngram(_: Config, summary: Summary) -> int:
    feature = summary.feature
    return 0 if feature is None or feature.symbols is None else 6 if feature.is_alphabet else 3


def _minirocket(_: Config, summary: Summary) -> int:
    numbers = summary.feature is not None and summary.feature.is_series
    return 10_000 if numbers and summary.sequences <= 2000 else 0


DEFAULTS: dict[str, Default] = {
    **SIZES,
    "channels_of_signals": Default((64, 64), "widths of the convolutions before numbers", "bench/signals.py, 2026"),
    **PRETRAINED,
    **TRAINING,
    "epochs": Default(halved(epochs_up_to(20)), "passes over the sequences", "bench/pretrain.py, 2026"),
    "ngrams": Default(_longest_ngram, "symbols of the longest n-gram", "bench/quality.py, 2026"),
    "minirocket": Default(_minirocket, "features of MiniRocket, whose work grows with the square of the sequences"),
}
