"""The card of a model folder, for any options and data."""

import datetime as dt

import pytest

from elman.evaluation.model_card import CountTable, model_card
from elman.training.history import History
from histories import history


def card(**changes):
    given = {
        "name": "my model",
        "task": "One label per text.",
        "data": {"sequences": 900, "labels": "a|b\n<script>"},
        "options": {"hidden": 64, "class_weight": {"a": 1.0}},
        "metrics": {"accuracy": 0.91},
        "date": dt.date(2026, 1, 2),
    }
    return model_card(**{**given, **changes})


def test_model_card():
    text = card(history=history(), curve="learning_curve.png")
    for part in [
        "# my model\n",
        "Trained on 2026-01-02",
        "elman.load('my model')",
        "elman predict 'my model' new.csv",
        "| accuracy | 0.9100 | higher |",
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


def test_counts_parameters_and_the_command():
    counts = CountTable("Confusion matrix", "true", ["a|b", "c"], ["a|b", "c"], [[3, 1], [0, 2]])
    text = card(history=history(), counts=[counts], parameters=12345, command="elman fit classify a.csv --out m")
    for part in [
        "### Confusion matrix\n\n| true | a\\|b | c |\n| --- | --- | --- |\n| a\\|b | 3 | 1 |\n| c | 0 | 2 |\n",
        "The network has 12,345 parameters.",
        "typed in the folder that holds this one, repeats it:\n\n```sh\nelman fit classify a.csv --out m\n```",
        "elman predict 'my model' new.csv",
    ]:
        assert part in text, part
    with pytest.raises(ValueError, match="counts"):
        CountTable.from_json(counts.to_json() | {"counts": [[1, 2]]})


def test_which_values_of_a_metric_are_better():
    text = card(metrics={"mood.macro_f1": 0.5, "size.mae": 2.0, "nats_ngrams": 1.0, "symbols": 1234.0, "r2": 0.1})
    for part in ["mood.macro f1 | 0.5000 | higher", "size.mae | 2.0000 | lower", "nats ngrams | 1.0000 | lower"]:
        assert part in text, part
    assert "| symbols | 1,234 |  |" in text
    text = card(metrics={"nats": 1.5, "loss": 1.5})
    assert "| loss |" not in text


def test_values_of_any_length():
    assert max(map(len, card(options={"words": ["word"] * 10000}).splitlines())) < 400
