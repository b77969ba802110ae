"""Words as steps, with word, character, affix and shape embeddings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from elman.errors import DataError, ModelFileError, Place, Problem
from elman.features.base import Feature, checked, of_lengths, saved_list
from elman.features.lists import json_list
from elman.features.tokens import Tokens, token_sequences
from elman.features.unicode import canonical
from elman.features.vocabulary import VocabularyOptions
from elman.features.word_chars import WordsWithChars
from elman.features.word_shape import FILE as LOOKS
from elman.features.word_shape import KINDS, WordShapeFeatures, kind
from elman.layers.dropout import StepDropout
from elman.layers.embedding import Embedding
from elman.layers.encoder import Encoder
from elman.ragged import Ragged
from elman.validation.messages import grouped, shown
from elman.validation.options import SIZE, fraction, is_whole, require

FILE = "characters.json"
CHARACTER_WIDTH = 32  # size of the character embeddings


@dataclass(kw_only=True, eq=False, repr=False)
class LetterOptions:
    """Data."""

    characters: int = 64  # units per direction of the LSTM over the characters of a word; 0: none
    word_shape: int = 16  # size of the embeddings of prefixes, suffixes and shape of a word; 0: none


@dataclass(kw_only=True)
class Words(LetterOptions, VocabularyOptions, Feature):
    """Lists of words as steps: each a symbol of a vocabulary, as in `Tokens`, and its characters.

    Words are composed (NFC), without invisible characters such as soft hyphens. The vocabulary is that of `Tokens`,
    lower-cased with `lower`; characters keep their case. Unknown characters are character 0, words are truncated after
    `longest` characters. Affixes and shapes: `elman.features.word_shape`. Raises `DataError` and `OptionError` as
    `Tokens` does; numbers are read as their digits.

    >>> words = Words().fit([["The", "cat"], ["the", "dog", "sat"]])
    >>> found = words.transform([["the", "cats"], []])
    >>> found.to_list(), [spelling.tolist() for spelling in found.spellings]
    ([tensor([1, 0]), tensor([], dtype=torch.int64)], [[10, 7, 5], [3, 2, 10, 9]])
    """

    kind: ClassVar[str] = "words"
    is_symbolic: ClassVar[bool] = True
    is_column: ClassVar[bool] = True
    reads_lists: ClassVar[bool] = True
    reads_letters: ClassVar[bool] = True

    lower: bool = True  # lower-case words in the vocabulary, not their characters
    longest: int = 40  # maximum number of characters of a word
    spelling_dropout: float = 0.25  # dropout rate of the character, affix and shape features

    def problems(self) -> list[Problem]:
        """What is wrong with the options that `Tokens` does not have."""
        found = []
        for name, least in (("characters", 0), ("longest", 1), ("word_shape", 0)):
            good = is_whole(getattr(self, name), least, SIZE)
            found += require(good, self, name, f"must be a whole number from {least} to {SIZE}")
        return found + fraction(self, "spelling_dropout")

    def read(self, column: Any, name: str, fitted: bool) -> list[list[Any]]:
        """The normalised words of each sequence; a word of invisible characters alone is unchanged."""
        return [
            [(canonical(word) or word) if isinstance(word, str) else word for word in words]
            for words in token_sequences(column, name, False)
        ]

    def learn(self, sequences: list[list[Any]], name: str) -> WordsWithChars:
        """Learns the vocabulary and the characters."""
        tokens = Tokens(max_words=self.max_words, min_count=self.min_count, lower=self.lower)
        self.tokens_ = tokens.fit(sequences, name=name)
        words = sorted(set(map(str, chain.from_iterable(sequences))))
        self._know(sorted(set(chain.from_iterable(words))), WordShapeFeatures.of(words if self.word_shape else []))
        return self.encode(sequences, name)

    def encode(self, sequences: list[list[Any]], name: str) -> WordsWithChars:
        """The words of each sequence: int64 ids `[steps]`, and the characters."""
        words = self.tokens_.numbered(sequences, name=name)  # no warning: unknown words are read by their characters
        places: dict[str, int] = {}
        place = [places.setdefault(str(word), len(places)) for word in chain.from_iterable(sequences)]
        distinct = list(places)
        looks = self.looks_.numbers(distinct) if self.word_shape else None
        return WordsWithChars(words, torch.tensor(place, dtype=torch.int64), self._spellings(distinct), looks)

    def step(self, value: Any, *, name: str = "X") -> Ragged:
        """The steps of one word or of a list of words, as one sequence."""
        one = isinstance(value, str | int | np.integer) or value is None
        return self.transform([[value] if one else value], name=name)

    def parse_line(self, line: str, place: Place) -> Any:
        """A word, or a JSON list of words."""
        return json_list(line, place) if line.startswith("[") else line.strip()

    def split_units(self, column: Any, *, name: str = "X") -> list[list[str]]:
        """The words as texts."""
        return [[str(word) for word in words] for words in token_sequences(column, name, False)]

    def words(self, ids: Sequence[int] | Tensor) -> list[str]:
        """The word of each id. Raises `DataError` for an invalid id."""
        return self.tokens_.words(ids)

    def embedded_words(self) -> list[str]:
        """The words, from 1 on."""
        return self.tokens_.embedded_words()

    def start_from(self, module: "WordReader", rows: Mapping[str, Any]) -> None:
        """Starts the word embeddings from word vectors."""
        self.tokens_.start_from(module.words, rows)

    def module(self, width: int, dropout: float = 0.0) -> "WordReader":
        """A `WordReader` with word embeddings of `width` numbers and word dropout in training."""
        vectors = Embedding(int(self.symbols or 0), width, dropout)
        sizes = int(self.characters), self.looks_.symbols if self.word_shape else 0, int(self.word_shape)
        return WordReader(vectors, self.letters_, *sizes, float(self.spelling_dropout))

    def learnt(self) -> dict[str, Any]:
        """The number of distinct words, of characters, and of affix and shape features in the training data."""
        return self.tokens_.learnt() | {"letters": len(self.letters_), "known_looks": self.looks_.symbols}

    def files(self) -> dict[str, str]:
        """`vocabulary.json` and `characters.json`: words and characters in the order of their ids, from 1."""
        return self.tokens_.files() | {FILE: json.dumps(self.letters_), LOOKS: self.looks_.file()}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes vocabulary, characters and shape features. Raises `ModelFileError` for invalid contents."""
        self.tokens_ = Tokens.restore(config, tensors, files)
        letters, looks = (checked(config, name, int, self.kind) for name in ("letters", "known_looks"))
        found = saved_list(files, FILE, letters)
        if bad := [letter for letter in found if not isinstance(letter, str) or len(letter) != 1]:
            raise ModelFileError(f"{FILE} has {shown(bad[0])}, which is no character.")
        if len(set(found)) < letters:
            raise ModelFileError(f"{FILE} has the same character twice. Save the model again.")
        self._know(found, WordShapeFeatures.restored(saved_list(files, LOOKS, KINDS), looks))

    def describe(self) -> str:
        """One line: `words, 16,654 of 19,672 kept, and 112 characters`."""
        return (
            f"words, {self.tokens_.describe().removeprefix('tokens, ')}, and {grouped(len(self.letters_))} characters"
        )

    # ---- inside

    def _know(self, letters: list[str], looks: WordShapeFeatures) -> None:
        self.letters_, self.looks_ = letters, looks
        self.letter_ids_ = {letter: i for i, letter in enumerate(letters, start=1)}
        self.symbols = self.tokens_.symbols

    def _spellings(self, words: list[str]) -> Ragged:
        find, longest = self.letter_ids_.get, int(self.longest)
        cut = [word[:longest] for word in words]
        values = np.fromiter((find(letter, 0) for letter in chain.from_iterable(cut)), dtype=np.int64)
        return of_lengths(values, np.array([len(word) for word in cut], dtype=np.int64))


