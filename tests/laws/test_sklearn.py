"""scikit-learn's own checks, and its tools around a classifier of unequal sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from elman.tasks import Classifier

QUICK = {"hidden": 8, "embed": 8, "cell": "gru", "pool": "last", "dropout": 0.0, "head_dropout": 0.0, "verbose": False}
CHECKED = Classifier(epochs=20, learning_rate=0.03, **QUICK)  # type: ignore[arg-type]

UNAVOIDABLE = {
    "check_sample_weight_equivalence_on_dense_data": "a weight of 2 is no second copy: copies are drawn into batches "
    "apart, and there are more of them in an epoch",
    "check_classifiers_train": "its last part fits on a list and asks that a table of another width be refused; a list "
    "holds sequences of any length, and so may what follows. Tables after a table are refused, as it asks",
}


@parametrize_with_checks([CHECKED], expected_failed_checks=lambda _: UNAVOIDABLE)
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def waves(sequences: int = 40) -> tuple[list[Any], list[str]]:
    """Unequal series that rise or fall."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, sequences)
    signs = np.resize([1, -1], sequences)
    series = [s * np.arange(1, n + 1) / 5 + random.normal(0, 0.05, n) for s, n in zip(signs, lengths, strict=True)]
    return series, ["up" if s > 0 else "down" for s in signs]


def test_cross_validation_of_unequal_sequences() -> None:
    X, y = waves()
    clf = Classifier(epochs=10, learning_rate=0.03, batch_sequences=8, **QUICK)  # type: ignore[arg-type]
    scores = cross_val_score(clf, X, y, cv=StratifiedKFold(2))
    assert scores.min() > 0.9
    assert cross_val_predict(clf, X, y, cv=2, method="predict_proba").shape == (40, 2)


def test_grid_search_over_unequal_sequences() -> None:
    X, y = waves()
    clf = Classifier(epochs=1, **QUICK)  # type: ignore[arg-type]
    search = GridSearchCV(clf, {"cell": ["rnn", "gru"], "hidden": [4, (4, 3)]}, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.predict(X[:3]).shape == (3,)


def test_pipeline() -> None:
    X, y = waves()
    half = FunctionTransformer(lambda column: [x / 2 for x in column])
    pipe = Pipeline([("half", half), ("clf", Classifier(epochs=1, **QUICK))])  # type: ignore[arg-type]
    pipe.set_params(clf__hidden=4).fit(X, y)
    assert pipe.predict(X).shape == (40,)
    assert pipe["clf"].network_.encoder.outputs == 4


def test_options_are_parameters() -> None:
    clf = Classifier(cell="gru", class_weight={"a": 2.0})
    params = clf.get_params()
    assert params["cell"] == "gru"
    assert params["epochs"] == clf.epochs
    twin = clone(clf)
    assert twin is not clf
    assert twin.get_params() == params
    assert clf.set_params(hidden=3).hidden == 3
    assert is_classifier(clf)
    assert repr(Classifier(hidden=3)) == "Classifier(hidden=3)"
    assert Classifier() != Classifier()
    assert len({Classifier(), Classifier()}) == 2
