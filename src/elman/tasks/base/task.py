"""The base class of all tasks: options, saving and loading, sessions, explanations.

To add a task, write a folder beside ``base`` with an estimator derived from `Task` and the groups of options it takes,
and an adapter for tables; and add the adapter to ``TABLES`` in ``tasks/__init__.py``.
"""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor

from elman.errors import ModelFileError, OptionError, Problem
from elman.evaluation.learning_curve import learning_curve
from elman.evaluation.model_card import CountTable, model_card, table_suffix
from elman.interpret.attribution import AttributionRequest, Explanation, explain
from elman.interpret.diagnose import DiagnosisRequest, diagnose
from elman.interpret.diagnosis import Diagnosis
from elman.io import model_folder as store
from elman.tasks.base.fitted import by_learnt_options, saved_options
from elman.tasks.base.inputs import InputReader
from elman.tasks.base.public_names import public_names
from elman.tasks.base.resolve import TRAINING, Config, Default, Summary, resolve
from elman.tasks.base.session import Session, Stepper
from elman.tasks.base.summary import ModelSummary, summarize
from elman.tasks.base.training_run import TrainingRun
from elman.training.history import History, direction
from elman.validation.messages import shown
from elman.validation.options import OptionGroup
from elman.validation.plain_values import printable

CURVE = "learning-curve.png"


