"""Several columns of different kinds for the same sequences: text, numbers and categories.

Columns of tokens and of numbers that are equally long in every sequence are *aligned*: their steps are concatenated. A
text, and whatever is not aligned, has a path of its own. Categories and single numbers are static inputs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, ModelFileError, OptionError, Place, placed, within
from elman.features.arrays import read_one
from elman.features.base import Feature, Reader, ReaderPart, Static
from elman.features.lists import listed
from elman.features.multi_input import MultiInput
from elman.features.registry import COLUMNS, STATICS, restored_feature
from elman.io.model_folder import under
from elman.ragged import Ragged
from elman.validation.columns import is_missing

_Indices = NDArray[np.int64]


class Inputs:
    """Columns by name with a value per sequence. Raises ``DataError`` if they are not equally long.

    `kinds` gives the kind of each; see `Columns`.

    >>> len(Inputs({"text": ["a b", "c"], "age": [3, None]}))
    2
    """

    def __init__(self, columns: Mapping[str, Any], kinds: Mapping[str, str] | None = None) -> None:
        self.kinds = dict(kinds or {})
        self.columns = {
            n: c if isinstance(c, np.ndarray) and c.dtype.kind not in "UTO" else listed(c, n)
            for n, c in columns.items()
        }
        sizes = {name: len(column) for name, column in self.columns.items()}
        first = next(iter(sizes))
        for name, size in sizes.items():
            if size != sizes[first]:
                raise DataError(f"has {size} rows, {first!r} has {sizes[first]}.", at=Place("X", column=name))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def with_kind(self, kind: str, names: list[str]) -> Inputs:
        """The same with another kind for some columns."""
        return Inputs(self.columns, self.kinds | dict.fromkeys(names, kind))

    def take(self, indices: _Indices) -> Inputs:
        """The same columns of some of the sequences."""
        places = indices.tolist()
        return Inputs(
            {
                name: column[indices] if isinstance(column, np.ndarray) else [column[i] for i in places]
                for name, column in self.columns.items()
            },
            self.kinds,
        )


@dataclass
class Part:
    """Columns read side by side by one feature: one column, or all aligned columns of numbers."""

    names: list[str]
    feature: Feature
    widths: list[int]  # the numbers in a step of each column; of symbols 1


@dataclass
class Group:
    """Aligned columns; those of numbers are one part, which comes last."""

    parts: list[Part]

    @property
    def names(self) -> list[str]:
        """All columns of the group."""
        return [name for part in self.parts for name in part.names]

    @property
    def features(self) -> list[Feature]:
        """The features that read them."""
        return [part.feature for part in self.parts]


class Columns(Reader):
    """Columns of different kinds, each with the feature of its kind; the result is a `MultiInput`.

    `kinds` gives the kind of each column: "text", "tokens", "words", "numbers" (a list or array of numbers per
    sequence), "number" (one per sequence) or "category"; `make` makes the unfitted feature of a kind with steps. `fit`
    determines which columns are aligned.

    >>> columns = Columns({"text": "text", "age": "number"})
    >>> data = columns.fit_transform(Inputs({"text": ["a b", "c"], "age": [30, 50]}))
    >>> data.lengths, data.static
    (tensor([2, 1]), (tensor([[-1.],
            [ 1.]]),))
    """

    kind: ClassVar[str] = "columns"

    def __init__(self, kinds: Mapping[str, str], make: Callable[[str], Feature] | None = None) -> None:
        self.kinds = dict(kinds)
        self.make = make or (lambda kind: COLUMNS[kind]())
        self.groups: list[Group] = []
        self.statics: dict[str, Static] = {name: STATICS[kind]() for name, kind in kinds.items() if kind in STATICS}

    # ---- learning

    def arrange(self, inputs: Inputs) -> Self:
        """Finds which columns are aligned. Raises ``DataError`` if none of them has steps."""
        lengths: list[tuple[list[str], _Indices]] = []  # -1 where all columns of the group miss the sequence
        for name, kind in self.kinds.items():
            if kind in STATICS:
                continue
            here = None if COLUMNS[kind].reads_texts else _lengths(inputs.columns[name])
            mates = [] if here is None else [mate for mate in lengths if _agree(mate[1], here)]
            if here is not None and mates:
                mates[0][0].append(name)
                mates[0][1][:] = np.maximum(mates[0][1], here)
            else:
                lengths.append(([name], np.full(len(inputs), -2) if here is None else here.copy()))
        if not lengths:
            raise DataError(
                f"none of the columns {', '.join(map(repr, self.kinds))} has steps: texts, lists of tokens or lists of "
                "numbers. One number or category per row is not a sequence."
            )
        self.groups = [self._group(names) for names, _ in lengths]
        return self

    def fit_transform(self, inputs: Inputs) -> MultiInput:
        """`fit` and `transform`."""
        if not self.groups:
            self.arrange(inputs)
        for part in self._parts():
            if part.feature.is_series:
                part.widths = [_width(inputs.columns[name], name) for name in part.names]
        for name, static in self.statics.items():
            with within(argument="X", column=name):
                static.fit(inputs.columns[name], name=name)
        return self._read(inputs, fitted=False)

    def fit(self, inputs: Inputs) -> Self:
        """Learns from the training data."""
        self.fit_transform(inputs)
        return self

    def transform(self, inputs: Inputs) -> MultiInput:
        """The steps of each group of aligned columns, and the rows of the others."""
        return self._read(inputs, fitted=True)

    def _group(self, names: list[str]) -> Group:
        numbers = [name for name in names if COLUMNS[self.kinds[name]].is_series]
        columns = [[name] for name in names if name not in numbers] + ([numbers] if numbers else [])
        return Group([Part(own, self.make(self.kinds[own[0]]), [1] * len(own)) for own in columns])

    def _read(self, inputs: Inputs, fitted: bool) -> MultiInput:
        groups, rows = [], []
        for group in self.groups:
            made = []
            for part in group.parts:
                column = _joined(inputs, part)
                transform = part.feature.transform if fitted else part.feature.fit_transform
                with _within(part):
                    made.append(transform(column, name=", ".join(part.names)))
                _check_aligned(made[0].lengths, made[-1].lengths, group.names[0], part.names[0])
            groups.append(tuple(made))
        for name, static in self.statics.items():
            with within(argument="X", column=name):
                rows.append(static.transform(inputs.columns[name], name=name))
        return MultiInput(groups, rows)

    def _parts(self) -> list[Part]:
        return [part for group in self.groups for part in group.parts]

    @property
    def function_name(self) -> str:
        """The name of the function that cuts texts; "" where there is none."""
        return next((name for part in self._parts() if (name := part.feature.function_name)), "")

    def use_tokenizer(self, function: Any, folder: str) -> bool:
        """Gives the function that cuts texts to each column that was fitted with one."""
        took = [part.feature.use_tokenizer(function, folder) for part in self._parts()]  # all of them
        return any(took)

    # ---- capabilities

    @property
    def called(self) -> str:
        """The name of the input in messages."""
        return "several columns"

    @property
    def is_alphabet(self) -> bool:
        """Whether the symbols of each column of them are the letters of an alphabet."""
        return all(feature.is_alphabet for _, _, feature in self.symbolic_places())

    @property
    def path_names(self) -> list[str]:
        """The columns of each group, where there are several."""
        return [", ".join(group.names) for group in self.groups] if len(self.groups) > 1 else []

    @property
    def symbols(self) -> int | None:
        """The total number of symbols of all texts and tokens; None without any."""
        sizes = [feature.symbols for _, _, feature in self.symbolic_places() if feature.symbols is not None]
        return sum(sizes) if sizes else None

    def symbolic(self, data: Any) -> Ragged:
        """The symbols of all columns of each sequence, concatenated, with disjoint ids."""
        parts, before = list[Ragged](), 0
        for g, place, feature in self.symbolic_places():
            part = data.groups[g][place]
            parts.append(part.with_values(part.values + before))
            before += int(feature.symbols or 0)
        if len(parts) == 1:
            return parts[0]
        whole, count = Ragged.cat(parts), len(data)
        order = torch.arange(count * len(parts)).view(len(parts), count).T.reshape(-1)
        mixed = whole[order]
        return Ragged(mixed.values, mixed.offsets[:: len(parts)].clone())

    def symbolic_parts(self, data: Any, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Values of the steps of `symbolic`, split into an array for each column, in their order."""
        lengths = np.stack([data.groups[g][place].lengths.numpy() for g, place, _ in self.symbolic_places()], axis=1)
        pieces = np.split(values, np.cumsum(lengths)[:-1])
        return [np.concatenate(pieces[place :: lengths.shape[1]]) for place in range(lengths.shape[1])]

    def all_numbers(self) -> list[bool]:
        """For each group, whether all its columns are numbers."""
        return [all(feature.is_series for feature in group.features) for group in self.groups]

    def only(self) -> Feature:
        """The one feature whose steps can be streamed. Raises ``OptionError`` if there are several."""
        parts = self._parts()
        if len(parts) != 1:
            steps = ", ".join(repr(name) for part in parts for name in part.names)
            raise OptionError(
                f"a model that reads the steps of {steps} cannot stream: a stream has one "
                "kind of step. Train with one of them and the static inputs."
            )
        return parts[0].feature

    def symbolic_places(self) -> list[tuple[int, int, Feature]]:
        """The columns of symbols: group, position in it, feature."""
        return [
            (g, place, feature)
            for g, group in enumerate(self.groups)
            for place, feature in enumerate(group.features)
            if feature.is_symbolic
        ]

    def feature_groups(self) -> list[list[Feature]]:
        """The features of each group of aligned columns."""
        return [group.features for group in self.groups]

    def by_column(self) -> dict[str, Feature]:
        """The features by the names of the columns that they read."""
        return {name: part.feature for part in self._parts() for name in part.names}

    def parts(self, data: MultiInput, column: Inputs) -> list[ReaderPart]:
        """The part of each input layer in the columns, whose steps are `data`."""
        return [
            ReaderPart(part.feature, part.names, part.widths, steps, column.columns[part.names[0]])
            for group, made in zip(self.groups, data.groups, strict=True)
            for part, steps in zip(group.parts, made, strict=True)
        ]

    def card(self) -> dict[str, str]:
        """The inputs, for the model card: a line for each column."""
        return {f"input {name!r}": what for name, what in self.described().items()}

    def describe(self) -> str:
        """One line: the kind of each column."""
        return "; ".join(f"{name}: {what}" for name, what in self.described().items())

    def described(self) -> dict[str, str]:
        """The kind of each column, and the columns it is aligned with."""
        found = {}
        for group in self.groups:
            for part in group.parts:
                for name in part.names:
                    others = [other for other in group.names if other != name]
                    beside = f", step by step with {', '.join(others)}" if others else ""
                    found[name] = part.feature.describe() + beside
        found |= {name: static.describe() for name, static in self.statics.items()}
        return {name: found[name] for name in self.kinds}

    # ---- on disk

    def config(self) -> dict[str, Any]:
        """Kinds, groups, and the config of each feature."""
        return {
            "kinds": self.kinds,
            "groups": [
                {
                    "columns": [part.names for part in group.parts],
                    "widths": [part.widths for part in group.parts],
                    "features": [part.feature.config() for part in group.parts],
                }
                for group in self.groups
            ],
            "statics": {name: static.config() for name, static in self.statics.items()},
        }

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the features, by the index of the group and of the feature."""
        return {f"{p}.{key}": value for p, feature in self._placed() for key, value in feature.tensors().items()}

    def files(self) -> dict[str, str]:
        """The files of the features; their names begin with the feature's place."""
        return {f"{p}-{name}": text for p, feature in self._placed() for name, text in feature.files().items()}

    @classmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> Self:
        """The saved columns. Raises `ModelFileError` for invalid contents."""
        kinds = dict(config["kinds"])
        if not kinds or not set(kinds.values()) <= {*COLUMNS, *STATICS}:
            raise ModelFileError("the saved columns have a kind that this version does not know.")
        made = cls(kinds)
        for g, saved in enumerate(config["groups"]):
            columns, widths, features = _checked_group(saved)
            parts = []
            for place, (names, own, config_) in enumerate(zip(columns, widths, features, strict=True)):
                part = under(f"{g}.{place}.", tensors), under(f"{g}.{place}-", files)
                parts.append(Part(names, COLUMNS[kinds[names[0]]].restore(config_, *part), own))
            made.groups.append(Group(parts))
        with_steps = {name for name, kind in kinds.items() if kind not in STATICS}
        if sorted(n for g in made.groups for n in g.names) != sorted(with_steps) or not with_steps:
            raise ModelFileError("the saved groups do not hold each column with steps once.")
        statics = {name: STATICS[kind] for name, kind in kinds.items() if kind in STATICS}
        made.statics = {name: kind.restore(config["statics"][name]) for name, kind in statics.items()}
        return made

    def _placed(self) -> list[tuple[str, Feature]]:
        return [
            (f"{g}.{place}", feature)
            for g, group in enumerate(self.groups)
            for place, feature in enumerate(group.features)
        ]


