"""The classifier: what it takes, what it learns, and that no sequence's answer depends on another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.exceptions import DataConversionWarning, NotFittedError

from elman.errors import DataError, OptionError, TrainingError
from elman.ragged import Ragged
from elman.tasks import Classifier, load
from elman.tasks.classify.stacking import fit_weights

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 1, "verbose": False}
POOLS = ["last", "mean", "max", "attention", "mean+max"]


def reviews(sequences: int = 80, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts of unequal length, one of them empty, with one telling word each."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for i in range(sequences):
        words = [f"w{n}" for n in random.integers(0, 30, random.integers(1, 25))]
        words.insert(int(random.integers(0, len(words))), "good" if i % 2 else "bad")
        texts.append(" ".join(words))
        labels.append("pos" if i % 2 else "neg")
    texts[3] = ""
    return texts, labels


# ---- what it takes


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(0)
    lists = [random.normal(size=n) for n in (3, 1, 4, 1, 5, 2)]
    wide = [random.normal(size=(n, 2)) for n in (3, 1, 0, 1, 5, 2)]
    texts = ["a b", "b", "", "c a", "a", "b b b"]
    return {
        "texts": texts,
        "tuple of texts": tuple(texts),
        "array of texts": np.array(texts),
        "pandas column": pd.Series(texts),
        "polars column": pl.Series(texts),
        "Arrow column": pa.array(texts),
        "pandas frame": pd.DataFrame({"text": texts}),
        "polars frame": pl.DataFrame({"text": texts}),
        "Arrow table": pa.table({"text": texts}),
        "token lists": [text.split() for text in texts],
        "list column": pl.DataFrame({"tokens": [text.split() for text in texts]}),
        "series": lists,
        "lists of numbers": [x.tolist() for x in lists],
        "signals": wide,
        "tensors": [torch.tensor(x) for x in wide],
        "table": random.normal(size=(6, 4)),
        "frame of numbers": pd.DataFrame(random.normal(size=(6, 4))),
        "frame of one number": pl.DataFrame({"x": random.normal(size=6)}),
        "three dimensions": random.normal(size=(6, 4, 2)),
        "tensor": torch.randn(6, 4, 2),
        "Ragged": Ragged.of([torch.tensor(x) for x in wide]),
    }


@pytest.mark.parametrize("kind", inputs())
def test_inputs(kind: str) -> None:
    X = inputs()[kind]
    clf = Classifier(**SMALL).fit(X, [0, 1, 0, 1, 1, 0])
    shares = clf.predict_proba(X)
    assert shares.shape == (6, 2)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert set(clf.predict(X).tolist()) <= {0, 1}


@pytest.mark.parametrize("kind", ["texts", "token lists", "series", "signals"])
def test_no_sequences(kind: str) -> None:
    clf = Classifier(**SMALL).fit(inputs()[kind], list("aabbcc"))
    assert clf.predict([]).tolist() == []
    assert clf.predict_proba([]).shape == (0, 3)
    assert clf.decision_function([]).shape == (0, 3)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_frame_with_a_target(make: Any) -> None:
    texts, labels = reviews(20)
    whole = make({"review": texts, "label": labels})
    clf = Classifier(**SMALL).fit(whole, "label")
    expected = Classifier(**SMALL).fit(texts, labels).predict_proba(texts)
    np.testing.assert_array_equal(clf.predict_proba(whole), expected)  # the label column is not in the way
    np.testing.assert_array_equal(clf.predict_proba(make({"review": texts})), expected)
    np.testing.assert_array_equal(clf.predict_proba(make({"other": texts})), expected)
    np.testing.assert_array_equal(clf.predict_proba(make({"id": labels, "review": texts})), expected)
    assert clf.score(whole, "label") == clf.score(texts, labels)
    with pytest.raises(DataError, match=r"2 columns that could be the input: 'id', 'text'.*input="):
        clf.predict(make({"id": labels, "text": texts}))


def test_frame_faults() -> None:
    frame = pl.DataFrame({"id": [1, 2], "review": ["a", "b"], "label": ["x", "y"]})
    assert Classifier(**SMALL).fit(frame, "label").feature_.kinds == {"id": "number", "review": "text"}
    with pytest.raises(DataError, match=r"y = 'labell' is no column.*Did you mean 'label'"):
        Classifier(**SMALL).fit(frame, "labell")
    with pytest.raises(DataError, match="input = 'text' is no column"):
        Classifier(input="text", **SMALL).fit(frame, "label")
    with pytest.raises(DataError, match="not a frame"):
        Classifier(**SMALL).fit(["a", "b"], "label")
    with pytest.raises(DataError, match="no input beside the target"):
        Classifier(**SMALL).fit(frame.select("label"), "label")
    with pytest.raises(DataError, match="both 'label'"):
        Classifier(input="label", **SMALL).fit(frame, "label")
    with pytest.raises(DataError, match="cannot be read"):
        Classifier(**SMALL).fit(pd.DataFrame([["a", "b"], ["c", "d"]], columns=["x", "x"]), [0, 1])
    assert Classifier(input="review", **SMALL).fit(frame, "label").predict(frame).shape == (2,)


# ---- labels


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "b", "a"],
        [3, -1, 3, -1],
        [True, False, True, False],
        [2.0, 1.0, 2.0, 1.0],
        np.array([5, 7, 5, 7], dtype=np.uint8),
        np.array(["x", "yy", "x", "yy"], dtype=object),
        torch.tensor([1, 0, 1, 0]),
        pd.Series(["x", "y", "x", "y"]),
        pl.Series([1, 2, 1, 2]),
        pa.array(["x", "y", "x", "y"]),
        pd.Series(["x", "y", "x", "y"], dtype="category"),
        pd.Series([1, 2, 1, 2], dtype="Int64"),
    ],
)
def test_labels_of_any_kind(labels: Any) -> None:
    clf = Classifier(**SMALL).fit(["a", "b", "a", "b"], labels)
    plain = (
        labels.to_pylist()
        if isinstance(labels, pa.Array)
        else list(labels.tolist() if hasattr(labels, "tolist") else labels)
    )
    assert clf.classes_.tolist() == sorted(set(plain))
    assert type(clf.classes_.tolist()[0]) is type(plain[0])
    assert set(clf.predict(["a", "b"]).tolist()) <= set(plain)
    assert 0 <= clf.score(["a", "b", "a", "b"], labels) <= 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", 1, "a", 1], "y is mixed: sequence 0 has a text, sequence 1 a number"),
        ([True, 1, True, 1], "y is mixed"),
        (["a", None, "a", "b"], "sequence 1 has no label, got None"),
        ([1.0, float("nan"), 1.0, 2.0], "sequence 1 has the label nan"),
        ([1.0, 0.5, 1.0, 2.0], "sequence 1 has the label 0.5, which is not whole"),
        (["a", "a", "a", "a"], "only one class, 'a'"),
        (["a", "b"], "X has 4 sequences, y has 2 labels"),
        ([("a",), "b", "a", "b"], "y is mixed: sequence 0 has a list of labels, sequence 1 a text"),
        (["\ud800", "a", "a", "b"], "half a character"),
        ([2**70, 1, 1, 2**70], "64 bits"),
        (pl.DataFrame({"a": [1, 2, 1, 2], "b": [1, 2, 1, 2]}), "y: sequence 1 column 'a' is 2. y should be a 1d array"),
        (None, "requires y to be passed"),
        (7, "y must be a list of labels"),
        (np.zeros((4, 2)), "y holds no label at all"),
        (np.full((4, 2), 0.5), "y: sequence 0 column 0 is 0.5. y should be a 1d array"),
    ],
)
def test_label_faults(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classifier(**SMALL).fit(["a", "b", "c", "d"], labels)


def test_frame_of_labels() -> None:
    for frame in (pd.DataFrame({"label": ["x", "y"]}), pl.DataFrame({"label": ["x", "y"]})):
        assert Classifier(**SMALL).fit(["a", "b"], frame).classes_.tolist() == ["x", "y"]


def test_column_of_labels_warns() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector"):
        Classifier(**SMALL).fit(["a", "b"], np.array([[0], [1]]))


def test_data_faults_name_the_place() -> None:
    """Also where the sequence stands at another place in the part that is learnt from."""
    series: list[Any] = [[1.0, 2.0] for _ in range(60)]
    series[57] = [1.0, float("inf")]
    for seed in range(3):
        with pytest.raises(DataError, match="sequence 57, step 1 is infinite"):
            Classifier(seed=seed, **SMALL).fit(series, [0, 1] * 30)
    texts: list[Any] = ["a"] * 60
    texts[58] = None
    with pytest.raises(DataError, match="sequence 58"):
        Classifier(**SMALL).fit(texts, [0, 1] * 30)


def test_not_fitted() -> None:
    for call in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="not fitted"):
            getattr(Classifier(), call)(["a"])
    for call in ("score", "evaluate"):
        with pytest.raises(NotFittedError):
            getattr(Classifier(), call)(["a"], ["b"])
    with pytest.raises(NotFittedError):
        Classifier().stream()
    with pytest.raises(NotFittedError):
        Classifier().save("nowhere")


# ---- options


def test_option_problems_come_together() -> None:
    clf = Classifier(hidden=0, cell="lstmm", pool="median", dropout=1.0, epochs=-1, class_weight="fair", ngrams=-1)
    with pytest.raises(OptionError) as caught:
        clf.fit(["a", "b"], [0, 1])
    for part in (
        "hidden = 0",
        "did you mean 'lstm'",
        "pool = 'median'",
        "dropout = 1.0",
        "epochs = -1",
        "'fair'",
        "ngrams",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": (4, 3), "layers": 3},
        {"hidden": []},
        {"hidden": "big"},
        {"hidden": 2.5},
        {"layers": 0},
        {"embed": True},
        {"pool": "mean+mean"},
        {"pool": 3},
        {"symbol_dropout": -0.1},
        {"head_dropout": "none"},
        {"smoothing": 1},
        {"class_weight": {"a": -1}},
        {"class_weight": 3},
        {"bidirectional": "yes"},
        {"feature": "texts"},
        {"unit": "word"},
        {"max_words": 0},
        {"min_count": 0},
        {"lower": 1},
        {"scale": None},
        {"input": 3},
        {"ngrams": 1.5},
        {"validation": 0.7},
        {"checkpointing": "forget"},
        {"max_timescale": 1},
        {"max_timescale": "long"},
        {"max_timescale": 50, "cell": "rnn"},
        {"channels": -1},
        {"channels": (8, 0)},
        {"channels": ()},
        {"channels": "many"},
        {"kernel": 0},
        {"stride": 1.5},
        {"tbptt": -1},
        {"tbptt": 100},
    ],
)
def test_one_problem(wrong: dict[str, Any]) -> None:
    clf = Classifier(**wrong)
    assert len(clf.problems()) == 1
    assert f"{next(iter(wrong))} = " in str(clf.problems()[0])


def test_options_that_mean_nothing() -> None:
    with pytest.raises(OptionError, match="unit = 'words' has no meaning for numbers"):
        Classifier(unit="words", **SMALL).fit([[1.0], [2.0]], [0, 1])
    with pytest.raises(OptionError, match="numbers have no n-grams"):
        Classifier(ngrams=2, **SMALL).fit([[1.0], [2.0]], [0, 1])
    with pytest.raises(OptionError, match=r"class_weight names 'A ', .*Did you mean 'a'"):
        Classifier(class_weight={"A ": 2}, **SMALL).fit(["x", "y"], ["a", "b"])
    with pytest.warns(UserWarning, match="class_weight names 'c'"):
        Classifier(class_weight={"c": 2}, **SMALL).fit(["x", "y"], ["a", "b"])


@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize("shape", [{}, {"layers": 2}, {"hidden": (4, 3)}, {"bidirectional": True}])
def test_networks(cell: str, shape: dict[str, Any]) -> None:
    texts, labels = reviews(12)
    clf = Classifier(**{**SMALL, "cell": cell, **shape}).fit(texts, labels)
    assert np.isfinite(clf.predict_proba(texts)).all()


def test_ids_are_tokens_when_asked() -> None:
    clf = Classifier(feature="tokens", **SMALL).fit([[1, 2], [3]], ["a", "b"])
    assert clf.feature_.symbols == 4


def test_lower_follows_the_feature() -> None:
    assert Classifier(**SMALL).fit(["A a", "b"], [0, 1]).feature_.symbols == 3
    assert Classifier(**SMALL).fit([["A", "a"], ["b"]], [0, 1]).feature_.symbols == 4
    assert Classifier(lower=True, **SMALL).fit([["A", "a"], ["b"]], [0, 1]).feature_.symbols == 3


# ---- what it learns


def test_learns_text() -> None:
    texts, labels = reviews(300)
    options = {"hidden": 8, "embed": 8, "epochs": 12, "learning_rate": 0.02, "symbol_dropout": 0.1, "verbose": False}
    clf = Classifier(ngrams=0, **options).fit(texts, labels)  # type: ignore[arg-type]
    fresh, truth = reviews(100, seed=1)
    assert clf.score(fresh, truth) > 0.9
    assert clf.wide_ is None
    assert Classifier(**{**options, "epochs": 1}).fit(texts, labels).score(fresh, truth) > 0.9  # the n-gram model


def test_learns_order() -> None:
    """What no n-gram model can: which of two distant symbols came first."""
    random = np.random.default_rng(0)
    tokens = [["x"] * n for n in random.integers(0, 6, 200)]
    X = [["a", *t, "b"] if i % 2 else ["b", *t, "a"] for i, t in enumerate(tokens)]
    y = [i % 2 for i in range(200)]
    options = {"hidden": 8, "embed": 8, "epochs": 15, "learning_rate": 0.02, "symbol_dropout": 0.0, "dropout": 0.0}
    assert Classifier(pool="last", verbose=False, **options).fit(X, y).score(X, y) > 0.95  # type: ignore[arg-type]


def test_same_seed_same_bits() -> None:
    texts, labels = reviews()
    first, second = (Classifier(seed=3, **SMALL).fit(texts, labels) for _ in range(2))
    other = Classifier(seed=4, **SMALL).fit(texts, labels)
    np.testing.assert_array_equal(first.predict_proba(texts), second.predict_proba(texts))
    assert not np.array_equal(first.predict_proba(texts), other.predict_proba(texts))
    free = [Classifier(**{**SMALL, "seed": None}).fit(texts, labels).predict_proba(texts) for _ in range(2)]
    assert not np.array_equal(*free)


def test_leaves_the_callers_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    clf = Classifier(**SMALL).fit(*reviews(20))
    clf.predict(["a"])
    assert torch.equal(torch.rand(3), expected)


def test_class_weights() -> None:
    X, y = [[float(i % 7)] for i in range(49)], [int(i % 7 > 4) for i in range(49)]
    options = {**SMALL, "epochs": 5, "learning_rate": 0.03, "minirocket": 0}
    few = Classifier(class_weight={1: 0.01}, **options).fit(X, y).predict_proba(X)[:, 1].mean()
    many = Classifier(class_weight={1: 100.0}, **options).fit(X, y).predict_proba(X)[:, 1].mean()
    even = Classifier(class_weight="balanced", **options).fit(X, y)
    assert few < even.predict_proba(X)[:, 1].mean() < many
    assert even.get_params()["class_weight"] == "balanced"


def test_validation_part_reports_each_path() -> None:
    clf = Classifier(**SMALL).fit(*reviews(100))
    assert set(clf.metrics_) == {"accuracy", "macro_f1", "loss", "accuracy_recurrent", "accuracy_ngrams"}
    assert clf.history_[0].validation.keys() == clf.metrics_.keys()
    assert clf.history_.best_epoch is not None
    assert clf.history_.best_epoch.validation == clf.metrics_
    assert (clf.stacking_weights_ >= 0).all()
    assert set(clf.evaluate(*reviews(10))) == set(clf.metrics_)


def test_small_sets_hold_nothing_out() -> None:
    clf = Classifier(**SMALL).fit(*reviews(20))
    assert clf.metrics_ == {}
    assert clf.history_[0].validation == {}
    assert clf.stacking_weights_.tolist() == [0.3, 0.65]


def test_no_epochs() -> None:
    clf = Classifier(**{**SMALL, "epochs": 0, "ngrams": 0}).fit(["a"] * 3 + ["b"], list("xxxy"))
    np.testing.assert_allclose(clf.predict_proba([""]), [[0.75, 0.25]], atol=1e-3)  # how frequent they are


def test_only_empty_texts() -> None:
    clf = Classifier(**SMALL).fit(["", "", ""], ["x", "y", "x"])
    assert clf.predict(["", "what"]).tolist() == ["x", "x"]


def test_huge_numbers_stop_training() -> None:
    clf = Classifier(**{**SMALL, "cell": "rnn_relu", "epochs": 30, "clip": 0.0, "learning_rate": 1e30, "warmup": 0.0})
    with pytest.raises(TrainingError, match="sequence"):
        clf.fit([np.linspace(0, 1, 20) + i for i in range(8)], [0, 1] * 4)
    with pytest.raises(DataError, match="the model answers nan in place of a number"):  # weights of 1e30 are no help
        clf.predict([[1.0, 2.0]])


# ---- answering


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_sequence_alone_is_the_same_in_any_batch(pool: str, cell: str) -> None:
    """Bit for bit, for one thread or two."""
    texts, labels = reviews(40)
    clf = Classifier(pool=pool, cell=cell, bidirectional=pool == "mean", layers=2, **SMALL)
    clf.fit(texts, [f"{label}{i % 3}" for i, label in enumerate(labels)])
    torch.set_num_threads(1)
    whole = clf.predict_proba(texts)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        np.testing.assert_array_equal(clf.predict_proba(texts), whole)
        np.testing.assert_array_equal(np.concatenate([clf.predict_proba([text]) for text in texts]), whole)
        np.testing.assert_array_equal(clf.predict_proba(texts[::-1]), whole[::-1])
        np.testing.assert_array_equal(clf.predict_proba(texts[5:23]), whole[5:23])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_signal_alone_is_the_same_in_any_batch(bidirectional: bool) -> None:
    random = np.random.default_rng(0)
    X = [random.normal(size=(n, 3)) for n in random.integers(0, 30, size=40)]
    options: dict[str, Any] = {**SMALL, "channels": (20, 17), "kernel": 4, "stride": 2, "bidirectional": bidirectional}
    clf = Classifier(**options).fit(X, ["a", "b"] * 20)
    whole = clf.predict_proba(X)
    np.testing.assert_array_equal(np.concatenate([clf.predict_proba([x]) for x in X]), whole)
    np.testing.assert_array_equal(clf.predict_proba(X[::-1]), whole[::-1])


def test_batches_of_prediction_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = reviews(40)
    clf = Classifier(**SMALL).fit(texts, labels)
    whole = clf.predict_proba(texts)
    monkeypatch.setattr("elman.tasks.base.network._STEPS", 7)
    np.testing.assert_array_equal(clf.predict_proba(texts), whole)


def test_answers_agree() -> None:
    texts, labels = reviews(60)
    for y in (labels, [f"{label}{i % 3}" for i, label in enumerate(labels)]):
        clf = Classifier(**SMALL).fit(texts, y)
        shares, scores = clf.predict_proba(texts), clf.decision_function(texts)
        answers = clf.classes_[shares.argmax(1)]
        assert clf.predict(texts).tolist() == answers.tolist()
        assert scores.shape == ((60,) if len(clf.classes_) == 2 else (60, 6))
        if scores.ndim == 1:
            np.testing.assert_allclose(1 / (1 + np.exp(-scores)), shares[:, 1])
        assert clf.score(texts, y) == np.mean(answers == np.array(y)) == clf.evaluate(texts, y)["accuracy"]


def test_a_label_that_was_not_learnt() -> None:
    clf = Classifier(**SMALL).fit(["a", "b"], ["x", "y"])
    assert clf.score(["a", "b"], ["z", "z"]) == 0
    assert clf.score(["a", "b"], [1, 2]) == 0
    with pytest.raises(DataError, match="sequence 1 has no label, got None"):
        clf.score(["a", "b"], [1, None])
    with pytest.raises(DataError, match="sequence 1 has the label 'z', which is none of the classes learnt: 'x', 'y'"):
        clf.evaluate(["a", "b"], ["x", "z"])
    with pytest.raises(DataError, match="no sequences to score"):
        clf.score([], [])


def test_predict_leaves_the_model_alone() -> None:
    texts, labels = reviews(20)
    clf = Classifier(**SMALL).fit(texts, labels)
    before = {key: value.clone() for key, value in clf.network_.state_dict().items()}
    clf.predict(texts)
    assert not clf.network_.training
    assert all(torch.equal(before[key], value) for key, value in clf.network_.state_dict().items())


def test_tables_of_another_width() -> None:
    clf = Classifier(**SMALL).fit(np.random.randn(6, 4), [0, 1] * 3)  # noqa: NPY002
    assert clf.n_features_in_ == 4
    with pytest.raises(DataError, match=r"3 features, but Classifier is expecting 4.*list\(X\)"):
        clf.predict(np.zeros((2, 3)))
    assert clf.predict(list(np.zeros((2, 3)))).shape == (2,)
    with pytest.raises(DataError, match="2 numbers a step"):
        clf.predict([np.zeros((3, 2))])


# ---- stacking


def test_stacking_prefers_the_better_path() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 200)
    good = np.eye(3)[truth] * 2 + random.normal(size=(200, 3))
    noise = random.normal(size=(200, 3))
    weights = fit_weights(np.stack([good, noise]), truth, np.ones(200))
    assert weights[0] > 0.5
    assert 0 <= weights[1] < 0.2


def test_stacking_is_the_least_loss() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 50)
    paths = np.eye(2)[truth] + random.normal(size=(2, 50, 2))

    def loss(w: Any) -> float:
        z = np.tensordot(w, paths, 1)
        nll = np.log(np.exp(z).sum(1)) - z[np.arange(50), truth]
        return float(nll.sum() + ((w - np.array([0.3, 0.65])) ** 2).sum() / 2)

    weights = fit_weights(paths, truth, np.ones(50))
    assert all(
        loss(weights) <= loss(weights + np.array(move)) for move in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01))
    )


def test_the_card_has_the_confusion_matrix_of_the_validation_part(tmp_path: Path) -> None:
    texts = [f"a {'good' if i % 3 else 'bad'} film {i % 7}" for i in range(90)]
    labels = ["+" if i % 3 else "-" for i in range(90)]
    model = Classifier(hidden=3, epochs=1, seed=0, verbose=False).fit(texts, labels)
    (table,) = model.validation_counts_
    assert np.sum(table.counts) == model.data_["validation sequences"]
    assert np.trace(np.array(table.counts)) / np.sum(table.counts) == model.metrics_["accuracy"]
    model.save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "### Confusion matrix" in card
    assert "| hidden | 3 |" in card
    assert "| ngrams | 3 |" in card  # chosen for texts
    assert "| window |" not in card  # of sound
    again = load(tmp_path / "model")
    assert again.validation_counts_ == model.validation_counts_
    again.save(tmp_path / "again")
    assert "### Confusion matrix" in (tmp_path / "again" / "README.md").read_text("utf-8")
