"""Sequences of words as symbols with their characters."""

from typing import Any, Self

import torch
from torch import Tensor

from elman.errors import ShapeError
from elman.ragged import Ragged


class WordsWithChars(Ragged):
    """Sequences of words: a `Ragged` of word ids in every respect, whose step n is spelled ``spellings[place[n]]``.

    `words` holds an id for each step, `place` int64 [steps] the index of its spelling, `spellings` is a `Ragged` of
    character ids with each distinct spelling once, `marks` int64 [spellings, kinds] further features, by default none.
    Selecting sequences keeps the spellings; changing or joining steps gives a plain `Ragged`. Raises ``ShapeError``
    where the parts do not fit together.

    >>> x = WordsWithChars(Ragged.of([[5, 6], [5]]), torch.tensor([0, 1, 0]), Ragged.of([[1, 2], [3]]))
    >>> x[[1]].values, x[[1]].spelled(0)
    (tensor([5]), tensor([1, 2]))
    """

    __slots__ = ("marks", "place", "spellings")

    place: Tensor
    spellings: Ragged
    marks: Tensor

    def __init__(self, words: Ragged, place: Tensor, spellings: Ragged, marks: Tensor | None = None) -> None:
        marks = torch.zeros(len(spellings), 0, dtype=torch.int64) if marks is None else marks
        if words.values.dim() != 1 or place.shape != words.values.shape or spellings.values.dim() != 1:
            raise ShapeError(
                f"WordsWithChars expects one id and one place a step, got shapes {list(words.values.shape)} and "
                f"{list(place.shape)}, and spellings of single characters, got {list(spellings.values.shape)}."
            )
        if marks.dim() != 2 or len(marks) != len(spellings):
            raise ShapeError(f"WordsWithChars has {len(spellings)} spellings, got marks of shape {list(marks.shape)}.")
        self.values, self.offsets, self.marks = words.values, words.offsets, marks
        self.place, self.spellings = place, spellings

    def spelled(self, step: int) -> Tensor:
        """The characters of a step."""
        return self.spellings[int(self.place[step])]

    def distinct(self) -> tuple[Ragged, Tensor, Tensor]:
        """The distinct spellings that occur and their marks, and the index of each step's, int64 [steps]."""
        chosen, index = torch.unique(self.place, return_inverse=True)
        return self.spellings[chosen], self.marks[chosen], index

    def _slice(self, index: slice) -> "WordsWithChars":
        return self._of(super()._slice(index), Ragged(self.place, self.offsets)._slice(index))

    def _take(self, chosen: Tensor) -> "WordsWithChars":
        return self._of(super()._take(chosen), Ragged(self.place, self.offsets)._take(chosen))

    def _of(self, words: Ragged, place: Ragged) -> "WordsWithChars":
        return WordsWithChars(words, place.values, self.spellings, self.marks)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (Ragged(self.values, self.offsets), self.place, self.spellings, self.marks)
