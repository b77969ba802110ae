"""The learning curve: drawn for any history, and without matplotlib a note."""

import math
import sys
import warnings

import pytest

from elman.evaluation.learning_curve import learning_curve
from elman.training.history import History
from histories import history


@pytest.mark.parametrize(
    "curve",
    [
        history(),
        history(1, best=1),
        history(100),
        history(values=()),
        history(metric="loss"),
        history(metric="a_$b$_metric"),
        history(best=0, values=(math.nan,), stopped="interrupted"),
        history(values=(math.inf, 0.5, 0.1), stopped="patience"),
        history(values=(1e9, 0.5, 0.1)),
    ],
    ids=["plain", "one", "many", "unvalidated", "loss", "dollars", "nan", "inf", "pressed"],
)
def test_every_curve_can_be_drawn(curve):
    pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib (the extra plot) is missing")
    picture = learning_curve(curve, "电影评论 $x")
    assert picture.startswith(b"\x89PNG")
    assert picture == learning_curve(curve, "电影评论 $x")
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert learning_curve(history()) is None
    assert "pip install 'elman[plot]'" in capsys.readouterr().err
    assert learning_curve(History()) is None
    assert capsys.readouterr().err == ""


def test_drawing_leaves_warning_filters_alone():
    before = list(warnings.filters)
    learning_curve(history(), "题")
    assert warnings.filters == before
