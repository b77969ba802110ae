"""How good answers are: thin names over scikit-learn, for labels of any kind.

With TP, FP, FN the sequences of a class that were found, wrongly claimed and missed:

    precision = TP / (TP + FP)      recall = TP / (TP + FN)      F1 = 2 TP / (2 TP + FP + FN)

each 0 where nothing stands below the line. Of numbers y and answers z, over those that are known (y is not NaN):

    MAE = mean |y - z|      RMSE = sqrt(mean (y - z)^2)      R2 = 1 - sum (y - z)^2 / sum (y - mean y)^2

R2 of a y that never changes is 1 where every answer is right, else 0.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from elman.errors import DataError, ShapeError
from elman.features.unicode import plain
from elman.validation.plain_values import plain_value


class ClassScore(NamedTuple):
    """How well one class is found. `sequences` is how many truly belong to it."""

    label: Any
    precision: float
    recall: float
    f1: float
    sequences: int


def accuracy(truth: Sequence[Any], answers: Sequence[Any], weights: Any = None) -> float:
    """The share of sequences whose answer is the true label, from 0 to 1; `weights`: what each sequence counts.

    Raises ShapeError where the two differ in length, DataError where there is nothing to compare (so do all below).

    >>> accuracy(["cat", "dog", "dog"], ["cat", "dog", "cat"])
    0.6666666666666666
    """
    _, true, given = _coded(truth, answers, None)
    each = None if weights is None else checked_weights(weights, len(true))
    return float(sklearn.metrics.accuracy_score(true, given, sample_weight=each))


def macro_f1(truth: Sequence[Any], answers: Sequence[Any], weights: Any = None) -> float:
    """The mean of the F1 of every class that occurs, each class counting the same however rare it is.

    `weights`: what each sequence counts among those of its class.

    >>> macro_f1(["cat", "dog", "dog"], ["cat", "dog", "cat"])
    0.6666666666666666
    """
    labels, true, given = _coded(truth, answers, None)
    given_weights: dict[str, Any] = {} if weights is None else {"sample_weight": checked_weights(weights, len(true))}
    how: dict[str, Any] = {"labels": np.arange(len(labels)), "average": "macro", "zero_division": 0}
    return float(sklearn.metrics.f1_score(true, given, **how, **given_weights))


def per_class(truth: Sequence[Any], answers: Sequence[Any], labels: Iterable[Any] | None = None) -> list[ClassScore]:
    """Precision, recall and F1 of each class, in the order of `labels` (default: all that occur, sorted).

    >>> for score in per_class(["cat", "dog", "dog"], ["cat", "dog", "cat"]):
    ...     print(score.label, score.precision, score.recall, score.sequences)
    cat 0.5 1.0 1
    dog 1.0 0.5 2
    """
    labels, true, given = _coded(truth, answers, labels)
    columns = sklearn.metrics.precision_recall_fscore_support(
        true, given, labels=np.arange(len(labels)), zero_division=0
    )
    return [
        ClassScore(label, float(p), float(r), float(f), int(n))
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    ]


def label_set_scores(
    truth: NDArray[np.bool_], answers: NDArray[np.bool_], *, weights: NDArray[np.float64] | None = None
) -> dict[str, float]:
    """F1 and exact matches of label sets, bool [sequences, labels]: which labels each sequence has.

    `weights` [sequences]: what each sequence counts.

    ::

        micro F1     of all pairs of a sequence and a label together
        macro F1     mean over the labels that occur in truth or answers
        samples F1   mean over the sequences; 1 where both sets are empty
        subset accuracy    the share of sequences whose set is exactly right

    >>> scores = label_set_scores(np.array([[True, False], [True, True]]), np.array([[True, False], [True, False]]))
    >>> {name: round(value, 4) for name, value in scores.items()}
    {'micro_f1': 0.8, 'macro_f1': 0.5, 'samples_f1': 0.8333, 'subset_accuracy': 0.5}
    """
    if truth.shape != answers.shape:
        raise ShapeError(f"sets of labels are compared, got shapes {list(truth.shape)} and {list(answers.shape)}.")
    if not len(truth):
        raise DataError("there are no sequences to score. Give at least one.")
    both, sizes = truth & answers, truth.astype(np.int64) + answers
    own = np.where(sizes.any(1), 2 * both.sum(1) / np.maximum(sizes.sum(1), 1), 1.0)
    exact = (truth == answers).all(1)
    found, there = both.sum(0), sizes.sum(0)
    if weights is not None:
        found, there = weights @ both, weights @ sizes
    occurs = there > 0
    each = 2 * found[occurs] / there[occurs]
    return {
        "micro_f1": float(2 * found.sum() / there.sum()) if occurs.any() else 0.0,
        "macro_f1": float(each.mean()) if len(each) else 0.0,
        "samples_f1": float(np.average(own, weights=weights)),
        "subset_accuracy": float(np.average(exact, weights=weights)),
    }


def confusion(
    truth: Sequence[Any], answers: Sequence[Any], labels: Iterable[Any] | None = None
) -> tuple[list[Any], np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """The labels and a table `[true, answered]` of how many sequences fell where.

    >>> labels, table = confusion(["cat", "dog", "dog"], ["cat", "dog", "cat"])
    >>> labels, table.tolist()
    (['cat', 'dog'], [[1, 0], [1, 1]])
    """
    labels, true, given = _coded(truth, answers, labels)
    return labels, confusion_of_codes(true, given, len(labels))


def confusion_of_codes(
    truth: NDArray[np.int64], answers: NDArray[np.int64], classes: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The table `[true, answered]` of classes given as codes from 0, both [sequences].

    >>> confusion_of_codes(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    # Not sklearn.metrics.confusion_matrix, which warns about a single class.
    table = np.bincount(classes * truth + answers, minlength=classes**2)
    return table.reshape(classes, classes).astype(np.int64)


def largest_classes(labels: Sequence[Any], sizes: NDArray[np.int64], most: int) -> tuple[list[str], NDArray[np.int64]]:
    """Names of at most `most` classes, the last for all but the largest, and the place of each label among them.

    >>> names, place = largest_classes(["a", "b", "c"], np.array([1, 5, 2]), most=2)
    >>> names, place.tolist()
    (['b', '2 others'], [1, 0, 1])
    """
    names = [str(label) for label in labels]
    if len(names) <= most:
        return names, np.arange(len(names))
    shown = np.sort(np.argsort(-sizes, kind="stable")[: most - 1])
    place = np.full(len(names), len(shown))
    place[shown] = np.arange(len(shown))
    return [*(names[i] for i in shown), f"{len(names) - len(shown)} others"], place


def mae(truth: NDArray[np.float64], answers: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """The mean absolute error of numbers [rows]; a truth of NaN is left out. `weights` [rows]: what a row counts.

    Raises ShapeError where the two differ in length, DataError where no truth is known (so do the two below).

    >>> mae(np.array([1.0, np.nan, 4.0]), np.array([2.0, 2.0, 2.0]))
    1.5
    """
    _, error, share = _errors(truth, answers, weights)
    return float(share @ np.abs(error))


def rmse(truth: NDArray[np.float64], answers: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """The root of the mean squared error of numbers [rows].

    >>> rmse(np.array([1.0, 5.0]), np.array([1.0, 1.0])) == 8**0.5
    True
    """
    _, error, share = _errors(truth, answers, weights)
    return float(np.sqrt(share @ error**2))


def r2(truth: NDArray[np.float64], answers: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """The share of the variance of numbers [rows] that is explained: 1 at best, 0 for the mean, below for worse.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    0.5
    """
    known, error, share = _errors(truth, answers, weights)
    counted = known[share > 0]
    if counted.min() == counted.max():  # a mean rounds, so that what is left of a constant may be above 0
        return float(not error[share > 0].any())
    wrong, spread = float(share @ error**2), float(share @ (known - share @ known) ** 2)
    return 1.0 - wrong / spread if spread > 0 else float(wrong == 0)


def _errors(
    truth: NDArray[np.float64], answers: NDArray[np.float64], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The known truths, the error of each answer, and the share in which each counts."""
    if truth.shape != answers.shape or truth.ndim != 1:
        raise ShapeError(f"numbers [rows] are compared, got shapes {list(truth.shape)} and {list(answers.shape)}.")
    known = ~np.isnan(truth)
    if not known.any():
        raise DataError("no number is known to compare with. Give at least one.")
    share = np.ones(int(known.sum())) if weights is None else checked_weights(weights, len(truth), known)
    return truth[known], truth[known] - answers[known], share / share.sum()


