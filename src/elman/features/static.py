"""Static inputs: one value per sequence, such as an age or a kind of shop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch import Tensor, nn

__all__ = ["Static"]


class Static(ABC):
    """One kind of static input, missing values included.

    `fit` learns from the training data, `transform` turns a column into a tensor [sequences, ...], `module` makes the
    input layer.
    """

    kind: ClassVar[str]  # written to config.json
    is_category: ClassVar[bool] = False  # one of several values, else a number

    @abstractmethod
    def fit(self, column: Any, *, name: str = "X") -> Self:
        """Learns from the training data; `name` is the column's name in error messages."""

    @abstractmethod
    def transform(self, column: Any, *, name: str = "X") -> Tensor:
        """A row for each sequence."""

    @abstractmethod
    def module(self) -> nn.Module:
        """The layer that reads rows of `transform`: float32 [sequences, module.outputs]."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Learnt values as JSON."""

    @classmethod
    @abstractmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The saved feature. Raises `ModelFileError` for invalid contents."""

    @abstractmethod
    def describe(self) -> str:
        """One line for reports."""
