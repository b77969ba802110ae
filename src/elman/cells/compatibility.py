"""Which inputs a cell can read, and which cell a layer of torch is."""

from typing import Any

from torch import nn

from elman.cells import CELLS, Recurrent
from elman.cells.base import VECTORS
from elman.cells.recurrent import torch_kernel
from elman.errors import Problem


def reads(name: object) -> str:
    """What a step is to the cell of that name; vectors for other names and None.

    >>> reads("lstm"), reads("conv_lstm"), reads(None)
    ('vectors', 'images', 'vectors')
    """
    return CELLS[name].reads if isinstance(name, str) and name in CELLS else VECTORS


def reads_symbols(options: Any) -> list[Problem]:
    """A problem unless the cell reads vectors, for tasks that read symbols.

    >>> from types import SimpleNamespace
    >>> print(*reads_symbols(SimpleNamespace(cell="conv_lstm")))
    cell = 'conv_lstm' reads no symbols but images; take lstm, gru, rnn, min_gru ...
    """
    if (what := reads(options.cell)) == VECTORS:
        return []
    return [Problem("cell", repr(options.cell), f"reads no symbols but {what}; take lstm, gru, rnn, min_gru ...")]


def equivalent(module: nn.Module) -> tuple[str, type[Recurrent]] | None:
    """Name and class of the cell with the equations of a ``torch.nn`` RNN, LSTM, GRU or their cells; None for others.

    >>> equivalent(nn.RNN(2, 3)), equivalent(nn.Linear(2, 3))
    (('rnn', <class 'elman.cells.rnn.RNN'>), None)
    """
    kernel = torch_kernel(module)
    found = ((name, cell) for name, cell in CELLS.items() if issubclass(cell, Recurrent) and cell.kernel == kernel)
    return next(found, None)
