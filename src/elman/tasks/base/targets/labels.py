"""Labels as targets: plain values out of whatever they come in, the classes among them, and answers decoded and scored.

z are the logits of a sequence, one for each class: p = softmax(z). The loss is the cross-entropy.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.exceptions import DataConversionWarning
from torch import Tensor

from elman.errors import DataError, Place
from elman.evaluation import metrics
from elman.evaluation.classification import ClassificationReport
from elman.layers.losses import cross_entropy
from elman.validation.columns import is_frame, is_missing
from elman.validation.messages import seen, shown
from elman.validation.plain_values import broken_at, plain_value

_MOST_BYTES = 1 << 30  # of saved classes: a width that is only claimed takes no memory
_LONGEST = 256  # characters of a label in an array whose elements are all as wide as the longest

_Array = NDArray[Any]
_Floats = NDArray[np.float64]


def plain_labels(y: Any, sequences: int | None = None, missing: bool = True) -> list[Any]:
    """Labels as plain Python values, whatever they come in: list, array, tensor, column or frame of one column.

    Each is read as `elman.validation.plain_values.plain_value` does; what is no label stays as it is. Raises
    ``DataError`` for what is no list of labels, where there is not one for each of the `sequences`, and unless
    `missing` where one is missing.

    >>> plain_labels(np.array([1, 2]))
    [1, 2]
    """
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    elif hasattr(y, "__array__") and not hasattr(y, "__iter__"):
        y = np.asarray(y)
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Pass y.ravel().",
            DataConversionWarning,
            stacklevel=6,
        )
        y = y.ravel()
    if isinstance(y, np.ndarray) and y.ndim != 1:
        raise DataError(f"y should be a 1d array with one label a sequence, got an array of shape {y.shape} instead.")
    if not isinstance(y, list | tuple | np.ndarray) and is_frame(y):
        frame = nw.from_native(y, eager_only=True)
        if len(frame.columns) != 1:
            raise DataError(
                f"is a frame of {len(frame.columns)} columns. Pass the one with the labels: y['label'].", at=Place("y")
            )
        return plain_labels(frame.get_column(frame.columns[0]).to_list(), sequences, missing)
    if isinstance(y, str | bytes | Mapping) or not hasattr(y, "__iter__"):
        raise DataError(f"y must be a list of labels, one a sequence, got {seen(y)}.")
    values = [plain_value(value) for value in _listed(y)]
    if sequences is not None and len(values) != sequences:
        raise DataError(f"X has {sequences} sequences, y has {len(values)} labels. Give one label a sequence.")
    for i, value in enumerate(() if missing else values):
        if is_missing(value):
            raise DataError(f"has no label, got {value!r}. Drop it, or give it one.", at=Place("y", sequence=i))
    return values


def _listed(y: Any) -> Iterable[Any]:
    if isinstance(y, np.ndarray) and y.dtype.kind in "mM":  # whose tolist() would make numbers of dates
        return list(y)
    for name in ("to_list", "to_pylist", "tolist"):
        if hasattr(y, name):
            found: list[Any] = getattr(y, name)()
            return found
    return list(y)


def coded_labels(y: Any, sequences: int) -> tuple[_Array, NDArray[np.int64]]:
    """The classes in order, and which of them each sequence belongs to, int64 `[sequences]`.

    Raises ``DataError``, naming the sequence, for a label that is missing or no label, for kinds that are mixed, for
    fewer than two classes, and where `y` has not one label for each of the `sequences`.

    >>> coded_labels(["b", "a", "b"], sequences=3)
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    values = plain_labels(y, sequences)
    if not values:
        raise DataError("X holds no sequences. Fitting needs at least two, of different classes.")
    for i, value in enumerate(values):
        check_label(value, Place("y", sequence=i))
    dtype = y.dtype if isinstance(y, np.ndarray) and y.dtype.kind in "biuf" else None
    classes = classes_of(values, lambda i: Place(sequence=i), dtype)
    if len(classes) < 2:
        raise DataError(
            f"has only one class, {shown(classes.tolist()[0])}. A classifier needs at least two to tell apart.",
            at=Place("y"),
        )
    place = {label: code for code, label in enumerate(classes.tolist())}
    return classes, np.array([place[value] for value in values], dtype=np.int64)


