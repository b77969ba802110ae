"""Tables: any label, any number, any width."""

import io
import math

from rich.console import Console

from elman.evaluation import tables as report
from elman.evaluation.metrics import confusion, per_class
from histories import history


def text_of(*tables):
    console = Console(file=io.StringIO(), width=200)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


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
