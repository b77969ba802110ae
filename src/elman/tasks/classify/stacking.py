"""Stacking (Wolpert 1992) of the recurrent network and a wide model: which model, and how much each of the two counts.

    w = argmin  sum_i c_i (-log softmax(sum_p w_p z_pi)_{y_i}) + 1/2 |w - start|^2        w_p >= 0

z_pi are the logits of path p for sequence i (0 the network, 1 the wide model), y_i its class, c_i what an error costs;
each of several labels counts as a choice between the logits 0 and z (targets.py). The start is tuned on film reviews,
for numbers on small sets of signals; without any evidence it is the answer.

Wolpert, D. 1992. Stacked generalization. Neural Networks 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from torch import Tensor

from elman.errors import OptionError
from elman.features import Columns, Feature
from elman.features.multi_input import MultiInput
from elman.ragged import Ragged
from elman.tasks.base.resolve import Config
from elman.tasks.classify.defaults import CHOOSERS, START, STRENGTHS
from elman.tasks.classify.minirocket import MiniRocket
from elman.tasks.classify.ngram_model import NgramModel, bucket_count
from elman.tasks.classify.targets import ClassTarget
from elman.tasks.classify.wide import WideModel

_Array = NDArray[Any]
_Floats = NDArray[np.float64]

WIDE_MODELS: dict[str, type[WideModel]] = {model.kind: model for model in (NgramModel, MiniRocket)}


def fit_wide(
    config: Config,
    feature: Feature | Columns,
    parts: tuple[Ragged | MultiInput, Ragged | MultiInput],
    target: ClassTarget,
    truth: tuple[_Array, _Array],
    costs: tuple[Tensor, Tensor],
    seed: int,
) -> WideModel | None:
    """The wide model that the options `ngrams` and `minirocket` ask for, learnt from the first of the two `parts`.

    The strength of n-grams is the one with the least cross-entropy on the second part, if that is large enough.
    `truth` is what `target` knows of the sequences of both, `costs` what errors cost (`ClassTarget.costs`). Raises
    ``OptionError`` for options that do not suit the feature.
    """
    if config.ngrams and feature.symbols is None:
        raise OptionError(f"ngrams = {config.ngrams} needs texts or tokens; numbers have no n-grams. Leave it at None.")
    if config.minirocket and not feature.is_series:
        needs = f"needs a column of numbers, but the input is taken for {feature.called}. Leave it at None."
        raise OptionError(f"minirocket = {config.minirocket} {needs}")
    if not config.ngrams and not (config.minirocket and parts[0].steps):
        return None
    data, kept = (feature.symbolic(part) for part in parts)
    targets = torch.from_numpy(truth[0])
    learnt = data, targets, len(target.classes), costs[0]
    if config.minirocket:
        return MiniRocket(int(config.minirocket), seed).fit(*learnt)
    orders = tuple(range(1, int(config.ngrams) + 1))
    strengths = STRENGTHS if len(kept) >= CHOOSERS else STRENGTHS[:1]
    models = [NgramModel(orders, bucket_count(data.steps, orders), strength).fit(*learnt) for strength in strengths]
    errors = costs[1].double().numpy().ravel()

    def loss(model: NgramModel) -> float:
        ((wide,), known) = target.choices([model.logits(kept).double().numpy()], truth[1])
        return _best_loss(wide, known, errors)

    return min(models, key=loss)


def wide_in_words(config: Config) -> str:
    """The model that `fit_wide` fits, in words; "" for none.

    >>> wide_in_words(Config(ngrams=3, minirocket=0))
    'the n-gram model (1 to 3 symbols)'
    """
    if config.minirocket:
        return f"MiniRocket ({int(config.minirocket):,} features)"
    return f"the n-gram model (1 to {int(config.ngrams)} symbols)" if config.ngrams else ""


def stacked(weights: _Floats, paths: Sequence[_Floats]) -> _Floats:
    """The logits of all paths together; a single one stands for itself."""
    return paths[0] if len(paths) == 1 else weights[0] * paths[0] + weights[1] * paths[1]


def fit_weights(logits: _Floats, truth: _Array, costs: _Floats, start: Sequence[float] = START) -> _Floats:
    """Weights [paths] of at least 0 for logits [paths, sequences, classes].

    `truth` [sequences] holds the class of each sequence, `costs` [sequences] what an error costs, `start` the weights
    without evidence.

    The problem is convex with as many unknowns as paths: Newton's method, with halved steps where one is too long.

    >>> good = np.array([[2.0, 0.0], [0.0, 2.0]] * 9)
    >>> fit_weights(np.stack([good, -good]), np.array([0, 1] * 9), np.ones(18))[1]
    np.float64(0.0)
    """
    use = np.ones(len(logits), dtype=bool)
    while True:
        weights = np.zeros(len(logits))
        weights[use] = _newton(logits[use], np.array(start)[use], truth, costs)
        if (weights >= 0).all() or use.sum() == 1:
            return np.maximum(weights, 0)
        use &= weights > 0


def _best_loss(wide: _Floats, truth: _Array, costs: _Floats) -> float:
    """The cross-entropy that logits of the wide model reach with the weight that suits them best."""
    if not len(truth):
        return 0.0
    logits = np.stack([np.zeros_like(wide), wide])
    scaled = fit_weights(logits, truth, costs)[1] * wide
    return float(costs @ (logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))


def _newton(logits: _Floats, start: _Floats, truth: _Array, costs: _Floats) -> _Floats:
    right = logits[:, np.arange(len(truth)), truth]

    def value(w: _Floats) -> float:
        z = np.tensordot(w, logits, 1)
        return float(costs @ (logsumexp(z, axis=1) - w @ right)) + 0.5 * float(((w - start) ** 2).sum())

    weights, now = start, value(start)
    for _ in range(50):
        shares = softmax(np.tensordot(weights, logits, 1), axis=1)
        means = (shares * logits).sum(2)
        gradient = (means - right) @ costs + weights - start
        spread = logits - means[:, :, None]
        hessian = np.einsum("pnk,qnk,nk,n->pq", spread, spread, shares, costs, optimize=True) + np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        for _ in range(30):
            moved = value(weights - step)
            if moved <= now:
                break
            step = step / 2
        if moved > now or np.abs(step).max() < 1e-10:
            break
        weights, now = weights - step, moved
    return weights
