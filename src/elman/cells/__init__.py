"""Recurrent cells, one file each."""

from elman.cells.base import Cell, State
from elman.cells.conv_lstm import ConvLSTM
from elman.cells.gru import GRU
from elman.cells.gru_d import GRUD
from elman.cells.gru_reset_before import ResetBeforeGRU
from elman.cells.ln_lstm import LayerNormLSTM
from elman.cells.lru import LRU
from elman.cells.lstm import LSTM
from elman.cells.min_gru import MinGRU
from elman.cells.min_lstm import MinLSTM
from elman.cells.recurrent import Recurrent
from elman.cells.rnn import RNN, ReluRNN
from elman.cells.scanned import Scanned

#: Every cell by the name that options, the command line and saved models use.
CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "rnn_relu": ReluRNN,
    "lstm": LSTM,
    "ln_lstm": LayerNormLSTM,
    "gru": GRU,
    "gru_reset_before": ResetBeforeGRU,
    "gru_d": GRUD,
    "min_gru": MinGRU,
    "min_lstm": MinLSTM,
    "lru": LRU,
    "conv_lstm": ConvLSTM,
}

__all__ = [
    "CELLS",
    "GRU",
    "GRUD",
    "LRU",
    "LSTM",
    "RNN",
    "Cell",
    "ConvLSTM",
    "LayerNormLSTM",
    "MinGRU",
    "MinLSTM",
    "Recurrent",
    "ReluRNN",
    "ResetBeforeGRU",
    "Scanned",
    "State",
]
