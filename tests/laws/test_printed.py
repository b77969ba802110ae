"""What a fit prints: nothing with verbose = False; else, before training, what was read, and a line for every epoch.

For every task; streams that are no terminal get no control character.
"""

from __future__ import annotations

import json

import pytest
from sklearn.base import clone

from table import TASKS, fitted


@pytest.mark.parametrize("verb", TASKS)
def test_silent(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    fitted(verb, verbose=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verb", TASKS)
def test_plain_lines(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = fitted(verb, verbose=True, epochs=2)
    out, err = capfd.readouterr()
    assert out == ""
    assert all(c.isprintable() for c in err.replace("\n", ""))
    read, *others = err.splitlines()
    assert read.startswith("elman: ")
    assert " for training, " in read
    assert " steps each" in read
    for name, what in model.described().items():
        assert f"{name}: {what}" in read
    (trained,) = (line for line in others if line.startswith("elman: training a network of "))
    weights = sum(p.numel() for p in model.network_.parameters())
    assert trained.startswith(f"elman: training a network of {weights:,} weights on the CPU with ")
    epochs = others[others.index(trained) + 1 :]
    assert [line.split()[1] for line in epochs if line.startswith("epoch ")] == ["1/2", "2/2"]


@pytest.mark.parametrize("verb", TASKS)
def test_a_fitted_model_can_be_looked_at(verb: str) -> None:
    """Its repr, its summary and its HTML; before `fit` and in a clone the repr is scikit-learn's."""
    model = fitted(verb)
    text, found = repr(model), model.summary()
    assert text.startswith(f"<fitted {type(model).__name__}(")
    assert f": {found.parameters:,} parameters" in text
    assert repr(clone(model)).startswith(f"{type(model).__name__}(")
    assert found.parameters == sum(p.numel() for p in model.network_.parameters())
    assert {one.option for one in found.chosen} == set(model.resolved_)
    assert json.loads(json.dumps(found.to_json()))["bytes"] == found.bytes
    for one in found.layers:
        assert one.name in str(found)
    shown = model._repr_mimebundle_()["text/html"]
    assert found.to_html() in shown
    assert model.history_.to_html() in shown
    assert "<script src" not in shown
    assert len(repr(model.history_)) < 120
