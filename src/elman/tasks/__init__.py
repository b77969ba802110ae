"""Tasks, a folder each; `load` restores any saved one.

`classify` one label per sequence · `regress` a number, or several, per sequence or step
`multitask` several labels and numbers per sequence · `forecast` the next values of many series
`tag` one label per step · `generate` language models
`transcribe` speech recognition · `translate` sequence to sequence
"""

from __future__ import annotations

import os
from typing import Any

from elman.errors import ModelFileError, OptionError
from elman.io import model_folder as store
from elman.tasks.base.table_adapter import TableAdapter
from elman.tasks.base.task import Task
from elman.tasks.classify.estimator import Classifier
from elman.tasks.classify.table import ClassifyTable
from elman.tasks.forecast.estimator import Forecaster
from elman.tasks.forecast.table import ForecastTable
from elman.tasks.generate.estimator import Generator
from elman.tasks.generate.table import GenerateTable
from elman.tasks.multitask.estimator import Multitask
from elman.tasks.multitask.table import MultitaskTable
from elman.tasks.regress.estimator import Regressor
from elman.tasks.regress.table import RegressTable
from elman.tasks.tag.estimator import Tagger
from elman.tasks.tag.table import TagTable
from elman.tasks.transcribe.estimator import Transcriber
from elman.tasks.transcribe.table import TranscribeTable
from elman.tasks.translate.estimator import Translator
from elman.tasks.translate.table import TranslateTable
from elman.validation.messages import shown

__all__ = [
    "TABLES",
    "TASKS",
    "Classifier",
    "Forecaster",
    "Generator",
    "Multitask",
    "Regressor",
    "Tagger",
    "Task",
    "Transcriber",
    "Translator",
    "load",
    "table_of",
]

#: The adapter of each task, by the name on the command line.
TABLES: dict[str, type[TableAdapter]] = {
    table.estimator.task: table
    for table in (
        ClassifyTable,
        RegressTable,
        MultitaskTable,
        ForecastTable,
        TagTable,
        GenerateTable,
        TranscribeTable,
        TranslateTable,
    )
}
TASKS: dict[str, type[Task]] = {name: table.estimator for name, table in TABLES.items()}


def table_of(model: Task) -> TableAdapter:
    """The model as the command line uses it: on the rows of a table."""
    return TABLES[model.task](model)


def load(folder: str | os.PathLike[str], *, tokenizer: Any = None) -> Any:
    """The fitted task saved to `folder`; `tokenizer`: the function that cuts its texts, if it was trained with one.

    Raises ``ModelFileError`` where the folder is missing, altered, written by a newer version, or no model;
    ``OptionError`` where the function is missing, or has no meaning.

    >>> import tempfile
    >>> clf = Classifier(epochs=1, hidden=4, verbose=False).fit(["good", "fine", "bad", "poor"], [1, 1, 0, 0])
    >>> with tempfile.TemporaryDirectory() as place:
    ...     clf.save(f"{place}/model")
    ...     bool((load(f"{place}/model").predict_proba(["good"]) == clf.predict_proba(["good"])).all())
    True
    """
    config, tensors, files = store.load(folder)
    name = config.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise ModelFileError(
            f"{os.fspath(folder)} holds a model for the task {shown(name)}; this version knows {', '.join(TASKS)}. "
            "Upgrade: pip install -U elman."
        )
    made: Any = TASKS[name].restore(config, tensors, files, folder)
    if tokenizer is not None and not callable(tokenizer):
        raise OptionError(f"tokenizer = {shown(tokenizer)} must be a function from a text to a list of texts, or None")
    feature = getattr(made, "feature_", None)
    if not (feature is not None and feature.use_tokenizer(tokenizer, os.fspath(folder))) and tokenizer is not None:
        raise OptionError(f"{os.fspath(folder)} was trained without a tokenizer. Load it without one.")
    if tokenizer is not None:
        made.tokenizer = tokenizer
    return made
