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

#: Names that wait until they are used: the tasks bring libraries that take longer to import than torch.
_LATER = {
    "Classifier": "elman.tasks",
    "Forecaster": "elman.tasks",
    "Generator": "elman.tasks",
    "Multitask": "elman.tasks",
    "Regressor": "elman.tasks",
    "Session": "elman.tasks.base.session",
    "Tagger": "elman.tasks",
    "Transcriber": "elman.tasks",
    "Translator": "elman.tasks",
    "load": "elman.tasks",
}

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
    if name not in _LATER:
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
