"""How much each path of a model counts (stacking, Wolpert 1992): weights for logits, chosen on a validation part.

    w = argmin  sum_i c_i (-log softmax(sum_p w_p z_pi)_{y_i}) + 1/2 |w - start|^2        w_p >= 0

z_pi are the logits of path p for sequence i (0 the network, 1 the wide model), y_i its class, c_i what an error costs.
The start is tuned on film reviews, for numbers on small sets of signals; without any evidence it is the answer.

Wolpert, D. 1992. Stacked generalization. Neural Networks 5.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from elman.tasks.classify.defaults import START

__all__ = ["best_loss", "fit_weights", "stacked"]

_Array = NDArray[Any]
_Floats = NDArray[np.float64]


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


def best_loss(wide: _Floats, truth: _Array, costs: _Floats) -> float:
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
