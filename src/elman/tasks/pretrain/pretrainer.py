"""The option `pretrain`: what texts without labels teach a task before it sees a label.

    1. The vocabulary is learnt from the training part and those texts together.
    2. The vectors of symbols and the layers learn to say the next symbol of all of them: foretell.py.
    3. The task learns as ever, from these vectors and layers instead of random ones; the pool and the last layer, and
       the wide path of a classifier, are its own.

The validation part stays out of all three. A fitted `Generator` in place of texts brings 1 and 2 with it. A model on
disk keeps what was learnt, not the texts: its own option `pretrain` is None.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from elman.errors import DataError, OptionError, Problem
from elman.features import Columns, Feature, Text, Tokens, infer
from elman.features.containers import by_name, column_of
from elman.features.lists import listed
from elman.features.multi_input import Bundle
from elman.io import model_folder as store
from elman.io.tables import is_text, read_table
from elman.layers.encoder import precisions
from elman.ops.functional import info
from elman.ragged import Ragged
from elman.tasks.base.inputs import ColumnTask, _take, check_column
from elman.tasks.generate.estimator import Generator
from elman.tasks.pretrain.objective import Foreteller, learn
from elman.training.loop import Training
from elman.validation.messages import shown
from elman.validation.options import is_whole, whole

__all__ = ["Pretrains"]

_KEPT = 100  # texts of the validation part that the nats per symbol are measured on
_DROPOUT = 0.1  # after each layer and before the last
_RATE = 3e-3
_BATCH_STEPS = 8192
_BATCH_SEQUENCES = 64
_BROUGHT = ("unit", "max_words", "min_count", "lower")  # what the vocabulary of a Generator decides

_Indices = NDArray[np.int64]


@dataclass(kw_only=True, eq=False, repr=False)
class Pretrains(ColumnTask):
    """A task on texts or tokens that may learn from texts without labels first.

    Options that are None stand for those of `settled_for`; with a `Generator` the sizes are its own, as `cell` is.
    """

    settled_for: ClassVar[dict[bool, dict[str, Any]]] = {  # what None stands for, without and with `pretrain`
        False: {"hidden": 64, "embed": 64, "learning_rate": 3e-3, "dropout": 0.3},
        True: {
            "hidden": 512,
            "embed": 128,
            "learning_rate": 1e-3,
            "dropout": 0.5,
            "symbol_dropout": 0.0,
            "pool": "mean+max+last",
        },
    }

    # what texts without labels teach
    pretrain: Any = None  # texts to learn from first, or a Generator; on the command line a file of texts, one a line,
    #   a table with the column that is read, or the folder of a Generator; None: nothing
    pretrain_epochs: int = 2  # passes over those texts and the training part

    # what remembers
    hidden: int | Sequence[int] | None = None  # type: ignore[assignment]  # units of a layer and direction; one number,
    #   or one per layer; None: 64, 512 with texts in pretrain

    # how it learns
    learning_rate: float | None = None  # type: ignore[assignment]  # the highest rate, reached when the warm-up ends;
    #   None: 3e-3, 1e-3 with pretrain

    # what is left out while training
    dropout: float | None = None  # type: ignore[assignment]  # share of h set to zero after each layer, one mask per
    #   sequence; 0 turns it off; None: 0.3, 0.5 with pretrain
    symbol_dropout: float | None = None  # share of a sequence's distinct symbols that are left out (Gal & Ghahramani
    #   2016); None: 0.4, and 0 with pretrain and where they are the letters of an alphabet

    # what an answer is made from
    pool: str | None = None  # one row from all steps: "last", "mean", "max", "attention", or some joined by "+"; None:
    #   "mean+max+last" with pretrain and where cell = None chose gru_d, else "attention"

    # what a step is
    embed: int | None = None  # type: ignore[assignment]  # numbers in the learnt vector of a symbol or an image; unused
    #   for numbers; None: 64, 128 with texts in pretrain

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        if self.pretrain is None:
            return ColumnTask.problems(self.settled())
        source = self._generator()
        found = whole(self, "pretrain_epochs", 0)
        if source is None:
            found += self._text_problems()
        elif not hasattr(source, "network_"):
            again = "scikit-learn's clone takes away what was learnt; the folder of a saved one stays"
            return [*found, Problem("pretrain", shown(source), f"is a Generator that is not fitted ({again})")]
        else:
            found += self._generator_problems(source)
        return found + ColumnTask.problems(self.settled())

    def _text_problems(self) -> list[Problem]:
        found = []
        if self.bidirectional and not (self.layers == 1 and (self.hidden is None or is_whole(self.hidden))):
            found.append(
                Problem(
                    "layers",
                    str(self.layers),
                    "must be 1 to learn texts in both directions: a second layer would see the "
                    "symbol that the first is to say",
                )
            )
        return found + self._front_refused()

    def _front_refused(self) -> list[Problem]:
        if self.channels is None or not np.any(self.channels):
            return []
        return [
            Problem(
                "channels",
                shown(self.channels),
                "must be 0 with pretrain: the layers learnt to read vectors of symbols",
            )
        ]

    def _generator_problems(self, source: Generator) -> list[Problem]:
        found = self._front_refused()
        for name in ("cell", "layers", "hidden", "embed"):
            own, its = getattr(self, name), _learnt(source, name)
            if own is not None and not _same(own, its):
                found.append(
                    Problem(name, repr(own), f", but the Generator in pretrain has {name} = {its!r}; give that")
                )
        for name in _BROUGHT:
            if getattr(self, name) != getattr(type(self), name):
                found.append(
                    Problem(name, repr(getattr(self, name)), "has no meaning with a Generator, which brings its own")
                )
        if self.bidirectional:
            found.append(Problem("bidirectional", "True", ": a Generator reads in one direction"))
        if source.zoneout:
            found.append(Problem("pretrain", "a Generator", f"has zoneout = {source.zoneout}, which this task has not"))
        return found

    def settled(self) -> Self:
        """The same options without `pretrain`, and with numbers where None leaves the choice."""
        chosen = dict(self.settled_for[self.pretrain is not None])
        if (source := self._generator()) is not None:
            chosen |= {name: _learnt(source, name) for name in ("cell", "hidden", "embed")}
        chosen = {name: value for name, value in chosen.items() if getattr(self, name) is None}
        if not chosen and self.pretrain is None:
            return self
        return type(self)(**self.get_params(deep=False) | chosen | {"pretrain": None})

    def planned(self, sequences: int, steps: int, updates: int = 0) -> Self:
        """The same options with the lengths of the training chosen, where they are None; with `pretrain` half as many
        epochs, but 2 at least."""
        made = ColumnTask.planned(self.settled(), sequences, steps, updates)
        if self.pretrain is not None and self.epochs is None:
            made.epochs = max(2, int(made.epochs or 0) // 2)
        return made

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON can hold them."""
        chosen = self.settled()
        return super().options() if chosen is self else chosen.options()

    def _check_run(self, out: str | os.PathLike[str] | None, resume: bool) -> Path | None:
        self.__dict__.pop("_read", None)
        if self.pretrain is not None:
            self._read = (self.pretrain, self._generator())  # a folder is read once; taken away by `_taught`
        return super()._check_run(out, resume)

    def _generator(self) -> Generator | None:
        """The language model in `pretrain`, if it is one."""
        if isinstance(self.pretrain, Generator):
            return self.pretrain
        read: tuple[Any, Generator | None] = self.__dict__.get("_read", (None, None))
        given, source = read
        if given is not None and given is self.pretrain:
            return source
        if not isinstance(self.pretrain, str | os.PathLike) or not _is_model(self.pretrain):
            return None
        config, tensors, files = store.load(self.pretrain)
        if config.get("task") != Generator.task:
            raise OptionError(f"pretrain = {str(self.pretrain)!r} holds a model that does not {Generator.task}.")
        return Generator.restore(config, tensors, files, self.pretrain)

    # ---- learning

    def _feature(self, column: Any) -> Feature | Columns:
        """A feature for what is read; that of a Generator comes with its vocabulary."""
        source = self._generator()
        made = super()._feature(column)
        if self.pretrain is None:
            return made
        if not isinstance(made, Text | Tokens):
            what = "several columns" if isinstance(made, Columns) else made.kind
            raise OptionError(f"pretrain needs one column of texts or tokens, but the input is taken for {what}.")
        if source is None:
            return made
        if made.kind != source.feature_.kind:
            raise OptionError(
                f"the Generator in pretrain reads {source.feature_.kind}, but the input is taken for {made.kind}."
            )
        return source.feature_

    def _features(
        self, feature: Feature | Columns, column: Any, training: _Indices, rest: _Indices
    ) -> tuple[Ragged | Bundle, Ragged | Bundle]:
        """Fits the feature to the training part and the texts without labels, and gives the steps of both parts."""
        self.__dict__.pop("_beside", None)
        if self.pretrain is None:
            return super()._features(feature, column, training, rest)
        fitted = self._generator() is not None
        assert isinstance(feature, Feature)
        name = self.input_ if isinstance(self.input_, str) else None
        texts = [] if fitted else _unlabelled(self.pretrain, name, feature)
        try:
            labelled = listed(_take(column, training), "X")
            steps = (feature.transform if fitted else feature.fit_transform)([*labelled, *texts])
            kept = feature.transform(_take(column, rest)) if len(rest) else steps[:0]
        except DataError:  # the same fault, named by its place in what the caller passed
            feature.transform(column) if fitted else self._feature(column).fit(column)
            if texts:
                super()._feature(column).fit(texts, name="pretrain")  # type: ignore[call-arg, arg-type]
            raise
        assert isinstance(steps, Ragged)
        self._beside = steps[len(labelled) :]  # taken away again by `_taught`
        return steps[: len(labelled)], kept

    def _taught(self, data: Ragged | Bundle, kept: Ragged | Bundle, checkpoint: Path | None, resume: bool) -> bool:
        """Puts what the texts or the Generator taught into the network; whether the task itself is to be resumed.

        Ctrl-C on the way is raised: no label was seen yet.
        """
        if self.pretrain is None:
            return resume
        beside: Ragged = self.__dict__.pop("_beside")
        path, source = self.network_.path, self._generator()
        self.__dict__.pop("_read", None)
        if source is not None:
            _take_over(path, source.network_.input, source.network_.encoder)
            return resume
        assert isinstance(data, Ragged)
        assert isinstance(kept, Ragged)
        texts = Ragged.cat([data, beside])
        self.data_ |= {"pretraining texts": len(texts), "pretraining steps": texts.steps}
        if resume and not _teaching(checkpoint):
            return True  # the checkpoint of the task itself has all weights
        model = self._foreteller(path)
        narrow = bool(info()["bfloat16"])
        history = learn(model, texts, kept[:_KEPT], self._lessons(), checkpoint, resume, narrow)
        if history.interrupted:
            raise KeyboardInterrupt
        if (best := history.best_epoch) and "loss" in best.validation:
            self.data_["pretraining nats per symbol"] = round(best.validation["loss"], 4)
        _take_over(path, model.input, model.encoder)
        return False

    def _lessons(self) -> Training:
        """How the texts are learnt."""
        return Training(
            epochs=int(self.pretrain_epochs),
            batch_steps=_BATCH_STEPS,
            batch_sequences=_BATCH_SEQUENCES,
            learning_rate=_RATE,
            warmup=0.05,
            decay="linear",
            patience=None,
            seed=self._seed,
            verbose=self.verbose,
        )

    def _foreteller(self, path: Any) -> Foreteller:
        """What says the next symbol, with layers of the same sizes as the task's."""
        settled = self.settled()
        narrow = info()["bfloat16"] and "bfloat16" in precisions(settled.chosen_cell())
        options = dataclasses.replace(settled, dropout=_DROPOUT, precision="bfloat16" if narrow else "float32")
        with self._drawn():
            encoder = options.encoder(path.input.outputs)
            return Foreteller(len(path.input.weight), path.input.outputs, encoder, _DROPOUT)


