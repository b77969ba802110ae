"""What every task shares: options, frames in, the validation part, one model folder, streams.

To add a task, write one file beside this one: a dataclass derived from `Task` whose commented fields are its options,
with `fit`, `predict` and the few methods that `Task` leaves open; and add it to the import in `__init__.py`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor

from elman import report, store
from elman.cells import CELLS
from elman.encoder import PRECISIONS, precisions
from elman.errors import DataError, ModelFileError, OptionError
from elman.features import FEATURES, Feature, infer
from elman.features.base import is_frame, listed
from elman.history import History
from elman.ops import MEMORY
from elman.options import choice, is_whole, share, whole
from elman.ragged import Ragged
from elman.stream import Session
from elman.train import Training

__all__ = ["LEAST", "Task", "held_out"]

LEAST = 50  # sequences; with fewer nothing is held out, since a part of them could not choose anything
CURVE = "learning-curve.png"

_Indices = NDArray[np.int64]


@dataclass(kw_only=True, eq=False, repr=False)
class Task(BaseEstimator, Training):
    """A scikit-learn estimator whose fields are its options; what it learns is kept in attributes that end in `_`.

    Options are checked by `fit`, all of them together, and not before: that is scikit-learn's rule.
    """

    task: ClassVar[str]  # written to config.json, the name on the command line
    says: ClassVar[str]  # what it does, for people
    every_step: ClassVar[bool] = False  # whether it has a loss at every step (train.StepLoss)

    # what a step is
    input: str | None = None  # the column of a frame to read; None: the only one beside the target
    feature: str = "auto"  # what a step is: "text", "tokens", "numbers"; "auto": as the data look
    unit: str = "auto"  # of texts: "words", "characters", "mixed", "subwords"; "auto": "mixed" or "words" by script
    max_words: int = 30_000  # of texts and tokens: most symbols kept, the commonest first
    min_count: int | None = None  # symbols seen less often are unknown; None: 2 from 100 000 training steps, else 1
    lower: bool | None = None  # lower-case texts and tokens; None: texts yes, tokens no
    scale: str = "standard"  # of numbers: "standard" gives each column mean 0 and deviation 1; "none" as they are

    # how it learns, where that differs from Training
    epochs: int | None = None  # type: ignore[assignment]  # passes over the sequences; None: 4 to 20, see `planned`
    batch_steps: int | None = None  # type: ignore[assignment]  # None: 8192 from 2 000 000 training steps, else 4096
    batch_sequences: int | None = None  # type: ignore[assignment]  # None: 1/32 of the sequences, 16 to 256
    learning_rate: float = 3e-3  # the highest rate, reached when the warm-up ends
    decay: str = "linear"  # how the learning rate falls to 0 after the warm-up: "linear", "cosine", "none"
    patience: int | None = 5  # epochs without a better validation metric before training stops; None: never

    # what remembers
    cell: str = "lstm"  # "lstm", "ln_lstm", "gru", "rnn", "rnn_relu", "min_gru", "min_lstm", "lru"
    hidden: int | Sequence[int] = 64  # units of a layer and direction; one number, or one per layer
    layers: int = 1  # recurrent layers; may stay 1 where hidden lists one width per layer
    bidirectional: bool = False  # each layer also reads backwards; such a model cannot stream
    embed: int = 64  # numbers in the learnt vector of a symbol; unused for numbers
    symbol_dropout: float = 0.4  # share of a sequence's distinct symbols that are left out (Gal & Ghahramani 2016)
    dropout: float = 0.3  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    memory: str = "save"  # in training: "save" keeps all gates, "recompute" makes them again, for less memory
    precision: str = "float32"  # of products in the layers; "bfloat16": faster, where the processor multiplies it

    # Two tasks with equal options are still two tasks: one may be fitted, the other not.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags

    def problems(self) -> list[str]:
        """Everything that is wrong with the options, a sentence each."""
        found = Training.problems(self.planned(0, 0))
        kinds, units = ("auto", *FEATURES), ("auto", "words", "characters", "mixed", "subwords")
        found += choice(self, "feature", kinds) + choice(self, "unit", units)
        found += choice(self, "scale", ("standard", "none")) + choice(self, "cell", tuple(CELLS))
        found += choice(self, "memory", MEMORY) + self._precision_problems()
        found += whole(self, "max_words") + whole(self, "layers") + whole(self, "embed")
        found += whole(self, "min_count") if self.min_count is not None else []
        found += share(self, "symbol_dropout") + share(self, "dropout")
        if not (self.lower is None or isinstance(self.lower, bool)):
            found.append(f"lower = {self.lower!r} must be True, False or None")
        if not isinstance(self.bidirectional, bool | np.bool_):
            found.append(f"bidirectional = {self.bidirectional!r} must be True or False")
        if not (self.input is None or isinstance(self.input, str)):
            found.append(f"input = {self.input!r} must be the name of a column, or None")
        return found + self._width_problems() + self._tbptt_problems()

    def _precision_problems(self) -> list[str]:
        found = choice(self, "precision", PRECISIONS)
        if found or choice(self, "cell", tuple(CELLS)) or self.precision in precisions(self.cell):
            return found
        return [f"precision = {self.precision!r} is not made for cell = {self.cell!r}"]

    def _tbptt_problems(self) -> list[str]:
        if not is_whole(self.tbptt):  # 0, or refused by Training
            return []
        if not self.every_step:
            one = f"{type(self).__name__} has one loss for a whole sequence, whose gradient would reach its end only"
            return [f'tbptt = {self.tbptt} must be 0: {one} (memory = "recompute" takes little memory for long ones)']
        return [f"tbptt = {self.tbptt} needs bidirectional = False: no state is carried backwards"] * self.bidirectional

    def _width_problems(self) -> list[str]:
        hidden = self.hidden
        widths = [hidden] if is_whole(hidden) else hidden
        if not isinstance(widths, list | tuple | np.ndarray) or not len(widths) or not all(map(is_whole, widths)):
            return [f"hidden = {hidden!r} must be a whole number of at least 1, or one for each layer"]
        if not is_whole(hidden) and self.layers not in (1, len(widths)):
            return [f"hidden = {hidden!r} lists {len(widths)} widths, but layers = {self.layers}"]
        return []

    def planned(self, sequences: int, steps: int) -> Self:
        """The same options with the lengths of the training chosen, where they are None.

        ::

            epochs = 8 (700 000 / steps)^(1/3), from 4 to 20
            batch_steps = 8192 if steps >= 2 000 000 else 4096
            batch_sequences = sequences / 32, from 16 to 256

        Film reviews (6 million steps) did best with 4 epochs, short Chinese reviews (0.7 million) with 8; the curve
        through the two, and what lies beyond them, is a guess that keeps the number of batches useful in small sets.
        """
        epochs = min(20, max(4, round(8 * (700_000 / max(1, steps)) ** (1 / 3))))
        made = type(self)(**self.get_params(deep=False))
        made.epochs = epochs if self.epochs is None else self.epochs
        made.batch_steps = (8192 if steps >= 2_000_000 else 4096) if self.batch_steps is None else self.batch_steps
        sizes = min(256, max(16, sequences // 32))
        made.batch_sequences = sizes if self.batch_sequences is None else self.batch_sequences
        return made

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON can hold them."""
        return {f.name: _json(getattr(self, f.name)) for f in dataclasses.fields(self)}

    # ---- data in

    def _check_options(self) -> None:
        if problems := self.problems():
            raise OptionError("; ".join(problems))

    def _column_and_target(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The input column, and the targets: `y` itself, or the column of the frame that it names."""
        if not isinstance(y, str):
            return self._column(X), y
        if isinstance(X, list | tuple | np.ndarray | Ragged) or not is_frame(X):
            raise DataError(
                f"y = {y!r} would name a column, but X is a {type(X).__name__}, not a frame. Pass a frame, or the "
                "targets themselves."
            )
        frame = _frame(X)
        _check_column(frame, y, "y")
        if self.input == y or len(frame.columns) == 1:
            raise DataError(f"X has no input beside the target: y and the input are both {y!r}. Name two columns.")
        return self._column(X, frame, [c for c in frame.columns if c != y]), frame[y].to_list()

    def _column(self, X: Any, frame: Any = None, columns: list[str] | None = None) -> Any:
        """The one column of a frame to read; what is no frame stays as it is."""
        if frame is None:
            if isinstance(X, list | tuple | np.ndarray | Tensor | Ragged) or not is_frame(X):
                strange = hasattr(X, "__array__") and not hasattr(X, "__iter__")
                return np.asarray(X) if strange else X
            frame = _frame(X)
        names = frame.columns if columns is None else columns
        wanted = self.input if self.input is not None else getattr(self, "input_", None)
        if wanted is not None and (self.input is not None or wanted in names):
            _check_column(frame, wanted, "input")
            return _series(frame, wanted)
        if len(names) == 1:
            return _series(frame, names[0])
        numeric = all(d.is_numeric() or d == nw.Boolean for d in (frame.schema[c] for c in names))
        if columns is None and numeric and names:
            return X  # scikit-learn's table of numbers: a sequence each, one step a column
        raise DataError(
            f"X has {len(names)} columns that could be the input: {_few(names)}. Say which one to read with "
            "input=..., or pass a frame with that column alone."
        )

    def _feature(self, column: Any) -> Feature:
        """A feature for the column, with the options that concern it."""
        made = infer(column) if self.feature == "auto" else FEATURES[self.feature]()
        for name in ("unit", "max_words", "min_count", "lower", "scale"):
            value, default = getattr(self, name), getattr(type(self), name)
            if hasattr(made, name):
                setattr(made, name, value if value is not None else getattr(made, name))
            elif value != default:
                raise OptionError(
                    f"{name} = {value!r} has no meaning for {made.kind}, which the input is taken for. Leave it at "
                    f"{default!r}, or set feature=..."
                )
        return made

    def _features(self, column: Any, training: _Indices, rest: _Indices) -> tuple[Feature, Ragged, Ragged]:
        """The feature learnt from the training part alone, and the steps of both parts."""
        feature = self._feature(column)
        if not len(rest):
            data = feature.fit_transform(column)
            return feature, data, data[:0]
        try:
            data = feature.fit_transform(_take(column, training))
            return feature, data, feature.transform(_take(column, rest))
        except DataError:
            self._feature(column).fit(column)  # the same fault, named by its place in what the caller passed
            raise

    def _remember_input(self, X: Any, column: Any) -> None:
        """What later frames and tables are compared with; and the options, should they be set anew after fit."""
        self.learnt_with_ = self.options()
        self.input_: str | None = None
        if column is not X and isinstance(getattr(column, "name", None), str):
            self.input_ = column.name
        elif (columns := _columns(column)) == 1 and is_frame(column):
            self.input_ = str(_frame(column).columns[0])
        self.__dict__.pop("n_features_in_", None)
        if (columns := _columns(column)) is not None:
            self.n_features_in_: int = columns

    def _steps(self, column: Any) -> Ragged:
        """The steps of a column that the fitted feature can read."""
        columns, learnt = _columns(column), getattr(self, "n_features_in_", None)
        if columns is not None and learnt is not None and columns != learnt:
            raise DataError(
                f"X has {columns} features, but {type(self).__name__} is expecting {learnt} features as input. In a "
                "table each column is a step; to pass sequences of another length than those of fit, pass list(X)."
            )
        feature: Feature = self.feature_
        return feature.transform(column)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet. Call fit(X, y) first, or load a model."
            )

    # ---- on disk

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model to a folder: config.json, model.safetensors, the vocabulary, README.md, the learning curve.

        The folder is replaced as a whole if it holds a model; the checkpoint in it stays only if Ctrl-C ended the fit,
        so that the run can be resumed. Raises ``ModelFileError`` if it holds anything else.
        """
        self._check_fitted()
        name = Path(folder).resolve().name
        curve = report.learning_curve(self.history_, title=name)
        config = {
            "task": self.task,
            "options": self.learnt_with_,
            "input": self.input_,
            "columns": getattr(self, "n_features_in_", None),
            "feature": {"kind": self.feature_.kind, **self.feature_.config()},
            "history": self.history_.to_json(),
            "metrics": {key: value if np.isfinite(value) else None for key, value in self.metrics_.items()},
            "data": dict(self.data_),
            **self._config(),
        }
        tensors = {f"network.{key}": value for key, value in self.network_.state_dict().items()}
        tensors |= {f"feature.{key}": value for key, value in self.feature_.tensors().items()}
        files: dict[str, str | bytes] = {**self.feature_.files(), "README.md": self._card(name, curve is not None)}
        if curve is not None:
            files[CURVE] = curve
        unfinished = self.history_.interrupted  # its checkpoint is what `resume` needs
        store.save(folder, config, tensors | self._tensors(), files, keep_checkpoint=unfinished)

    def _card(self, name: str, has_curve: bool) -> str:
        return report.model_card(
            name=name,
            task=self.says,
            data={"input": self.feature_.describe(), **self.data_},
            options=self.learnt_with_,
            metrics=self.metrics_,
            history=self.history_,
            curve=CURVE if has_curve else None,
        )

    def _config(self) -> dict[str, Any]:
        """What a task adds to config.json."""
        return {}

    def _tensors(self) -> dict[str, Tensor]:
        """What a task adds to model.safetensors."""
        return {}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        files: Mapping[str, Any],
        folder: str | os.PathLike[str] = "the model",
    ) -> Self:
        """The fitted task that was saved. Raises ``ModelFileError`` if anything in it cannot be right."""
        try:
            made = cls(**cls._options_from(config["options"]))
            if problems := made.problems():
                raise ModelFileError(f"{os.fspath(folder)} has options that cannot be: {'; '.join(problems)}.")
            saved = dict(config["feature"])
            kind = FEATURES[saved.pop("kind")]
            made.feature_ = kind.restore(saved, store.under("feature.", tensors), files)
            made.input_ = config["input"]
            made.learnt_with_ = made.options()
            if config["columns"] is not None:
                made.n_features_in_ = int(config["columns"])
            made.history_ = History.from_json(config["history"])
            made.metrics_ = {k: float("nan") if v is None else float(v) for k, v in config["metrics"].items()}
            made.data_ = dict(config["data"])
            made._restore(config, tensors, folder)
        except ModelFileError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError, OverflowError) as error:
            raise ModelFileError(
                f"{os.fspath(folder)} has a config.json that no {cls.__name__} wrote ({error!r}). Save the model again."
            ) from error
        return made

    @classmethod
    def _options_from(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """The options as the constructor takes them."""
        return dict(saved)

    def _restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Any) -> None:
        """What a task takes from its own part of the folder: at least `network_`."""
        raise NotImplementedError

    # ---- one step at a time

    def stream(self) -> Session:
        """A session that takes one step at a time and always has the answer so far."""
        raise NotImplementedError


