"""How a language model writes: symbol after symbol, each drawn from the chances of what may come next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.decoding.sampling import Sampling
from elman.errors import OptionError
from elman.features.base import Written
from elman.features.unicode import composed
from elman.lm.interpolation import InterpolatedLM
from elman.tasks.base.finite import finite
from elman.tasks.generate.constraints import END
from elman.tasks.generate.network import LanguageNetwork
from elman.validation.messages import shown
from elman.validation.options import is_whole
from elman.validation.plain_values import plain_text

__all__ = ["Form", "Writer", "symbols_of"]

_Floats = NDArray[np.float64]
#: Which symbols may come next: from the symbols of the text so far, and all there are; None: any.
Form = Callable[[Sequence[str], Sequence[str]], "Collection[str] | None"]


class Writer:
    """Writes with a language model: its feature, its network, its n-grams, and whether its documents end."""

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
        stop: str | Collection[str] = (),
        form: Form | None = None,
        seed: int | None = None,
    ) -> Iterator[Any]:
        """The symbols after `prompt`, or the chords, one after another as they are drawn: at most `length`.

        `temperature`, `top_k`, `top_p`, `repetition`: see `elman.decoding.sampling.Sampling`. It ends where the model
        ends a document, and before a symbol that is one of `stop`. `form(symbols so far, all symbols)` says which may
        come next, "" being the end (`elman.tasks.generate.constraints.Verse`); None: any. `seed` makes it
        repeatable. A symbol of the prompt that training never showed is read as the unknown one, which is never
        written. Chords are lists of notes, lowest first, none twice; a form sees them as their notes from the highest
        down, and "|" (`elman.features.chords`).

        Raises ``OptionError`` for what cannot be, and where a form leaves nothing that may come next.
        """
        how = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, repetition=repetition)
        if not is_whole(length, 0):
            raise OptionError(f"length = {shown(length)} must be a whole number of at least 0")
        if not (form is None or callable(form)):
            raise OptionError(f"form = {shown(form)} must be a function of the symbols so far and of all, or None")
        if seed is not None and not is_whole(seed, 0):
            raise OptionError(f"seed = {shown(seed)} must be a whole number of at least 0, or None")
        said, stops = self._ids(prompt), self._stops(stop)
        codes = self._codes(said, how, stops, self._in_grammar(form), np.random.default_rng(seed))
        return islice(self.feature.spelled(codes, after=prompt), length)

    @torch.no_grad()
    def _codes(
        self, said: list[int], how: Sampling, stop: Collection[str], form: Form | None, random: np.random.Generator
    ) -> Iterator[int]:
        """The codes of the symbols to come, without end or until the model says so."""
        network, symbols = self.network, symbols_of(self.feature)
        place = {symbol: code for code, symbol in enumerate(symbols)}
        read_so_far = [len(symbols) - 1, *said]
        read = network.reader(read_so_far[:-1])
        after = read(read_so_far[-1])
        while True:
            scores = self._scores(after, read_so_far)
            scores[0] = -np.inf  # the unknown symbol
            if not self.ends and form is None:
                scores[-1] = -np.inf
            if form is not None:
                scores = _formed(scores, form([symbols[code] for code in said], symbols), place)
            code = how.draw(scores, random, said)
            if code == len(symbols) - 1 or symbols[code] in stop:
                return
            said.append(code)
            read_so_far.append(code)
            yield code
            after = read(code)

    def _scores(self, after: Tensor, before: list[int]) -> _Floats:
        """The scores of what comes next: the network's, or of its mixture with n-grams, as large as the network's."""
        scores = finite(after.double())
        if self.mixture is None:
            return scores.numpy()
        whole = scores.logsumexp(0)
        mixed: _Floats = (self.mixture.logs((scores - whole)[None], [before])[0] + whole).numpy()
        return mixed

    def _in_grammar(self, form: Form | None) -> Form | None:
        """What a form demands, within what the symbols themselves allow, as the order of the notes in a chord."""
        if not self.feature.has_grammar:
            return form

        def both(said: Sequence[str], symbols: Sequence[str]) -> Collection[str]:
            allowed = self.feature.next_symbols(said, symbols, self.ends or form is not None)
            demanded = None if form is None else form(said, symbols)
            return allowed if demanded is None else set(allowed) & set(demanded)

        return both

    def _stops(self, stop: Any) -> set[str]:
        """The symbols before which a text ends."""
        given = [stop] if isinstance(stop, str) else stop
        if not isinstance(given, Collection) or not all(isinstance(one, str) for one in given):
            raise OptionError(f"stop = {shown(stop)} must be a symbol, or several in a list")
        given = [plain_text(one) for one in given]
        known = symbols_of(self.feature)[:-1]
        found = {one: self._stop(one, known) for one in given}
        if unknown := [one for one, symbol in found.items() if symbol is None]:
            other = f", or name one that training showed, such as {known[1]!r}" if len(known) > 1 else ""
            raise OptionError(
                f"stop = {shown(unknown[0])} is no symbol of this model: nothing would end there. Leave it out{other}."
            )
        return {symbol for symbol in found.values() if symbol is not None}

    def _stop(self, stop: str, known: Collection[str]) -> str | None:
        """The symbol that is meant: as it was given, or as the model reads it."""
        if stop in known:
            return stop
        read = self.feature.normalized_symbol(stop, "stop")
        return read if read in known else None

    def _ids(self, prompt: Any) -> list[int]:
        prompt = self.feature.check_prompt(prompt)
        found: list[int] = self.feature.transform([prompt], name="prompt").values.tolist()
        return found


def symbols_of(feature: Written) -> list[str]:
    """What each code stands for: the symbols of the feature, and last the end."""
    return [*feature.words(range(int(feature.symbols or 0))), END]


def _formed(scores: _Floats, allowed: Any, place: Mapping[str, int]) -> _Floats:
    """The scores of what a form allows."""
    if allowed is None:
        return scores
    if not isinstance(allowed, Iterable) or not all(isinstance(symbol, str) for symbol in allowed):
        raise OptionError(f"form returned {shown(allowed)}. It returns the symbols that may come next, or None.")
    codes = [place[symbol] for symbol in map(composed, allowed) if symbol in place]
    made = np.full_like(scores, -np.inf)
    made[codes] = scores[codes]
    if not np.isfinite(made).any():
        few = ", ".join(map(repr, list(allowed)[:8])) or "nothing"
        raise OptionError(f"form allows {few}, of which the model knows no symbol. Allow one that training showed.")
    return made
