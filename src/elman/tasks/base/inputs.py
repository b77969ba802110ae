"""What the tasks share that read one column: which one it is, what a step of it is, and the feature that learns it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.cells import CELLS
from elman.errors import DataError, OptionError, Place, Problem, option
from elman.features import FEATURES, Columns, Feature, Images, Inputs, Numbers, Sound, infer
from elman.features.arrays import number_table, read_table
from elman.features.containers import by_name, column_named, column_of, few, is_sparse, name_of, nearest
from elman.features.kinds import KINDS, kinds_of
from elman.features.lists import is_unordered, listed
from elman.features.multi_input import Bundle
from elman.features.numbers import BLOCKS
from elman.io import model_folder as store
from elman.layers.convolution import Convolution
from elman.layers.linear import POOLS
from elman.ragged import Ragged
from elman.tasks.base.task import Task
from elman.validation.messages import shown
from elman.validation.options import LAYERS, SIZE, choice, is_among, is_whole, share, whole, widths

__all__ = ["ColumnTask", "check_column", "check_names", "check_table", "count", "no_column"]

_Indices = NDArray[np.int64]
_OF_NUMBERS = tuple(f.name for f in dataclasses.fields(Numbers))
_SYMBOLS = ("text", "tokens", "words")  # features that no table of numbers could be read by
_OF_SOUND = ("rate", "window", "hop", "bands")


@dataclass(kw_only=True, eq=False, repr=False)
class ColumnTask(Task):
    """A task that answers for the sequences of a column: texts, tokens or numbers."""

    # what remembers, where that differs from other tasks
    cell: str | None = None  # type: ignore[assignment]  # lstm, ln_lstm, gru, gru_d, rnn, rnn_relu, min_gru, min_lstm,
    #   lru or conv_lstm; None: gru_d where more than half of all numbers are missing, else lstm

    # what a step is
    input: str | Sequence[str] | None = None  # the column of a frame to read, or several; None: all but the target
    features: dict[str, str] | None = None  # what columns are, by name: "text", "tokens", "words", "numbers" (one
    #   a step), "number", "category" (one a sequence), "skip"; None, and those that are not named: as the data look
    feature: str = "auto"  # what a step is: "text", "tokens", "words", "numbers", "images", "sound"; "auto": as the
    #   data look, where texts that all name sound files are sound
    unit: str = "auto"  # of texts: "words", "characters", "mixed", "subwords"; "auto": "mixed" or "words" by script
    max_words: int = 30_000  # of texts and tokens: most symbols kept, the commonest first
    min_count: int | None = None  # symbols seen less often are unknown; None: 2 from 100 000 training steps, else 1
    lower: bool | None = None  # lower-case texts and tokens; None: texts yes, tokens no
    scale: str = "standard"  # of numbers: "standard" gives each column mean 0 and deviation 1; "none" as they are
    fill: str | None = None  # in gaps: "mean", "median", "last", "next", "linear", "seasonal", "constant"; None: "last"
    mask: bool | None = None  # whether a step says what was observed; None: where the training data have gaps
    gap: bool | None = None  # whether it says how long ago; None: where the training data have gaps or time stamps
    season: int | None = None  # steps of a season, for fill = "seasonal"
    constant: float = 0.0  # for fill = "constant", in the unit of the data
    outliers: str = "keep"  # of numbers: "keep", "clip" (to the limit), "missing" (taken away)
    outlier_limit: float = 5.0  # deviations from the median, estimated by 1.4826 median |x - median| (Hampel 1974)
    times: int | None = None  # which number of a step is its time stamp; None: none, steps are equally long
    every: float | None = None  # length of the steps to resample to, in the unit of the time stamps; None: as they are
    sort: bool = False  # whether to put the steps of a sequence in the order of their time stamps
    rate: int | None = None  # of sound: samples a second, others are resampled; None: the lowest of the training files
    window: float = 0.025  # of sound: seconds that a step hears
    hop: float = 0.01  # of sound: seconds from step to step
    bands: int = 40  # of sound: bands of the mel scale, the width of a step
    embed: int = 64  # numbers in the learnt vector of a symbol or an image; unused for numbers
    symbol_dropout: float | None = None  # share of a sequence's distinct symbols that are left out (Gal & Ghahramani
    #   2016); None: 0.4, and 0 where they are the letters of an alphabet
    channels: int | Sequence[int] | None = None  # widths of convolutions; 0: none; None: 64, 64 to classify numbers
    kernel: int = 5  # steps that a window of a convolution reads
    stride: int = 1  # steps from window to window in each such layer; 2 halves the steps, for long signals

    # what stands between the layers and the answer
    pool: str | None = None  # one row from all steps: "last", "mean", "max", "attention", or some joined by "+"; None:
    #   "mean+max+last" where cell = None chose gru_d, else "attention"
    head_dropout: float = 0.5  # share of the pooled row set to zero; 0 turns it off (Srivastava et al. 2014)

    front_of_signals: ClassVar[tuple[int, ...]] = ()  # `channels` where they are None and steps are numbers

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        kinds, units = ("auto", *FEATURES), ("auto", "words", "characters", "mixed", "subwords")
        found = super().problems() + choice(self, "feature", kinds) + choice(self, "unit", units)
        given = {name: getattr(self, name) for name in _OF_SOUND}
        found += (
            Sound(**given).problems()
            + self._number_problems()
            + whole(self, "max_words")
            + whole(self, "embed", most=SIZE)
        )
        found += whole(self, "min_count") if self.min_count is not None else []
        found += share(self, "head_dropout")
        found += share(self, "symbol_dropout") if self.symbol_dropout is not None else []
        pool: Any = self.chosen_pool()
        pools = pool.split("+") if isinstance(pool, str) else [None]
        if not set(pools) <= set(POOLS) or len(set(pools)) < len(pools):
            found.append(
                Problem("pool", shown(pool), f"must be one of {', '.join(POOLS)}, or some of them joined by '+'")
            )
        found += self._front_problems()
        if not (self.lower is None or isinstance(self.lower, bool)):
            found.append(Problem("lower", shown(self.lower), "must be True, False or None"))
        names = [self.input] if isinstance(self.input, str) else self.input
        if names is not None and not (isinstance(names, list | tuple) and names and _texts(names)):
            found.append(
                Problem("input", shown(self.input), "must be the name of a column, a list of such names, or None")
            )
        return found + self._features_problems()

    def settled(self) -> Self:
        """The same options with numbers where None leaves a choice that no data are needed for."""
        return self

    def _cell_problems(self) -> list[Problem]:
        return [] if self.cell is None else super()._cell_problems()

    def chosen_cell(self, features: Sequence[Feature] = ()) -> str:
        """The name of the cell for what `features` make: where that is None, by how much of the numbers is missing."""
        if self.cell is not None:
            return self.cell
        if len(features) != 1 or not isinstance(features[0], Numbers) or not features[0].fades:
            return "lstm"
        free = self.longest is None and self.precision == "float32" and not np.any(self.channels or 0)
        return "gru_d" if free else "lstm"

    def _fading(self) -> bool:
        """Whether the cell that `cell` names reads values, mask and gap, so that steps must have them."""
        return is_among(self.cell, CELLS) and CELLS[str(self.cell)].blocks == BLOCKS

    def chosen_pool(self, features: Sequence[Feature] = ()) -> str:
        """What makes one row of all steps that `features` make."""
        if self.pool is not None:
            return self.pool
        sparse = self.cell is None and self.chosen_cell(features) == "gru_d"
        return "mean+max+last" if sparse else "attention"

    def _features_problems(self) -> list[Problem]:
        given: Any = self.features
        if given is None:
            return []
        if not isinstance(given, Mapping) or not _texts(given):
            return [
                Problem("features", shown(given), "must be a dict from the name of a column to what it is, or None")
            ]
        wrong = {name: kind for name, kind in given.items() if kind not in KINDS}
        return [
            Problem("features", f"{{{name!r}: {shown(kind)}}}", f"must be one of {', '.join(KINDS)}")
            for name, kind in wrong.items()
        ]

    def _number_problems(self) -> list[Problem]:
        """What is wrong with the options of numbers."""
        given = {name: getattr(self, name) for name in _OF_NUMBERS}
        found = Numbers(**given | {"fill": "last" if self.fill is None else self.fill}).problems()
        if self._fading():
            refused = [name for name in ("mask", "gap") if getattr(self, name) is False]
            found += [Problem(name, "False", f": cell = {self.cell!r} reads the mask and the gap") for name in refused]
        return found

    def _front_problems(self) -> list[Problem]:
        found, channels = whole(self, "kernel", most=SIZE) + whole(self, "stride", most=SIZE), self.channels
        several = isinstance(channels, list | tuple | np.ndarray)
        if (several or not (channels is None or is_whole(channels, 0, 0))) and widths(self, "channels"):
            many = f"a whole number from 1 to {SIZE} for each of up to {LAYERS} layers"
            return [*found, Problem("channels", shown(channels), f"must be 0, {many}, or None")]
        if found or not (several or channels):
            return found
        if getattr(self, "every_step", False) and self.stride > 1:
            found.append(Problem("stride", str(self.stride), "must be 1 for an answer at every step"))
        if self.cell == "conv_lstm":
            found.append(
                Problem("channels", shown(channels), "must be 0 for cell = 'conv_lstm', which convolves itself")
            )
        if self._fading():
            found.append(
                Problem(
                    "channels", shown(channels), f"must be 0 for cell = {self.cell!r}, which reads the mask and the gap"
                )
            )
        if self.tbptt:
            found.append(Problem("tbptt", str(self.tbptt), "needs channels = 0: a convolution reads beyond the cut"))
        return found

    def front(self, inputs: int, feature: Feature) -> Convolution | None:
        """The convolution before what remembers, for steps of so many numbers; causal where the model can stream.

        None where `channels` say so, or are None and the steps are no complete numbers.
        """
        signals = isinstance(feature, Numbers | Sound) and inputs == feature.width_ and self.cell != "conv_lstm"
        default = self.front_of_signals if signals else ()
        widths = [int(width) for width in (default if self.channels is None else np.atleast_1d(self.channels))]
        if not any(widths):
            return None
        return Convolution(inputs, widths, int(self.kernel), int(self.stride), causal=not self.bidirectional)

    # ---- data in

    def _column_and_target(self, X: Any, y: Any, *, fitted: bool = False) -> tuple[Any, Any]:
        """What is read, and the targets: `y` itself, or the columns of the frame that it names, a dict if several."""
        columns, names = by_name(X), None
        if is_unordered(y):
            raise DataError(f"is a {type(y).__name__}, which has no order. Pass a list.", at=Place("y"))
        if (names := _names(columns, y)) is None:
            if not fitted:
                self.target_: str | list[str] | None = _target_of(y)
            return self._column(X, fitted=fitted), y
        if columns is None:
            raise DataError(
                f"y = {y!r} would name a column, but X is a {type(X).__name__}, not a frame. Pass a frame, or the "
                "targets themselves."
            )
        for name in names:
            check_column(list(columns), name, "y")
        if self.input in names or not set(columns) - set(names):
            raise DataError(f"X has no input beside the target: y and the input are both {y!r}. Name two columns.")
        found = {name: listed(columns[name], name) for name in names}
        one = not isinstance(y, list | tuple)
        if not fitted:
            self.target_ = names[0] if one else names
        return self._column(X, names, fitted=fitted), found[names[0]] if one else found

    def _column(self, X: Any, without: Sequence[str] = (), *, fitted: bool = False) -> Any:
        """What is read: one column as a list or an array, a table of numbers as an array, several as `Inputs`."""
        if isinstance(X, Inputs):  # picked before
            return X
        if not fitted:
            self.input_: str | list[str] | None = None  # the names that are read, a list where they are many or a table
        columns = by_name(X)
        if columns is not None:
            names = [name for name in columns if name not in without]
            return self._learnt_columns(columns, names) if fitted else self._columns_to_learn(columns, names)
        if self.features or (fitted and isinstance(self.feature_, Columns)):
            raise DataError(f"X is a {_type(X)} without named columns. Pass a frame, or a dict of columns.")
        return column_of(X, self._kind(fitted))

    def _kind(self, fitted: bool) -> str:
        """The kind of feature that a column is for, "auto" where the column tells."""
        return self.feature_.kind if fitted else self.feature

    def _columns_to_learn(self, columns: Mapping[str, Any], names: list[str]) -> Any:
        """What `fit` reads of columns of which `names` could be read. Sets ``input_``."""
        given = dict(self.features or {})
        if self.input is not None:
            names = [self.input] if isinstance(self.input, str) else list(self.input)
            for name in names:
                check_column(list(columns), name, "input")
        if set(given.values()) == {"skip"} and set(given) <= set(names):
            names, given = [name for name in names if name not in given], {}
        if not names:
            raise DataError("X has no column to read. There must be one beside the target.")
        picked = {name: columns[name] for name in names}
        whole = self.feature not in _SYMBOLS and not given
        if whole and (table := number_table(picked)) is not None:
            self.input_ = names
            return table
        if len(names) == 1 and not given:
            self.input_ = names[0]
            return column_of(picked[names[0]], self._kind(fitted=False))
        if self.feature != "auto":
            raise OptionError(
                f"feature = {self.feature!r} is for one column, but X has {few(names)}. Say what each is with ",
                option("features"),
                ", or which one to read with ",
                option("input"),
            )
        kinds = kinds_of(picked, given)
        self.input_ = list(kinds)
        return Inputs({name: picked[name] for name in kinds}, kinds)

    def _learnt_columns(self, columns: Mapping[str, Any], names: list[str]) -> Any:
        """The columns that the model reads, by their names; where it learnt from none, the only ones there are."""
        if isinstance(self.input_, list):
            check_names(columns, self.input_)
            picked = {name: columns[name] for name in self.input_}
            return Inputs(picked, self.feature_.kinds) if isinstance(self.feature_, Columns) else read_table(picked)
        kind, others = self._kind(fitted=True), {name: columns[name] for name in names}
        if self._reads_table() and names:
            return read_table(others)
        if self.input_ is None and kind not in _SYMBOLS and (table := number_table(others)) is not None:
            return table
        for name in (self.input, self.input_):  # `input` may have been set since
            if isinstance(name, str) and name in columns:
                return column_of(columns[name], kind)
        if len(names) == 1:
            return column_of(columns[names[0]], kind)
        lacks = "" if self.input_ is None else f"{self.input_!r} is no column of X, but the model reads it. "
        raise DataError(
            f"{lacks}X has {len(names)} columns that could be the input: {few(names)}. Say which one to read with ",
            option("input"),
            f", or pass a frame with that column alone.{nearest(self.input_ or '', names)}",
        )

    def _reads_table(self) -> bool:
        """Whether a row of a table of numbers is a sequence, one step a column."""
        return hasattr(self, "n_features_in_")

    def _feature(self, column: Any) -> Feature | Columns:
        """A feature for what is read, with the options that concern it."""
        if isinstance(column, Inputs):
            several = Columns(column.kinds, self._with_options).arrange(column)
            if self._fading() and not all(several.all_numbers()):
                raise OptionError(
                    f"cell = {self.cell!r} reads numbers, but not all columns with steps are: {several.kinds}. Leave "
                    "out the others with ",
                    option("features", {"...": "skip"}),
                    ", or choose another cell.",
                )
            return several
        made = infer(column) if self.feature == "auto" else FEATURES[self.feature]()
        return self._with_options(made)

    def _with_options(self, made: Feature | str) -> Feature:
        """A feature with the options that concern it; of several columns, each is asked for by its kind."""
        one = not isinstance(made, str)
        made = FEATURES[made]() if isinstance(made, str) else made
        if isinstance(made, Images):
            made.maps = self.cell == "conv_lstm"
        for name in ("unit", "max_words", "min_count", "lower", *_OF_SOUND, *_OF_NUMBERS):
            value, default = getattr(self, name), getattr(type(self), name)
            if hasattr(made, name):
                setattr(made, name, value if value is not None else getattr(made, name))
            elif one and value != default:
                raise OptionError(
                    f"{name} = {value!r} has no meaning for {made.kind}, which the input is taken for. Leave it at "
                    f"{default!r}, or set ",
                    option("feature"),
                )
        if isinstance(made, Numbers) and self._fading():
            made.fill, made.mask, made.gap = self.fill or "decay", True, True
        return made

    def _features(
        self, feature: Feature | Columns, column: Any, training: _Indices, rest: _Indices
    ) -> tuple[Ragged | Bundle, Ragged | Bundle]:
        """Fits the feature to the training part alone, and gives the steps of both parts."""
        if len(training) == count(column):
            data = feature.fit_transform(column)
            return data, data[:0]
        try:
            data = feature.fit_transform(_take(column, training))
            return data, feature.transform(_take(column, rest)) if len(rest) else data[:0]
        except DataError:
            self._feature(column).fit(column)  # the same fault, named by its place in what the caller passed
            raise

    def _facts(self, plan: Self, data: Ragged | Bundle, kept: Ragged | Bundle) -> dict[str, Any]:
        """What the card says of the training."""
        return {
            "training sequences": len(data),
            "training steps": data.steps,
            "validation sequences": len(kept),
            **({} if self.target_ is None else {"target": self.target_}),
            "epochs planned": int(plan.epochs or 0),
            "steps in a batch": int(plan.batch_steps or 0),
            "sequences in a batch": int(plan.batch_sequences or 0),
        }

    def _remember_input(self, column: Any) -> None:
        """What later tables are compared with; and the options, should they be set anew after fit."""
        self.learnt_with_ = self.options()
        if (columns := _columns(column)) is not None:
            self.n_features_in_: int = columns
        if self.input_ is not None:  # as scikit-learn calls them
            self.feature_names_in_ = np.array(np.atleast_1d(self.input_).tolist(), dtype=object)

    def _paths_by_name(self) -> dict[str, str]:
        """What the layers that read some of several columns are called, by the name that a diagnosis has for them."""
        groups = self.feature_.groups if isinstance(self.feature_, Columns) else []
        return {f"path {i + 1}": ", ".join(g.names) for i, g in enumerate(groups)} if len(groups) > 1 else {}

    def _steps(self, column: Any) -> Ragged | Bundle:
        """The steps of a column that the fitted feature can read."""
        columns, learnt = _columns(column), getattr(self, "n_features_in_", None)
        if columns is not None and learnt is not None and columns != learnt:
            raise DataError(
                f"X has {columns} features, but {type(self).__name__} is expecting {learnt} features as input. In a "
                "table each column is a step; to pass sequences of another length than those of fit, pass list(X)."
            )
        return self.feature_.transform(column)

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """What the model reads, for its card: lines of text by name."""
        if isinstance(self.feature_, Columns):
            return {f"input {name!r}": what for name, what in self.feature_.described().items()}
        return {"input": self.feature_.describe()}

    def _config(self) -> dict[str, Any]:
        return {
            **super()._config(),
            "input": self.input_,
            "columns": getattr(self, "n_features_in_", None),
            "feature": {"kind": self.feature_.kind, **self.feature_.config()},
        }

    def _tensors(self) -> dict[str, Tensor]:
        learnt = {f"feature.{key}": value for key, value in self.feature_.tensors().items()}
        return super()._tensors() | learnt

    def _files(self) -> dict[str, str]:
        return {**super()._files(), **self.feature_.files()}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        saved = dict(config["feature"])
        name = saved.pop("kind")
        kind = Columns if name == Columns.kind else FEATURES[name]
        self.feature_: Feature | Columns = kind.restore(saved, store.under("feature.", tensors), files)
        names, columns = config["input"], config["columns"]
        if not (isinstance(names, str | None) or (isinstance(names, list) and names and _texts(names))):
            raise ValueError("input")
        if not (columns is None or is_whole(columns)):
            raise ValueError("columns")
        self.input_ = names
        target = config["data"].get("target")
        self.target_ = target if isinstance(target, str) or (isinstance(target, list) and _texts(target)) else None
        if columns is not None:
            self.n_features_in_ = columns
        if names is not None:
            self.feature_names_in_ = np.array(np.atleast_1d(names).tolist(), dtype=object)


def check_table(column: Any) -> None:
    """Raises ``DataError`` for a table without columns.

    >>> check_table(np.zeros((2, 1)))
    """
    if isinstance(column, np.ndarray | Tensor) and column.ndim == 2 and column.shape[1] == 0:
        raise DataError(
            f"Found array with 0 feature(s) (shape={tuple(column.shape)}) while a minimum of 1 is required."
        )


def _take(column: Any, indices: _Indices) -> Any:
    """The chosen sequences of a column, in the same kind of column where it matters."""
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
    """How many sequences a column has.

    >>> count(["a", "b"])
    2
    """
    if is_sparse(column):
        return int(column.shape[0])
    if isinstance(column, list | tuple | Ragged | Inputs) or (isinstance(column, np.ndarray | Tensor) and column.ndim):
        return len(column)
    return len(listed(column, "X"))


def _texts(names: Any) -> bool:
    return all(isinstance(name, str) for name in names)


def _type(X: Any) -> str:
    return type(X).__name__


def _names(columns: Mapping[str, Any] | None, y: Any) -> list[str] | None:
    """The columns that y names; None where y holds the targets themselves."""
    if (name := column_named(y, columns)) is not None:
        return [name]
    if not (isinstance(y, list | tuple) and y and _texts(y)) or len(set(y)) < len(y):
        return None
    return list(y) if columns is not None and set(y) <= set(columns) else None


def _target_of(y: Any) -> str | list[str] | None:
    """The names that targets come with."""
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
    rest = [name for name in columns if name not in names]
    if len(missing) == 1:
        lacks = f"{missing[0]!r} is no column of X, but the model reads it"
    else:
        lacks = f"{few(missing)} are no columns of X, but the model reads them"
    near = nearest(missing[0], rest)
    if not near and len(missing) == len(rest) == 1:
        near = f" Did you mean {rest[0]!r}?"
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
