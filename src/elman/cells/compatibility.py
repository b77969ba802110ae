"""What a cell reads, asked of the cell."""

from typing import Any

from elman.cells import CELLS
from elman.errors import Problem

__all__ = ["reads_symbols"]


def reads_symbols(options: Any) -> list[Problem]:
    """A sentence unless the cell reads vectors of any numbers, as symbols have; for tasks that read nothing else.

    >>> from types import SimpleNamespace
    >>> print(*reads_symbols(SimpleNamespace(cell="conv_lstm")))
    cell = 'conv_lstm' reads no symbols but images; take lstm, gru, rnn, min_gru ...
    """
    cell = CELLS.get(options.cell) if isinstance(options.cell, str) else None
    if cell is None or cell.reads == "vectors":
        return []
    return [Problem("cell", repr(options.cell), f"reads no symbols but {cell.reads}; take lstm, gru, rnn, min_gru ...")]
