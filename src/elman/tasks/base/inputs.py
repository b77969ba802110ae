"""Inputs of a task: the columns and the feature that reads them.

An `InputReader` is a collaborator of an estimator. In ``fit`` it finds the columns and builds the feature; later it
reads the same columns of other data. Tasks with rules of their own derive one level from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.cells.compatibility import reads
from elman.errors import DataError, OptionError, Place, option
from elman.features import FEATURES, Columns, Feature, Inputs, infer
from elman.features.arrays import number_table, read_table
from elman.features.columns import restored_input
from elman.features.containers import by_name, column_named, column_of, is_sparse, name_of
from elman.features.kinds import SKIP, kinds_of
from elman.features.lists import is_unordered, listed
from elman.features.multi_input import MultiInput
from elman.features.registry import saved_feature
from elman.io import model_folder as store
from elman.ragged import Ragged
from elman.tasks.base.options import FEATURE_OPTIONS, are_texts, given_options, reads_gaps
from elman.tasks.base.resolve import Config, Summary
from elman.tasks.base.word_vectors import coverage, learnt_with_vectors, load_word_vectors
from elman.validation.messages import few, nearest
from elman.validation.options import is_whole

_Indices = NDArray[np.int64]


class TrainingData(NamedTuple):
    """What ``fit`` trains on."""

    config: Config  # the resolved options
    training: Any  # the steps of the training set, Ragged or MultiInput
    validation: Any  # those of the validation set
    indices: _Indices  # of the training sequences in the caller's data
    validation_indices: _Indices


class InputReader:
    """Reads the sequences, and where `y` names columns the targets, for the estimator `task`."""

    generator: Any = None  # a fitted language model that determines sizes

    def __init__(self, task: Any) -> None:
        self.task = task
        self.input: str | list[str] | None = None  # the names that are read, a list where they are many or a table
        self.target: str | list[str] | None = None

    def learn(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The inputs of ``fit`` and the targets: `y`, or the columns of the frame that it names, a dict if several.

        Inputs are a column as a list or an array, a table of numbers as an array, or several columns as `Inputs`.
        """
        if y is None:
            name = type(self.task).__name__
            raise DataError(f"{name} requires y to be passed, but the target y is None. Give a target a sequence.")
        column, y = self._both(X, y, fitted=False)
        if _columns(column) == 0:
            shape = tuple(column.shape)
            raise DataError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required.")
        return column, y

    def prepare(
        self, feature: Feature | Columns, column: Any, parts: tuple[_Indices, _Indices], updates: int = 0
    ) -> TrainingData:
        """Fits the feature to the first of the `parts`, resolves the options, and sets the task's fitted attributes."""
        data, validation = self.features(feature, column, *parts)
        training = len(parts[0])
        config = self.task.config(
            Summary(feature, (), training, data.steps, len(parts[1]), updates, generator=self.generator)
        )
        load_word_vectors(self.task, config, [each for group in feature.feature_groups() for each in group])
        self.remember(feature, column, config)
        return TrainingData(config, data, validation, *parts)

    def read_with_targets(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The same for a fitted task."""
        return self._both(X, y, fitted=True)

    def read(self, X: Any) -> Any:
        """The inputs of a fitted task in `X`."""
        return self.column(X, fitted=True)

    def _both(self, X: Any, y: Any, *, fitted: bool) -> tuple[Any, Any]:
        """Inputs and targets: `y` itself, or the columns of the frame that it names, a dict if several."""
        columns, names = by_name(X), None
        if is_unordered(y):
            raise DataError(f"is a {type(y).__name__}, which has no order. Pass a list.", at=Place("y"))
        if (names := _names(columns, y)) is None:
            if not fitted:
                self.target = _target_of(y)
            return self.column(X, fitted=fitted), y
        if columns is None:
            raise DataError(
                f"y = {y!r} would name a column, but X is a {type(X).__name__}, not a frame. Pass a frame, or the "
                "targets themselves."
            )
        for name in names:
            check_column(list(columns), name, "y")
        if self.task.input in names or not set(columns) - set(names):
            raise DataError(f"X has no input beside the target: y and the input are both {y!r}. Name two columns.")
        found = {name: listed(columns[name], name) for name in names}
        one = not isinstance(y, list | tuple)
        if not fitted:
            self.target = names[0] if one else names
        return self.column(X, names, fitted=fitted), found[names[0]] if one else found

    def column(self, X: Any, without: Sequence[str] = (), *, fitted: bool = False) -> Any:
        """The inputs: one column as a list or an array, a table of numbers as an array, several as `Inputs`."""
        if isinstance(X, Inputs):  # selected before
            return X
        columns = by_name(X)
        if columns is not None:
            names = [name for name in columns if name not in without]
            return self._learnt_columns(columns, names) if fitted else self._columns_to_learn(columns, names)
        if self.task.features or (fitted and self.task.feature_.kinds):
            raise DataError(f"X is a {type(X).__name__} without named columns. Pass a frame, or a dict of columns.")
        return column_of(X, self.reads(fitted))

    def reads(self, fitted: bool) -> type[Feature] | None:
        """The type of the feature, None where it is inferred."""
        return FEATURES.get(self.task.feature_.kind if fitted else self.task.feature)

    def _columns_to_learn(self, columns: Mapping[str, Any], names: list[str]) -> Any:
        """The inputs of `fit` among the candidates `names`. Sets ``input``."""
        given = dict(self.task.features or {})
        given_names = self.task.input
        if given_names is not None:
            names = [given_names] if isinstance(given_names, str) else list(given_names)
            for name in names:
                check_column(list(columns), name, "input")
        if set(given.values()) == {SKIP} and set(given) <= set(names):
            names, given = [name for name in names if name not in given], {}
        if not names:
            raise DataError("X has no column to read. There must be one beside the target.")
        picked = {name: columns[name] for name in names}
        feature = self.reads(fitted=False)
        whole = not (feature is not None and feature.is_symbolic) and not given
        if whole and (table := number_table(picked)) is not None:
            self.input = names
            return table
        if len(names) == 1 and not given:
            self.input = names[0]
            return column_of(picked[names[0]], feature)
        if self.task.feature != "auto":
            raise OptionError(
                f"feature = {self.task.feature!r} is for one column, but X has {few(names)}. Say what each is with ",
                option("features"),
                ", or which one to read with ",
                option("input"),
            )
        kinds = kinds_of(picked, given)
        self.input = list(kinds)
        return Inputs({name: picked[name] for name in kinds}, kinds)

    def _learnt_columns(self, columns: Mapping[str, Any], names: list[str]) -> Any:
        """The columns that the model reads by name; if training had no names, the only ones in `columns`."""
        if isinstance(self.task.input_, list):
            check_names(columns, self.task.input_)
            picked = {name: columns[name] for name in self.task.input_}
            kinds = self.task.feature_.kinds
            return Inputs(picked, kinds) if kinds else read_table(picked)
        feature, others = self.reads(fitted=True), {name: columns[name] for name in names}
        if self.reads_table() and names:
            return read_table(others)
        symbols = feature is not None and feature.is_symbolic
        if self.task.input_ is None and not symbols and (table := number_table(others)) is not None:
            return table
        for name in (self.task.input, self.task.input_):  # `input` may have been set since
            if isinstance(name, str) and name in columns:
                return column_of(columns[name], feature)
        if len(names) == 1:
            return column_of(columns[names[0]], feature)
        lacks = "" if self.task.input_ is None else f"{self.task.input_!r} is no column of X, but the model reads it. "
        raise DataError(
            f"{lacks}X has {len(names)} columns that could be the input: {few(names)}. Say which one to read with ",
            option("input"),
            f", or pass a frame with that column alone.{nearest(self.task.input_ or '', names)}",
        )

    def reads_table(self) -> bool:
        """Whether the input is a table of numbers: a row is a sequence, a column a step."""
        return hasattr(self.task, "n_features_in_")

    def feature(self, column: Any) -> Feature | Columns:
        """The feature for a column, with its options."""
        if isinstance(column, Inputs):
            several = Columns(column.kinds, self.with_options).arrange(column)
            if reads_gaps(self.task) and not all(several.all_numbers()):
                raise OptionError(
                    f"cell = {self.task.cell!r} reads numbers, but not all columns with steps are: {several.kinds}. "
                    "Leave out the others with ",
                    option("features", {"...": "skip"}),
                    ", or choose another cell.",
                )
            return several
        made = infer(column) if self.task.feature == "auto" else FEATURES[self.task.feature]()
        return self.with_options(made)

    def with_options(self, made: Feature | str) -> Feature:
        """The feature with its options; for one of several columns it is given by its kind."""
        one = not isinstance(made, str)
        made = FEATURES[made]() if isinstance(made, str) else made
        made.suit(reads(self.task.cell))
        for name in ("lower", *(name for group in FEATURE_OPTIONS for name in given_options(self.task, group))):
            value, default = getattr(self.task, name), getattr(type(self.task), name)
            if hasattr(made, name):
                setattr(made, name, value if value is not None else getattr(made, name))
            elif one and value != default:
                raise OptionError(
                    f"{name} = {value!r} has no meaning for {made.kind}, which the input is taken for. Leave it at "
                    f"{default!r}, or set ",
                    option("feature"),
                )
        return made

    def features(
        self, feature: Feature | Columns, column: Any, training: _Indices, validation_indices: _Indices
    ) -> tuple[Ragged | MultiInput, Ragged | MultiInput]:
        """Fits the feature to the training set alone; the steps of training and validation set."""
        if len(training) == count(column):
            data = feature.fit_transform(column)
            return data, data[:0]
        try:
            data = feature.fit_transform(take(column, training))
            return data, feature.transform(take(column, validation_indices)) if len(validation_indices) else data[:0]
        except DataError:
            self.feature(column).fit(column)  # raises the error with the place in the caller's data
            raise

    def metadata(self, data: TrainingData, skipped: int = 0) -> dict[str, Any]:
        """The training data, for the model card; `skipped`: sequences without a target."""
        return {
            "training sequences": len(data.training),
            "training steps": data.training.steps,
            "validation sequences": len(data.validation),
            **({} if self.target is None else {"target": self.target}),
            **coverage(data.config),
            "epochs planned": int(data.config.epochs),
            "steps in a batch": int(data.config.batch_steps),
            "sequences in a batch": int(data.config.batch_sequences),
            **({"sequences without a target": skipped} if skipped else {}),
        }

    def learnt_options(self, config: Config) -> dict[str, Any]:
        """The options of the fit as they are saved."""
        return learnt_with_vectors(config, dict(self.task.options()))

    def remember(self, feature: Feature | Columns, column: Any, config: Config) -> None:
        """Sets the fitted attributes of the task by which later data are read, and the options of the fit."""
        self.task.feature_, self.task.input_, self.task.target_ = feature, self.input, self.target
        self.task.learnt_with_ = self.learnt_options(config)
        _remember_names(self.task, _columns(column))

    def path_names(self) -> dict[str, str]:
        """Names of the paths by the names that a diagnosis has for them."""
        return {f"path {i}": names for i, names in enumerate(self.task.feature_.path_names, 1)}

    def steps(self, column: Any) -> Ragged | MultiInput:
        """The steps of a column by the fitted feature."""
        columns, learnt = _columns(column), getattr(self.task, "n_features_in_", None)
        if columns is not None and learnt is not None and columns != learnt:
            raise DataError(
                f"X has {columns} features, but {type(self.task).__name__} is expecting {learnt} features as input. "
                "In a table each column is a step; to pass sequences of another length than those of fit, pass list(X)."
            )
        data: Ragged | MultiInput = self.task.feature_.transform(column)
        return data

    # ---- on disk

    def config(self) -> dict[str, Any]:
        """The inputs, for config.json."""
        return {
            "input": self.task.input_,
            "columns": getattr(self.task, "n_features_in_", None),
            "feature": saved_feature(self.task.feature_),
        }

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the feature, for model.safetensors."""
        return {f"feature.{key}": value for key, value in self.task.feature_.tensors().items()}

    def files(self) -> dict[str, str]:
        """The text files of the feature."""
        return dict(self.task.feature_.files())

    def restore(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any]) -> None:
        """Restores the saved attributes of the task. Raises ``ValueError`` and its like for invalid contents."""
        names, columns, target = config["input"], config["columns"], config["data"].get("target")
        if not (isinstance(names, str | None) or (isinstance(names, list) and names and are_texts(names))):
            raise ValueError("input")
        if not (columns is None or is_whole(columns)):
            raise ValueError("columns")
        task = self.task
        task.feature_ = restored_input(config["feature"], store.under("feature.", tensors), files)
        task.input_ = names
        task.target_ = target if isinstance(target, str) or (isinstance(target, list) and are_texts(target)) else None
        _remember_names(task, columns)


