"""Recurrent networks for real sequences: ragged in, streaming out, fast on any CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from elman import nn
from elman.cells import GRU, GRUD, LRU, LSTM, RNN, ConvLSTM, LayerNormLSTM, MinGRU, MinLSTM
from elman.errors import ElmanError
from elman.evaluation import synthetic_gaps as missing
from elman.layers.encoder import Encoder
from elman.ragged import Ragged

if TYPE_CHECKING:
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
    if name == "Session":
        return import_module("elman.tasks.base.session").Session
    tasks = import_module("elman.tasks")  # which brings libraries that take longer to import than torch
    found = {"load": tasks.load} | {task.__name__: task for task in tasks.TASKS.values()}
    if name not in found:
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    return found[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
