"""Learnt vectors of symbols."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import OptionError, Problem
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged
from elman.ragged.indexed import Indexed

SHARED = 1024  # steps from which it pays to look for symbols that come again


class Embedding(nn.Module):
    """Learnt vectors of symbols: ids `[steps]` become `[steps, width]`; while training, whole symbols are dropped.

    ```
    y_t = m[s, x_t] E[x_t]        m[s, k] = 0 with probability p, else 1 / (1 - p); s is the sequence of step t
    ```

    With dropout a symbol vanishes from all steps of a sequence at once (Gal & Ghahramani 2016), so that no answer can
    hang on one word. Rows of `weight` start uniform in ±0.1 (Merity et al. 2018); row 0, the unknown symbol, starts at
    zero, so that it stays neutral if training never shows it.

    Where symbols come again often enough, what comes out is `Indexed`: each distinct vector once, so that the first
    layer multiplies it once, and not at every step. The dropout above allows it, since a dropped step reads one row of
    zeros. Not for modules of yours that change steps one by one, with noise, say: they get `values`, as ever.

    `symbols` ≥ 1 and `width` ≥ 1; `dropout` from 0 to below 1. Raises `OptionError` outside these.

    >>> layer = Embedding(10, 4)
    >>> layer(Ragged.of([[1, 2, 3], [0]])).values.shape
    torch.Size([4, 4])
    """

    def __init__(self, symbols: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        problems = [
            Problem(key, str(n), "must be at least 1") for key, n in (("symbols", symbols), ("width", width)) if n < 1
        ]
        if not 0.0 <= dropout < 1.0:
            problems.append(Problem("dropout", str(dropout), "must be at least 0 and less than 1"))
        if problems:
            raise OptionError.of(problems)
        self.outputs = width
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(symbols, width).uniform_(-0.1, 0.1))
        with torch.no_grad():
            self.weight[0].zero_()

    def forward(self, x: Ragged) -> Ragged:
        """Ids `[steps]` → vectors `[steps, width]`."""
        expect_ragged(x, self)
        mask = self._mask(x) if self.training and self.dropout > 0.0 else None
        if x.steps >= SHARED and x.values.device.type == "cpu":
            symbols, index = _distinct(x.values, len(self.weight))
            if 2 * len(symbols) <= x.steps:
                return self._indexed(symbols, x.with_values(index), mask)
        y = nn.functional.embedding(x.values, self.weight)
        return x.with_values(y if mask is None else y * mask[:, None])

    @torch.no_grad()
    def start_from(self, rows: Mapping[int, NDArray[np.float32]]) -> None:
        """Sets the vectors of some symbols; those of the others are scaled to the same standard deviation.

        >>> layer = Embedding(3, 2)
        >>> layer.start_from({1: np.array([3.0, -3.0], np.float32)})
        >>> layer.weight[1].tolist(), bool(layer.weight[2].abs().max() > 0.1), layer.weight[0].tolist()
        ([3.0, -3.0], True, [0.0, 0.0])
        """
        if not rows:
            return
        known = torch.from_numpy(np.stack(list(rows.values())))
        spread, own = float(known.std(correction=0)), float(self.weight[1:].std(correction=0))
        if spread and own:
            self.weight.mul_(spread / own)
        self.weight[torch.tensor(list(rows))] = known.to(self.weight.dtype)

    def step(self, ids: Tensor) -> Tensor:
        """Ids of any shape → vectors, without dropout."""
        return nn.functional.embedding(ids, self.weight)

    def _indexed(self, symbols: Tensor, index: Ragged, mask: Tensor | None) -> Indexed:
        rows = nn.functional.embedding(symbols, self.weight)
        if mask is None:
            return Indexed(rows, index)
        rows = torch.cat([rows * self._kept(), rows.new_zeros(1, rows.shape[1])])  # a row of zeros for all that drop
        return Indexed(rows, index.with_values(torch.where(mask > 0, index.values, len(symbols))))

    def _kept(self) -> Tensor:
        """What a vector that stays is multiplied by."""
        return torch.ones((), dtype=self.weight.dtype) / (1.0 - self.dropout)

    def _mask(self, x: Ragged) -> Tensor:
        """One factor for each step, equal for equal symbols of a sequence.

        A random number for each (sequence, symbol) would need a table or a sort; a hash of the pair with a random key
        is as good and costs a few passes over the steps (the finaliser of splitmix64, Steele et al. 2014).
        """
        key = torch.randint(-(2**62), 2**62, (1,), dtype=torch.int64).to(x.values.device)
        z = x.segments.to(x.values.device) * self.weight.shape[0] + x.values
        z = z * -7046029254386353131 + key  # wraps around: int64 arithmetic is modulo 2^64
        z = (z ^ _shift(z, 30)) * -4658895280553007687
        z = (z ^ _shift(z, 27)) * -7723592293110705685
        uniform = _shift(z ^ _shift(z, 31), 40).to(torch.float32) * 2.0**-24
        return (uniform >= self.dropout).to(self.weight.dtype) / (1.0 - self.dropout)


def _distinct(ids: Tensor, symbols: int) -> tuple[Tensor, Tensor]:
    """The distinct ids, ascending, and the place of each id among them. A table is quicker than a sort."""
    seen = torch.zeros(symbols, dtype=torch.bool).scatter_(0, ids, True)
    return seen.nonzero()[:, 0], (seen.cumsum(0) - 1)[ids]


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; `>>` alone would carry the sign along."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