def _remember_names(task: Any, columns: int | None) -> None:
    """Sets the number and the names of columns as scikit-learn does."""
    if columns is not None:
        task.n_features_in_ = columns
    if task.input_ is not None:
        task.feature_names_in_ = np.array(np.atleast_1d(task.input_).tolist(), dtype=object)


def take(column: Any, indices: _Indices) -> Any:
    """The selected sequences of a column, in the same container where it matters."""
    if isinstance(column, np.ndarray):
        return column[indices]
    if isinstance(column, Inputs):
        return column.take(indices)
    if isinstance(column, Tensor | Ragged):
        return column[torch.from_numpy(indices)]
    sequences = listed(column, "X")
    return [sequences[i] for i in indices.tolist()]


def _columns(column: Any) -> int | None:
    """The columns of a table of numbers, one step each; None for every other kind of column."""
    return int(column.shape[1]) if isinstance(column, np.ndarray | Tensor) and column.ndim == 2 else None


def count(column: Any) -> int:
    """The number of sequences in a column.

    >>> count(["a", "b"])
    2
    """
    if is_sparse(column):
        return int(column.shape[0])
    if isinstance(column, list | tuple | Ragged | Inputs) or (isinstance(column, np.ndarray | Tensor) and column.ndim):
        return len(column)
    return len(listed(column, "X"))


