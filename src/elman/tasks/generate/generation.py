"""Sampling from a language model, symbol by symbol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.decoding.repeats import check_no_repeat, repeating
from elman.decoding.sampling import Sampling
from elman.errors import OptionError
from elman.features.base import Written
from elman.features.unicode import composed
from elman.lm.interpolation import InterpolatedLM
from elman.tasks.base.network import finite
from elman.tasks.generate.constraints import END
from elman.tasks.generate.network import LanguageNetwork
from elman.tasks.generate.stops import Stops
from elman.validation.messages import shown
from elman.validation.options import LARGEST, is_whole

_Floats = NDArray[np.float64]
#: The allowed next symbols, from the symbols so far and all symbols; None: any.
Form = Callable[[Sequence[str], Sequence[str]], "Collection[str] | None"]


class _Rules(NamedTuple):
    """How the next symbol is drawn."""

    how: Sampling
    no_repeat: int
    stops: Collection[str]  # symbols
    form: Form | None
    may_end: Callable[[], bool]


class Writer:
    """Samples from a language model: its feature, its network, its n-grams, and whether its documents end."""

    def __init__(self, feature: Written, network: LanguageNetwork, mixture: InterpolatedLM | None, ends: bool) -> None:
        self.feature, self.network, self.mixture, self.ends = feature, network, mixture, ends

    def write(
        self,
        prompt: Any = "",
        *,
        length: int = 200,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition: float = 1.0,
        no_repeat: int = 0,
        min_length: int = 0,
        stop: str | Collection[str] = (),
        form: Form | None = None,
        seed: int | None = None,
    ) -> Iterator[Any]:
        """Yields the symbols or chords after `prompt` as they are sampled, at most `length`.

        `temperature`, `top_k`, `top_p`, `repetition`: see `elman.decoding.sampling.Sampling`. `no_repeat` = n: no n
        symbols in a row occur twice, those of the prompt included; generation ends where every symbol would repeat.
        Generation ends at the end of a document and before `stop`, a symbol or a text of several, or a list of them;
        not before `min_length` symbols or chords, unless a form allows nothing but the end. `form(symbols so far, all
        symbols)` gives the allowed next symbols, "" being the end (`elman.tasks.generate.constraints.Verse`); None:
        any. `seed` seeds the sampling.
        Symbols of the prompt outside the vocabulary are read as the unknown one, which is never generated. Chords are
        lists of notes, lowest first, none twice; a form sees them as their notes from the highest down, and "|"
        (`elman.features.chords`).

        Raises ``OptionError`` for invalid arguments, and where a form allows no symbol.
        """
        how = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, repetition=repetition)
        if not is_whole(length, 0):
            raise OptionError(f"length = {shown(length)} must be a whole number of at least 0")
        if not (form is None or callable(form)):
            raise OptionError(f"form = {shown(form)} must be a function of the symbols so far and of all, or None")
        if seed is not None and not is_whole(seed, 0):
            raise OptionError(f"seed = {shown(seed)} must be a whole number from 0 to {LARGEST}, or None")
        if problems := check_no_repeat(no_repeat):
            raise OptionError.of(problems)
        if not is_whole(min_length, 0) or min_length > length:
            raise OptionError(
                f"min_length = {shown(min_length)} must be a whole number from 0 to length = {shown(length)}"
            )
        written = self.feature.transform([self.feature.check_prompt(prompt)], name="prompt").values.tolist()
        stops = Stops.of(stop, self.feature)
        made = 0

        def counted(pieces: Iterable[Any]) -> Iterator[Any]:
            nonlocal made
            for piece in pieces:
                made += 1
                yield piece

        rules = _Rules(how, int(no_repeat), stops.symbols, self._in_grammar(form), lambda: made >= min_length)
        codes = self._codes(written, rules, np.random.default_rng(seed))
        return stops.cut(islice(counted(self.feature.spelled(codes, after=prompt)), length), int(min_length))

    @torch.no_grad()
    def _codes(self, written: list[int], rules: _Rules, random: np.random.Generator) -> Iterator[int]:
        """The codes of the sampled symbols, until the end of the document if it has one."""
        network, symbols = self.network, symbols_of(self.feature)
        place = {symbol: code for code, symbol in enumerate(symbols)}
        ends = [len(symbols) - 1, *(place[symbol] for symbol in rules.stops)]
        read_so_far = [len(symbols) - 1, *written]
        read = network.reader(read_so_far[:-1])
        after = read(read_so_far[-1])
        while True:
            scores = self._scores(after, read_so_far)
            scores[0] = -np.inf  # the unknown symbol
            if not self.ends and rules.form is None:
                scores[-1] = -np.inf
            if rules.form is not None:
                scores = _formed(scores, rules.form([symbols[code] for code in written], symbols), place)
            scores = _limited(scores, written, ends, rules)
            code = rules.how.draw(scores, random, written) if np.isfinite(scores).any() else ends[0]
            if code in ends:
                return
            written.append(code)
            read_so_far.append(code)
            yield code
            after = read(code)

    def _scores(self, after: Tensor, before: list[int]) -> _Floats:
        """The scores of the next symbol: the network's, or of its interpolation with n-grams on the same scale."""
        scores = finite(after.double())
        if self.mixture is None:
            return scores.numpy()
        whole = scores.logsumexp(0)
        mixed: _Floats = (self.mixture.logs((scores - whole)[None], [before])[0] + whole).numpy()
        return mixed

    def _in_grammar(self, form: Form | None) -> Form | None:
        """The constraints of a form and of the symbols themselves, such as the order of the notes in a chord."""
        if not self.feature.has_grammar:
            return form

        def both(written: Sequence[str], symbols: Sequence[str]) -> Collection[str]:
            allowed = self.feature.next_symbols(written, symbols, self.ends or form is not None)
            demanded = None if form is None else form(written, symbols)
            return allowed if demanded is None else set(allowed) & set(demanded)

        return both


def symbols_of(feature: Written) -> list[str]:
    """The symbol of each code: those of the feature, and last the end."""
    return [*feature.words(range(int(feature.symbols or 0))), END]


def _formed(scores: _Floats, allowed: Any, place: Mapping[str, int]) -> _Floats:
    """The scores with the symbols that a form forbids at -inf."""
    if allowed is None:
        return scores
    if not isinstance(allowed, Iterable) or not all(isinstance(symbol, str) for symbol in allowed):
        raise OptionError(f"form returned {shown(allowed)}. It must return the allowed next symbols, or None.")
    codes = [place[symbol] for symbol in map(composed, allowed) if symbol in place]
    made = np.full_like(scores, -np.inf)
    made[codes] = scores[codes]
    if not np.isfinite(made).any():
        few = ", ".join(map(repr, list(allowed)[:8]))
        found = f"only {few}, which are not in the vocabulary" if few else "no symbol"
        raise OptionError(f"form allows {found}. Return symbols of the vocabulary, '' for the end, or None for any.")
    return made


def _limited(scores: _Floats, written: Sequence[int], ends: Sequence[int], rules: _Rules) -> _Floats:
    """The scores with repeats, and ends that come too early, at -inf; the end only where another symbol is left."""
    if rules.no_repeat:
        scores[repeating(np.array([written], dtype=np.int64), rules.no_repeat)[1]] = -np.inf
    if rules.may_end():
        return scores
    going_on = scores.copy()
    going_on[list(ends)] = -np.inf
    return going_on if np.isfinite(going_on).any() else scores