def _is_model(folder: str | os.PathLike[str]) -> bool:
    """Whether it is the folder of a model; what cannot be a name is none."""
    try:
        return Path(folder, store.CONFIG).is_file()
    except OSError:
        return False


def _learnt(source: Generator, name: str) -> Any:
    """An option as a Generator was fitted with it."""
    return getattr(source, "learnt_with_", {}).get(name, getattr(source, name))


def _take_over(path: Any, vectors: Any, encoder: Any) -> None:
    """Gives a path the vectors of its symbols (a Generator has one more, for the boundary) and the layers."""
    with torch.no_grad():
        path.input.weight.copy_(vectors.weight[: len(path.input.weight)])
    path.encoder.load_state_dict(encoder.state_dict())


def _teaching(checkpoint: Path | None) -> bool:
    """Whether a run that was broken off had not come to its labels yet; also where there is no such run."""
    if checkpoint is None or not (checkpoint / store.CONFIG).exists():
        return True
    _, tensors, _ = store.load(checkpoint, kind="checkpoint")
    return "model.project.0.weight" in tensors


def _unlabelled(given: Any, name: str | None, feature: Feature) -> list[Any]:
    """The texts in whatever they come in: a list, a column, a frame, a file."""
    if isinstance(given, str | os.PathLike):
        frame = read_table(given).frame
        if is_text(given):  # one text a line
            given = [line for line in frame["text"][0].split("\n") if line.strip()]
        else:
            given = frame
    columns = by_name(given, "pretrain")
    if columns is not None:
        chosen = name if name in columns or len(columns) != 1 else next(iter(columns))
        check_column(list(columns), str(chosen), "the column that is read", "column of pretrain")
        given = columns[str(chosen)]
    texts = listed(column_of(given, feature.kind, "pretrain"), "pretrain")
    if not texts:
        raise DataError("pretrain holds no texts. Give some, or None.")
    if (kind := infer(texts, name="pretrain").kind) != feature.kind:
        raise DataError(f"pretrain holds {kind}, but the input is {feature.kind}. Give more of what is read.")
    return texts


def _same(one: Any, other: Any) -> bool:
    """Whether two options say the same, whatever they come in."""
    return [*np.atleast_1d(one)] == [*np.atleast_1d(other)]
