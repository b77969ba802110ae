"""The interface of features: fit on the training data, transform a column to steps, provide the input layer.

To add a kind of input, write a dataclass derived from `Feature` in a file of its own, and add it to `FEATURES` in
`registry.py`. Code outside this package calls these methods and never compares kinds.
"""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, get_args, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, OptionError, Place, Problem
from elman.features.lists import prompt_list
from elman.layers.embedding import Embedding
from elman.ragged import Ragged
from elman.validation.messages import shown
from elman.validation.plain_values import broken_at, plain_value

UNKNOWN = "<unknown>"  # how the symbol with id 0 is shown
LARGEST_SCALED = 2.0**100  # of a scaled number: its products with weights, and their sums, stay in float32
SCALES = ("standard", "none")  # of numbers, pixels and bands: mean 0 and deviation 1 in the training data; as they are
ALPHABET = 200  # letters, digits and signs of one script; a script of words, such as Chinese, has thousands


class Fitted:
    """Attributes that `fit` learns end with an underscore; before it, reading one raises `OptionError`."""

    def check_fitted(self) -> None:
        """Raises `OptionError` before `fit`."""
        if not any(name.endswith("_") for name in vars(self)):
            raise OptionError(f"this {type(self).__name__} is not fitted. Call fit(sequences) first.")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.endswith("_") and not name.startswith("_"):
                self.check_fitted()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)


class Static(Fitted, ABC):
    """A static input: one value per sequence, such as an age or a kind of shop; missing ones included.

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


class ReaderPart(NamedTuple):
    """The input of one input layer: the columns of a feature, their widths, and their steps."""

    feature: "Feature"
    names: list[str]  # [""] where the column has no name
    widths: list[int]
    steps: Ragged
    column: Any  # the data themselves


class Reader:
    """The common interface of a `Feature` and of `Columns` of several; capabilities default to False."""

    kind: ClassVar[str]  # written to config.json
    is_signal: ClassVar[bool] = False  # steps are measurements in time, which a convolution can read
    is_series: ClassVar[bool] = False  # steps are the numbers of the data themselves, which MiniRocket can read
    is_music: ClassVar[bool] = False  # steps are chords
    is_vocabulary: ClassVar[bool] = False  # a step is a symbol of a vocabulary and nothing else
    reads_files: ClassVar[bool] = False  # a text is the path of a file
    reads_letters: ClassVar[bool] = False  # words have character embeddings
    statics: Mapping[str, Static] = {}  # the static inputs
    kinds: Mapping[str, str] = {}  # of all columns by name, where there are several

    @property
    def called(self) -> str:
        """The name of the input in messages."""
        return self.kind

    @property
    def is_alphabet(self) -> bool:
        """Whether symbols are the letters of an alphabet of at most 200."""
        return False

    @property
    def path_names(self) -> list[str]:
        """The names of the network's paths, where there are several."""
        return []

    @property
    def function_name(self) -> str:
        """The name of the function that cuts texts, which `load` needs again; "" where there is none."""
        return ""

    def use_tokenizer(self, function: Any, folder: str) -> bool:
        """Gives the function that cuts texts to what was fitted with one, and says whether anything was.

        Raises ``OptionError`` where a function is needed and is None; `folder` is where the model comes from.
        """
        return False


