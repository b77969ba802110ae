"""Which inputs a cell can read."""

from typing import Any

from elman.cells import CELLS
from elman.cells.base import VECTORS
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