def restored_input(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]
) -> Feature | Columns:
    """The feature or the columns that `saved_feature` saved. Raises `ModelFileError` or ``KeyError``."""
    if config["kind"] == Columns.kind:
        return Columns.restore(config, tensors, files)
    return restored_feature(config, tensors, files)


# ---- aligned columns


def _lengths(column: Any) -> _Indices:
    """How many steps each sequence has; -1 where it is missing."""
    return np.array([-1 if is_missing(value) or not hasattr(value, "__len__") else len(value) for value in column])


def _agree(one: _Indices, other: _Indices) -> bool:
    """Whether two columns are equally long wherever neither is missing."""
    return bool(((one == other) | (one == -1) | (other == -1)).all())


def _width(column: Any, name: str) -> int:
    """The width of a step of a column: that of the first sequence with steps."""
    for i, value in enumerate(column):
        if not is_missing(value) and len(value):
            array = read_one(value, Place("X", sequence=i, column=name), ("step",))
            return 1 if array.ndim < 2 else int(array.shape[1])
    return 1


def _within(part: Part) -> AbstractContextManager[None]:
    """Adds the column to the place of errors raised in the block."""
    names, ends = part.names, list(accumulate(part.widths))

    def known(place: Place) -> Place:
        if place.argument is None and place != Place():
            return place
        if len(names) > 1 and isinstance(place.column, int):
            return replace(place, argument="X", column=names[bisect_right(ends, place.column)])
        return replace(place, argument="X", column=", ".join(names))

    return placed(known)