def classes_of(values: Sequence[Any], place: Callable[[int], Place], dtype: np.dtype[Any] | None = None) -> _Array:
    """The distinct labels in order, of values that `check_label` passed; `place` names the place of one of them.

    Whole numbers and whole floats together become whole numbers. Texts that an array of fixed width would change (a
    NUL at the end) or waste memory on (more than 256 characters) stand in an array of objects. Raises ``DataError`` for
    kinds that are mixed; warns of texts that differ by white space or case only.

    >>> classes_of(["b", "a", "b"], Place), classes_of([2, 1.0], Place).tolist()
    (array(['a', 'b'], dtype='<U1'), [1, 2])
    """
    kinds: dict[str, int] = {}
    for i, value in enumerate(values):
        kind = "truth value" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        kinds.setdefault(kind, i)
    if len(kinds) > 1:
        (one, i), (other, j) = list(kinds.items())[:2]
        first, second = f" has a {one}, ", f" a {other}. Use one kind of label."
        raise DataError("is mixed: ", place(i), first, place(j), second, at=Place("y"))
    distinct = set(values)
    if {int, float} <= set(map(type, values)):
        if any(abs(value) >= 2**63 for value in distinct):
            raise DataError(
                "is mixed: it has whole numbers, and floats that 64 bits cannot hold as such. Use texts.", at=Place("y")
            )
        distinct = set(map(int, distinct))
    if dtype == np.longdouble:  # which JSON has no place for
        dtype = np.dtype(np.float64)
    ordered = sorted(distinct)
    if "text" in kinds:
        _warn_of_twins(ordered)
        kept = all(len(text) <= _LONGEST and not text.endswith("\0") for text in ordered)
        dtype = np.dtype(f"U{max(1, *map(len, ordered))}" if kept else object)  # an array that gives these texts back
    return np.array(ordered, dtype=dtype)


def few_labels(classes: _Array, most: int = 20) -> str:
    """The first labels, for the card of a model; a long one is cut.

    >>> few_labels(np.array(["a", "b"]))
    'a, b'
    """
    labels = [text if len(text) <= 80 else f"{text[:79]}…" for text in map(str, classes[:most].tolist())]
    return ", ".join(labels) + (" …" if len(classes) > most else "")


def _warn_of_twins(texts: Sequence[str]) -> None:
    before: dict[str, str] = {}
    for text in texts:
        key = " ".join(unicodedata.normalize("NFC", text).split()).casefold()
        other = before.setdefault(key, text)
        if other != text:
            warnings.warn(
                f"y: the labels {shown(other)} and {shown(text)} differ by white space or case only. They are learnt "
                "as two; if they mean one thing, write them alike.",
                UserWarning,
                stacklevel=7,  # who called fit
            )
            return


def check_label(value: Any, at: Place) -> None:
    """Raises ``DataError``, with the place, unless a plain value is a label that a saved model can bring back.

    Labels are texts, whole numbers of 64 bits (floats too, such as 1.0) and truth values.

    >>> check_label("a", Place("y", sequence=0))
    """
    if isinstance(value, float) and not np.isfinite(value):
        what = "NaN" if value != value else "infinity"
        raise DataError(f"Input y contains {what}: ", at, f" has the label {value!r}. Drop it, or give it a label.")
    if is_missing(value):
        raise DataError(f"has no label, got {value!r}. Drop it, or give it one.", at=at)
    if isinstance(value, complex):
        raise DataError("Complex data not supported: ", at, f" has the label {value!r}.")
    if not isinstance(value, str | bool | int | float):
        advice = " Decode it first: label.decode()." if isinstance(value, bytes) else ""
        raise DataError(f"has as label {seen(value)}. A label is a str, an int or a bool.{advice}", at=at)
    if isinstance(value, str) and broken_at(value) is not None:
        what = f"has the label {shown(value)}, which holds half a character. Read it again as UTF-8."
        raise DataError(what, at=at)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DataError(f"has the label {shown(value)}, which 64 bits cannot hold. Use texts.", at=at)
    if isinstance(value, float) and not value.is_integer():
        raise DataError(
            "Unknown label type: ",
            at,
            f" has the label {value!r}, which is not whole. Classes are whole numbers or names; turn them into text if "
            "you mean names.",
        )


def restored_classes(saved: Mapping[str, Any]) -> _Array:
    """The classes that were saved with their dtype. Raises ``ValueError`` for what cannot be classes.

    >>> restored_classes({"dtype": "<U1", "values": ["a", "b"]}).tolist()
    ['a', 'b']
    """
    values, dtype = saved["values"], np.dtype(saved["dtype"])
    texts = all(isinstance(value, str) and broken_at(value) is None for value in values)
    distinct = len(set(values)) == len(values) >= 2
    if dtype.kind not in ("UO" if texts else "biuf") or not distinct or len(values) * dtype.itemsize > _MOST_BYTES:
        raise ValueError("classes")
    classes = np.array(values, dtype=dtype)
    if [(type(value), value) for value in classes.tolist()] != [(type(value), value) for value in values]:
        raise ValueError("classes")  # such as a text that is cut short, or a number among texts
    return classes


