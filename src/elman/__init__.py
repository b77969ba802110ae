"""Recurrent networks for real sequences: ragged in, streaming out, fast on any CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elman import nn
    from elman.cells import GRU, GRUD, LRU, LSTM, RNN, ConvLSTM, LayerNormLSTM, MinGRU, MinLSTM, ResetBeforeGRU
    from elman.errors import ElmanError
    from elman.evaluation import synthetic_gaps as missing
    from elman.layers.encoder import Encoder
    from elman.ragged import Ragged
    from elman.tasks import (
        Classifier,
        Forecaster,
        Generator,
        Multitask,
        Regressor,
        Tagger,
        Transcriber,
        Translator,
        load,
    )
    from elman.tasks.base.session import Session

__version__: str

#: The modules that the names come from, imported when a name is first asked for: torch takes a second.
_HOMES = {
    "elman.cells": [
        "GRU",
        "GRUD",
        "LRU",
        "LSTM",
        "RNN",
        "ConvLSTM",
        "LayerNormLSTM",
        "MinGRU",
        "MinLSTM",
        "ResetBeforeGRU",
    ],
    "elman.errors": ["ElmanError"],
    "elman.layers.encoder": ["Encoder"],
    "elman.ragged": ["Ragged"],
    "elman.tasks.base.session": ["Session"],
}
_MODULES = {"missing": "elman.evaluation.synthetic_gaps", "nn": "elman.nn"}

__all__ = [
    "GRU",
    "GRUD",
    "LRU",
    "LSTM",
    "RNN",
    "Classifier",
    "ConvLSTM",
    "ElmanError",
    "Encoder",
    "Forecaster",
    "Generator",
    "LayerNormLSTM",
    "MinGRU",
    "MinLSTM",
    "Multitask",
    "Ragged",
    "Regressor",
    "ResetBeforeGRU",
    "Session",
    "Tagger",
    "Transcriber",
    "Translator",
    "load",
    "missing",
    "nn",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("elman")
    if name.startswith("_"):
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    if name in _MODULES:
        found = import_module(_MODULES[name])
    elif home := next((module for module, names in _HOMES.items() if name in names), None):
        found = getattr(import_module(home), name)
    else:
        tasks = import_module("elman.tasks")
        named = {"load": tasks.load} | {task.__name__: task for task in tasks.TASKS.values()}
        if name not in named:
            raise AttributeError(f"module 'elman' has no attribute {name!r}")
        found = named[name]
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
