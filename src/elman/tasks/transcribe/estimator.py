"""Speech recognition from audio or numeric features: connectionist temporal classification.

    x = log-mel spectrogram, or the numbers as they are                   features/audio.py
    e = convolution(x)                                                    shortened by `stride`: layers/convolution.py
    h_1 ... h_T = encoder(e_1 ... e_T)
    y_t = log softmax(A h_t + b)                                          each symbol, and the blank
    loss = mean over sequences of -log p(transcript) / its symbols        sums over all paths: decoding/ctc.py
    answer = argmax_l log p(l | y) + weight log p(l) + bonus words(l)     by beam search; shallow_fusion.py

Training augments by speed perturbation and time and frequency masking: layers/augment.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.decoding.beam_search import check_beam
from elman.decoding.ctc import Language, Prefixes, greedy, steps_needed
from elman.errors import DataError, OptionError, Place, Problem
from elman.evaluation.metrics import error_rates
from elman.features.multi_input import MultiInput
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.layers.augment import Augment
from elman.ragged import Ragged
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import TrainingData, count
from elman.tasks.base.network import finite, in_batches
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.task import Task
from elman.tasks.base.top_answers import TopAnswers, check_k, distinct
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.transcribe.defaults import DEFAULTS, UPDATES
from elman.tasks.transcribe.inputs import TranscribeReader
from elman.tasks.transcribe.network import CtcNetwork, CtcStepper, nll, ragged_of
from elman.tasks.transcribe.shallow_fusion import ORDERS, GeneratorScorer, NgramScorer
from elman.tasks.transcribe.times import WordTime, word_times
from elman.tasks.transcribe.vocabulary import SPELLINGS, Transcript, TranscriptVocabulary, check_lengths, transcripts_of
from elman.training.fit_checks import warn_if_one_answer
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import choice, fraction, is_number, is_whole, require, whole

_Floats = NDArray[np.float64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Transcriber(Task, InputOptions, EncoderOptions, HoldoutOptions, TrainingOptions):
    """The transcript of each sequence: a text, or a list of words or phones.

    Sequences are paths of sound files, pairs (samples, rate), or arrays [length, width] of numbers such as cepstra;
    with `rate` arrays [samples] are audio. Transcripts are texts, whose symbols are characters or words, or lists. An
    empty transcript stands for silence; one that needs more steps than its sequence has after the convolutions is
    refused. With a beam a later step of ``stream`` may change earlier words. ``score`` is minus the word error rate,
    for scripts without spaces minus the character error rate.

    Learnt: ``history_``, ``metrics_`` (on the validation set, greedy decoding), ``network_``, ``feature_``,
    ``vocabulary_`` (the symbols), ``ngram_scorer_`` (the language model of all transcripts given to fit, or None).

    >>> sounds = [(np.sin(np.arange(4000) * pitch), 8000) for pitch in (0.1, 0.2, 0.5)]
    >>> model = Transcriber(hidden=4, channels=4, epochs=1, verbose=False).fit(sounds, ["low", "mid", "high"])
    >>> len(model.predict(sounds))
    3
    """

    task: ClassVar[str] = "transcribe"
    description: ClassVar[str] = "Speech recognition: the transcript of each sequence of audio or numbers."
    example: ClassVar[str] = "speech.csv --input wav --target text"
    answering: ClassVar[tuple[str, ...]] = ("verbose", "beam", "language_weight", "word_bonus")
    validated_by: ClassVar[str] = "greedy decoding, without n-grams"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS
    reader_type: ClassVar[type[TranscribeReader]] = TranscribeReader

    # output
    spelling: str = "characters"  # symbols of texts: "characters" or "words"
    beam: int = 16  # beam width; 1: greedy
    language: str | None = "characters"  # n-gram model of the transcripts for shallow fusion: "characters" (symbols),
    #   "words"; None: none
    order: int | None = None  # order of the n-grams; None: 6 characters, 3 words
    language_weight: float = 0.5  # weight of the language model's log probability; 0: not used
    word_bonus: float = 1.0  # score added for each word (word insertion bonus)

    # training
    speed: float = 0.1  # speed perturbation: lengths are multiplied by 1 - speed to 1 + speed
    holes: int = 2  # time masks per sequence (SpecAugment, Park et al. 2019)
    longest_hole: int = 20  # maximum length of a time mask in steps
    band_holes: int = 0  # frequency masks per sequence

    # model
    kernel: int = 9  # width of the convolutions in steps
    stride: int = 3  # stride of each convolution
    hidden: int | Sequence[int] = 160  # units per layer and direction; one number, or one per layer
    layers: int = 2  # recurrent layers; may stay 1 where hidden lists one width per layer
    bidirectional: bool = True  # bidirectional layers; such a model cannot stream
    head_dropout: float = 0.0  # dropout rate before the output layer

    # training
    decay: str = "cosine"  # how the learning rate falls to 0 after the warm-up: "linear", "cosine", "none"

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, every_step=False) + choice(self, "spelling", SPELLINGS)
        found += check_beam(self.beam, 0)
        if self.language is not None:
            found += choice(self, "language", tuple(ORDERS))
        rule = "must be a whole number from 1 to 20, or None"
        found += require(self.order is None or is_whole(self.order, 1, 20), self, "order", rule)
        for name in ("language_weight", "word_bonus"):
            found += require(is_number(getattr(self, name)), self, name, "must be a number")
        found += fraction(self, "speed") + whole(self, "holes", 0) + whole(self, "longest_hole")
        rule = "must be None: a transcriber reads one column. Name it in input, and what it is in feature"
        return found + whole(self, "band_holes", 0) + require(self.features is None, self, "features", rule)

    # ---- learning

    def _fit(self, run: TrainingRun, reader: TranscribeReader, X: Any, y: Any) -> None:
        column, y = reader.learn(X, y)
        truth = transcripts_of(y, count(column))
        indices = run.split(len(truth))
        data = reader.prepare(reader.feature(column), column, indices, UPDATES)
        training, validation = ([truth[i] for i in part] for part in indices)
        script = self.vocabulary_ = TranscriptVocabulary.of(training, self.spelling)
        self._check_lengths(data.training, training, data.indices)
        self._check_lengths(data.validation, validation, data.validation_indices)
        run.notes.data(self, data.training.lengths, len(data.validation), script.in_words())
        self.ngram_scorer_ = self._ngram_scorer()
        if self.ngram_scorer_ is not None:
            run.notes.stage("fitting the n-gram model of the transcripts")
            spoken = [truth[i] for i in np.sort(np.concatenate(indices))] if run.refits else training
            self.ngram_scorer_.fit([[code for code in script.codes(one) if code] for one in spoken])
        self.network_: CtcNetwork = run.build(self._network, data.config)
        few = " ".join(map(repr, script.symbols[:40])) + (" …" if len(script.symbols) > 40 else "")
        self.data_ = reader.metadata(data) | {"symbols": few}
        self._train(run, data, training, validation)

    def _network(self, config: Config) -> CtcNetwork:
        speed, holes, bands = float(self.speed), int(self.holes), int(self.band_holes)
        augment = Augment(speed, holes, int(self.longest_hole), bands)
        return CtcNetwork(self.feature_, len(self.vocabulary_.symbols) + 1, config, augment)

    def _metric(self) -> str:
        return "cer" if self.vocabulary_.unspaced else "wer"

    def _ngram_scorer(self) -> NgramScorer | None:
        if self.language is None:
            return None
        over = self.language if self.vocabulary_.space is not None else "characters"
        order = int(self.order or (ORDERS[over] if self.vocabulary_.kind == "characters" else ORDERS["words"]))
        return NgramScorer(self.vocabulary_, over, order, float(self.language_weight), float(self.word_bonus))

    def _check_lengths(self, data: Ragged, truth: Sequence[Transcript], places: NDArray[np.int64]) -> None:
        shrunk = self._steps_in_one()
        codes, left = [self.vocabulary_.codes(one) for one in truth], -(-data.lengths // shrunk)
        check_lengths(codes, left.tolist(), places.tolist(), shrunk)

    def _steps_in_one(self) -> int:
        """The number of steps of the data in one after the convolutions."""
        widths = DEFAULTS["channels_of_signals"].value if self.channels is None else self.channels
        layers = int(np.count_nonzero(widths))
        return int(int(self.stride) ** layers)

    def _train(
        self, run: TrainingRun, data: TrainingData, training: Sequence[Transcript], validation: Sequence[Transcript]
    ) -> None:
        steps, targets = data.training, ragged_of([self.vocabulary_.codes(one) for one in training])
        each = run.rows.mean_one(data.indices)

        def loss(indices: Tensor) -> Tensor:
            nll = self._loss_per_symbol(steps[indices], targets[indices])
            return (nll if each is None else nll * each[indices]).mean()

        def validate() -> dict[str, float]:
            logs = self._logs(data.validation)
            return error_rates(validation, self._greedy(logs)) | self._loss(logs, validation)

        check, metric = validate if validation else None, self._metric()
        run.train(self.network_, data.config, loss, steps.lengths, data.indices, validate=check, metric=metric)
        if validation:
            warn_if_one_answer(validation, self._greedy(self._logs(data.validation)))

    def _loss_per_symbol(self, x: Ragged, targets: Ragged) -> Tensor:
        """-log p of each transcript over its symbols [sequences]."""
        return self.network_.nll(x, targets) / targets.lengths.clamp(min=1)

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any, *, beam: int | None = None, language: Any = None) -> list[Any]:
        """The transcript of each sequence: a text, or a list where the training transcripts were lists.

        `beam` overrides the option; `language`: a fitted `Generator` in place of the n-grams.
        """
        return self._decoded(self._finite_logs(self._read(X)), beam, language)

    @by_learnt_options
    def predict_top(self, X: Any, k: int = 5, *, beam: int | None = None, language: Any = None) -> TopAnswers:
        """The `k` best transcripts of each sequence and their scores, best first; fewer where the search found fewer.

        The score is log p + weight log p of the language model + bonus words. The beam is at least `k`.

        >>> sounds = [(np.sin(np.arange(4000) * pitch), 8000) for pitch in (0.1, 0.2, 0.5)]
        >>> model = Transcriber(hidden=4, channels=4, epochs=1, verbose=False).fit(sounds, ["low", "mid", "high"])
        >>> answers, scores = model.predict_top(sounds, k=2)
        >>> answers[0][0] == model.predict(sounds)[0], scores[0][0] >= scores[0][1]
        (True, True)
        """
        wide = self.beam if beam is None else beam
        if not check_beam(wide, 0):
            wide = max(check_k(k), int(wide))
        start = self._prefixes(wide, language) or Prefixes(1)
        made: tuple[list[list[Any]], list[list[float]]] = ([], [])
        for one in _split(self._finite_logs(self._read(X))):
            found = Prefixes(start.beam, start.language)
            found.advance(one)
            ranked = ((self.vocabulary_.written(prefix), score) for prefix, score in found.ranked())
            for part, own in zip(made, distinct(ranked, k), strict=True):
                part.append(own)
        return TopAnswers(*made)

    @by_learnt_options
    def align(self, X: Any, y: Any = None) -> list[list[WordTime]]:
        """The words of each transcript and their times: start and stop in seconds of audio, else in steps of the data.

        `y`: the transcripts; None: those of `predict`. The times are those of the likeliest path of the transcript
        (forced alignment), in units of a step after the convolutions. In scripts without spaces, and for lists, each
        symbol is a word. Raises ``DataError`` for a transcript of unknown symbols, or too long for its sequence.

        >>> sounds = [(np.sin(np.arange(4000) * pitch), 8000) for pitch in (0.1, 0.2, 0.5)]
        >>> model = Transcriber(hidden=4, channels=4, epochs=1, verbose=False).fit(sounds, ["low", "mid", "high"])
        >>> [(word.word, 0 <= word.start < word.stop <= 0.5) for word in model.align(sounds, ["low", "mid", "high"])[1]]
        [('mid', True)]
        """
        column = self.reader.read(X)
        data = self.reader.steps(column)
        logs = self._finite_logs(data)
        truth = self._decoded(logs) if y is None else transcripts_of(y, count(column))
        codes = [self.vocabulary_.codes(one) for one in truth]
        for i, one in enumerate(truth):
            if (unknown := self.vocabulary_.first_unknown(one)) is not None:
                what = f"has the symbol {shown(unknown)}, which is not in the vocabulary. Replace or drop it."
                raise DataError(what, at=Place("y", sequence=i))
        shrunk, lengths = self._steps_in_one(), data.lengths.tolist()
        check_lengths(codes, logs.lengths.tolist(), list(range(len(codes))), shrunk)
        unit = self.feature_.only().seconds or 1.0
        return [
            word_times(one, own, self.vocabulary_, shrunk * unit, steps * unit)
            for one, own, steps in zip(_split(logs), codes, lengths, strict=True)
        ]

    @by_learnt_options
    def predict_log_proba(self, X: Any) -> list[_Floats]:
        """log p of the blank and each symbol at each step after the convolutions: float64 [steps, 1 + symbols]."""
        return _split(self._finite_logs(self._read(X)))

    @by_learnt_options
    def score(self, X: Any, y: Any) -> float:
        """Minus the word error rate, or for scripts without spaces minus the character error rate: 0 at best."""
        return -self.evaluate(X, y)[self._metric()]

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, *, beam: int | None = None, language: Any = None) -> dict[str, float]:
        """Word and character error rate ("wer", "cer"), and "loss", the negative log-likelihood per symbol.

        A symbol outside the vocabulary counts as an error. The loss is over the transcripts without such symbols that
        fit into their steps; without any it is left out.
        """
        column, y = self.reader.read_with_targets(X, y)
        truth = transcripts_of(y, count(column))
        if not truth:
            raise DataError("there are no sequences to score. Give at least one.")
        logs = self._finite_logs(self.reader.steps(column))
        return error_rates(truth, self._decoded(logs, beam, language)) | self._loss(logs, truth)

    def _read(self, X: Any) -> Any:
        return self.reader.steps(self.reader.read(X))

    def _finite_logs(self, data: Ragged | MultiInput) -> Ragged:
        found = self._logs(data)
        finite(found.values, infinite=True)
        return found

    @torch.no_grad()
    def _logs(self, data: Ragged | MultiInput) -> Ragged:
        """log p of each symbol at each step after the convolutions, float64, bitwise independent of the batch."""
        assert isinstance(data, Ragged)
        found = [self.network_.logs(part) for part in in_batches(data)]
        width = len(self.vocabulary_.symbols) + 1
        return Ragged.cat(found) if found else Ragged(torch.zeros(0, width, dtype=torch.float64), torch.zeros(1).long())

    def _decoded(self, logs: Ragged, beam: int | None = None, language: Any = None) -> list[Any]:
        start = self._prefixes(beam, language)
        if start is None:
            return self._greedy(logs)
        made = []
        for one in _split(logs):
            found = Prefixes(start.beam, start.language)
            found.advance(one)
            made.append(self.vocabulary_.written(found.best()))
        return made

    def _greedy(self, logs: Ragged) -> list[Any]:
        return [self.vocabulary_.written(greedy(one)) for one in _split(logs)]

    def _prefixes(self, beam: int | None = None, language: Any = None) -> Prefixes | None:
        """The initial state of beam search; None: greedy."""
        beam = self.beam if beam is None else beam
        if problems := check_beam(beam, 0):
            raise OptionError(problems[0], "; 1 is greedy")
        if beam == 1 and language is None:
            return None
        model: Language | None = self.ngram_scorer_
        weight, bonus = float(self.language_weight), float(self.word_bonus)
        if language is not None:
            if not hasattr(language, "generate"):
                raise OptionError(f"language is a {type(language).__name__}. Give a fitted Generator, or None.")
            model = GeneratorScorer(language, self.vocabulary_, weight, bonus)
        elif self.ngram_scorer_ is not None:
            self.ngram_scorer_.weigh(weight, bonus)
        return Prefixes(int(beam), model)

    def _loss(self, logs: Ragged, truth: Sequence[Transcript]) -> dict[str, float]:
        codes, lengths = [self.vocabulary_.codes(one) for one in truth], logs.lengths.tolist()
        fits = [0 not in own and steps_needed(own) <= steps for own, steps in zip(codes, lengths, strict=True)]
        chosen = torch.tensor([i for i, good in enumerate(fits) if good], dtype=torch.int64)
        if not len(chosen):
            return {}
        targets = ragged_of([codes[i] for i in chosen.tolist()])
        total = float(nll(logs[chosen], targets).sum())
        return {"loss": total / max(1, targets.steps)}

    # ---- looking inside

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its loss per symbol; without `y` the predicted transcripts are the targets."""
        if y is None:
            column, truth = self.reader.read(X), self.predict(X)
        else:
            column, y = self.reader.read_with_targets(X, y)
            truth = transcripts_of(y, count(column))
        data = self.reader.steps(column)
        targets = ragged_of([[code for code in self.vocabulary_.codes(one) if code] for one in truth])

        def loss(indices: Tensor) -> Tensor:
            return self._loss_per_symbol(data[indices], targets[indices])

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_)

    # ---- streaming

    def _stepper(self, static: Mapping[str, Any] | None) -> CtcStepper:
        """Memory holds the prefixes of the beam."""
        return CtcStepper(self.feature_, self.network_, self.vocabulary_, self._prefixes(), static)

    # ---- on disk

    def _config(self) -> dict[str, Any]:
        script = {"symbols": self.vocabulary_.symbols, "kind": self.vocabulary_.kind}
        return {"script": script, "phrases": self.ngram_scorer_ is not None}

    def _tensors(self) -> dict[str, Tensor]:
        own = {} if self.ngram_scorer_ is None else self.ngram_scorer_.tensors()
        return {f"phrases.{key}": value for key, value in own.items()}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        symbols, kind = config["script"]["symbols"], config["script"]["kind"]
        texts = isinstance(symbols, list) and symbols and all(isinstance(s, str) and s for s in symbols)
        if not texts or len(set(symbols)) != len(symbols) or kind not in (*SPELLINGS, "lists"):
            raise ValueError("script")
        self.vocabulary_ = TranscriptVocabulary(symbols, kind)
        if not self.feature_.is_signal or not isinstance(config["phrases"], bool):
            raise ValueError("feature")
        self.ngram_scorer_ = self._ngram_scorer() if config["phrases"] else None
        if self.ngram_scorer_ is not None:
            self.ngram_scorer_.restore(store.under("phrases.", tensors), folder)
        self.network_ = store.network(lambda: self._network(self.config(Summary(self.feature_))), tensors, folder)


def _split(logs: Ragged) -> list[_Floats]:
    """An array for each sequence."""
    return np.split(logs.values.numpy(), logs.offsets[1:-1].numpy()) if len(logs) else []
