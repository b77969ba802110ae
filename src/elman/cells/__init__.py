"""What remembers: one file per cell, and this list of them."""

from elman.cells.base import Cell, Recurrent, State
from elman.cells.gru import GRU
from elman.cells.lstm import LSTM
from elman.cells.rnn import RNN, ReluRNN

#: Every cell by the name that options, the command line and saved models use.
CELLS: dict[str, type[Cell]] = {"rnn": RNN, "rnn_relu": ReluRNN, "lstm": LSTM, "gru": GRU}

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cell", "Recurrent", "ReluRNN", "State"]
