"""A regressor one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from elman.features import Columns, Feature
from elman.tasks.base.finite import finite
from elman.tasks.base.network import Network, NetworkStepper
from elman.tasks.base.session import RegressAnswer, counted
from elman.tasks.base.targets.numbers import NumberTarget

__all__ = ["RegressStepper"]


class RegressStepper(NetworkStepper):
    """The numbers that the steps so far stand for."""

    def __init__(
        self, feature: Feature | Columns, network: Network, numbers: NumberTarget, static: Mapping[str, Any] | None
    ) -> None:
        super().__init__(feature, network, static)
        self.numbers = numbers

    @torch.no_grad()
    def answer(self, state: dict[str, Tensor]) -> RegressAnswer:
        """A number, several, or a dict of them, as the targets came."""
        values = finite(self.numbers.decode(self.row(state).numpy()))[0]
        if self.numbers.names is not None:
            return RegressAnswer(dict(zip(self.numbers.names, values.tolist(), strict=True)), counted(state))
        return RegressAnswer(float(values) if self.numbers.flat else values, counted(state))
