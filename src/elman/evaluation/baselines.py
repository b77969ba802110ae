"""Baselines without a recurrent network, one for each type of input and target, built with scikit-learn.

Text and tokens become counts of the runs of one, two (or three) symbols, weighted down where they are common, and a
logistic regression reads them:

    w_ig = (1 + log n_ig) (1 + log((1 + N) / (1 + N_g)))     n_ig: how often n-gram g stands in sequence i; N sequences,
    x_i  = w_i / |w_i|                                        N_g of which have g
    U, b = argmin  C sum_i -log softmax(U x_i + b)_{y_i} + 1/2 |U|^2                  C = 10

Numbers become their mean, deviation, least, largest, first and last value in each column, and the length. Of several
columns all of this stands side by side, with the single numbers and one column for each category. The `majority`
answers the commonest class without looking at all.

Where a number is to be found, a ridge regression reads the same, and the `mean` looks at nothing:

    w, b = argmin  sum_i (y_i - w x_i - b)^2 + a |w|^2      a = 1; for numbers 0.1, 1, 10 or 100, by leaving one out

Sparck Jones, K. 1972. A statistical interpretation of term specificity. Journal of Documentation 28.
Wang, S. and Manning, C. 2012. Baselines and bigrams: simple, good sentiment and topic classification. ACL.
"""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer, OneHotEncoder, StandardScaler

from elman.errors import DataError, ShapeError
from elman.evaluation.metrics import accuracy, error_rates
from elman.features import FEATURES, STATICS, Columns, Feature, Inputs, Numbers, infer
from elman.features.ngrams import pairs
from elman.features.unicode import canonical
from elman.validation.plain_values import plain_value

_Floats = NDArray[np.float64]


@dataclass
class Baseline:
    """A simple classifier with a name. Make one with `linear_baseline` or `majority`.

    >>> model = majority().fit(["x", "y", "z"], ["cat", "dog", "dog"])
    >>> model.name, model.predict(["anything"]), model.score(["a", "b"], ["dog", "cat"])
    ('the commonest class', ['dog'], 0.5)
    """

    name: str  # as it is shown beside the network's
    build: Callable[[Any], Any]  # from the training column: an unfitted scikit-learn estimator; None: majority
    seconds: float = field(default=0.0, init=False)  # that fitting took
    classes: list[Any] = field(default_factory=list, init=False)  # in the order they were met in training
    model: Any = field(default=None, init=False, repr=False)  # the fitted estimator; None: the commonest class it is

    def fit(self, X: Any, y: Sequence[Any]) -> Self:
        """Learn from the sequences whose label is known (not None).

        Raises ShapeError for different lengths, DataError without any sequence.

        Where nothing can be told apart (one class only, or no symbol in any text) the commonest class is the answer.
        """
        begin = time.perf_counter()
        labels = _listed(y)
        if len(labels) != len(X):
            raise ShapeError(f"X has {len(X)} sequences, but y has {len(labels)} labels. Give one label for each.")
        known = np.flatnonzero([label is not None for label in labels])
        if len(known) < len(labels):
            X, labels = _chosen(X, known), [labels[i] for i in known.tolist()]
        if not labels:
            raise DataError("there are no sequences to learn from. Give at least one.")
        self.classes = [label for label, _ in Counter(labels).most_common()]
        model = self.build(X) if len(self.classes) > 1 else None
        code = {label: number for number, label in enumerate(self.classes)}
        self.model = _fitted(model, X, np.array([code[label] for label in labels]))
        self.seconds = time.perf_counter() - begin
        return self

    def predict(self, X: Any) -> list[Any]:
        """The answer for each sequence."""
        if not self.classes:
            raise DataError(f"{self.name} was not fitted. Call fit(X, y) first.")
        if self.model is None or not len(X):
            return [self.classes[0]] * len(X)
        return [self.classes[number] for number in self.model.predict(X)]

    def score(self, X: Any, y: Sequence[Any]) -> float:
        """The share of sequences whose answer is the true label, from 0 to 1."""
        return accuracy(_listed(y), self.predict(X))