def _joined(inputs: Inputs, part: Part) -> Any:
    """The column that a feature reads: a single one, or several of numbers concatenated."""
    names = part.names
    if len(names) == 1:
        return inputs.columns[names[0]]
    columns = [inputs.columns[name] for name in names]
    return [_side_by_side([column[i] for column in columns], i, names, part.widths) for i in range(len(inputs))]


def _side_by_side(values: list[Any], i: int, names: list[str], widths: list[int]) -> NDArray[np.float64]:
    """The steps of one sequence, all columns concatenated; NaN where a column lacks the sequence."""
    present = [(name, len(value)) for name, value in zip(names, values, strict=True) if not is_missing(value)]
    steps = present[0][1] if present else 0
    parts = []
    for name, value, width in zip(names, values, widths, strict=True):
        if is_missing(value):
            parts.append(np.full((steps, width), np.nan))
            continue
        if len(value) != steps:
            raise _unaligned(i, present[0][0], steps, name, len(value))
        array = read_one(value, Place("X", sequence=i, column=name), ("step",))
        array = array.reshape(steps, -1) if steps else np.zeros((0, width))
        if array.shape[1] != width:
            raise DataError(
                f"has {array.shape[1]} numbers a step, others have {width}.", at=Place("X", sequence=i, column=name)
            )
        parts.append(array)
    return np.concatenate(parts, axis=1)


def _check_aligned(one: Tensor, other: Tensor, first: str, name: str) -> None:
    wrong = (one != other).nonzero()
    if len(wrong):
        i = int(wrong[0, 0])
        raise _unaligned(i, first, int(one[i]), name, int(other[i]))


def _unaligned(i: int, first: str, steps: int, name: str, others: int) -> DataError:
    return DataError(
        f"has {others} steps, but {steps} in {first!r}. The two were equally long in every sequence of training, "
        "and are read as aligned.",
        at=Place("X", sequence=i, column=name),
    )


def _checked_group(saved: Mapping[str, Any]) -> tuple[list[list[str]], list[list[int]], list[Mapping[str, Any]]]:
    """The names, widths and configs of the parts of a saved group."""
    columns, widths = [list(map(str, names)) for names in saved["columns"]], [list(own) for own in saved["widths"]]
    counts = [len(names) for names in columns]
    if len(counts) != len(saved["features"]) or [len(own) for own in widths] != counts or not all(counts):
        raise ModelFileError("the saved groups have columns, widths and features that do not agree.")
    if not all(type(width) is int and width >= 1 for own in widths for width in own):
        raise ModelFileError("the saved groups have a width that is no whole number of at least 1.")
    return columns, widths, saved["features"]
