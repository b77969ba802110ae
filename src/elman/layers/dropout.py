"""Dropout over ragged sequences: one mask for a whole sequence, or one for every step."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from elman.errors import OptionError
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged
from elman.validation.options import is_number


class _Dropout(nn.Module):
    """What is left is scaled by 1 / (1 - rate). Raises ``OptionError`` for a rate outside 0 ... 1."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not is_number(rate, 0) or not rate < 1:
            raise OptionError(f"dropout must be at least 0 and below 1, got {rate!r}.")
        self.rate = rate

    def forward(self, x: Ragged) -> Ragged:
        """The same steps with some units at zero; `x` itself in evaluation."""
        expect_ragged(x, self)
        return x.with_values(self._dropped(x)) if self.training and self.rate else x

    @abstractmethod
    def _dropped(self, x: Ragged) -> Tensor:
        """The values with some units at zero, in training."""

    def extra_repr(self) -> str:
        """The rate, for printing."""
        return str(self.rate)


class SequenceDropout(_Dropout):
    """Dropout with one mask for all steps of a sequence.

    A unit that is off stays off for the whole sequence, so that the noise does not wash memory out step by step. What
    is left is scaled by 1 / (1 - rate). Does nothing in evaluation.

    Source: Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", 2016.

    >>> y = SequenceDropout(0.5)(Ragged.of([torch.ones(3, 4)]))
    >>> bool((y[0][0] == y[0][2]).all())
    True
    """

    def _dropped(self, x: Ragged) -> Tensor:
        keep = 1.0 - self.rate
        mask = torch.empty(x.sequences, x.width, device=x.values.device, dtype=x.values.dtype).bernoulli_(keep)
        return x.values * (mask / keep)[x.segments]


class StepDropout(_Dropout):
    """Dropout with a mask of its own for every step: ``torch.nn.Dropout`` for steps, drawn four times as fast.

    Sixteen random bits decide about a unit, so that the rate is a multiple of 2^-16. What is left is scaled by
    1 / (1 - rate). Does nothing in evaluation. Raises ``OptionError`` for a rate outside 0 ... 1.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    >>> y = StepDropout(0.5)(Ragged.of([torch.ones(300, 4)]))
    >>> sorted(set(y.values.flatten().tolist()))
    [0.0, 2.0]
    """

    def _dropped(self, x: Ragged) -> Tensor:
        values, dropped = x.values, min(round(self.rate * 2**16), 2**16 - 1)
        words = torch.empty((values.numel() + 3) // 4, dtype=torch.int64, device=values.device)
        bits = words.random_(-(2**63), None).view(torch.int16)[: values.numel()].view(values.shape)
        keep = (bits >= dropped - 2**15).to(values.dtype)
        return values * keep.mul_(2**16 / (2**16 - dropped))
