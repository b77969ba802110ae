"""Shallow fusion: language models in beam search, n-grams of the transcripts or a fitted Generator.

    language(l) = weight log p(l) + bonus words(l)

Character n-grams score every symbol; word n-grams score every complete word. Words end at spaces; in a vocabulary
without a space every symbol is a word.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from elman.decoding.ctc import Prefix
from elman.errors import ModelFileError, OptionError, option
from elman.io.model_folder import under
from elman.lm.kneser_ney import KneserNey
from elman.ragged import Ragged
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary

ORDERS = {"characters": 6, "words": 3}  # default n-gram orders
_KEPT = 100_000  # cached scores


class _SymbolScorer(ABC):
    """The score of each symbol, weight log p, and a bonus for each complete word."""

    def __init__(self, script: TranscriptVocabulary, weight: float, bonus: float) -> None:
        self.script, self.weight, self.bonus = script, weight, bonus

    def after(self, prefix: Prefix, symbol: int) -> float:
        """The score of a symbol after a prefix."""
        ends = self.script.space is None or (symbol == self.script.space and self._in_word(prefix))
        return self._log_p(prefix, symbol) + (self.bonus if ends else 0.0)

    def end(self, prefix: Prefix) -> float:
        """The score of the end after a prefix."""
        return self._log_p(prefix, 0) + (self.bonus if self._in_word(prefix) else 0.0)

    def _in_word(self, prefix: Prefix) -> bool:
        """Whether the last symbol is of a word that a space ends; never without a space in the vocabulary."""
        return self.script.space is not None and bool(prefix) and prefix[-1] != self.script.space

    @abstractmethod
    def _log_p(self, before: Prefix, symbol: int) -> float:
        """weight log p of a symbol after others; 0: the end."""


class NgramScorer(_SymbolScorer):
    """Kneser-Ney n-grams of the training transcripts (`elman.lm.kneser_ney`), over symbols or over words.

    >>> script = TranscriptVocabulary.of(["GO ON", "GO UP"], "characters")
    >>> texts = [script.codes(text) for text in ("GO ON", "GO UP")]
    >>> phrases = NgramScorer(script, "words", 2, weight=1.0, bonus=0.0).fit(texts)
    >>> go, to = (tuple(script.codes(word)) for word in ("GO", "NO"))
    >>> phrases.after(go, script.space) > phrases.after(to, script.space)
    True
    """

    def __init__(self, script: TranscriptVocabulary, over: str, order: int, weight: float, bonus: float) -> None:
        super().__init__(script, weight, bonus)
        self.over, self.order = over if script.space is not None else "characters", order
        self.words: dict[Prefix, int] = {}
        self.model = KneserNey(order, 2)
        self.known: dict[tuple[Prefix, int], float] = {}

    def fit(self, codes: Sequence[Sequence[int]]) -> Self:
        """Counts the n-grams of transcripts."""
        if self.over == "words":
            spelled = sorted({word for one in codes for word in self._cut(tuple(one))})
            self.words = {word: i for i, word in enumerate(spelled, start=1)}
            codes = [[self.words[word] for word in self._cut(tuple(one))] for one in codes]
        self.model = KneserNey(self.order, self._size()).fit([[0, *one, 0] for one in codes])
        return self

    def weigh(self, weight: float, bonus: float) -> None:
        """Sets weight and word bonus."""
        if (weight, bonus) != (self.weight, self.bonus):
            self.weight, self.bonus = weight, bonus
            self.known.clear()

    def _size(self) -> int:
        """The number of symbols: the boundary, the known ones, and for words the unknown one."""
        return len(self.words) + 2 if self.over == "words" else len(self.script.symbols) + 1

    def _cut(self, codes: Prefix) -> list[Prefix]:
        """The words of a transcript."""
        made: list[list[int]] = [[]]
        for code in codes:
            made[-1].append(code) if code != self.script.space else made.append([])
        return [tuple(word) for word in made if word]

    def after(self, prefix: Prefix, symbol: int) -> float:
        """The score of a symbol after a prefix."""
        if self.over == "characters":
            return super().after(prefix, symbol)
        return self._word(prefix) if symbol == self.script.space and self._in_word(prefix) else 0.0

    def end(self, prefix: Prefix) -> float:
        """The score of the end after a prefix."""
        if self.over == "characters":
            return super().end(prefix)
        words = tuple(self._number(word) for word in self._cut(prefix))
        return (self._word(prefix) if self._in_word(prefix) else 0.0) + self._log_p(words, 0)

    def _word(self, prefix: Prefix) -> float:
        """The score of the last word of a prefix, which is complete."""
        *before, last = (self._number(word) for word in self._cut(prefix))
        return self._log_p(tuple(before), last) + self.bonus

    def _number(self, word: Prefix) -> int:
        return self.words.get(word, len(self.words) + 1)

    def _log_p(self, before: Prefix, symbol: int) -> float:
        context = (0, *before)[-(self.order - 1) :] if self.order > 1 else ()
        key = (context, symbol)
        if key not in self.known:
            if len(self.known) >= _KEPT:
                self.known.clear()
            self.known[key] = self.weight * math.log(self.model.probability(context, symbol))
        return self.known[key]

    # ---- on disk

    def tensors(self) -> dict[str, Tensor]:
        """The counts of the n-grams of each length, and the words."""
        found = {f"grams.{name}": tensor for name, tensor in self.model.tensors().items()}
        spelled = [[len(word), *word] for word in self.words]
        return found | {"words": torch.tensor([n for word in spelled for n in word], dtype=torch.int64)}

    def restore(self, tensors: Mapping[str, Tensor], folder: Any) -> Self:
        """The inverse of `tensors`. Raises ``ModelFileError`` for invalid counts."""
        try:
            self.words = self._spelled(tensors["words"])
        except (KeyError, ValueError, IndexError) as error:
            raise ModelFileError(f"{folder} has invalid n-grams ({error}). Save the model again.") from None
        self.model = KneserNey.restore(self.order, self._size(), under("grams.", tensors))
        return self

    def _spelled(self, flat: Tensor) -> dict[Prefix, int]:
        if flat.dtype != torch.int64 or flat.dim() != 1:
            raise ValueError("words")
        numbers, words, at = flat.tolist(), dict[Prefix, int](), 0
        while at < len(numbers):
            length = numbers[at]
            word = tuple(numbers[at + 1 : at + 1 + length]) if length >= 1 else ()
            known = all(1 <= n <= len(self.script.symbols) for n in word)
            if not word or len(word) < length or not known or word in words:
                raise ValueError("words")
            words[word] = len(words) + 1
            at += 1 + length
        return words


class GeneratorScorer(_SymbolScorer):
    """A fitted Generator; symbols of the transcripts that it lacks are read as the unknown one."""

    def __init__(self, generator: Any, script: TranscriptVocabulary, weight: float, bonus: float) -> None:
        super().__init__(script, weight, bonus)
        self.session = generator.stream()
        place = {symbol: code for code, symbol in enumerate(self.session.stepper.symbols)}
        self.codes = [len(place) - 1, *(place.get(symbol, 0) for symbol in script.symbols)]
        if not any(self.codes[1:]):
            raise OptionError(
                f"language has none of the symbols of the transcripts, such as {script.symbols[0]!r}. Train the "
                "Generator with ",
                option("unit", "characters"),
                ", or on lists of what the transcripts' items are.",
            )
        self.states: dict[Prefix, dict[str, Tensor]] = {(): self.session.state}

    def _log_p(self, before: Prefix, symbol: int) -> float:
        return self.weight * float(self._state(before)["logs"][0][self.codes[symbol]])

    def _state(self, prefix: Prefix) -> dict[str, Tensor]:
        if prefix not in self.states:
            if len(self.states) >= _KEPT:
                self.states = {(): self.states[()]}
            step = Ragged(torch.tensor([self.codes[prefix[-1]]]), torch.tensor([0, 1]))
            self.states[prefix] = self.session.stepper.advance(step, self._state(prefix[:-1]))
        return self.states[prefix]