def checked_weights(weights: Any, rows: int, known: Any = slice(None)) -> NDArray[np.float64]:
    """What each of the `known` rows counts. Raises ShapeError unless there is one for each row, DataError for any that
    is below 0, missing or infinite, and where all are 0.

    >>> checked_weights([1, 0], 2).tolist()
    [1.0, 0.0]
    """
    made: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)
    if made.shape != (rows,):
        raise ShapeError(f"sample_weight has shape {list(made.shape)}, but there are {rows} rows. Give one for each.")
    if len(bad := np.flatnonzero(~((made >= 0) & np.isfinite(made)))):
        raise DataError(f"sample_weight: row {bad[0]} is {made[bad[0]]:g}. Give numbers of at least 0.")
    made = made[known]
    if not made.any():
        raise DataError("sample_weight is 0 for every row that could be scored. Give one above 0.")
    return made


def _coded(
    truth: Sequence[Any], answers: Sequence[Any], labels: Iterable[Any] | None
) -> tuple[list[Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Labels as whole numbers, since scikit-learn refuses labels of several types beside each other."""
    true, given = _plain(truth), _plain(answers)
    if len(true) != len(given):
        raise ShapeError(f"{len(true)} true labels, but {len(given)} answers. Give one answer for each sequence.")
    if not true:
        raise DataError("there are no sequences to score. Give at least one.")
    seen = list(dict.fromkeys([*true, *given]))
    order = _sorted(seen) if labels is None else list(dict.fromkeys(_plain(labels)))
    code = {label: number for number, label in enumerate(order)}
    if unknown := [label for label in seen if label not in code]:
        raise DataError(
            f"label {unknown[0]!r} is none of the {len(order)} given labels ({', '.join(map(repr, order[:5]))}"
            f"{', …' if len(order) > 5 else ''}). Correct the label or add it."
        )
    return order, np.array([code[label] for label in true]), np.array([code[label] for label in given])


def _plain(labels: Iterable[Any]) -> list[Hashable]:
    """Labels as Python's own values, whatever array or column they come in."""
    tolist = getattr(labels, "tolist", None)
    return [plain_value(label) for label in (tolist() if callable(tolist) else labels)]


def _sorted(labels: list[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:  # numbers beside words
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def smape(truth: Any, answers: Any) -> float:
    """The symmetric mean absolute error in per cent, 0 to 200, as the M4 competition has it; 0 where both are 0.

    ::

        mean 200 |y - f| / (|y| + |f|)

    >>> smape([100.0, 0.0], [300.0, 0.0])
    50.0
    """
    y, f = np.asarray(truth, np.float64), np.asarray(answers, np.float64)
    size = np.abs(y) + np.abs(f)
    return float(np.mean(200 * np.abs(y - f) / np.where(size == 0, 1, size)))


def mase(truth: Any, answers: Any, naive: Any) -> float:
    """The mean absolute error in units of the seasonal naive forecast's error in training (Hyndman & Koehler 2006).

    `naive` is that error for each value. Missing (NaN) values, and series whose naive forecast was never wrong, are
    left out; NaN where nothing is left.

    >>> mase([2.0, 9.0], [1.0, 9.0], [2.0, 0.0])
    0.5
    """
    y, f, n = np.broadcast_arrays(np.asarray(truth, np.float64), answers, naive)
    good = ~np.isnan(y) & (n > 0)
    return float(np.mean(np.abs(y - f)[good] / n[good])) if good.any() else float("nan")


def coverage(truth: Any, low: Any, high: Any) -> float:
    """The share of values that lie in their intervals, ends included.

    >>> coverage([1.0, 5.0], [0.0, 0.0], [2.0, 2.0])
    0.5
    """
    return float(np.mean((np.asarray(low) <= truth) & (np.asarray(truth) <= high)))


def error_rates(truth: Sequence[str | list[str]], answers: Sequence[str | list[str]]) -> dict[str, float]:
    """Word and character error rate: "wer" and "cer", of texts in the one form of `transcripts_of`.

    >>> error_rates(["GO ON", "STOP"], ["GO", "STOP"])
    {'wer': 0.3333333333333333, 'cer': 0.3333333333333333}
    """
    import jiwer

    pairs = list(zip(truth, answers, strict=True))
    words = [(_as_words(a), _as_words(b)) for a, b in pairs]
    texts = [(_as_text(a), _as_text(b)) for a, b in pairs]
    found = {}
    for name, own in (("wer", words), ("cer", [([*a], [*b]) for a, b in texts])):
        # Numbers in place of words: jiwer cuts texts at spaces, which items of lists and characters may be.
        number: dict[str, str] = {}
        lines = [
            [" ".join(number.setdefault(word, str(len(number))) for word in side) for side in pair] for pair in own
        ]
        full = [pair for pair in lines if pair[0]]
        wrong, count = sum(len(answer) for true, answer in own if not true), 0  # insertions into empty transcripts
        if full:
            output = jiwer.process_words([a for a, _ in full], [b for _, b in full])
            wrong += output.substitutions + output.deletions + output.insertions
            count = output.hits + output.substitutions + output.deletions
        found[name] = wrong / max(1, count)
    return found


def _as_words(transcript: str | list[str]) -> list[str]:
    return [plain(item) for item in transcript] if isinstance(transcript, list) else plain(transcript).split()


def _as_text(transcript: str | list[str]) -> str:
    return " ".join(_as_words(transcript)) if isinstance(transcript, list) else plain(transcript)


def errors_of(truth: list[Any], answers: Any) -> dict[str, float]:
    """Mean absolute error, root of the mean squared error and R2 of one target.

    >>> errors_of([1.0, None, 3.0], [1.0, 5.0, 2.0])["mae"]
    0.5
    """
    pair = _pair(truth, answers)
    return {metric.__name__: metric(*pair) for metric in (mae, rmse, r2)}


def _pair(truth: list[Any], answers: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Truths and answers as numbers [rows], those of every step one after the other."""
    if truth and isinstance(truth[0], list):
        if not isinstance(answers, list):  # one answer for all, of a baseline
            answers = [np.full(len(row), one) for row, one in zip(truth, answers, strict=True)]
        return numbers_of(truth), np.concatenate([np.asarray(row, np.float64) for row in answers])
    return numbers_of(truth), np.asarray(answers, np.float64)


def numbers_of(truth: list[Any]) -> NDArray[np.float64]:
    """All numbers one after the other, NaN where one is missing.

    >>> numbers_of([[1, None], [2]]).tolist()
    [1.0, nan, 2.0]
    """
    every = [one for row in truth for one in (row if isinstance(row, list) else [row])]
    return np.array([np.nan if one is None else one for one in every], dtype=np.float64)
