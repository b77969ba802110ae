"""Progress fits a terminal; what a training shows is in test_train.py."""

from elman.training.history import Epoch, History
from elman.training.progress import epoch_line


def test_an_epoch_is_one_line_of_80_columns():
    names = ("accuracy", "macro_f1", "loss", "accuracy_recurrent", "accuracy_ngrams")
    record = Epoch(18, 0.1234, dict.fromkeys(names, 0.8765), 123.4, 1_234_567.0, 1e-3, 0.5, 0.0)
    history = History("accuracy", [record] * 18, best=18)
    line = epoch_line(history, 20, 80)
    assert len(line) < 80
    assert line == "epoch 18/20  training loss 0.1234  validation accuracy 0.8765  123.4 s  best"
    wide = epoch_line(history, 20, 200)
    assert "  validation loss 0.8765  validation accuracy recurrent 0.8765  " in wide
