"""Progress fits a terminal; what a training shows is in test_loop.py, and that of each task in laws/test_printed.py."""

import io
import time

import pytest

from elman.training.history import Epoch, History
from elman.training.progress import Bar, Lines, Silence, epoch_line, has_bar, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "term", "expected"),
    [(Terminal(), "xterm", Bar), (Terminal(), "dumb", Lines), (io.StringIO(), "xterm", Lines), (None, "", Silence)],
)
def test_a_bar_needs_a_terminal(monkeypatch, stream, term, expected):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", stream)
    with progress(2, 10, wanted=True) as show:
        assert type(show) is expected
    with progress(2, 10, wanted=False) as show:
        assert type(show) is Silence


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_has_a_bar_where_it_has_widgets(monkeypatch, widgets):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("elman.training.progress.find_spec", lambda name: widgets or None)
    assert has_bar() is widgets


def test_the_time_is_estimated_once(monkeypatch, capsys):
    now = iter(range(0, 1000, 3))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    lines = Lines(epochs=20, steps=100)
    for steps in (10.0, 20.0, 30.0):
        lines.batch(1, 0.5, steps)
    assert capsys.readouterr().err == "elman: at most 10 min left, 30 s an epoch\n"


def test_an_epoch_is_one_line_of_80_columns():
    names = ("accuracy", "macro_f1", "loss", "accuracy_recurrent", "accuracy_ngrams")
    record = Epoch(18, 0.1234, dict.fromkeys(names, 0.8765), 123.4, 1_234_567.0, 1e-3, 0.5, 0.0)
    history = History("accuracy", [record] * 18, best=18)
    line = epoch_line(history, 20, 80)
    assert len(line) < 80
    assert line == "epoch 18/20  training loss 0.1234  validation accuracy 0.8765  123.4 s  best"
    wide = epoch_line(history, 20, 200)
    assert "  validation loss 0.8765  validation accuracy recurrent 0.8765  " in wide
