"""HTML for notebooks escapes what it is given."""

from __future__ import annotations

import numpy as np
import pytest

import elman
from elman.evaluation.classification import ClassificationReport
from elman.tasks.translate.alignment import Alignment
from elman.training.history import Epoch, History
from elman.validation import html

EVIL = "<script>alert(1)</script>"


def test_every_cell_is_escaped() -> None:
    assert EVIL not in html.table([EVIL], [[EVIL]])
    assert html.image(None) == ""


def test_words_of_an_explanation_are_escaped() -> None:
    clf = elman.Classifier(hidden=4, epochs=1, verbose=False, unit="characters").fit([EVIL, "b"] * 4, [EVIL, "x"] * 4)
    shown = clf.explain([EVIL])._repr_html_() + clf._repr_mimebundle_()["text/html"]
    assert "<script>alert" not in shown
    assert "&lt;" in shown
    assert "rgba(" in shown


def test_the_history_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    records = [Epoch(i, 0.7 / i, {"accuracy": 0.8, "loss": 0.6}, 2.5, 1000.0, 1e-3, 0.5, 0.0) for i in (1, 2)]
    history = History("accuracy", records, best=2, stopped="patience")
    axes = history.plot()
    labels = [line.get_label() for line in axes.get_lines()]
    assert "validation accuracy (higher is better)" in labels
    assert "validation loss (lower is better)" in labels
    assert history.plot(axes) is axes
    assert repr(history) == (
        "<History: 2 epochs, epoch 2 kept, validation accuracy 0.8000 (higher is better), stopped early>"
    )
    assert "<td>kept</td>" in history._repr_html_()


def test_reports_and_alignments_are_shown_as_they_print_and_escaped() -> None:
    report = ClassificationReport([EVIL, "x"], np.array([0, 1]), np.array([0, 1]), np.eye(2))
    alignment = Alignment(["a"], [EVIL], np.ones((1, 1)))
    for one in (report, alignment):
        shown = one._repr_html_()
        assert EVIL not in shown
        assert html.escape(EVIL) in shown
        assert html.printed(one) in shown
