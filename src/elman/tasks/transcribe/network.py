"""The network of a transcriber, for whole sequences and streams."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from elman.decoding.ctc import BLANK, Prefixes
from elman.features import Columns, Feature
from elman.layers.augment import Augment
from elman.ragged import Ragged
from elman.tasks.base.network import Network, NetworkStepper, finite
from elman.tasks.base.resolve import Config
from elman.tasks.base.session import TranscribeAnswer, counted
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary


class CtcNetwork(Network):
    """Log probabilities of each symbol at every step after the convolutions."""

    def __init__(self, feature: Feature | Columns, outputs: int, config: Config, augment: Augment) -> None:
        super().__init__(feature, outputs, config, every_step=True)
        self.augment = augment

    def logs(self, x: Ragged) -> Ragged:
        """log p of each symbol: float64 [steps after the convolutions, symbols]."""
        y, _ = self.path.steps((self.augment(x),))
        return y.with_values(self.logs_of(y.values))

    def logs_of(self, rows: Tensor) -> Tensor:
        """The same from hidden states."""
        return torch.log_softmax(self.head(self.dropout(rows)).double(), dim=1)

    def nll(self, x: Ragged, targets: Ragged) -> Tensor:
        """-log p of each transcript [sequences]; 0 where speed perturbation left too few steps for it."""
        logs = self.logs(x)
        return nll(logs.with_values(logs.values.float()), targets)


def nll(logs: Ragged, targets: Ragged) -> Tensor:
    """-log p of transcripts summed over their paths [sequences], 0 where there is no path.

    >>> logs = Ragged.of([torch.full((2, 2), 0.5).log()])
    >>> nll(logs, Ragged.of([[1]])).exp().round(decimals=4)   # 11, 1_ and _1 of four paths
    tensor([1.3333])
    """
    lengths, segments = logs.lengths, logs.segments
    # torch.nn.functional.ctc_loss needs a padded tensor [longest, sequences, symbols].
    padded = logs.values.new_zeros(max([1, *lengths.tolist()]), len(lengths), logs.width)
    place = torch.arange(logs.steps) - logs.offsets[segments]
    padded = padded.index_put((place, segments), logs.values)
    options: dict[str, Any] = {"blank": BLANK, "reduction": "none", "zero_infinity": True}
    return functional.ctc_loss(padded, targets.values, lengths, targets.lengths, **options)


def ragged_of(codes: Sequence[Sequence[int]]) -> Ragged:
    """Codes of symbols as targets.

    >>> ragged_of([[1, 2], []]).lengths
    tensor([2, 0])
    """
    values = torch.tensor([code for own in codes for code in own], dtype=torch.int64)
    return Ragged(values, torch.tensor([0, *(len(own) for own in codes)]).cumsum(0))


class CtcStepper(NetworkStepper):
    """Streaming of a transcriber: the state holds the prefixes of the beam, or the greedy transcript."""

    def __init__(
        self,
        feature: Feature | Columns,
        network: CtcNetwork,
        script: TranscriptVocabulary,
        prefixes: Prefixes | None,
        static: Any = None,
    ) -> None:
        super().__init__(feature, network, static)
        self.ctc, self.script, self.prefixes = network, script, prefixes

    def _initial(self) -> dict[str, Tensor]:
        whole, real = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
        return {"symbols": whole, "sizes": whole, "scores": real, "last": torch.zeros(1, dtype=torch.int64)}

    def _after(self, y: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        scores = finite(self.ctc.logs_of(y).numpy(), infinite=True)
        if self.prefixes is not None:
            found = self._reached(state)
            found.advance(scores)
            return {
                "symbols": torch.tensor([symbol for prefix in found.reached for symbol in prefix], dtype=torch.int64),
                "sizes": torch.tensor([len(prefix) for prefix in found.reached]),
                "scores": torch.tensor(list(found.reached.values()), dtype=torch.float64).flatten(),
                "last": state["last"],
            }
        path = [int(state["last"][0]), *(scores.argmax(axis=1).tolist() if len(scores) else [])]
        new = [now for before, now in itertools.pairwise(path) if now not in (before, BLANK)]
        fields = {name: state[name] for name in ("sizes", "scores")}
        return fields | {
            "symbols": torch.cat([state["symbols"], torch.tensor(new).long()]),
            "last": torch.tensor(path[-1:]),
        }

    def _reached(self, state: Mapping[str, Tensor]) -> Prefixes:
        assert self.prefixes is not None
        found = Prefixes(self.prefixes.beam, self.prefixes.language)
        sizes = state["sizes"].tolist()
        if sizes:
            symbols, scores = state["symbols"].split(sizes), state["scores"].view(-1, 3).tolist()
            pairs = zip(symbols, scores, strict=True)
            found.reached = {tuple(one.tolist()): (own[0], own[1], own[2]) for one, own in pairs}
        return found

    def answer(self, state: dict[str, Tensor]) -> TranscribeAnswer:
        """The transcript so far."""
        symbols: Any = state["symbols"].tolist() if self.prefixes is None else self._reached(state).best()
        return TranscribeAnswer(self.script.written(symbols), counted(state))
