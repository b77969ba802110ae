"""The option `pretrain`: language-model pre-training on unlabelled texts.

    1. The vocabulary is learnt from the training set and the unlabelled texts.
    2. Embeddings and recurrent layers are trained on both to predict the next symbol: objective.py.
    3. The task is trained from these weights; pooling, output layer and n-gram model start as without pre-training.

The validation set is used in none of the three. A fitted `Generator` in place of texts replaces 1 and 2. The saved
model does not contain the texts: its option `pretrain` is None.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.errors import DataError, OptionError, Problem
from elman.features import Columns, Feature, infer
from elman.features.containers import by_name, column_of
from elman.features.lists import listed, opened
from elman.features.multi_input import MultiInput
from elman.io import model_folder as store
from elman.io.tables import is_text, read_table
from elman.layers.encoder import precisions
from elman.ops.functional import info
from elman.ragged import Ragged
from elman.tasks.base.inputs import InputReader, check_column, take
from elman.tasks.base.network import encoder_of
from elman.tasks.base.resolve import Config
from elman.tasks.base.task import as_json
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.generate.estimator import Generator
from elman.tasks.pretrain.defaults import PRETRAINED, SIZES, learnt_option
from elman.tasks.pretrain.objective import NextTokenObjective, learn
from elman.training.device import device_of
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import OptionGroup, is_whole, whole

_KEPT = 100  # texts of the validation set for the nats per symbol
_DROPOUT = 0.1  # after each layer and before the last
_RATE = 3e-3
_BATCH_STEPS = 8192
_BATCH_SEQUENCES = 64
_BROUGHT = ("unit", "tokenizer", "max_words", "min_count", "lower")  # options fixed by the vocabulary of a Generator

_Indices = NDArray[np.int64]


@dataclass(kw_only=True)
class PretrainOptions(OptionGroup):
    """Pre-training."""

    pretrain: Any = None  # unlabelled texts, or a Generator; on the command line a file of texts, one a line, a table
    #   with the input column, or the folder of a Generator; None: no pre-training
    pretrain_epochs: int = 2  # passes over those texts and the training set
    hidden: int | Sequence[int] | None = None  # units per layer and direction; one number, or one per layer; None: 64,
    #   512 with texts in pretrain
    learning_rate: float | None = None  # peak learning rate, reached at the end of warm-up; None: 3e-3, 1e-3
    #   with pretrain
    dropout: float | None = None  # dropout rate after each layer, one mask per sequence; 0 turns it off; None: 0.3, 0.5
    #   with pretrain
    embed: int | None = None  # size of the embedding of a symbol or an image; unused for numbers; None: 64, 128 with
    #   texts in pretrain

    def problems(self) -> list[Problem]:
        """What is wrong with these options."""
        if self.pretrain is None:
            return []
        found = whole(self, "pretrain_epochs", 0)
        if is_model(self.pretrain):  # `PretrainReader` reads it, once
            return found
        if not isinstance(self.pretrain, Generator):
            return found + _text_problems(self)
        source = self.pretrain
        if not hasattr(source, "network_"):
            again = "scikit-learn's clone drops fitted attributes; the folder of a saved one is kept"
            return [*found, Problem("pretrain", shown(source), f"is a Generator that is not fitted ({again})")]
        return found + _generator_problems(self, source)


def _text_problems(options: Any) -> list[Problem]:
    found = _channel_problems(options)
    if options.bidirectional and not (options.layers == 1 and (options.hidden is None or is_whole(options.hidden))):
        why = "a second layer would see the symbol that the first is to predict"
        found.append(Problem("layers", str(options.layers), f"must be 1 to learn texts in both directions: {why}"))
    return found


def _channel_problems(options: Any) -> list[Problem]:
    if options.channels is None or not np.any(options.channels):
        return []
    what = "must be 0 with pretrain: the layers were trained on embeddings"
    return [Problem("channels", shown(options.channels), what)]


def _generator_problems(options: Any, source: Generator) -> list[Problem]:
    found = _channel_problems(options)
    for name in ("cell", "layers", "hidden", "embed"):
        own, its = getattr(options, name), learnt_option(source, name)
        if own is not None and not np.array_equal(np.atleast_1d(own), np.atleast_1d(its)):
            found.append(Problem(name, repr(own), f", but the Generator in pretrain has {name} = {its!r}; give that"))
    for name in _BROUGHT:
        if getattr(options, name) != getattr(type(options), name):
            own = repr(getattr(options, name))
            found.append(Problem(name, own, "has no meaning with a Generator, which brings its own"))
    if options.vectors is not None:
        found.append(
            Problem("vectors", shown(options.vectors), "has no meaning with a Generator, which brings its own")
        )
    if options.bidirectional:
        found.append(Problem("bidirectional", "True", ": a Generator reads in one direction"))
    if source.zoneout:
        found.append(Problem("pretrain", "a Generator", f"has zoneout = {source.zoneout}, which this task has not"))
    return found


def generator_in(pretrain: Any) -> Generator | None:
    """The language model in the option ``pretrain``, if it is one, or the folder of one.

    Raises ``OptionError`` for the folder of another model.
    """
    if isinstance(pretrain, Generator):
        return pretrain
    if not is_model(pretrain):
        return None
    config, tensors, files = store.load(pretrain)
    if config.get("task") != Generator.task:
        raise OptionError(Problem("pretrain", repr(str(pretrain)), f"holds a model that does not {Generator.task}."))
    return Generator.restore(config, tensors, files, pretrain)


class PretrainReader(InputReader):
    """Reads unlabelled texts beside the labelled ones, and pre-trains the network on them."""

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self._unlabelled: Ragged | None = None

    @functools.cached_property
    def generator(self) -> Generator | None:
        """The language model in ``pretrain``, if it is one. Raises ``OptionError`` for one that does not fit."""
        source = generator_in(self.task.pretrain)
        if source is not None and (problems := _generator_problems(self.task, source)):
            raise OptionError.of(problems)
        return source

    def learn(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The inputs of ``fit`` and the targets; a language model that does not fit is refused first."""
        _ = self.generator
        return super().learn(X, y)

    def learnt_options(self, config: Config) -> dict[str, Any]:
        """The options with the values resolved from ``pretrain``, without ``pretrain`` itself."""
        chosen = {name: as_json(getattr(config, name)) for name in (*SIZES, *PRETRAINED)}
        return {**super().learnt_options(config), **chosen, "pretrain": None}

    def feature(self, column: Any) -> Feature | Columns:
        """The feature for a column; that of a Generator comes with its vocabulary."""
        made = super().feature(column)
        if self.task.pretrain is None:
            return made
        if not made.is_vocabulary:
            what = f"but the input is taken for {made.called}."
            raise OptionError(f"pretrain needs one column of texts or tokens, {what}")
        if self.generator is None:
            return made
        if made.kind != (kind := self.generator.feature_.kind):
            raise OptionError(f"the Generator in pretrain reads {kind}, but the input is taken for {made.kind}.")
        return self.generator.feature_

    def features(
        self, feature: Feature | Columns, column: Any, training: _Indices, rest: _Indices
    ) -> tuple[Ragged | MultiInput, Ragged | MultiInput]:
        """Fits the feature to the training set and the unlabelled texts; the steps of training and validation set."""
        if self.task.pretrain is None:
            return super().features(feature, column, training, rest)
        fitted = self.generator is not None
        feature, name = feature.only(), self.input if isinstance(self.input, str) else None
        texts = [] if fitted else _unlabelled(self.task.pretrain, name, feature)
        try:
            labelled = listed(take(column, training), "X")
            steps = (feature.transform if fitted else feature.fit_transform)([*labelled, *texts])
            kept = feature.transform(take(column, rest)) if len(rest) else steps[:0]
        except DataError:  # raise it again with the place in the caller's data
            feature.transform(column) if fitted else self.feature(column).fit(column)
            if texts:
                super().feature(column).fit(texts, name="pretrain")  # type: ignore[call-arg, arg-type]
            raise
        assert isinstance(steps, Ragged)
        self._unlabelled = steps[len(labelled) :]
        return steps[: len(labelled)], kept

    def pretrain(self, run: TrainingRun, config: Config, data: Ragged | MultiInput, kept: Ragged | MultiInput) -> None:
        """Initialises the network by pre-training on the texts, or from the Generator.

        A run interrupted during pre-training resumes there. Ctrl-C is raised, since no label was seen yet.
        """
        if self.task.pretrain is None:
            return
        path = self.task.network_.path
        if self.generator is not None:
            _take_over(path, self.generator.network_.input, self.generator.network_.encoder)
            return
        assert isinstance(data, Ragged)
        assert isinstance(kept, Ragged)
        assert self._unlabelled is not None
        texts = Ragged.cat([data, self._unlabelled])
        self.task.data_ |= {"pretraining texts": len(texts), "pretraining steps": texts.steps}
        if run.resume and not _is_pretraining(run.checkpoint):
            return  # the checkpoint of the task itself has all weights
        run.notes.stage(f"pre-training on {len(texts):,} texts of {texts.steps:,} steps, before the task itself")
        model, narrow = self._objective(run, config, path), bool(info()["bfloat16"])
        history = learn(model, texts, kept[:_KEPT], self._options(run), run.checkpoint, run.resume, narrow)
        if history.interrupted:
            raise KeyboardInterrupt
        if (best := history.best_epoch) and "loss" in best.validation:
            self.task.data_["pretraining nats per symbol"] = round(best.validation["loss"], 4)
        _take_over(path, model.input, model.encoder)
        run.resume = False

    def _options(self, run: TrainingRun) -> TrainingOptions:
        return TrainingOptions(
            epochs=int(self.task.pretrain_epochs),
            batch_steps=_BATCH_STEPS,
            batch_sequences=_BATCH_SEQUENCES,
            learning_rate=_RATE,
            warmup=0.05,
            decay="linear",
            patience=None,
            seed=run.seed,
            device=self.task.device,
            verbose=self.task.verbose,
        )

    def _objective(self, run: TrainingRun, config: Config, path: Any) -> NextTokenObjective:
        """The next-token objective, with layers of the same sizes as the task's."""
        cell = config.cell or "lstm"
        on_cpu = device_of(self.task.device).type == "cpu"
        narrow = on_cpu and info()["bfloat16"] and "bfloat16" in precisions(cell)
        own = vars(config) | {"cell": cell, "dropout": _DROPOUT, "precision": "bfloat16" if narrow else "float32"}
        with run.seeded():
            encoder = encoder_of(Config(**own), path.input.outputs)
            model = NextTokenObjective(len(path.input.weight), path.input.outputs, encoder, _DROPOUT)
        if config.vectors is not None:
            model.input.load_state_dict(path.input.state_dict())
        return model


