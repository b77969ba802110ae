"""What a classifier learns of each sequence: one class of several, or any number of labels.

    one class          p = softmax(z)                     loss = -log p_y
    label sets         p_k = 1 / (1 + exp(-z_k))          loss = -1/K sum_k y_k log p_k + (1 - y_k) log(1 - p_k)

An independent label is a choice between the logits 0 and z_k: what is fitted to choices, such as stacking, reads the K
labels of a sequence as K choices between two classes.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor
from torch.nn import functional

from elman.errors import DataError, Place
from elman.evaluation import metrics
from elman.evaluation.classification import ClassificationReport
from elman.evaluation.multilabel import LabelSetReport
from elman.layers.losses import binary_cross_entropy, cross_entropy
from elman.tasks.base.network import margin
from elman.tasks.base.targets.label_sets import LISTS, LabelSets, label_sets
from elman.tasks.base.targets.labels import LabelTarget, coded_labels, plain_labels, restored_classes
from elman.tasks.classify import thresholds
from elman.tasks.classify.class_weights import class_weights, label_weights
from elman.validation.messages import shown

_Array = NDArray[Any]
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Rule = Callable[[_Floats], _Array]


class Choices(NamedTuple):
    """Logits of several models for choices between classes."""

    logits: _Floats  # [models, choices, classes]
    truth: _Ints  # [choices]


class ClassTarget(ABC):
    """The classes, the loss, and how logits z [sequences, classes] are answers.

    `truth` is what `read` makes of targets: an array whose rows are sequences. `rule` makes answers in the same form of
    probabilities. `counts` [sequences] is what each sequence counts, None: all the same.
    """

    several: ClassVar[bool]  # whether a sequence may have any number of labels
    called: ClassVar[str]  # what the classes are, in the model card
    main: ClassVar[str]  # the metric that chooses the epoch
    path_metric: ClassVar[str]  # the metric of each of the models that are stacked

    def __init__(self, classes: _Array, rule: _Rule | None = None) -> None:
        self.classes, self.rule = classes, rule

    def decided_by(self, given: Any, learnt: Any, chosen: Any) -> Self:
        """The same with the answers of the option `threshold`; see `thresholds.rule_of`."""
        made = copy.copy(self)
        made.rule = thresholds.rule_of(given, learnt, chosen, self.classes, self.several)
        return made

    # ---- targets

    @abstractmethod
    def read(self, y: Any, sequences: int) -> _Array:
        """The truth. Raises ``DataError`` for a label that was not learnt."""

    @abstractmethod
    def labels(self, y: Any, sequences: int) -> list[Any]:
        """The labels of each sequence, known or not, to be compared with `labels_answered`."""

    @abstractmethod
    def strata(self, truth: _Array) -> _Ints:
        """A group of each sequence, by which the validation set is stratified."""

    @abstractmethod
    def weights(self, given: str | Mapping[Any, float] | None, truth: _Array) -> Tensor:
        """The costs of errors by the option `class_weight`."""

    @abstractmethod
    def costs(self, weights: Tensor, truth: Tensor, counts: Tensor | None = None) -> Tensor:
        """The cost of an error in each of the choices of `choices`."""

    # ---- learning

    @abstractmethod
    def prior(self, truth: _Array, weights: Tensor, counts: Tensor | None = None) -> Tensor:
        """The logits [classes] of how frequent each class is, so that training need not learn it."""

    @abstractmethod
    def loss(
        self, z: Tensor, truth: Tensor, weights: Tensor | None, smoothing: float, counts: Tensor | None = None
    ) -> Tensor:
        """The mean loss."""

    @abstractmethod
    def losses(self, z: Tensor, truth: Tensor) -> Tensor:
        """The loss of each sequence."""

    @abstractmethod
    def choices(self, paths: Sequence[_Floats], truth: _Array) -> Choices:
        """The logits of several models as choices between classes, for `stacking.fit_weights`."""

    def answered_choices(self, z: _Floats) -> _Ints:
        """The likeliest answer to each of the choices."""
        found: _Ints = self.choices([z], np.zeros(len(z), np.int64)).logits[0].argmax(1)
        return found

    @abstractmethod
    def choose_threshold(
        self, measure: str, z: _Floats, truth: _Array, counts: _Floats | None = None
    ) -> float | _Floats:
        """The threshold with the highest value of a measure."""

    # ---- answers

    @abstractmethod
    def probabilities(self, z: _Floats) -> _Floats:
        """The probability of each class [sequences, classes]; each row's bits its own."""

    @abstractmethod
    def answers(self, z: _Floats) -> _Array:
        """The answers, in the form of the truth."""

    @abstractmethod
    def decided(self, probabilities: _Floats) -> _Array:
        """The same from probabilities [sequences, classes]."""

    @abstractmethod
    def decode(self, answers: _Array) -> Any:
        """Answers as labels, in the form in which `fit` had them."""

    @abstractmethod
    def answered(self, answers: _Array) -> list[Any]:
        """Answers as plain labels."""

    def labels_answered(self, answers: _Array) -> list[Any]:
        """Answers as values that are equal to those of `labels` where they are right."""
        return self.answered(answers)

    def path_score(self, z: _Floats, truth: _Array, counts: _Floats | None = None) -> float:
        """`path_metric` of the likeliest answers."""
        likeliest = copy.copy(self)
        likeliest.rule = None
        return likeliest.metrics(z, truth, counts)[self.path_metric]

    @abstractmethod
    def metrics(self, z: _Floats, truth: _Array, counts: _Floats | None = None) -> dict[str, float]:
        """The scores of the answers."""

    @abstractmethod
    def report(self, z: _Floats, truth: _Array) -> Any:
        """The report on the answers."""

    # ---- explanations

    @abstractmethod
    def margin(self, z: Tensor, codes: Tensor) -> Tensor:
        """What speaks for the class with a code, for rows of logits [rows, classes] and a code each."""

    def explained_answers(self, z: _Floats) -> _Ints:
        """The codes of the classes to explain where none is named."""
        found: _Ints = z.argmax(1)
        return found

    @abstractmethod
    def explained(self, y: Any, sequences: int) -> _Ints:
        """The codes of the classes to explain, of the argument `y` of `explain`."""

    # ---- on disk

    def config(self) -> dict[str, Any]:
        """The classes."""
        return {"dtype": self.classes.dtype.str, "values": self.classes.tolist()}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The classes that were saved."""
        return cls(restored_classes(config))


class OneClass(ClassTarget):
    """One class of each sequence; truth and answers are codes, int64 [sequences]."""

    several = False
    called = "classes"
    main = path_metric = "accuracy"

    @property
    def target(self) -> LabelTarget:
        """The label."""
        return LabelTarget(classes=self.classes, decide=self.rule)

    def read(self, y: Any, sequences: int) -> _Ints:
        """The code of each label."""
        return self.target.codes(plain_labels(y, sequences, missing=False)).astype(np.int64)

    def labels(self, y: Any, sequences: int) -> list[Any]:
        """The plain labels."""
        return plain_labels(y, sequences, missing=False)

    def strata(self, truth: _Array) -> _Ints:
        """The class."""
        return truth

    def weights(self, given: str | Mapping[Any, float] | None, truth: _Array) -> Tensor:
        """The cost of an error in each class, float32 [classes]."""
        return class_weights(given, self.classes, truth)

    def costs(self, weights: Tensor, truth: Tensor, counts: Tensor | None = None) -> Tensor:
        """The cost of each sequence."""
        return weights[truth] if counts is None else weights[truth] * counts

    def prior(self, truth: _Array, weights: Tensor, counts: Tensor | None = None) -> Tensor:
        """The logarithm of the frequencies, with mean 0."""
        found = np.bincount(truth, None if counts is None else counts.numpy(), minlength=len(self.classes))
        frequent = torch.from_numpy(found) * weights + 1e-3
        prior = (frequent / frequent.sum()).float().log()
        return prior - prior.mean()

    def loss(
        self, z: Tensor, truth: Tensor, weights: Tensor | None, smoothing: float, counts: Tensor | None = None
    ) -> Tensor:
        """Cross-entropy."""
        return cross_entropy(z, truth, weights, smoothing, counts)

    def losses(self, z: Tensor, truth: Tensor) -> Tensor:
        """The cross-entropy of each sequence."""
        return functional.cross_entropy(z, truth, reduction="none")

    def choices(self, paths: Sequence[_Floats], truth: _Array) -> Choices:
        """A choice between the classes for each sequence."""
        return Choices(np.stack(paths), truth)

    def choose_threshold(self, measure: str, z: _Floats, truth: _Array, counts: _Floats | None = None) -> float:
        """That of the second of two classes."""
        return thresholds.choose(measure, truth == 1, self.probabilities(z)[:, 1], counts)

    def probabilities(self, z: _Floats) -> _Floats:
        """softmax(z)."""
        return self.target.probabilities(z)

    def answers(self, z: _Floats) -> _Array:
        """The likeliest class of each sequence, or that of the rule."""
        return self.target.answers(z)

    def decided(self, probabilities: _Floats) -> _Array:
        """The likeliest class of each sequence, or that of the rule."""
        found: _Array = probabilities.argmax(1) if self.rule is None else self.rule(probabilities)
        return found

    def decode(self, answers: _Array) -> _Array:
        """The classes."""
        decoded: _Array = self.classes[answers]
        return decoded

    def answered(self, answers: _Array) -> list[Any]:
        """The classes."""
        found: list[Any] = self.classes[answers].tolist()
        return found

    def metrics(self, z: _Floats, truth: _Array, counts: _Floats | None = None) -> dict[str, float]:
        """Accuracy, macro F1 and cross-entropy."""
        return self.target.metrics(z, truth, counts)

    def report(self, z: _Floats, truth: _Array) -> ClassificationReport:
        """The report on all classes."""
        return self.target.report(z, truth)

    def margin(self, z: Tensor, codes: Tensor) -> Tensor:
        """z[class] - mean of z[other classes]."""
        return margin(z, codes)

    def explained_answers(self, z: _Floats) -> _Ints:
        """The answers."""
        return self.answers(z)

    def explained(self, y: Any, sequences: int) -> _Ints:
        """A class for each sequence."""
        return self.read(y, sequences)


class SeveralLabels(ClassTarget):
    """Any number of labels for each sequence; truth and answers are bool [sequences, classes].

    `form` is that of the targets of `fit`: lists, or the dtype of an indicator matrix.
    """

    several = True
    called = "labels, any number a sequence"
    main = "loss"  # where labels are rare no threshold finds any of them in the first epochs
    path_metric = "micro_f1"

    def __init__(
        self, classes: _Array, rule: _Rule | None = None, form: str = LISTS, separator: str | None = None
    ) -> None:
        super().__init__(classes, rule)
        self.form, self.separator = form, separator

    def read(self, y: Any, sequences: int) -> NDArray[np.bool_]:
        """Which labels each sequence has."""
        return self._sets(y, sequences).present(self.classes)

    def labels(self, y: Any, sequences: int) -> list[Any]:
        """The set of labels of each sequence."""
        return [frozenset(own) for own in self._sets(y, sequences).labels]

    def _sets(self, y: Any, sequences: int) -> LabelSets:
        found = label_sets(y, sequences, self.separator)
        if found is None:
            raise DataError(
                "has one label a sequence, but the model learnt several. Give each a list.", at=Place("y", sequence=0)
            )
        if found.columns is None or self.form == LISTS or found.columns == self.classes.tolist():
            return found
        if set(found.columns) == set(self.classes.tolist()):
            return found
        raise DataError(
            f"is a matrix of the labels {shown(found.columns)}, but {shown(self.classes.tolist())} were learnt.",
            at=Place("y"),
        )

    def strata(self, truth: _Array) -> _Ints:
        """The rarest label that a sequence has; sequences without any are a group too."""
        rare = np.where(truth, truth.sum(0), len(truth) + 1)  # the rarest label that it has
        found: _Ints = np.where(truth.any(1), rare.argmin(1), truth.shape[1])
        return found

    def weights(self, given: str | Mapping[Any, float] | None, truth: _Array) -> Tensor:
        """The cost where a label is absent, and where it is present, float32 [2, classes]."""
        return label_weights(given, self.classes, truth)

    def costs(self, weights: Tensor, truth: Tensor, counts: Tensor | None = None) -> Tensor:
        """The cost of each label of each sequence."""
        each = torch.where(truth, weights[1], weights[0])
        return each if counts is None else each * counts[:, None]

    def prior(self, truth: _Array, weights: Tensor, counts: Tensor | None = None) -> Tensor:
        """The logarithm of the odds."""
        rows = torch.from_numpy(truth)
        present = rows.sum(0) if counts is None else (rows * counts[:, None]).sum(0)
        return ((present * weights[1] + 1e-3) / ((len(truth) - present) * weights[0] + 1e-3)).float().log()

    def loss(
        self, z: Tensor, truth: Tensor, weights: Tensor | None, smoothing: float, counts: Tensor | None = None
    ) -> Tensor:
        """Cross-entropy, the mean over sequences and labels."""
        if weights is None and counts is not None:
            weights = torch.ones(2, len(self.classes))
        costs = None if weights is None else self.costs(weights, truth, counts)
        return binary_cross_entropy(z, truth, costs, smoothing)

    def losses(self, z: Tensor, truth: Tensor) -> Tensor:
        """The cross-entropy of each sequence, the mean over labels."""
        return functional.binary_cross_entropy_with_logits(z, truth.to(z.dtype), reduction="none").mean(1)

    def choices(self, paths: Sequence[_Floats], truth: _Array) -> Choices:
        """A choice between absent and present for each sequence and label."""
        z = np.stack(paths)
        pairs = np.stack([np.zeros_like(z), z], -1).reshape(len(z), -1, 2)
        return Choices(pairs, truth.ravel().astype(np.int64))

    def choose_threshold(self, measure: str, z: _Floats, truth: _Array, counts: _Floats | None = None) -> _Floats:
        """That of each label."""
        return thresholds.choose_each(measure, truth, self.probabilities(z), counts)

    def probabilities(self, z: _Floats) -> _Floats:
        """1 / (1 + exp(-z))."""
        found: _Floats = expit(z)
        return found

    def answers(self, z: _Floats) -> _Array:
        """The labels that are at least as likely as not, or those of the rule."""
        return self.decided(self.probabilities(z))

    def decided(self, probabilities: _Floats) -> _Array:
        """The labels that are at least as likely as not, or those of the rule."""
        found: _Array = probabilities >= 0.5 if self.rule is None else self.rule(probabilities)
        return found

    def decode(self, answers: _Array) -> Any:
        """Lists of labels, or a matrix of 0 and 1."""
        return self.answered(answers) if self.form == LISTS else answers.astype(np.dtype(self.form))

    def answered(self, answers: _Array) -> list[Any]:
        """Lists of labels."""
        return [self.classes[row].tolist() for row in answers]

    def labels_answered(self, answers: _Array) -> list[Any]:
        """Sets of labels."""
        return list(map(frozenset, self.answered(answers)))

    def metrics(self, z: _Floats, truth: _Array, counts: _Floats | None = None) -> dict[str, float]:
        """F1, subset accuracy and cross-entropy."""
        share = None if counts is None else torch.from_numpy(counts / counts.mean())[:, None].expand(z.shape)
        logits, present = torch.from_numpy(z), torch.from_numpy(truth).double()
        loss = functional.binary_cross_entropy_with_logits(logits, present, share)
        return {**metrics.label_set_scores(truth, self.answers(z), weights=counts), "loss": float(loss)}

    def report(self, z: _Floats, truth: _Array) -> LabelSetReport:
        """The report on all labels."""
        return LabelSetReport(self.classes.tolist(), truth, self.answers(z), self.probabilities(z))

    def margin(self, z: Tensor, codes: Tensor) -> Tensor:
        """z[label]."""
        return z.gather(1, codes[:, None])[:, 0]

    def explained(self, y: Any, sequences: int) -> _Ints:
        """A label for each sequence, or one for all."""
        place = {label: code for code, label in enumerate(self.classes.tolist())}
        one = isinstance(y, str | int | float)
        asked = [y] * sequences if one else plain_labels(y, sequences, missing=False)
        for i, label in enumerate(asked):
            if not isinstance(label, str | int | float) or label not in place:
                few = f"{', '.join(map(repr, list(place)[:8]))}{', …' if len(place) > 8 else ''}"
                raise DataError(
                    f"is {shown(label)}, but one of the labels is explained: {few}.",
                    at=Place("y") if one else Place("y", sequence=i),
                )
        return np.array([place[label] for label in asked], dtype=np.int64)

    def config(self) -> dict[str, Any]:
        """The classes, the form of the targets, and what separated them."""
        return {**super().config(), "form": self.form, "separator": self.separator}

    @classmethod
    def restore(cls, config: Mapping[str, Any]) -> Self:
        """The same as saved. Raises ``ValueError`` for what no classifier wrote."""
        form, separator = config["form"], config["separator"]
        if (form != LISTS and np.dtype(form).kind not in "biuf") or not isinstance(separator, str | None):
            raise ValueError("form")
        return cls(restored_classes(config), form=form, separator=separator)


def learn_target(y: Any, sequences: int, separator: str | None) -> tuple[ClassTarget, _Array]:
    """What the targets `y` of `fit` are, and the truth.

    >>> target, truth = learn_target([["a"], ["a", "b"], []], 3, None)
    >>> target.several, truth.astype(int).tolist()
    (True, [[1, 0], [1, 1], [0, 0]])
    """
    y = y if hasattr(y, "__len__") else plain_labels(y, sequences)  # read twice below
    found = label_sets(y, sequences, separator)
    if found is None:
        classes, codes = coded_labels(y, sequences)
        return OneClass(classes), codes
    if not sequences:
        raise DataError("X holds no sequences. Fitting needs at least two, of different classes.")
    several = SeveralLabels(found.classes(), form=found.form, separator=separator)
    return several, found.present(several.classes)


def restored_target(config: Mapping[str, Any]) -> ClassTarget:
    """The target that `ClassTarget.config` describes.

    >>> restored_target({"dtype": "<U1", "values": ["a", "b"]}).several
    False
    """
    return (SeveralLabels if "form" in config else OneClass).restore(config)