def _names(columns: Mapping[str, Any] | None, y: Any) -> list[str] | None:
    """The columns that y names; None where y holds the targets themselves."""
    if (name := column_named(y, columns)) is not None:
        return [name]
    if not (isinstance(y, list | tuple) and y and are_texts(y)) or len(set(y)) < len(y):
        return None
    return list(y) if columns is not None and set(y) <= set(columns) else None


def _target_of(y: Any) -> str | list[str] | None:
    """The names of targets in pandas or polars."""
    named = by_name(y, "y") if y is not None else None
    if named is None:
        return name_of(y)
    return list(named) if isinstance(y, Mapping) or len(named) > 1 else next(iter(named), None)


def check_names(columns: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises ``DataError``, with the nearest name, unless all columns that a model reads are there.

    >>> check_names({"a": [1], "b": [2]}, ["b"])
    """
    missing = [name for name in names if name not in columns]
    if not missing:
        return
    others = [name for name in columns if name not in names]
    if len(missing) == 1:
        lacks = f"{missing[0]!r} is no column of X, but the model reads it"
    else:
        lacks = f"{few(missing)} are no columns of X, but the model reads them"
    near = nearest(missing[0], others)
    if not near and len(missing) == len(others) == 1:
        near = f" Did you mean {others[0]!r}?"
    raise DataError(f"{lacks}. X has {few(list(columns)) or 'none'}.{near}")


def check_column(columns: list[str], name: str, what: str, of: str = "column of X") -> None:
    """Raises ``DataError``, with the nearest name, unless there is a column of this name.

    >>> check_column(["a", "b"], "a", "input")
    """
    if name not in columns:
        raise DataError(f"{what} = {name!r} is no {of}, which has {few(columns)}.{nearest(name, columns)}")


def no_column(name: Any, columns: Sequence[str], what: str) -> DataError:
    """The error where the option `input` names none of the columns of a frame; `what` is to be read from it.

    >>> raise no_column(None, ["a", "b"], "texts")
    Traceback (most recent call last):
    elman.errors.DataError: X has the columns 'a', 'b'. Name the one with the texts: input=...
    """
    few = ", ".join(map(repr, columns[:8])) or "no columns"
    if name is None:
        has = f"has {'the columns ' * bool(columns)}{few}. Name the one with the {what}: "
        return DataError(has, option("input"), at=Place("X"))
    near = nearest(name, columns)
    return DataError(f"input = {name!r} is no column of X, which has {few}. Name the one with the {what}.{near}")
