"""A run of every task with all that draws, counts or carries something in its training."""

from __future__ import annotations

from typing import Any

import numpy as np

import elman
from elman.ops.functional import info
from elman.tasks import TASKS
from table import DATA

ROWS = 56  # enough for a validation part
TEXTS = [f"{('good', 'fine', 'warm')[i % 3]} film {i % 5} {('bad', 'dull')[i % 2]}" for i in range(ROWS)]
LABELS = ["+" if i % 3 else "-" for i in range(ROWS)]
WORDS = [text.split() for text in TEXTS]
TAGS = [["B-x" if word == "film" else "O" for word in words] for words in WORDS]
NUMBERS = [float(i % 7) for i in range(ROWS)]
WAVES = [np.sin(np.arange(40)[:, None] * (1 + i % 3) / 4 + np.arange(2)) for i in range(ROWS)]
SERIES = {
    "unique_id": np.repeat(["a", "b"], 40),
    "ds": np.tile(np.arange(40), 2),
    "y": np.sin(np.arange(80) / 3) + np.repeat([1.0, 3.0], 40),
}
#: What every run has: dropout, a moving average, warm-up, decay, patience.
ALL: dict[str, Any] = {
    "hidden": 3, "epochs": 4, "dropout": 0.4, "average": 0.9, "warmup": 0.5, "patience": 2, "verbose": False,
}  # fmt: skip
FEW = {"batch_sequences": 16}


def frame() -> Any:
    import polars as pl

    return pl.DataFrame(SERIES)


#: Every task with all that draws, counts or carries something in its training: class, options, what fit takes.
RUNS: dict[str, tuple[type[Any], dict[str, Any], tuple[Any, ...]]] = {
    "classify": (elman.Classifier, {**FEW, "embed": 3, "symbol_dropout": 0.3, "head_dropout": 0.3}, (TEXTS, LABELS)),
    "classify several labels": (
        elman.Classifier, {**FEW, "embed": 3, "threshold": "f1"},
        (TEXTS, [["+"] * (i % 3 > 0) + ["x"] * (i % 2) for i in range(ROWS)]),
    ),
    "classify signals": (elman.Classifier, {**FEW, "channels": [3], "max_timescale": 20.0}, (WAVES, LABELS)),
    "classify pretrained": (
        elman.Classifier, {**FEW, "embed": 3, "pretrain": TEXTS * 2, "pretrain_epochs": 3}, (TEXTS, LABELS),
    ),
    "regress": (elman.Regressor, {**FEW, "embed": 3, "symbol_dropout": 0.3}, (TEXTS, NUMBERS)),
    "regress every step": (
        elman.Regressor, {**FEW, "every_step": True, "tbptt": 7}, (WAVES, [wave[:, 0] for wave in WAVES]),
    ),
    "multitask": (elman.Multitask, {**FEW, "embed": 3}, (TEXTS, {"a": LABELS, "b": NUMBERS})),
    "forecast": (elman.Forecaster, {"horizon": 2, "season": 4, "ensemble_size": 2}, (frame,)),
    "forecast recursive": (elman.Forecaster, {"horizon": 2, "season": 4, "recursive": True, "paths": 5}, (frame,)),
    "tag": (
        elman.Tagger,
        {**FEW, "embed": 3, "characters": 2, "ensemble_size": 2, "symbol_dropout": 0.3},
        (WORDS, TAGS),
    ),
    "generate": (
        elman.Generator,
        {"embed": 3, "tbptt": 5, "chunk_steps": 9, "batch_sequences": 4, "input_dropout": 0.2, "weight_drop": 0.3,
         "recurrent_dropout": 0.2, "zoneout": 0.1, "activation": 1.0, "change": 1.0},
        (TEXTS,),
    ),
    "transcribe": (
        elman.Transcriber, {**FEW, "channels": [3], "stride": 2, "speed": 0.2, "band_holes": 1}, (WAVES, LABELS),
    ),
    "translate": (
        elman.Translator, {**FEW, "embed": 3, "sampling": 0.9, "symbol_dropout": 0.2, "target_unit": "words"},
        (TEXTS, [text.upper() for text in TEXTS]),
    ),
}  # fmt: skip
RUNS |= {task: (TASKS[task], FEW, given) for task, given in DATA.items()}
if info()["bfloat16"]:
    RUNS["classify in bfloat16"] = (elman.Classifier, {**FEW, "embed": 3, "precision": "bfloat16"}, (TEXTS, LABELS))
