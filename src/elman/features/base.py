"""What every feature offers: learn from the training data, turn a column into steps, bring the input module.

To add a kind of input, write one file beside this one with a dataclass that fills in the methods of `Feature`, and add
it to `FEATURES` in `__init__.py`.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from types import ModuleType
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
import torch
from narwhals.exceptions import NarwhalsError
from torch import Tensor, nn

from elman.errors import DataError, ElmanWarning, ModelFileError, OptionError
from elman.ragged import Ragged
from elman.ragged.indexed import Indexed
from elman.validation.plain_values import broken_at

__all__ = [
    "LARGEST",
    "SIZE",
    "Embedding",
    "Feature",
    "is_among",
    "is_missing",
    "is_number",
    "is_whole",
    "listed",
    "of_lengths",
    "shown",
    "vocabulary_problems",
]

UNKNOWN = "<unknown>"  # how the symbol with id 0 is shown
LARGEST_SCALED = 2.0**100  # of a scaled number: its products with weights, and their sums, stay in float32
ALPHABET = 200  # letters, digits and signs of one script; a script of words, such as Chinese, has thousands
LARGEST = (1 << 63) - 1  # whole number that 64 bits hold
SIZE = 1 << 20  # units of a layer, numbers of a vector: more than any memory has weights for
SHARED = 1024  # steps from which it pays to look for symbols that come again


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


class Embedding(nn.Module):
    """Learnt vectors of symbols: ids `[steps]` become `[steps, width]`; while training, whole symbols are dropped.

    ```
    y_t = m[s, x_t] E[x_t]        m[s, k] = 0 with probability p, else 1 / (1 - p); s is the sequence of step t
    ```

    With dropout a symbol vanishes from all steps of a sequence at once (Gal & Ghahramani 2016), so that no answer can
    hang on one word. Rows of `weight` start uniform in ±0.1 (Merity et al. 2018); row 0, the unknown symbol, starts at
    zero, so that it stays neutral if training never shows it.

    Where symbols come again often enough, what comes out is `Indexed`: each distinct vector once, so that the first
    layer multiplies it once, and not at every step. The dropout above allows it, since a dropped step reads one row of
    zeros. Not for modules of yours that change steps one by one, with noise, say: they get `values`, as ever.

    `symbols` ≥ 1 and `width` ≥ 1; `dropout` from 0 to below 1. Raises `OptionError` outside these.

    >>> layer = Embedding(10, 4)
    >>> layer(Ragged.of([[1, 2, 3], [0]])).values.shape
    torch.Size([4, 4])
    """

    def __init__(self, symbols: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        problems = [f"{key} = {n} must be at least 1" for key, n in (("symbols", symbols), ("width", width)) if n < 1]
        if not 0.0 <= dropout < 1.0:
            problems.append(f"dropout = {dropout} must be at least 0 and less than 1")
        if problems:
            raise OptionError("; ".join(problems))
        self.outputs = width
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(symbols, width).uniform_(-0.1, 0.1))
        with torch.no_grad():
            self.weight[0].zero_()

    def forward(self, x: Ragged) -> Ragged:
        """Ids `[steps]` → vectors `[steps, width]`."""
        mask = self._mask(x) if self.training and self.dropout > 0.0 else None
        if x.steps >= SHARED and x.values.device.type == "cpu":
            symbols, index = _distinct(x.values, len(self.weight))
            if 2 * len(symbols) <= x.steps:
                return self._indexed(symbols, x.with_values(index), mask)
        y = nn.functional.embedding(x.values, self.weight)
        return x.with_values(y if mask is None else y * mask[:, None])

    def step(self, ids: Tensor) -> Tensor:
        """Ids of any shape → vectors, without dropout."""
        return nn.functional.embedding(ids, self.weight)

    def _indexed(self, symbols: Tensor, index: Ragged, mask: Tensor | None) -> Indexed:
        rows = nn.functional.embedding(symbols, self.weight)
        if mask is None:
            return Indexed(rows, index)
        rows = torch.cat([rows * self._kept(), rows.new_zeros(1, rows.shape[1])])  # a row of zeros for all that drop
        return Indexed(rows, index.with_values(torch.where(mask > 0, index.values, len(symbols))))

    def _kept(self) -> Tensor:
        """What a vector that stays is multiplied by."""
        return torch.ones((), dtype=self.weight.dtype) / (1.0 - self.dropout)

    def _mask(self, x: Ragged) -> Tensor:
        """One factor for each step, equal for equal symbols of a sequence.

        A random number for each (sequence, symbol) would need a table or a sort; a hash of the pair with a random key
        is as good and costs a few passes over the steps (the finaliser of splitmix64, Steele et al. 2014).
        """
        key = torch.randint(-(2**62), 2**62, (1,), dtype=torch.int64).to(x.values.device)
        z = x.segments.to(x.values.device) * self.weight.shape[0] + x.values
        z = z * -7046029254386353131 + key  # wraps around: int64 arithmetic is modulo 2^64
        z = (z ^ _shift(z, 30)) * -4658895280553007687
        z = (z ^ _shift(z, 27)) * -7723592293110705685
        uniform = _shift(z ^ _shift(z, 31), 40).to(torch.float32) * 2.0**-24
        return (uniform >= self.dropout).to(self.weight.dtype) / (1.0 - self.dropout)


def _distinct(ids: Tensor, symbols: int) -> tuple[Tensor, Tensor]:
    """The distinct ids, ascending, and the place of each id among them. A table is quicker than a sort."""
    seen = torch.zeros(symbols, dtype=torch.bool).scatter_(0, ids, True)
    return seen.nonzero()[:, 0], (seen.cumsum(0) - 1)[ids]


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; `>>` alone would carry the sign along."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def listed(column: Any, name: str, *, rows: bool = False) -> list[Any]:
    """A column as a list of its sequences, whatever has a length and an order: list, tuple, deque, array, tensor, a
    pandas, polars or Arrow column, any sequence of one's own.

    An array ``[n, 1]`` of texts or of objects is a column of n; with `rows` each of its rows is a list. Raises
    `DataError` for anything else, saying what was seen.

    >>> listed(("a", "b"), "X"), listed(np.array([["a"], ["b"]]), "X")
    (['a', 'b'], ['a', 'b'])
    """
    if isinstance(column, list | tuple):
        return _elements(list(column), name)
    if isinstance(column, Ragged):
        return [sequence.tolist() for sequence in column]
    if isinstance(column, np.ndarray | Tensor | memoryview):
        return _elements(_array_rows(column, name, rows), name)
    if isinstance(column, str | bytes | bytearray):
        raise DataError(f"{name} is one {_type(column)}, {shown(column)}. Wrap it in a list: [{shown(column)}].")
    if is_unordered(column):
        raise DataError(f"{name} is a {_type(column)}, which has no order. Pass a list of sequences.")
    if hasattr(column, "to_pylist") and not hasattr(column, "column_names"):  # Arrow arrays, chunked or not
        return list(column.to_pylist())
    if is_frame(column):
        columns = ", ".join(repr(c) for c in list(nw.from_native(column).columns)[:8])
        raise DataError(f"{name} is a frame with the columns {columns}. Pass one of them, such as frame['text'].")
    try:
        return _elements(list(nw.from_native(column, series_only=True).to_list()), name)
    except TypeError:
        return _elements(_in_order(column, name, rows), name)


def is_unordered(value: Any) -> bool:
    """Whether it is a set; what a dict gives has an order.

    >>> is_unordered({1, 2}), is_unordered({1: 2}.keys())
    (True, False)
    """
    return isinstance(value, AbstractSet) and not isinstance(value, MappingView)


def _in_order(column: Any, name: str, rows: bool) -> list[Any]:
    """What has a length and an order, as a list."""
    if hasattr(column, "__array__"):
        return _array_rows(np.asarray(column), name, rows)
    if hasattr(column, "__len__") and not isinstance(column, Mapping | ModuleType | type):
        try:
            return list(column)
        except TypeError:
            pass
    advice = "Pass list(...) of it." if isinstance(column, Iterator) else _COLUMNS
    raise DataError(f"{name} is a {_type(column)}. {advice}") from None


_COLUMNS = "Pass a list of sequences, or a pandas, polars or Arrow column."


def _array_rows(column: "np.ndarray[Any, Any] | Tensor | memoryview", name: str, rows: bool) -> list[Any]:
    """The rows of an array, or the values of one [n, 1] of texts or objects."""
    if isinstance(column, Tensor):
        column = column.detach() if column.requires_grad else column
    elif not np.ma.isMaskedArray(column):
        column = np.asarray(column)  # neither a matrix nor a memory view
    assert not isinstance(column, memoryview)
    if column.ndim == 0:
        raise DataError(f"{name} is a single value, {shown(column.item())}. Pass a list of sequences.")
    if column.ndim == 1:
        return list(column.tolist())
    if isinstance(column, Tensor) or column.dtype.kind not in "UTO":
        return list(column)
    if column.ndim == 2 and column.shape[1] == 1 and _is_column(column, rows):
        return list(column[:, 0].tolist())
    if not rows:
        check_rows(column, name)
    return list(column)


def _is_column(array: "np.ndarray[Any, Any]", rows: bool) -> bool:
    """Whether an array ``[n, 1]`` holds sequences, as its first value tells; a text is none where `rows` are lists."""
    first = next((value for value in array.flat if not is_missing(value)), None)
    return hasattr(first, "__len__") and not (rows and isinstance(first, str))


def check_rows(array: "np.ndarray[Any, Any]", name: str) -> None:
    """Raises `DataError` for an array ``[n, m]`` that is a table of different columns, since those need names.

    >>> check_rows(np.array([["a", "dog"], ["the", "cat"]]), "X")
    """
    if array.ndim != 2 or array.dtype.kind not in "UTO" or array.shape[1] < 2:
        return
    kinds = [{isinstance(value, str) for value in column if not is_missing(value)} for column in array.T]
    texts = sum(len(value.split()) > 1 for value in array.flat if isinstance(value, str))
    if {True} in kinds and {False} in kinds:
        what = "columns of texts beside columns of others"
    elif 2 * texts > array.size:
        what = f"texts of several words in {array.shape[1]} columns"
    else:
        return
    raise DataError(f"{name} is an array of {what}. Pass a frame, or a dict of columns, so that they have names.")


#: What needs no second look as an element of a column.
_PLAIN = frozenset({str, int, float, bool, type(None), bytes, list, tuple, dict})


def _elements(values: list[Any], name: str) -> list[Any]:
    """The values of a column: arrays of no dimension as numbers, and whatever has a length and an order as lists."""
    if _PLAIN.issuperset(map(type, values)):
        return values
    return [_element(value, i, name) for i, value in enumerate(values)]


def _element(value: Any, i: int, name: str) -> Any:
    if isinstance(value, np.ndarray | Tensor):
        return value.item() if value.ndim == 0 and value is not np.ma.masked else value
    if isinstance(value, str | bytes | bytearray | list | tuple | Mapping):
        return value
    if is_unordered(value):
        raise DataError(f"{name}: sequence {i} is a {_type(value)}, which has no order. Give a list in its place.")
    for way in ("as_py", "to_pylist"):  # of Arrow
        if hasattr(value, way) and not hasattr(value, "column_names"):
            return getattr(value, way)()
    if isinstance(value, memoryview):
        return np.asarray(value)
    ordered = hasattr(value, "__len__") and (hasattr(value, "__iter__") or hasattr(value, "__getitem__"))
    known = hasattr(value, "__array__") or hasattr(value, "to_list") or hasattr(value, "columns")
    return list(value) if ordered and not known and not isinstance(value, Ragged | type) else value


def is_frame(column: Any, name: str = "X") -> bool:
    """Whether it is a table in memory that narwhals knows (pandas, polars, Arrow ...).

    Raises `DataError` for one that cannot be read: a lazy frame, or one with two columns of one name.

    >>> is_frame([1, 2])
    False
    """
    try:
        native: Any = nw.from_native(column, pass_through=True)
    except NarwhalsError as error:
        raise DataError(f"{name} is a frame that cannot be read. {' '.join(str(error).split())}") from error
    if isinstance(native, nw.LazyFrame):
        raise DataError("a lazy frame holds no values yet. Collect it first: frame.collect().")
    return isinstance(native, nw.DataFrame)


def of_categories(column: Any) -> bool:
    """Whether a column has a type of categories: pandas' category, polars' Categorical and Enum, Arrow's dictionary.

    >>> of_categories(["a", "b"])
    False
    """
    kind = getattr(column, "dtype", getattr(column, "type", None))
    return str(kind).lower().startswith(("category", "categorical", "enum", "dictionary"))


def of_lengths(values: "np.ndarray[Any, Any]", lengths: "np.ndarray[Any, Any]") -> Ragged:
    """Steps that lie sequence after sequence, and the length of each, as a `Ragged`.

    >>> of_lengths(np.array([7, 8, 9]), np.array([2, 0, 1])).lengths
    tensor([2, 0, 1])
    """
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(torch.from_numpy(values), torch.from_numpy(offsets))


def is_missing(value: Any) -> bool:
    """None, NaN, pandas.NA or NaT.

    >>> is_missing(float("nan")), is_missing("")
    (True, False)
    """
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def shown(value: Any, limit: int = 40) -> str:
    """A value for an error message: its repr, cut when long.

    >>> shown("a" * 100, 10)
    "'aaaaaa..."
    """
    try:
        text = " ".join(repr(value[:limit] if isinstance(value, str | bytes) else value).split())
    except ValueError:  # a whole number of thousands of digits
        return f"a whole number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def seen(value: Any) -> str:
    """What a value is, for an error message.

    >>> seen(None), seen({}), seen(2.5)
    ('None (missing)', 'a dict, {}', 'a number, 2.5')
    """
    if is_missing(value):
        return f"{shown(value)} (missing)"
    if isinstance(value, bool | int | float | complex | np.number):
        return f"a number, {shown(value.item() if isinstance(value, np.number) else value)}"
    return f"a {_type(value)}, {shown(value)}"


def check_whole(text: str, i: int, name: str) -> None:
    """Raises ``DataError`` for a text with half of a surrogate pair in it, which no file can hold."""
    check_pairs(text, f"{name}: sequence {i}")


def check_pairs(text: str, place: str) -> None:
    """The same for a text at any `place`, which messages begin with."""
    if (at := broken_at(text)) is not None:
        raise DataError(
            f"{place}, character {at} is {shown(text[at])}, one half of a surrogate pair. The text was decoded "
            "wrongly; read it again as UTF-8, or drop such characters."
        )


def _type(value: Any) -> str:
    if isinstance(value, ModuleType):
        return "module"
    return {"str": "text", "ndarray": "NumPy array", "Series": "column"}.get(type(value).__name__, type(value).__name__)


def vocabulary_problems(max_words: Any, min_count: Any) -> list[str]:
    """What is wrong with the two limits of a vocabulary, as sentences without a full stop.

    >>> vocabulary_problems(0, None)
    ['max_words = 0 must be a whole number of at least 1']
    """
    problems = []
    if not is_whole(max_words):
        problems.append(f"max_words = {shown(max_words)} must be a whole number of at least 1")
    if min_count is not None and not is_whole(min_count):
        problems.append(f"min_count = {shown(min_count)} must be a whole number of at least 1, or None")
    return problems


def least_count(min_count: int | None, steps: int) -> int:
    """The count from which a symbol is kept; None is 1 in a small training set and 2 from 100 000 steps.

    In a small set a word seen once may be all there is; in a large one half of all words are seen once, and their
    vectors cannot be learnt.
    """
    if min_count is not None:
        return min_count
    return 2 if steps >= 100_000 else 1


def warn_if_unknown(ids: "np.ndarray[Any, Any]", name: str, advice: str = "") -> None:
    """Warns where most symbols were not among those of training: the answers then rest on little.

    >>> warn_if_unknown(np.array([0, 1, 2]), "X")
    """
    unknown = int((ids == 0).sum())
    if 2 * unknown > len(ids):
        warnings.warn(
            f"{name}: {grouped(unknown)} of {grouped(len(ids))} symbols are unknown, since the training part has none "
            f"of them. The answers rest on the others alone.{advice}",
            ElmanWarning,
            stacklevel=3,
        )


def is_whole(value: Any, least: int = 1, most: int = LARGEST) -> bool:
    """Whether it is a whole number of at least `least`, and one that 64 bits hold; True and False are none.

    >>> is_whole(1), is_whole(0), is_whole(True), is_whole(1.0)
    (True, False, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(least <= value <= most)


def is_among(value: Any, words: Collection[str]) -> bool:
    """Whether it is a text and one of these.

    >>> is_among("gru", {"gru": 1}), is_among(["gru"], {"gru": 1})
    (True, False)
    """
    return isinstance(value, str) and value in words


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether it is a finite number from `least` to `most`; True and False are none.

    >>> is_number(1.5), is_number(-1, 0), is_number(10**400), is_number("1")
    (True, False, False, False)
    """
    if isinstance(value, bool | np.bool_ | complex | np.complexfloating) or not isinstance(
        value, int | float | np.number
    ):
        return False
    try:
        return math.isfinite(float(value)) and bool(least <= value <= most)
    except OverflowError:  # a whole number beyond every float
        return False


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


def grouped(n: int) -> str:
    """A count with thin groups: 30 000.

    >>> grouped(30000)
    '30 000'
    """
    return f"{n:,}".replace(",", " ")
