"""Why a sequence has its class: the request that a classifier hands over to be explained.

F = z[class] - mean of z[other classes]            z of the network and the wide model, stacked
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.features import Columns, Feature
from elman.features.multi_input import MultiInput
from elman.interpret.attribution import AttributionRequest, Part
from elman.ragged import Ragged
from elman.tasks.base.network import Network
from elman.tasks.classify.wide import WideModel

__all__ = ["class_request"]


def class_request(
    network: Network,
    wide: WideModel | None,
    weights: NDArray[np.float64],
    feature: Feature | Columns,
    data: Ragged | MultiInput,
    codes: NDArray[np.int64],
    answers: Sequence[Any],
    parts: list[Part],
) -> AttributionRequest:
    """What speaks for the class of each sequence: `codes`, called `answers`."""
    chosen = torch.from_numpy(codes)
    deep, share = map(float, weights)

    def score(indices: Tensor) -> Tensor:
        return deep * _against(network(data[indices]), chosen[indices])

    beside = None
    if wide is not None:
        x = feature.symbolic(data)
        steps = share * _against(wide.contributions(x), chosen[x.segments]).numpy()
        whole = share * _against(wide.logits(x).double(), chosen).numpy()
        beside = feature.symbolic_parts(data, steps), whole
    return AttributionRequest(network.inputs, data.lengths, score, parts, answers, beside)


def _against(logits: Tensor, codes: Tensor) -> Tensor:
    own = logits.gather(1, codes[:, None])[:, 0]
    return own - (logits.sum(1) - own) / (logits.shape[1] - 1)
