"""What every feature offers: learn from the training data, turn a column into steps, bring the input module.

To add a kind of input, write one file beside this one with a dataclass that fills in the methods of `Feature`, and add
it to `FEATURES` in `registry.py`. Whoever needs to know what a feature can do asks it; nobody compares its kind.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, OptionError, Place
from elman.features.lists import prompt_list
from elman.features.static import Static
from elman.ragged import Ragged
from elman.validation.messages import shown
from elman.validation.plain_values import broken_at, plain_value

__all__ = ["Feature", "Reader", "ReaderPart", "Written", "of_lengths"]

UNKNOWN = "<unknown>"  # how the symbol with id 0 is shown
LARGEST_SCALED = 2.0**100  # of a scaled number: its products with weights, and their sums, stay in float32
ALPHABET = 200  # letters, digits and signs of one script; a script of words, such as Chinese, has thousands


class ReaderPart(NamedTuple):
    """What one input layer reads: the columns of a feature, their widths, and the steps that they became."""

    feature: "Feature"
    names: list[str]  # [""] where the column has no name
    widths: list[int]
    steps: Ragged
    column: Any  # the data themselves


class Reader:
    """What can be asked of whatever reads the input, a `Feature` or `Columns` of several. The answer is no unless it
    says otherwise."""

    kind: ClassVar[str]  # written to config.json
    is_signal: ClassVar[bool] = False  # steps are measurements in time, which a convolution can read
    is_series: ClassVar[bool] = False  # steps are the numbers of the data themselves, in which patterns can be sought
    is_music: ClassVar[bool] = False  # steps are chords, which can be played
    is_vocabulary: ClassVar[bool] = False  # a step is a symbol of a learnt vocabulary and nothing else
    reads_files: ClassVar[bool] = False  # a text is the path of a file
    reads_letters: ClassVar[bool] = False  # a word is read by its letters too
    statics: Mapping[str, Static] = {}  # the columns without steps
    kinds: Mapping[str, str] = {}  # of all columns by name, where there are several

    @property
    def called(self) -> str:
        """What messages call the input."""
        return self.kind

    @property
    def is_alphabet(self) -> bool:
        """Whether symbols are the letters of an alphabet of at most 200, which mean little alone."""
        return False

    @property
    def path_names(self) -> list[str]:
        """What the layers are called that read each kind of steps, where there are several."""
        return []


class Feature(Reader, ABC):
    """One kind of input. Concrete features are dataclasses whose fields are the options.

    `fit` learns from the training data, `transform` turns a column into a `Ragged`, `module` makes the layer that
    reads it. A feature that is not fitted raises `OptionError` when it is used.
    """

    symbols: int | None = None  # size of the vocabulary after fit, the unknown symbol included; None for numbers
    is_symbolic: ClassVar[bool] = False  # steps are symbols, else numbers
    is_column: ClassVar[bool] = False  # may be one of several columns
    reads_texts: ClassVar[bool] = False  # a sequence is a text
    reads_lists: ClassVar[bool] = False  # a sequence is a list, of which an array has one in each row

    # ---- what can be asked of it

    @property
    def fades(self) -> bool:
        """Whether most numbers are missing, and steps are what a cell that learns a decay reads: values, mask, gap."""
        return False

    @property
    def value_width(self) -> int | None:
        """How many measurements a step has, without what stands beside them; None where it has none."""
        return None

    @property
    def writer(self) -> "Written | None":
        """The feature, if a model can write what it reads."""
        return None

    def only(self) -> "Feature":
        """The one feature whose steps a stream can be fed."""
        return self

    def feature_groups(self) -> "list[list[Feature]]":
        """The features of each group of aligned columns."""
        return [[self]]

    def by_column(self) -> "dict[str, Feature]":
        """The features by the names of the columns that they read, where there are several."""
        return {}

    def parts(self, data: Any, column: Any) -> list[ReaderPart]:
        """What each input layer reads of `column`, whose steps are `data`."""
        return [ReaderPart(self, [""], [1], data, column)]

    def card(self) -> dict[str, str]:
        """What is read, for the card of a model: lines of text by name."""
        return {"input": self.describe()}

    def outputs_of_columns(self, widths: Sequence[int]) -> list[list[int]] | None:
        """Which numbers of a step belong to each of the columns of these widths; None where that cannot be told."""
        return None

    def parse_line(self, line: str, place: Place) -> Any:
        """What one line of a stream feeds. Raises ``DataError``, which names the place, for what cannot be read."""
        try:
            return [float(part) for part in line.replace(",", " ").split()]
        except ValueError:
            raise DataError(f": {line[:40]!r} is not numbers. Write 0.5 1.5", at=place) from None

    def ngram_options(self, column: Any) -> dict[str, Any]:
        """How ``TfidfVectorizer`` of scikit-learn counts runs of symbols; {}: runs of 1 and 2 elements of a list."""
        return {}

    def suit(self, reads: str) -> None:
        """Prepares the options for a cell that reads what its `reads` says."""

    def take_options(self, options: Mapping[str, Any]) -> Self:
        """Sets those of the options that it has; of None it keeps what it has itself."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if (value := options.get(field.name)) is not None:
                setattr(self, field.name, value)
        return self

    # ---- learning and steps

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


