"""``torch.nn``'s recurrent layers on the compiled core: same constructor, parameters, call and results.

    from elman import nn
    lstm = nn.LSTM(100, 128, num_layers=2, bidirectional=True)

takes what ``torch.nn.LSTM`` takes, and a `Ragged`, and gives back the kind it was given. For a model that exists,
``nn.accelerate(model)`` does the same to the layers inside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import OptionError
from elman.nn import rnn as drop_in
from elman.nn.accelerate import Layer, Report, accelerate, restore
from elman.nn.stepping import Stepping
from elman.ops.functional import checked_flag

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "Layer", "RNNCell", "Report", "accelerate", "restore"]


def _refuse_script(self: Any) -> nn.Module:
    name = type(self).__name__
    raise OptionError(
        f"torch.jit.script cannot compile elman.nn.{name}. Use torch.export, torch.compile or torch.jit.trace, or "
        f"script a model with torch.nn.{name} in its place: load_state_dict takes the parameters as they are."
    )


class _Layers(drop_in.OnElman, Stepping, nn.RNNBase):
    """The call that RNN, LSTM and GRU share. Parameters, names and initialisation are those of ``torch.nn``.

    The classes derive from torch's RNNBase and not from its RNN, LSTM and GRU, whose instances torch.compile refuses.
    """

    _torch: type[nn.RNNBase]
    checkpointing = False  # of layers pickled before there was a choice

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Forwards whole sequences.

        `input` is a Ragged, a PackedSequence, a jagged nested tensor, or a Tensor [T, B, inputs] ([B, T, inputs] with
        ``batch_first``) or [T, inputs]; the output is of the same kind. `hx` is [layers * directions, B, hidden] (for
        an LSTM a pair of these, the first proj_size wide where there are projections), zeros when left out. T and B may
        be 0: the last state is then the initial one.

        Raises ``ShapeError`` for shapes and dtypes that do not fit, ``OptionError`` for what the kernels do not do.
        """
        node = drop_in.traced(self, input, hx)
        if node is not None:
            return node
        if drop_in.is_for_torch(self, input, hx):
            return self._as_torch().forward(input, hx)
        return drop_in.forward(self, input, hx, self.checkpointing)

    def extra_repr(self) -> str:
        return super().extra_repr() + (", checkpointing=True" if self.checkpointing else "")

    def _as_torch(self) -> nn.RNNBase:
        """torch's layer of the same name over the very attributes of this one."""
        twin = object.__new__(self._torch)
        object.__setattr__(twin, "__dict__", self.__dict__)
        return twin

    __prepare_scriptable__ = _refuse_script


class RNN(_Layers):
    """``torch.nn.RNN`` on the compiled core. See ``elman.cells.RNN`` for the equations.

    >>> y, h = RNN(3, 4, nonlinearity="relu")(torch.randn(5, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    _torch = nn.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpointing: bool = False,
    ) -> None:
        self.checkpointing = checked_flag(checkpointing, "checkpointing")
        if nonlinearity not in ("tanh", "relu"):
            raise OptionError(f"nonlinearity must be tanh or relu, got {nonlinearity!r}.")
        self.nonlinearity = nonlinearity
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, device=device, dtype=dtype,
        )  # fmt: skip


class LSTM(_Layers):
    """``torch.nn.LSTM`` on the compiled core. See ``elman.cells.LSTM`` for the equations.

    >>> from elman.ragged import Ragged
    >>> y, (h, c) = LSTM(3, 4, bidirectional=True)(Ragged.of([torch.randn(5, 3), torch.randn(2, 3)]))
    >>> y.offsets.tolist(), y.width, h.shape
    ([0, 5, 7], 8, torch.Size([2, 2, 4]))
    """

    _torch = nn.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpointing: bool = False,
    ) -> None:
        self.checkpointing = checked_flag(checkpointing, "checkpointing")
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device=device, dtype=dtype,
        )  # fmt: skip


class GRU(_Layers):
    """``torch.nn.GRU`` on the compiled core. See ``elman.cells.GRU`` for the equations.

    >>> y, h = GRU(3, 4, num_layers=2, batch_first=True)(torch.randn(2, 5, 3))
    >>> y.shape, h.shape
    (torch.Size([2, 5, 4]), torch.Size([2, 2, 4]))
    """

    _torch = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpointing: bool = False,
    ) -> None:
        self.checkpointing = checked_flag(checkpointing, "checkpointing")
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device,
            dtype=dtype,
        )  # fmt: skip


class _Cell(drop_in.OnElman):
    """The call that RNNCell, LSTMCell and GRUCell share, each before torch's class of that name."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Forwards one step: [B, inputs] or [inputs] to the next `hx`, [B, hidden] or [hidden].

        For an LSTMCell `hx` is a pair of these, h and c. Zeros when left out. Raises ``ShapeError``.
        """
        cell: Any = self
        node = drop_in.traced(cell, input, hx)
        if node is not None:
            return node
        if drop_in.is_for_torch(cell, input, hx):
            return super().forward(input, hx)  # type: ignore[misc]
        return drop_in.step(cell, input, hx)

    __prepare_scriptable__ = _refuse_script


class RNNCell(_Cell, nn.RNNCell):
    """``torch.nn.RNNCell`` on the compiled core: one step of ``RNN``.

    >>> cell = RNNCell(3, 4)
    >>> cell(torch.randn(2, 3), cell(torch.randn(2, 3))).shape
    torch.Size([2, 4])
    """


class LSTMCell(_Cell, nn.LSTMCell):
    """``torch.nn.LSTMCell`` on the compiled core: one step of ``LSTM``.

    >>> h, c = LSTMCell(3, 4)(torch.randn(3))
    >>> h.shape, c.shape
    (torch.Size([4]), torch.Size([4]))
    """


class GRUCell(_Cell, nn.GRUCell):
    """``torch.nn.GRUCell`` on the compiled core: one step of ``GRU``.

    >>> GRUCell(3, 4)(torch.randn(2, 3), torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """
