"""``torch.nn``'s recurrent layers on the compiled core: same constructor, parameters, call and results.

    from elman import nn
    lstm = nn.LSTM(100, 128, num_layers=2, bidirectional=True)

takes what ``torch.nn.LSTM`` takes, and a `Ragged`, and gives back the kind it was given.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import ops
from elman.errors import OptionError, ShapeError
from elman.ragged import Ragged


class _Layers(nn.RNNBase):
    """The call that RNN, LSTM and GRU share. Parameters, names and initialisation are those of ``torch.nn``."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Forwards whole sequences.

        `input` is a Ragged, a PackedSequence, a jagged nested tensor, or a Tensor [T, B, inputs] ([B, T, inputs] with
        ``batch_first``) or [T, inputs]; the output is of the same kind. `hx` is [layers * directions, B, hidden] (for
        an LSTM a pair of these), zeros when left out.
        """
        if self.proj_size:
            raise OptionError(f"proj_size={self.proj_size} is not supported yet. Use torch.nn.LSTM for projections.")
        if isinstance(input, Ragged):
            return self._ragged(input, hx)
        if isinstance(input, PackedSequence):
            y, last = self._ragged(Ragged.from_packed(input), hx)
            return y.to_packed(like=input), last
        if isinstance(input, Tensor) and input.is_nested:
            y, last = self._ragged(Ragged.from_nested(input), hx)
            return y.to_nested(), last
        return self._tensor(input, hx)

    def _tensor(self, input: Tensor, hx: Any) -> tuple[Tensor, Any]:
        if input.dim() == 2:
            if hx is not None:
                hx = hx[:, None] if isinstance(hx, Tensor) else tuple(part[:, None] for part in hx)
            y, last = self._ragged(Ragged(input, torch.tensor([0, len(input)])), hx)
            alone = tuple(part[:, 0] for part in last) if isinstance(last, tuple) else last[:, 0]
            return y.values, alone
        if input.dim() != 3:
            raise ShapeError(f"input must have 2 or 3 dimensions, got shape {list(input.shape)}.")
        by_sequence = input if self.batch_first else input.transpose(0, 1)
        sequences, length = by_sequence.shape[:2]
        offsets = torch.arange(sequences + 1) * length
        y, last = self._ragged(Ragged(by_sequence.reshape(sequences * length, by_sequence.shape[2]), offsets), hx)
        output = y.values.reshape(sequences, length, y.width)
        return (output if self.batch_first else output.transpose(0, 1)), last

    def _ragged(self, x: Ragged, hx: Any) -> tuple[Ragged, Any]:
        ways = 2 if self.bidirectional else 1
        lstm = self.mode == "LSTM"
        h0, c0 = self._initial(hx, x.sequences)
        h_last, c_last = [], []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                x = x.with_values(nn.functional.dropout(x.values, self.dropout, self.training))
            sides = []
            for way in range(ways):
                at = layer * ways + way
                end = f"_l{layer}{'_reverse' if way else ''}"
                y, h, c = ops.recur(
                    self.mode.lower(), x.values, x.offsets, getattr(self, "weight_ih" + end),
                    getattr(self, "weight_hh" + end), getattr(self, "bias_ih" + end, None),
                    getattr(self, "bias_hh" + end, None), None if h0 is None else h0[at],
                    None if c0 is None else c0[at], way == 1,
                )  # fmt: skip
                sides.append(y)
                h_last.append(h)
                c_last.append(c)
            x = x.with_values(sides[0] if ways == 1 else torch.cat(sides, dim=1))
        h = torch.stack(h_last)
        return x, (h, torch.stack(c_last)) if lstm else h

    def _initial(self, hx: Any, sequences: int) -> tuple[Tensor | None, Tensor | None]:
        if hx is None:
            return None, None
        parts = tuple(hx) if self.mode == "LSTM" else (hx,)
        ways = 2 if self.bidirectional else 1
        expected = [self.num_layers * ways, sequences, self.hidden_size]
        for part in parts:
            if list(part.shape) != expected:
                raise ShapeError(f"hx must have shape {expected}, got {list(part.shape)}.")
        return parts[0], parts[1] if len(parts) > 1 else None


class RNN(_Layers, nn.RNN):
    """``torch.nn.RNN`` on the compiled core. See ``elman.cells.RNN`` for the equations.

    >>> y, h = RNN(3, 4, nonlinearity="relu")(torch.randn(5, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """


class LSTM(_Layers, nn.LSTM):
    """``torch.nn.LSTM`` on the compiled core. See ``elman.cells.LSTM`` for the equations.

    >>> y, (h, c) = LSTM(3, 4, bidirectional=True)(Ragged.of([torch.randn(5, 3), torch.randn(2, 3)]))
    >>> y.offsets.tolist(), y.width, h.shape
    ([0, 5, 7], 8, torch.Size([2, 2, 4]))
    """


class GRU(_Layers, nn.GRU):
    """``torch.nn.GRU`` on the compiled core. See ``elman.cells.GRU`` for the equations.

    >>> y, h = GRU(3, 4, num_layers=2, batch_first=True)(torch.randn(2, 5, 3))
    >>> y.shape, h.shape
    (torch.Size([2, 5, 4]), torch.Size([2, 2, 4]))
    """
