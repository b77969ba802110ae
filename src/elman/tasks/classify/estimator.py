"""One label for each sequence: sentiment, topic, spam, kind of signal.

    e_t = input layer(x_t)                         the vector of a symbol, or the numbers as they are
    e = convolution(e)                             where there are `channels`: convolution.py
    h_1 ... h_T = encoder(e_1 ... e_T)
    d = A pool(h_1 ... h_T) + b                    the recurrent network, one logit per class
    g = n-gram model(x_1 ... x_T)                  of symbols: ngram_model.py
    g = MiniRocket(x_1 ... x_T)                    of few sequences of numbers: minirocket.py
    z = u d + v g                                  u, v >= 0 chosen on the validation part
    p = softmax(z)

The recurrent and the n-gram model are trained separately and combined by stacking (Wolpert 1992). Trained jointly, the
n-gram model fits the training set almost perfectly and leaves the network no gradient. u and v minimise the
cross-entropy of the validation part plus ((u - 0.3)^2 + (v - 0.65)^2) / 2: values tuned on film reviews, which also
serve where nothing is held out. For numbers u is pulled towards 0.1, because a network trained on few signals is
overconfident. The strength of the n-gram model, 10, 30 or 100, is the one with the least cross-entropy on the
validation part, if that has 200 sequences; else 30. Finally the n-gram model or MiniRocket is fitted again to all
sequences, the validation part included; the metrics of that part are those from before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from torch import Tensor
from torch.nn import functional

from elman.errors import DataError, Problem
from elman.evaluation import metrics
from elman.features.multi_input import MultiInput
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.layers.losses import cross_entropy
from elman.ragged import Ragged
from elman.tasks.base.finite import finite
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import LEAST
from elman.tasks.base.inputs import check_table, count, input_tags
from elman.tasks.base.network import Network, answers, restored
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.session import Session, refuse_bidirectional
from elman.tasks.base.targets.labels import LabelTarget, coded_labels, few_labels, plain_labels, restored_classes
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.classify.attribution import class_request
from elman.tasks.classify.class_weights import class_weight_problems, class_weights
from elman.tasks.classify.defaults import DEFAULTS, LEAST_SIGNALS, UPDATES
from elman.tasks.classify.session import ClassifyStepper
from elman.tasks.classify.stacking import WIDE_MODELS, fit_weights, fit_wide, stacked
from elman.tasks.pretrain.pretrainer import PretrainOptions, PretrainReader
from elman.training.fit_checks import warn_if_network_idle, warn_if_one_answer
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import fraction, is_whole

__all__ = ["Classifier"]

_Array = NDArray[Any]
_Floats = NDArray[np.float64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ClassifierMixin, Task, PretrainOptions, InputOptions, EncoderOptions, TrainingOptions):  # type: ignore[misc]  # pretrain leaves sizes open
    """One label for each sequence.

    `fit`, `predict` and the others take a list of texts, of token lists, or of arrays [length] or [length, width]; a
    2-D array (one number a step), a 3-D array, a `Ragged`, or a frame. Labels are str, int, bool or whole floats.

    Learnt: ``classes_``, ``history_`` (the learning curve), ``metrics_`` (of the validation part), ``network_``,
    ``feature_``, ``wide_`` (the n-gram model, MiniRocket, or None), ``stacking_weights_`` (u and v; see the head of
    this file).

    >>> clf = Classifier(hidden=8, epochs=1, verbose=False)
    >>> clf = clf.fit(["a good film", "fine", "a bad film", "poor"], ["pos", "pos", "neg", "neg"])
    >>> clf.predict_proba(["good", ""]).shape, clf.classes_.tolist()
    ((2, 2), ['neg', 'pos'])
    """

    task: ClassVar[str] = "classify"
    description: ClassVar[str] = "One label for each sequence."
    example: ClassVar[str] = "reviews.csv --input review --target label"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS

    # training
    class_weight: str | dict[Any, float] | None = None  # cost of errors by class: None (1), "balanced", or a dict
    smoothing: float = 0.0  # share of certainty given to the other classes (label smoothing, Szegedy et al. 2016)

    # model
    ngrams: int | None = None  # longest n-gram of the n-gram model; 0 turns it off; None: 3 for symbols, 6 for
    #   the letters of an alphabet, 0 for numbers
    patterns: int | None = None  # of MiniRocket, for numbers; 0: none; None: 10 000 up to 2000 sequences, else 0

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        found = super().problems() + tbptt_problems(self, every_step=False) + fraction(self, "smoothing")
        if not (self.ngrams is None or (is_whole(self.ngrams, 0) and self.ngrams <= 8)):
            found.append(Problem("ngrams", shown(self.ngrams), "must be a whole number from 0 to 8, or None"))
        if not (self.patterns is None or is_whole(self.patterns, 84) or is_whole(self.patterns, 0, 0)):
            found.append(Problem("patterns", shown(self.patterns), "must be 0, a whole number of at least 84, or None"))
        return found + class_weight_problems(self.class_weight)

    @property
    def reader(self) -> PretrainReader:
        """What reads the sequences for this task."""
        return PretrainReader(self)

    def __sklearn_tags__(self) -> Any:
        return input_tags(super().__sklearn_tags__())

    # ---- learning

    def fit(self, X: Any, y: Any, *, out: str | os.PathLike[str] | None = None, resume: bool = False) -> Self:
        """Learns from sequences `X` and their labels `y`: one label each, or the name of a column of the frame `X`.

        `out` is the folder that `save` will be given: a checkpoint is written into it after every epoch. With `resume`
        a fit that died goes on from there, to the same weights as if it had not.

        Raises ``OptionError`` for all options that cannot be, ``DataError`` for data that cannot be used, naming the
        sequence, and ``TrainingError`` if the loss becomes NaN (what was learnt until then stays usable).
        """
        run, reader = self.training_run(out, resume), self.reader
        column, y = reader.learn(X, y)
        if y is None:
            raise DataError("Classifier requires y to be passed, but the target y is None. Give one label a sequence.")
        classes, codes = coded_labels(y, count(column))
        check_table(column)
        weights = class_weights(self.class_weight, classes, codes)
        feature = reader.feature(column)
        signals = feature.is_signal
        training, rest = run.split(len(codes), codes, LEAST_SIGNALS if signals else LEAST)
        data, kept = reader.features(feature, column, training, rest)
        updates = UPDATES if signals else 0
        config = self.config(Summary(feature, (), len(training), data.steps, len(rest), updates, reader.generator))
        wide = fit_wide(config, feature, (data, kept), (codes[training], codes[rest]), weights, run.seed)
        reader.remember(feature, column, config)
        self.classes_, self.wide_ = classes, wide
        self.stacking_weights_ = np.array((1.0, 0.0) if wide is None else wide.start)
        self.network_: Network = run.build(self._network, config, codes[training], weights)
        self.data_ = reader.metadata(config, data, kept) | {"classes": few_labels(classes)}
        reader.pretrain(run, config, data, kept)
        self._train(run, config, data, kept, torch.from_numpy(codes), weights, (training, rest))
        return self

    def _network(self, config: Config, codes: NDArray[np.int64], weights: Tensor) -> Network:
        network = Network(self.feature_, len(self.classes_), config)
        # The logarithm of how frequent each class is, so that training need not learn it.
        frequent = torch.from_numpy(np.bincount(codes, minlength=len(self.classes_))) * weights + 1e-3
        prior = (frequent / frequent.sum()).float().log()
        with torch.no_grad():
            network.head.bias.copy_(prior - prior.mean())
        return network

    def _train(
        self,
        run: TrainingRun,
        config: Config,
        data: Ragged | MultiInput,
        kept: Ragged | MultiInput,
        codes: Tensor,
        weights: Tensor,
        parts: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        targets, truth = codes[parts[0]], codes[parts[1]].numpy()
        costs = None if self.class_weight is None else weights
        beside = self._wide_logits(kept)

        def loss(indices: Tensor) -> Tensor:
            return cross_entropy(self.network_(data[indices]), targets[indices], costs, self.smoothing)

        def validate() -> dict[str, float]:
            paths = [self._deep_logits(kept), *beside]
            if self.wide_ is not None:
                each = weights.double().numpy()[truth]
                self.stacking_weights_ = fit_weights(np.stack(paths), truth, each, self.wide_.start)
            return self._metrics(paths, truth)

        check = validate if len(kept) else None
        run.train(self.network_, config, loss, data.lengths, parts[0], validate=check, metric="accuracy")
        if not len(kept):
            return
        paths = [self._deep_logits(kept), *beside]
        answered = stacked(self.stacking_weights_, paths).argmax(1)
        warn_if_one_answer(truth.tolist(), self.classes_[answered].tolist())
        if self.wide_ is not None:
            deep, wide = (z.argmax(1) for z in paths)
            warn_if_network_idle(truth, deep, wide, self.wide_.called)
            whole = Ragged.cat([self.feature_.symbolic(data), self.feature_.symbolic(kept)])
            order = torch.cat([targets, codes[parts[1]]])
            self.wide_ = self.wide_.unfitted().fit(whole, order, len(weights), weights[order])

    def _metrics(self, paths: Sequence[_Floats], truth: _Array) -> dict[str, float]:
        """The metrics of all paths together, and the accuracy of each alone where there are two."""
        found = self._labels.metrics(stacked(self.stacking_weights_, paths), truth)
        if self.wide_ is not None:
            for name, z in zip(("recurrent", self.wide_.kind), paths, strict=True):
                found[f"accuracy_{name}"] = float((z.argmax(1) == truth).mean())
        return found

    @property
    def _labels(self) -> LabelTarget:
        self.check_fitted()
        return LabelTarget(classes=self.classes_)

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> _Array:
        """The likeliest class of each sequence: an array [sequences] of the kind of label that `fit` saw."""
        return self._labels.decode(self._logits(X))

    @by_learnt_options
    def predict_proba(self, X: Any) -> _Floats:
        """The probability of each class, float64 [sequences, classes], in the order of ``classes_``."""
        return self._labels.probabilities(self._logits(X))

    @by_learnt_options
    def decision_function(self, X: Any) -> _Floats:
        """Scores, float64 [sequences, classes]; for two classes [sequences], positive where the second is likelier."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    @by_learnt_options
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the share of sequences whose label is found. A label that was not learnt counts as missed."""
        column, truth = self._scored(X, y)
        right = np.array([a == b for a, b in zip(self.predict(column).tolist(), truth, strict=True)], dtype=np.float64)
        if not len(right):
            raise DataError("there are no sequences to score. Give at least one.")
        weights = None if sample_weight is None else metrics.checked_weights(sample_weight, len(right))
        return float(np.average(right, weights=weights))

    @by_learnt_options
    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Accuracy, macro F1 and cross-entropy ("loss"), of each path alone as well.

        Raises ``DataError`` for a label that was not learnt.
        """
        column, truth = self._scored(X, y)
        codes = self._labels.codes(truth).astype(np.int64)
        if not truth:
            raise DataError("there are no sequences to score. Give at least one.")
        data = self.reader.steps(column)
        paths = [self._deep_logits(data), *self._wide_logits(data)]
        finite(stacked(self.stacking_weights_, paths))
        return self._metrics(paths, codes)

    def _scored(self, X: Any, y: Any) -> tuple[Any, list[Any]]:
        self.check_fitted()
        column, y = self.reader.read_with_targets(X, y)
        return column, plain_labels(y, count(column), missing=False)

    def _coded(self, X: Any, y: Any) -> tuple[Any, NDArray[np.int64]]:
        """What is read, and the codes of the labels `y`; without them those of the answers."""
        if y is None:
            column = self.reader.read(X)
            return column, self._logits(column).argmax(1)
        column, truth = self._scored(X, y)
        return column, self._labels.codes(truth).astype(np.int64)

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """What speaks for a class: its logit less the mean of the others', both paths together."""
        column, codes = self._coded(X, y)
        data = self.reader.steps(column)
        parts, named = parts_of(self.feature_, data, column), self.classes_[codes].tolist()
        return class_request(
            self.network_, self.wide_, self.stacking_weights_, self.feature_, data, codes, named, parts
        )

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its cross-entropy; without `y` the answers count as true."""
        column, codes = self._coded(X, y)
        data, targets = self.reader.steps(column), torch.from_numpy(codes)

        def loss(indices: Tensor) -> Tensor:
            return functional.cross_entropy(self.network_(data[indices]), targets[indices], reduction="none")

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_, self.reader.path_names())

    def _logits(self, X: Any) -> _Floats:
        self.check_fitted()
        data = self.reader.steps(self.reader.read(X))
        return finite(stacked(self.stacking_weights_, [self._deep_logits(data), *self._wide_logits(data)]))

    def _deep_logits(self, data: Ragged | MultiInput) -> _Floats:
        return answers(self.network_, data, len(self.classes_))

    def _wide_logits(self, data: Ragged | MultiInput) -> list[_Floats]:
        """Those of the wide model, if there is one."""
        return [] if self.wide_ is None else [self.wide_.logits(self.feature_.symbolic(data)).double().numpy()]

    # ---- streaming

    @by_learnt_options
    def stream(self, static: Mapping[str, Any] | None = None) -> Session:
        """A session that takes one step at a time and always has the answer so far. One-directional models only.

        `static` gives the columns without steps, such as ``{"age": 63}``; those that are not given are missing.
        """
        self.check_fitted()
        refuse_bidirectional(self.network_.encoder.bidirectional)
        weights = self.stacking_weights_
        return Session(ClassifyStepper(self.feature_, self.network_, self.wide_, weights, self._labels, static))

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """What the model reads, for its card: lines of text by name."""
        return self.reader.described()

    def _config(self) -> dict[str, Any]:
        return {
            **self.reader.config(),
            "classes": self._labels.config(),
            "wide": None if self.wide_ is None else {"kind": self.wide_.kind, **self.wide_.config()},
        }

    def _tensors(self) -> dict[str, Tensor]:
        wide = {} if self.wide_ is None else {f"wide.{key}": value for key, value in self.wide_.tensors().items()}
        return self.reader.tensors() | wide | {"stacking_weights": torch.from_numpy(self.stacking_weights_)}

    def _files(self) -> dict[str, str]:
        return self.reader.files()

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.reader.restore(config, tensors, files)
        self.classes_ = restored_classes(config["classes"])
        self.network_ = restored(self.feature_, len(self.classes_), self.config(), tensors, folder)
        self.wide_ = None
        if (wide := config["wide"]) is not None:
            self.wide_ = WIDE_MODELS[wide["kind"]].restore(wide, store.under("wide.", tensors))
            if not self.wide_.fits(self.feature_, self.network_.input.outputs, len(self.classes_)):
                raise ValueError("wide")
        weights = tensors["stacking_weights"].numpy()
        if weights.shape != (2,) or weights.dtype != np.float64 or not np.isfinite(weights).all():
            raise ValueError("stacking_weights")
        self.stacking_weights_ = weights