@dataclass(kw_only=True, eq=False, repr=False)
class Task(BaseEstimator, ABC):
    """A scikit-learn estimator whose fields are its options; fitted attributes end in `_`.

    Options come in groups, dataclasses that a task inherits beside this class. As in scikit-learn they are checked by
    `fit`. Estimators are final.
    """

    task: ClassVar[str]  # written to config.json, the name on the command line
    description: ClassVar[str]  # one line for people
    example: ClassVar[str] = "data.csv --target y"  # arguments of `elman fit <task>`
    card_call: ClassVar[str] = "model.predict([...])"  # the example call in the model card
    without: ClassVar[Mapping[str, str]] = {}  # arguments of `fit` that have no meaning, and why
    answering: ClassVar[tuple[str, ...]] = ("verbose",)  # options that may change after `fit`
    validated_by: ClassVar[str] = ""  # how the validation set is predicted, where that differs from `predict`
    defaults: ClassVar[Mapping[str, Default]] = TRAINING  # of options that are None
    reader_type: ClassVar[type[InputReader] | None] = InputReader  # None: the task reads and saves its inputs itself

    # Equality is identity: of two tasks with equal options one may be fitted, the other not.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        own = (OptionGroup, Task, type(self))
        groups = [kind for kind in reversed(type(self).__mro__) if "problems" in vars(kind) and kind not in own]
        return [problem for group in groups for problem in vars(group)["problems"](self)]

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON can hold them; a function as None."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: None if callable(value) else as_json(value) for name, value in values.items()}

    def config(self, summary: Summary | None = None) -> Config:
        """The options with defaults for each that is None, for data of this summary."""
        return resolve(self, summary or Summary(), self.defaults)

    def remember_resolved(self, config: Config) -> None:
        """Sets ``resolved_``: the values resolved for options that are None; saved with the model."""
        open_ = [name for name in self.defaults if name in self.learnt_with_ and self.learnt_with_[name] is None]
        chosen = {name: getattr(config, name) for name in open_}
        self.resolved_ = {name: as_json(value) for name, value in chosen.items() if value is not None}

    @property
    def reader(self) -> Any:
        """Reads the sequences."""
        return self.reader_type(self) if self.reader_type is not None else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.reader_type is not None:  # texts, missing values, and sequences of vectors
            tags.input_tags.string = tags.input_tags.allow_nan = tags.input_tags.three_d_array = True
        return tags

    # ---- learning

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        groups: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Trains on sequences `X` and their targets `y`: one each, or the name of a column of the frame `X`.

        `sample_weight`: the weight of each sequence in the loss, in all else that is learnt and in the validation
        metrics; numbers of at least 0, or the name of a column; None: all the same.

        `validation_data`: a tuple (X, y) or (X, y, sample_weight) in place of the fraction `validation` of the
        sequences, or where `y` is the name of a column a frame. It chooses the epoch and all that is chosen on a
        validation set; nothing is learnt from it. `groups`: what no two parts may share, such as the speaker: one for
        each sequence, or the name of a column. The fraction that is held out consists of whole groups.

        `out`: the folder for `save`, where a checkpoint is written after every epoch; `resume` continues an interrupted
        fit from it, with the same weights at the end as without the interruption.

        Raises ``OptionError`` for invalid options, ``DataError`` for invalid data, naming the sequence, and
        ``TrainingError`` if the loss becomes NaN (the best weights so far stay usable).
        """
        run = self.training_run(out, resume)
        with run.reading(X, y, validation_data, sample_weight, groups) as (X, y):
            self._fit(run, self.reader, X, y)
        return self

    def _fit(self, run: TrainingRun, reader: Any, X: Any, y: Any) -> None:
        """Fits the task within `run`; empty where the task has a `fit` of its own."""

    def refuse(self, **given: Any) -> None:
        """Raises ``OptionError`` for an argument of `fit` that is given and has no meaning for this task."""
        for name, value in given.items():
            if value is not None and name in self.without:
                raise OptionError(f"{name} has no meaning for a {type(self).__name__}: {self.without[name]}")

    def training_run(self, out: str | os.PathLike[str] | None, resume: bool) -> TrainingRun:
        """The frame of one fit: option checks, checkpoint, seed."""
        return TrainingRun(self, out, resume)

    def forget(self) -> None:
        """Deletes the attributes of an earlier fit."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def check_fitted(self) -> None:
        """Raises ``NotFittedError`` before `fit`."""
        if not hasattr(self, "network_"):
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet. Call fit(X, y) first, or load a model."
            )

    # ---- on disk

    @by_learnt_options
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model to a folder: config.json, model.safetensors, the vocabulary, README.md, the learning curve.

        The folder is replaced as a whole if it holds a model; the checkpoint in it stays only if Ctrl-C ended the fit,
        so that the run can be resumed. Raises ``ModelFileError`` if it holds anything else.
        """
        name = printable(store.named(folder).resolve().name)
        curve = learning_curve(self.history_, title=name)
        config = {
            "task": self.task,
            "options": self.learnt_with_,
            "resolved": self.resolved_,
            "history": self.history_.to_json(),
            "metrics": {key: value if np.isfinite(value) else None for key, value in self.metrics_.items()},
            "data": dict(self.data_),
        }
        tensors = {f"network.{key}": value for key, value in self.network_.state_dict().items()} | self._tensors()
        files: dict[str, str | bytes] = {**self._files(), "README.md": self._card(name, curve is not None)}
        if (reader := self.reader) is not None:
            config |= reader.config()
            tensors |= reader.tensors()
            files |= reader.files()
        if counted := getattr(self, "validation_counts_", ()):
            config["validation_counts"] = [table.to_json() for table in counted]
        config |= self._config()
        if curve is not None:
            files[CURVE] = curve
        unfinished = self.history_.interrupted  # `resume` needs its checkpoint
        store.save(folder, config, tensors, files, keep_checkpoint=unfinished)

    def _card(self, name: str, has_curve: bool) -> str:
        function = getattr(getattr(self, "feature_", None), "function_name", "")
        given = f", tokenizer={function}" if function else ""
        call = f"model = elman.load({name!r}{given})\n{self.card_call}"
        data = {**self.described(), **self.data_}
        command, file = str(data.pop("command", "")), str(data.get("file", self.example.split()[0]))
        return model_card(
            name=name,
            python=f"import elman\n\n{call}",
            suffix=table_suffix(file),
            task=self.description,
            data=data,
            options=self._notable_options(),
            metrics=self.metrics_,
            validated_by=self.validated_by,
            history=self.history_,
            curve=CURVE if has_curve else None,
            counts=getattr(self, "validation_counts_", ()),
            parameters=sum(p.numel() for p in self.network_.parameters()),
            command=command,
        )

    def _notable_options(self) -> dict[str, Any]:
        """The options that differ from their defaults, and those that were resolved."""
        defaults = type(self)().options()
        changed = {name: value for name, value in self.learnt_with_.items() if value != defaults.get(name)}
        resolved = {name: value for name, value in self.resolved_.items() if value}  # 0: turned off for these data
        return {name: value for name, value in (changed | resolved).items() if name != "verbose"}

    def described(self) -> dict[str, Any]:
        """The inputs, for the model card: lines of text by name."""
        return dict(self.feature_.card())

    def _config(self) -> dict[str, Any]:
        """The task's part of config.json."""
        return {}

    def _tensors(self) -> dict[str, Tensor]:
        """The task's part of model.safetensors."""
        return {}

    def _files(self) -> dict[str, str]:
        """The task's text files in the folder, by name."""
        return {}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        files: Mapping[str, Any],
        folder: str | os.PathLike[str] = "the model",
    ) -> Self:
        """The saved task. Raises ``ModelFileError`` for invalid contents."""
        store.check_finite(folder, tensors)
        try:
            made = cls(**saved_options(config["options"]))
            if problems := made.problems():
                raise ModelFileError(f"{os.fspath(folder)} has invalid options: {'; '.join(map(str, problems))}.")
            made.learnt_with_, made.resolved_ = made.options(), dict(config["resolved"])
            made.history_ = History.from_json(config["history"])
            made.metrics_ = {k: float("nan") if v is None else float(v) for k, v in config["metrics"].items()}
            made.data_ = dict(config["data"])
            if counted := config.get("validation_counts"):
                made.validation_counts_ = [CountTable.from_json(saved) for saved in counted]
            if (reader := made.reader) is not None:
                reader.restore(config, tensors, files)
            made._restore(config, tensors, files, folder)
        except ModelFileError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError, OverflowError) as error:
            raise ModelFileError(
                f"{os.fspath(folder)} has a config.json that no {cls.__name__} wrote ({shown(error, 200)}). Save the "
                "model again."
            ) from error
        return made

    @abstractmethod
    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        """Restores the task's own part of the folder: at least `network_`."""

    # ---- one step at a time

    @by_learnt_options
    def stream(self, static: Mapping[str, Any] | None = None) -> Session:
        """A session for streaming inference: fed step by step, it answers as ``predict`` on the steps so far.

        Unidirectional models only. `static` gives the columns without steps, such as ``{"age": 63}``; those that are
        not given are missing.
        """
        return Session(self._stepper(static))

    def _stepper(self, static: Mapping[str, Any] | None) -> Stepper:
        """What a session needs of the task."""
        raise OptionError(f"{type(self).__name__} cannot stream. docs/README.md has a table of the tasks that can.")

    # ---- looking inside

    def __dir__(self) -> list[str]:
        """Options, fitted attributes and the methods that a person calls, for tab completion."""
        return sorted({name for name in super().__dir__() if name.startswith("_")} | public_names(self))

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """The options that are no defaults; after `fit` also the size and the validation metric."""
        options: str = super().__repr__(N_CHAR_MAX=N_CHAR_MAX)
        if not hasattr(self, "network_"):
            return options
        parts = [f"{sum(p.numel() for p in self.network_.parameters()):,} parameters"]
        metric = self.history_.metric
        if metric in self.metrics_:
            name = metric.replace("_", " ")
            parts.append(f"validation {name} {self.metrics_[metric]:.4f} ({direction(metric)} is better)")
        return f"<fitted {options}: {', '.join(parts)}>"

    @by_learnt_options
    def summary(self) -> ModelSummary:
        """The layers with their parameters and bytes, and the value chosen for each option left at None.

        Print the result, or see its ``layers``, ``parameters``, ``bytes``, ``chosen`` and ``to_json()``.
        """
        return summarize(self)

    def _repr_html_inner(self) -> str:
        """The diagram of scikit-learn, and after `fit` the summary and the learning curve."""
        diagram = str(super()._repr_html_inner())
        if not hasattr(self, "network_"):
            return diagram
        return f"{diagram}{self.summary().to_html()}{self.history_.to_html()}"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """What a notebook shows."""
        found: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return {**found, "text/html": self._repr_html_inner()} if "text/html" in found else found

    @by_learnt_options
    def diagnose(self, X: Any, y: Any = None, *, sequences: int = 100) -> Diagnosis:
        """Gradient flow through time, and recommendations: docs/diagnose.md.

        `X` and `y` as in `fit`; without `y` the model's own answers are the targets. At most `sequences` are analysed,
        evenly spaced among those with steps. Print the result, or see its ``verdict``, ``tables()``, ``picture()`` and
        ``to_json()``.
        """
        return diagnose(self._diagnosis_request(X, y), sequences)

    @by_learnt_options
    def explain(self, X: Any, y: Any = None) -> Explanation:
        """The attribution of the model's answer, or of `y`, to the steps of each sequence: docs/explain.md.

        Integrated gradients, which add up to the score. Each item of the result has ``steps`` (a number per step),
        ``symbols`` and ``picture()``; ``explanation.steps`` is a `Ragged` of all.
        """
        return explain(self._attribution_request(X, y))

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """The input layers, and the score of each sequence to be explained."""
        raise OptionError(
            f"{type(self).__name__} cannot be explained. docs/README.md has a table of the tasks that can."
        )

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network, and the loss of each sequence."""
        raise OptionError(
            f"{type(self).__name__} cannot be diagnosed. docs/README.md has a table of the tasks that can."
        )


def as_json(value: Any) -> Any:
    """An option in a form that JSON can represent.

    >>> as_json(np.float64(0.5)), as_json({1: (2,)})
    (0.5, {'pairs': [[1, [2]]]})
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, Mapping):  # keys may be numbers, which JSON would turn into strings
        return {"pairs": [[as_json(key), as_json(part)] for key, part in value.items()]}
    return value
