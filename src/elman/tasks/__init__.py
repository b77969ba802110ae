"""What is asked? One file for each task; `load` brings back a saved one, whichever it is.

`classify.py` one label per sequence · `regress.py` a number, or several, per sequence or step
`multitask.py` several labels and numbers per sequence · `forecast.py` the next values of many series
`tag.py` one label per step · `generate.py` what comes next
`transcribe.py` what was said · `translate.py` a sequence for each sequence
"""

from __future__ import annotations

import os
from typing import Any

from elman.errors import ModelFileError
from elman.io import model_folder as store
from elman.tasks.base.task import Task
from elman.tasks.classify.estimator import Classifier
from elman.tasks.forecast.estimator import Forecaster
from elman.tasks.generate.estimator import Generator
from elman.tasks.multitask.estimator import Multitask
from elman.tasks.regress.estimator import Regressor
from elman.tasks.tag.estimator import Tagger
from elman.tasks.transcribe.estimator import Transcriber
from elman.tasks.translate.estimator import Translator
from elman.validation.messages import shown

__all__ = [
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
]

TASKS: dict[str, type[Task]] = {
    task.task: task
    for task in (Classifier, Regressor, Multitask, Forecaster, Tagger, Generator, Transcriber, Translator)
}


def load(folder: str | os.PathLike[str]) -> Any:
    """The task that was saved to `folder`, ready to answer.

    Raises ``ModelFileError`` where the folder is missing, altered, written by a newer version, or no model.

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
    return TASKS[name].restore(config, tensors, files, folder)