class Written(Feature):
    """A feature whose symbols a model can write, one after another: texts, lists of tokens, chords."""

    is_symbolic: ClassVar[bool] = True
    prompt_example: ClassVar[str] = '["a", "b"]'  # how a list to go on from is written
    has_grammar: ClassVar[bool] = False  # not every symbol may follow every other

    @property
    def writer(self) -> "Written | None":
        """The feature itself."""
        return self

    @abstractmethod
    def words(self, ids: Sequence[int] | Tensor) -> list[str]:
        """What each symbol stands for. Raises `DataError` for a number that is no symbol."""

    @abstractmethod
    def spelled(self, ids: Iterable[int] | Tensor, after: Any = "") -> Iterator[Any]:
        """What symbols add, piece by piece as they come, to what was written so far."""

    def next_symbols(self, said: Sequence[str], symbols: Sequence[str], ends: bool) -> Collection[str]:
        """Which of all `symbols` may come after those `said`; with `ends` also the end."""
        return symbols

    def join(self, ids: Sequence[int] | Tensor) -> Any:
        """What symbols stand for, as it is written; unknown ones are left out."""
        return [*self.spelled(int(i) for i in ids if i)]

    def normalized(self, column: Any, *, name: str = "X") -> list[Any]:
        """The sequences as `join` writes them: what an answer is to be compared with."""
        return [self.join(ids) for ids in self.transform(column, name=name)]

    def normalized_symbol(self, symbol: str, name: str) -> str:
        """One symbol as it is read."""
        return symbol

    def transposed(self, column: Sequence[Any], reach: int) -> list[Any]:
        """The sequences, and what they are moved up and down by up to so many half-tones, if they are music."""
        return list(column)

    def parse_prompt(self, prompt: str) -> Any:
        """What a prompt on the command line stands for: a list in JSON. Raises ``OptionError``."""
        return prompt_list(prompt, self.prompt_example)

    def check_prompt(self, prompt: Any) -> Any:
        """What is to be gone on from. Raises ``OptionError`` for what is no list."""
        prompt = [] if isinstance(prompt, str) and not prompt else prompt
        if isinstance(prompt, str) or not isinstance(prompt, Iterable):
            raise OptionError(f"prompt = {shown(prompt)} must be a list: this model goes on from lists")
        return prompt

    def continued(self, prompt: Any, pieces: Sequence[Any]) -> Any:
        """A prompt with the pieces of `spelled` after it."""
        return [*map(plain_value, prompt), *pieces]


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