class WordReader(nn.Module):
    """Word embeddings, the last states of an LSTM over characters, and affix and shape embeddings, concatenated.

    ```
    c_i = L[letter i] + S[its small letter] + K[what it is]
    e_t = [E[w_t], forward h_n, backward h_1, V[look 1], ..., V[look 8]]      h of the LSTM over c_1 ... c_n of word t
    ```

    Each distinct spelling of a batch is computed once, with dropout in training. Sources:
    Ling et al., "Finding function in form", 2015; Lample et al., "Neural architectures for named entity recognition",
    2016; V: `elman.features.word_shape`.

    >>> words = Words(characters=4, word_shape=2).fit([["a", "cat"]])
    >>> words.module(8)(words.transform([["a", "cat", "sat"]])).values.shape
    torch.Size([3, 32])
    """

    def __init__(
        self,
        words: Embedding,
        letters: Sequence[str],
        characters: int,
        known: int,
        word_shape: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.words = words
        self.letters = LetterVectors(letters, CHARACTER_WIDTH) if characters else None
        self.encoder = Encoder(CHARACTER_WIDTH, characters, "lstm", bidirectional=True) if characters else None
        self.word_shape = Embedding(known, word_shape) if word_shape else None
        self.dropout = StepDropout(dropout)
        self.outputs = words.outputs + 2 * characters + KINDS * word_shape

    def forward(self, x: Ragged) -> Ragged:
        """Words to vectors `[steps, outputs]`."""
        words: Ragged = self.words(x)
        if self.letters is None and self.word_shape is None:
            return words
        if not isinstance(x, WordsWithChars):
            raise DataError("words are read with their characters: give what Words.transform returned.")
        spellings, looks, index = x.distinct()
        parts: list[Tensor] = []
        if self.letters is not None and self.encoder is not None:
            _, (after,) = self.encoder(self.letters(spellings))
            parts += [state.hidden for state in after]
        if self.word_shape is not None:
            parts.append(self.word_shape.step(looks).flatten(1))
        rows = Ragged(torch.cat(parts, dim=1), torch.tensor([0, len(looks)]))
        return x.with_values(torch.cat([words.values, self.dropout(rows).values[index]], dim=1))

    def nothing(self) -> Tensor:
        """The features of an unknown word without letters [outputs]."""
        parts = [self.words.weight[0]]
        if self.encoder is not None:
            parts.append(parts[0].new_zeros(self.encoder.outputs))
        if self.word_shape is not None:
            parts.append(self.word_shape.weight[0].repeat(KINDS))
        return torch.cat(parts).detach()


class LetterVectors(nn.Module):
    """Character embeddings, the sum of three: of the character, of its lower case, and of its class (`shape`)."""

    def __init__(self, letters: Sequence[str], width: int) -> None:
        super().__init__()
        small = {low: i for i, low in enumerate(sorted({letter.lower() for letter in letters}), start=1)}
        kinds = {"X": 1, "x": 2, "a": 3, "d": 4}
        places = [[i, small[letter.lower()], kinds.get(kind(letter), 5)] for i, letter in enumerate(letters, start=1)]
        self.places = torch.tensor([[0, 0, 0], *places], device="cpu")  # not a parameter: derived from the letters
        self.own, self.small = Embedding(len(letters) + 1, width), Embedding(len(small) + 1, width)
        self.kinds = Embedding(6, width)
        self.outputs = width

    def forward(self, x: Ragged) -> Ragged:
        """Letters `[steps]` to vectors `[steps, width]`."""
        own, small, kinds = self.places[x.values].unbind(1)
        return x.with_values(self.own.step(own) + self.small.step(small) + self.kinds.step(kinds))
