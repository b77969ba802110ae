"""Data augmentation in training: speed perturbation, and masks over time and bands.

    x'_j = x between the steps of j (T - 1) / (T' - 1)      T' = round(T r), r even between 1 - s and 1 + s
    x'_t = 0 for t0 <= t < t0 + n                           n even from 0 to the longest hole, at most T' / 5
    x'_tk = 0 for k0 <= k < k0 + m                          m even from 0 to the widest hole

Each sequence draws its own. Evaluation changes nothing.

Sources: Ko et al., "Audio augmentation for speech recognition", 2015 (speed); Park et al., "SpecAugment", 2019 (holes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged

_MOST = 5  # a hole takes at most so much of a sequence: one part in five


class Augment(nn.Module):
    """Steps [steps, width] with speeds and holes drawn anew for each sequence, while training.

    - `speed`: s, from 0 to below 1; - `holes` of up to `longest` steps; - `bands` holes of up to `widest` numbers.

    >>> x = Ragged.of([torch.randn(20, 4), torch.randn(0, 4)])
    >>> Augment(speed=0.5)(x).lengths[1], Augment(speed=0.5).eval()(x) is x
    (tensor(0), True)
    """

    def __init__(self, speed: float = 0.0, holes: int = 0, longest: int = 20, bands: int = 0, widest: int = 8) -> None:
        super().__init__()
        self.speed, self.holes, self.longest, self.bands, self.widest = speed, holes, longest, bands, widest

    def forward(self, x: Ragged) -> Ragged:
        """Whole sequences; `x` itself in evaluation."""
        expect_ragged(x, self)
        if not self.training or not x.steps:
            return x
        if self.speed:
            x = _at_speed(x, 1 + self.speed * (2 * torch.rand(len(x), device=x.values.device) - 1))
        keep = torch.ones_like(x.values)
        for _ in range(self.holes):
            most = torch.minimum(torch.tensor(self.longest, device="cpu"), x.lengths // _MOST)
            keep = keep * ~_hole(x.lengths, most, _within(x))[:, None]
        for _ in range(self.bands):
            width = torch.full((len(x),), x.width, device="cpu")
            most = torch.minimum(torch.tensor(self.widest, device="cpu"), width // 2)
            away = _hole(width[:, None], most[:, None], torch.arange(x.width, device="cpu").expand(len(x), -1))
            keep = keep * ~away[x.segments]
        return x.with_values(x.values * keep) if self.holes or self.bands else x

    def extra_repr(self) -> str:
        """The options, for printing."""
        return f"speed={self.speed}, holes={self.holes}, longest={self.longest}, bands={self.bands}"


def _within(x: Ragged) -> tuple[Tensor, Tensor]:
    """The sequence of each step, and its place in it."""
    segments = x.segments
    return segments, torch.arange(x.steps, device="cpu") - x.offsets[segments]


def _hole(lengths: Tensor, most: Tensor, places: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Which places lie in a hole that is drawn for each sequence."""
    size = (torch.rand(lengths.shape, device="cpu") * (most + 1)).long()
    first = (torch.rand(lengths.shape, device="cpu") * (lengths - size + 1)).long()
    if isinstance(places, tuple):
        segments, places = places
        size, first = size[segments], first[segments]
    return (places >= first) & (places < first + size)


def _at_speed(x: Ragged, rates: Tensor) -> Ragged:
    """Each sequence with so many times its steps, at least one where it has any, between its own steps."""
    counts = torch.round(x.lengths * rates).long().clamp(min=1) * (x.lengths > 0)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    segments = torch.repeat_interleave(torch.arange(len(counts), device="cpu"), counts)
    last = (x.lengths - 1)[segments]
    place = (torch.arange(int(offsets[-1]), device="cpu") - offsets[segments]) * (
        last / (counts - 1).clamp(min=1)[segments]
    )
    low = place.long().clamp(max=last)
    share = (place - low)[:, None].to(x.values.dtype)
    rows, begin = x.values, x.offsets[segments]
    return Ragged(torch.lerp(rows[begin + low], rows[begin + torch.minimum(low + 1, last)], share), offsets)