def is_model(folder: Any) -> bool:
    """Whether it is the folder of a model; False for what cannot be a path.

    >>> is_model("no such folder"), is_model(["a text"])
    (False, False)
    """
    try:
        return isinstance(folder, str | os.PathLike) and Path(folder, store.CONFIG).is_file()
    except OSError:
        return False


def _take_over(path: Any, vectors: Any, encoder: Any) -> None:
    """Copies embeddings (a Generator has one more, for the boundary) and layers into a path."""
    with torch.no_grad():
        path.input.weight.copy_(vectors.weight[: len(path.input.weight)])
    path.encoder.load_state_dict(encoder.state_dict())


def _is_pretraining(checkpoint: Path | None) -> bool:
    """Whether a run to resume is still in pre-training; also True where there is no such run."""
    if checkpoint is None or not (checkpoint / store.CONFIG).exists():
        return True
    _, tensors, _ = store.load(checkpoint, kind="checkpoint")
    return "model.project.0.weight" in tensors


def _unlabelled(given: Any, name: str | None, feature: Feature) -> list[Any]:
    """The texts of a list, a column, a frame or a file."""
    if isinstance(given, str | os.PathLike):
        frame, by_line = read_table(given).frame, is_text(given)
        given = [line for line in frame["text"][0].split("\n") if line.strip()] if by_line else frame
    given = opened(given, "pretrain")
    columns = by_name(given, "pretrain")
    if columns is not None:
        chosen = name if name in columns or len(columns) != 1 else next(iter(columns))
        check_column(list(columns), str(chosen), "the column that is read", "column of pretrain")
        given = columns[str(chosen)]
    texts = listed(column_of(given, type(feature), "pretrain"), "pretrain")
    if not texts:
        raise DataError("pretrain holds no texts. Give some, or None.")
    if (kind := infer(texts, name="pretrain").kind) != feature.kind:
        raise DataError(f"pretrain holds {kind}, but the input is {feature.kind}. Give texts of the kind of the input.")
    return texts
