"""MiniRocket: against loops in plain sight, and its laws."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import elman
from elman.errors import ModelFileError, OptionError, ShapeError
from elman.ragged import Ragged
from elman.tasks.classify.minirocket import MOST_SEQUENCES, MiniRocket

LENGTHS = (5, 0, 40, 1, 60)
TARGETS = torch.tensor([0, 1, 0, 2, 1])


def sequences(width: int = 3, lengths: tuple[int, ...] = LENGTHS) -> Ragged:
    made = torch.Generator().manual_seed(3)
    return Ragged.of([torch.randn(n, width, generator=made) for n in lengths])


def fitted(width: int = 3) -> tuple[MiniRocket, Ragged]:
    x = sequences(width)
    return MiniRocket(600).fit(x, TARGETS, classes=3), x


def in_plain_sight(model: MiniRocket, x: Tensor) -> list[float]:
    """The share of steps of one sequence at which each kernel is above its limit, in the order of the weights."""
    threes, shares = list(combinations(range(9), 3)), []
    for d, spacing in enumerate(model.spacings.tolist()):
        for limit in range(model.limits.shape[2]):
            for k, three in enumerate(threes):
                columns, seen = model.columns[d, k].nonzero()[:, 0].tolist(), 0
                for t in range(len(x)):
                    total = 0.0
                    for j in range(9):
                        at = t - spacing * (8 - j)
                        read = sum(float(x[at, i]) for i in columns) if at >= 0 else 0.0
                        total += (2 if j in three else -1) * read
                    seen += total > float(model.limits[d, k, limit])
                shares.append(seen / len(x))
    return shares


def test_features_in_plain_sight() -> None:
    model, x = fitted(2)
    shares = torch.tensor(in_plain_sight(model, x[0]))
    expected = model.weight @ (shares - model.mean) + model.bias
    assert torch.allclose(model.logits(x[:1])[0], expected, atol=1e-4)


@pytest.mark.parametrize("width", [1, 4, 12])
def test_a_sequence_has_the_same_bits_alone_and_step_by_step(width: int) -> None:
    model, x = fitted(width)
    whole = model.logits(x)
    for i, sequence in enumerate(x):
        assert torch.equal(model.logits(x[i : i + 1]), whole[i : i + 1])
        for pieces in (sequence.split(1), sequence.split(7)):
            state = model.initial_state()
            for piece in pieces if len(sequence) else ():
                state = model.advance(piece, state)
            assert torch.equal(model.read(state), whole[i : i + 1])


def test_contributions_add_up() -> None:
    model, x = fitted()
    sums = torch.stack([steps.sum(0) for steps in x.with_values(model.contributions(x))])
    assert torch.allclose(sums + model.bias.double(), model.logits(x).double(), atol=1e-4)


def test_no_steps_get_the_bias() -> None:
    model, x = fitted()
    assert torch.equal(model.logits(x)[1], model.bias)


def test_what_was_left_out_is_what_learning_without_it_says() -> None:
    from elman.tasks.classify import minirocket

    draw = np.random.default_rng(0)
    shares, targets = draw.random((12, 30)), np.arange(12) % 2
    rows = np.concatenate([shares, np.ones((12, 1)) * 100], axis=1)
    truth = 2 * np.eye(2)[targets] - 1
    values, vectors = np.linalg.eigh(rows @ rows.T)
    shrunk = vectors / (values + 0.1)
    errors = (shrunk @ (vectors.T @ truth)) / (shrunk * vectors).sum(axis=1)[:, None]
    keep = np.arange(12) != 4
    without = np.linalg.solve(rows[keep].T @ rows[keep] + 0.1 * np.eye(31), rows[keep].T @ truth[keep])
    assert np.allclose(truth[4] - errors[4], rows[4] @ without)
    assert minirocket._ridge(shares, targets, 2, np.ones(12))[1].shape == (2, 30)


def test_weights_move_the_answers() -> None:
    x, targets = sequences(1, (30,) * 20), torch.arange(20) % 2
    few = MiniRocket(84).fit(x, targets, 2, torch.where(targets == 1, 0.01, 1.0)).logits(x).softmax(1)[:, 1].mean()
    many = MiniRocket(84).fit(x, targets, 2, torch.where(targets == 1, 100.0, 1.0)).logits(x).softmax(1)[:, 1].mean()
    assert few < many


def test_large_numbers_stay_numbers() -> None:
    x = sequences(2)
    model = MiniRocket(84).fit(x.with_values(x.values / x.values.abs().max() * 3e38), TARGETS, 3)
    assert model.logits(x).isfinite().all()


def test_bad_data() -> None:
    with pytest.raises(OptionError, match="features must be at least 84, got 5"):
        MiniRocket(5)
    with pytest.raises(ShapeError, match="MiniRocket needs steps of numbers"):
        MiniRocket().fit(sequences(lengths=(0, 0)), torch.tensor([0, 1]), 2)
    with pytest.raises(ShapeError, match=r"targets must be int64 of shape \[5\]"):
        MiniRocket().fit(sequences(), TARGETS[:2], 3)
    many = MOST_SEQUENCES + 1
    with pytest.raises(OptionError, match=f"sequences, got {many}"):
        MiniRocket().fit(sequences(1, (1,) * many), torch.zeros(many, dtype=torch.int64), 2)


def test_saved_and_restored() -> None:
    model, x = fitted()
    again = MiniRocket.restore(model.config(), model.tensors())
    assert torch.equal(again.logits(x), model.logits(x))


@pytest.mark.parametrize("name", ["spacings", "columns", "limits", "mean", "weight", "bias"])
def test_tensors_that_cannot_be(name: str) -> None:
    model, _ = fitted()
    for wrong in (model.tensors()[name][:0], model.tensors()[name].to(torch.float16)):
        with pytest.raises(ShapeError, match=f"needs {name} of shape"):
            MiniRocket.restore(model.config(), model.tensors() | {name: wrong})
    if name == "spacings":
        with pytest.raises(ShapeError, match="sizes that cannot be"):
            MiniRocket.restore(model.config(), model.tensors() | {name: model.spacings * 0})


# ---- within a classifier

SMALL: dict[str, Any] = {"hidden": 4, "epochs": 1, "verbose": False, "channels": 0, "minirocket": 200}


def waves(count: int) -> tuple[list[Any], list[str]]:
    x = [np.sin((1 + 2 * (i % 2)) * 0.3 * np.arange(20 + i % 7) + i) for i in range(count)]
    return x, ["slow" if i % 2 == 0 else "fast" for i in range(count)]


def test_a_classifier_with_minirocket(tmp_path: Any) -> None:
    x, y = waves(40)
    clf = elman.Classifier(**SMALL).fit(x, y)
    assert clf.evaluate(x, y)["accuracy_minirocket"] == 1.0
    clf.save(tmp_path / "model")
    again = elman.load(tmp_path / "model")
    assert (again.predict_proba(x) == clf.predict_proba(x)).all()
    session = again.stream()
    for step in x[3]:
        answer = session.feed(step)
    assert list(answer.probabilities.values()) == clf.predict_proba(x[3:4])[0].tolist()
    one = clf.explain(x[:1])[0]
    assert one.score - one.nothing == pytest.approx(one.steps.sum(), abs=0.05)


def test_a_classifier_fits_minirocket_again_from_all() -> None:
    x, y = waves(240)
    clf = elman.Classifier(**SMALL).fit(x, y)
    assert "accuracy_minirocket" in clf.metrics_
    assert elman.Classifier(**SMALL | {"minirocket": 0}).fit(x, y).wide_ is None


def test_many_sequences_have_none() -> None:
    x, y = np.zeros((2300, 1)), np.arange(2300) % 2
    assert elman.Classifier(**SMALL | {"minirocket": None, "epochs": 0}).fit(x, y).wide_ is None


def test_minirocket_is_for_numbers() -> None:
    with pytest.raises(OptionError, match="minirocket = 200 needs a column of numbers, but the input is taken"):
        elman.Classifier(**SMALL).fit(["a", "b"], [0, 1])
    with pytest.raises(OptionError, match="minirocket = 5 must be 0, a whole number of at least 84, or None"):
        elman.Classifier(**SMALL | {"minirocket": 5}).fit([[1.0], [2.0]], [0, 1])


def test_a_folder_whose_minirocket_does_not_fit(tmp_path: Any) -> None:
    x, y = waves(10)
    clf = elman.Classifier(**SMALL).fit(x, y)
    clf.wide_ = MiniRocket(84).fit(sequences(2), TARGETS, 3)
    clf.save(tmp_path / "model")
    with pytest.raises(ModelFileError):
        elman.load(tmp_path / "model")
