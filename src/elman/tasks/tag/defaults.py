"""Defaults of the options of a tagger that are None, and constants of its ``fit``: see docs/tasks/tag.md."""

from __future__ import annotations

from typing import Any

from elman.cells.base import IMAGES
from elman.cells.compatibility import reads
from elman.features import Columns, Feature
from elman.tasks.base.resolve import TRAINING, Config, Default, Rule, Summary
from elman.training.options import batch_sequences_for

UPDATES = 600  # minimum number of training batches
BLIND_UPDATES = 300  # the same without a validation set, where no epoch can be chosen
FEW_SEQUENCES = 200  # of letters; with fewer there is no validation set
_FEW_SYMBOLS = 100
_ENSEMBLE = 5  # networks for few sequences of few symbols


def _has_few_symbols(feature: Feature | Columns | None) -> bool:
    return feature is not None and feature.is_vocabulary and int(feature.symbols or 0) <= _FEW_SYMBOLS


def _by_symbols(many: Any, few: Any) -> Rule:
    """A value for words, numbers and large alphabets, and one for small alphabets such as residues."""
    return lambda config, summary: few if _has_few_symbols(summary.feature) else many


def _channels(config: Config, summary: Summary) -> int:
    """Convolutions for small alphabets, unless the cell convolves itself."""
    return 64 if _has_few_symbols(summary.feature) and reads(config.cell) != IMAGES else 0


def _ensemble_size(config: Config, summary: Summary) -> int:
    small = _has_few_symbols(summary.feature) and summary.sequences + summary.held_out < FEW_SEQUENCES
    return _ENSEMBLE if small and config.bidirectional else 1


_BENCH = "bench/tag.py, 2026"

DEFAULTS: dict[str, Default] = {
    "dropout": Default(_by_symbols(0.4, 0.6), "dropout rate after each layer", _BENCH),
    "symbol_dropout": Default(_by_symbols(0.4, 0.0), "fraction of the distinct symbols dropped", _BENCH),
    "head_dropout": Default(_by_symbols(0.5, 0.3), "dropout rate before the output layer", _BENCH),
    "channels": Default(_channels, "widths of the convolutions", _BENCH),
    "ensemble_size": Default(_ensemble_size, "networks whose scores are averaged", _BENCH),
    **TRAINING,
    "batch_sequences": Default(
        lambda _, s: batch_sequences_for(s.sequences, 192, 8, 64), "sequences in a batch", _BENCH
    ),
}
