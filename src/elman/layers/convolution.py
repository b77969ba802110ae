"""Convolution along the steps of each sequence, before the recurrent layers: local patterns, and fewer steps.

    y_t = relu(N(W [x_{st-a}, ..., x_{st-a+k-1}] + b))        t = 0, 1, ... while st is a step of the sequence

k is the kernel, s the stride, a the steps that a window reads before its own: k - 1 where it is causal, so that a
stream can be read, else (k - 1) / 2. What lies beyond the edges of a sequence reads as zeros; neighbours in a batch are
never seen. N is batch normalisation (Ioffe & Szegedy 2015), whose statistics in evaluation are those of the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged

_TINY = 1e-5  # added to a variance before its root is taken


class Windows(NamedTuple):
    """Which rows each window of a batch reads, and where the windows of each sequence begin."""

    rows: Tensor  # [windows, kernel]; -1 beyond an edge
    offsets: Tensor  # [sequences + 1]


def windows(offsets: Tensor, kernel: int, stride: int = 1, before: int = 0, skip: int = 0) -> Windows:
    """The windows of sequences, one at each of the steps skip, skip + stride, skip + 2 stride ... of each of them.

    A window at step t reads the steps t - before ... t - before + kernel - 1 of its own sequence.

    >>> found = windows(torch.tensor([0, 3, 4]), kernel=3, stride=2, before=1)
    >>> found.rows.tolist(), found.offsets.tolist()
    ([[-1, 0, 1], [1, 2, -1], [-1, 3, -1]], [0, 2, 3])
    """
    lengths = offsets.diff()
    counts = ((lengths - skip).clamp(min=0) + stride - 1) // stride
    after = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    sequence = torch.repeat_interleave(torch.arange(len(counts), device="cpu"), counts)
    steps = (torch.arange(int(after[-1]), device="cpu") - after[sequence]) * stride + skip - before
    within = steps[:, None] + torch.arange(kernel, device="cpu")
    inside = (within >= 0) & (within < lengths[sequence, None])
    return Windows(torch.where(inside, within + offsets[sequence, None], -1), after)


class ConvolutionState(NamedTuple):
    """The state of a layer in a stream: the inputs that later windows still read, and how many there were."""

    recent: Tensor  # [kernel - 1, inputs]
    seen: Tensor  # [1], int64


class ConvolutionLayer(nn.Module):
    """One convolution with its normalisation and nonlinearity: [steps, inputs] to [steps / stride, outputs]."""

    mean: Tensor
    variance: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, causal: bool) -> None:
        super().__init__()
        self.inputs, self.outputs, self.kernel, self.stride, self.causal = inputs, outputs, kernel, stride, causal
        self.weight = nn.Parameter(torch.empty(outputs, kernel * inputs))
        self.gain, self.bias = nn.Parameter(torch.ones(outputs)), nn.Parameter(torch.zeros(outputs))
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("variance", torch.ones(outputs))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: Ragged) -> Ragged:
        """Forwards whole sequences."""
        expect_ragged(x, self)
        before = self.kernel - 1 if self.causal else (self.kernel - 1) // 2
        found = windows(x.offsets, self.kernel, self.stride, before)
        return Ragged(self._read(x.values, found.rows), found.offsets)

    def initial_state(self) -> ConvolutionState:
        """Before the first step: zeros, as beyond the edge of a whole sequence."""
        recent = self.gain.new_zeros(self.kernel - 1, self.inputs)
        return ConvolutionState(recent, torch.zeros(1, dtype=torch.int64, device="cpu"))

    def advance(self, values: Tensor, state: ConvolutionState) -> tuple[Tensor, ConvolutionState]:
        """The windows that end in the next steps [steps, inputs] of one sequence; causal layers only."""
        known = torch.cat([state.recent, values])
        kept = self.kernel - 1
        skip = kept + int(-state.seen) % self.stride
        found = windows(torch.tensor([0, len(known)], device="cpu"), self.kernel, self.stride, kept, skip)
        after = ConvolutionState(known[len(known) - kept :], state.seen + len(values))
        return self._read(known, found.rows), after

    def _read(self, values: Tensor, rows: Tensor) -> Tensor:
        padded = torch.cat([values, values.new_zeros(1, self.inputs)])  # the row that -1 reads
        taps = padded[rows.to(values.device)].flatten(1)
        if self.training and len(taps) > 1:
            made = ops.linear(taps, self.weight)
            args = self.mean, self.variance, self.gain, self.bias
            return nn.functional.batch_norm(made, *args, training=True, eps=_TINY).relu()
        # One product with the statistics in its weights: each row's bits its own.
        scale = self.gain / torch.sqrt(self.variance + _TINY)
        return ops.linear(taps, self.weight * scale[:, None], self.bias - self.mean * scale).relu()

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        shown = f"{self.inputs}, {self.outputs}, kernel={self.kernel}, stride={self.stride}"
        return shown + (", causal=True" if self.causal else "")


class Convolution(nn.Module):
    """Layers of 1-D convolution over sequences of any length, none of which sees another: see the head of this file.

    - `inputs`: width of a step; `channels`: width of what each layer gives, one number a layer;
    - `kernel`: steps that a window reads, at least 1;
    - `stride`: steps from window to window of each layer, at least 1; n steps become ceil(n / stride);
    - `causal`: a window ends at its step, so that the layers can follow a stream (`advance`, with the same bits).

    ``outputs`` is the width of what comes out. Raises ``OptionError``.

    Source: LeCun et al., "Backpropagation applied to handwritten zip code recognition", 1989; in time, Waibel et al.,
    "Phoneme recognition using time-delay neural networks", 1989.

    >>> layers = Convolution(3, channels=(8, 4), kernel=5, stride=2)
    >>> y = layers(Ragged.of([torch.randn(9, 3), torch.randn(1, 3)]))
    >>> y.lengths.tolist(), y.width
    ([3, 1], 4)
    """

    def __init__(
        self, inputs: int, channels: int | Sequence[int], kernel: int = 5, stride: int = 1, causal: bool = False
    ) -> None:
        super().__init__()
        widths = [channels] if isinstance(channels, int) else list(channels)
        sizes = {"inputs": inputs, "channels": min(widths, default=0), "kernel": kernel, "stride": stride}
        for name, size in sizes.items():
            if size < 1:
                raise OptionError(f"{name} must be at least 1, got {size}.")
        self.inputs, self.outputs, self.causal = inputs, widths[-1], causal
        self.layers = nn.ModuleList(
            ConvolutionLayer(width_in, width, kernel, stride, causal)
            for width_in, width in zip([inputs, *widths], widths, strict=False)
        )

    def forward(self, x: Ragged) -> Ragged:
        """[steps, inputs] to [fewer steps, outputs]."""
        expect_ragged(x, self)
        if x.values.dim() != 2 or x.values.shape[1] != self.inputs:
            raise ShapeError(
                f"Convolution expects steps of width {self.inputs}, got values of shape {list(x.values.shape)}. "
                f"Build it with inputs={x.values.shape[-1]}."
            )
        for layer in self._layers():
            x = layer(x)
        return x

    def initial_state(self) -> tuple[ConvolutionState, ...]:
        """The state of a stream before its first step."""
        return tuple(layer.initial_state() for layer in self._layers())

    @torch.no_grad()
    def advance(
        self, values: Tensor, state: tuple[ConvolutionState, ...]
    ) -> tuple[Tensor, tuple[ConvolutionState, ...]]:
        """The next steps [steps, inputs] of one sequence: what they complete, maybe nothing, and the next state.

        For evaluation. Raises ``OptionError`` unless `causal`.
        """
        if not self.causal:
            raise OptionError("this convolution reads steps that are yet to come. Build it with causal=True to stream.")
        after = []
        for layer, before in zip(self._layers(), state, strict=True):
            values, now = layer.advance(values, before)
            after.append(now)
        return values, tuple(after)

    def _layers(self) -> list[ConvolutionLayer]:
        return [layer for layer in self.layers if isinstance(layer, ConvolutionLayer)]
