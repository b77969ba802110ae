"""Streaming of a language model: the distribution of the next symbol after each chunk of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elman.features import Feature
from elman.lm.interpolation import InterpolatedLM
from elman.ragged import Ragged
from elman.tasks.base.network import finite
from elman.tasks.base.session import counted, flat, nested
from elman.tasks.generate.network import LanguageNetwork

_SHOWN = 10  # symbols in an answer
_STEPS = 1 << 12  # steps read at a time: bounds the memory of a long chunk


class LMAnswer(NamedTuple):
    """The answer of a language model after the steps so far."""

    symbol: str  # the likeliest next
    probabilities: dict[str, float]  # of the ten likeliest
    nats: float  # -log p of all steps so far
    steps: int  # number of steps fed


class LMSession:
    """A language model one step at a time; `Session` keeps the state."""

    def __init__(
        self, feature: Feature, network: LanguageNetwork, symbols: Sequence[str], mixture: InterpolatedLM | None = None
    ) -> None:
        self.feature, self.network, self.symbols, self.mixture = feature, network, symbols, mixture
        self.start, self.boundary = self.network.encoder.initial_state(1), len(symbols) - 1

    def read(self, value: Any, state: dict[str, Tensor]) -> tuple[Ragged, dict[str, Tensor]]:
        """The steps that a caller feeds as one sequence, and the state after reading them."""
        steps = self.feature.step(value, name="steps")
        assert isinstance(steps, Tensor)
        return Ragged(steps, torch.tensor([0, len(steps)])), state

    def initial_state(self) -> dict[str, Tensor]:
        """The state after the boundary, before the first step."""
        whole = torch.zeros(1, dtype=torch.int64)
        begun = {"steps": whole, "nats": torch.zeros(1, dtype=torch.float64), "recent": whole[:0]}
        return self._after(torch.tensor([self.boundary]), [], begun | flat("encoder", self.start))[0] | begun

    def advance(self, steps: Ragged, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps."""
        nats = state["nats"].item()
        for piece in steps.values.split(_STEPS) if steps.steps else ():
            before = state["logs"]
            state, logs = self._after(piece, [self.boundary, *state["recent"].tolist()], state)
            for log in torch.cat([before, logs])[: len(piece)].gather(1, piece[:, None])[:, 0].tolist():
                nats -= log  # sequentially: the bits do not depend on the chunks
            state = state | {"steps": state["steps"] + len(piece)}
        return state | {"nats": torch.tensor([nats], dtype=torch.float64)}

    @torch.no_grad()
    def _after(self, codes: Tensor, past: list[int], state: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """The state after more symbols, and log p after each. `past`: those before, as far as the n-grams read them."""
        x = Ragged(codes, torch.tensor([0, len(codes)]))
        scores, after = self.network(x, nested("encoder", state, self.start))
        made = torch.log_softmax(finite(scores.double()), dim=1)
        recent = state["recent"]
        if self.mixture is not None:
            symbols, longest = [*past, *codes.tolist()], self.mixture.ngrams.order - 1
            ends = range(len(past) + 1, len(symbols) + 1)
            made = self.mixture.logs(made, [symbols[max(0, end - longest) : end] for end in ends])
            recent = torch.cat([recent, codes])
            recent = recent[max(0, len(recent) - longest) :].clone()
        fields = {"steps": state["steps"], "nats": state["nats"], "logs": made[-1:].clone(), "recent": recent}
        return fields | flat("encoder", after), made

    def answer(self, state: dict[str, Tensor]) -> LMAnswer:
        """The likeliest next symbols."""
        probabilities = state["logs"][0].exp()
        top = probabilities.topk(min(_SHOWN, len(probabilities)))
        named = {self.symbols[code]: p for code, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)}
        return LMAnswer(next(iter(named)), named, float(state["nats"][0]), counted(state))
