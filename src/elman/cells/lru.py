"""Linear recurrent unit."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Unpack

import torch
from torch import Tensor, nn

from elman.cells.base import CellOptions, State, check_longest, new_parameter
from elman.cells.scanned import Chunked
from elman.errors import OptionError
from elman.ops import functional as ops
from elman.ragged import Ragged

ACTIVATIONS = ("relu", "none")


class LRUState(NamedTuple):
    """The state of an LRU: the real and the imaginary part of h, each [sequences, units]."""

    real: Tensor
    imaginary: Tensor


class LRU(Chunked):
    """Linear recurrent unit: a complex state that decays and turns, each unit at its own fixed rate; no gates.

    ::

        Lambda = exp(-exp(nu) + i exp(theta))               |Lambda| < 1, whatever nu is
        h_t = Lambda * h_{t-1} + exp(gamma) * (B x_t)       complex, [units]
        y_t = activation(Re(C h_t) + D x_t + b)             [hidden]

    nu, theta and gamma are ``nu_log``, ``theta_log``, ``gamma_log`` [units]. B is ``weight_ih`` [2 * units, inputs],
    the rows of its real part, then of its imaginary part. C is ``weight_ho`` [hidden, 2 * units]: the columns of its
    real part, then of minus its imaginary part, so that Re(C h) is a plain product. D is ``weight_io``
    [hidden, inputs], b ``bias_o``.

    - `units`: complex numbers of state; None: `hidden`.
    - `activation`: "relu" or "none". The paper's cell ends at Re(C h_t) + D x_t, which is "none" with ``bias=False``:
      it is linear in x, and so is a stack of them. The paper puts nonlinear layers in between; here a ReLU does.
    - `r_min`, `r_max`, `max_phase`: Lambda starts evenly on the ring r_min <= |Lambda| <= r_max, its angle between 0
      and `max_phase`. The paper's start, 0, 1 and 2 pi, is the default; where memories are hundreds of steps long it
      takes a ring near 1, such as 0.9 to 0.999, and smaller angles. gamma starts at log sqrt(1 - |Lambda|^2), which
      keeps the size of h that of B x.
    - `max_timescale`: in place of the ring, units that remember 2 to so many steps, 1 / -log |Lambda| of them, the
      logarithm even, and that turn at most once in the steps they remember (not in the paper).

    Source: Orvieto et al., "Resurrecting recurrent neural networks for long sequences", 2023.

    >>> from elman.ragged import Ragged
    >>> cell = LRU(3, 4, units=6)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(1, 3)]))
    >>> y.values.shape, state.real.shape, state.imaginary.shape
    (torch.Size([6, 4]), torch.Size([2, 6]), torch.Size([2, 6]))
    """

    state_type = LRUState
    activations: ClassVar[dict[str, str]] = {"a": "kept"}
    keeps = "a"
    spreads = True

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        units: int | None = None,
        activation: str = "relu",
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        max_timescale: float | None = None,
        bias: bool = True,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(inputs, hidden, units=units, **options)
        if activation not in ACTIVATIONS:
            raise OptionError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
        if not 0 <= r_min < r_max <= 1:
            raise OptionError(f"r_min and r_max must have 0 <= r_min < r_max <= 1, got {r_min} and {r_max}.")
        if not 0 < max_phase <= 2 * math.pi:
            raise OptionError(f"max_phase must be above 0 and at most 2 pi, got {max_phase}.")
        check_longest(max_timescale)
        self.activation, self.r_min, self.r_max, self.max_phase = activation, r_min, r_max, max_phase
        self.max_timescale = max_timescale
        self.nu_log, self.theta_log, self.gamma_log = (new_parameter(options, self.units) for _ in range(3))
        self.weight_ih = new_parameter(options, 2 * self.units, inputs)
        self.weight_ho = new_parameter(options, hidden, 2 * self.units)
        self.weight_io = new_parameter(options, hidden, inputs)
        self.bias_o = new_parameter(options, hidden) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator."""
        u, v = torch.rand(2, self.units, dtype=torch.float64).clamp(min=1e-9)
        square = self.r_min**2 + u * (self.r_max**2 - self.r_min**2)  # |Lambda|^2, even over the ring's area
        turn: Tensor | float = self.max_phase
        if self.max_timescale is not None:
            memory = 2 * (self.max_timescale / 2) ** u
            square, turn = (-2 / memory).exp(), 2 * math.pi / memory
        self.nu_log.copy_((-0.5 * square.log()).log())
        self.theta_log.copy_((turn * v).log())
        self.gamma_log.copy_(0.5 * (1 - square).log())
        nn.init.normal_(self.weight_ih, std=(2 * self.inputs) ** -0.5)
        nn.init.normal_(self.weight_ho, std=self.units**-0.5)
        nn.init.normal_(self.weight_io, std=self.inputs**-0.5)
        if self.bias_o is not None:
            nn.init.zeros_(self.bias_o)

    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        # Contiguous, because torch takes other code for exp, cos and sin where numbers lie apart, with other bits.
        nu, theta, gamma = (p.contiguous() for p in (self.nu_log, self.theta_log, self.gamma_log))
        modulus, phase = torch.exp(-torch.exp(nu)), torch.exp(theta)
        decay = torch.cat([modulus * torch.cos(phase), modulus * torch.sin(phase)])
        weight = self.weight_ih * torch.exp(gamma).repeat(2)[:, None]
        h0, j0 = (None, None) if state is None else state
        h, *last = ops.scan("lru", ops.linear(values, weight), offsets, decay, h0, j0, self.reverse)
        y = ops.linear(h, self.weight_ho, self.bias_o) + ops.linear(values, self.weight_io)
        return y.relu() if self.activation == "relu" else y, LRUState(*last)

    def extra_repr(self) -> str:
        """The sizes and the activation, for printing."""
        return super().extra_repr() + f", units={self.units}, activation={self.activation!r}"

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """a = |Lambda|, the fraction of h_{t-1} that is kept: the same at every step."""
        return {"a": torch.exp(-torch.exp(self.nu_log)).expand(x.steps, self.units)}
