"""How wrong answers are, as a number to make smaller."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.errors import OptionError, ShapeError

DISTANCES = ("squared", "absolute", "huber")


def cross_entropy(
    logits: Tensor,
    classes: Tensor,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    sample_weights: Tensor | None = None,
) -> Tensor:
    """The mean weighted cross-entropy of `logits` [sequences, classes] against the true `classes` int64 [sequences].

    ::

        loss = mean_i v_i w[y_i] sum_k -q_ik log softmax(z_i)_k,    q_ik = (1 - s) [k = y_i] + s / classes

    `weights` w [classes] (None: all 1) makes errors on some classes cost more, `sample_weights` v [sequences] those on
    some sequences; the mean is over sequences, not over weights, so that a batch counts by what is in it. `smoothing` s
    is from 0 to below 1 (Szegedy et al. 2016). No sequences give 0.

    Raises ``ShapeError`` if the shapes do not fit together.

    >>> import torch
    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> round(cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([3.0, 1.0])).item(), 4)  # (3 + 1) / 2 * log 2
    1.3863
    """
    if logits.dim() != 2 or classes.shape != logits.shape[:1]:
        raise ShapeError(
            f"cross_entropy expects logits [sequences, classes] and one true class each, got shapes "
            f"{list(logits.shape)} and {list(classes.shape)}."
        )
    if weights is not None and weights.shape != logits.shape[1:]:
        raise ShapeError(f"weights must hold one number for each of the {logits.shape[1]} classes, got {len(weights)}.")
    if not len(classes):
        return logits.sum()
    each = F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)
    each = each if weights is None else each * weights[classes]
    return each.mean() if sample_weights is None else (each * sample_weights).mean()


def binary_cross_entropy(
    logits: Tensor, present: Tensor, costs: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """The mean cross-entropy of independent labels, `logits` [sequences, labels], that are `present` bool or not.

    ::

        loss = -mean_ik c_ik (q_ik log sigmoid(z_ik) + (1 - q_ik) log sigmoid(-z_ik)),    q = (1 - s) present + s / 2

    `costs` c [sequences, labels] (None: all 1) make some errors cost more. No sequences give 0. Raises ``ShapeError``
    if the shapes differ.

    >>> round(binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[True, False]])).item(), 4)  # log 2
    0.6931
    """
    if logits.dim() != 2 or present.shape != logits.shape or (costs is not None and costs.shape != logits.shape):
        shapes = [list(logits.shape), list(present.shape), *([] if costs is None else [list(costs.shape)])]
        raise ShapeError(f"binary_cross_entropy expects equal shapes [sequences, labels], got {shapes}.")
    if not len(present):
        return logits.sum()
    target = present.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, target, costs)


def distance(answers: Tensor, targets: Tensor, kind: str = "squared", weights: Tensor | None = None) -> Tensor:
    """How far `answers` [rows, outputs] are from `targets` [rows, outputs], on average over the targets that are known.

    ::

        r = answer - target
        squared   r^2
        absolute  |r|
        huber     r^2 / 2 where |r| <= 1, else |r| - 1/2         (Huber 1964)

    A target that is NaN is unknown and has no gradient. Where none is known the distance is 0. `weights` [rows] make
    some rows count for more; the mean is over targets, not over weights. Raises ``ShapeError`` if the shapes differ,
    ``OptionError`` for another kind.

    >>> import torch
    >>> distance(torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, float("nan")]]))
    tensor(4.)
    """
    if kind not in DISTANCES:
        raise OptionError(f"loss must be one of {', '.join(DISTANCES)}, got {kind!r}.")
    if answers.shape != targets.shape:
        raise ShapeError(f"distance expects equal shapes, got {list(answers.shape)} and {list(targets.shape)}.")
    known = ~torch.isnan(targets)
    error = torch.where(known, answers - torch.where(known, targets, 0), 0)
    if kind == "squared":
        each = error.square()
    elif kind == "absolute":
        each = error.abs()
    else:
        each = F.huber_loss(error, torch.zeros_like(error), reduction="none")
    each = each if weights is None else each * weights[:, None]
    return each.sum() / known.sum().clamp(min=1)


def pinball(answers: Tensor, targets: Tensor, quantiles: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean quantile loss of `answers` [..., quantiles] for true `targets` [...]; missing (NaN) ones are left out.

    ::

        loss = mean w max(q e, (q - 1) e),    e = y - answer

    `quantiles` q [quantiles] lie between 0 and 1, `weights` w [...] make some targets count for more. The answer that
    makes it least is the q-quantile of y. No targets give 0. Source: Koenker & Bassett 1978.

    Raises ``ShapeError`` if the shapes do not fit together.

    >>> import torch
    >>> pinball(torch.zeros(2, 1), torch.tensor([1.0, float("nan")]), torch.tensor([0.9])).item()
    0.8999999761581421
    """
    if answers.shape != (*targets.shape, *quantiles.shape) or (weights is not None and weights.shape != targets.shape):
        raise ShapeError(
            f"pinball expects answers [..., quantiles] for targets [...], got shapes {list(answers.shape)}, "
            f"{list(targets.shape)} and {list(quantiles.shape)}."
        )
    there = ~targets.isnan()
    error = targets.nan_to_num(0.0)[..., None] - answers
    each = (torch.maximum(quantiles * error, (quantiles - 1) * error)).mean(-1)
    each = each * (there if weights is None else there * weights)
    return each.sum() / there.sum().clamp(min=1)
