"""A model of several targets one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from elman.features import Columns, Feature
from elman.tasks.base.finite import finite
from elman.tasks.base.network import Network, NetworkStepper
from elman.tasks.base.session import MultitaskAnswer, counted
from elman.tasks.multitask.heads import Heads

__all__ = ["MultitaskStepper"]


class MultitaskStepper(NetworkStepper):
    """What the steps so far say of each target."""

    def __init__(
        self, feature: Feature | Columns, network: Network, heads: Heads, static: Mapping[str, Any] | None
    ) -> None:
        super().__init__(feature, network, static)
        self.heads = heads

    @torch.no_grad()
    def answer(self, state: dict[str, Tensor]) -> MultitaskAnswer:
        """The likeliest class or the number of each target, and the probability of every class."""
        own = self.heads.split(finite(self.row(state).numpy()))
        values = {name: target.decode(own[name]).tolist()[0] for name, target in self.heads.targets.items()}
        probabilities = {name: target.by_class(own[name]) for name, target in self.heads.labels.items()}
        return MultitaskAnswer(values, probabilities, counted(state))
