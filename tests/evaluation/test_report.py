"""What people see: it must hold for any label, any curve, and without matplotlib."""

import datetime as dt
import io
import math
import sys
import warnings

import pytest
from rich.console import Console

from elman.evaluation import tables as report
from elman.evaluation.metrics import confusion, per_class
from elman.training.history import Epoch, History


def history(epochs=3, metric="accuracy", best=2, stopped="finished", values=(0.7, 0.9, 0.8)):
    records = [
        Epoch(i + 1, 1 / (i + 1), {metric: values[i % len(values)]} if values else {}, 1.5, 1e5, 1e-3, 0.5, 0.1)
        for i in range(epochs)
    ]
    return History(metric, records, best, stopped)


def text_of(*tables):
    console = Console(file=io.StringIO(), width=200)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


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
    ],
    ids=["plain", "one", "many", "unvalidated", "loss", "dollars", "nan", "inf"],
)
def test_every_curve_can_be_drawn(curve):
    pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib (the extra plot) is missing")
    picture = report.learning_curve(curve, "电影评论 $x")
    assert picture.startswith(b"\x89PNG")
    assert picture == report.learning_curve(curve, "电影评论 $x")
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert report.learning_curve(history()) is None
    assert "pip install 'elman[plot]'" in capsys.readouterr().err
    assert report.learning_curve(History()) is None
    assert capsys.readouterr().err == ""


def test_history_table():
    text = text_of(report.history_table(history(values=(0.7, 0.9, math.nan))))
    assert "validation accuracy" in text
    assert "0.9000" in text
    assert "—" in text
    assert text.count("kept") == 1


def test_comparison_table():
    text = text_of(report.comparison_table({"a": {"accuracy": 0.5, "steps": 12345}, "b": {"note": "x"}}, "On [test]"))
    assert "On [test]" in text
    assert "12,345" in text
    assert text.count("—") == 3


def test_labels_are_never_markup():
    labels = ["[red]", "[/]", "\x1b[2J", "好", "", 3]
    scores, (names, table) = per_class(labels, labels), confusion(labels, labels)
    text = text_of(report.class_table(scores), report.confusion_table(names, table))
    assert "[red]" in text
    assert "[/]" in text
    assert "好" in text
    assert "\x1b" not in text


def test_many_classes_are_gathered():
    truth = [i for i in range(30) for _ in range(i + 1)]
    text = text_of(report.confusion_table(*confusion(truth, truth), most=4))
    assert "27 others" in text
    assert str(sum(range(1, 28))) in text  # the others stay countable
    assert report.confusion_table(*confusion([1], [1])).row_count == 1


def test_show(capsys, monkeypatch):
    report.show("plain [text]", report.history_table(history()))
    out = capsys.readouterr()
    assert "plain [text]" in out.out
    assert not out.err
    report.show("note", stderr=True)
    assert capsys.readouterr().err == "note\n"
    monkeypatch.setattr("sys.stdout", None)
    report.show("nowhere")


def card(**changes):
    given = {
        "name": "my model",
        "task": "One label per text.",
        "data": {"sequences": 900, "labels": "a|b\n<script>"},
        "options": {"hidden": 64, "class_weight": {"a": 1.0}},
        "metrics": {"accuracy": 0.91},
        "date": dt.date(2026, 1, 2),
    }
    return report.model_card(**{**given, **changes})


def test_model_card():
    text = card(history=history(), curve="learning_curve.png")
    for part in [
        "# my model\n",
        "Trained on 2026-01-02",
        "elman.load('my model')",
        "elman predict 'my model' new.csv",
        "| accuracy | 0.9100 |",
        "![Loss and validation metric over the epochs](learning_curve.png)",
        "3 epochs in 4 s; the weights are those of epoch 2",
        "| hidden | 64 |",
        "| labels | a\\|b \\<script\\> |",
        "| torch |",
    ]:
        assert part in text, part


def test_a_bare_card():
    text = card(data={}, options={}, metrics={}, history=History(), python="x = 1", suffix=".conllu", date=None)
    assert "x = 1" in text
    assert "new.conllu\n" in text
    assert "How it was trained" not in text
    assert str(dt.datetime.now(dt.UTC).year) in text


def test_values_of_any_length():
    assert max(map(len, card(options={"words": ["word"] * 10000}).splitlines())) < 400


def test_drawing_leaves_warning_filters_alone():
    before = list(warnings.filters)
    report.learning_curve(history(), "题")
    assert warnings.filters == before
