"""Pooling: one row for each sequence from all of its steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from elman.errors import OptionError, ShapeError
from elman.layers.linear import Linear
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged

POOLS = ("last", "mean", "max", "attention")


class Pool(nn.Module):
    """One row per sequence from all of its steps.

    ::

        last       out = h_T
        mean       out = sum_t h_t / T
        max        out = max_t h_t, unit by unit
        attention  out = sum_t a_t h_t,  a = softmax_t(v . tanh(A h_t + b))

    `kind` is one of these or several joined by "+", which stand side by side ("mean+max"); `width` is that of a step;
    ``outputs`` that of the result. A sequence without steps gets zeros. The same sums run step by step through `step`,
    with the same bits. Attention: Bahdanau et al. 2015; for classification Yang et al. 2016.

    >>> Pool("mean", 2)(Ragged.of([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[2.0, 3.0]]
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        self.kinds = kind.split("+")
        if not set(self.kinds) <= set(POOLS):
            raise OptionError(f"pool must be one of {', '.join(POOLS)}, or some joined by '+', got {kind!r}.")
        self.outputs = width * len(self.kinds)
        if "attention" in self.kinds:
            self.attend = Linear(width, width)
            self.score = Linear(width, 1, bias=False)

    def forward(self, x: Ragged) -> Tensor:
        """[steps, width] to [sequences, outputs]."""
        expect_ragged(x, self)
        self._check(x.values)
        parts = [
            _last(x) if kind == "last" else ops.pool(kind, x.values, x.offsets, self._scores(kind, x.values))
            for kind in self.kinds
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def initial_state(self, sequences: int) -> Tensor:
        """The running state of so many sequences that have no steps yet: float64 [sequences, parts, width + 2]."""
        state = torch.zeros(sequences, len(self.kinds), self.width + 2, dtype=torch.float64, device="cpu")
        state[..., -1] = -math.inf
        return state

    @torch.no_grad()
    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Adds one step [sequences, width] of each sequence; returns the result so far and the next state."""
        self._check(x)
        offsets = torch.arange(len(x) + 1, device="cpu")
        parts, after = [], []
        for index, kind in enumerate(self.kinds):
            before = state[:, index].double().contiguous()
            if kind == "last":
                parts.append(x)
                after.append(torch.cat([x.double(), before[:, -2:]], dim=1))
                continue
            out, now = ops.pool_on(kind, x, offsets, self._scores(kind, x), before)
            parts.append(out)
            after.append(now)
        return torch.cat(parts, dim=1), torch.stack(after, dim=1)

    def read(self, state: Tensor) -> Tensor:
        """The result that a running state stands for, as `step` returned it, in float32; zeros before the first."""
        parts = []
        for index, kind in enumerate(self.kinds):
            total, count = state[:, index, :-2], state[:, index, -2:-1]
            divide = kind in ("mean", "attention")
            parts.append(total / torch.where(count == 0, 1.0, count) if divide else total)
        return torch.cat(parts, dim=1).float()

    def _scores(self, kind: str, values: Tensor) -> Tensor | None:
        if kind != "attention":
            return None
        scores: Tensor = self.score(torch.tanh(self.attend(values)))
        return scores[:, 0]

    def _check(self, values: Tensor) -> None:
        if values.dim() != 2 or values.shape[1] != self.width:
            raise ShapeError(
                f"Pool expects steps of width {self.width}, got values of shape {list(values.shape)}. "
                f"Build it with width={values.shape[-1]}."
            )

    def extra_repr(self) -> str:
        """Kind and width, for printing."""
        return f"{self.kind!r}, {self.width}"


def _last(x: Ragged) -> Tensor:
    if x.steps == 0:
        return x.values.new_zeros(x.sequences, x.width) + x.values.sum()  # a sum of nothing, within the graph
    last = x.values[(x.offsets[1:] - 1).clamp(min=0).to(x.values.device)]
    return torch.where((x.lengths > 0).to(last.device)[:, None], last, torch.zeros_like(last))
