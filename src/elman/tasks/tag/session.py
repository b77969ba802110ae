"""Streaming of a tagger: Viterbi scores and back-pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError
from elman.features import Columns, Feature
from elman.features.multi_input import MultiInput
from elman.layers.crf import TransitionConstraints
from elman.ragged import Ragged
from elman.tasks.base.network import NetworkStepper, finite
from elman.tasks.base.session import TagAnswer, counted
from elman.tasks.tag.network import TagNetwork


class TagStepper(NetworkStepper):
    """The labels of the steps so far; `network` has one member and is unidirectional."""

    def __init__(
        self,
        feature: Feature | Columns,
        network: TagNetwork,
        lowered: NDArray[np.float64],
        classes: Sequence[Any],
        rules: TransitionConstraints | None,
        static: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(feature, network, static)
        self.classes, self.lowered = classes, lowered
        self.weight, self.starts, self.ends = network.transitions()
        if rules is not None:
            self.weight = np.where(rules.moves, self.weight, -np.inf)
            self.starts = np.where(rules.starts, self.starts, -np.inf)
            self.ends = np.where(rules.ends, self.ends, -np.inf)

    def initial_state(self) -> dict[str, Tensor]:
        """The state before the first step."""
        reached = torch.zeros(len(self.classes), dtype=torch.float64)
        return super().initial_state() | {"reached": reached, "before": torch.zeros(0, dtype=torch.int64)}

    def _after(self, y: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        one = Ragged(torch.zeros(len(y), 1), torch.tensor([0, len(y)]))
        scores = finite(self.network.answer([y], MultiInput([(one,)], self.static)).double().numpy()) - self.lowered
        reached, before = state["reached"].numpy(), [state["before"]]
        for step, own in enumerate(scores):
            if step == 0 and not int(state["steps"][0]):
                reached = self.starts + own
                continue
            through = reached[:, None] + self.weight
            came = through.argmax(axis=0)
            before.append(torch.from_numpy(came))
            reached = through.max(axis=0) + own
        return super()._after(y, state) | {"reached": torch.from_numpy(reached), "before": torch.cat(before)}

    def _check(self, state: dict[str, Tensor], steps: int) -> None:
        """Raises ``DataError`` for a state that is not from this model."""
        before, labels = state["before"], len(self.classes)
        fits = len(before) == (steps - 1) * labels and not state["reached"].isnan().any()
        if not fits or (len(before) and not 0 <= int(before.min()) <= int(before.max()) < labels):
            raise DataError("the state that was set is of no session of this model. Give what session.state returned.")

    def answer(self, state: dict[str, Tensor]) -> TagAnswer:
        """The best path so far."""
        steps = counted(state)
        if not steps:
            return TagAnswer(None, [], 0)
        self._check(state, steps)
        before = state["before"].view(-1, len(self.classes)).numpy()
        path = [int((state["reached"].numpy() + self.ends).argmax())]
        for came in before[::-1]:
            path.append(int(came[path[-1]]))
        labels = [self.classes[code] for code in path[::-1]]
        return TagAnswer(labels[-1], labels, steps)
