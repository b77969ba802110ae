"""Categorical static inputs: the kind of shop, the sex of a patient, the language of a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, Place
from elman.features.base import Static, check_whole, checked
from elman.features.lists import listed
from elman.validation.columns import is_missing
from elman.validation.messages import seen
from elman.validation.plain_values import plain_value

UNKNOWN, MISSING = 0, 1  # the embeddings of an unknown category and of a missing one
UNSEEN = 0.1  # rate at which training replaces categories by the unknown one, so that its embedding is trained
_Value = str | int | bool


class Category(Static):
    """Each distinct value has an embedding; row 0 is for unknown values, row 1 for missing ones.

    A value is a str, an int, a bool or a whole float; `1`, `"1"` and `True` differ. Without missing values in training
    these are unknown. Raises `DataError` naming the place for anything else.

    >>> kind = Category().fit(["shop", "bar", None, "shop"])
    >>> kind.transform(["bar", "shop", "zoo", None])
    tensor([3, 2, 0, 1])
    """

    kind: ClassVar[str] = "category"
    is_category: ClassVar[bool] = True

    def fit(self, column: Any, *, name: str = "X") -> Self:
        """Learns the categories, ordered by count and then by value."""
        values = _values(column, name)
        counts = Counter((type(value), value) for value in values if value is not None)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], isinstance(item[0][1], str), item[0][1]))
        self._learn([value for (_, value), _ in ranked], missing=None in values)
        return self

    def transform(self, column: Any, *, name: str = "X") -> Tensor:
        """The row of each value, int64 [sequences]."""
        none = MISSING if self.missing_ else UNKNOWN
        values = _values(column, name)
        rows = [none if value is None else self.places_.get((type(value), value), UNKNOWN) for value in values]
        return torch.tensor(rows, dtype=torch.int64)

    def module(self) -> CategoryRow:
        """The embedding."""
        return CategoryRow(len(self.categories_) + 2)

    def config(self) -> dict[str, Any]:
        """The categories in the order of their rows, and whether one was missing."""
        return {"categories": self.categories_, "missing": self.missing_}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The saved feature."""
        categories = checked(config, "categories", list, cls.kind)
        if any(type(value) not in (str, int, bool) for value in categories):
            raise ModelFileError("the saved category feature has a category that is no str, int or bool.")
        made = cls()
        made._learn(categories, checked(config, "missing", bool, cls.kind))
        if len(made.places_) != len(categories):
            raise ModelFileError("the saved category feature has a category twice. Save the model again.")
        return made

    def describe(self) -> str:
        """One line: `category, 3 kinds: 'a', 'b', 'c'`."""
        shown = ", ".join(map(repr, self.categories_[:4])) + (", …" if len(self.categories_) > 4 else "")
        kinds = f"{len(self.categories_)} kind{'s' * (len(self.categories_) != 1)}"
        return f"category, {kinds}: {shown}" + (", some missing" if self.missing_ else "")

    def _learn(self, categories: list[_Value], missing: bool) -> None:
        self.categories_, self.missing_ = categories, missing
        self.places_ = {(type(value), value): row for row, value in enumerate(categories, start=2)}


class CategoryRow(nn.Module):
    """The embedding of a category: `[sequences]` to `[sequences, outputs]`.

    ``outputs`` is 2 sqrt(rows), from 2 to 32. In training a category is replaced by the unknown one with probability
    0.1, so that its row is trained. Rows 0 and 1 start at zero, the others uniform in ±0.1.

    >>> CategoryRow(9)(torch.tensor([2, 0])).shape
    torch.Size([2, 6])
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.outputs = min(32, max(2, round(2 * rows**0.5)))
        self.weight = nn.Parameter(torch.empty(rows, self.outputs).uniform_(-0.1, 0.1))
        with torch.no_grad():
            self.weight[: MISSING + 1].zero_()

    def forward(self, places: Tensor) -> Tensor:
        """The row of each sequence."""
        if self.training:
            places = places.masked_fill(torch.rand(len(places)) < UNSEEN, UNKNOWN)
        return nn.functional.embedding(places, self.weight)


def _values(column: Any, name: str) -> list[_Value | None]:
    return [_value(value, i, name) for i, value in enumerate(listed(column, name))]


def _value(value: Any, i: int, name: str) -> _Value | None:
    plain = plain_value(value)
    if is_missing(plain):
        return None
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    if isinstance(plain, str):
        check_whole(plain, i, name)
    if isinstance(plain, str | int | bool):
        return plain
    raise DataError(f"is {seen(value)}. A category is a str, an int or a bool.", at=Place(name, sequence=i))
