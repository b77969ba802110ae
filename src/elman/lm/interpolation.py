"""A network's chances of the next symbol mixed with those of n-grams: what was seen word for word, and what is alike.

    p(y_t | x_1 ... x_t) = (1 - w) p_network(y_t | x_1 ... x_t) + w p_n-grams(y_t | the last symbols)

w maximises the chance of the validation part, by expectation and maximisation, with 20 symbols' worth of belief in
0.3 (Jelinek & Mercer 1980). The two learn apart from each other, as the paths of a classifier do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.lm.kneser_ney import KneserNey

__all__ = ["START", "InterpolatedLM", "weight_of"]

START = 0.3  # the weight of the n-grams before any evidence
_BELIEF = 20.0  # symbols
_ROUNDS = 40

_Floats = NDArray[np.float64]


class InterpolatedLM:
    """n-grams and how much they count.

    >>> mixture = InterpolatedLM(KneserNey(2, 3).fit([[0, 1, 0, 1, 0, 2]]), weight=0.5)
    >>> logs = mixture.logs(torch.zeros(1, 3).double().log_softmax(1), [[0]])
    >>> round(float(logs.exp().sum()), 6)
    1.0
    """

    def __init__(self, ngrams: KneserNey, weight: float = START) -> None:
        self.ngrams, self.weight = ngrams, weight

    @property
    def recent(self) -> int:
        """How many symbols the n-grams look back at."""
        return self.ngrams.order - 1

    def choose(self, network: Tensor, ngrams: _Floats) -> None:
        """Sets the weight by how well both knew the symbols of the validation part: log p [symbols], and p."""
        self.weight = weight_of(network.exp().numpy(), ngrams)

    def of_symbols(self, network: Tensor, ngrams: _Floats) -> Tensor:
        """log p [symbols] of what came, from the network's log p of it, float64, and the n-grams' p."""
        return _mixed(network, torch.from_numpy(ngrams), self.weight)

    def logs(self, network: Tensor, before: Sequence[Sequence[int]]) -> Tensor:
        """log p of all symbols [steps, symbols] after what came before each step; `network` has the network's own."""
        told = np.stack([self.ngrams.chances(one) for one in before]) if before else np.zeros(network.shape)
        return _mixed(network, torch.from_numpy(told), self.weight)


def weight_of(network: _Floats, ngrams: _Floats) -> float:
    """The weight of the n-grams that makes symbols likeliest, from the chances [symbols] that both gave them.

    >>> round(weight_of(np.zeros(1000), np.ones(1000)), 2)
    0.99
    """
    weight = START
    if not len(network):
        return weight
    for _ in range(_ROUNDS):
        theirs = weight * ngrams
        whole = theirs + (1 - weight) * network
        share = np.where(whole > 0, theirs / np.where(whole > 0, whole, 1.0), weight)
        weight = float((share.sum() + _BELIEF * START) / (len(share) + _BELIEF))
    return weight


def _mixed(network: Tensor, ngrams: Tensor, weight: float) -> Tensor:
    return torch.log((1 - weight) * network.exp() + weight * ngrams)
