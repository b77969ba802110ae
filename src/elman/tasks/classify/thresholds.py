"""The option `threshold`: the probability from which a class is the answer, in place of the likeliest class.

With the thresholds t_c of the named classes N:

    y = argmax_{c in N, p_c >= t_c} p_c / t_c      where some named class reaches its threshold
    y = argmax_{c not in N} p_c                    else, the likeliest of the others
    y = argmax_c p_c / t_c                         where every class is named (the rule of Spark's `thresholds`)

One number is the threshold of the second of two classes: y = c_2 where p_2 >= t, else c_1. A measure in its place is
maximised on the validation set: of the thresholds with the best value 0.5 if it is among them, else the middle of the
probabilities that they lie between.

    f1                    2 TP / (2 TP + FP + FN) of the second class
    balanced_accuracy     (TP / (TP + FN) + TN / (TN + FP)) / 2

Where a sequence may have several labels each is decided for itself: label c is an answer where p_c >= t_c, with 0.5 for
those that are not named; one number is the threshold of all, and a measure is maximised for each label.

Lipton, Elkan & Narayanaswamy 2014. Optimal thresholding of classifiers to maximize F1 measure. ECML-PKDD.
Youden 1950. Index for rating diagnostic tests. Cancer 3 (J = 2 balanced_accuracy - 1).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from elman.errors import OptionError, Problem, option
from elman.tasks.base.targets.labels import few_labels
from elman.validation.messages import shown
from elman.validation.options import is_among, is_number
from elman.validation.plain_values import plain_value

_Array = NDArray[Any]
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


def _f1(recall: _Floats, false: _Floats, positive: float, negative: float) -> _Floats:
    found, wrong = recall * positive, false * negative
    scores: _Floats = 2 * found / (positive + found + wrong)
    return scores


def _balanced_accuracy(recall: _Floats, false: _Floats, positive: float, negative: float) -> _Floats:
    scores: _Floats = (recall + 1 - false) / 2
    return scores


#: From recall, false positive rate, and how many sequences of the second class and of the first there are.
MEASURES: dict[str, Callable[[_Floats, _Floats, float, float], _Floats]] = {
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
}


def threshold_problems(given: Any) -> list[Problem]:
    """What is wrong with the option, as far as it can be seen without the classes.

    >>> print(*threshold_problems(2))
    threshold = 2 must be a number above 0 and up to 1
    """
    if given is None or is_among(given, MEASURES):
        return []
    if isinstance(given, Mapping):
        good = len(given) > 0 and all(_is_threshold(value) for value in given.values())
        return [] if good else [Problem("threshold", shown(dict(given)), "must hold numbers above 0 and up to 1")]
    if is_number(given):
        return (
            [] if _is_threshold(given) else [Problem("threshold", shown(given), "must be a number above 0 and up to 1")]
        )
    rule = f"must be None, a number, a dict from class to number, or one of {', '.join(MEASURES)}"
    return [Problem("threshold", shown(given), rule)]


def _is_threshold(value: Any) -> bool:
    return is_number(value, 0, 1) and bool(value > 0)


def by_class(given: float | Mapping[Any, float], classes: _Array, several: bool = False) -> _Floats:
    """The threshold of each class [classes], NaN where it has none; with `several` labels a sequence 0.5 there.

    In a dict a text stands for the number or truth value that is written so, as JSON has no other keys. Raises
    ``OptionError`` for one number where there are not two classes, and for names of other classes.

    >>> by_class(0.3, np.array(["ham", "spam"])), by_class({"2": 0.4}, np.array([1, 2, 3]))
    (array([nan, 0.3]), array([nan, 0.4, nan]))
    """
    made = np.full(len(classes), 0.5 if several else np.nan)
    labels = classes.tolist()
    if several and not isinstance(given, Mapping):
        return np.full(len(classes), float(given))
    if not isinstance(given, Mapping):
        if len(labels) != 2:
            raise OptionError(
                f"threshold = {given:g} is the threshold of the second of two classes, but there are {len(labels)}: "
                f"{few_labels(classes, 8)}. Give one for each class that needs it: ",
                option("threshold", {labels[0]: float(given)}),
                ".",
            )
        made[1] = given
        return made
    place = {label: code for code, label in enumerate(labels)}
    written = {json.dumps(label): code for label, code in place.items() if not isinstance(label, str)}
    for key, value in given.items():
        label = plain_value(key)
        code = place.get(label, written.get(label)) if isinstance(label, str) else place.get(label)
        if code is None:
            raise OptionError(
                f"threshold names {shown(label)}, which is none of the classes: {few_labels(classes, 8)}. "
                "Correct the name."
            )
        made[code] = value
    return made


def decide(probabilities: _Floats, thresholds: _Floats) -> _Ints:
    """The code of the answer for each row of `probabilities` [sequences, classes]; see the head of this file.

    >>> p = np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> decide(p, np.array([np.nan, 0.3])), decide(p, np.array([0.7, 0.3]))
    (array([0, 1]), array([0, 1]))
    """
    named = ~np.isnan(thresholds)
    scores = np.where(named, probabilities / np.where(named, thresholds, 1), probabilities)
    if not named.all():
        reached = named & (probabilities >= np.where(named, thresholds, np.inf))
        scores = np.where(reached.any(1, keepdims=True), np.where(reached, scores, -1), np.where(named, -1, scores))
    answers: _Ints = scores.argmax(1)
    return answers


def reached(probabilities: _Floats, thresholds: _Floats) -> NDArray[np.bool_]:
    """Which labels are answers, bool [sequences, classes], where each is decided for itself.

    >>> reached(np.array([[0.6, 0.4]]), np.array([0.5, 0.5])).tolist()
    [[True, False]]
    """
    answers: NDArray[np.bool_] = probabilities >= thresholds
    return answers


def rule_of(
    given: Any, learnt: Any, chosen: Any, classes: _Array, several: bool = False
) -> Callable[[_Floats], _Array] | None:
    """From probabilities to answers by the option `given`; None: the likeliest class, or those likelier than not.

    `learnt` is the option as of `fit`, `chosen` what it chose: a number, or of `several` labels a sequence one for each
    class. Raises ``OptionError`` for a measure that it was not.

    >>> rule_of(0.3, None, None, np.array(["a", "b"]))(np.array([[0.6, 0.4]]))
    array([1])
    """
    if given is None:
        return None
    if isinstance(given, str):
        if given != learnt or chosen is None:
            raise OptionError(
                f"threshold = {given!r} is chosen by fit, and this model was fitted with threshold = {shown(learnt)}. "
                "Fit again, or give a number (",
                option("threshold"),
                ").",
            )
        given = chosen if not several else dict(zip(classes.tolist(), np.asarray(chosen).tolist(), strict=True))
    thresholds = by_class(given, classes, several)
    return lambda probabilities: (reached if several else decide)(probabilities, thresholds)


def in_words(measure: str, threshold: float | _Floats, classes: _Array) -> str:
    """A threshold that was chosen, or one for each class, for people.

    >>> in_words("f1", 0.25, np.array(["ham", "spam"]))
    "'spam' from a probability of 0.2500 on: the best f1 on the validation set"
    """
    best = measure.replace("_", " ")
    if isinstance(threshold, np.ndarray):
        few = [f"{shown(label)} {value:.4f}" for label, value in zip(classes.tolist(), threshold, strict=True)][:8]
        cut = ", …" if len(classes) > len(few) else ""
        return f"{', '.join(few)}{cut}: the best {best} of each label on the validation set"
    return (
        f"{shown(classes.tolist()[1])} from a probability of {threshold:.4f} on: the best {best} on the validation set"
    )


def check_classes(given: Any, classes: _Array, validation: _Array, several: bool = False) -> None:
    """Raises ``OptionError``, before training, for an option that does not suit the classes or the validation set.

    `validation` are the codes of its sequences, of `several` labels a sequence bool [sequences, classes].

    >>> check_classes("f1", np.array(["a", "b"]), np.array([0, 1]))
    """
    if not isinstance(given, str):
        rule_of(given, None, None, classes, several)
        return
    if len(classes) != 2 and not several:
        raise OptionError(
            f"threshold = {given!r} is chosen for two classes, but y has {len(classes)}: {few_labels(classes, 8)}. "
            "Give a number for each class that needs it, or None."
        )
    if len(np.unique(validation)) < 2:
        held = "has one class only" if len(validation) else "is empty"
        raise OptionError(
            f"threshold = {given!r} is chosen on the validation set, which {held}. Fit to more sequences, hold out "
            "more of them (",
            option("validation"),
            "), or give a number (",
            option("threshold"),
            ").",
        )


def restored(saved: Any, classes: _Array, several: bool) -> float | _Floats:
    """A threshold that was chosen and saved. Raises ``ValueError`` for what cannot be one.

    >>> restored(0.5, np.array(["a", "b"]), several=False)
    0.5
    """
    values = saved if several and isinstance(saved, list) else [saved]
    if not all(isinstance(value, float) and _is_threshold(value) for value in values):
        raise ValueError("threshold")
    if several and len(values) != len(classes):
        raise ValueError("threshold")
    return np.array(values) if several else float(saved)


def choose_each(
    measure: str, present: NDArray[np.bool_], probabilities: _Floats, weights: _Floats | None = None
) -> _Floats:
    """`choose` for each label, [classes], of arrays [sequences, classes]; 0.5 for one that all or none have.

    >>> choose_each("f1", np.array([[True, False], [False, False]]), np.array([[0.3, 0.2], [0.1, 0.2]])).tolist()
    [0.2, 0.5]
    """
    pairs = list(zip(present.T, probabilities.T, strict=True))
    return np.array([choose(measure, one, p, weights) if one.any() and not one.all() else 0.5 for one, p in pairs])


def choose(measure: str, positive: NDArray[np.bool_], probabilities: _Floats, weights: _Floats | None = None) -> float:
    """The threshold on `probabilities` [sequences] with the highest value of a measure; which are `positive` is known.

    `weights` [sequences]: what each counts.

    >>> choose("f1", np.array([False, True, False, True]), np.array([0.1, 0.2, 0.15, 0.4])).__round__(3)
    0.175
    """
    curve = sklearn.metrics.roc_curve(positive, probabilities, sample_weight=weights, drop_intermediate=False)
    false, recall, edges = curve
    each = np.ones(len(positive)) if weights is None else weights
    values = MEASURES[measure](recall, false, float(each[positive].sum()), float(each[~positive].sum()))[
        1:
    ]  # the first edge, infinity, answers none
    high = edges[1:]
    low = np.append(high[1:], 0.0)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    if ((low[best] < 0.5) & (high[best] >= 0.5)).any():
        return 0.5
    nearest = best[np.abs((low + high)[best] / 2 - 0.5).argmin()]
    return float(max((low[nearest] + high[nearest]) / 2, np.finfo(np.float64).tiny))
