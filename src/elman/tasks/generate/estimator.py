"""A language model: scores texts and generates new ones.

    x = [B, s_1, ..., s_n],  y = [s_1, ..., s_n, B]         B: where a document begins and ends
    p(y_t | x_1 ... x_t) = (1 - w) softmax(z_t) + w p_n-grams        network.py, lm/interpolation.py
    nats = mean_t -log p(y_t | x_1 ... x_t)                 bits = nats / log 2, perplexity = exp(nats)

Texts longer than `chunk_steps` are cut into chunks. Training uses truncated backpropagation through time over `tbptt`
steps with the state carried on (Williams & Peng 1990; Mikolov 2012). The n-gram model is trained separately; w is
chosen on the validation set, whose n-grams are counted afterwards.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.cells import CELLS
from elman.cells.compatibility import reads_symbols
from elman.cells.recurrent import Recurrent
from elman.errors import DataError, OptionError, Problem, option
from elman.features import infer
from elman.features.base import Written
from elman.features.containers import by_name, column_of
from elman.features.lists import listed
from elman.features.registry import FEATURES, restored_feature, saved_feature
from elman.features.vocabulary import VocabularyOptions
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.lm.chunks import LMChunks, lm_chunks
from elman.lm.interpolation import InterpolatedLM, weight_of
from elman.lm.kneser_ney import KneserNey
from elman.ragged import Ragged
from elman.tasks.base.fit_notes import FitNotes
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import no_column
from elman.tasks.base.network import encoder_of, finite
from elman.tasks.base.options import EncoderOptions, VectorOptions, flag
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.session import Stepper
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.base.word_vectors import coverage, learnt_with_vectors, load_word_vectors, start_from_vectors
from elman.tasks.generate.defaults import DEFAULTS, UPDATES, side_by_side
from elman.tasks.generate.dynamic_evaluation import adapted
from elman.tasks.generate.generation import Writer, symbols_of
from elman.tasks.generate.network import LanguageLoss, LanguageNetwork, nll
from elman.tasks.generate.session import LMSession
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import SIZE, choice, fraction, is_number, is_whole, require, whole
from elman.validation.plain_values import plain_text

_Floats = NDArray[np.float64]
_FEATURES = [kind for kind, feature in FEATURES.items() if issubclass(feature, Written)]
_MANY = 1000  # symbols, from which on embedding and output layer are tied
_LARGE = 5_000_000  # training steps, from which on n-grams would take too much memory
_SAMPLES = 10_000  # texts of one call
_LONGEST = 20  # largest n-gram order


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Generator(Task, VocabularyOptions, VectorOptions, EncoderOptions, HoldoutOptions, TrainingOptions):
    """A language model of texts, of lists of tokens, or of chords.

    `fit` takes one text or a list of documents (or a column of a frame). The end of a document is a symbol unless there
    is one text only. ``score`` is minus the nats per symbol.

    Learnt: ``history_``, ``metrics_`` (on the validation set: a tenth of the documents, or the end of a single text),
    ``network_``, ``mixture_`` (the n-gram model and its weight, or None), ``feature_``, ``ends_`` (whether the model
    predicts the end of a document).

    >>> model = Generator(hidden=8, embed=8, epochs=1, verbose=False).fit(["to be or not to be"])
    >>> len(model.generate("to", length=5, seed=0))
    7
    """

    task: ClassVar[str] = "generate"
    reader_type: ClassVar[None] = None
    card_call: ClassVar[str] = "model.generate(length=100)"
    description: ClassVar[str] = "A language model: scores texts and generates new ones."
    example: ClassVar[str] = "poems.tsv --input poem"
    without: ClassVar[Mapping[str, str]] = {
        "sample_weight": "its n-grams are counted. Give a document several times, or leave it out."
    }
    answering: ClassVar[tuple[str, ...]] = ("verbose", "adapt")
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS

    # data
    input: str | None = None  # the column of a frame to read; None: the only one
    feature: str = "auto"  # what a step is: "text", "tokens", "chords"; "auto": inferred, never chords
    unit: str = "characters"  # of texts: "characters", "words", "mixed", "subwords", "spaces"
    lower: bool = False  # lower-case texts
    transpose: int = 0  # augment chords by transposition up and down by up to so many half-tones; 0: none

    # model
    cell: str = "lstm"  # recurrent cell: lstm, gru, rnn, ln_lstm, min_gru, min_lstm, lru
    hidden: int | Sequence[int] = 512  # units per layer; one number, or one per layer
    embed: int = 128  # size of the symbol embeddings
    tied: bool | None = None  # tie the output weights to the embeddings (Press & Wolf 2017); None: from 1000 symbols
    dropout: float = 0.3  # dropout rate after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.3  # dropout rate before the output layer, a new mask at every step
    input_dropout: float = 0.0  # fraction of a chunk's distinct symbols dropped
    weight_drop: float = 0.0  # DropConnect rate of the recurrent weights, a mask per batch; 0.5 in AWD-LSTM
    recurrent_dropout: float = 0.0  # dropout rate of h_{t-1} in the recurrence, one mask per sequence
    zoneout: float = 0.0  # probability that a unit keeps its value for a step (Krueger et al. 2017)
    activation: float = 0.0  # weight of the mean square of h in the loss, 2 in AWD-LSTM (Merity et al. 2018)
    change: float = 0.0  # weight of the mean square of h_t - h_{t-1} in the loss, 1 in AWD-LSTM

    # model
    ngrams: int | None = None  # longest n-gram mixed in; 0 turns it off; None: 8, from 1000 symbols 4, and 0 from
    #   5,000,000 training steps

    # output
    adapt: float = 0.0  # learning rate of dynamic evaluation (Krause et al. 2018); 0: off; 0.2 suits a long text that
    #   differs from the training texts

    # training
    tbptt: int = 128  # steps of truncated backpropagation through time, state carried on; 0: the whole chunk
    chunk_steps: int | None = None  # maximum length of a chunk; longer texts are cut into several; None:
    #   steps / (4 batch_sequences), at least tbptt
    batch_sequences: int | None = None  # maximum number of chunks in a batch; None: steps / 8192, 4 to 32

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + choice(self, "unit", ("characters", "words", "mixed", "subwords", "spaces"))
        found += choice(self, "feature", ("auto", *_FEATURES)) + whole(self, "transpose", 0)
        found += whole(self, "max_words") + whole(self, "embed", most=SIZE)
        if not isinstance(self.input, str | None):
            found.append(Problem("input", shown(self.input), "must be the name of a column, or None"))
        if not (self.ngrams is None or (is_whole(self.ngrams, 0) and self.ngrams <= _LONGEST)):
            found.append(Problem("ngrams", shown(self.ngrams), f"must be a whole number from 0 to {_LONGEST}, or None"))
        found += whole(self, "min_count") if self.min_count is not None else []
        found += whole(self, "chunk_steps") if self.chunk_steps is not None else []
        for name in ("head_dropout", "input_dropout", "weight_drop", "recurrent_dropout", "zoneout"):
            found += fraction(self, name)
        found += self._recurrent_problems()
        tied = self.tied is None or isinstance(self.tied, bool | np.bool_)
        found += flag(self, "lower") + require(tied, self, "tied", "must be True or False, or None")
        for name in ("activation", "change", "adapt"):
            value = getattr(self, name)
            found += [] if is_number(value, 0) else [Problem(name, shown(value), "must be a number of at least 0")]
        found += reads_symbols(self)
        if np.all(self.bidirectional):
            what = ": a language model must be unidirectional, or it would see the target"
            found.append(Problem("bidirectional", "True", what))
        return found

    def _recurrent_problems(self) -> list[Problem]:
        if choice(self, "cell", tuple(CELLS)) or issubclass(CELLS[self.cell], Recurrent):
            return []
        given = [name for name in ("weight_drop", "recurrent_dropout", "zoneout") if getattr(self, name)]
        what = f"has no meaning for cell = {self.cell!r}; leave it at 0"
        return [Problem(name, shown(getattr(self, name)), what) for name in given]

    # ---- learning

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        groups: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Trains on texts `X`: one, a list of them, or a frame with a column `input`. `y` is not used.

        `validation_data`: texts in place of the fraction `validation` of the documents, to choose the epoch and the
        weight of the n-gram model; nothing is learnt from them. `groups`: as for other tasks.

        `out`: the folder for `save`, where a checkpoint is written after every epoch; `resume` continues an interrupted
        fit from it, with the same weights at the end as without the interruption.

        Raises ``OptionError`` for invalid options, ``DataError`` for invalid data, naming the sequence, and
        ``TrainingError`` if the loss becomes NaN (the best weights so far stay usable).
        """
        self.refuse(sample_weight=sample_weight)
        return super().fit(X, None, validation_data=validation_data, groups=groups, out=out, resume=resume)

    def _fit(self, run: TrainingRun, reader: None, X: Any, y: Any) -> None:
        column = self._documents(X, fitted=False)
        training, held = self._split(column, run)
        feature = self._made(training).fit(training, name="X")
        self.feature_, self.ends_ = feature, len(training) > 1
        symbols = feature.transform(feature.transposed(training, int(self.transpose)), name="X")
        data = self.lm_chunks(symbols, self._longest(symbols.steps))
        validation = self.lm_chunks(feature.transform(held, name="X" if run.refits else "validation_data"), None)
        if not data.targets.steps:
            raise DataError("X holds no text to learn from: every document is empty.")
        config = self.config(Summary(feature, (), len(data.inputs), data.inputs.steps, updates=UPDATES))
        load_word_vectors(self, config, [feature])
        self.learnt_with_ = learnt_with_vectors(config, self.options())
        held_out = "its end" if held and len(column) == 1 and run.refits else len(held)
        run.notes.data(self, symbols.lengths, held_out, noun="documents")
        self.network_: LanguageNetwork = run.build(self._network, config, self._symbol_count)
        self.mixture_ = self._mixture(symbols, run.notes)
        self.data_ = {
            "training documents": len(training),
            "training steps": data.inputs.steps,
            "validation steps": validation.targets.steps,
            **coverage(config),
            "epochs planned": int(config.epochs),
        }
        self._train(run, config, data, validation)
        if self.mixture_ is not None and run.refits:
            known = self.lm_chunks(symbols, None).whole()
            self.mixture_.ngrams.fit(known + validation.whole())

    def _split(self, column: list[Any], run: TrainingRun) -> tuple[list[Any], list[Any]]:
        """The training and the validation documents; the validation set of a single text is its end."""
        if len(column) > 1:
            training, held = run.split(len(column))
            return [column[i] for i in training], [column[i] for i in held]
        (one,) = column
        if not hasattr(one, "__len__") or len(one) < 1000:  # without a length it is refused by the feature
            return column, []
        cut = len(one) - int(len(one) * self.validation)
        return [one[:cut]], [one[cut:]] if cut < len(one) else []

    def _longest(self, steps: int) -> int:
        """The length of chunks for so many training steps."""
        if self.chunk_steps is not None:
            return int(self.chunk_steps)
        return max(int(self.tbptt) or 128, -(-steps // (4 * side_by_side(self, steps))))

    def _network(self, config: Config, symbols: int) -> LanguageNetwork:
        named = {name: float(getattr(self, name)) for name in ("recurrent_dropout", "zoneout")}
        extras: dict[str, Any] = {name: value for name, value in named.items() if value}
        network = LanguageNetwork(
            symbols,
            int(config.embed),
            encoder_of(config, int(config.embed), **extras),
            tied=symbols > _MANY if self.tied is None else bool(self.tied),
            dropout=float(self.head_dropout),
            input_dropout=float(self.input_dropout),
        )
        start_from_vectors(config, self.feature_, network.input)
        return network

    @property
    def _symbol_count(self) -> int:
        """The number of symbols, with the boundary."""
        return int(self.feature_.symbols or 0) + 1

    def _mixture(self, symbols: Ragged, notes: FitNotes) -> InterpolatedLM | None:
        """The n-gram model of the training set, if any."""
        default = 0 if symbols.steps >= _LARGE else 4 if self._symbol_count > _MANY else 8
        order = default if self.ngrams is None else int(self.ngrams)
        if not order:
            return None
        notes.stage(f"counting n-grams of up to {order} symbols")
        return InterpolatedLM(KneserNey(order, self._symbol_count).fit(self.lm_chunks(symbols, None).whole()))

    def _train(self, run: TrainingRun, config: Config, data: LMChunks, validation: LMChunks) -> None:
        p_ngrams = None if self.mixture_ is None else self.mixture_.ngrams.each(validation.whole())

        def validate() -> dict[str, float]:
            each = nll(self.network_, validation).values
            if self.mixture_ is not None and p_ngrams is not None:
                self.mixture_.weight = weight_of((-each).exp().numpy(), p_ngrams)
            return self._scores(each, p_ngrams)

        loss = LanguageLoss(self.network_, data, float(self.activation), float(self.change), float(self.weight_drop))
        check, places = validate if validation.targets.steps else None, np.arange(len(data.inputs))
        run.train(self.network_, config, loss, data.inputs.lengths, places, validate=check, metric="loss")

    def _documents(self, X: Any, *, fitted: bool = True) -> list[Any]:
        """The documents of any container; unless `fitted`, sets the name of their column."""
        if isinstance(X, str):
            raise DataError(f"X is one text, {shown(X)}. Wrap it in a list: [{shown(X)}].")
        if fitted:
            self.check_fitted()
        name: str | None = self.input_ if fitted else None
        columns = by_name(X)
        if columns is not None:
            name = name or self.input or (next(iter(columns)) if len(columns) == 1 else None)
            if name is None or name not in columns:
                raise no_column(name, list(columns), "texts")
            X = columns[name]
        if not fitted:
            self.input_: str | None = name
        found = listed(column_of(X, FEATURES.get(self.feature_.kind if fitted else self.feature)), "X")
        if not found:
            raise DataError("X holds no documents. Fitting needs at least one.")
        return found

    def _made(self, column: list[Any]) -> Written:
        made = infer(column, name="X") if self.feature == "auto" else FEATURES[self.feature]()
        if (writer := made.writer) is None:
            what = f"X holds {made.kind}. A generator learns texts, or lists of tokens. For lists of chords, or ids "
            chords, tokens = option("feature", "chords"), option("feature", "tokens")
            raise DataError(f"{what}that are tokens, say ", chords, " or ", tokens, ".")
        options = {"unit": self.unit, "max_words": int(self.max_words), "min_count": self.min_count}
        return writer.take_options(options | {"lower": bool(self.lower)})

    def lm_chunks(self, symbols: Ragged, longest: int | None) -> LMChunks:
        """Chunks of documents with their boundaries, of at most `longest` steps; None: whole documents."""
        return lm_chunks(symbols, int(self.feature_.symbols or 0), self.ends_, longest)

    # ---- answering

    @by_learnt_options
    def score(self, X: Any, y: Any = None) -> float:
        """Minus the nats per symbol of texts: 0 at best."""
        return -self.evaluate(X)["nats"]

    @by_learnt_options
    def evaluate(self, X: Any, y: Any = None) -> dict[str, float]:
        """Negative log-likelihood: "nats" and "bits" per symbol, "perplexity", and the number of "symbols".

        "nats_recurrent" and "nats_ngrams" are those of the network and of the n-gram model alone. With `adapt` the
        weights are updated from text to text, so that nats depend on the texts before; they are restored afterwards.

        The end of a document counts as a symbol if ``ends_``; a symbol outside the vocabulary as the unknown one. For
        chords also "nats_per_step", the nats per chord, and the number of chords ("steps").
        """
        documents = self._documents(X)
        data = self._read(documents)
        ngrams = None if self.mixture_ is None else self.mixture_.ngrams.each(data.whole())
        found = self._scores(finite(self._by_network(data).values), ngrams)
        del found["loss"]
        if self.feature_.is_music:
            chords = sum(map(len, documents))
            found |= {"nats_per_step": found["nats"] * found["symbols"] / max(1, chords), "steps": float(chords)}
        return found

    @by_learnt_options
    def nats(self, X: Any) -> _Floats:
        """-log p of each text, float64 [documents]."""
        each = self.nll(X)
        return each.values.new_zeros(len(each)).index_add(0, each.segments, each.values).numpy()

    @by_learnt_options
    def nll(self, X: Any) -> Ragged:
        """-log p of each symbol of each text, and of its end if ``ends_``: float64 [steps]."""
        data = self._read(self._documents(X))
        found = self._by_network(data)
        finite(found.values)
        if self.mixture_ is None:
            return found
        return found.with_values(-self.mixture_.of_symbols(-found.values, self.mixture_.ngrams.each(data.whole())))

    def _by_network(self, data: LMChunks) -> Ragged:
        """-log p of each symbol by the network alone."""
        return adapted(self.network_, data, float(self.adapt)) if self.adapt else nll(self.network_, data)

    def _read(self, documents: list[Any]) -> LMChunks:
        self.check_fitted()
        return self.lm_chunks(self.feature_.transform(documents, name="X"), None)

    def _scores(self, network: Tensor, ngrams: _Floats | None) -> dict[str, float]:
        """The metrics from -log p [symbols] of the network and p of the n-grams."""
        if self.mixture_ is None or ngrams is None:
            return _metrics(network)
        found = _metrics(-self.mixture_.of_symbols(-network, ngrams))
        return found | {"nats_recurrent": float(network.mean()), "nats_ngrams": float(-np.log(ngrams).mean())}

    # ---- writing

    @by_learnt_options
    def generate(self, prompt: Any = "", *, samples: int | None = None, **how: Any) -> Any:
        """A text that continues `prompt`, or a list for a model of tokens or chords; `how`: see `generating`.

        `samples`: a list of so many, the second with `seed` + 1 and so on; None: one.

        >>> model = Generator(hidden=8, embed=8, epochs=1, verbose=False).fit(["to be or not to be"] * 3)
        >>> model.generate("to b", length=3, seed=1) == model.generate("to b", length=3, seed=1)
        True
        >>> len(model.generate("to b", length=3, samples=2, seed=1))
        2
        """
        prompt = plain_text(prompt) if isinstance(prompt, str) else prompt
        if samples is None:
            return self.feature_.continued(prompt, list(self.generating(prompt, **how)))
        if not is_whole(samples, 1, _SAMPLES):
            rule = f"must be a whole number from 1 to {_SAMPLES}, or None for one text"
            raise OptionError(f"samples = {shown(samples)} {rule}")
        seed = how.pop("seed", None)
        if not is_whole(seed, 0):  # None, or refused by the first
            return [self.generate(prompt, seed=seed, **how) for _ in range(samples)]
        return [self.generate(prompt, seed=int(seed) + i, **how) for i in range(samples)]

    @by_learnt_options
    def generating(self, prompt: Any = "", **how: Any) -> Iterator[Any]:
        """Yields the symbols or chords after `prompt` as they are sampled.

        `how`: length = 200, temperature = 0.8, top_k, top_p, repetition, no_repeat, min_length, stop, form and seed of
        `Writer.write`.
        """
        self.check_fitted()
        return Writer(self.feature_, self.network_, self.mixture_, self.ends_).write(prompt, **how)

    # ---- looking inside

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its negative log-likelihood per step."""
        self.check_fitted()
        symbols = self.feature_.transform(self._documents(X), name="X")
        data = self.lm_chunks(symbols, self._longest(symbols.steps))

        def loss(indices: Tensor) -> Tensor:
            scores, _ = self.network_(data.inputs[indices])
            chosen = data.targets[indices]
            each = torch.nn.functional.cross_entropy(scores, chosen.values, reduction="none")
            sums = each.new_zeros(len(chosen)).index_add(0, chosen.segments, each)
            return sums / chosen.lengths.clamp(min=1)

        return DiagnosisRequest(self.network_, data.inputs.lengths, loss, self.learnt_with_)

    # ---- streaming

    def _stepper(self, static: Any) -> Stepper:
        """Reads a text in chunks and gives the distribution of the next symbol."""
        if static:
            raise OptionError("a Generator reads texts alone. Leave static out.")
        return LMSession(self.feature_, self.network_, symbols_of(self.feature_), self.mixture_)

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """The inputs, for the model card: lines of text by name."""
        return {"input": self.feature_.describe()}

    def _config(self) -> dict[str, Any]:
        feature = saved_feature(self.feature_)
        mixed = None if self.mixture_ is None else [self.mixture_.ngrams.order, self.mixture_.weight]
        return {"feature": feature, "ends": self.ends_, "input": self.input_, "mixture": mixed}

    def _tensors(self) -> dict[str, Tensor]:
        known = {} if self.mixture_ is None else self.mixture_.ngrams.tensors()
        return {f"ngrams.{name}": tensor for name, tensor in known.items()}

    def _files(self) -> dict[str, str]:
        return dict(self.feature_.files())

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        if (writer := restored_feature(config["feature"], {}, files).writer) is None:
            raise ValueError("feature")
        self.feature_ = writer
        if not isinstance(config["ends"], bool):
            raise ValueError("ends")
        if not isinstance(config["input"], str | None):
            raise ValueError("input")
        self.ends_, self.input_ = config["ends"], config["input"]
        self.network_ = store.network(lambda: self._network(self.config(), self._symbol_count), tensors, folder)
        self.mixture_ = None
        if config["mixture"] is not None:
            order, weight = config["mixture"]
            if not (is_whole(order) and order <= _LONGEST and 0 <= float(weight) <= 1):
                raise ValueError("mixture")
            known = KneserNey.restore(order, self._symbol_count, store.under("ngrams.", tensors))
            self.mixture_ = InterpolatedLM(known, float(weight))


def _metrics(each: Tensor) -> dict[str, float]:
    if not len(each):
        raise DataError("there are no symbols to score. Give a text that is not empty.")
    nats = float(each.mean())
    found = {"loss": nats, "nats": nats, "bits": nats / math.log(2), "perplexity": math.exp(min(nats, 700.0))}
    return found | {"symbols": float(len(each))}