def linear_baseline(X: Any, feature: Feature | Columns | None = None) -> Baseline:
    """The baseline for the kind of sequences in `X`, not yet fitted.

    `feature` is that of a fitted model: the baseline then reads the same units, such as characters, as the model.

    >>> linear_baseline(["a text", "another"]).name
    'TF-IDF + logistic regression'
    >>> linear_baseline([[1.5, 2.5], [3]]).name
    'summary statistics + logistic regression'

    Text: runs of the units that the feature has learnt, or those that a `Text` with unit = "auto" would choose, 1 and 2
    words or sub-words; 1 to 3 characters where most letters are of scripts without spaces; 1 to 6 characters where
    words are no unit (at most as many as make 20 million runs, and at least 3). Tokens: runs of 1 and 2 tokens.
    """
    what, transformer, is_sparse = _transformer_for(X, feature)
    return Baseline(
        f"{what} + logistic regression",
        lambda X: make_pipeline(transformer(X), _Logistic() if is_sparse else _dense_logistic()),
    )


def majority() -> Baseline:
    """The class that is commonest in training, whatever the sequence."""
    return Baseline("the commonest class", lambda X: None)


@dataclass
class LabelSetBaseline:
    """A simple classifier of any number of labels a sequence. Make one with `label_set_baseline` or `commonest_labels`.

    >>> model = commonest_labels().fit(["x", "y", "z"], [["cat"], ["dog", "cat"], []])
    >>> model.name, model.predict(["anything"])
    ('the labels that more than half of the sequences have', [['cat']])
    """

    name: str  # as it is shown beside the network's
    build: Callable[[Any], Any]  # from the training column: an unfitted scikit-learn estimator; None: the commonest
    seconds: float = field(default=0.0, init=False)  # that fitting took
    coding: MultiLabelBinarizer = field(default_factory=MultiLabelBinarizer, init=False, repr=False)
    common: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), init=False)  # [labels]
    model: Any = field(default=None, init=False, repr=False)  # the fitted estimator; None: the commonest labels

    def fit(self, X: Any, y: Sequence[Sequence[Any]]) -> Self:
        """Learn from the sequences and the labels of each.

        Raises ShapeError for different lengths, DataError without any sequence.
        """
        begin = time.perf_counter()
        if len(y) != len(X):
            raise ShapeError(f"X has {len(X)} sequences, but y has {len(y)} lists of labels. Give one for each.")
        if not len(y):
            raise DataError("there are no sequences to learn from. Give at least one.")
        matrix = self.coding.fit_transform(y)
        self.common = matrix.mean(0) > 0.5
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Label not", UserWarning)  # a label that all have
            self.model = _fitted(self.build(X), X, matrix)
        self.seconds = time.perf_counter() - begin
        return self

    def predict(self, X: Any) -> list[list[Any]]:
        """The labels of each sequence."""
        if self.model is None or not len(X):
            found = np.tile(self.common, (len(X), 1))
        else:
            found = np.asarray(self.model.predict(X)).reshape(len(X), -1)
        return [list(labels) for labels in self.coding.inverse_transform(found.astype(int))]


def label_set_baseline(X: Any, feature: Feature | Columns | None = None) -> LabelSetBaseline:
    """A logistic regression for each label (one-vs-rest), not yet fitted; `feature` as for `linear_baseline`.

    >>> label_set_baseline(["a text", "another"]).name
    'TF-IDF + logistic regression per label'
    """
    what, transformer, is_sparse = _transformer_for(X, feature)
    return LabelSetBaseline(
        f"{what} + logistic regression per label",
        lambda X: make_pipeline(transformer(X), OneVsRestClassifier(_Logistic() if is_sparse else _dense_logistic())),
    )


def commonest_labels() -> LabelSetBaseline:
    """The labels that more than half of the training sequences have, whatever the sequence."""
    return LabelSetBaseline("the labels that more than half of the sequences have", lambda X: None)


# -------------------------------------------------------------------------------------------------------------- numbers