class LabelTarget:
    """A label: ``classes`` in order, one number of the last layer for each.

    >>> target = LabelTarget()
    >>> truth = target.truth(["b", None, "a"], 3)
    >>> truth.tolist(), target.classes.tolist(), target.decode(np.array([[0.0, 1.0]])).tolist()
    ([1.0, nan, 0.0], ['a', 'b'], ['b'])
    """

    kind: ClassVar[str] = "label"
    main: ClassVar[str] = "accuracy"

    def __init__(
        self, loss: str = "", classes: _Array | None = None, decide: Callable[[_Floats], _Array] | None = None
    ) -> None:
        self.classes: _Array = np.zeros(0) if classes is None else classes
        self.decide = decide  # from probabilities to the place of each answer; None: the likeliest class

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def truth(self, column: Any, sequences: int, fitted: bool = False) -> _Floats:
        """The code of each label, its place among the classes; NaN where there is none.

        Learns the classes. Raises ``DataError`` for what is no label; once `fitted` for labels that were not learnt.
        """
        labels = plain_labels(column, sequences)
        if not fitted:
            known = [label for label in labels if not is_missing(label)]
            if not known:
                raise DataError("holds no label at all: nothing to learn from.", at=Place("y"))
            filled = [known[0] if is_missing(label) else label for label in labels]
            self.classes, _ = coded_labels(filled, sequences)
        return self.codes(labels)

    def codes(self, labels: Sequence[Any]) -> _Floats:
        """The code of each plain label, NaN where it is missing. Raises ``DataError`` for one that was not learnt."""
        places = {label: code for code, label in enumerate(self.classes.tolist())}
        made = np.full(len(labels), np.nan)
        for i, label in enumerate(labels):
            if is_missing(label):
                continue
            if label not in places:
                raise DataError(
                    f"has the label {shown(label)}, which is none of the classes learnt: "
                    f"{', '.join(map(repr, list(places)[:8]))}{', …' if len(places) > 8 else ''}.",
                    at=Place("y", sequence=i),
                )
            made[i] = places[label]
        return made

    def fit(self, truth: _Floats, weights: _Floats | None = None) -> Tensor:
        """The logarithm of how frequent each class is, so that training need not learn it."""
        known = ~np.isnan(truth)
        own = None if weights is None else weights[known]
        counts = np.bincount(truth[known].astype(np.int64), own, minlength=self.outputs) + 1e-3
        prior = torch.from_numpy(counts / counts.sum()).float().log()
        return prior - prior.mean()

    def coded(self, truth: _Floats) -> Tensor:
        """The places as whole numbers, -1 where unknown."""
        return torch.from_numpy(np.where(np.isnan(truth), -1, truth).astype(np.int64))

    def loss(self, z: Tensor, coded: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cross-entropy; `weights` [sequences]: what each counts."""
        known = coded >= 0
        own = None if weights is None else weights[known]
        return cross_entropy(z[known], coded[known], sample_weights=own)

    def answers(self, z: _Floats) -> _Array:
        """The place of the answer to each sequence among the classes."""
        found: _Array = z.argmax(1) if self.decide is None else self.decide(self.probabilities(z))
        return found

    def decode(self, z: _Floats) -> _Array:
        """The answer to each sequence: its likeliest class, or the one that `decide` picks."""
        decoded: _Array = self.classes[self.answers(z)]
        return decoded

    def probabilities(self, z: _Floats) -> _Floats:
        """The probability of each class [sequences, classes]; each row's bits its own."""
        return torch.softmax(torch.from_numpy(np.ascontiguousarray(z)), dim=1).numpy()

    def describe(self) -> str:
        """How many classes."""
        return f"{self.kind}, {self.outputs} classes"

    def by_class(self, z: _Floats) -> dict[Any, float]:
        """The probability of each class by its name, for a single sequence."""
        return dict(zip(self.classes.tolist(), self.probabilities(z)[0].tolist(), strict=True))

    def metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """Accuracy, macro F1 and cross-entropy."""
        known = ~np.isnan(truth)
        if not known.any():
            return {}
        z, codes, answers = z[known], truth[known].astype(np.int64), self.answers(z[known])
        share = None if weights is None else metrics.checked_weights(weights, len(truth), known)
        nll = logsumexp(z, axis=1) - z[np.arange(len(codes)), codes]
        return {
            "accuracy": float(np.average(answers == codes, weights=share)),
            "macro_f1": metrics.macro_f1(codes.tolist(), answers.tolist(), share),
            "loss": float(nll.mean() if share is None else np.average(nll, weights=share)),
        }

    def report(self, z: _Floats, truth: _Floats) -> ClassificationReport:
        """The report on the answers to sequences whose label is known. Raises ``DataError`` where none is."""
        known = ~np.isnan(truth)
        z, codes = z[known], truth[known].astype(np.int64)
        return ClassificationReport(self.classes.tolist(), codes, self.answers(z), self.probabilities(z))

    def config(self) -> dict[str, Any]:
        """The classes."""
        return {"dtype": self.classes.dtype.str, "values": self.classes.tolist()}

    @classmethod
    def restore(cls, config: Mapping[str, Any], loss: str) -> Self:
        """The classes that were saved."""
        return cls(loss, restored_classes(config))
