"""Convolutional long short-term memory."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor, nn

from elman.cells.base import IMAGES, CellOptions, State, draw_gates, even_sigmoid, new_parameter
from elman.cells.lstm import LSTMState
from elman.cells.scanned import Chunked
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ops.convolution import convolve, neighbours


class ConvLSTM(Chunked):
    """Long short-term memory over images, with convolutions in place of matrix products.

    ::

        i_t = sigmoid(W_i * x_t + U_i * h_{t-1} + p_i c_{t-1} + b_i)      * is convolution, p c is elementwise
        f_t = sigmoid(W_f * x_t + U_f * h_{t-1} + p_f c_{t-1} + b_f)
        c_t = f_t c_{t-1} + i_t tanh(W_g * x_t + U_g * h_{t-1} + b_g)
        o_t = sigmoid(W_o * x_t + U_o * h_{t-1} + p_o c_t + b_o)
        h_t = o_t tanh(c_t),    y_t = h_t

    A step of width `inputs` is a flattened image [channels, height, width], as are the `hidden` numbers of state; both
    must be multiples of height x width. Images are zero-padded. W is ``weight_ih``
    [4 * channels out, channels in, kernel, kernel], U ``weight_hh``, both as in ``torch.nn.Conv2d`` with rows i, f, g,
    o; p ``peephole_i``, ``peephole_f``, ``peephole_o`` [hidden], b ``bias`` [4 * channels out]; ``bias=False`` leaves b
    out. The bias of the forget gate starts at 1, peepholes at 0.

    - `image`: height and width. (1, 1), a single pixel, is an LSTM with peepholes (Gers & Schmidhuber 2000).
    - `kernel`: height and width of the convolution kernels, odd.

    Source: Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation nowcasting", 2015.

    >>> from elman.ragged import Ragged
    >>> cell = ConvLSTM(1 * 6 * 5, 8 * 6 * 5, image=(6, 5))
    >>> y, state = cell(Ragged.of([torch.randn(3, 30), torch.randn(1, 30)]))
    >>> y.values.shape, state.cell.shape
    (torch.Size([4, 240]), torch.Size([2, 240]))
    """

    reads = IMAGES
    state_type = LSTMState

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        image: tuple[int, int] = (1, 1),
        kernel: int = 3,
        bias: bool = True,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(inputs, hidden, **options)
        height, width = image
        pixels = height * width
        if min(height, width) < 1 or inputs % pixels or hidden % pixels:
            raise OptionError(
                f"inputs = {inputs} and hidden = {hidden} must be multiples of the {height} x {width} pixels of image."
            )
        if kernel < 1 or kernel % 2 == 0:
            raise OptionError(f"kernel must be odd, so that a pixel is in the middle of what it sees, got {kernel}.")
        self.image, self.kernel, self.channels = (height, width), kernel, hidden // pixels
        rows = 4 * self.channels
        self.weight_ih = new_parameter(options, rows, inputs // pixels, kernel, kernel)
        self.weight_hh = new_parameter(options, rows, self.channels, kernel, kernel)
        self.peephole_i, self.peephole_f, self.peephole_o = (new_parameter(options, hidden) for _ in "ifo")
        self.bias = new_parameter(options, rows) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters again, from torch's random generator; the forget gate starts open."""
        for weight in (self.weight_ih, self.weight_hh):
            draw_gates(weight, self.channels, nn.init.xavier_uniform_)
        for peephole in (self.peephole_i, self.peephole_f, self.peephole_o):
            nn.init.zeros_(peephole)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
            self.bias[self.channels : 2 * self.channels] = 1.0

    def _whole(self, values: Tensor, offsets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """All steps of W * x + b at once; then step after step, the sequences that are still going on together."""
        sequences = len(offsets) - 1
        state = self.initial_state(sequences) if state is None else state
        seen = neighbours(self.image, self.kernel)
        gates = convolve(self._by_pixel(values), seen, self.weight_ih, self.bias)
        for name, part in zip(("h0", "c0"), state, strict=True):
            self._check_state(name, part, values, sequences)
        h, c = self._by_pixel(state[0]), self._by_pixel(state[1])
        peepholes = [self._by_pixel(p[None]) for p in (self.peephole_i, self.peephole_f, self.peephole_o)]
        ys, rows = [], []
        for wave in ops.waves(offsets, 1, self.reverse):
            at, now = wave.sequences.to(h.device), torch.arange(len(values), device="cpu")[wave.rows].to(h.device)
            part, kept = self._step(gates[now] + convolve(h[at], seen, self.weight_hh), c[at], peepholes)
            h, c = h.index_copy(0, at, part), c.index_copy(0, at, kept)
            ys.append(part)
            rows.append(now)
        if ys:
            y = torch.cat(ys)[torch.cat(rows).argsort()]
        else:  # no step at all: every parameter still has a gradient, of zeros
            y = h.new_zeros(0, *h.shape[1:]) + gates.sum() + sum(p.sum() for p in self.parameters())
        return self._flat(y), LSTMState(self._flat(h), self._flat(c))

    def _step(self, gates: Tensor, c: Tensor, peepholes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """One step of some sequences: the new h and C, [sequences, pixels, channels]."""
        i, f, g, o = gates.split(self.channels, dim=2)
        write, keep = even_sigmoid(i + peepholes[0] * c), even_sigmoid(f + peepholes[1] * c)
        c = keep * c + write * torch.tanh(g.contiguous())
        return even_sigmoid(o + peepholes[2] * c) * torch.tanh(c), c

    def _check_state(self, name: str, part: Tensor, values: Tensor, sequences: int) -> None:
        if part.dtype != values.dtype:
            got, wanted = (str(tensor.dtype).removeprefix("torch.") for tensor in (part, values))
            raise ShapeError(f"{name} must be {wanted} as x is, got {got}. Convert one of them.")
        if part.shape != (sequences, self.units):
            raise ShapeError(f"{name} must have shape [{sequences}, {self.units}], got {list(part.shape)}.")

    def _by_pixel(self, values: Tensor) -> Tensor:
        """[rows, channels * pixels] to [rows, pixels, channels]."""
        pixels = math.prod(self.image)
        return values.reshape(len(values), values.shape[1] // pixels, pixels).transpose(1, 2).contiguous()

    def _flat(self, values: Tensor) -> Tensor:
        return values.transpose(1, 2).flatten(1)

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        return super().extra_repr() + f", image={self.image}, kernel={self.kernel}"