@dataclass
class NumberBaseline:
    """A simple regressor with a name. Make one with `ridge` or `mean`.

    >>> model = mean().fit(["x", "y", "z"], [1.0, None, 3.0])
    >>> model.name, model.predict(["anything"]).tolist()
    ('the mean', [2.0])
    """

    name: str  # as it is shown beside the network's
    build: Callable[[Any], Any]  # from the training column: an unfitted scikit-learn estimator; None: the mean
    seconds: float = field(default=0.0, init=False)  # that fitting took
    center: float = field(default=0.0, init=False)  # the mean of what is known
    model: Any = field(default=None, init=False, repr=False)  # the fitted estimator; None: the mean

    def fit(self, X: Any, y: Sequence[Any]) -> Self:
        """Learn from the sequences whose number is known; lists of numbers count for the mean alone.

        Raises ShapeError for different lengths, DataError without any number.
        """
        begin = time.perf_counter()
        if len(y) != len(X):
            raise ShapeError(f"X has {len(X)} sequences, but y has {len(y)} numbers. Give one number for each.")
        lists = any(isinstance(value, list | tuple | np.ndarray) for value in y)
        every = [one for row in y for one in row] if lists else list(y)
        values = np.array([np.nan if one is None else one for one in every], dtype=np.float64)
        known = np.flatnonzero(~np.isnan(values))
        if not len(known):
            raise DataError("there is no number to learn from. Give at least one.")
        self.center = float(values[known].mean())
        chosen = X if lists or len(known) == len(X) else _chosen(X, known)
        self.model = _fitted(None if lists else self.build(chosen), chosen, values[known])
        self.seconds = time.perf_counter() - begin
        return self

    def predict(self, X: Any) -> _Floats:
        """The answer for each sequence."""
        if self.model is None or not len(X):
            return np.full(len(X), self.center)
        return np.asarray(self.model.predict(X), dtype=np.float64)


def ridge(X: Any, feature: Feature | Columns | None = None) -> NumberBaseline:
    """Ridge regression for the kind of sequences in `X`, not yet fitted; `feature` as for `linear_baseline`.

    >>> ridge(["a text", "another"]).name
    'TF-IDF + ridge regression'
    """
    what, transformer, is_sparse = _transformer_for(X, feature)
    return NumberBaseline(
        f"{what} + ridge regression", lambda X: make_pipeline(transformer(X), Ridge() if is_sparse else _dense_ridge())
    )


def mean() -> NumberBaseline:
    """The mean of training, whatever the sequence."""
    return NumberBaseline("the mean", lambda X: None)


def _dense_ridge() -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)))


def _dense_logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _chosen(X: Any, places: NDArray[np.int64]) -> Any:
    return X.take(places) if isinstance(X, Inputs) else [X[i] for i in places.tolist()]


def _fitted(model: Any, X: Any, y: Any) -> Any:
    """The model fitted; None where it is None, or finds no symbol in any text."""
    if model is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a last digit of the weights, not of the answers
            return model.fit(X, y)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        return None


# ---------------------------------------------------------------------------------------------------------- estimators


def _transformer_for(X: Any, feature: Feature | Columns | None) -> tuple[str, Callable[[Any], Any], bool]:
    """What a linear model reads of `X`: its name, the unfitted transformer of a training column, whether it is sparse.

    A fitted `feature` of the kind of `X` is read through; otherwise one is inferred.
    """
    if isinstance(X, Inputs):
        units = {} if feature is None else feature.by_column()
        return "all columns", lambda X: _Mixed(units), True
    if feature is not None and feature.reads_files:
        audio = feature.only()
        return "summary statistics of the bands", lambda X: _summaries(audio), False
    made = infer(X)
    if feature is not None and feature.kind == made.kind:
        made = feature.only()
    if made.is_symbolic:
        return "TF-IDF", lambda X: _tfidf(X, made), True
    return "summary statistics", lambda X: _summaries(Numbers().fit(X)), False


class _Mixed(BaseEstimator):  # type: ignore[misc]
    """Columns of several kinds as one table of numbers, sparse; `units` are the fitted features of those with steps."""

    def __init__(self, units: Mapping[str, Feature]) -> None:
        self.units = units

    def fit(self, X: Inputs, y: Any = None) -> Self:
        self.parts_ = {name: _part(X.columns[name], X.kinds[name], self.units.get(name)) for name in X.kinds}
        self.transform(X, first=True)
        return self

    def transform(self, X: Inputs, first: bool = False) -> Any:
        made = []
        for name, part in self.parts_.items():
            column = _shaped(X.columns[name], X.kinds[name])
            made.append(sparse.csr_matrix(part.fit_transform(column) if first else part.transform(column)))
        return sparse.hstack(made, format="csr")


def _part(column: Any, kind: str, unit: Feature | None) -> Any:
    """The unfitted transformer of a column."""
    if kind in STATICS:
        if STATICS[kind].is_category:
            return OneHotEncoder(handle_unknown="ignore")
        number = STATICS[kind]().fit(column)
        return FunctionTransformer(lambda values: number.transform(values).numpy())
    if FEATURES[kind].is_symbolic:
        return _tfidf(column, FEATURES[kind]() if unit is None else unit)
    return make_pipeline(_summaries(Numbers().fit(column)), StandardScaler())


def _shaped(column: Any, kind: str) -> Any:
    categories = kind in STATICS and STATICS[kind].is_category
    return [[str(plain_value(value))] for value in column] if categories else column


