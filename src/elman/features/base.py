"""What every feature offers: learn from the training data, turn a column into steps, bring the input module.

To add a kind of input, write one file beside this one with a dataclass that fills in the methods of `Feature`, and add
it to `FEATURES` in `__init__.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, Place
from elman.ragged import Ragged
from elman.validation.messages import shown
from elman.validation.plain_values import broken_at

__all__ = ["Feature", "of_lengths"]

UNKNOWN = "<unknown>"  # how the symbol with id 0 is shown
LARGEST_SCALED = 2.0**100  # of a scaled number: its products with weights, and their sums, stay in float32
ALPHABET = 200  # letters, digits and signs of one script; a script of words, such as Chinese, has thousands


class Feature(ABC):
    """One kind of input. Concrete features are dataclasses whose fields are the options.

    `fit` learns from the training data, `transform` turns a column into a `Ragged`, `module` makes the layer that
    reads it. A feature that is not fitted raises `OptionError` when it is used.
    """

    kind: ClassVar[str]  # written to config.json
    symbols: int | None = None  # size of the vocabulary after fit, the unknown symbol included; None for numbers

    @property
    def is_alphabet(self) -> bool:
        """Whether symbols are the letters of an alphabet of at most 200, which mean little alone."""
        return False

    @abstractmethod
    def fit(self, column: Any, *, name: str = "X") -> Self:
        """Learns the vocabulary or the scale from the training data; `name` is what error messages call the column."""

    @abstractmethod
    def transform(self, column: Any, *, name: str = "X") -> Ragged:
        """The steps of each sequence: int64 values `[steps]` for symbols, float32 `[steps, width]` for numbers."""

    def fit_transform(self, column: Any, *, name: str = "X") -> Ragged:
        """The same as `fit` and then `transform`, for less work where a feature can share it."""
        return self.fit(column, name=name).transform(column, name=name)

    @abstractmethod
    def step(self, value: Any, *, name: str = "X") -> Tensor | Ragged:
        """The steps of one piece that is fed to a stream, maybe none: values of the kind that `transform` gives, or
        where a step is more than its values, a `Ragged` of one sequence."""

    def initial_state(self) -> dict[str, Tensor]:
        """What a stream of pieces must remember before the first of them: named tensors; nothing for most features."""
        return {}

    def advance(
        self, value: Any, state: dict[str, Tensor], *, name: str = "X"
    ) -> tuple[Tensor | Ragged, dict[str, Tensor]]:
        """The steps of the next piece of a stream, and what is to be remembered after it. No tensor is changed."""
        return self.step(value, name=name), state

    def split_units(self, column: Any, *, name: str = "X") -> list[list[str]] | None:
        """The symbols of each sequence as they stand in the data, unknown ones too; None where steps are numbers."""
        return None

    @abstractmethod
    def module(self, width: int, dropout: float = 0.0) -> nn.Module:
        """The input layer: a `Ragged` from `transform` becomes a `Ragged` `[steps, module.outputs]` of float32."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Options and learnt facts as JSON."""

    def tensors(self) -> dict[str, Tensor]:
        """Learnt tensors to be saved with the model."""
        return {}

    def files(self) -> dict[str, str]:
        """Learnt text files to be saved with the model, by file name."""
        return {}

    @classmethod
    @abstractmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> Self:
        """The fitted feature that was saved. Raises `ModelFileError` if anything in it cannot be right."""

    @abstractmethod
    def describe(self) -> str:
        """One line for reports."""


def of_lengths(values: "np.ndarray[Any, Any]", lengths: "np.ndarray[Any, Any]") -> Ragged:
    """Steps that lie sequence after sequence, and the length of each, as a `Ragged`.

    >>> of_lengths(np.array([7, 8, 9]), np.array([2, 0, 1])).lengths
    tensor([2, 0, 1])
    """
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(torch.from_numpy(values), torch.from_numpy(offsets))


def check_whole(text: str, i: int, name: str) -> None:
    """Raises ``DataError`` for a text with half of a surrogate pair in it, which no file can hold."""
    check_pairs(text, Place(name, sequence=i))


def check_pairs(text: str, place: Place) -> None:
    """The same for a text at any `place`, which messages begin with."""
    if (at := broken_at(text)) is not None:
        raise DataError(
            f", character {at} is {shown(text[at])}, one half of a surrogate pair. The text was decoded "
            "wrongly; read it again as UTF-8, or drop such characters.",
            at=place,
        )


def checked(config: Mapping[str, Any], key: str, kinds: type | tuple[type, ...], kind: str) -> Any:
    """One entry of a saved config, of the right type. Raises `ModelFileError`."""
    if key not in config:
        raise ModelFileError(f"the saved {kind} feature has no {key!r}. Save the model again.")
    value = config[key]
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise ModelFileError(f"the saved {kind} feature has {key} = {shown(value)}, which is no {_names(wanted)}.")
    return value


def _names(types: Sequence[type]) -> str:
    return " or ".join("null" if t is type(None) else t.__name__ for t in types)
