"""A classifier one step at a time: the network and the wide model side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.features import Columns, Feature
from elman.io import model_folder as store
from elman.ragged import Ragged
from elman.tasks.base.network import Network, NetworkStepper, finite
from elman.tasks.base.session import ClassifyAnswer, counted
from elman.tasks.classify.stacking import stacked
from elman.tasks.classify.targets import ClassTarget
from elman.tasks.classify.wide import WideModel


class ClassifyStepper(NetworkStepper):
    """The class of the steps so far; `weights` are those of the network and of the wide model."""

    def __init__(
        self,
        feature: Feature | Columns,
        network: Network,
        wide: WideModel | None,
        weights: NDArray[np.float64],
        labels: ClassTarget,
        static: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(feature, network, static)
        self.wide, self.weights, self.labels = wide, weights, labels

    def initial_state(self) -> dict[str, Tensor]:
        """The state before the first step."""
        return super().initial_state() | ({} if self.wide is None else _named(self.wide.initial_state()))

    def advance(self, steps: Ragged, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps."""
        made = super().advance(steps, state)
        if self.wide is not None:
            made |= _named(self.wide.advance(steps.values, store.under("wide.", state)))
        return made

    @torch.no_grad()
    def answer(self, state: dict[str, Tensor]) -> ClassifyAnswer:
        """The likeliest class of the steps so far, and the probability of each."""
        paths = [self.row(state).numpy()]
        if self.wide is not None:
            paths.append(self.wide.read(store.under("wide.", state)).double().numpy())
        logits = finite(stacked(self.weights, paths))
        (label,) = self.labels.answered(self.labels.answers(logits))
        probabilities = self.labels.probabilities(logits)[0].tolist()
        return ClassifyAnswer(
            label, dict(zip(self.labels.classes.tolist(), probabilities, strict=True)), counted(state)
        )


def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"wide.{name}": value for name, value in state.items()}
