"""Sources and targets: the feature of each, and their pairs with boundaries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from elman.errors import DataError, Place
from elman.features import Text, infer
from elman.features.base import Written
from elman.features.lists import listed
from elman.features.registry import restored_feature
from elman.ragged import Ragged
from elman.validation.columns import is_missing
from elman.validation.messages import shown

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
        sides = [(x, y) for column in (self.first, *self.more) for x, y in zip(sources, column, strict=True)]
        known = [pair for pair in sides if pair[1] is not None]
        return [x for x, _ in known], [y for _, y in known]


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


def several_names(y: Any, columns: Collection[str]) -> list[str]:
    """The names of columns of a frame with references, in a list; empty where `y` is no list of such names.

    >>> several_names(["de", "at"], {"en", "de", "at"}), several_names("de", {"de"})
    (['de', 'at'], [])
    """
    if not isinstance(y, list | tuple) or not all(isinstance(name, str) and name in columns for name in y):
        return []
    return list(dict.fromkeys(y))


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
