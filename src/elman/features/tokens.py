"""Lists of tokens as steps: pre-tokenised words, part-of-speech tags, nucleotides, event codes."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from elman.errors import DataError, ModelFileError, Place, Problem
from elman.features.base import ALPHABET, Written, checked, of_lengths, saved_list
from elman.features.lists import json_list, listed
from elman.features.vocabulary import VocabularyOptions, least_count, vocabulary_problems, warn_if_unknown
from elman.ragged import Ragged
from elman.validation.columns import is_missing
from elman.validation.messages import grouped, seen, shown
from elman.validation.plain_values import plain_value

FILE = "vocabulary.json"
_Token = str | int


@dataclass(kw_only=True)
class Tokens(VocabularyOptions, Written):
    """Lists of tokens as steps: each distinct str or int is one symbol; id 0 is the unknown symbol.

    `1` and `"1"` are different tokens. Raises `DataError` naming sequence and step for anything else; `OptionError`
    for invalid options. An empty list has zero steps.

    >>> tokens = Tokens().fit([["the", "cat"], ["the", "dog", "sat"]])
    >>> tokens.transform([["the", "sat"], [], ["cow"]]).to_list()
    [tensor([1, 4]), tensor([], dtype=torch.int64), tensor([0])]
    """

    kind: ClassVar[str] = "tokens"
    is_column: ClassVar[bool] = True
    is_vocabulary: ClassVar[bool] = True
    reads_lists: ClassVar[bool] = True

    lower: bool = False  # lower-case tokens that are str

    @property
    def is_alphabet(self) -> bool:
        """Whether all tokens are single letters, at most 200 of them."""
        letters = self.symbols is not None and self.symbols <= ALPHABET
        return letters and all(isinstance(token, str) and len(token) == 1 for token in self.vocabulary_)

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        return vocabulary_problems(self)

    def read(self, column: Any, name: str, fitted: bool) -> list[list[_Token]]:
        """The tokens of each sequence."""
        return token_sequences(column, name, self.lower)

    def learn(self, sequences: list[list[_Token]], name: str) -> Ragged:
        """Learns the vocabulary, ordered by count and then by token."""
        counts = Counter(chain.from_iterable(sequences))
        least = least_count(self.min_count, counts.total())
        ranked = sorted(counts.items(), key=lambda item: (-item[1], isinstance(item[0], str), item[0]))
        self._know([token for token, count in ranked[: self.max_words] if count >= least], len(counts))
        return self._numbered(sequences)

    def encode(self, sequences: list[list[_Token]], name: str) -> Ragged:
        """The symbols of each sequence, each from 0 to `symbols` - 1; a warning where most are unknown."""
        data = self._numbered(sequences)
        warn_if_unknown(data.values.numpy(), name)
        return data

    def numbered(self, column: Any, *, name: str = "X") -> Ragged:
        """`transform` without the warning where most symbols are unknown."""
        return self._numbered(self.read(column, name, fitted=True))

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The symbols `[steps]` of one token or of a list of tokens."""
        one = isinstance(value, str | int | np.integer) or is_missing(value)
        return self.numbered([[value] if one else value], name=name).values

    def split_units(self, column: Any, *, name: str = "X") -> list[list[str]]:
        """The tokens as texts."""
        return [[str(token) for token in tokens] for tokens in token_sequences(column, name, lower=False)]

    def word(self, symbol: int) -> str:
        """The text of a symbol."""
        return str(self.vocabulary_[symbol - 1])

    def spelled(self, ids: Iterable[int] | Tensor, after: Any = "") -> Iterator[_Token]:
        """The token of each symbol."""
        return (self.vocabulary_[int(i) - 1] for i in ids)

    def parse_line(self, line: str, place: Place) -> Any:
        """A token, or a JSON list of tokens."""
        return json_list(line, place) if line.startswith("[") else line.strip()

    def normalized(self, column: Any, *, name: str = "X") -> list[list[_Token]]:
        """The sequences as plain tokens, lower-cased with `lower`, for comparison with answers.

        >>> Tokens(lower=True).normalized([("A", 7)])
        [['a', 7]]
        """
        return token_sequences(column, name, self.lower)

    def learnt(self) -> dict[str, Any]:
        """The number of symbols, and of distinct tokens in the training data."""
        return {"symbols": len(self.vocabulary_) + 1, "distinct": self.distinct_}

    def files(self) -> dict[str, str]:
        """`vocabulary.json`: the tokens in the order of their ids, from 1."""
        return {FILE: json.dumps(self.vocabulary_)}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes the vocabulary. Raises `ModelFileError` for an invalid one."""
        symbols, distinct = (checked(config, key, int, self.kind) for key in ("symbols", "distinct"))
        vocabulary = saved_list(files, FILE, symbols - 1)
        if bad := [token for token in vocabulary if type(token) not in (str, int)]:
            raise ModelFileError(f"{FILE} has the token {shown(bad[0])}. A token is a str or an int.")
        if len(set(vocabulary)) != len(vocabulary):
            raise ModelFileError(f"{FILE} has the same token twice. Save the model again.")
        self._know(vocabulary, distinct)

    def describe(self) -> str:
        """One line: `tokens, 30,000 of 74,891 kept`."""
        return f"tokens, {grouped(len(self.vocabulary_))} of {grouped(self.distinct_)} kept"

    # ---- inside

    def _know(self, vocabulary: list[_Token], distinct: int) -> None:
        self.vocabulary_ = vocabulary
        self.distinct_ = distinct
        self.ids_ = {token: i for i, token in enumerate(vocabulary, start=1)}
        self.symbols = len(vocabulary) + 1

    def _numbered(self, sequences: list[list[_Token]]) -> Ragged:
        find = self.ids_.get
        values = np.fromiter((find(token, 0) for token in chain.from_iterable(sequences)), dtype=np.int64)
        return of_lengths(values, np.array([len(sequence) for sequence in sequences], dtype=np.int64))


def token_sequences(column: Any, name: str, lower: bool) -> list[list[_Token]]:
    """The tokens of every sequence, lower-case on demand.

    >>> token_sequences([["A", 7], []], "X", lower=True)
    [['a', 7], []]
    """
    return [_tokens(sequence, i, name, lower) for i, sequence in enumerate(listed(column, name, rows=True))]


def _tokens(sequence: Any, i: int, name: str, lower: bool) -> list[_Token]:
    """One sequence as a list of plain str and int."""
    tokens = _plain(sequence, i, name)
    kinds = set(map(type, tokens))
    if not kinds <= {str, int}:
        tokens = [_token(token, i, j, name) for j, token in enumerate(tokens)]
    return [token.lower() if isinstance(token, str) else token for token in tokens] if lower else tokens


def _plain(sequence: Any, i: int, name: str) -> list[Any]:
    if isinstance(sequence, str | bytes):
        raise DataError(
            f"is {seen(sequence)}. Tokens reads lists of tokens; for texts use Text.", at=Place(name, sequence=i)
        )
    if isinstance(sequence, list | tuple):
        return list(sequence)
    if isinstance(sequence, np.ndarray | Tensor) and sequence.ndim == 1:
        dates = (
            isinstance(sequence, np.ndarray) and sequence.dtype.kind in "mM"
        )  # tolist() would turn them into integers
        return list(sequence if dates else sequence.tolist())
    if hasattr(sequence, "to_list"):  # a pandas or polars column inside a column
        return list(sequence.to_list())
    if is_missing(sequence):
        raise DataError(f"is {seen(sequence)}. Drop it, or put an empty list in its place.", at=Place(name, sequence=i))
    raise DataError(f"is {seen(sequence)}. Expected a list of tokens.", at=Place(name, sequence=i))


def _token(token: Any, i: int, j: int, name: str) -> _Token:
    plain = plain_value(token)
    if isinstance(plain, str | int) and not isinstance(plain, bool):
        return plain
    advice = "Drop it, or write a token of its own." if is_missing(token) else "A token is a str or an int."
    raise DataError(f"is {seen(token)}. {advice}", at=Place(name, sequence=i, step=j))
