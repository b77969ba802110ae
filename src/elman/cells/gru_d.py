"""Gated recurrent unit with decay, for missing values."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from elman.cells.base import VALUES_MASK_GAP, Along, Cell, CellOptions, State, new_parameter
from elman.cells.gru import GRU
from elman.cells.recurrent import Recurrent, before
from elman.errors import OptionError
from elman.ops import functional as ops
from elman.ragged import Ragged

FADES = 10.0  # initial time constant of the values' decay in mean gaps
LONGEST = 100.0  # initial time constant of the slowest unit in mean gaps; that of the fastest is one


class GRUD(GRU):
    """Gated recurrent unit with decay: missing values decay to the mean, and the state decays without observations.

    A step of width `inputs` = 3 n holds x | m | d: the n values, each the last one observed where it is missing and 0,
    the mean, before the first; the mask, 1 where observed; the gap, the time since the observation before. Such steps
    come from ``Numbers(fill="decay")``, scaled to mean 0 and the gaps to mean 1, column by column.

    ::

        a_t = exp(-max(0, w * d_t + v))                          decay of the values
        e_t = m_t * x_t + (1 - m_t) * a_t * x_t                  observed, or on its way to the mean
        k_t = exp(-max(0, W_k d_t + b_k)),    h_{t-1} <- k_t * h_{t-1}      decay of the state
        h_t = GRU step on e_t | m_t,    y_t = h_t                see `GRU`

    w, v are ``weight_dx``, ``bias_dx`` [n]; W_k, b_k ``weight_dh`` [hidden, n], ``bias_dh`` [hidden]. ``weight_ih``
    [3 * hidden, 2 n] reads values and mask. The initial time constant of values is 10 mean gaps, those of units 1 to
    100 (uniform in the logarithm), so that every decay has a gradient. m and d may be any numbers.

    Raises ``OptionError`` for a width that is no multiple of 3. In an `Encoder` the layers over the first are GRUs.

    Source: Che, Purushotham, Cho, Sontag & Liu, "Recurrent neural networks for multivariate time series with missing
    values", Scientific Reports 8, 2018. Differs: the reset comes after the product, as in `GRU`.

    >>> from elman.ragged import Ragged
    >>> cell = GRUD(6, 4)
    >>> steps = [[0.5, 0.0, 1.0, 0.0, 0.0, 0.0], [0.5, -1.0, 0.0, 1.0, 1.0, 1.0]]      # 0.5 and a gap, a gap and -1
    >>> y, state = cell(Ragged.of([steps]))
    >>> y.values.shape, cell.columns
    (torch.Size([2, 4]), 2)
    """

    blocks: ClassVar[int] = 3
    reads = VALUES_MASK_GAP
    spreads = False
    narrows: ClassVar[bool] = False
    above: ClassVar[str] = "gru"

    def __init__(self, inputs: int, hidden: int, *, bias: bool = True, **options: Any) -> None:
        if hasattr(inputs, "__index__") and not isinstance(inputs, bool) and inputs > 0 and inputs % 3:
            raise OptionError(
                f"GRUD reads values | mask | gap, so that inputs must be a multiple of 3, got {inputs}. Numbers with "
                'fill="decay" makes such steps.'
            )
        super().__init__(inputs, hidden, bias=bias, **options)
        self.columns, like = inputs // 3, CellOptions(device=options.get("device"), dtype=options.get("dtype"))
        self.weight_ih = new_parameter(like, 3 * hidden, 2 * self.columns)
        self.weight_dx = new_parameter(like, self.columns)
        self.weight_dh = new_parameter(like, hidden, self.columns)
        self.bias_dx = new_parameter(like, self.columns) if bias else None
        self.bias_dh = new_parameter(like, hidden) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        super().reset_parameters()
        if not hasattr(self, "weight_dh"):
            return  # called while the parts that all cells have are made
        nn.init.constant_(self.weight_dx, 1 / FADES)
        remembered = torch.empty_like(self.weight_dh[:, :1]).uniform_(0.0, math.log(LONGEST)).exp()
        self.weight_dh.copy_((1 / (self.columns * remembered)).expand_as(self.weight_dh))
        for bias in (self.bias_dx, self.bias_dh):
            if bias is not None:
                nn.init.zeros_(bias)

    def _run(self, values: Tensor, offsets: Tensor, state: State | None, along: Along) -> tuple[Tensor, State]:
        read, keep = self._faded(values)
        keep = keep if along.rows is None else keep[along.rows]
        given = along.extras.decay
        along = along._replace(extras=along.extras._replace(decay=keep if given is None else keep * given))
        return super()._run(read, offsets, state, along)

    def _faded(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """What the gates read of each step, [steps, 2 * columns], and the decay of the state, [steps, hidden]."""
        x, mask, gap = (part.contiguous() for part in values.split(self.columns, dim=1))
        keep = _decay(ops.linear(gap, self.weight_dh, self.bias_dh))
        fade = gap * self.weight_dx
        fade = _decay(fade if self.bias_dx is None else fade + self.bias_dx)
        return torch.cat([x * (mask + (1 - mask) * fade), mask], dim=1), keep

    def gate_sums(self, x: Ragged, y: Ragged, state: State | None) -> tuple[list[Tensor], list[Tensor]]:
        """What `Recurrent.gate_sums` gives, from the faded values and the faded h_{t-1}."""
        state = self.initial_state(len(x)) if state is None else state
        h = before(y, state.hidden, self.reverse)
        read, keep = self._faded(x.values.to(h.dtype))
        of_x = nn.functional.linear(read, self.weight_ih, self.bias_ih)
        of_h = nn.functional.linear(keep * h, self.weight_hh, self.bias_hh)
        return list(of_x.split(self.hidden, 1)), list(of_h.split(self.hidden, 1))

    @classmethod
    def from_torch(
        cls, module: nn.Module, layer: int | None = None, reverse: bool | None = None, **options: Any
    ) -> Recurrent:
        """Raises ``OptionError``: ``torch.nn`` has no such layer."""
        raise OptionError("torch.nn has no GRU with decay to copy. Build it with GRUD(inputs, hidden).")

    step_layer = Cell.step_layer  # the decay is not in the compiled stepper


def _decay(rate: Tensor) -> Tensor:
    """exp(-max(0, rate)). Contiguous, since torch has other code, with other bits, where numbers lie apart."""
    return torch.exp(-rate.relu().contiguous())
