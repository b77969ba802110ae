"""One label for each sequence, or any number of them: sentiment, topic, spam, kind of signal.

    e_t = input layer(x_t)                         the vector of a symbol, or the numbers as they are
    e = convolution(e)                             where there are `channels`: convolution.py
    h_1 ... h_T = encoder(e_1 ... e_T)
    d = A pool(h_1 ... h_T) + b                    the recurrent network, one logit per class
    g = n-gram model(x_1 ... x_T)                  of symbols: ngram_model.py
    g = MiniRocket(x_1 ... x_T)                    of few sequences of numbers: minirocket.py
    z = u d + v g                                  u, v >= 0 chosen on the validation part
    p = softmax(z)                                 of several labels p = 1 / (1 + exp(-z)), each for itself: targets.py

The recurrent and the n-gram model are trained separately and combined by stacking (Wolpert 1992). Trained jointly, the
n-gram model fits the training set almost perfectly and leaves the network no gradient. u and v minimise the
cross-entropy of the validation part plus ((u - 0.3)^2 + (v - 0.65)^2) / 2: values tuned on film reviews, which also
serve where nothing is held out. For numbers u is pulled towards 0.1, because a network trained on few signals is
overconfident. The strength of the n-gram model, 10, 30 or 100, is the one with the least cross-entropy on the
validation part, if that has 200 sequences; else 30. Finally the n-gram model or MiniRocket is fitted again to all
sequences, the validation part included; the metrics of that part are those from before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from torch import Tensor

from elman.errors import DataError, Problem, ShapeError
from elman.evaluation import metrics
from elman.evaluation.classification import ClassificationReport
from elman.evaluation.multilabel import LabelSetReport
from elman.features.multi_input import MultiInput
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.ragged import Ragged
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import TrainingData, count
from elman.tasks.base.network import Network, answers, finite
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default
from elman.tasks.base.targets.labels import few_labels
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import LEAST, TrainingRun
from elman.tasks.classify import thresholds
from elman.tasks.classify.class_weights import class_weight_problems
from elman.tasks.classify.defaults import DEFAULTS, LEAST_SIGNALS, UPDATES
from elman.tasks.classify.session import ClassifyStepper
from elman.tasks.classify.stacking import WIDE_MODELS, fit_weights, fit_wide, stacked, wide_in_words
from elman.tasks.classify.targets import ClassTarget, learn_target, restored_target
from elman.tasks.classify.top import TopClasses, top_classes
from elman.tasks.pretrain.pretrainer import PretrainOptions, PretrainReader
from elman.training.fit_checks import warn_if_network_idle, warn_if_one_answer
from elman.training.options import TrainingOptions
from elman.training.progress import note
from elman.validation.options import fraction, is_whole, require

_Array = NDArray[Any]
_Floats = NDArray[np.float64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ClassifierMixin, Task, PretrainOptions, InputOptions, EncoderOptions, HoldoutOptions, TrainingOptions):  # type: ignore[misc]  # pretrain leaves sizes open
    """One label for each sequence.

    `fit`, `predict` and the others take a list of texts, of token lists, or of arrays [length] or [length, width]; a
    2-D array (one number a step), a 3-D array, a `Ragged`, or a frame. Labels are str, int, bool or whole floats: one
    for each sequence, or a list of any number of them, or a matrix [sequences, labels] of 0 and 1.

    Learnt: ``classes_``, ``labels_`` (what was learnt of them), ``history_`` (the learning curve), ``metrics_``
    (of the validation part), ``network_``, ``feature_``, ``wide_`` (the n-gram model, MiniRocket, or None),
    ``stacking_weights_`` (u and v; see the head of this file), ``threshold_`` (where `threshold` is a measure: the
    number that was chosen, of several labels one for each).

    >>> clf = Classifier(hidden=8, epochs=1, verbose=False)
    >>> clf = clf.fit(["a good film", "fine", "a bad film", "poor"], ["pos", "pos", "neg", "neg"])
    >>> clf.predict_proba(["good", ""]).shape, clf.classes_.tolist()
    ((2, 2), ['neg', 'pos'])
    >>> topics = [["film"], ["film", "music"], ["music"], []]
    >>> several = Classifier(hidden=8, epochs=1, verbose=False).fit(["a film", "film music", "a song", "poor"], topics)
    >>> several.predict_proba(["a film", ""]).shape, several.classes_.tolist()
    ((2, 2), ['film', 'music'])
    """

    task: ClassVar[str] = "classify"
    description: ClassVar[str] = "One label for each sequence, or several."
    example: ClassVar[str] = "reviews.csv --input review --target label"
    answering: ClassVar[tuple[str, ...]] = ("verbose", "threshold")
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS
    reader_type: ClassVar[type[PretrainReader]] = PretrainReader

    # data
    label_separator: str | None = None  # between the labels in the text of each target, "|"; None: one label a text
    # training
    class_weight: str | dict[Any, float] | None = None  # cost of errors by class: None (1), "balanced", or a dict
    smoothing: float = 0.0  # share of certainty given to the other classes (label smoothing, Szegedy et al. 2016)
    # output
    threshold: float | str | dict[Any, float] | None = None  # probability from which the second of two classes is the
    #   answer, or each of several labels is one; a dict: by class; "f1", "balanced_accuracy": chosen on the validation
    #   set; None: the likeliest class, of several labels 0.5. May change after fit

    # model
    ngrams: int | None = None  # longest n-gram of the n-gram model; 0 turns it off; None: 3 for symbols, 6 for
    #   the letters of an alphabet, 0 for numbers
    minirocket: int | None = None  # features of MiniRocket, for numbers; 0: none; None: 10,000 up to 2000
    #   sequences, else 0

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, every_step=False) + fraction(self, "smoothing")
        ngrams, minirocket = self.ngrams, self.minirocket
        rule = "must be a whole number from 0 to 8, or None"
        found += require(ngrams is None or is_whole(ngrams, 0, 8), self, "ngrams", rule)
        good = minirocket is None or is_whole(minirocket, 84) or is_whole(minirocket, 0, 0)
        found += require(good, self, "minirocket", "must be 0, a whole number of at least 84, or None")
        separator: Any = self.label_separator
        good = separator is None or (isinstance(separator, str) and len(separator) > 0)
        found += require(good, self, "label_separator", "must be a text such as '|', or None")
        return found + class_weight_problems(self.class_weight) + thresholds.threshold_problems(self.threshold)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # ---- learning

    def _fit(self, run: TrainingRun, reader: PretrainReader, X: Any, y: Any) -> None:
        column, y = reader.learn(X, y)
        target, truth = learn_target(y, count(column), self.label_separator)
        feature = reader.feature(column)
        signals = feature.is_signal
        parts = run.split(len(truth), target.strata(truth), LEAST_SIGNALS if signals else LEAST)
        if not target.several:
            run.rows.check_learnt(truth, parts[0])
        weights = target.weights(self.class_weight, truth if run.refits else truth[parts[0]])
        data = reader.prepare(feature, column, parts, UPDATES if signals else 0)
        train, validation = (truth[part] for part in parts)
        thresholds.check_classes(self.threshold, target.classes, validation, target.several)
        self.labels_, self.classes_ = target, target.classes
        if isinstance(self.threshold, str):
            self.threshold_: float | _Floats = 0.5  # until the weights are learnt
        named = f"{len(target.classes)} {target.called}: {few_labels(target.classes)}"
        run.notes.data(self, data.training.lengths, len(data.validation), named)
        if wide := wide_in_words(data.config):
            run.notes.stage(f"fitting {wide}")
        each = run.rows.mean_one(parts[0])
        both = zip((train, validation), (each, run.rows.mean_one(parts[1])), strict=True)
        costs, beside = (target.costs(weights, torch.from_numpy(own), counts) for own, counts in both)
        self.wide_ = fit_wide(
            data.config,
            feature,
            (data.training, data.validation),
            target,
            (train, validation),
            (costs, beside),
            run.seed,
        )
        self.stacking_weights_ = np.array((1.0, 0.0) if self.wide_ is None else self.wide_.start)
        self.network_: Network = run.build(self._network, data.config, train, weights, each)
        self.data_ = reader.metadata(data) | {target.called: few_labels(target.classes)}
        reader.pretrain(run, data.config, data.training, data.validation)
        self._train(run, data, torch.from_numpy(train), validation, weights)

    def _network(self, config: Config, truth: _Array, weights: Tensor, counts: Tensor | None) -> Network:
        network = Network(self.feature_, len(self.classes_), config)
        with torch.no_grad():
            network.head.bias.copy_(self.labels_.prior(truth, weights, counts))
        return network

    def _train(self, run: TrainingRun, data: TrainingData, targets: Tensor, truth: _Array, weights: Tensor) -> None:
        weighted = None if self.class_weight is None else weights
        each, own = run.rows.mean_one(data.indices), run.rows.of(data.validation_indices)
        errors = run.rows.mean_one(data.validation_indices)
        beside = self._wide_logits(data.validation)
        target = self.labels_  # chooses the epoch, whatever the threshold

        def loss(indices: Tensor) -> Tensor:
            z, counts = self.network_(data.training[indices]), None if each is None else each[indices]
            return target.loss(z, targets[indices], weighted, self.smoothing, counts)

        def validate() -> dict[str, float]:
            paths = [self._deep_logits(data.validation), *beside]
            if self.wide_ is not None:
                costs = target.costs(weights, torch.from_numpy(truth), errors).double().numpy().ravel()
                self.stacking_weights_ = fit_weights(*target.choices(paths, truth), costs, self.wide_.start)
            return self._metrics(paths, truth, target, own)

        check = validate if len(truth) else None
        run.train(
            self.network_, data.config, loss, data.training.lengths, data.indices, validate=check, metric=target.main
        )
        if not len(truth):
            return
        paths = [self._deep_logits(data.validation), *beside]
        self._choose_threshold(paths, truth, own)
        self.validation_counts_ = [self._labels.report(stacked(self.stacking_weights_, paths), truth).count_table]
        answered = target.answers(stacked(self.stacking_weights_, paths))
        warn_if_one_answer(truth.tolist(), target.answered(answered))
        if self.wide_ is not None:
            deep, wide = map(target.answered_choices, paths)
            warn_if_network_idle(target.choices(paths, truth).truth, deep, wide, self.wide_.called)
            if run.refits:
                whole = Ragged.cat([self.feature_.symbolic(part) for part in (data.training, data.validation)])
                order = torch.cat([targets, torch.from_numpy(truth)])
                run.notes.stage(f"fitting {wide_in_words(data.config)} again, to all {len(whole):,} sequences")
                counts = run.rows.mean_one(np.concatenate([data.indices, data.validation_indices]))
                self.wide_.fit(whole, order, len(self.classes_), target.costs(weights, order, counts))

    def _choose_threshold(self, paths: Sequence[_Floats], truth: _Array, counts: _Floats | None) -> None:
        """Chooses the threshold on the validation set, if it is to be; the metrics are those with it."""
        if isinstance(self.threshold, str):
            self.threshold_ = self.labels_.choose_threshold(
                self.threshold, stacked(self.stacking_weights_, paths), truth, counts
            )
            words = thresholds.in_words(self.threshold, self.threshold_, self.classes_)
            self.data_ = {**self.data_, "threshold": words}
            if self.verbose:
                note(f"elman: threshold: {words}")
        if self.threshold is not None:
            self.metrics_ = self._metrics(paths, truth, self._labels, counts)

    def _metrics(
        self, paths: Sequence[_Floats], truth: _Array, target: ClassTarget, counts: _Floats | None = None
    ) -> dict[str, float]:
        """The metrics of all paths together, and the main one of each alone where there are two."""
        found = target.metrics(stacked(self.stacking_weights_, paths), truth, counts)
        if self.wide_ is not None:
            for name, z in zip(("recurrent", self.wide_.kind), paths, strict=True):
                found[f"{target.path_metric}_{name}"] = self.labels_.path_score(z, truth, counts)
        return found

    @property
    def multilabel_(self) -> bool:
        """Whether a sequence may have any number of labels."""
        return self.labels_.several

    @property
    def _labels(self) -> ClassTarget:
        chosen = getattr(self, "threshold_", None)
        return self.labels_.decided_by(self.threshold, self.learnt_with_["threshold"], chosen)

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> Any:
        """The likeliest class of each sequence, or that by `threshold`: an array [sequences] of labels as `fit` saw.

        Of several labels a list for each sequence, those whose probability is at least 0.5, or by `threshold`; where
        `fit` had a matrix an array [sequences, labels] of 0 and 1.
        """
        labels = self._labels
        return labels.decode(labels.answers(self._logits(X)))

    @by_learnt_options
    def predict_top(self, X: Any, k: int = 5) -> TopClasses:
        """The `k` likeliest classes of each sequence and their probabilities, likeliest first; all if there are fewer.

        >>> clf = Classifier(hidden=4, epochs=1, verbose=False).fit(["a", "b", "c"] * 4, ["x", "y", "z"] * 4)
        >>> labels, probabilities = clf.predict_top(["a", "b"], k=2)
        >>> labels.shape, bool((probabilities[:, 0] >= probabilities[:, 1]).all())
        ((2, 2), True)
        """
        return top_classes(self.predict_proba(X), self.classes_, k)

    @by_learnt_options
    def decide(self, probabilities: Any) -> Any:
        """The answers, as of `predict`, for probabilities [sequences, classes] of `predict_proba`: by `threshold`."""
        found = np.asarray(probabilities, dtype=np.float64)
        if found.ndim != 2 or found.shape[1] != len(self.classes_):
            raise ShapeError(
                f"probabilities has shape {list(found.shape)}, but there are {len(self.classes_)} classes. Give a row "
                "of predict_proba for each sequence."
            )
        labels = self._labels
        return labels.decode(labels.decided(found))

    @by_learnt_options
    def predict_proba(self, X: Any) -> _Floats:
        """The probability of each class, float64 [sequences, classes], in the order of ``classes_``.

        Of several labels each for itself: a row need not add up to 1.
        """
        return self._labels.probabilities(self._logits(X))

    @by_learnt_options
    def decision_function(self, X: Any) -> _Floats:
        """Scores, float64 [sequences, classes]; for two classes [sequences], positive where the second is likelier.

        Of several labels always [sequences, labels], positive where a label is likelier than not.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 and not self.multilabel_ else logits

    @by_learnt_options
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the share of sequences whose label is found. A label that was not learnt counts as missed.

        Of several labels the subset accuracy: the share of sequences whose labels are all found, and no other.
        """
        column, y = self.reader.read_with_targets(X, y)
        labels = self._labels
        truth = labels.labels(y, count(column))
        found = labels.labels_answered(labels.answers(self._logits(column)))
        right = np.array([a == b for a, b in zip(found, truth, strict=True)], dtype=np.float64)
        if not len(right):
            raise DataError("there are no sequences to score. Give at least one.")
        weights = None if sample_weight is None else metrics.checked_weights(sample_weight, len(right))
        return float(np.average(right, weights=weights))

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Accuracy, macro F1 and cross-entropy ("loss"), and the accuracy of each path alone.

        Of several labels "micro_f1", "macro_f1", "samples_f1", "subset_accuracy" and "loss"
        (`elman.evaluation.metrics.label_set_scores`). Raises ``DataError`` for a label that was not learnt.
        """
        column, truth = self._scored(X, y)
        if not len(truth):
            raise DataError("there are no sequences to score. Give at least one.")
        paths = self._paths(self.reader.steps(column))
        finite(stacked(self.stacking_weights_, paths))
        counts = None if sample_weight is None else metrics.checked_weights(sample_weight, len(truth))
        return self._metrics(paths, truth, self._labels, counts)

    @by_learnt_options
    def report(self, X: Any, y: Any) -> ClassificationReport | LabelSetReport:
        """How good the answers are, for every class: print it, or see its ``to_json()`` and ``picture()``.

        Precision, recall and F1, the confusion matrix, ROC and precision-recall area, calibration:
        `elman.evaluation.classification`, of several labels `elman.evaluation.multilabel`. Raises ``DataError`` for a
        label that was not learnt.

        >>> clf = Classifier(hidden=4, epochs=1, verbose=False).fit(["a", "b", "c"] * 4, ["x", "y", "z"] * 4)
        >>> report = clf.report(["a", "b"], ["x", "y"])
        >>> report.confusion.shape, sorted(report.to_json())[:3]
        ((3, 3), ['accuracy', 'classes', 'confusion'])
        """
        column, truth = self._scored(X, y)
        found: ClassificationReport | LabelSetReport = self._labels.report(self._logits(column), truth)
        return found

    def _scored(self, X: Any, y: Any) -> tuple[Any, _Array]:
        """What is read, and the truth."""
        column, y = self.reader.read_with_targets(X, y)
        return column, self.labels_.read(y, count(column))

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """F = z[class] - mean of z[other classes], of several labels z[label]: the stacked logits z of both paths."""
        target = self._labels
        if y is None:
            column = self.reader.read(X)
            codes = target.explained_answers(self._logits(column))
        else:
            one = target.several and isinstance(y, str | int | float)  # a label, not the name of a column
            column, y = (self.reader.read(X), y) if one else self.reader.read_with_targets(X, y)
            codes = target.explained(y, count(column))
        data, chosen = self.reader.steps(column), torch.from_numpy(codes)
        deep, wide = map(float, self.stacking_weights_)

        def score(indices: Tensor) -> Tensor:
            return deep * target.margin(self.network_(data[indices]), chosen[indices])

        beside = None
        if self.wide_ is not None:
            x = self.feature_.symbolic(data)
            steps = wide * target.margin(self.wide_.contributions(x), chosen[x.segments]).numpy()
            whole = wide * target.margin(self.wide_.logits(x).double(), chosen).numpy()
            beside = self.feature_.symbolic_parts(data, steps), whole
        parts, answers = parts_of(self.feature_, data, column), self.classes_[codes].tolist()
        return AttributionRequest(self.network_.inputs, data.lengths, score, parts, answers, beside)

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its cross-entropy; without `y` the answers count as true."""
        target = self._labels
        if y is None:
            column = self.reader.read(X)
            truth = target.answers(self._logits(column))
        else:
            column, truth = self._scored(X, y)
        data, targets = self.reader.steps(column), torch.from_numpy(truth)

        def loss(indices: Tensor) -> Tensor:
            return target.losses(self.network_(data[indices]), targets[indices])

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_, self.reader.path_names())

    def _logits(self, X: Any) -> _Floats:
        return finite(stacked(self.stacking_weights_, self._paths(self.reader.steps(self.reader.read(X)))))

    def _paths(self, data: Ragged | MultiInput) -> list[_Floats]:
        """The logits of the network, and those of the wide model if there is one."""
        return [self._deep_logits(data), *self._wide_logits(data)]

    def _deep_logits(self, data: Ragged | MultiInput) -> _Floats:
        return answers(self.network_, data, len(self.classes_))

    def _wide_logits(self, data: Ragged | MultiInput) -> list[_Floats]:
        return [] if self.wide_ is None else [self.wide_.logits(self.feature_.symbolic(data)).double().numpy()]

    # ---- streaming

    def _stepper(self, static: Mapping[str, Any] | None) -> ClassifyStepper:
        return ClassifyStepper(self.feature_, self.network_, self.wide_, self.stacking_weights_, self._labels, static)

    # ---- on disk

    def _config(self) -> dict[str, Any]:
        wide = None if self.wide_ is None else {"kind": self.wide_.kind, **self.wide_.config()}
        chosen = {"threshold": np.asarray(self.threshold_).tolist()} if hasattr(self, "threshold_") else {}
        return {"classes": self.labels_.config(), "wide": wide, **chosen}

    def _tensors(self) -> dict[str, Tensor]:
        wide = {} if self.wide_ is None else {f"wide.{key}": value for key, value in self.wide_.tensors().items()}
        return wide | {"stacking_weights": torch.from_numpy(self.stacking_weights_)}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.labels_ = restored_target(config["classes"])
        self.classes_ = self.labels_.classes
        self.network_ = store.network(
            lambda: Network(self.feature_, len(self.classes_), self.config()), tensors, folder
        )
        self.wide_ = None
        if (wide := config["wide"]) is not None:
            self.wide_ = WIDE_MODELS[wide["kind"]].restore(wide, store.under("wide.", tensors))
            if not self.wide_.fits(self.feature_, self.network_.input.outputs, len(self.classes_)):
                raise ValueError("wide")
        weights = tensors["stacking_weights"].numpy()
        if weights.shape != (2,) or weights.dtype != np.float64 or not np.isfinite(weights).all():
            raise ValueError("stacking_weights")
        self.stacking_weights_ = weights
        if isinstance(self.threshold, str):
            self.threshold_ = thresholds.restored(config["threshold"], self.classes_, self.labels_.several)
