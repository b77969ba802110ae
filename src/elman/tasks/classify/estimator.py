"""One label for each sequence: sentiment, topic, spam, kind of signal.

    e_t = input layer(x_t)                         the vector of a symbol, or the numbers as they are
    e = convolution(e)                             where there are `channels`: convolution.py
    h_1 ... h_T = encoder(e_1 ... e_T)
    d = A pool(h_1 ... h_T) + b                    the recurrent path, one logit per class
    g = n-gram model(x_1 ... x_T)                  the wide path of symbols, ngrams.py
    g = pattern model(x_1 ... x_T)                 the wide path of few sequences of numbers, patterns.py
    z = u d + v g                                  u, v >= 0 chosen on the validation part
    p = softmax(z)

The paths learn apart from each other (stacking, Wolpert 1992): the wide path soon fits the training part perfectly, and
together with it the recurrent path would have nothing left to learn from. u and v minimise the cross-entropy of the
validation part plus ((u - 0.3)^2 + (v - 0.65)^2) / 2: what film reviews chose, which also serves where nothing is held
out. For numbers u stands near 0.1, since a network that has learnt from dozens of signals is too sure of itself. The
strength of the n-gram model, 10, 30 or 100, is the one with the least cross-entropy on the validation part, if that has
200 sequences; else 30. Once all is chosen the wide path is learnt again from all sequences, the validation part
included; what is reported of that part was measured before.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin
from torch import Tensor
from torch.nn import functional

from elman.errors import DataError, OptionError, Place, Problem
from elman.evaluation import metrics
from elman.features import Columns, Feature, symbolic
from elman.features.columns import symbolic_parts
from elman.features.multi_input import MultiInput
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.layers.losses import cross_entropy
from elman.ragged import Ragged
from elman.tasks.base.finite import finite
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import LEAST, held_out
from elman.tasks.base.inputs import check_table, count, input_tags
from elman.tasks.base.network import Network, NetworkStepper, answers, restored
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.session import ClassifyAnswer, Session, counted, refuse_bidirectional
from elman.tasks.base.targets.labels import coded_labels, few_labels, plain_labels, refuse_missing, restored_classes
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.classify.defaults import DEFAULTS
from elman.tasks.classify.minirocket import MiniRocket, MiniRocketState
from elman.tasks.classify.ngram_model import NgramModel, NgramState, bucket_count
from elman.tasks.classify.stacking import START, START_OF_NUMBERS, best_loss, fit_weights
from elman.tasks.pretrain.pretrainer import PretrainOptions, PretrainReader
from elman.training.fit_checks import warn_if_network_idle, warn_if_one_answer
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import is_number, is_whole, share
from elman.validation.plain_values import plain_value

__all__ = ["Classifier"]

_Array = NDArray[Any]
_Floats = NDArray[np.float64]
_STRENGTHS = (30.0, 10.0, 100.0)  # of the n-gram model; where the validation part is too small to choose, the first
_CHOOSERS = 200  # validation sequences from which the strength is chosen
_LEAST_SIGNALS = 200  # sequences of numbers; with fewer nothing is held out: sets of signals are small, each one counts
_PATTERNS = 10_000  # of the wide path of numbers
_FEW = 2000  # sequences of numbers; with more, patterns would cost too much
_UPDATES = 500  # batches that signals are learnt from, at least


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ClassifierMixin, Task, PretrainOptions, InputOptions, EncoderOptions, TrainingOptions):  # type: ignore[misc]  # pretrain leaves sizes open
    """One label for each sequence.

    `fit`, `predict` and the others take a list of texts, of token lists, or of arrays [length] or [length, width]; a
    2-D array (one number a step), a 3-D array, a `Ragged`, or a frame. Labels are str, int, bool or whole floats.

    Learnt: ``classes_``, ``history_`` (the learning curve), ``metrics_`` (of the validation part), ``network_``,
    ``feature_``, ``ngrams_`` and ``patterns_`` (the wide path of symbols, of numbers, or None), ``stacking_weights_``
    (u and v; see the head of this file).

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
    patterns: int | None = None  # of the wide path of numbers; 0: none; None: 10 000 up to 2000 sequences, else 0

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        found = super().problems() + tbptt_problems(self, every_step=False) + share(self, "smoothing")
        if not (self.ngrams is None or (is_whole(self.ngrams, 0) and self.ngrams <= 8)):
            found.append(Problem("ngrams", shown(self.ngrams), "must be a whole number from 0 to 8, or None"))
        if not (self.patterns is None or is_whole(self.patterns, 84) or is_whole(self.patterns, 0, 0)):
            found.append(Problem("patterns", shown(self.patterns), "must be 0, a whole number of at least 84, or None"))
        return found + self._class_weight_problems()

    def _class_weight_problems(self) -> list[Problem]:
        weights: Any = self.class_weight
        if weights is None or (isinstance(weights, str) and weights == "balanced"):
            return []
        if not isinstance(weights, Mapping):
            return [Problem("class_weight", shown(weights), "must be None, 'balanced' or a dict from class to weight")]
        bad = not all(is_number(weight, 0) for weight in weights.values())
        return [Problem("class_weight", shown(dict(weights)), "must hold numbers of at least 0")] if bad else []

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
        weights = self._weights(classes, codes)
        feature = reader.feature(column)
        signals = feature.is_signal
        rest = held_out(codes, len(codes), self.validation, run.seed, _LEAST_SIGNALS if signals else LEAST)
        training = np.setdiff1d(np.arange(len(codes)), rest)
        data, kept = reader.features(feature, column, training, rest)
        wide = self._wide(feature, (data, kept), (codes[training], codes[rest]), weights, run.seed)

        config = self.config(
            Summary(feature, (), len(training), data.steps, len(rest), _UPDATES if signals else 0, reader.generator)
        )
        reader.remember(feature, column, config)
        self.classes_ = classes
        self.ngrams_ = wide if isinstance(wide, NgramModel) else None
        self.patterns_ = wide if isinstance(wide, MiniRocket) else None
        self.stacking_weights_ = np.array(self._start if wide else (1.0, 0.0))
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

    def _weights(self, classes: _Array, codes: NDArray[np.int64]) -> Tensor:
        """The cost of an error in each class; 1 on average over the sequences."""
        counts = np.bincount(codes, minlength=len(classes)).astype(np.float64)
        if self.class_weight is None:
            return torch.ones(len(classes))
        if isinstance(self.class_weight, str):
            given = 1 / counts
        else:
            table = self._weights_by_class(classes)
            given = np.array([float(table.get(label, 1.0)) for label in classes.tolist()])
        mean = (given * counts).sum() / counts.sum()
        if mean == 0:
            raise OptionError("class_weight is 0 for every class in y. Give at least one of them more.")
        return torch.from_numpy(given / mean).float()

    def _weights_by_class(self, classes: _Array) -> dict[Any, float]:
        """The dict of `class_weight` by plain labels.

        A class that is not in y, as in one fold of a cross-validation, counts nothing. It is an error where it differs
        from a class without a weight by case, white space or type only, and a warning where any class is without one.
        """
        table = {plain_value(key): weight for key, weight in dict(self.class_weight or {}).items()}  # type: ignore[arg-type]
        known = classes.tolist()
        absent, unweighted = [key for key in table if key not in known], [one for one in known if one not in table]
        if not absent or not unweighted:
            return table
        says = f"class_weight names {shown(absent[0])}, which is none of the classes in y: {few_labels(classes, 8)}."
        for one in unweighted:
            if str(one).strip().casefold() == str(absent[0]).strip().casefold():
                raise OptionError(f"{says} Did you mean {one!r}?")
        warnings.warn(f"{says} Its weight counts nothing.", UserWarning, stacklevel=4)
        return table

    def _wide(
        self,
        feature: Feature | Columns,
        parts: tuple[Ragged | MultiInput, Ragged | MultiInput],
        codes: tuple[NDArray[np.int64], NDArray[np.int64]],
        weights: Tensor,
        seed: int,
    ) -> NgramModel | MiniRocket | None:
        """The wide path, learnt from the training part: n-grams as strong as the validation part likes best."""
        longest = _longest_ngram(feature) if self.ngrams is None else self.ngrams
        if longest and feature.symbols is None:
            raise OptionError(f"ngrams = {longest} needs texts or tokens; numbers have no n-grams. Leave it at None.")
        if many := self._many_patterns(feature, parts[0]):
            steps = parts[0]
            assert isinstance(steps, Ragged)
            targets = torch.from_numpy(codes[0])
            return MiniRocket(many, seed).fit(steps, targets, len(weights), weights[targets])
        if not longest:
            return None
        orders = tuple(range(1, int(longest) + 1))
        data, kept = (symbolic(feature, part) for part in parts)
        buckets, strengths = bucket_count(data.steps, orders), _STRENGTHS if len(kept) >= _CHOOSERS else _STRENGTHS[:1]
        costs = weights.double().numpy()[codes[1]]
        models = [
            self._learnt(NgramModel(orders, buckets, strength), data, torch.from_numpy(codes[0]), weights)
            for strength in strengths
        ]
        return min(models, key=lambda model: best_loss(self._wide_logits(kept, model), codes[1], costs))

    def _many_patterns(self, feature: Feature | Columns, data: Ragged | MultiInput) -> int:
        """How many patterns the wide path has; 0 where steps are no numbers, or there are none."""
        if not feature.is_series:
            if self.patterns:
                raise OptionError(
                    f"patterns = {self.patterns} needs a column of numbers, but the input is taken for "
                    f"{feature.called}. Leave it at None."
                )
            return 0
        if not data.steps:
            return 0
        default = _PATTERNS if len(data) <= _FEW else 0
        return default if self.patterns is None else int(self.patterns)

    def _learnt(self, like: NgramModel, data: Ragged, codes: Tensor, weights: Tensor) -> NgramModel:
        """A new n-gram model with the options of another."""
        model = NgramModel(like.orders, like.buckets, like.strength, like.minimum)
        return model.fit(model.ngrams(data), codes, len(weights), weights[codes])

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
        wide = self._wide_logits(kept)

        def loss(indices: Tensor) -> Tensor:
            return cross_entropy(self.network_(data[indices]), targets[indices], costs, self.smoothing)

        def validate() -> dict[str, float]:
            return self._choose_blend(self._deep_logits(kept), wide, truth, weights.double().numpy()[truth])

        check = validate if len(kept) else None
        run.train(self.network_, config, loss, data.lengths, parts[0], validate=check, metric="accuracy")
        if not len(kept):
            return
        deep = self._deep_logits(kept)
        warn_if_one_answer(truth.tolist(), self.classes_[self._blended(deep, wide).argmax(1)].tolist())
        if wide is not None:
            beside = "n-grams" if self.patterns_ is None else "patterns"
            warn_if_network_idle(truth, deep.argmax(1), wide.argmax(1), beside)
        order = torch.cat([targets, codes[parts[1]]])
        if self.patterns_ is not None:
            assert isinstance(data, Ragged)
            assert isinstance(kept, Ragged)
            model = MiniRocket(self.patterns_.patterns, self.patterns_.seed)
            self.patterns_ = model.fit(Ragged.cat([data, kept]), order, len(weights), weights[order])
        if self.ngrams_ is not None:
            whole = Ragged.cat([symbolic(self.feature_, data), symbolic(self.feature_, kept)])
            self.ngrams_ = self._learnt(self.ngrams_, whole, order, weights)

    def _choose_blend(self, deep: _Floats, wide: _Floats | None, truth: _Array, costs: _Floats) -> dict[str, float]:
        """Sets `stacking_weights_` by the validation part; the metrics of the whole, and of each path alone."""
        if wide is not None:
            self.stacking_weights_ = fit_weights(np.stack([deep, wide]), truth, costs, self._start)
        both = self._blended(deep, wide)
        found = _metrics(both, truth)
        if wide is not None:
            found["accuracy_recurrent"] = float((deep.argmax(1) == truth).mean())
            found[self._wide_score] = float((wide.argmax(1) == truth).mean())
        return found

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> _Array:
        """The likeliest class of each sequence: an array [sequences] of the kind of label that `fit` saw."""
        answers = self._logits(X).argmax(1)
        return self.classes_[answers]  # type: ignore[no-any-return]

    @by_learnt_options
    def predict_proba(self, X: Any) -> _Floats:
        """The probability of each class, float64 [sequences, classes], in the order of ``classes_``."""
        return _softmax(self._logits(X))

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
        codes = self._codes(truth)
        if not truth:
            raise DataError("there are no sequences to score. Give at least one.")
        data = self.reader.steps(column)
        deep, wide = self._deep_logits(data), self._wide_logits(data)
        found = _metrics(finite(self._blended(deep, wide)), codes)
        if wide is not None:
            found["accuracy_recurrent"] = float((deep.argmax(1) == codes).mean())
            found[self._wide_score] = float((wide.argmax(1) == codes).mean())
        return found

    @property
    def _wide_score(self) -> str:
        return "accuracy_ngrams" if self.patterns_ is None else "accuracy_patterns"

    @property
    def _start(self) -> tuple[float, float]:
        return START if self.patterns_ is None else START_OF_NUMBERS

    def _scored(self, X: Any, y: Any) -> tuple[Any, list[Any]]:
        self.check_fitted()
        column, y = self.reader.read_with_targets(X, y)
        truth = plain_labels(y)
        if len(truth) != count(column):
            raise DataError(f"X has {count(column)} sequences, y has {len(truth)} labels. Give one label a sequence.")
        refuse_missing(truth)
        return column, truth

    def _codes(self, truth: list[Any]) -> NDArray[np.int64]:
        """The place of each label among the classes."""
        place = {label: code for code, label in enumerate(self.classes_.tolist())}
        for i, label in enumerate(truth):
            if label not in place:
                raise DataError(
                    f"has the label {shown(label)}, which is none of the classes learnt: "
                    f"{', '.join(map(repr, list(place)[:8]))}{', …' if len(place) > 8 else ''}.",
                    at=Place("y", sequence=i),
                )
        return np.array([place[label] for label in truth], dtype=np.int64)

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """What speaks for a class: its logit less the mean of the others', both paths together."""
        column, answers = self.reader.read(X), None
        if y is not None:
            column, answers = self._scored(X, y)
        codes = self._logits(X if y is None else column).argmax(1) if answers is None else self._codes(answers)
        data, chosen = self.reader.steps(column), torch.from_numpy(codes)
        others = len(self.classes_) - 1
        deep = float(self.stacking_weights_[0])

        def against(logits: Tensor, codes: Tensor) -> Tensor:
            own = logits.gather(1, codes[:, None])[:, 0]
            return own - (logits.sum(1) - own) / others

        def score(indices: Tensor) -> Tensor:
            return deep * against(self.network_(data[indices]), chosen[indices])

        beside = None
        if self.ngrams_ is not None:
            share = float(self.stacking_weights_[1])
            symbols = symbolic(self.feature_, data)
            logits = self.ngrams_.logits(self.ngrams_.ngrams(symbols)).double()
            steps = share * against(self.ngrams_.contributions(symbols), chosen[symbols.segments]).numpy()
            beside = symbolic_parts(self.feature_, data, steps), share * against(logits, chosen).numpy()
        elif self.patterns_ is not None:
            assert isinstance(data, Ragged)
            share, seen = float(self.stacking_weights_[1]), self.patterns_.logits(data).double()
            steps = share * against(self.patterns_.contributions(data), chosen[data.segments]).numpy()
            beside = [steps], share * against(seen, chosen).numpy()
        answered = self.classes_[codes].tolist()
        return AttributionRequest(
            self.network_.inputs, data.lengths, score, parts_of(self.feature_, data, column), answered, beside
        )

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The recurrent path and its cross-entropy; without `y` the answers count as true."""
        if y is None:
            column, codes = self.reader.read(X), self._logits(X).argmax(1)
        else:
            column, truth = self._scored(X, y)
            codes = self._codes(truth)
        data, targets = self.reader.steps(column), torch.from_numpy(codes)

        def loss(indices: Tensor) -> Tensor:
            return functional.cross_entropy(self.network_(data[indices]), targets[indices], reduction="none")

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_, self.reader.path_names())

    def _logits(self, X: Any) -> _Floats:
        self.check_fitted()
        data = self.reader.steps(self.reader.read(X))
        return finite(self._blended(self._deep_logits(data), self._wide_logits(data)))

    def _blended(self, deep: _Floats, wide: _Floats | None) -> _Floats:
        return deep if wide is None else self.stacking_weights_[0] * deep + self.stacking_weights_[1] * wide

    def _deep_logits(self, data: Ragged | MultiInput) -> _Floats:
        return answers(self.network_, data, len(self.classes_))

    def _wide_logits(self, data: Ragged | MultiInput, model: NgramModel | None = None) -> _Floats | None:
        if model is None and self.patterns_ is not None:
            assert isinstance(data, Ragged)
            return self.patterns_.logits(data).double().numpy()
        model = model or self.ngrams_
        if model is None:
            return None
        symbols = data if isinstance(data, Ragged) else symbolic(self.feature_, data)
        return model.logits(model.ngrams(symbols)).double().numpy()

    # ---- streaming

    @by_learnt_options
    def stream(self, static: Mapping[str, Any] | None = None) -> Session:
        """A session that takes one step at a time and always has the answer so far. One-directional models only.

        `static` gives the columns without steps, such as ``{"age": 63}``; those that are not given are missing.
        """
        self.check_fitted()
        refuse_bidirectional(self.network_.encoder.bidirectional)
        return Session(_Stepper(self, static))

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """What the model reads, for its card: lines of text by name."""
        return self.reader.described()

    def _config(self) -> dict[str, Any]:
        return {
            **self.reader.config(),
            "classes": {"dtype": self.classes_.dtype.str, "values": self.classes_.tolist()},
            "ngrams": None if self.ngrams_ is None else self.ngrams_.config(),
            "patterns": None if self.patterns_ is None else self.patterns_.config(),
        }

    def _tensors(self) -> dict[str, Tensor]:
        own = {"blend": torch.from_numpy(self.stacking_weights_)}
        for name, wide in (("ngrams", self.ngrams_), ("patterns", self.patterns_)):
            own |= {} if wide is None else {f"{name}.{key}": value for key, value in wide.tensors().items()}
        return self.reader.tensors() | own

    def _files(self) -> dict[str, str]:
        return self.reader.files()

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.reader.restore(config, tensors, files)
        self.classes_ = restored_classes(config["classes"])
        classes = len(self.classes_)
        self.network_ = restored(self.feature_, classes, self.config(), tensors, folder)
        wide = config["ngrams"]
        self.ngrams_ = None if wide is None else NgramModel.restore(wide, store.under("ngrams.", tensors))
        if self.ngrams_ is not None and (self.ngrams_.classes != classes or self.feature_.symbols is None):
            raise ValueError("ngrams")
        self._restore_patterns(config.get("patterns"), store.under("patterns.", tensors))
        self.stacking_weights_ = tensors["blend"].numpy()
        if (
            self.stacking_weights_.shape != (2,)
            or self.stacking_weights_.dtype != np.float64
            or not np.isfinite(self.stacking_weights_).all()
        ):
            raise ValueError("blend")

    def _restore_patterns(self, config: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]) -> None:
        self.patterns_ = None if config is None else MiniRocket.restore(config, tensors)
        if self.patterns_ is None:
            return
        feature = self.feature_
        fits = feature.is_series and self.patterns_.columns.shape[2] == self.network_.input.outputs
        if not fits or len(self.patterns_.bias) != len(self.classes_):
            raise ValueError("patterns")


class _Stepper(NetworkStepper):
    """A classifier one step at a time: the network and the wide path side by side."""

    def __init__(self, clf: Classifier, static: Mapping[str, Any] | None) -> None:
        super().__init__(clf.feature_, clf.network_, static)
        self.ngrams, self.patterns = clf.ngrams_, clf.patterns_
        self.classes, self.blend = clf.classes_.tolist(), clf.stacking_weights_

    def initial_state(self) -> dict[str, Tensor]:
        """The state before the first step."""
        state = super().initial_state()
        if self.ngrams is not None:
            empty = Ragged(torch.zeros(0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
            state |= _packed(self.ngrams.initial_state(), self.ngrams.logits(empty), len(self.ngrams.weight))
        if self.patterns is not None:
            state |= _named(self.patterns.initial_state())
        return state

    def advance(self, steps: Ragged, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps."""
        made = super().advance(steps, state)
        if self.ngrams is not None:
            wide = _unpacked(state)
            for symbol in steps.values.tolist():
                logits = self.ngrams.step(symbol, wide)
            made |= _packed(wide, logits, len(self.ngrams.weight))
        if self.patterns is not None:
            made |= _named(self.patterns.advance(steps.values, MiniRocketState(**store.under("patterns.", state))))
        return made

    @torch.no_grad()
    def answer(self, state: dict[str, Tensor]) -> ClassifyAnswer:
        """The likeliest class of the steps so far, and the probability of each."""
        logits = self.row(state).numpy()
        if self.ngrams is not None:
            logits = self.blend[0] * logits + self.blend[1] * state["ngrams.logits"].double().numpy()
        if self.patterns is not None:
            wide = self.patterns.read(MiniRocketState(**store.under("patterns.", state)))
            logits = self.blend[0] * logits + self.blend[1] * wide.double().numpy()
        shares = _softmax(finite(logits))[0]
        label = self.classes[int(logits[0].argmax())]
        return ClassifyAnswer(label, dict(zip(self.classes, shares.tolist(), strict=True)), counted(state))


