"""Linear interpolation of a recurrent and an n-gram language model.

    p(y_t | x_1 ... x_t) = (1 - w) p_network(y_t | x_1 ... x_t) + w p_n-grams(y_t | the last symbols)

w maximises the likelihood of the validation set by expectation maximisation, with a prior of 20 symbols at 0.3 (Jelinek
& Mercer 1980). The two models are trained separately.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.lm.kneser_ney import KneserNey

START = 0.3  # the weight of the n-grams before any evidence
_PRIOR_SYMBOLS = 20.0  # weight of the prior in symbols
_ROUNDS = 40

_Floats = NDArray[np.float64]


class InterpolatedLM:
    """An n-gram model and its interpolation weight.

    >>> mixture = InterpolatedLM(KneserNey(2, 3).fit([[0, 1, 0, 1, 0, 2]]), weight=0.5)
    >>> logs = mixture.logs(torch.zeros(1, 3).double().log_softmax(1), [[0]])
    >>> round(float(logs.exp().sum()), 6)
    1.0
    """

    def __init__(self, ngrams: KneserNey, weight: float = START) -> None:
        self.ngrams, self.weight = ngrams, weight

    def of_symbols(self, network: Tensor, ngrams: _Floats) -> Tensor:
        """Interpolated log p [symbols], from the network's log p, float64, and the n-grams' p."""
        return _mixed(network, torch.from_numpy(ngrams), self.weight)

    def logs(self, network: Tensor, before: Sequence[Sequence[int]]) -> Tensor:
        """Interpolated log p of all symbols [steps, symbols], given the contexts `before`; `network`: its own log p."""
        p_ngrams = np.stack([self.ngrams.probabilities(one) for one in before]) if before else np.zeros(network.shape)
        return _mixed(network, torch.from_numpy(p_ngrams), self.weight)


def weight_of(network: _Floats, ngrams: _Floats) -> float:
    """The weight of the n-grams with the highest likelihood, from the probabilities [symbols] of both models.

    >>> round(weight_of(np.zeros(1000), np.ones(1000)), 2)
    0.99
    """
    weight = START
    if not len(network):
        return weight
    for _ in range(_ROUNDS):
        theirs = weight * ngrams
        whole = theirs + (1 - weight) * network
        posterior = np.where(whole > 0, theirs / np.where(whole > 0, whole, 1.0), weight)
        weight = float((posterior.sum() + _PRIOR_SYMBOLS * START) / (len(posterior) + _PRIOR_SYMBOLS))
    return weight


def _mixed(network: Tensor, ngrams: Tensor, weight: float) -> Tensor:
    return torch.log((1 - weight) * network.exp() + weight * ngrams)
