"""Sequence labelling: parts of speech, named entities, protein structure.

e_t = input layer(x_t)                         word and character embeddings: features/words.py
h_1 ... h_T = encoder(e_1 ... e_T)
z_t = A h_t + b                                a score for each label
y = argmax over paths of score(y)              with `crf`: layers/crf.py; without, the label with the highest z_t

With `ensemble_size` the scores of several networks are averaged: network.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, OptionError, Problem, option
from elman.evaluation.metrics import checked_weights
from elman.features.multi_input import MultiInput, groups_of
from elman.features.words import LetterOptions
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.layers.crf import TransitionConstraints, viterbi
from elman.ragged import Ragged
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import TrainingData, count
from elman.tasks.base.network import answers, finite
from elman.tasks.base.options import EncoderOptions, InputOptions, flag, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.targets.labels import few_labels, restored_classes
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import LEAST, TrainingRun
from elman.tasks.tag.attribution import label_question, steps_asked
from elman.tasks.tag.defaults import BLIND_UPDATES, DEFAULTS, FEW_SEQUENCES, UPDATES
from elman.tasks.tag.entities import Entity, entities_of
from elman.tasks.tag.inputs import TagReader
from elman.tasks.tag.labels import check_tags, codes_of, tag_classes, tag_lists
from elman.tasks.tag.network import TagNetwork
from elman.tasks.tag.report import TagReport, tag_report
from elman.tasks.tag.session import TagStepper
from elman.tasks.tag.spans import OUTSIDE, SCHEMES, fits, obeys, rules_of, scheme_of, spans, step_scores
from elman.training.fit_checks import warn_if_one_answer
from elman.training.options import TrainingOptions
from elman.validation.options import SIZE, is_among, is_whole, require, whole

_MOST_MEMBERS = 1000
_OFFSETS = tuple(i / 4 for i in range(13))  # candidates for `outside_offset_`
_LEAST_SPANS = 100  # in the validation set; with fewer the offset stays 0
_Floats = NDArray[np.float64]
_Codes = NDArray[np.int64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Tagger(Task, LetterOptions, InputOptions, EncoderOptions, HoldoutOptions, TrainingOptions):
    """One label for each step of each sequence.

    Sequences are lists of words (word and character embeddings), lists of one-letter tokens, texts (a step is a
    character), or arrays of numbers. Labels are a list as long as its sequence, or a text, one character a step. Labels
    in a scheme of `elman.tasks.tag.spans` (BIO, IO, IOB1, IOBES, BILOU, BMES, BMEWO) are spans: if the training labels
    obey the scheme, so do answers, and ``score`` is the span F1. With a CRF a later step of ``stream`` may change
    earlier labels.

    Learnt: ``classes_``, ``history_``, ``metrics_`` (on the validation set), ``network_``, ``feature_``, ``scheme_``
    (the name of the scheme, None where labels are no spans), ``spans_`` (whether they are), ``constrained_`` (whether
    decoding is constrained by the scheme), ``ensemble_size_``, ``outside_offset_`` (subtracted from the score of the
    label O before decoding).

    >>> tagger = Tagger(hidden=8, epochs=1, verbose=False)
    >>> tagger = tagger.fit([["a", "dog"], ["dogs", "bark"]], [["DET", "NOUN"], ["NOUN", "VERB"]])
    >>> [len(labels) for labels in tagger.predict([["a", "cat", "barks"], []])]
    [3, 0]
    """

    task: ClassVar[str] = "tag"
    description: ClassVar[str] = "One label for each step: parts of speech, named entities, protein structure."
    example: ClassVar[str] = "train.conllu --column upos"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS
    reader_type: ClassVar[type[TagReader]] = TagReader

    # model
    crf: bool = True  # conditional random field over the labels (Lafferty et al. 2001); False: each step by itself
    ensemble_size: int | None = None  # networks whose scores are averaged; more than one cannot stream;
    #   None: 5 for fewer than 200 sequences of a small alphabet with a bidirectional network, else 1
    embed: int = 128  # size of the embedding of a symbol or an image; unused for numbers
    hidden: int | Sequence[int] = 128  # units per layer and direction; one number, or one per layer
    bidirectional: bool = True  # each layer also reads backwards; such a model cannot stream
    kernel: int = 11  # width of the convolutions in steps
    dropout: float | None = None  # type: ignore[assignment]  # dropout rate after each layer, one mask per
    #   sequence; 0 turns it off, None: see docs/tasks/tag.md
    symbol_dropout: float | None = None  # fraction of a sequence's distinct symbols dropped (Gal & Ghahramani 2016);
    #   None: see docs/tasks/tag.md
    head_dropout: float | None = None  # type: ignore[assignment]  # dropout rate before the output layer; None:
    #   see docs/tasks/tag.md

    # training
    batch_sequences: int | None = None  # None: 1/192 of the sequences, 8 to 64
    average: float = 0.99  # decay of a moving average of the weights (Polyak & Juditsky 1992); 0 turns it off

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, every_step=False)
        found += whole(self, "characters", 0, SIZE) + whole(self, "word_shape", 0, SIZE) + flag(self, "crf")
        size, rule = self.ensemble_size, f"must be a whole number from 1 to {_MOST_MEMBERS}, or None"
        found += require(size is None or is_whole(size, 1, _MOST_MEMBERS), self, "ensemble_size", rule)
        rule = "has no meaning: labels belong to steps. Give lists of words, or texts, whose steps are letters"
        found += require(not is_among(self.feature, ["text"]), self, "feature", rule)
        strided = is_whole(self.stride) and self.stride > 1
        return found + require(not strided, self, "stride", "must be 1 for an answer at every step")

    # ---- learning

    def _fit(self, run: TrainingRun, reader: TagReader, X: Any, y: Any) -> None:
        column, y = reader.learn(X, y)
        if isinstance(y, dict):
            raise DataError(f"a tagger learns one column of labels, got {', '.join(map(repr, y))}. Name one.")
        column = reader.letters(column, fitted=False)
        labels = tag_lists(y, count(column))
        classes = tag_classes(labels)
        feature = reader.feature(column)
        indices = run.split(len(labels), least=FEW_SEQUENCES if feature.is_vocabulary else LEAST)
        data = reader.prepare(feature, column, indices, UPDATES if len(indices[1]) else BLIND_UPDATES)
        parts = [[labels[i] for i in part] for part in indices]
        for own, steps, places in zip(parts, (data.training, data.validation), indices, strict=True):
            check_tags(own, _lengths(steps), places)
        self.classes_ = classes
        self.scheme_ = scheme_of(labels)
        self.spans_ = self.scheme_ is not None
        self.constrained_ = self.scheme_ is not None and obeys(labels, self.scheme_)
        self.outside_offset_ = 0.0
        self.ensemble_size_ = int(data.config.ensemble_size)
        labels_in_words = f"{len(classes)} labels: {few_labels(classes)}"
        run.notes.data(self, data.training.lengths, len(data.validation), labels_in_words)
        self.network_: TagNetwork = run.build(self._network, data.config)
        self.data_ = reader.metadata(data) | {"labels": few_labels(classes), "spans": self._scheme_in_words()}
        self._train(run, data, *parts)

    def _network(self, config: Config) -> TagNetwork:
        return TagNetwork(self.feature_, len(self.classes_), config, bool(self.crf), self.ensemble_size_)

    def _train(
        self,
        run: TrainingRun,
        data: TrainingData,
        training: Sequence[Sequence[Any]],
        validation: Sequence[Sequence[Any]],
    ) -> None:
        steps = data.training
        truth = Ragged(codes_of(training, self.classes_), steps.offsets)
        each, own = run.rows.mean_one(data.indices), run.rows.of(data.validation_indices)

        def loss(indices: Tensor) -> Tensor:
            chosen = truth[indices]
            nll = self.network_.nll(steps[indices], chosen.values)
            return (nll if each is None else nll * each[indices]).sum() / max(1, chosen.steps)

        def validate() -> dict[str, float]:
            return self._metrics(self._scores(data.validation), validation, own)

        metric, check = "f1" if self.spans_ else "accuracy", validate if validation else None
        run.train(self.network_, data.config, loss, steps.lengths, data.indices, validate=check, metric=metric)
        if not validation:
            return
        scores = self._scores(data.validation)
        true, answered = (list(itertools.chain.from_iterable(part)) for part in (validation, self._labels(scores)))
        warn_if_one_answer(true, answered)
        outside = self.spans_ and OUTSIDE in self.classes_
        if outside and sum(len(spans(own)) for own in validation) >= _LEAST_SPANS:
            self._choose_offset(scores, validation, own)

    def _choose_offset(self, scores: Ragged, labels: Sequence[Sequence[Any]], counts: _Floats | None) -> None:
        """Sets `outside_offset_` to the smallest offset with the highest span F1 on the validation set."""

        def f1_with(offset: float) -> float:
            self.outside_offset_ = offset
            return self._label_scores(labels, self._labels(scores), counts)["f1"]

        self.outside_offset_ = max(_OFFSETS, key=f1_with)
        self.metrics_ = self._metrics(scores, labels, counts)

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> list[list[Any]]:
        """The labels of each sequence, one per step."""
        return self._labels(self._finite_scores(self._read(X)))

    @by_learnt_options
    def predict_proba(self, X: Any) -> list[_Floats]:
        """The probability of each label at each step: a float64 array [length, labels] for each sequence.

        With a CRF the marginals over all paths, without the constraints of the scheme.
        """
        scores = self._finite_scores(self._read(X))
        return np.split(self._marginals(scores), scores.offsets[1:-1].numpy()) if len(scores) else []

    @by_learnt_options
    def entities(self, X: Any) -> list[list[Entity]]:
        """The spans that `predict` finds in each sequence: (start, stop, kind, score), in order.

        `start` and `stop` count steps from 0, `stop` is not included. The score is the mean probability of the labels
        of the steps. Raises ``OptionError`` where the labels of training are no spans.

        >>> words, tags = [["to", "New", "York"], ["in", "Rome"]], [["O", "B-place", "I-place"], ["O", "B-place"]]
        >>> tagger = Tagger(hidden=8, epochs=30, seed=0, verbose=False).fit(words * 8, tags * 8)
        >>> [[(entity.start, entity.stop, entity.kind) for entity in found] for found in tagger.entities(words)]
        [[(1, 3, 'place')], [(1, 2, 'place')]]
        """
        if not self.spans_:
            raise OptionError(
                f"the labels {few_labels(self.classes_, 8)} are no spans, so there are no entities. Use predict(X) for "
                "the label of each step."
            )
        scores = self._finite_scores(self._read(X))
        labels, marginals = self._labels(scores), self._marginals(scores)
        codes = codes_of(labels, self.classes_).numpy()
        chosen = np.take_along_axis(marginals, codes[:, None], axis=1)[:, 0]
        bounds = itertools.pairwise(scores.offsets.tolist())
        return [entities_of(own, chosen[first:last]) for own, (first, last) in zip(labels, bounds, strict=True)]

    @by_learnt_options
    def report(self, X: Any, y: Any) -> TagReport:
        """How good the labels are: print it, or see its ``to_json()`` and ``picture()``.

        Precision, recall and F1 of each label over the steps, the confusion matrix, ROC and precision-recall area,
        calibration; for spans precision, recall and F1 of each kind.
        """
        data, labels = self._with_labels(X, y)
        scores = self._finite_scores(data)
        return tag_report(labels, self._labels(scores), self.classes_, self._marginals(scores), self.spans_)

    @by_learnt_options
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Span F1 where the labels are spans, else the accuracy over steps; `sample_weight`: one for each sequence."""
        found = self.evaluate(X, y, sample_weight)
        return found["f1"] if self.spans_ else found["accuracy"]

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Accuracy over steps and over whole sequences; for spans also precision, recall and F1.

        A label that is not among the classes counts as an error.
        """
        data, labels = self._with_labels(X, y)
        if not any(labels):
            raise DataError("there are no steps to score. Give at least one.")
        counts = None if sample_weight is None else checked_weights(sample_weight, len(labels))
        return self._label_scores(labels, self._labels(self._finite_scores(data)), counts)

    def _read(self, X: Any) -> Ragged | MultiInput:
        data: Ragged | MultiInput = self.reader.steps(self.reader.letters(self.reader.read(X)))
        return data

    def _with_labels(self, X: Any, y: Any) -> tuple[Ragged | MultiInput, list[list[Any]]]:
        """The steps, and a label for each."""
        column, y = self.reader.read_with_targets(X, y)
        column = self.reader.letters(column)
        labels, data = tag_lists(y, count(column)), self.reader.steps(column)
        check_tags(labels, _lengths(data))
        return data, labels

    def _scores(self, data: Ragged | MultiInput) -> Ragged:
        """A score for each label at each step, float64."""
        return Ragged(torch.from_numpy(answers(self.network_, data, len(self.classes_))), data.offsets)

    def _finite_scores(self, data: Ragged | MultiInput) -> Ragged:
        found = self._scores(data)
        finite(found.values)
        return found

    def _marginals(self, scores: Ragged) -> _Floats:
        """The probability of each label at each step [steps, labels]."""
        crf = self.network_.together()
        probabilities: _Floats = torch.softmax(scores.values, 1).numpy() if crf is None else crf.marginals(scores)
        return probabilities

    def _labels(self, scores: Ragged) -> list[list[Any]]:
        lowered, rules = scores.with_values(scores.values - torch.from_numpy(self._offsets())), self._rules()
        if self.network_.crf is None and rules is None:
            codes = lowered.values.numpy().argmax(axis=1)
        else:
            codes = viterbi(lowered, *self.network_.transitions(), rules)
        labels = self.classes_[codes].tolist()
        return [labels[first:last] for first, last in itertools.pairwise(scores.offsets.tolist())]

    def _offsets(self) -> _Floats:
        """What is subtracted from the score of each label before decoding [labels]."""
        return np.array([self.outside_offset_ if label == OUTSIDE else 0.0 for label in self.classes_.tolist()])

    def _rules(self) -> TransitionConstraints | None:
        return rules_of(self.classes_.tolist(), self.scheme_) if self.scheme_ and self.constrained_ else None

    def _scheme_in_words(self) -> str:
        """The scheme of the labels, for the model card."""
        if self.scheme_ is None:
            return "none: scored by step"
        return self.scheme_ + ("" if self.constrained_ else ", not obeyed by the training labels")

    @torch.no_grad()
    def _metrics(self, scores: Ragged, labels: Sequence[Sequence[Any]], counts: _Floats | None) -> dict[str, float]:
        codes = codes_of(labels, self.classes_)
        nll = self.network_.nll_of(scores.to(torch.float32), codes)
        nll = nll if counts is None else nll * torch.from_numpy(counts / counts.mean())
        loss = nll.sum() / max(1, len(codes))
        return self._label_scores(labels, self._labels(scores), counts) | {"loss": float(loss)}

    def _label_scores(
        self, truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]], counts: _Floats | None
    ) -> dict[str, float]:
        found = step_scores(truth, predicted, self.spans_, None if counts is None else counts.tolist())
        whole = [list(a) == list(b) for a, b in zip(truth, predicted, strict=True)]
        return {"accuracy": found["accuracy"], "accuracy_sequences": float(np.average(whole, weights=counts))} | found

    # ---- looking inside

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """Attribution of one step's label: `y` holds a step per sequence, or (step, label); None: the last step."""
        column = self.reader.letters(self.reader.read(X))
        data = self.reader.steps(column)
        asked = steps_asked(y, _lengths(data).tolist(), self._labels(self._scores(data)))
        parts = parts_of(self.feature_, data, column)
        return label_question(self.network_, data, asked, self.classes_.tolist(), parts)

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its loss per step; without `y` the predicted labels are the targets."""
        data, labels = (self._read(X), self.predict(X)) if y is None else self._with_labels(X, y)
        truth = Ragged(codes_of(labels, self.classes_), data.offsets)

        def loss(indices: Tensor) -> Tensor:
            chosen = truth[indices]
            return self.network_.nll(data[indices], chosen.values) / chosen.lengths.clamp(min=1)

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_)

    # ---- streaming

    def _stepper(self, static: Mapping[str, Any] | None) -> TagStepper:
        """Memory grows by a few numbers a step."""
        if self.ensemble_size_ > 1:
            raise OptionError(
                f"ensemble_size = {self.ensemble_size_} networks cannot stream. Fit the tagger with ",
                option("ensemble_size", 1),
                ".",
            )
        offsets, classes = self._offsets(), self.classes_.tolist()
        return TagStepper(self.feature_, self.network_, offsets, classes, self._rules(), static)

    # ---- on disk

    def _config(self) -> dict[str, Any]:
        classes = {"dtype": self.classes_.dtype.str, "values": self.classes_.tolist()}
        own = {"scheme": self.scheme_, "ruled": self.constrained_, "lean": self.outside_offset_}
        return {"classes": classes, **own}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.classes_ = restored_classes(config["classes"])
        ruled: Any = config["ruled"]
        self.scheme_ = config["scheme"]
        self.spans_ = self.scheme_ is not None
        known = self.scheme_ is None or self.scheme_ in SCHEMES
        if (
            not known
            or not fits(self.classes_.tolist(), self.scheme_)
            or type(ruled) is not bool
            or ruled > self.spans_
        ):
            raise ValueError("scheme")
        self.constrained_, self.outside_offset_ = ruled, config.get("lean", 0.0)
        if self.outside_offset_ not in _OFFSETS[: None if self.spans_ else 1]:
            raise ValueError("lean")
        self.ensemble_size_ = 1 + sum(
            key.endswith(".head.bias") for key in tensors if key.startswith("network.others.")
        )
        if self.ensemble_size not in (None, self.ensemble_size_):
            raise ValueError("ensemble_size")
        self.network_ = store.network(lambda: self._network(self.config(Summary(self.feature_))), tensors, folder)


def _lengths(data: Ragged | MultiInput) -> Tensor:
    return groups_of(data)[0][0].lengths
