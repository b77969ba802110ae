"""How wrong answers are, as a number to make smaller."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from elman.errors import ShapeError

__all__ = ["cross_entropy"]


def cross_entropy(logits: Tensor, classes: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """The mean weighted cross-entropy of `logits` [sequences, classes] against the true `classes` int64 [sequences].

    ::

        loss = mean_i w[y_i] sum_k -q_ik log softmax(z_i)_k,    q_ik = (1 - s) [k = y_i] + s / classes

    `weights` w [classes] (None: all 1) makes errors on some classes cost more; the mean is over sequences, not over
    weights, so that a batch counts by what is in it. `smoothing` s is from 0 to below 1 (Szegedy et al. 2016). No
    sequences give 0.

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
    return each.mean() if weights is None else (each * weights[classes]).mean()
