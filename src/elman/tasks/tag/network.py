"""The network of a tagger: a score for each label at every step, an optional CRF, an optional ensemble.

    p_m(y) = exp score_m(y) / sum over all paths y' of exp score_m(y')       of each of M networks
    loss = mean_m -log p_m(y)                                                trained independently
    score(y) = mean_m score_m(y)                                             averaged for prediction

The mean of scores is a logarithmic pool: p(y) is proportional to the geometric mean of the p_m(y) (Heskes 1998).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from elman.features import Columns, Feature
from elman.features.multi_input import MultiInput
from elman.layers.crf import CRF
from elman.ragged import Ragged
from elman.tasks.base.network import Network
from elman.tasks.base.resolve import Config


class TagNetwork(Network):
    """A network with scores at every step and an optional CRF; `others` are the other members of the ensemble."""

    def __init__(
        self, feature: Feature | Columns, labels: int, config: Config, crf: bool = True, ensemble_size: int = 1
    ) -> None:
        super().__init__(feature, labels, config, every_step=True)
        self.crf = CRF(labels) if crf else None
        self.others = nn.ModuleList(TagNetwork(feature, labels, config, crf) for _ in range(ensemble_size - 1))

    @property
    def ensemble(self) -> list[TagNetwork]:
        """All members, this one first."""
        return [self, *(other for other in self.others if isinstance(other, TagNetwork))]

    @property
    def inputs(self) -> list[nn.Module]:
        """The input layers of all members."""
        return [layer for member in self.ensemble for layer in Network.inputs.fget(member)]  # type: ignore[attr-defined]

    def forward(self, x: Ragged | MultiInput) -> Tensor:
        """The mean score of each label at every step [steps, labels]."""
        scores = [Network.forward(member, x) for member in self.ensemble]
        return scores[0] if len(scores) == 1 else torch.stack(scores).mean(0)

    def nll(self, x: Ragged | MultiInput, codes: Tensor) -> Tensor:
        """-log p of the true labels of each sequence [sequences], averaged over the members."""
        found = [_nll(Ragged(Network.forward(m, x), x.offsets), codes, m.crf) for m in self.ensemble]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def nll_of(self, scores: Ragged, codes: Tensor) -> Tensor:
        """-log p of the true labels [sequences] from the averaged scores [steps, labels]."""
        return _nll(scores, codes, self.together())

    def together(self) -> CRF | None:
        """The CRF for scores of `forward`: the mean of the members'."""
        layers = [member.crf for member in self.ensemble if member.crf is not None]
        if len(layers) < 2:
            return self.crf
        mean = CRF(layers[0].labels)
        with torch.no_grad():
            for name, weights in mean.named_parameters():
                weights.copy_(torch.stack([layer.get_parameter(name) for layer in layers]).mean(0))
        return mean

    def transitions(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The scores of moves [labels, labels], of first and of last labels; zeros without a CRF."""
        crf, labels = self.together(), len(self.head.bias)
        return (np.zeros((labels, labels)), np.zeros(labels), np.zeros(labels)) if crf is None else crf.numbers()


def _nll(scores: Ragged, codes: Tensor, crf: CRF | None) -> Tensor:
    if crf is not None:
        return crf.nll(scores, codes)
    each = functional.cross_entropy(scores.values, codes, reduction="none")
    return each.new_zeros(len(scores)).index_add(0, scores.segments, each)