def _longest_ngram(feature: Feature | Columns) -> int:
    """How many symbols the longest n-gram has, where `ngrams` is None."""
    return 0 if feature.symbols is None else 6 if feature.is_alphabet else 3


def _packed(state: NgramState, logits: Tensor, rows: int) -> dict[str, Tensor]:
    total = np.zeros(rows) if state.total is None else state.total
    return {
        "ngrams.recent": torch.tensor(state.recent, dtype=torch.int64),
        "ngrams.seen": torch.tensor(sorted(state.seen), dtype=torch.int64),
        "ngrams.kept": torch.tensor([state.kept]),
        "ngrams.total": torch.from_numpy(total),
        "ngrams.logits": logits,
    }


def _named(state: MiniRocketState) -> dict[str, Tensor]:
    return {f"patterns.{name}": value for name, value in state._asdict().items()}


def _unpacked(state: dict[str, Tensor]) -> NgramState:
    return NgramState(
        tuple(state["ngrams.recent"].tolist()),
        set(state["ngrams.seen"].tolist()),
        int(state["ngrams.kept"][0]),
        state["ngrams.total"].numpy().copy(),
    )


# ---- numbers


def _softmax(logits: _Floats) -> _Floats:
    """Probabilities; each row's bits its own."""
    return torch.softmax(torch.from_numpy(logits), dim=1).numpy()


def _metrics(logits: _Floats, truth: _Array) -> dict[str, float]:
    answers = logits.argmax(1)
    nll = logsumexp(logits, axis=1) - logits[np.arange(len(truth)), truth]
    return {
        "accuracy": metrics.accuracy(truth.tolist(), answers.tolist()),
        "macro_f1": metrics.macro_f1(truth.tolist(), answers.tolist()),
        "loss": float(nll.mean()),
    }