def held_out(classes: NDArray[np.int64] | None, sequences: int, share: float, seed: int | None) -> _Indices:
    """Which sequences make the validation part: about `share` of each class, drawn by `seed`, ascending.

    A class with one member stays in training, and every class keeps at least one there. With fewer than 50 sequences,
    or a share of 0, none is held out. `classes` None: drawn from all alike.

    >>> held_out(np.array([0, 1] * 50), 100, 0.1, seed=0).shape
    (10,)
    """
    if sequences < LEAST or share <= 0:
        return np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(sequences)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
        order = order[np.bincount(classes)[classes[order]] > 1]
    # Every 1/share-th of the sequences in order of class: at share <= 0.5 never two neighbours.
    places = np.floor((np.arange(round(len(order) * share)) + 0.5) / share).astype(np.int64)
    return np.sort(order[places[places < len(order)]])


def _take(column: Any, indices: _Indices) -> Any:
    """The chosen sequences of a column, in the same kind of column where it matters."""
    if isinstance(column, np.ndarray):
        return column[indices]
    if isinstance(column, Tensor | Ragged):
        return column[torch.from_numpy(indices)]
    if not isinstance(column, list | tuple) and is_frame(column):
        return nw.from_native(column, eager_only=True)[indices.tolist()].to_native()
    sequences = listed(column, "X")
    return [sequences[i] for i in indices.tolist()]


