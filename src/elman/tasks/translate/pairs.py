"""Sources and targets: the feature of each, and their pairs with boundaries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from elman.errors import DataError, Place, placed
from elman.features import Text, infer
from elman.features.base import Written
from elman.features.lists import listed
from elman.features.registry import restored_feature
from elman.ragged import Ragged
from elman.validation.columns import is_missing
from elman.validation.messages import few, nearest, shown

UNITS = ("auto", "parts", "characters", "words", "mixed", "subwords", "spaces")
_SAMPLE = 1000  # texts from which the unit is chosen


def side(column: Sequence[Any], unit: str, max_words: int, min_count: int | None, lower: bool, name: str) -> Written:
    """The unfitted feature for sources or targets: `Tokens` for lists, else `Text`.

    `unit` "auto": reversible subwords ("parts") or characters, see `chosen_unit`. Raises ``DataError`` for what is
    neither text nor tokens.

    >>> side(["一只猫"], "auto", 100, None, False, "y").unit
    'characters'
    """
    made = infer(list(column), name=name, written=True)
    if (writer := made.writer) is None:
        more = " Write ids as texts: [['5', '7'], ...]." if made.is_series else ""
        raise DataError(f"holds {made.kind}. A translator learns texts, or lists of tokens.{more}", at=Place(name))
    chosen = chosen_unit(column) if made.reads_texts and unit == "auto" else unit
    return writer.take_options({"unit": chosen, "max_words": max_words, "min_count": min_count, "lower": lower})


def chosen_unit(texts: Sequence[str]) -> str:
    """Characters for a script without spaces, and where hardly any text has two words; else "parts".

    >>> chosen_unit(["a cat", "two dogs"]), chosen_unit(["cat", "dog"]), chosen_unit(["一只猫", "两只狗"])
    ('parts', 'characters', 'characters')
    """
    sample = [text for text in texts[:: max(1, len(texts) // _SAMPLE)] if text.strip()]
    several = sum(len(text.split()) > 1 for text in sample)
    if 10 * several < len(sample) or Text(lower=False).fit(sample or [""]).unit_ == "mixed":
        return "characters"
    return "parts"


def pairs_of(X: Any, y: Any) -> tuple[list[Any], list[Any]]:
    """Sources and targets as lists. Raises ``DataError`` where their numbers differ, or one is missing.

    >>> pairs_of(["a"], ["b", "c"])
    Traceback (most recent call last):
    elman.errors.DataError: X has 1 sources, y has 2 targets. Each source needs one target.
    """
    sources, targets = listed(X, "X"), listed(y, "y")
    if len(sources) != len(targets):
        raise DataError(f"X has {len(sources)} sources, y has {len(targets)} targets. Each source needs one target.")
    for name, column in (("X", sources), ("y", targets)):
        for i, value in enumerate(column):
            if is_missing(value):
                what = f"is {shown(value)} (missing). Drop the pair, or write an empty text."
                raise DataError(what, at=Place(name, sequence=i))
    return sources, targets


class References(NamedTuple):
    """What translations are compared with."""

    first: list[Any]  # a reference for each source
    more: list[list[Any]]  # columns of further ones, with None where a source has no more

    def pairs(self, sources: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Each source with each of its references."""
        return [sources[i] for _, i in self._places()], [self._column(k)[i] for k, i in self._places()]

    def placed(self) -> AbstractContextManager[None]:
        """What is raised in the block about a pair of `pairs` names its source, not its place among all pairs."""
        owners = [i for _, i in self._places()]

        def named(place: Place) -> Place:
            known = place.sequence is not None and place.sequence < len(owners)
            return replace(place, sequence=owners[place.sequence]) if known and place.sequence is not None else place

        return placed(named)

    def _column(self, k: int) -> list[Any]:
        return (self.first, *self.more)[k]

    def _places(self) -> list[tuple[int, int]]:
        """Column and source of each pair."""
        columns = (self.first, *self.more)
        return [(k, i) for k, column in enumerate(columns) for i, one in enumerate(column) if one is not None]


def references_of(targets: Sequence[Any], texts: bool) -> References:
    """The references of targets: one each, or a list of them; `texts`: a target is a text, else a list of tokens.

    Missing ones in such a list are left out; raises ``DataError`` where none is left.

    >>> references_of([["un chat", "le chat"], "deux"], texts=True)
    References(first=['un chat', 'deux'], more=[['le chat', None]])
    """
    found = []
    for i, target in enumerate(targets):
        parts = None if isinstance(target, str) or not hasattr(target, "__iter__") else list(target)
        several = parts is not None and (texts or any(not isinstance(p, str) and hasattr(p, "__len__") for p in parts))
        known = [part for part in parts or () if not is_missing(part)] if several else [target]
        if not known:
            raise DataError("has no reference. Give at least one for each source.", at=Place("y", sequence=i))
        found.append(known)
    most = max(map(len, found), default=1)
    columns = [[own[place] if place < len(own) else None for own in found] for place in range(most)]
    return References(columns[0] if columns else [], columns[1:])


def several_names(y: Any, columns: Collection[str], rows: int) -> list[str]:
    """The names of columns of a frame with references, in a list; empty where `y` is no list of such names.

    Raises ``DataError`` where only some are columns, unless `y` has as many items as the frame `rows`: texts, perhaps.

    >>> several_names(["de", "at"], ["en", "de", "at"], 9), several_names("de", ["de"], 9)
    (['de', 'at'], [])
    """
    if not isinstance(y, list | tuple) or not y or not all(isinstance(name, str) for name in y):
        return []
    unknown = [name for name in y if name not in columns]
    if unknown and len(unknown) < len(y) != rows:
        near = nearest(unknown[0], columns)
        raise DataError(f"y = {unknown[0]!r} is no column of X, which has {few(list(columns))}.{near}")
    return [] if unknown else list(dict.fromkeys(y))


class Pairs(NamedTuple):
    """Training data of the decoder, as many sequences of each.

    >>> pairs = pairs_between(Ragged.of([[3], [2]]), Ragged.of([[4, 5], []]), boundary=9)
    >>> pairs.inputs.to_list(), pairs.targets.to_list()
    ([tensor([9, 4, 5]), tensor([9])], [tensor([4, 5, 9]), tensor([9])])
    """

    sources: Ragged
    inputs: Ragged  # the boundary, then the target
    targets: Ragged  # the target, then the boundary


def pairs_between(sources: Ragged, targets: Ragged, boundary: int) -> Pairs:
    """The pairs with boundaries around each target."""
    values = torch.full((targets.steps + len(targets),), boundary, dtype=torch.int64)
    values[torch.arange(targets.steps) + targets.segments] = targets.values
    offsets = targets.offsets + torch.arange(len(targets) + 1)
    inputs = values.roll(1)
    inputs[offsets[:-1]] = boundary
    return Pairs(sources, Ragged(inputs, offsets), Ragged(values, offsets))


def restored_side(config: Mapping[str, Any], files: Mapping[str, Any], name: str) -> Written:
    """The feature of a side, whose files have its name as prefix. Raises ``ModelFileError`` for invalid contents."""
    own = {file.removeprefix(f"{name}-"): text for file, text in files.items() if file.startswith(f"{name}-")}
    if (writer := restored_feature(config, {}, own).writer) is None:
        raise ValueError(name)
    return writer
