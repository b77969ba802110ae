"""Decision thresholds: the rule by hand, the choice on the validation set, after fit, on disk, one step at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

import elman
from elman.errors import DataError, ModelFileError, OptionError, ShapeError
from elman.io import model_folder
from elman.tasks.classify.thresholds import by_class, choose, decide

TEXTS = [f"{a} {b} film" for a in ("good", "fine", "bad", "poor") for b in ("a", "the", "good", "it")] * 8
LABELS = ["pos" if "good" in text.split() and i % 9 else "neg" for i, text in enumerate(TEXTS)]
TINY: dict[str, Any] = {"hidden": 3, "epochs": 1, "seed": 0, "verbose": False}


@pytest.fixture(scope="module")
def chosen() -> elman.Classifier:
    """A classifier that chose its threshold. Do not change it."""
    return elman.Classifier(**TINY, threshold="f1").fit(TEXTS, LABELS)


def two() -> elman.Classifier:
    return elman.Classifier(**TINY).fit(TEXTS, LABELS)


# ---- the rule


@pytest.mark.parametrize(
    ("thresholds", "probabilities", "answer"),
    [
        ([np.nan, np.nan, 0.2], [0.5, 0.3, 0.2], 2),  # reaches its threshold, however likely the others are
        ([0.9, np.nan, np.nan], [0.8, 0.05, 0.15], 2),  # does not reach it: the likeliest of the others
        ([0.3, np.nan, 0.2], [0.4, 0.25, 0.35], 2),  # both reach theirs: the one that is further above
        ([0.5, 0.1, 0.4], [0.4, 0.3, 0.3], 1),  # all are named: the highest ratio
        ([0.9, 0.9, 0.8], [0.4, 0.2, 0.4], 2),  # also where none reaches its own
        ([np.nan, np.nan, np.nan], [0.3, 0.4, 0.3], 1),  # none is named: the likeliest
    ],
)
def test_rule(thresholds: list[float], probabilities: list[float], answer: int) -> None:
    assert decide(np.array([probabilities]), np.array(thresholds)).tolist() == [answer]


def test_one_number_is_that_of_the_second_class() -> None:
    draw = np.random.default_rng(0).uniform(size=200)
    probabilities = np.stack([1 - draw, draw], 1)
    for threshold in (1e-300, 0.3, 0.5, draw[0], 1.0):
        found = decide(probabilities, by_class(threshold, np.array(["a", "b"])))
        assert (found == (draw >= threshold)).all()
        if threshold < 1:  # thresholds that add up to 1 say the same of both classes
            both = decide(probabilities, np.array([1 - threshold, threshold]))
            assert (found == both).mean() > 0.99


def test_a_text_stands_for_a_label_that_is_no_text() -> None:
    assert by_class({"2": 0.3}, np.array([1, 2])).tolist()[1] == 0.3
    assert by_class({"true": 0.3}, np.array([False, True])).tolist()[1] == 0.3
    assert by_class({np.int64(2): 0.3}, np.array([1, 2])).tolist()[1] == 0.3


# ---- the choice


@pytest.mark.parametrize(
    ("measure", "scored"),
    [("f1", sklearn.metrics.f1_score), ("balanced_accuracy", sklearn.metrics.balanced_accuracy_score)],
)
def test_no_threshold_is_better_than_the_chosen_one(measure: str, scored: Any) -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        truth = draw.uniform(size=40) < 0.3
        truth[:2] = [True, False]
        probabilities = np.round(np.clip(draw.normal(0.3 + 0.2 * truth, 0.2), 0, 1), 2)  # with ties
        found = choose(measure, truth, probabilities)
        best = max(scored(truth, probabilities >= t) for t in [*np.unique(probabilities), 0.5])
        assert scored(truth, probabilities >= found) == pytest.approx(best)


def test_half_is_kept_where_it_is_as_good() -> None:
    assert choose("f1", np.array([False, True]), np.array([0.1, 0.9])) == 0.5
    assert choose("f1", np.array([False, True]), np.array([0.6, 0.9])) == 0.75


def test_chosen_on_the_validation_set(chosen: elman.Classifier) -> None:
    plain = two()
    assert 0 < chosen.threshold_ <= 1
    assert (chosen.predict_proba(TEXTS) == plain.predict_proba(TEXTS)).all(), "the threshold changes no weights"
    assert chosen.history_[0].validation == plain.history_[0].validation
    assert chosen.metrics_["macro_f1"] >= plain.metrics_["macro_f1"]
    assert not hasattr(plain, "threshold_")
    positive = chosen.predict_proba(TEXTS)[:, 1] >= chosen.threshold_
    assert (chosen.predict(TEXTS) == np.where(positive, "pos", "neg")).all()


def test_what_was_chosen_is_told(chosen: elman.Classifier, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = f"'pos' from a probability of {chosen.threshold_:.4f} on: the best f1 on the validation set"
    elman.Classifier(**{**TINY, "verbose": True}, threshold="f1").fit(TEXTS, LABELS)
    assert f"threshold: {told}" in capsys.readouterr().err
    chosen.save(tmp_path / "model")
    assert told in (tmp_path / "model" / "README.md").read_text("utf-8")


def test_saved_and_loaded(chosen: elman.Classifier, tmp_path: Path) -> None:
    chosen.save(tmp_path / "model")
    loaded = elman.load(tmp_path / "model")
    assert loaded.threshold_ == chosen.threshold_
    assert (loaded.predict(TEXTS) == chosen.predict(TEXTS)).all()
    loaded.fit(TEXTS, LABELS)
    assert loaded.threshold_ == chosen.threshold_
    loaded.set_params(threshold=None).fit(TEXTS, LABELS)
    assert not hasattr(loaded, "threshold_")


@pytest.mark.parametrize("value", [0, 0.0, 2.0, "f1", None, float("nan")])
def test_a_saved_threshold_is_checked(chosen: elman.Classifier, tmp_path: Path, value: Any) -> None:
    chosen.save(tmp_path / "model")
    config, tensors, files = model_folder.load(tmp_path / "model")
    with pytest.raises(ModelFileError):
        elman.Classifier.restore({**config, "threshold": value}, tensors, files)


# ---- after fit


def test_may_change_after_fit() -> None:
    clf = two()
    second = clf.predict_proba(TEXTS)[:, 1]
    for threshold in (0.05, 0.5, {"pos": 0.05}, {"pos": 0.999}):
        clf.threshold = threshold
        number = threshold["pos"] if isinstance(threshold, dict) else threshold
        expected = np.where(second >= number, "pos", "neg")
        assert (clf.predict(TEXTS) == expected).all()
        assert (clf.decide(clf.predict_proba(TEXTS)) == expected).all()
        assert clf.score(TEXTS, expected) == 1
        assert clf.evaluate(TEXTS, expected)["accuracy"] == 1
        assert clf.report(TEXTS, expected).accuracy == 1
        assert clf.stream().feed(TEXTS[0]).label == expected[0]
        assert clf.explain(TEXTS[:1])[0].answer == expected[0]
    clf.threshold = None
    assert (clf.predict(TEXTS) == np.where(second > 0.5, "pos", "neg")).all()


def test_fit_with_a_number_measures_with_it() -> None:
    clf = elman.Classifier(**TINY, threshold=1e-9).fit(TEXTS, LABELS)
    assert set(clf.predict(TEXTS)) == {"pos"}
    assert clf.metrics_["accuracy"] < 0.5
    assert clf.metrics_["loss"] == two().metrics_["loss"]


# ---- refusals


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (0, "threshold = 0 must be a number above 0 and up to 1"),
        (1.5, "threshold = 1.5 must be a number above 0 and up to 1"),
        (True, "threshold = True must be None, a number, a dict from class to number, or one of f1, balanced_accuracy"),
        ("F1", "threshold = 'F1' must be None, a number, a dict from class to number, or one of f1, balanced_accuracy"),
        ({"pos": 2}, "threshold = {'pos': 2} must hold numbers above 0 and up to 1"),
        ({}, "threshold = {} must hold numbers above 0 and up to 1"),
        ({"x": 0.5}, "threshold names 'x', which is none of the classes: neg, pos. Correct the name."),
    ],
)
def test_refused(threshold: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        elman.Classifier(**TINY, threshold=threshold).fit(TEXTS, LABELS)
    assert str(caught.value) == message
    clf = two()
    clf.threshold = threshold
    with pytest.raises(OptionError) as caught:
        clf.predict(TEXTS)
    assert str(caught.value) == message


def test_two_classes_are_needed() -> None:
    three = ["a", "b", "c"] * 40
    with pytest.raises(OptionError) as caught:
        elman.Classifier(**TINY, threshold=0.3).fit(three, three)
    assert str(caught.value) == (
        "threshold = 0.3 is the threshold of the second of two classes, but there are 3: a, b, c. Give one for each "
        "class that needs it: threshold={'a': 0.3}."
    )
    with pytest.raises(OptionError) as caught:
        elman.Classifier(**TINY, threshold="f1").fit(three, three)
    assert str(caught.value) == (
        "threshold = 'f1' is chosen for two classes, but y has 3: a, b, c. Give a number for each class that needs it, "
        "or None."
    )


def test_a_validation_set_is_needed() -> None:
    with pytest.raises(OptionError) as caught:
        elman.Classifier(**TINY, threshold="f1", validation=0).fit(TEXTS, LABELS)
    assert str(caught.value) == (
        "threshold = 'f1' is chosen on the validation set, which is empty. Fit to more sequences, hold out more of "
        "them (validation=...), or give a number (threshold=...)."
    )


def test_a_measure_is_chosen_by_fit_only() -> None:
    clf = two()
    clf.threshold = "f1"
    with pytest.raises(OptionError) as caught:
        clf.predict(TEXTS)
    assert str(caught.value) == (
        "threshold = 'f1' is chosen by fit, and this model was fitted with threshold = None. Fit again, or give a "
        "number (threshold=...)."
    )


# ---- the likeliest classes


def test_top() -> None:
    words = ["a", "b", "c"] * 6
    clf = elman.Classifier(**TINY).fit(words, words)
    probabilities = clf.predict_proba(words)
    labels, best = clf.predict_top(words, k=2)
    assert labels.shape == best.shape == (18, 2)
    assert (labels[:, 0] == clf.predict(words)).all()
    assert (best == np.sort(probabilities, axis=1)[:, ::-1][:, :2]).all()
    assert clf.predict_top(words, k=9).labels.shape == (18, 3)
    assert clf.predict_top([]).labels.shape == (0, 3)
    with pytest.raises(DataError, match=r"^k is a number, 0\. Give a whole number of at least 1\.$"):
        clf.predict_top(words, k=0)
    with pytest.raises(ShapeError, match=r"^probabilities has shape \[2\], but there are 3 classes\."):
        clf.decide([0.5, 0.5])