class Feature(Fitted, Reader, ABC):
    """One kind of input. Concrete features are dataclasses whose fields are the options.

    `fit` learns from the training data, `transform` turns a column into a `Ragged`, `module` makes the input layer. An
    unfitted feature raises `OptionError` when it is used. A feature says how to `read` a column, how to `learn` from it
    and how to `encode` it; what it learnt is in `learnt`, `arrays` and `files`, from which `recall` takes it again.
    """

    symbols: int | None = None  # size of the vocabulary after fit, the unknown symbol included; None for numbers
    is_symbolic: ClassVar[bool] = False  # steps are symbols, else numbers
    is_column: ClassVar[bool] = False  # may be one of several columns
    reads_texts: ClassVar[bool] = False  # a sequence is a text
    reads_lists: ClassVar[bool] = False  # a sequence is a list, of which an array has one in each row
    arrays: ClassVar[tuple[str, ...]] = ()  # the learnt arrays, which are saved as tensors

    # ---- capabilities

    @property
    def fades(self) -> bool:
        """Whether most numbers are missing, and steps are values, mask and gap for a cell with decay (GRU-D)."""
        return False

    @property
    def value_width(self) -> int | None:
        """The number of measurements in a step, without mask and gap; None where it has none."""
        return None

    @property
    def seconds(self) -> float | None:
        """The length of a step in seconds; None where it is unknown."""
        return None

    @property
    def writer(self) -> "Written | None":
        """The feature, if a model can generate its sequences."""
        return None

    def only(self) -> "Feature":
        """The one feature whose steps can be streamed."""
        return self

    def feature_groups(self) -> "list[list[Feature]]":
        """The features of each group of aligned columns."""
        return [[self]]

    def by_column(self) -> "dict[str, Feature]":
        """The features by column, where there are several."""
        return {}

    def parts(self, data: Any, column: Any) -> list[ReaderPart]:
        """The part of each input layer in `column`, whose steps are `data`."""
        return [ReaderPart(self, [""], [1], data, column)]

    def symbolic(self, data: Any) -> Ragged:
        """The symbols of each sequence in the steps `data`; those of several columns one after the other."""
        symbols: Ragged = data
        return symbols

    def symbolic_parts(self, data: Any, values: "np.ndarray[Any, Any]") -> "list[np.ndarray[Any, Any]]":
        """Values of the steps of `symbolic`, split into an array for each column, in their order."""
        return [values]

    def card(self) -> dict[str, str]:
        """The inputs, for the model card: lines of text by name."""
        return {"input": self.describe()}

    def outputs_of_columns(self, widths: Sequence[int]) -> list[list[int]] | None:
        """The indices in a step of each of the columns of these widths; None where they are unknown."""
        return None

    def step_length(self) -> tuple[float, str]:
        """The length of a step and its unit, for the axis of a picture."""
        return 1.0, "step"

    def parse_line(self, line: str, place: Place) -> Any:
        """The steps in a line of a stream. Raises ``DataError``, naming the place, for invalid input."""
        try:
            return [float(part) for part in line.replace(",", " ").split()]
        except ValueError:
            raise DataError(f": {line[:40]!r} is not numbers. Write 0.5 1.5", at=place) from None

    def ngram_options(self, column: Any) -> dict[str, Any]:
        """Options of scikit-learn's ``TfidfVectorizer`` for n-grams; {}: 1- and 2-grams of the elements of a list."""
        return {}

    def suit(self, reads: str) -> None:
        """Adapts the options to a cell with this value of `reads`."""

    def take_options(self, options: Mapping[str, Any]) -> Self:
        """Sets the options that the feature has, except those that are None."""
        for field in self._options():
            if (value := options.get(field.name)) is not None:
                setattr(self, field.name, value)
        return self

    # ---- learning and steps

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        return []

    def fit(self, column: Any, *, name: str = "X") -> Self:
        """Learns the vocabulary or the scale from the training data; `name` is the column's name in error messages."""
        self.fit_transform(column, name=name)
        return self

    def fit_transform(self, column: Any, *, name: str = "X") -> Ragged:
        """`fit` and `transform` in one, which is faster."""
        if problems := self.problems():
            raise OptionError.of(problems)
        sequences = self.read(column, name, fitted=False)
        if not len(sequences):
            what = "texts" if self.reads_texts else "sequences"
            raise DataError(f"holds no {what}. Fitting needs at least one.", at=Place(name))
        return self.learn(sequences, name)

    def transform(self, column: Any, *, name: str = "X") -> Ragged:
        """The steps of each sequence: int64 values `[steps]` for symbols, float32 `[steps, width]` for numbers."""
        self.check_fitted()
        return self.encode(self.read(column, name, fitted=True), name)

    @abstractmethod
    def read(self, column: Any, name: str, fitted: bool) -> Any:
        """The sequences of a column, checked; `fitted`: they must fit what was learnt."""

    @abstractmethod
    def learn(self, sequences: Any, name: str) -> Ragged:
        """Learns from what `read` returned, and gives its steps."""

    @abstractmethod
    def encode(self, sequences: Any, name: str) -> Ragged:
        """The steps of what `read` returned."""

    @abstractmethod
    def step(self, value: Any, *, name: str = "X") -> Tensor | Ragged:
        """The steps of a chunk of a stream, maybe none: values as in `transform`, or where a step is more than its
        values, a `Ragged` of one sequence."""

    def initial_state(self) -> dict[str, Tensor]:
        """The initial state of a stream: named tensors; empty for most features."""
        return {}

    def advance(
        self, value: Any, state: dict[str, Tensor], *, name: str = "X"
    ) -> tuple[Tensor | Ragged, dict[str, Tensor]]:
        """The steps of the next chunk of a stream, and the state after it. No tensor is changed."""
        return self.step(value, name=name), state

    def split_units(self, column: Any, *, name: str = "X") -> list[list[str]] | None:
        """The symbols of each sequence as texts, unknown ones too; None where steps are numbers."""
        return None

    def embedded_words(self) -> list[str]:
        """The symbols from 1 on that word vectors can be given for; empty where steps are no words."""
        return []

    def start_from(self, module: Any, rows: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Starts the embeddings of an input layer from word vectors, given by word."""

    @abstractmethod
    def module(self, width: int, dropout: float = 0.0) -> nn.Module:
        """The input layer: a `Ragged` from `transform` becomes a `Ragged` `[steps, module.outputs]` of float32."""

    def config(self) -> dict[str, Any]:
        """Options and learnt values as JSON."""
        return {f.name: plain_value(getattr(self, f.name)) for f in self._options()} | self.learnt()

    @abstractmethod
    def learnt(self) -> dict[str, Any]:
        """The learnt values that are neither arrays nor files, as JSON."""

    def tensors(self) -> dict[str, Tensor]:
        """Learnt tensors to be saved with the model."""
        return {name: torch.from_numpy(getattr(self, f"{name}_").copy()) for name in self.arrays}

    def files(self) -> dict[str, str]:
        """Learnt text files to be saved with the model, by file name."""
        return {}

    @classmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> Self:
        """The saved feature. Raises `ModelFileError` for invalid contents."""
        hints = get_type_hints(cls)
        made = cls(**{f.name: checked(config, f.name, _types_of(hints[f.name]), cls.kind) for f in cls._options()})
        if problems := made.problems():
            raise ModelFileError(f"the saved {cls.kind} feature has wrong options: {'; '.join(map(str, problems))}.")
        made.recall(config, tensors, files)
        return made

    @abstractmethod
    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes what was learnt from a saved model. Raises `ModelFileError` for invalid contents."""

    @classmethod
    def _options(cls) -> tuple[dataclasses.Field[Any], ...]:
        return dataclasses.fields(cls)  # type: ignore[arg-type]

    @abstractmethod
    def describe(self) -> str:
        """One line for reports."""


class Written(Feature):
    """A feature whose sequences a model can generate: texts, lists of tokens, chords."""

    is_symbolic: ClassVar[bool] = True
    prompt_example: ClassVar[str] = '["a", "b"]'  # an example of a prompt
    has_grammar: ClassVar[bool] = False  # not every symbol may follow every other

    @property
    def writer(self) -> "Written | None":
        """The feature itself."""
        return self

    def words(self, ids: Sequence[int] | Tensor) -> list[str]:
        """The text of each symbol. Raises `DataError` for an invalid id."""
        self.check_fitted()
        numbers, most = [int(i) for i in ids], int(self.symbols or 0) - 1
        if bad := [i for i in numbers if not 0 <= i <= most]:
            raise DataError(f"{bad[0]} is no symbol: this {self.kind} feature has the symbols 0 to {most}.")
        return [self.word(i) if i else UNKNOWN for i in numbers]

    @abstractmethod
    def word(self, symbol: int) -> str:
        """The text of a symbol, from 1."""

    def embedded_words(self) -> list[str]:
        """The texts of the symbols, from 1 on."""
        return [self.word(i) for i in range(1, int(self.symbols or 0))] if self.is_vocabulary else []

    def start_from(self, module: Any, rows: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Starts the embeddings from word vectors."""
        words = self.embedded_words()
        module.start_from({i: rows[word] for i, word in enumerate(words, 1) if word in rows})

    def module(self, width: int, dropout: float = 0.0) -> Embedding:
        """An `Embedding` of `width` numbers per symbol, with symbol dropout in training."""
        self.check_fitted()
        return Embedding(int(self.symbols or 0), width, dropout)

    @abstractmethod
    def spelled(self, ids: Iterable[int] | Tensor, after: Any = "") -> Iterator[Any]:
        """Yields what symbols add, as they come, to the sequence so far."""

    def next_symbols(self, previous: Sequence[str], symbols: Sequence[str], ends: bool) -> Collection[str]:
        """The allowed symbols after the `previous` ones; with `ends` also the end."""
        return symbols

    def join(self, ids: Sequence[int] | Tensor, unknown: Sequence[Any] = ()) -> Any:
        """The sequence of symbols as text or list; each unknown one is the next of `unknown`, or left out."""
        if not len(unknown):
            return [*self.spelled(int(i) for i in ids if i)]
        given = iter(unknown)
        return [one for i in map(int, ids) for one in (self.spelled([i]) if i else [next(given)])]

    def normalized(self, column: Any, *, name: str = "X") -> list[Any]:
        """The sequences as `join` writes them, for comparison with answers."""
        return [self.join(ids) for ids in self.transform(column, name=name)]

    def normalized_symbol(self, symbol: str, name: str) -> str:
        """One symbol, normalised."""
        return symbol

    def transposed(self, column: Sequence[Any], reach: int) -> list[Any]:
        """The sequences, and for music their transpositions by up to `reach` half-tones up and down."""
        return list(column)

    def parse_prompt(self, prompt: str) -> Any:
        """Parses the prompt of the command line, a JSON list. Raises ``OptionError``."""
        return prompt_list(prompt, self.prompt_example)

    def check_prompt(self, prompt: Any) -> Any:
        """The prompt. Raises ``OptionError`` for what is not a list."""
        prompt = [] if isinstance(prompt, str) and not prompt else prompt
        if isinstance(prompt, str) or not isinstance(prompt, Iterable):
            raise OptionError(f"prompt = {shown(prompt)} must be a list: this model continues lists")
        return prompt

    def continued(self, prompt: Any, pieces: Sequence[Any]) -> Any:
        """A prompt followed by the items of `spelled`."""
        return [*map(plain_value, prompt), *pieces]


def of_lengths(values: "np.ndarray[Any, Any]", lengths: "np.ndarray[Any, Any]") -> Ragged:
    """A `Ragged` from concatenated steps and the length of each sequence.

    >>> of_lengths(np.array([7, 8, 9]), np.array([2, 0, 1])).lengths
    tensor([2, 0, 1])
    """
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(torch.from_numpy(values), torch.from_numpy(offsets))


def check_whole(text: str, i: int, name: str) -> None:
    """Raises ``DataError`` for a text with a lone surrogate, which cannot be encoded."""
    check_pairs(text, Place(name, sequence=i))


def check_pairs(text: str, place: Place) -> None:
    """The same for a text at any `place`."""
    if (at := broken_at(text)) is not None:
        raise DataError(
            f", character {at} is {shown(text[at])}, one half of a surrogate pair. The text was decoded "
            "wrongly; read it again as UTF-8, or drop such characters.",
            at=place,
        )


def checked(config: Mapping[str, Any], key: str, kinds: type | tuple[type, ...], kind: str) -> Any:
    """One entry of a saved config. Raises `ModelFileError` for a wrong type."""
    if key not in config:
        raise ModelFileError(f"the saved {kind} feature has no {key!r}. Save the model again.")
    value = config[key]
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        names = " or ".join("null" if t is type(None) else t.__name__ for t in wanted)
        raise ModelFileError(f"the saved {kind} feature has {key} = {shown(value)}, which is no {names}.")
    return value


def _types_of(hint: Any) -> tuple[type, ...]:
    """The types of an option in JSON: a float may stand there as an int."""
    types = get_args(hint) or (hint,)
    return (*types, int) if float in types else types


def saved_array(
    tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> "np.ndarray[Any, Any]":
    """A learnt array of a saved model. Raises `ModelFileError` for another shape or dtype, or NaN and infinities."""
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype != dtype or tensor.shape != shape:
        is_now = "is missing" if tensor is None else f"is {tensor.dtype} {list(tensor.shape)}"
        raise ModelFileError(f"the saved tensor {name} {is_now}; expected {dtype} {list(shape)}.")
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy().copy()
    if not np.isfinite(array).all():
        raise ModelFileError(f"the saved tensor {name} must be finite.")
    return array


def saved_list(files: Mapping[str, str], name: str, size: int) -> list[Any]:
    """A learnt list of a saved model, of a JSON file. Raises `ModelFileError` for another size, and for no JSON."""
    try:
        found = json.loads(files[name])
    except KeyError:
        raise ModelFileError(f"the saved model has no {name}. Save the model again.") from None
    except (ValueError, TypeError, RecursionError):
        raise ModelFileError(f"{name} is no JSON. Save the model again.") from None
    if not isinstance(found, list) or len(found) != size:
        raise ModelFileError(f"{name} does not hold the list of {size} that the model was saved with.")
    return found
