"""What a tagger trains: a score for each label at every step, maybe a chain over them, maybe several networks together.

    p_m(y) = exp score_m(y) / sum over all paths y' of exp score_m(y')       each of M networks
    loss = mean_m -log p_m(y)                                                each learns as if it were alone
    score(y) = mean_m score_m(y)                                             they answer together

The mean of scores is a logarithmic pool: p(y) is proportional to the geometric mean of the p_m(y) (Heskes 1998). From
other random weights each network errs in other places, and where one has seen little the mean is the better guess.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from elman.features import Columns, Feature
from elman.features.multi_input import Bundle
from elman.layers.crf import Chain
from elman.ragged import Ragged
from elman.tasks.base.network import Network
from elman.tasks.base.resolve import Config

__all__ = ["TagNetwork"]


class TagNetwork(Network):
    """A network with an answer at every step, and maybe a chain over the answers; `others` answer with it."""

    def __init__(
        self, feature: Feature | Columns, labels: int, config: Config, chain: bool = True, members: int = 1
    ) -> None:
        super().__init__(feature, labels, config, every_step=True)
        self.chain = Chain(labels) if chain else None
        self.others = nn.ModuleList(TagNetwork(feature, labels, config, chain) for _ in range(members - 1))

    @property
    def members(self) -> list[TagNetwork]:
        """All that answer together, this one first."""
        return [self, *(other for other in self.others if isinstance(other, TagNetwork))]

    @property
    def inputs(self) -> list[nn.Module]:
        """The input layers of each member, one member after the other."""
        return [layer for member in self.members for layer in Network.inputs.fget(member)]  # type: ignore[attr-defined]

    def forward(self, x: Ragged | Bundle) -> Tensor:
        """The mean score of each label at every step [steps, labels]."""
        scores = [Network.forward(member, x) for member in self.members]
        return scores[0] if len(scores) == 1 else torch.stack(scores).mean(0)

    def surprise(self, x: Ragged | Bundle, codes: Tensor) -> Tensor:
        """-log p of the true labels of each sequence [sequences], the mean of what each member has by itself."""
        found = [_surprise(Ragged(Network.forward(m, x), x.offsets), codes, m.chain) for m in self.members]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def surprise_of(self, scores: Ragged, codes: Tensor) -> Tensor:
        """-log p of the true labels [sequences] by scores [steps, labels] that all members gave together."""
        return _surprise(scores, codes, self.together())

    def together(self) -> Chain | None:
        """The chain that scores of `forward` go through: the mean of those of the members."""
        chains = [member.chain for member in self.members if member.chain is not None]
        if len(chains) < 2:
            return self.chain
        mean = Chain(chains[0].labels)
        with torch.no_grad():
            for name, weights in mean.named_parameters():
                weights.copy_(torch.stack([chain.get_parameter(name) for chain in chains]).mean(0))
        return mean


def _surprise(scores: Ragged, codes: Tensor, chain: Chain | None) -> Tensor:
    if chain is not None:
        return chain.surprise(scores, codes)
    each = functional.cross_entropy(scores.values, codes, reduction="none")
    return each.new_zeros(len(scores)).index_add(0, scores.segments, each)