def _tfidf(X: Any, feature: Feature) -> TfidfVectorizer:
    """The unfitted TF-IDF of the runs of the symbols of a feature."""
    options = feature.ngram_options(X) or {"analyzer": pairs}
    # Half of all n-grams of a large set stand in one text only: they cost time and say nothing about another.
    return TfidfVectorizer(min_df=2 if len(X) >= 1000 else 1, sublinear_tf=True, dtype=np.float32, **options)


class _Logistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression by the solver that is quickest for the number of classes; the answers are the same."""

    def fit(self, X: Any, y: Any) -> Self:
        two = {"solver": "liblinear", "dual": True, "tol": 0.01, "random_state": 0} if y.max() == 1 else {}
        self.model_ = LogisticRegression(C=10.0, max_iter=300, **two).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def decision_function(self, X: Any) -> Any:
        return self.model_.decision_function(X)

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X)


def _summaries(feature: Feature) -> FunctionTransformer:
    return FunctionTransformer(lambda column: _summary(feature, column))


def _summary(feature: Feature, X: Any) -> "np.ndarray[Any, Any]":
    rows = []
    for sequence in feature.transform(X):
        x = sequence.numpy()
        if not len(x):
            rows.append(np.zeros(6 * x.shape[1] + 1))
            continue
        parts = [x.mean(0), x.std(0), x.min(0), x.max(0), x[0], x[-1], [len(x)]]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def _listed(y: Any) -> list[Any]:
    tolist = getattr(y, "tolist", None) or getattr(y, "to_list", None)
    return list(tolist() if callable(tolist) else y)


@dataclass
class CommonestTag:
    """A baseline for taggers: for each word its most frequent label, for an unknown word the most frequent of all.

    >>> model = CommonestTag().fit([["a", "dog"], ["a", "cat"]], [["DET", "NOUN"], ["DET", "NOUN"]])
    >>> model.predict([["a", "bird"]])
    [['DET', 'DET']]
    """

    name: str = "the commonest label of each word"
    seconds: float = field(default=0.0, init=False)  # that fitting took
    labels: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)  # of each word
    unknown: Any = field(default=None, init=False)  # the label of a word that training never showed

    def fit(self, X: Any, y: Sequence[Sequence[Any]]) -> Self:
        """Learn from sequences and their labels."""
        begin = time.perf_counter()
        counts: dict[Any, Counter[Any]] = {}
        for words, labels in zip(_listed(X), y, strict=True):
            for word, label in zip(words, labels, strict=True):
                counts.setdefault(_known_by(word), Counter())[label] += 1
        self.labels = {word: count.most_common(1)[0][0] for word, count in counts.items()}
        every = Counter(label for labels in y for label in labels)
        self.unknown = every.most_common(1)[0][0]
        self.seconds = time.perf_counter() - begin
        return self

    def predict(self, X: Any) -> list[list[Any]]:
        """The labels of each sequence."""
        return [[self.labels.get(_known_by(word), self.unknown) for word in words] for words in _listed(X)]


def _known_by(word: Any) -> Any:
    """A word in the form in which a tagger reads it."""
    return canonical(word) if isinstance(word, str) else word


@dataclass
class Constant:
    """A baseline for transcribers: one transcript for all sequences, the one with the lowest word error rate.

    It is one of the hundred commonest transcripts, their commonest word, or nothing; where a tie, the first of these.

    >>> Constant().fit([None] * 3, ["GO ON", "GO", "STOP"]).predict([None])
    ['GO']
    """

    name: str = "the least wrong constant transcript"
    seconds: float = field(default=0.0, init=False)  # that fitting took
    transcript: Any = field(default="", init=False)

    def fit(self, X: Any, y: Sequence[Any]) -> Self:
        """Learn from transcripts; `X` is not looked at."""
        begin = time.perf_counter()
        known = [" ".join(one) if isinstance(one, list) else one for one in y]
        words = Counter(word for one in known for word in one.split())
        tried = [one for one, _ in Counter(known).most_common(100)] + [word for word, _ in words.most_common(1)] + [""]
        best = min(tried, key=lambda one: error_rates(known, [one] * len(known))["wer"])
        self.transcript = best.split() if isinstance(y[0], list) else best
        self.seconds = time.perf_counter() - begin
        return self

    def predict(self, X: Any) -> list[Any]:
        """The same for each sequence."""
        return [self.transcript] * len(X)