def _columns(column: Any) -> int | None:
    """The columns of a table of numbers, one step each; None for every other kind of column."""
    if isinstance(column, np.ndarray | Tensor):
        return int(column.shape[1]) if column.ndim == 2 else None
    if isinstance(column, list | tuple | Ragged) or not is_frame(column):
        return None
    return len(_frame(column).columns)


def count(column: Any) -> int:
    """How many sequences a column has.

    >>> count(["a", "b"])
    2
    """
    if hasattr(column, "toarray") and hasattr(column, "nnz"):
        return int(column.shape[0])
    if isinstance(column, list | tuple | Ragged) or (isinstance(column, np.ndarray | Tensor) and column.ndim):
        return len(column)
    if is_frame(column):
        return len(nw.from_native(column, eager_only=True))
    return len(listed(column, "X"))


def _frame(X: Any) -> Any:
    return nw.from_native(X, eager_only=True)


def _series(frame: Any, name: str) -> Any:
    """A column of texts, lists or arrays by itself; one of plain numbers stays a frame: one step a sequence."""
    dtype = frame.schema[name]
    if dtype.is_numeric() or dtype == nw.Boolean:
        return frame.select(name).to_native()
    return frame[name].to_native() if hasattr(frame[name].to_native(), "name") else _Named(frame[name].to_list(), name)


class _Named(list[Any]):
    """A column whose library keeps no name in it (Arrow)."""

    def __init__(self, values: list[Any], name: str) -> None:
        super().__init__(values)
        self.name = name


def _check_column(frame: Any, name: str, what: str) -> None:
    columns = [str(c) for c in frame.columns]
    if name in columns:
        return
    close = difflib.get_close_matches(name, columns, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise DataError(f"{what} = {name!r} is no column of X, which has {_few(columns)}.{hint}")


def _few(names: Sequence[Any], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def _json(value: Any) -> Any:
    """An option as plain Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, Mapping):  # keys may be numbers, which JSON would turn into texts
        return {"pairs": [[_json(key), _json(part)] for key, part in value.items()]}
    return value
