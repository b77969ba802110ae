"""The card of a model folder, for any options and data."""

import datetime as dt

from elman.evaluation.model_card import model_card
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
