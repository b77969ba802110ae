"""The regressor: what it takes, what it learns, gaps in the targets, every step, folders, streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.ragged import Ragged
from elman.tasks import Regressor, load
from elman.tasks.base.targets.numbers import NumberTarget

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 2, "verbose": False}
NAN = float("nan")
QUICK: dict[str, Any] = {"hidden": 8, "cell": "rnn", "pool": "last", "dropout": 0.0, "verbose": False}


UNAVOIDABLE = {
    "check_sample_weight_equivalence_on_dense_data": "a weight of 2 is no second copy: copies are drawn into batches "
    "apart, and there are more of them in an epoch",
}


@parametrize_with_checks(
    [Regressor(epochs=40, learning_rate=0.03, **QUICK)], expected_failed_checks=lambda _: UNAVOIDABLE
)
def test_sklearn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def walks(sequences: int = 120, width: int = 1) -> list[Any]:
    random = np.random.default_rng(0)
    return [random.normal(size=(n, width)) for n in random.integers(1, 9, sequences)]


# ---- what it learns


def test_learns_a_sum() -> None:
    X = walks(400)
    y = [100 + 10 * float(x.sum()) for x in X]
    reg = Regressor(hidden=16, pool="last", epochs=40, learning_rate=0.01, verbose=False).fit(X[:300], y[:300])
    assert reg.score(X[300:], y[300:]) > 0.9
    found = reg.evaluate(X[300:], y[300:])
    assert set(found) == {"loss", "mae", "rmse", "r2"}
    assert found["r2"] == pytest.approx(reg.score(X[300:], y[300:]))
    assert set(reg.metrics_) == set(found)
    assert reg.history_.metric == "loss"
    assert is_regressor(reg)


@pytest.mark.parametrize("tbptt", [0, 3])
def test_learns_every_step(tbptt: int) -> None:
    X = walks(300)
    y = [5 * np.concatenate([[0.0], x[:-1, 0]]) - 20 for x in X]  # the step before
    reg = Regressor(every_step=True, hidden=16, epochs=30, learning_rate=0.01, tbptt=tbptt, verbose=False)
    assert reg.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    answers = reg.predict(X[200:])
    assert [len(a) for a in answers] == [len(x) for x in X[200:]]


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
def test_losses(loss: str) -> None:
    X = walks(60)
    reg = Regressor(loss=loss, **SMALL).fit(X, [float(len(x)) for x in X])
    assert np.isfinite(reg.predict(X)).all()


def test_absolute_errors_find_the_median() -> None:
    X, y = [[1.0]] * 40, [0.0] * 30 + [100.0] * 10
    options: dict[str, Any] = {**SMALL, "epochs": 60, "learning_rate": 0.05, "validation": 0.0, "dropout": 0.0}
    assert abs(Regressor(loss="absolute", **options).fit(X, y).predict([[1.0]])[0]) < 10
    assert abs(Regressor(loss="squared", **options).fit(X, y).predict([[1.0]])[0] - 25) < 10


# ---- the form of the targets


@pytest.mark.parametrize(
    "make",
    [list, tuple, np.array, torch.tensor, pd.Series, pl.Series, lambda y: pl.DataFrame({"y": y}), np.float32],
)
def test_one_number(make: Any) -> None:
    X, y = walks(30), [float(i) for i in range(30)]
    expected = Regressor(**SMALL).fit(X, y).predict(X)
    assert expected.shape == (30,)
    assert expected.dtype == np.float64
    np.testing.assert_array_equal(Regressor(**SMALL).fit(X, make(y)).predict(X), expected)


def test_several_numbers() -> None:
    X, y = walks(60), np.random.default_rng(0).normal(size=(60, 3)) * [1, 10, 100]
    reg = Regressor(**SMALL).fit(X, y)
    assert reg.predict(X).shape == (60, 3)
    np.testing.assert_array_equal(Regressor(**SMALL).fit(X, y.tolist()).predict(X), reg.predict(X))
    assert {"mae", "mae 0", "mae 2", "r2 1"} <= set(reg.evaluate(X, y))
    names = Regressor(**SMALL).fit(X, {"a": y[:, 0], "b": y[:, 1], "c": y[:, 2]})
    answers = names.predict(X)
    assert list(answers) == ["a", "b", "c"]
    np.testing.assert_array_equal(answers["b"], reg.predict(X)[:, 1])
    assert "rmse c" in names.evaluate(X, y)
    frame = Regressor(**SMALL).fit(X, pl.DataFrame({"a": y[:, 0], "b": y[:, 1], "c": y[:, 2]}))
    np.testing.assert_array_equal(frame.predict(X)["c"], reg.predict(X)[:, 2])
    turned = {"a": y[:, 0], "c": y[:, 2], "b": y[:, 1]}
    assert names.score(X, turned) == names.score(X, dict(sorted(turned.items())))
    with pytest.raises(DataError, match=r"names \['a', 'c', 'd'\], but \['a', 'b', 'c'\] were learnt"):
        names.score(X, {"a": y[:, 0], "c": y[:, 2], "d": y[:, 1]})
    with pytest.raises(DataError, match="y has 1 numbers each, but 3 were learnt"):
        reg.score(X, y[:, 0])


def test_several_numbers_at_every_step() -> None:
    X = walks(60, 2)
    reg = Regressor(every_step=True, **SMALL).fit(X, [x * 3 for x in X])
    assert [a.shape for a in reg.predict(X)] == [x.shape for x in X]
    ragged = Regressor(every_step=True, **SMALL).fit(X, Ragged.of([torch.tensor(x * 3) for x in X]))
    np.testing.assert_array_equal(ragged.predict(X)[0], reg.predict(X)[0])
    named = Regressor(every_step=True, **SMALL).fit(X, {"a": [x[:, 0] for x in X], "b": [x[:, 1] for x in X]})
    assert [len(a) for a in named.predict(X)["b"]] == [len(x) for x in X]
    assert reg.predict([]) == []


# ---- gaps


def test_gaps_are_left_out() -> None:
    X, y = walks(80), np.random.default_rng(0).normal(size=(80, 2))
    y[3, 0], y[7] = NAN, NAN
    reg = Regressor(**SMALL).fit(X, y)
    assert reg.data_["sequences without a target"] == 1
    assert np.isfinite(reg.predict(X)).all()
    assert np.isfinite(list(reg.evaluate(X, y).values())).all()
    kept = [i for i in range(80) if i != 7]
    again = Regressor(**SMALL).fit([X[i] for i in kept], y[kept])
    np.testing.assert_array_equal(again.predict(X), reg.predict(X))  # as if it had not been there
    masked = Regressor(**SMALL).fit(X, np.ma.masked_invalid(y))
    np.testing.assert_array_equal(masked.predict(X), reg.predict(X))


def test_gaps_in_steps() -> None:
    X = walks(60)
    y = [x[:, 0].copy() for x in X]
    long = next(i for i, x in enumerate(X) if i and len(x) > 1)
    y[0][:], y[long][-1] = NAN, NAN
    reg = Regressor(every_step=True, tbptt=2, **SMALL).fit(X, y)
    assert reg.data_["sequences without a target"] == 1
    assert np.isfinite(np.concatenate(reg.predict(X))).all()
    assert np.isfinite(reg.score(X, y))


def test_an_unknown_target_has_no_gradient() -> None:
    X = [[1.0, 2.0], [3.0]]
    one = Regressor(**SMALL).fit(X, [[1.0, 5.0], [2.0, NAN]])
    assert np.isfinite(one.predict(X)).all()
    assert one.numbers_.mean.tolist() == [1.5, 5.0]
    assert one.numbers_.deviation.tolist() == [0.5, 1.0]


def test_scale_of_extremes() -> None:
    numbers = NumberTarget(outputs=3, flat=False)
    numbers.fit(np.array([[1e308, NAN, 3.0], [-1e308, NAN, 3.0]]))
    assert numbers.mean.tolist() == [0.0, 0.0, 3.0]
    assert numbers.deviation.tolist() == [1e308, 1.0, 1.0]


# ---- faults


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (None, {}, "requires y"),
        ([1.0, 2.0], {}, "X has 3 sequences, y has 2"),
        ([1.0, "2", 3.0], {}, r"sequence 1 is a text, '2'.*Classifier"),
        ([1.0, [2.0], 3.0], {}, "sequence 1 has 1 numbers, sequence 0 has a single number"),
        ([[1.0], [2.0, 3.0], [3.0]], {}, "sequence 1 has 2 numbers.*every_step = True"),
        ([1.0, float("inf"), 3.0], {}, "contains infinity: sequence 1 is inf"),
        ([NAN, None, NAN], {}, "no number at all"),
        ("price", {}, "not a frame"),
        (np.zeros((3, 2, 2)), {}, r"shape \[3, 2, 2\]"),
        ([1.0, 2.0, 3.0], {"every_step": True}, "sequence 0 is a single number"),
        ([[1.0], [2.0], [3.0]], {"every_step": True}, "sequence 0 has 1 numbers, but 2 steps in X"),
        ([[1.0, np.inf], [2.0], []], {"every_step": True}, "sequence 0, step 1 is inf"),
        ([[[1.0, 2.0], [1.0, 2.0]], [1.0], []], {"every_step": True}, "sequence 1 has a single number a step"),
        ({"a": [1.0, 2.0, 3.0], "b": np.ones((3, 2))}, {}, r"y\['b'\] has 2 numbers"),
    ],
)
def test_faults(y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Regressor(**options, **SMALL).fit([[1.0, 2.0], [3.0], []], y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "cubed"}, "loss = 'cubed' must be one of squared, absolute, huber"),
        ({"every_step": 1}, "every_step = 1 must be True or False"),
        ({"tbptt": 3}, "tbptt = 3 must be 0: Regressor has one loss"),
        ({"tbptt": 3, "every_step": True, "bidirectional": True}, "needs bidirectional = False"),
        ({"pool": "least"}, "pool"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Regressor(**{**SMALL, **options}).fit([[1.0], [2.0]], [1.0, 2.0])


def test_not_fitted() -> None:
    for act in (lambda r: r.predict([[1.0]]), lambda r: r.score([[1.0]], [1.0]), lambda r: r.stream()):
        with pytest.raises(NotFittedError):
            act(Regressor())


def test_frame_with_a_target() -> None:
    frame = pl.DataFrame({"series": [[1.0, 2.0], [3.0], []], "price": [1.0, None, 3.0]})
    reg = Regressor(**SMALL).fit(frame, "price")
    assert reg.predict(frame).shape == (3,)
    assert np.isfinite(reg.score(frame, "price"))


# ---- alone, on disk, one step at a time


@pytest.mark.parametrize("every_step", [False, True])
def test_alone_as_in_a_batch(every_step: bool) -> None:
    X = walks(30)
    reg = Regressor(every_step=every_step, **SMALL).fit(X, [x[:, 0] for x in X] if every_step else [x.sum() for x in X])
    whole = reg.predict(X)
    for i in (0, 7, 29):
        np.testing.assert_array_equal(reg.predict([X[i]])[0], whole[i])


@pytest.mark.parametrize(
    ("y", "options"),
    [
        ([1.0, 2.0, 4.0], {}),
        (np.ones((3, 2)) * [[1], [2], [3]], {"bidirectional": True}),
        ({"a": [1, 2, 3], "b": [3, 4, None]}, {"cell": "gru"}),
        ([[1.0, 2.0], [NAN], []], {"every_step": True}),
        ({"a": [[1.0, 2.0], [3.0], []], "b": [[1.0, 2.0], [3.0], []]}, {"every_step": True, "tbptt": 2}),
    ],
)
def test_save_and_load(y: Any, options: dict[str, Any], tmp_path: Path) -> None:
    X = [[1.0, 2.0], [3.0], []]
    reg = Regressor(**{**SMALL, **options}).fit(X, y)
    reg.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert type(again) is Regressor
    assert str(again.predict(X)) == str(reg.predict(X))
    assert again.numbers_.names == reg.numbers_.names
    assert again.score(X, y) == reg.score(X, y)
    again.save(tmp_path / "model")
    assert str(load(tmp_path / "model").predict(X)) == str(reg.predict(X))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    Regressor(**SMALL).fit([[1.0, 2.0], [3.0]], {"a": [1, 2], "b": [3, 4]}).save(folder)
    load(folder)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda c, t: c.pop("names"),
        lambda c, t: t.update({"target.mean": t["target.mean"][:1]}),
        lambda c, t: t.update({key: t[key][:1] for key in ("target.mean", "target.deviation")}),
        lambda c, t: c.update(flat=1),
        lambda c, t: c.update(names=["a", "a"]),
        lambda c, t: c.update(names=["a"]),
        lambda c, t: c["options"].update(every_step=True),
        lambda c, t: c["options"].update(loss="none"),
        lambda c, t: t.pop("target.mean"),
        lambda c, t: t.update({"target.mean": t["target.mean"].float()}),
        lambda c, t: t.update({"target.deviation": t["target.deviation"] * 0}),
        lambda c, t: t.update({"target.deviation": t["target.deviation"] * NAN}),
        lambda c, t: t.pop("network.head.bias"),
    ],
)
def test_impossible_folders(change: Any, saved: Path, tmp_path: Path) -> None:
    config, tensors, files = store.load(saved)
    change(config, tensors)
    store.save(tmp_path / "model", config, tensors, files)
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")


@pytest.mark.parametrize("every_step", [False, True])
def test_stream(every_step: bool) -> None:
    X = walks(30, 2)
    reg = Regressor(every_step=every_step, layers=2, **SMALL)
    reg.fit(X, [x[:, 0] for x in X] if every_step else [x.sum() for x in X])
    session, x = reg.stream(), np.random.default_rng(1).normal(size=(6, 2))
    for n, step in enumerate(x, start=1):
        answer = session.feed(step)
        assert answer.steps == n
        expected = reg.predict([x[:n]])[0]
        assert answer.value == (expected[-1] if every_step else expected)
    state = session.state
    session.feed(x)
    session.state = state
    assert session.answer == answer


def test_stream_of_several() -> None:
    X = walks(30)
    named = Regressor(**SMALL).fit(X, {"a": list(range(30)), "b": list(range(30))})
    answer = named.stream().feed(X[0])
    assert answer.value == {name: values[0] for name, values in named.predict([X[0]]).items()}
    both = Regressor(**SMALL).fit(X, np.ones((30, 2)) * np.arange(30)[:, None])
    np.testing.assert_array_equal(both.stream().feed(X[0]).value, both.predict([X[0]])[0])
    with pytest.raises(OptionError, match="bidirectional"):
        Regressor(bidirectional=True, **SMALL).fit(X, [0.0] * 30).stream()


def test_resume_ends_where_an_unbroken_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = walks(60), [float(i) for i in range(60)]
    options: dict[str, Any] = {**SMALL, "epochs": 3}
    whole = Regressor(**options).fit(X, y)
    measure, calls = Regressor._metrics, []

    def dies(*args: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError
        return measure(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Regressor, "_metrics", dies)
        with pytest.raises(RuntimeError):
            Regressor(**options).fit(X, y, out=tmp_path / "model")
    again = Regressor(**options).fit(X, y, out=tmp_path / "model", resume=True)
    np.testing.assert_array_equal(again.predict(X), whole.predict(X))


def test_texts() -> None:
    reg = Regressor(**SMALL).fit(["a b", "b", "c a", ""], [1, 2, 3, 4])
    assert reg.predict(["a", "unheard"]).shape == (2,)
    assert reg.stream().feed("a").value == reg.predict(["a"])[0]
